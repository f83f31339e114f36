//! Hints from the operating system that something changed in a folder.
//!
//! Hints only: they are merged, may be wrong and may be lost. What is true is for the scanner to see.

mod watches;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cairn_core::runtime::Runtime;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::fs::{DiskPath, OWN_FOLDER};
use watches::Watches;

/// Quiet after the last event before a hint is given.
pub const DEBOUNCE: Duration = Duration::from_millis(100);
/// The longest that a hint is held back while events keep coming.
pub const DEBOUNCE_CAP: Duration = Duration::from_secs(2);
/// How often everything is to be looked at where events cannot be had.
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
    /// Folders that appeared and have no watch yet.
    unwatched: BTreeSet<DiskPath>,
    is_everything: bool,
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
            self.unwatched.insert(DiskPath::root());
        }
        self.unwatched.insert(folder);
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
        let root = root.to_path_buf();
        let handler = handler(root.clone(), Arc::clone(&shared));
        let watches = runtime
            .blocking(move || {
                let mut watches = Watches::new(root, handler);
                watches.add_tree(&DiskPath::root());
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
        own.or_else(|| self.shared.pending().trouble.clone())
    }

    /// Waits for the next hint: 100 ms after the last event, or 2 s after the first while they keep coming. Loses nothing
    /// when it is dropped while waiting.
    pub async fn next(&mut self) -> Hint {
        loop {
            if !self.wait_for_events().await {
                self.next_poll = Instant::now() + POLL;
                return Hint::Everything;
            }
            self.wait_for_quiet().await;
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
            if self.shared.pending().has_any() {
                return true;
            }
            if self.trouble().is_none() {
                self.shared.arrived.notified().await;
                continue;
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

    /// Watches folders before they are looked at: what happens in them afterwards is told.
    async fn watch_new_folders(&self) {
        let unwatched = self.shared.pending().unwatched.clone();
        if unwatched.is_empty() {
            return;
        }
        let watches = Arc::clone(&self.watches);
        let tops = unwatched.clone();
        let watched = self
            .runtime
            .blocking(move || {
                let mut watches = watches.lock().unwrap_or_else(PoisonError::into_inner);
                tops.iter()
                    .flat_map(|top| watches.add_tree(top))
                    .collect::<Vec<_>>()
            })
            .await;
        let mut pending = self.shared.pending();
        pending.unwatched.retain(|folder| !unwatched.contains(folder));
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

/// What the system's thread calls: it only notes what changed.
fn handler(root: PathBuf, shared: Arc<Shared>) -> impl Fn(notify::Result<Event>) + Send + 'static {
    move |event| {
        let mut pending = shared.pending();
        match event {
            Ok(event) if event.need_rescan() => {
                // Folders may have appeared unseen.
                pending.add_unwatched(DiskPath::root());
                pending.add_everything();
            }
            Ok(event) => note(&mut pending, &root, &event),
            Err(error) => {
                if matches!(error.kind, notify::ErrorKind::MaxFilesWatch) {
                    pending.trouble = Some(WatchTrouble::OutOfWatches);
                }
                pending.add_everything();
            }
        }
        if pending.has_any() {
            drop(pending);
            shared.arrived.notify_one();
        }
    }
}

fn note(pending: &mut Pending, root: &Path, event: &Event) {
    let may_be_new_folder = matches!(
        event.kind,
        EventKind::Create(CreateKind::Folder | CreateKind::Any) | EventKind::Modify(ModifyKind::Name(_))
    );
    // A folder that became readable is to be looked at itself.
    let is_own_state = matches!(event.kind, EventKind::Modify(ModifyKind::Metadata(_)));
    // Files written through a mapping are told by their closing alone.
    let is_closed = event.kind == EventKind::Access(AccessKind::Close(AccessMode::Write));
    if matches!(event.kind, EventKind::Access(_)) && !is_closed {
        return;
    }
    for path in &event.paths {
        let Some(path) = below(root, path) else { continue };
        if path.names().first().is_some_and(|name| name == OWN_FOLDER) {
            continue;
        }
        pending.add(path.parent().unwrap_or_default());
        if may_be_new_folder {
            pending.add_unwatched(path);
        } else if is_own_state {
            pending.add(path);
        }
    }
}

/// The path below the root; up to the first name that is not UTF-8.
fn below(root: &Path, path: &Path) -> Option<DiskPath> {
    let below = path.strip_prefix(root).ok()?;
    let names = below
        .iter()
        .map_while(|name| name.to_str().map(str::to_owned))
        .collect();
    Some(DiskPath::from_names(names))
}
