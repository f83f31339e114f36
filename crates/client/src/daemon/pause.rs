//! Pausing: what is under way is cut where it waits, as a crash would cut it, and goes on from there when syncing is resumed.

use super::Daemon;
use super::work::Work;
use crate::status::Activity;

impl Daemon {
    pub(super) fn is_paused(&self) -> bool {
        *self.paused.borrow()
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
