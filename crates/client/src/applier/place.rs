//! New files and links.

use std::collections::HashMap;
use std::sync::Arc;

use cairn_core::ids::NodeId;
use cairn_core::tree::{Entry, Substance};

use super::step::{Action, Item, Step};
use super::{Applier, ApplyError, ApplyResult, Placement, disk_name_for};
use crate::fs::{DiskPath, Fingerprint, FsResult, Metadata};
use crate::scanner::is_unsure;
use crate::state::StateBatch;

/// Files behind one intent and in one transaction.
const BATCH: usize = 1_000;

/// What was found where something was moved to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The state to remember.
    pub(super) fingerprint: Fingerprint,
    /// Whether, of a file, only its bytes can tell that nobody has written to it.
    pub(super) is_unsure: bool,
}

impl Applier {
    /// Puts a staged file where nothing is.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when something is there; the staged file stays.
    pub async fn place_file(&self, node: NodeId, entry: &Entry, staged: &str) -> ApplyResult<()> {
        let placement = Placement {
            node,
            entry: entry.clone(),
            staged: staged.to_owned(),
        };
        self.place_files(vec![placement]).await.pop().unwrap_or(Ok(()))
    }

    /// Makes a link where nothing is.
    ///
    /// # Errors
    /// As [`Self::place_file`].
    pub async fn place_link(&self, node: NodeId, entry: &Entry) -> ApplyResult<()> {
        let staged = self.stage_link(entry).await?;
        let placed = self.place_file(node, entry, &staged).await;
        if placed.is_err() {
            self.on_disk(move |fs| fs.unstage(&staged)).await?;
        }
        placed
    }

    /// Puts many staged files where nothing is, each folder made durable once, a thousand in one transaction. Returns one
    /// result each, in order.
    pub async fn place_files(&self, placements: Vec<Placement>) -> Vec<ApplyResult<()>> {
        let mut results = Vec::with_capacity(placements.len());
        for batch in placements.chunks(BATCH) {
            results.extend(self.place_batch(batch).await);
        }
        results
    }

    /// Stages the link that an entry is.
    pub(super) async fn stage_link(&self, entry: &Entry) -> ApplyResult<String> {
        let staged = self.fresh_staged_name("link");
        let Substance::Symlink(target) = entry.substance.clone() else {
            return Err(ApplyError::NotStaged { staged });
        };
        let name = staged.clone();
        self.on_disk(move |fs| fs.stage_link(&name, &target)).await?;
        Ok(staged)
    }

    async fn place_batch(&self, placements: &[Placement]) -> Vec<ApplyResult<()>> {
        let mut folders = HashMap::new();
        let mut results: Vec<ApplyResult<()>> = Vec::with_capacity(placements.len());
        let mut prepared = Vec::new();
        let nodes: Vec<NodeId> = placements.iter().map(|placement| placement.node).collect();
        let known = match self.state.locals(self.namespace, &nodes).await {
            Ok(known) => known,
            Err(error) => return fail_all(placements, error.into()),
        };
        let found = known.into_iter().zip(self.look_at_stage(placements).await);
        for (position, (placement, (known, staged))) in placements.iter().zip(found).enumerate() {
            match self
                .prepare(placement, known.is_some(), staged, &mut folders)
                .await
            {
                Ok(item) => {
                    prepared.push((position, item));
                    results.push(Ok(()));
                }
                Err(error) => results.push(Err(error)),
            }
        }
        let (positions, items) = self.without_unreachable(prepared, &mut results).await;
        if items.is_empty() {
            return results;
        }
        let placed = self.place_prepared(items).await;
        match placed {
            Ok(placed) => {
                for (position, result) in positions.into_iter().zip(placed) {
                    results[position] = result;
                }
            }
            Err(error) => {
                let failed: Vec<Placement> = positions.iter().map(|at| placements[*at].clone()).collect();
                for (position, result) in positions.into_iter().zip(fail_all(&failed, error)) {
                    results[position] = result;
                }
            }
        }
        results
    }

