//! Follows the server's event stream in a task of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_api::sync::Event;
use cairn_core::ids::NamespaceId;
use cairn_core::limits::HEARTBEAT_SECONDS;
use cairn_core::rev::Seq;
use cairn_core::runtime::Runtime;
use futures::StreamExt;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::remote::{Remote, RemoteResult};
use crate::retry::Backoff;

/// How long the server may be silent before the folder is not called in sync any more.
const DEAF_AFTER: Duration = Duration::from_secs(2 * HEARTBEAT_SECONDS);

/// What the server said of the namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// Its journal ends here. After a commit of this device's own that is known already.
    Head(Seq),
    /// The journal is to be asked whatever is known: the stream is new, and so the server may be, or it fell silent.
    Ask,
    /// The device was unlinked and is to delete what it keeps.
    Leave,
}

/// The newest news, and a bell.
#[derive(Debug, Default)]
struct Inbox {
    news: Mutex<Option<News>>,
    arrived: Notify,
}

impl Inbox {
    fn put(&self, news: News) {
        let mut waiting = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        let is_less = match *waiting {
            Some(News::Leave) => true,
            Some(News::Ask) => matches!(news, News::Head(_)),
            Some(News::Head(_)) | None => false,
        };
        if !is_less {
            *waiting = Some(news);
        }
        drop(waiting);
        self.arrived.notify_one();
    }
}

/// Hints that a namespace has moved. Hints merge; the stream ends when this is dropped.
pub(super) struct ServerEvents {
    inbox: Arc<Inbox>,
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
        let inbox = Arc::new(Inbox::default());
        let follower = Follower {
            remote,
            namespace,
            inbox: Arc::clone(&inbox),
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
            inbox,
            _stop: stop.drop_guard(),
        }
    }

    /// Waits until there may be news.
    pub(super) async fn arrived(&self) {
        self.inbox.arrived.notified().await;
    }

    /// What came since this was last asked.
    pub(super) fn take(&self) -> Option<News> {
        let mut waiting = self.inbox.news.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }
}

struct Follower {
    remote: Arc<dyn Remote>,
    namespace: NamespaceId,
    inbox: Arc<Inbox>,
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
                Err(error) => {
                    if error.asks_wipe() {
                        self.inbox.put(News::Leave);
                    }
                    backoff.after(&error).unwrap_or(super::POLL_EVERY)
                }
            };
            if heard.elapsed() > DEAF_AFTER {
                self.set_deaf(true);
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn set_deaf(&self, is_deaf: bool) {
        if self.is_deaf.swap(is_deaf, Ordering::Relaxed) != is_deaf {
            self.inbox.put(News::Ask);
        }
    }

    /// Reads one stream to its end. Its first events are the heads of all namespaces, so nothing is missed in between.
    async fn read(&self, backoff: &mut Backoff, heard: &mut Instant) -> RemoteResult<()> {
        let mut events = self.remote.events().await?;
        let patience = Duration::from_secs(HEARTBEAT_SECONDS * 2);
        let mut is_first = true;
        while let Ok(Some(event)) = tokio::time::timeout(patience, events.next()).await {
            backoff.reset();
            *heard = Instant::now();
            self.set_deaf(false);
            let event = event?;
            if matches!(event, Event::Drain { .. }) {
                return Ok(());
            }
            if let Some((_, seq)) = event.head().filter(|(namespace, _)| *namespace == self.namespace) {
                let is_new = std::mem::take(&mut is_first);
                self.inbox.put(if is_new { News::Ask } else { News::Head(seq) });
            }
        }
        Ok(())
    }
}
