//! Many operations, each on its own: what fails holds up no other. As many as go together are written in one transaction.

use std::collections::BTreeMap;

use cairn_core::change::GroupOutcome;

use super::atomic::{Operation, Side, lens};
use super::overlay::Overlay;
use super::{FileError, Files, Located};
use crate::error::ServiceError;
use crate::service::browse;

/// Nodes that one transaction changes, about: what waits behind it waits little.
const MOST_NODES: usize = 2_000;

/// Chunks of the contents that one transaction writes, about.
pub(crate) const MOST_CHUNKS: u64 = 65_536;

/// One operation of several.
pub(crate) struct Single {
    /// What is to be done, under no other name.
    pub(crate) operation: Operation,
    /// Whether another name is taken where this one cannot be had: it is then to be done by itself.
    pub(crate) may_rename: bool,
}

/// What became of one operation of several.
pub(crate) enum Each {
    /// It was done; what it was about, as it left it, or as it was before it was deleted.
    Done(Located),
    /// It cannot be done.
    Failed(Side, FileError),
    /// It is to be tried by itself: another name must be found, or others were faster.
    Alone,
}

/// Operations that go together, seen one after another.
struct Together<'f> {
    overlay: Overlay<'f>,
    seen: Vec<Each>,
    lens: BTreeMap<cairn_core::ids::ChunkHash, u32>,
}

impl Files<'_> {
    /// Does the first of several operations, as many as go together, and says what became of each of those; of none when the
    /// first is to be done by itself.
    pub(crate) async fn apply_each(&self, operations: &[Single]) -> Result<Vec<Each>, ServiceError> {
        let mut count = operations.len();
        let mut together = loop {
            match self.together(&operations[..count]).await? {
                Ok(together) => break together,
                Err(0) => return Ok(Vec::new()),
                // What has seen that one is worth nothing.
                Err(fewer) => count = fewer,
            }
        };
        let mut derived = together.overlay.operations();
        // One group for each operation, in their order: it is judged by itself, on what those before it have left.
        derived.sort_by_key(|derived| derived.index);
        let groups: Vec<_> = derived.chunk_by(|a, b| a.index == b.index).collect();
        if groups.is_empty() {
            return Ok(together.seen);
        }
        let ops = groups
            .iter()
            .map(|group| group.iter().map(|derived| derived.op.clone()).collect());
        let outcomes = self.commit_groups(ops.collect(), &together.lens).await?;
        let mut refused = None;
        for (group, outcome) in groups.iter().zip(outcomes) {
            let Some(seen) = group.first().and_then(|first| together.seen.get_mut(first.index)) else {
                continue;
            };
            match outcome {
                GroupOutcome::Applied { seqs } => {
                    together.overlay.applied(group, &seqs);
                    if let Each::Done(located) = seen {
                        together.overlay.settle(&mut located.node);
                    }
                }
                GroupOutcome::Refused { .. } => {
                    *seen = Each::Alone;
                    refused = refused.or(group.first().map(|first| first.index));
                }
            }
        }
        // It may have failed for what was not done after all.
        let later = refused.map_or(together.seen.len(), |first| first + 1);
        for seen in &mut together.seen[later..] {
            if matches!(seen, Each::Failed(..)) {
                *seen = Each::Alone;
            }
        }
        Ok(together.seen)
    }

    /// Sees operations one after another. The inner error: one of them, and how many there are before it, cannot go together with
    /// these.
    async fn together(&self, operations: &[Single]) -> Result<Result<Together<'_>, usize>, ServiceError> {
        let at = browse::head(self.state, self.namespace).await?.seq;
        let Ok(lens) = lens(operations.iter().map(|single| &single.operation)) else {
            return Ok(Err(operations.len() / 2));
        };
        let mut overlay = Overlay::new(self, at);
        let mut seen = Vec::with_capacity(operations.len());
        for (index, single) in operations.iter().enumerate() {
            match self.one(&mut overlay, index, &single.operation).await {
                Ok(trace) => seen.push(Each::Done(trace.located)),
                Err((_, FileError::Service(error))) => return Err(error),
                // It may have begun.
                Err((_, FileError::TooManyFiles)) => return Ok(Err(index)),
                Err((Side::Target, FileError::Conflict(_))) if single.may_rename => return Ok(Err(index)),
                Err((side, error)) => seen.push(Each::Failed(side, error)),
            }
            // What is changed twice would be written once: each is to leave its own trace in the journal.
            let is_much = overlay.len() > MOST_NODES || overlay.chunks() > MOST_CHUNKS;
            if overlay.has_changed_twice() || is_much {
                return Ok(Err(index));
            }
        }
        Ok(Ok(Together { overlay, seen, lens }))
    }
}
