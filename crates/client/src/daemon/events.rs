//! Follows the server's event stream in a task of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_api::sync::Event;
use cairn_core::ids::NamespaceId;
use cairn_core::limits::HEARTBEAT_SECONDS;
use cairn_core::runtime::Runtime;
use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::remote::{Remote, RemoteResult};
use crate::retry::Backoff;

/// How long the server may be silent before the folder is not called in sync any more.
const DEAF_AFTER: Duration = Duration::from_secs(2 * HEARTBEAT_SECONDS);

/// Hints that a namespace has moved. Hints merge; the stream ends when this is dropped.
pub(super) struct ServerEvents {
    moved: Arc<Notify>,
    _stop: DropGuard,
}

impl ServerEvents {
    pub(super) fn follow(
        remote: Arc<dyn Remote>,
        namespace: NamespaceId,
        runtime: Runtime,
        stop: CancellationToken,
        is_deaf: Arc<AtomicBool>,
    ) -> Self {
        let moved = Arc::new(Notify::new());
        let follower = Follower {
            remote,
            namespace,
            moved: Arc::clone(&moved),
            is_deaf,
        };
        let backoff = Backoff::new(Arc::clone(&runtime.entropy));
        let task_stop = stop.clone();
        let task = async move {
            tokio::select! {
                biased;
                () = task_stop.cancelled() => {}
                () = follower.follow(backoff) => {}
            }
        };
        runtime.spawner.spawn("server events", Box::pin(task));
        Self {
            moved,
            _stop: stop.drop_guard(),
        }
    }

    /// Waits until the namespace has moved.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// Whether it has moved since that was last asked.
    pub(super) fn has_moved(&self) -> bool {
        self.moved().now_or_never().is_some()
    }
}

struct Follower {
    remote: Arc<dyn Remote>,
    namespace: NamespaceId,
    moved: Arc<Notify>,
    /// Set while nothing was heard for long; a pass is asked for whenever it changes.
    is_deaf: Arc<AtomicBool>,
}

impl Follower {
    async fn follow(&self, mut backoff: Backoff) {
        let mut heard = Instant::now();
        loop {
            let pause = match self.read(&mut backoff, &mut heard).await {
                Ok(()) => backoff.next_pause(),
                // A refusal for good is told by the next pass; the stream asks again all the same, rarely.
                Err(error) => backoff.after(&error).unwrap_or(super::POLL_EVERY),
            };
            if heard.elapsed() > DEAF_AFTER {
                self.set_deaf(true);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn set_deaf(&self, is_deaf: bool) {
        if self.is_deaf.swap(is_deaf, Ordering::Relaxed) != is_deaf {
            self.moved.notify_one();
        }
    }

    /// Reads one stream to its end. Its first events are the heads of all namespaces, so nothing is missed in between.
    async fn read(&self, backoff: &mut Backoff, heard: &mut Instant) -> RemoteResult<()> {
        let mut events = self.remote.events().await?;
        let patience = Duration::from_secs(HEARTBEAT_SECONDS * 2);
        while let Ok(Some(event)) = tokio::time::timeout(patience, events.next()).await {
            backoff.reset();
            *heard = Instant::now();
            self.set_deaf(false);
            match event? {
                Event::Head { namespace, .. } if namespace == self.namespace => self.moved.notify_one(),
                Event::Drain { .. } => return Ok(()),
                Event::Head { .. } | Event::Heartbeat => {}
            }
        }
        Ok(())
    }
}
