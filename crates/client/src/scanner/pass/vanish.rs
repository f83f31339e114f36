//! What is believed to be gone.

use cairn_core::ids::NodeId;

use super::Pass;
use crate::fs::DiskPath;
use crate::scanner::{Brake, MassDelete, ScanError};
use crate::state::LocalChange;

/// Up to so many nodes may vanish in a pass without a question.
const MASS_DELETE_NODES: u64 = 1_000;

impl Pass<'_> {
    /// Removes the nodes that were nowhere in this pass.
    pub(super) async fn remove_missing(&mut self, brake: Brake) -> Result<(), ScanError> {
        let candidates: Vec<NodeId> = self
            .missing
            .drain()
            .filter(|node| !self.claimed.contains(node))
            .collect();
        let mut gone = Vec::new();
        for node in candidates {
            if self.is_gone(node).await? {
                gone.push(node);
            }
        }
        if gone.is_empty() {
            return Ok(());
        }
        // Whatever was seen, it was seen on our disk only if that is still there.
        self.scanner.check_root().await?;
        if brake == Brake::On
            && let Some(count) = self.mass_delete(&gone).await?
        {
            self.report.held = Some(MassDelete { count });
            return Ok(());
        }
        gone.sort_unstable();
        for node in gone {
            self.report.changed += 1;
            self.batch.local.push(LocalChange::Remove(node));
        }
        self.flush().await
    }

    /// Whether nothing is at a node's place that could be the node: a listing may miss a name that is being renamed.
    async fn is_gone(&self, node: NodeId) -> Result<bool, ScanError> {
        let state = &self.scanner.state;
        let Some(row) = state.local(self.scanner.namespace, node).await? else {
            return Ok(false);
        };
        let Some(names) = state.disk_path(self.scanner.namespace, node).await? else {
            return Ok(true);
        };
        let path = DiskPath::from_names(names);
        Ok(match self.scanner.on_disk(move |fs| fs.metadata(&path)).await {
            Ok(None) => true,
            Ok(Some(found)) => !found.fingerprint.is_same_file(&row.fingerprint),
            Err(_) => false,
        })
    }

    /// How many nodes are gone, when that is most of them.
    async fn mass_delete(&self, gone: &[NodeId]) -> Result<Option<u64>, ScanError> {
        let state = &self.scanner.state;
        let all = state.counts(self.scanner.namespace).await?.local_nodes;
        if all <= MASS_DELETE_NODES {
            return Ok(None);
        }
        let mut count = 0;
        let mut to_count = gone.to_vec();
        while let Some(node) = to_count.pop() {
            count += 1;
            for row in state.local_children(self.scanner.namespace, node).await? {
                if row.entry.is_directory() {
                    to_count.push(row.node);
                } else {
                    count += 1;
                }
            }
        }
        Ok((count > MASS_DELETE_NODES && count * 2 > all).then_some(count))
    }
}