    /// Looks at the staged file of each, all without a change of threads in between.
    async fn look_at_stage(&self, placements: &[Placement]) -> Vec<FsResult<Option<Metadata>>> {
        let staged: Vec<String> = placements.iter().map(|one| one.staged.clone()).collect();
        let fs = Arc::clone(&self.fs);
        let look = move || staged.iter().map(|staged| fs.staged(staged)).collect();
        self.runtime.blocking(look).await
    }

    /// Leaves out what has a place that cannot be looked at, as in a closed folder. Nothing is begun there: it could be neither
    /// finished nor undone.
    async fn without_unreachable(
        &self,
        prepared: Vec<(usize, Item)>,
        results: &mut [ApplyResult<()>],
    ) -> (Vec<usize>, Vec<Item>) {
        let paths: Vec<DiskPath> = prepared.iter().map(|(_, item)| item.path()).collect();
        let fs = Arc::clone(&self.fs);
        let look = move || paths.iter().map(|path| fs.metadata(path)).collect();
        let looked: Vec<FsResult<Option<Metadata>>> = self.runtime.blocking(look).await;
        let mut reachable = (Vec::new(), Vec::new());
        for ((position, item), looked) in prepared.into_iter().zip(looked) {
            match looked {
                Ok(_) => {
                    reachable.0.push(position);
                    reachable.1.push(item);
                }
                Err(error) => results[position] = Err(error.into()),
            }
        }
        reachable
    }

    async fn prepare(
        &self,
        placement: &Placement,
        is_known: bool,
        staged: FsResult<Option<Metadata>>,
        folders: &mut HashMap<NodeId, DiskPath>,
    ) -> ApplyResult<Item> {
        let place = &placement.entry.place;
        let folder = match folders.get(&place.parent) {
            Some(folder) => folder.clone(),
            None => {
                let folder = self.folder_path(place.parent).await?;
                folders.insert(place.parent, folder.clone());
                folder
            }
        };
        let path = self.path_in(&folder, &placement.entry);
        if is_known {
            return Err(ApplyError::Changed { path });
        }
        let Some(incoming) = staged? else {
            return Err(ApplyError::NotStaged {
                staged: placement.staged.clone(),
            });
        };
        Ok(Item::new(&placement.staged, placement.node, &path)
            .with_incoming(&incoming.fingerprint, &placement.entry))
    }

    /// The path of an entry in its folder, by the name that this disk can hold.
    pub(super) fn path_in(&self, folder: &DiskPath, entry: &Entry) -> DiskPath {
        let disk_name = disk_name_for(&entry.place.name, folder.names().is_empty());
        folder.join(disk_name.as_deref().unwrap_or_else(|| entry.place.name.as_str()))
    }

    async fn place_prepared(&self, items: Vec<Item>) -> ApplyResult<Vec<ApplyResult<()>>> {
        let step = Step {
            action: Action::Place,
            items,
        };
        let Some(node) = step.items.first().and_then(Item::node) else {
            return Ok(Vec::new());
        };
        let name = self.fresh_staged_name("place");
        self.intend(&name, node, &step).await?;
        let moves: Vec<(String, DiskPath)> = step
            .items
            .iter()
            .map(|item| (item.staged.clone(), item.path()))
            .collect();
        let fs = Arc::clone(&self.fs);
        let place_and_look = move || -> Vec<_> {
            let placed = fs.place_all(&moves);
            let placed = placed.into_iter().zip(&moves);
            placed
                .map(|(result, (_, path))| result.map(|()| fs.metadata(path)))
                .collect()
        };
        let placed = self.runtime.blocking(place_and_look).await;
        let mut batch = StateBatch {
            done_intents: vec![name],
            ..StateBatch::default()
        };
        let mut results = Vec::with_capacity(placed.len());
        for (item, result) in step.items.iter().zip(placed) {
            results.push(match result {
                Ok(Ok(found)) => self.add_found(&mut batch, item, found).await,
                Err(error) if error.is_already_exists() => Err(ApplyError::Changed { path: item.path() }),
                // It may be there, seen or not.
                Ok(Err(error)) | Err(error) => {
                    if self.settle_placing(&mut batch, item).await.is_err() {
                        // Left to whoever finishes what is half done.
                        batch.done_intents.clear();
                    }
                    Err(error.into())
                }
            });
        }
        self.write(batch).await?;
        Ok(results)
    }

