//! What follows a step: conflicts are written down, displaced files are looked at again.

use cairn_core::ids::NodeId;
use cairn_core::planner::Step;
use cairn_core::tree::Neighbourhood;

use super::{Engine, EngineResult, PassReport};
use crate::applier::ApplyError;
use crate::fs::DiskPath;
use crate::state::inbox::{ConflictReason, ConflictRow};
use crate::state::{StateBatch, StateResult};

impl Engine {
    /// Looks again at what was displaced: what is due, and the oldest of too much. Returns the folders that got copies. That
    /// the disk cannot be used now is no setback: it is done later.
    ///
    /// # Errors
    /// Those of the state.
    pub(crate) async fn look_again(&self) -> EngineResult<Vec<DiskPath>> {
        match self.applier.look_again().await {
            Ok(copies) => Ok(copies.iter().filter_map(DiskPath::parent).collect()),
            Err(ApplyError::State(error)) => Err(error.into()),
            Err(error) => {
                tracing::debug!(%error, "displaced files could not be looked at again");
                Ok(Vec::new())
            }
        }
    }

    /// What is at a path is not what was planned for: what this disk kept under a name of its own gives way; else somebody
    /// was faster, and what is there now is looked at. Then it is planned anew.
    pub(super) async fn clear_up(
        &self,
        node: NodeId,
        path: DiskPath,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        match self.applier.make_room(node, &path).await {
            Ok(true) => {
                report.done += 1;
                let now = self.runtime.clock.now();
                self.state
                    .note_activity(now, "renamed", &path.to_string())
                    .await?;
            }
            Err(ApplyError::State(error)) => return Err(error.into()),
            Ok(false) | Err(_) => report.must_look(path.parent().unwrap_or_default()),
        }
        Ok(())
    }

    /// Writes down that a step gave a node another name because of a conflict. `hood` is as it was before the step.
    pub(super) async fn note_conflict(&self, hood: &Neighbourhood, step: &Step) -> StateResult<()> {
        let (node, is_case) = match step {
            Step::RenameAside { node, .. } => (*node, false),
            Step::NameForServer { node, .. } => (*node, true),
            _ => return Ok(()),
        };
        let Some(row) = self.conflict(hood, node, is_case) else {
            return Ok(());
        };
        let batch = StateBatch {
            conflicts: vec![row],
            ..StateBatch::default()
        };
        self.state.apply(self.namespace, batch).await
    }

    /// The conflict of a node with who gets, or has, its name.
    fn conflict(&self, hood: &Neighbourhood, node: NodeId, is_case: bool) -> Option<ConflictRow> {
        let held = hood.local.get(node)?;
        let place = &held.place;
        let (original, entry) = [&hood.remote, &hood.local].into_iter().find_map(|tree| {
            let other = tree.other_child(place.parent, &place.name, node)?;
            Some((other, tree.get(other)?))
        })?;
        let reason = if is_case {
            ConflictReason::Case
        } else if entry.is_directory() == held.is_directory() {
            ConflictReason::BothCreated
        } else {
            ConflictReason::FileAndFolder
        };
        Some(ConflictRow {
            copy: node,
            original,
            base: None,
            at: self.runtime.clock.now(),
            reason,
        })
    }
}
