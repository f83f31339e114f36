//! Sending while a scan goes on.
//!
//! What a scan has taken down until now is true of the disk, but not all of it: a name may be free that the state still
//! gives to what vanished or moved, since deletions are believed when the scan ends. So only new nodes are sent, and only while
//! nothing else is to be done; the server refuses what does not fit, and the sync that follows plans anew. Neither the disk nor
//! the local tree is touched: the scan owns them.

use std::sync::atomic::Ordering;

use cairn_core::ids::NodeId;
use cairn_core::planner::{Plan, Step, Wish};

use super::{Engine, EngineResult};

impl Engine {
    /// Sends new nodes as far as it goes without a question. Says whether it is worth calling again.
    ///
    /// # Errors
    /// [`super::EngineError`]: the sync that follows meets it too.
    pub(crate) async fn send_new(&self) -> EngineResult<bool> {
        // Before the first listing nobody knows what is new.
        if self.state.cursor(self.namespace).await?.is_none()
            || self.state.unfinished_listing(self.namespace).await?.is_some()
        {
            return Ok(false);
        }
        // What was in flight is settled by what the disk has now, which the whole scan tells.
        if self.may_have_lost_writes.load(Ordering::Relaxed) {
            return Ok(false);
        }
        self.settle_in_flight().await?;
        let mut after: Option<NodeId> = None;
        loop {
            let hood = self
                .state
                .neighbourhood(self.namespace, after, self.nodes_at_once)
                .await?;
            let Some(last) = hood.dirty.last().copied() else {
                return Ok(true);
            };
            after = Some(after.map_or(last, |after| after.max(last)));
            let Some(groups) = only_new(self.plan(&hood, false)) else {
                return Ok(false);
            };
            if !groups.is_empty() && !self.push(&hood, &groups, None).await? {
                return Ok(false);
            }
        }
    }
}

/// The wishes of a plan in which nodes are created on the server, and nothing else is done.
fn only_new(plan: Plan) -> Option<Vec<Vec<Wish>>> {
    let is_new = |wish: &Wish| matches!(wish, Wish::Create { .. });
    let wishes = plan.steps.into_iter().map(|step| match step {
        Step::Commit { wishes } if wishes.iter().all(is_new) => Some(wishes),
        _ => None,
    });
    wishes.collect()
}
