//! Removes what has expired: grants in the metadata store, quiet devices' buckets in memory.

use std::sync::Arc;
use std::time::Duration;

use crate::state::State;

/// Grants live for days; an hour more costs nothing.
const INTERVAL: Duration = Duration::from_secs(3_600);

/// Runs now and every hour.
pub(super) async fn run(state: Arc<State>) {
    loop {
        match state.metadata.remove_expired(state.runtime.clock.now()).await {
            Ok(count) => tracing::debug!(count, "expired grants removed"),
            Err(error) => tracing::warn!(%error, "cannot remove expired grants; the next round tries again"),
        }
        state.auth.tidy();
        tokio::time::sleep(INTERVAL).await;
    }
}
