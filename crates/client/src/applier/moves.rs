//! Renames and moves.

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::Place;
use cairn_core::tree::Substance;

use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult, disk_name_for};
use crate::fs::{DiskPath, Metadata};
use crate::state::{LocalRow, StateBatch};

/// Nodes that give way to one another in one step. A ring of them stays as it is.
const MOST_IN_A_ROW: usize = 8;

impl Applier {
    /// Moves a node to a place where nothing is. Its content is not looked at.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when another thing is at the old place, or something at the new one.
    pub async fn rename(&self, node: NodeId, place: &Place) -> ApplyResult<()> {
        let to = self.target(place).await?;
        self.rename_to(node, place, to).await
    }

    /// The same, under the name on the disk that is said.
    async fn rename_to(&self, node: NodeId, place: &Place, to: DiskPath) -> ApplyResult<()> {
        let (row, from) = self.local(node).await?;
        self.check_is_there(&row, &from).await?;
        if from == to {
            return self.record_move(row, place, &to, None).await;
        }
        let intent = self.fresh_staged_name("moved");
        let mut entry = row.entry.clone();
        entry.place = place.clone();
        let step = Step {
            action: Action::Move,
            items: vec![Item::new(&intent, node, &to).with_back(&from).with_entry(&entry)],
        };
        self.intend(&intent, node, &step).await?;
        let (source, target) = (from.clone(), to.clone());
        let moved = self.on_disk(move |fs| fs.rename(&source, &target)).await;
        match refuse_taken(moved, &to) {
            Ok(()) => self.record_move(row, place, &to, Some(intent)).await,
            Err(error) => {
                if matches!(error, ApplyError::Changed { .. }) {
                    self.drop_intent(&intent).await?;
                } else {
                    self.finish_move(&step.items[0]).await?;
                }
                Err(error)
            }
        }
    }

    /// Records a move that was made, and forgets one that was not. Were one that was made not recorded, the next scan would
    /// take it for what the user wants.
    pub(super) async fn finish_move(&self, item: &Item) -> ApplyResult<()> {
        let (Some(node), Some(entry), Some(from)) = (item.node(), item.entry(), item.back()) else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let to = item.path();
        match self.state.local(self.namespace, node).await? {
            Some(row) if self.has_moved(&row, &from, &to).await? => {
                let intent = Some(item.staged.clone());
                self.record_move(row, &entry.place, &to, intent).await
            }
            _ => self.drop_intent(&item.staged).await,
        }
    }

    /// Whether a move of which nobody knows was made; it is durable then.
    async fn has_moved(&self, row: &LocalRow, from: &DiskPath, to: &DiskPath) -> ApplyResult<bool> {
        let is_it = |found: Option<Metadata>| {
            found.is_some_and(|found| found.fingerprint.is_same_file(&row.fingerprint))
        };
        if is_it(self.look(from).await?) || !is_it(self.look(to).await?) {
            return Ok(false);
        }
        let (nothing, at) = (self.fresh_staged_name("moved"), to.clone());
        self.on_disk(move |fs| fs.settle(&nothing, &at)).await?;
        Ok(true)
    }

    /// Gives a node another name on this side: for a conflict, so that another may have its name. What both sides have
    /// agreed on stays as it was.
    ///
    /// # Errors
    /// As [`Self::rename`].
    pub async fn rename_aside(&self, node: NodeId, name: &NodeName) -> ApplyResult<()> {
        let (row, _) = self.local(node).await?;
        let place = Place {
            parent: row.entry.place.parent,
            name: name.clone(),
        };
        self.rename(node, &place).await
    }

    /// Gives what stands at `path` the name that it travels under, where this disk had kept it another one until now: `node`
    /// comes with that other name from the server, and the disk cannot hold both. Says whether there is room now.
    ///
    /// # Errors
    /// As the filesystem and the state say.
    pub async fn make_room(&self, node: NodeId, path: &DiskPath) -> ApplyResult<bool> {
        self.make_room_by(node, path, MOST_IN_A_ROW).await
    }

