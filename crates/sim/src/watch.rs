//! Hints from a simulated disk: late, merged, lost or too many, as a system's own are.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cairn_client::fs::DiskPath;
use cairn_client::watcher::{DEBOUNCE, DEBOUNCE_CAP, Hint, POLL, Watch, WatchTrouble};
use cairn_testkit::random::Random;
use tokio::time::{Instant, sleep_until};

use crate::disk::{Change, Events, SimDisk, UserEntry};
use crate::trace::Trace;

/// Changes that wait at once; with more, some are lost and everything is looked at.
const QUEUE: usize = 256;

/// How a system fails to tell what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WatchFaults {
    /// Whether nothing is told at all.
    pub is_off: bool,
    /// Changes, in a thousand, of which nothing is told.
    pub dropped: u64,
    /// Hints, in a thousand, in whose place everything is to be looked at.
    pub overflows: u64,
    /// The longest time by which hints are late.
    pub late_ms: u64,
    /// Whether the system watches no more folders.
    pub has_trouble: bool,
}

/// The faults of one device's watcher, as they can be changed while it runs.
pub(crate) type SharedFaults = Arc<Mutex<WatchFaults>>;

/// Tells a daemon what changes on a simulated disk.
#[derive(Debug)]
pub struct SimWatch {
    disk: SimDisk,
    events: Events,
    faults: SharedFaults,
    random: Random,
    trace: Arc<Trace>,
    folders: BTreeSet<DiskPath>,
    is_everything: bool,
    /// Until when a hint is held back, once there is one.
    held_until: Option<Instant>,
    next_poll: Instant,
}

impl SimWatch {
    pub(crate) fn new(disk: SimDisk, faults: SharedFaults, random: Random, trace: Arc<Trace>) -> Self {
        Self {
            events: disk.events(QUEUE),
            disk,
            faults,
            random,
            trace,
            folders: BTreeSet::new(),
            is_everything: false,
            held_until: None,
            next_poll: Instant::now() + POLL,
        }
    }

    fn faults(&self) -> WatchFaults {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hits(&mut self, per_mille: u64) -> bool {
        per_mille > 0 && self.random.below(1_000) < per_mille
    }

    /// Takes what the disk tells.
    fn absorb(&mut self) {
        let faults = self.faults();
        let has_overflowed = self.events.take_overflow();
        for change in self.events.take_all() {
            if faults.is_off || self.hits(faults.dropped) {
                self.trace.count("watcher drop");
                continue;
            }
            self.add(change);
        }
        if (has_overflowed && !faults.is_off) || (!self.folders.is_empty() && self.hits(faults.overflows)) {
            self.trace.count("watcher overflow");
            self.is_everything = true;
            self.folders.clear();
        }
    }

    fn add(&mut self, change: Change) {
        if let Some(name) = change.new_folder {
            let top = change.folder.join(&name);
            let prefix = format!("{top}/");
            let below = self.disk.user().tree();
            let folders = below
                .iter()
                .filter(|(path, entry)| matches!(entry, UserEntry::Folder) && path.starts_with(&prefix))
                .map(|(path, _)| DiskPath::from_names(path.split('/').map(str::to_owned).collect()));
            self.folders.extend(folders);
            self.folders.insert(top);
        }
        self.folders.insert(change.folder);
    }

    fn has_any(&self) -> bool {
        self.is_everything || !self.folders.is_empty()
    }

    async fn wait(&mut self) -> bool {
        while !self.has_any() {
            if self.trouble().is_some() {
                tokio::select! {
                    biased;
                    () = self.events.arrived() => {}
                    () = sleep_until(self.next_poll) => return false,
                }
            } else {
                self.events.arrived().await;
            }
            self.absorb();
        }
        true
    }

    /// Waits until nothing came for a while, but not for ever.
    async fn hold(&mut self) {
        let latest = Instant::now() + DEBOUNCE_CAP;
        loop {
            let quiet = (Instant::now() + DEBOUNCE).min(latest);
            tokio::select! {
                biased;
                () = self.events.arrived() => {}
                () = sleep_until(quiet) => return,
            }
            self.absorb();
            if Instant::now() >= latest {
                return;
            }
        }
    }
}

#[async_trait]
impl Watch for SimWatch {
    async fn next(&mut self) -> Hint {
        if !self.wait().await {
            self.next_poll = Instant::now() + POLL;
            return Hint::Everything;
        }
        let until = match self.held_until {
            Some(until) => until,
            None => {
                let late_ms = self.random.below(self.faults().late_ms + 1);
                let until = Instant::now() + Duration::from_millis(late_ms);
                self.held_until = Some(until);
                until
            }
        };
        self.hold().await;
        sleep_until(until).await;
        self.held_until = None;
        let folders = std::mem::take(&mut self.folders);
        if std::mem::take(&mut self.is_everything) {
            return Hint::Everything;
        }
        Hint::Folders(folders.into_iter().collect())
    }

    fn trouble(&self) -> Option<WatchTrouble> {
        self.faults().has_trouble.then_some(WatchTrouble::OutOfWatches)
    }
}
