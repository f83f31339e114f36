//! What a watcher of the disk is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cairn_client::fs::DiskPath;
use tokio::sync::Notify;

/// Something changed in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The folder.
    pub folder: DiskPath,
    /// Whether a folder came into it, by name: what is in that was not told.
    pub new_folder: Option<String>,
}

#[derive(Debug, Default)]
struct Queue {
    changes: VecDeque<Change>,
    has_overflowed: bool,
}

#[derive(Debug)]
struct Watcher {
    queue: Mutex<Queue>,
    capacity: usize,
    arrived: Notify,
}

impl Watcher {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes that anyone makes, our own included, in order. Nothing is told of what is below `.cairn`.
#[derive(Debug)]
pub struct Events {
    watcher: Arc<Watcher>,
}

impl Events {
    /// The oldest change that was not taken.
    pub fn next(&self) -> Option<Change> {
        self.watcher.queue().changes.pop_front()
    }

    /// All changes that were not taken.
    pub fn take_all(&self) -> Vec<Change> {
        self.watcher.queue().changes.drain(..).collect()
    }

    /// Whether changes were dropped because the queue was full; asked once, it is forgotten.
    pub fn take_overflow(&self) -> bool {
        std::mem::take(&mut self.watcher.queue().has_overflowed)
    }

    /// Waits until there is a change or an overflow to take.
    pub async fn arrived(&self) {
        loop {
            let arrived = self.watcher.arrived.notified();
            {
                let queue = self.watcher.queue();
                if !queue.changes.is_empty() || queue.has_overflowed {
                    return;
                }
            }
            arrived.await;
        }
    }
}

/// All who listen.
#[derive(Debug, Default)]
pub(super) struct Watchers(Vec<Weak<Watcher>>);

impl Watchers {
    pub(super) fn subscribe(&mut self, capacity: usize) -> Events {
        let watcher = Arc::new(Watcher {
            queue: Mutex::default(),
            capacity,
            arrived: Notify::new(),
        });
        self.0.push(Arc::downgrade(&watcher));
        Events { watcher }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn tell(&mut self, change: &Change) {
        self.0.retain(|watcher| {
            let Some(watcher) = watcher.upgrade() else {
                return false;
            };
            let mut queue = watcher.queue();
            if queue.changes.back() == Some(change) {
                return true;
            }
            if queue.changes.len() < watcher.capacity {
                queue.changes.push_back(change.clone());
            } else {
                queue.has_overflowed = true;
            }
            drop(queue);
            watcher.arrived.notify_one();
            true
        });
    }
}