    /// Adds the row of an incoming file when it is at its place after a placement that failed: it may or may not have
    /// happened, and may have left two names of one file. Were it not known, the next scan would take it for a new file.
    async fn settle_placing(&self, batch: &mut StateBatch, item: &Item) -> ApplyResult<()> {
        if !self.settle_or_let_go(item).await? {
            return Ok(());
        }
        let (Some(found), Some(incoming)) = (self.look(&item.path()).await?, item.incoming()) else {
            return Ok(());
        };
        if found.fingerprint.is_same_file(&incoming) {
            self.add_placed(batch, item).await?;
        }
        Ok(())
    }

    /// As [`Self::settle`]; a file whose place cannot be reached is let go while it is staged, so that nothing else waits until its
    /// folder can be entered again. Its staged name goes with it: it may have another one there, of a placement that the power cut,
    /// and a download that goes on under this one would write to what somebody finds there. Says whether the place was reached.
    pub(super) async fn settle_or_let_go(&self, item: &Item) -> ApplyResult<bool> {
        let error = match self.settle(item).await {
            Err(ApplyError::Fs(error)) => error,
            settled => return settled.map(|_| true),
        };
        let (Some(node), Some(incoming)) = (item.node(), item.incoming()) else {
            return Err(error.into());
        };
        let is_it =
            |found: Option<Metadata>| found.is_some_and(|found| found.fingerprint.is_same_file(&incoming));
        if is_it(self.look_staged(&item.staged).await?) {
            if self.look(&item.path()).await.is_ok_and(is_it) {
                return Err(error.into());
            }
            let staged = item.staged.clone();
            self.on_disk(move |fs| fs.unstage(&staged)).await?;
            return Ok(false);
        }
        match self.state.local(self.namespace, node).await? {
            // It was placed, which is known.
            Some(_) => Ok(false),
            None => Err(error.into()),
        }
    }

    /// Adds the row of an incoming file that is at its place now.
    pub(super) async fn add_placed(&self, batch: &mut StateBatch, item: &Item) -> ApplyResult<()> {
        let found = self.look(&item.path()).await?;
        self.add_found(batch, item, found).await
    }

    /// As [`Self::add_placed`], when it was looked at.
    async fn add_found(
        &self,
        batch: &mut StateBatch,
        item: &Item,
        found: Option<Metadata>,
    ) -> ApplyResult<()> {
        let (Some(node), Some(entry), Some(incoming)) = (item.node(), item.entry(), item.incoming()) else {
            return Err(ApplyError::UnknownIntent {
                staged: item.staged.clone(),
            });
        };
        let standing = self.judge_standing(found, incoming);
        let row = self.placed_row(node, &entry, standing);
        self.add_row(batch, row, Some(&entry)).await
    }

    /// What is at a path to which something was just moved that was in the state `known`. If that is not what is there the
    /// known state is remembered: then the next scan sees the difference.
    ///
    /// A move sets the change time, and with it hides what somebody did between the move and this look: other bytes with
    /// the old times, another exec bit. So a file counts as read only where the change time is the old one, and beyond the
    /// tick in which it could have been written unseen.
    pub(super) async fn standing(&self, path: &DiskPath, known: Fingerprint) -> ApplyResult<Standing> {
        let found = self.look(path).await?;
        Ok(self.judge_standing(found, known))
    }

    /// As [`Self::standing`], when it was looked at.
    fn judge_standing(&self, found: Option<Metadata>, known: Fingerprint) -> Standing {
        let fingerprint = match found {
            Some(found) if found.fingerprint.is_same_state(&known) => found.fingerprint,
            _ => known,
        };
        let now = self.runtime.clock.now();
        let is_recent = is_unsure(&fingerprint, now, self.fs.timestamp_step_ns());
        Standing {
            fingerprint,
            is_unsure: fingerprint != known || is_recent,
        }
    }
}

/// One failure for all: the first says what it was, the others that they were not done.
fn fail_all(placements: &[Placement], error: ApplyError) -> Vec<ApplyResult<()>> {
    let mut error = Some(error);
    let failed = placements.iter().map(|placement| {
        let staged = placement.staged.clone();
        Err(error.take().unwrap_or(ApplyError::NotStaged { staged }))
    });
    failed.collect()
}
