//! A loss of power while a commit was in flight.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use cairn_api::sync::{CommitRequest, from_cbor};
use cairn_core::change::Op;
use cairn_core::ids::{NodeId, OpId};
use cairn_core::tree::{Entry, Substance};

use super::Engine;
use crate::fs::{DiskPath, Metadata};
use crate::state::{LocalRow, StateBatch, StateResult, TreeChange};

/// The setting that names the commit which was in flight when the power failed, and what of it that took back. It outlives a
/// life that ends before the commit is settled.
const TAKEN_BACK_SETTING: &str = "taken-back";

impl Engine {
    /// Notes of which files in the commit in flight the disk has another one now, where it may have lost what was written last:
    /// what a user put in their place was taken back. Call it before the first scan, which forgets what stood there.
    ///
    /// # Errors
    /// As the state says. What the disk does not tell is not noted.
    pub(crate) async fn note_taken_back(&self) -> StateResult<()> {
        let Some(in_flight) = self.state.in_flight(self.namespace).await? else {
            return Ok(());
        };
        let noted = self.taken_back(in_flight.op_id).await?;
        if !self.may_have_lost_writes.load(Ordering::Relaxed) {
            self.may_have_lost_writes
                .store(noted.is_some(), Ordering::Relaxed);
            return Ok(());
        }
        // What cannot be read is given up when it is settled.
        let Ok(request) = from_cbor::<CommitRequest>(&in_flight.request) else {
            return Ok(());
        };
        let mut taken_back = noted.unwrap_or_default();
        let writes = |op: &&Op| matches!(op, Op::Edit { .. } | Op::Create { .. });
        for node in request.groups.iter().flatten().filter(writes).map(Op::node) {
            if self.stands_another(node).await? {
                taken_back.insert(node);
            }
        }
        let nodes: Vec<String> = taken_back.iter().map(ToString::to_string).collect();
        let note = format!("{} {}", in_flight.op_id, nodes.join(","));
        self.state.set_setting(TAKEN_BACK_SETTING, Some(&note)).await
    }

    /// What was noted of a commit; `None` when the power did not fail while it was in flight.
    async fn taken_back(&self, commit: OpId) -> StateResult<Option<BTreeSet<NodeId>>> {
        let Some(note) = self.state.setting(TAKEN_BACK_SETTING).await? else {
            return Ok(None);
        };
        let nodes = note.split_once(' ').filter(|(of, _)| *of == commit.to_string());
        let node = |text: &str| NodeId::new(i64::from_str_radix(text, 16).ok()?).ok();
        Ok(nodes.map(|(_, nodes)| nodes.split(',').filter_map(node).collect()))
    }

    /// Forgets what was noted, once the commit is settled.
    pub(super) async fn forget_taken_back(&self) -> StateResult<()> {
        self.state.set_setting(TAKEN_BACK_SETTING, None).await
    }

    /// What is remembered of a node, and what stands at its place.
    async fn at_place(&self, node: NodeId) -> StateResult<Option<(LocalRow, Metadata)>> {
        let row = self.state.local(self.namespace, node).await?;
        let names = self.state.disk_path(self.namespace, node).await?;
        let (Some(row), Some(names)) = (row, names) else {
            return Ok(None);
        };
        let (fs, at) = (Arc::clone(&self.fs), DiskPath::from_names(names));
        let found = self.runtime.blocking(move || fs.metadata(&at)).await;
        Ok(found.ok().flatten().map(|found| (row, found)))
    }

    /// Whether another file has the place of a node than the one that was scanned there.
    async fn stands_another(&self, node: NodeId) -> StateResult<bool> {
        let at_place = self.at_place(node).await?;
        Ok(at_place.is_some_and(|(row, found)| !found.fingerprint.is_same_file(&row.fingerprint)))
    }

    /// Whether what a commit made of a file is another file as well, here and on the server, of which the commit says nothing: a
    /// user has moved or copied that over the first.
    async fn is_move_over(&self, made: &Entry, changes: &[TreeChange]) -> StateResult<bool> {
        let Substance::File { file_id, .. } = made.substance else {
            return Ok(false);
        };
        let found = self
            .state
            .locals_with_contents(self.namespace, &[file_id])
            .await?;
        let Some(other) = found.into_iter().flatten().next().map(|row| row.node) else {
            return Ok(false);
        };
        let remote = self.state.remote(self.namespace, other).await?;
        let is_told = |change: &TreeChange| match change {
            TreeChange::Put(node, _) | TreeChange::RemoveNode(node) => *node == other,
            TreeChange::RemoveSubtree(_) => true,
        };
        if changes.iter().any(is_told) || remote.is_none_or(|remote| remote.substance != made.substance) {
            return Ok(false);
        }
        let at_place = self.at_place(other).await?;
        Ok(at_place.is_some_and(|(row, found)| found.fingerprint.is_same_file(&row.fingerprint)))
    }

    /// Where a loss of power has set a file back to what it was before the commit in flight, or has taken back what was put in
    /// its place and sent, that is no edit of what the commit made. Its base stays the older content, or none, so that the disk gets
    /// the newer one, beside what only this device has. Where the newer one is another file's, what it was moved over is kept beside
    /// it as well: of a swap the other half may be lost, and it would stand nowhere.
    pub(super) async fn keep_base_of_set_back(&self, batch: &mut StateBatch) -> StateResult<()> {
        let noted = match batch.settled {
            Some(commit) => self.taken_back(commit).await?,
            None => None,
        };
        let taken_back = noted.unwrap_or_default();
        let changes = std::mem::take(&mut batch.synced);
        let mut synced = Vec::with_capacity(changes.len());
        for change in changes.iter().cloned() {
            let TreeChange::Put(node, mut entry) = change else {
                synced.push(change);
                continue;
            };
            let before = self.state.synced(self.namespace, node).await?;
            let older = before.as_ref().map(|before| &before.substance);
            let local = self.state.local(self.namespace, node).await?;
            let is_taken_back = taken_back.contains(&node);
            let is_set_back = match local {
                // One that is gone may never have been on the disk for good. That its folder was changed since is no proof: that
                // may be what else was done there.
                None => true,
                Some(_) if is_taken_back && self.is_move_over(&entry, &changes).await? => {
                    // Two versions that nobody agreed upon.
                    synced.push(TreeChange::RemoveNode(node));
                    continue;
                }
                Some(row) => {
                    let is_other = row.entry.substance != entry.substance;
                    Some(&row.entry.substance) == older || (is_other && is_taken_back)
                }
            };
            match before {
                Some(before) if is_set_back && entry.substance != before.substance => {
                    entry.substance = before.substance;
                    entry.attributes = before.attributes;
                    entry.content_seq = before.content_seq;
                }
                // It was made by the commit.
                None if is_set_back => continue,
                _ => {}
            }
            synced.push(TreeChange::Put(node, entry));
        }
        batch.synced = synced;
        Ok(())
    }
}
