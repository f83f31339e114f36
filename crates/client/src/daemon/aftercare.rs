//! The second look at displaced files, in its time.

use std::time::Duration;

use super::work::Work;
use super::{Daemon, DaemonError};

/// The shortest wait for a second look, so that one that fails is not tried without pause.
const LEAST_WAIT: Duration = Duration::from_secs(30);

impl Daemon {
    /// Looks again at displaced files that are due.
    pub(super) async fn look_again(&self, work: &mut Work) -> Result<(), DaemonError> {
        if self.is_paused() {
            return Ok(());
        }
        let _pass = self.pass.lock().await;
        let folders = self.engine.look_again().await?;
        work.look_at(folders);
        Ok(())
    }

    /// Returns when the next displaced file is due; never when there is none, or while syncing is paused.
    pub(super) async fn next_look(&self) {
        let wait = match self.engine.applier.next_look_ms().await {
            Ok(wait) => wait.filter(|_| !self.is_paused()),
            Err(error) => {
                tracing::debug!(%error, "cannot say when displaced files are due");
                None
            }
        };
        match wait {
            Some(ms) => tokio::time::sleep(Duration::from_millis(ms).max(LEAST_WAIT)).await,
            None => std::future::pending().await,
        }
    }
}
