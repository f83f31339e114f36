//! Hints from the operating system that something changed in a folder.
//!
//! Hints only: they are merged, may be wrong and may be lost. What is true is for the scanner to see.

mod inotify;
mod watches;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cairn_core::runtime::Runtime;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::fs::DiskPath;
use watches::Watches;

/// Quiet after the last event before a hint is given.
pub const DEBOUNCE: Duration = Duration::from_millis(100);
/// The longest that a hint is held back while events keep coming.
pub const DEBOUNCE_CAP: Duration = Duration::from_secs(2);
/// How often everything is to be looked at where events cannot be had, and how often it is asked whether the root is still the one
/// that is watched: what is mounted or moved over it is told by nobody.
pub const POLL: Duration = Duration::from_secs(60);
/// Folders in one hint; with more, everything is looked at.
const HINT_FOLDERS: usize = 4_096;

/// What to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// These folders.
    Folders(Vec<DiskPath>),
    /// Everything.
    Everything,
}

/// Why not all folders are watched; [`Watcher::next`] then asks for everything once a minute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchTrouble {
    /// The system's limit is reached.
    #[error(
        "the system watches no more folders (raise fs.inotify.max_user_watches); changes are looked for once a minute"
    )]
    OutOfWatches,
    /// The root was moved, deleted or unmounted.
    #[error("the synced folder is not where it was; changes are looked for once a minute until it is back")]
    RootGone,
    /// Some folders cannot be watched.
    #[error("cannot watch {path}: {reason}; changes are looked for once a minute")]
    Refused {
        /// The first of them, or the root.
        path: String,
        /// Why.
        reason: String,
    },
}

/// What tells a daemon where to look.
#[async_trait]
pub trait Watch: Send {
    /// Waits for the next hint. Loses nothing when it is dropped while waiting.
    async fn next(&mut self) -> Hint;

    /// Why not every folder is watched: everything must be looked at from time to time then.
    fn trouble(&self) -> Option<WatchTrouble>;
}

/// Events that have not been handed out.
#[derive(Debug, Default)]
struct Pending {
    folders: BTreeSet<DiskPath>,
    /// Folders that appeared and have no watch yet, with the number of the last time.
    unwatched: BTreeMap<DiskPath, u64>,
    /// How often folders have appeared.
    appeared: u64,
    /// Whether folders were moved, perhaps out of the tree.
    has_moved: bool,
    is_everything: bool,
    /// Whether the root is gone, or another one perhaps: it is to be watched anew.
    is_root_gone: bool,
    trouble: Option<WatchTrouble>,
}

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    arrived: Notify,
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes who waits, if there is something.
    fn tell(&self) {
        if self.pending().has_any() {
            self.arrived.notify_one();
        }
    }
}

impl Pending {
    fn add(&mut self, folder: DiskPath) {
        if self.is_everything {
            return;
        }
        self.folders.insert(folder);
        if self.folders.len() > HINT_FOLDERS {
            self.add_everything();
        }
    }

    fn add_everything(&mut self) {
        self.is_everything = true;
        self.folders.clear();
    }

    fn add_unwatched(&mut self, folder: DiskPath) {
        // Beyond the bound the folders above them are walked instead.
        if self.unwatched.len() >= HINT_FOLDERS {
            self.unwatched.clear();
            self.unwatched.insert(DiskPath::root(), self.appeared);
        }
        self.appeared += 1;
        self.unwatched.insert(folder, self.appeared);
    }

    fn has_any(&self) -> bool {
        self.is_everything || !self.folders.is_empty() || !self.unwatched.is_empty()
    }
}

/// Watches a root. Ends when it is dropped.
pub struct Watcher {
    shared: Arc<Shared>,
    watches: Arc<Mutex<Watches>>,
    runtime: Runtime,
    next_poll: Instant,
}