    /// As [`Self::make_room`], where up to so many nodes may have to give way to one another.
    async fn make_room_by(&self, node: NodeId, path: &DiskPath, in_a_row: usize) -> ApplyResult<bool> {
        let Some((folder, name)) = path
            .parent()
            .zip(path.names().last().and_then(|name| as_name(name)))
        else {
            return Ok(false);
        };
        let folder = if folder.names().is_empty() {
            NodeId::ROOT
        } else {
            match self.state.local_at(self.namespace, folder.names()).await? {
                Some(row) => row.node,
                None => return Ok(false),
            }
        };
        let Some(found) = self.look(path).await? else {
            return Ok(false);
        };
        // A disk that folds names finds it under one that is not the same byte for byte.
        let is_holder = |row: &LocalRow| {
            let on_disk = row.disk_name.as_deref().and_then(as_name);
            row.node != node
                && found.fingerprint.is_same_file(&row.fingerprint)
                && on_disk.is_some_and(|on_disk| on_disk.key() == name.key())
                && row.entry.place.name.key() != name.key()
        };
        let rows = self.state.local_children(self.namespace, folder).await?;
        let Some(holder) = rows.into_iter().find(is_holder) else {
            return Ok(false);
        };
        let place = &holder.entry.place;
        match self.rename(holder.node, place).await {
            Ok(()) => return Ok(true),
            Err(ApplyError::Changed { .. }) => {}
            Err(error) => return Err(error),
        }
        if self.trade_names(&holder, node).await? {
            return Ok(true);
        }
        // What stands there may be kept under a name of its own, too.
        let wanted = self.target(place).await?;
        let has_room = in_a_row > 1
            && wanted != *path
            && Box::pin(self.make_room_by(holder.node, &wanted, in_a_row - 1)).await?;
        if !has_room {
            return Ok(false);
        }
        match self.rename(holder.node, place).await {
            Ok(()) => Ok(true),
            Err(ApplyError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Lets the holder of a name have the one that it travels under, where `node` stands in the way, which is to get the
    /// holder's: until it does `node` has a name that nobody wants. Says whether that was so.
    async fn trade_names(&self, holder: &LocalRow, node: NodeId) -> ApplyResult<bool> {
        let place = &holder.entry.place;
        let Some(row) = self.state.local(self.namespace, node).await? else {
            return Ok(false);
        };
        let wanted = self.target(place).await?;
        let in_the_way = self.look(&wanted).await?;
        if !in_the_way.is_some_and(|found| found.fingerprint.is_same_file(&row.fingerprint)) {
            return Ok(false);
        }
        let passing = row
            .entry
            .place
            .name
            .with_suffix(&format!(" ({})", self.fresh_staged_name("moving")));
        let folder = self.folder_path(row.entry.place.parent).await?;
        let aside = folder.join(passing.as_str());
        let traded = async {
            self.rename_to(node, &row.entry.place, aside).await?;
            self.rename(holder.node, place).await
        };
        match traded.await {
            Ok(()) => Ok(true),
            Err(ApplyError::Changed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn target(&self, place: &Place) -> ApplyResult<DiskPath> {
        let folder = self.folder_path(place.parent).await?;
        let disk_name = disk_name_for(&place.name, place.parent == NodeId::ROOT);
        Ok(folder.join(disk_name.as_deref().unwrap_or_else(|| place.name.as_str())))
    }

    async fn check_is_there(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<()> {
        match self.look(path).await? {
            Some(found) if found.fingerprint.is_same_file(&row.fingerprint) => Ok(()),
            _ => Err(ApplyError::Changed { path: path.clone() }),
        }
    }

    async fn record_move(
        &self,
        mut row: LocalRow,
        place: &Place,
        path: &DiskPath,
        intent: Option<String>,
    ) -> ApplyResult<()> {
        row.entry.place = place.clone();
        row.disk_name = path
            .name()
            .filter(|name| *name != place.name.as_str())
            .map(ToOwned::to_owned);
        // Where it was written to meanwhile the old fingerprint stays, and the next scan sees it.
        let standing = self.standing(path, row.fingerprint).await?;
        row.fingerprint = standing.fingerprint;
        row.is_unsure |= standing.is_unsure && matches!(row.entry.substance, Substance::File { .. });
        let remote = self.state.remote(self.namespace, row.node).await?;
        let mut batch = StateBatch {
            done_intents: intent.into_iter().collect(),
            ..StateBatch::default()
        };
        let remote = remote.filter(|remote| remote.place == *place);
        self.add_row(&mut batch, row, remote.as_ref()).await?;
        self.write(batch).await
    }
}

fn as_name(name: &str) -> Option<NodeName> {
    NodeName::new(name).ok()
}

/// A taken name, or a folder that is gone, is a change on the disk.
fn refuse_taken(result: crate::fs::FsResult<()>, path: &DiskPath) -> ApplyResult<()> {
    match result {
        Err(error) if error.is_already_exists() || error.is_not_found() => {
            Err(ApplyError::Changed { path: path.clone() })
        }
        result => Ok(result?),
    }
}
