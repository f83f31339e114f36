//! Folders that stand under the name of a known one and have another inode.
//!
//! Either the known folder was replaced, as by a copy, and is this one now; or it was moved, and this one is new. Which of the two
//! it is shows when it is found elsewhere, so that is waited for.

use std::sync::Arc;

use super::{Pass, Visit};
use crate::scanner::ScanError;
use crate::scanner::ignore::Scope;
use crate::scanner::matching::Listed;
use crate::state::LocalRow;

/// Folders that wait. With more the oldest is believed to be what it is called: where every folder has another inode, as on a new
/// disk, none was moved.
const WAITING: usize = 1_000;

/// A folder that may be the node whose name it has.
pub(super) struct Doubt {
    visit: Visit,
    scope: Arc<Scope>,
    item: Listed,
    row: LocalRow,
}

impl Pass<'_> {
    /// Leaves open which folder this is.
    pub(super) async fn doubt(
        &mut self,
        visit: &Visit,
        scope: &Arc<Scope>,
        item: Listed,
        row: LocalRow,
    ) -> Result<(), ScanError> {
        self.doubts.push_back(Doubt {
            visit: visit.clone(),
            scope: Arc::clone(scope),
            item,
            row,
        });
        if self.doubts.len() > WAITING {
            self.settle_doubt().await?;
        }
        Ok(())
    }

    /// Decides about the oldest; false when there is none. Who is believed to be at its place is not found elsewhere later in the same
    /// pass: it could be in itself.
    pub(super) async fn settle_doubt(&mut self) -> Result<bool, ScanError> {
        let Some(doubt) = self.doubts.pop_front() else {
            return Ok(false);
        };
        let Doubt {
            visit,
            scope,
            item,
            row,
        } = doubt;
        if self.claimed.contains(&row.node) {
            self.appear(&visit, &scope, item).await?;
        } else {
            self.believed.insert(row.node);
            self.stay(&visit, &scope, item, row).await?;
        }
        Ok(true)
    }
}