impl Watcher {
    /// Watches every folder below `root`, our own left out. Never fails: see [`Self::trouble`].
    pub async fn start(root: &Path, runtime: Runtime) -> Self {
        let shared = Arc::new(Shared::default());
        let (root, told) = (root.to_path_buf(), Arc::clone(&shared));
        let watches = runtime
            .blocking(move || {
                let mut watches = Watches::new(root, told);
                watches.begin();
                watches
            })
            .await;
        Self {
            shared,
            watches: Arc::new(Mutex::new(watches)),
            runtime,
            next_poll: Instant::now() + POLL,
        }
    }

    /// Why not every folder is watched.
    pub fn trouble(&self) -> Option<WatchTrouble> {
        let own = self
            .watches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .trouble();
        let pending = self.shared.pending();
        let root = pending.is_root_gone.then_some(WatchTrouble::RootGone);
        root.or(own).or_else(|| pending.trouble.clone())
    }

    /// Waits for the next hint: 100 ms after the last event, or 2 s after the first while they keep coming. Loses nothing
    /// when it is dropped while waiting.
    pub async fn next(&mut self) -> Hint {
        loop {
            if !self.wait_for_events().await {
                self.next_poll = Instant::now() + POLL;
                self.follow_root().await;
                if self.trouble().is_some() {
                    return Hint::Everything;
                }
                continue;
            }
            self.wait_for_quiet().await;
            if self.shared.pending().is_root_gone {
                self.follow_root().await;
            }
            self.watch_new_folders().await;
            let mut pending = self.shared.pending();
            if std::mem::take(&mut pending.is_everything) {
                return Hint::Everything;
            }
            let folders = std::mem::take(&mut pending.folders);
            if !folders.is_empty() {
                return Hint::Folders(folders.into_iter().collect());
            }
        }
    }

    /// Waits until there is something; false when it is time to look without being told.
    async fn wait_for_events(&self) -> bool {
        loop {
            if self.next_poll <= Instant::now() {
                return false;
            }
            if self.shared.pending().has_any() {
                return true;
            }
            tokio::select! {
                () = self.shared.arrived.notified() => {}
                () = sleep_until(self.next_poll) => return false,
            }
        }
    }

    async fn wait_for_quiet(&self) {
        let latest = Instant::now() + DEBOUNCE_CAP;
        loop {
            let quiet = (Instant::now() + DEBOUNCE).min(latest);
            tokio::select! {
                () = self.shared.arrived.notified() => if Instant::now() >= latest { return },
                () = sleep_until(quiet) => return,
            }
        }
    }

    /// Watches everything anew, and has it looked at, where the root is another one than the one that is watched.
    async fn follow_root(&self) {
        let watches = Arc::clone(&self.watches);
        self.runtime
            .blocking(move || {
                let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                watches.follow_root();
            })
            .await;
    }

    /// Watches folders before they are looked at: what happens in them afterwards is told. What has left the tree is told of no more.
    async fn watch_new_folders(&self) {
        let (unwatched, has_moved) = {
            let mut pending = self.shared.pending();
            (pending.unwatched.clone(), std::mem::take(&mut pending.has_moved))
        };
        if unwatched.is_empty() && !has_moved {
            return;
        }
        let watches = Arc::clone(&self.watches);
        let tops: Vec<DiskPath> = unwatched.keys().cloned().collect();
        let watched = self
            .runtime
            .blocking(move || {
                let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                watches.add_trees(tops)
            })
            .await;
        let mut pending = self.shared.pending();
        // One that appeared again meanwhile may be another.
        pending
            .unwatched
            .retain(|folder, time| unwatched.get(folder) != Some(time));
        for folder in watched {
            pending.add(folder);
        }
    }
}

#[async_trait]
impl Watch for Watcher {
    async fn next(&mut self) -> Hint {
        Self::next(self).await
    }

    fn trouble(&self) -> Option<WatchTrouble> {
        Self::trouble(self)
    }
}
