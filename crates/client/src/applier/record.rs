//! What a step leaves in the state.

use cairn_core::ids::NodeId;
use cairn_core::node::Attributes;
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Substance};

use super::place::Standing;
use super::step::Step;
use super::{Applier, ApplyResult, disk_name_for};
use crate::state::{Intent, LocalChange, LocalRow, StateBatch, TreeChange};

impl Applier {
    /// Writes down what is about to be done.
    pub(super) async fn intend(&self, name: &str, node: NodeId, step: &Step) -> ApplyResult<()> {
        let intent = Intent {
            staged: name.to_owned(),
            node,
            step: step.encode(),
        };
        Ok(self.state.add_intent(self.namespace, &intent).await?)
    }

    /// Ends an intent of which nothing was done, or nothing is left to do.
    pub(super) async fn drop_intent(&self, name: &str) -> ApplyResult<()> {
        let batch = StateBatch {
            done_intents: vec![name.to_owned()],
            ..StateBatch::default()
        };
        Ok(self.state.apply(self.namespace, batch).await?)
    }

    /// Adds to a batch that a node is on the disk as `row` says, and that `remote` was applied as far as the row agrees
    /// with it.
    pub(super) async fn add_row(
        &self,
        batch: &mut StateBatch,
        row: LocalRow,
        remote: Option<&Entry>,
    ) -> ApplyResult<()> {
        if let Some(remote) = remote {
            let agreed = if is_whole(&row.entry, remote) {
                Some(remote.clone())
            } else {
                let synced = self.state.synced(self.namespace, row.node).await?;
                agreed_in_part(&row.entry, remote, synced)
            };
            batch
                .synced
                .extend(agreed.map(|agreed| TreeChange::Put(row.node, agreed)));
        }
        batch.local.push(LocalChange::Put(row));
        Ok(())
    }

    pub(super) async fn write(&self, batch: StateBatch) -> ApplyResult<()> {
        Ok(self.state.apply(self.namespace, batch).await?)
    }

    /// The row of a node whose content was just put on the disk.
    pub(super) fn placed_row(&self, node: NodeId, entry: &Entry, standing: Standing) -> LocalRow {
        let is_file = matches!(entry.substance, Substance::File { .. });
        LocalRow {
            node,
            entry: local_entry(entry),
            disk_name: disk_name_for(&entry.place.name, entry.place.parent == NodeId::ROOT),
            is_unsure: is_file && standing.is_unsure,
            fingerprint: standing.fingerprint,
        }
    }
}

/// An entry as the local tree keeps it: without the server's counters, and with attributes for files only.
pub(super) fn local_entry(entry: &Entry) -> Entry {
    let is_file = matches!(entry.substance, Substance::File { .. });
    Entry {
        attributes: if is_file {
            entry.attributes
        } else {
            Attributes::default()
        },
        place_seq: Seq::ZERO,
        content_seq: Seq::ZERO,
        ..entry.clone()
    }
}

/// Whether the disk is in all parts what the server says.
fn is_whole(local: &Entry, remote: &Entry) -> bool {
    local.place == remote.place && local.substance == remote.substance && local.same_attributes(remote)
}

/// What both sides have agreed on when the disk is `local` and the server says `remote`: of each part the remote's where
/// the disk has it already, else what it was. `None` when there is no such base.
fn agreed_in_part(local: &Entry, remote: &Entry, synced: Option<Entry>) -> Option<Entry> {
    let has_place = local.place == remote.place;
    let has_content = local.substance == remote.substance;
    let has_attributes = local.same_attributes(remote);
    let mut agreed = synced?;
    if has_place {
        agreed.place = remote.place.clone();
        agreed.place_seq = remote.place_seq;
    }
    if has_content {
        agreed.substance = remote.substance.clone();
        agreed.content_seq = remote.content_seq;
    }
    if has_attributes {
        agreed.attributes = remote.attributes;
    }
    Some(agreed)
}
