//! Work that no request waits for. Each job may be stopped at any point and begun again from the start.

mod audit;
mod content_hashes;
mod expired;
pub(crate) mod texts;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_core::ids::NamespaceId;
use tokio::time::Instant;

use crate::state::State;

/// Namespaces that are remembered one by one; beyond it the next round looks at all of them.
const MAX_DIRTY: usize = 10_000;

/// Namespaces in which something waits for a job.
#[derive(Default)]
pub(crate) struct DirtyNamespaces {
    ids: Mutex<BTreeSet<NamespaceId>>,
    wake: tokio::sync::Notify,
}

impl DirtyNamespaces {
    /// Enters a namespace. One too many is left for the next full round.
    pub(crate) fn add(&self, namespace: NamespaceId) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.len() < MAX_DIRTY {
            ids.insert(namespace);
        }
        drop(ids);
        self.wake.notify_one();
    }

    /// Waits for entries and takes them all.
    async fn take(&self) -> BTreeSet<NamespaceId> {
        loop {
            let woken = self.wake.notified();
            let ids = std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner));
            if !ids.is_empty() {
                return ids;
            }
            woken.await;
        }
    }
}

/// How often the delay of [`when_quiet`] is begun anew because of another commit.
const LONGEST_DELAYS: u32 = 12;

/// Waits for commits, then until none has come for a while: what was committed is what devices fetch now, and reading all of
/// it at the same time would make them wait. Those who never stop committing are not waited for.
async fn when_quiet(state: &State, dirty: &DirtyNamespaces) -> BTreeSet<NamespaceId> {
    let delay = state.config.content_hash_delay;
    let mut namespaces = dirty.take().await;
    let since = Instant::now();
    while since.elapsed() < delay * LONGEST_DELAYS {
        match tokio::time::timeout(delay, dirty.take()).await {
            Ok(more) => namespaces.extend(more),
            Err(_quiet) => break,
        }
    }
    namespaces
}

/// Time between full rounds of the jobs that follow commits. A full round finds what an earlier process left, and what failed.
const FULL_ROUND_INTERVAL: Duration = Duration::from_secs(6 * 3_600);

/// As [`when_quiet`], until the next full round is due: it finds also what was taken and not returned.
async fn before_next_round(
    state: &State,
    dirty: &DirtyNamespaces,
    last_round: Instant,
) -> Option<BTreeSet<NamespaceId>> {
    let next_round = last_round + FULL_ROUND_INTERVAL;
    tokio::time::timeout_at(next_round, when_quiet(state, dirty))
        .await
        .ok()
}

/// Starts the jobs, once in a server's life. They end when the server drains.
pub(crate) fn start(state: &Arc<State>) {
    if state.jobs_started.swap(true, Ordering::SeqCst) {
        return;
    }
    let job = |work: futures::future::BoxFuture<'static, ()>| {
        let draining = state.draining.clone();
        async move {
            draining.run_until_cancelled(work).await;
        }
    };
    state.spawn(
        "content-hashes",
        job(Box::pin(content_hashes::run(Arc::clone(state)))),
    );
    state.spawn("audit", job(Box::pin(audit::run(Arc::clone(state)))));
    state.spawn("texts", job(Box::pin(texts::run(Arc::clone(state)))));
    state.spawn("expired", job(Box::pin(expired::run(Arc::clone(state)))));
}
