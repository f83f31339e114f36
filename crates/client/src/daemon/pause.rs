//! Pausing: what is under way is cut where it waits, as a crash would cut it, and goes on from there when syncing is resumed.

use super::Daemon;
use super::work::Work;
use crate::state::{ClientState, StateResult};
use crate::status::Activity;

/// The setting that is there while syncing is paused: a pause outlives the daemon.
const PAUSED_SETTING: &str = "paused";

/// Whether syncing was paused when the last daemon ended.
pub(super) async fn was_paused(state: &dyn ClientState) -> StateResult<bool> {
    Ok(state.setting(PAUSED_SETTING).await?.is_some())
}

impl Daemon {
    pub(super) fn is_paused(&self) -> bool {
        *self.paused.borrow()
    }

    /// Has the next daemon be paused as well if this one is, or not if it is not.
    ///
    /// # Errors
    /// As the state says.
    pub async fn keep_pause(&self) -> StateResult<()> {
        let value = self.is_paused().then_some("1");
        self.engine.state.set_setting(PAUSED_SETTING, value).await
    }

    /// Does some work; `None` when it was cut, since syncing is paused.
    pub(super) async fn unless_paused<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut paused = self.paused.subscribe();
        tokio::select! {
            biased;
            _ = paused.wait_for(|is_paused| *is_paused) => None,
            done = work => Some(done),
        }
    }

    /// What is to be done after a pass was cut: whoever holds the pass waits for what it has handed to the disk.
    pub(super) async fn after_cut(&self, work: &mut Work) {
        self.jobs.rested().await;
        self.engine.progress.cut();
        // What it had looked at already is looked at again.
        work.look_at_everything();
        self.set_activity(Activity::Paused);
    }
}
