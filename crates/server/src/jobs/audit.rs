//! Removes entries of the audit log that are older than is configured.

use std::sync::Arc;
use std::time::Duration;

use crate::service::audit;
use crate::state::State;

/// The age is counted in days.
const INTERVAL: Duration = Duration::from_secs(86_400);

/// Runs now and every day.
pub(super) async fn run(state: Arc<State>) {
    loop {
        match audit::prune(&state).await {
            Ok(count) => tracing::debug!(count, "old entries of the audit log removed"),
            Err(error) => tracing::warn!(%error, "cannot shorten the audit log; the next round tries again"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
