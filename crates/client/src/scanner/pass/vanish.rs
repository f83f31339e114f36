//! What is believed to be gone.

use cairn_core::ids::NodeId;

use super::Pass;
use crate::fs::{DiskPath, FileKind};
use crate::scanner::lost::LostSince;
use crate::scanner::reread::tells;
use crate::scanner::{Brake, MassDelete, ScanError, Scanner};
use crate::state::{LocalChange, TreeChange};

/// Up to so many nodes may vanish in a pass without a question.
const MASS_DELETE_NODES: u64 = 1_000;

impl Pass<'_> {
    /// Removes the nodes that were nowhere in this pass.
    pub(super) async fn remove_missing(&mut self, brake: Brake, is_whole: bool) -> Result<(), ScanError> {
        let candidates: Vec<NodeId> = std::mem::take(&mut self.missing)
            .into_iter()
            .filter(|node| !self.claimed.contains(node))
            .collect();
        let mut gone = Vec::new();
        for node in candidates {
            let is_supplanted = self.supplanted.contains(&node);
            match look_for(self.scanner, node, is_supplanted).await? {
                Found::Nothing => gone.push(node),
                // The next look at its folder finds it under its name: it is the same node then, with other bytes.
                Found::Other(path) => self.report.note_busy(path, 0),
                Found::Itself => {}
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // Whatever was seen, it was seen on our disk only if that is still there.
        self.scanner.check_root().await?;
        let gone = self.remove_lost(gone).await?;
        let held = match brake {
            Brake::Released => None,
            Brake::On => mass_delete(self.scanner, &gone).await?,
            Brake::Holding => {
                let count = count_below(self.scanner, &gone).await?;
                (!is_whole || count > MASS_DELETE_NODES).then_some(count)
            }
        };
        if let Some(count) = held {
            self.report.held = Some(MassDelete { count });
            return Ok(());
        }
        for node in gone {
            self.remove(node);
        }
        self.flush().await
    }

    fn remove(&mut self, node: NodeId) {
        self.report.changed += 1;
        self.batch.local.push(LocalChange::Remove(node));
    }

    /// Removes the nodes that the disk may have lost with the power, with all that was agreed upon of them, so that what the
    /// server has of them comes back. Returns the others.
    async fn remove_lost(&mut self, gone: Vec<NodeId>) -> Result<Vec<NodeId>, ScanError> {
        let state = &self.scanner.state;
        let Some(lost_since) = LostSince::load(&**state).await? else {
            return Ok(gone);
        };
        let mut deleted = Vec::new();
        for node in gone {
            if may_be_lost(self.scanner, node, lost_since).await? {
                self.remove(node);
                self.batch.synced.push(TreeChange::RemoveSubtree(node));
            } else {
                deleted.push(node);
            }
        }
        self.flush().await?;
        Ok(deleted)
    }
}

/// What is at the place of a node that a listing lacks.
enum Found {
    /// Nothing that is the node or could have come for it.
    Nothing,
    /// The node.
    Itself,
    /// Another thing, which may have come in its place while the folder was listed, as when an editor saves.
    Other(DiskPath),
}

/// Looks for a node at its place: a listing may miss a name that is being renamed, or that something is being renamed to.
/// Where that cannot be seen it counts what the listing has shown: whether something of another kind is in its place.
async fn look_for(scanner: &Scanner, node: NodeId, is_supplanted: bool) -> Result<Found, ScanError> {
    let state = &scanner.state;
    let Some(row) = state.local(scanner.namespace, node).await? else {
        return Ok(Found::Itself);
    };
    let Some(names) = state.disk_path(scanner.namespace, node).await? else {
        return Ok(Found::Nothing);
    };
    let path = DiskPath::from_names(names);
    let looked_at = path.clone();
    let found = match scanner.on_disk(move |fs| fs.metadata(&looked_at)).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(Found::Nothing),
        Err(_) if is_supplanted => return Ok(Found::Nothing),
        Err(_) => return Ok(Found::Itself),
    };
    let is_same_kind = found.kind == FileKind::Node(row.entry.substance.kind());
    // Inodes are used again, and where times have coarse steps a birth time is no other: the kind is asked as well.
    if is_same_kind && found.fingerprint.is_same_file(&row.fingerprint) {
        let is_twin = scanner.is_twin(&row, &found.fingerprint).await?;
        return Ok(if is_twin { Found::Nothing } else { Found::Itself });
    }
    let is_other_kind = !is_same_kind && matches!(found.kind, FileKind::Node(_));
    let is_supplanted = is_other_kind || scanner.is_supplanted(&row, &path, &found.fingerprint).await?;
    Ok(if is_supplanted {
        Found::Nothing
    } else {
        Found::Other(path)
    })
}

/// Whether a node that is gone may never have been on the disk for good. Whoever deletes something sets the time of the
/// folder; a disk that lost the name has lost that time with it.
async fn may_be_lost(scanner: &Scanner, node: NodeId, lost_since: LostSince) -> Result<bool, ScanError> {
    let (state, namespace) = (&scanner.state, scanner.namespace);
    let Some(row) = state.local(namespace, node).await? else {
        return Ok(false);
    };
    let now = scanner.runtime.clock.now();
    if !lost_since.covers(&row.fingerprint) || !tells(&row.fingerprint, now) {
        return Ok(false);
    }
    let folder = state.disk_path(namespace, row.entry.place.parent).await?;
    let Some(folder) = folder.map(DiskPath::from_names) else {
        return Ok(true);
    };
    let found = scanner.on_disk(move |fs| fs.metadata(&folder)).await;
    let changed = found.ok().flatten().map(|folder| folder.fingerprint.mtime);
    Ok(changed.is_none_or(|changed| changed < row.fingerprint.ctime))
}

/// How many nodes are gone, when that is most of them.
async fn mass_delete(scanner: &Scanner, gone: &[NodeId]) -> Result<Option<u64>, ScanError> {
    let state = &scanner.state;
    let all = state.counts(scanner.namespace).await?.local_nodes;
    if all <= MASS_DELETE_NODES {
        return Ok(None);
    }
    let count = count_below(scanner, gone).await?;
    Ok((count > MASS_DELETE_NODES && count * 2 > all).then_some(count))
}

/// How many nodes are gone, those below gone folders included.
async fn count_below(scanner: &Scanner, gone: &[NodeId]) -> Result<u64, ScanError> {
    let state = &scanner.state;
    let mut count = 0;
    let mut to_count = gone.to_vec();
    while let Some(node) = to_count.pop() {
        count += 1;
        for row in state.local_children(scanner.namespace, node).await? {
            if row.entry.is_directory() {
                to_count.push(row.node);
            } else {
                count += 1;
            }
        }
    }
    Ok(count)
}
