//! The daemon of one synced folder: the only loop. It waits for hints from disk and server, scans, and lets the engine
//! make both sides agree.

mod aftercare;
mod conflicts;
mod events;
mod follow;
mod heartbeat;
mod hold;
mod jobs;
mod open;
mod parts;
mod pause;
mod reread;
mod status;
mod unread;
mod verify;
mod why;
mod wipe;
mod work;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cairn_core::runtime::Runtime;
use cairn_core::time::Timestamp;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, EngineError};
use crate::exclude::Exclusions;
use crate::fs::FsError;
use crate::lock::LockError;
use crate::profile::Profile;
use crate::remote::RemoteError;
use crate::scanner::{ScanError, Scanner};
use crate::state::StateError;
use crate::status::{Activity, Status};
use crate::watcher::{Watch, Watcher};
pub use conflicts::LimitError;
use conflicts::Steered;
use heartbeat::Heartbeat;
pub use hold::MassDeletePolicy;
use jobs::Jobs;
pub use parts::{DaemonParts, Guard};
use work::Work;

/// How long after a single pass, which somebody waits for, files are read again that were being written, or may have changed
/// within the same tick of the clock: a few ticks of the clock that most disks are stamped with.
const RECHECK_ONCE_AFTER: Duration = Duration::from_millis(50);
/// Times that a single pass reads such files again. Every fourth pause is longer: together they are three seconds, and so longer
/// than the coarsest step in which disks keep times.
const RECHECKS: u32 = 20;
/// How often the journal is read although nobody said that it moved.
const POLL_EVERY: Duration = Duration::from_secs(600);

/// What to sync, for whom, where.
pub struct DaemonConfig {
    /// The linked device.
    pub profile: Profile,
    /// The device's home folder, in which its state is kept.
    pub home: PathBuf,
    /// The synced folder.
    pub folder: PathBuf,
}

/// What the user may say to a running daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Stop syncing; what changes is noted and waits.
    Pause,
    /// Go on.
    Resume,
    /// Look at disk and server now.
    SyncNow,
    /// A held mass deletion is meant.
    ReleaseDeletes,
}

/// Why a daemon cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Another process has the home or the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The server.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The device's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The folder.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The synced folder is gone, or is another one than was synced before. Nothing was deleted on the server.
    #[error("the synced folder {} is not there or is another one (its marker .cairn/root is missing); \
             put it back, or unlink this device and link it anew", folder.display())]
    FolderGone {
        /// The folder.
        folder: PathBuf,
    },
    /// Most of the files vanished at once: nothing was deleted on the server.
    #[error(
        "{count} files vanished from the synced folder at once; \
             put them back, or say that it is meant with `cairn resume --release-deletes`"
    )]
    MassDelete {
        /// How many.
        count: u64,
    },
    /// There is no such folder here.
    #[error("{path} is not a folder that is synced here")]
    NoFolder {
        /// The path.
        path: String,
    },
    /// This device was unlinked from another one, and is to delete what it keeps.
    #[error("this device was unlinked: what it keeps is deleted")]
    WipeAsked {
        /// Whether also what the server does not have is deleted.
        everything: bool,
    },
    /// The server answered something else than it was asked.
    #[error("the server's answer does not fit the question; update the older side")]
    OddAnswer,
    /// Some paths could not be synced.
    #[error("{count} path(s) could not be synced; the first: {first}")]
    Unfinished {
        /// How many.
        count: u64,
        /// What is wrong with the first.
        first: String,
    },
}

impl From<EngineError> for DaemonError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Remote(error) => Self::Remote(error),
            EngineError::State(error) => Self::State(error),
        }
    }
}

impl DaemonError {
    fn of_scan(error: ScanError, folder: &std::path::Path) -> Self {
        match error {
            ScanError::RootGone(_) => Self::FolderGone {
                folder: folder.to_owned(),
            },
            ScanError::State(error) => Self::State(error),
        }
    }

    /// Whether it may go away by itself.
    fn is_transient(&self) -> bool {
        match self {
            Self::Remote(error) => error.is_transient(),
            Self::State(StateError::Unavailable { .. }) | Self::Fs(_) | Self::FolderGone { .. } => true,
            _ => false,
        }
    }
}

/// Keeps one folder in sync.
pub struct Daemon {
    engine: Engine,
    scanner: Scanner,
    runtime: Runtime,
    folder: PathBuf,
    status: watch::Sender<Status>,
    paused: watch::Sender<bool>,
    /// Whether the server has not been heard for long.
    is_deaf: Arc<AtomicBool>,
    may_delete_en_masse: AtomicBool,
    nudge: Notify,
    /// One pass at a time, whoever asks for it.
    pass: Mutex<()>,
    jobs: Arc<Jobs>,
    steered: Steered,
    heartbeat: Heartbeat,
}

impl Daemon {
    /// Opens the device's state and takes the folder: locks both, and finishes what a crash left half done on the disk.
    ///
    /// # Errors
    /// [`DaemonError`] when another process holds one of them, the folder is gone, or the state cannot be used. A damaged
    /// state is set aside and built anew from disk and server.
    pub async fn open(config: DaemonConfig, runtime: Runtime) -> Result<Self, DaemonError> {
        open::open(config, runtime).await
    }

    /// Puts a daemon together from its parts: checks that the folder is the one that was synced before, or makes it ours,
    /// and finishes what a crash left half done on the disk.
    ///
    /// # Errors
    /// [`DaemonError`] when the folder is gone, or disk or state cannot be used.
    pub async fn assemble(parts: DaemonParts, runtime: Runtime) -> Result<Self, DaemonError> {
        parts::assemble(parts, runtime).await
    }

    /// The daemon's state, as it changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Takes an order.
    pub fn command(&self, command: Command) {
        match command {
            Command::Pause => {
                self.paused.send_replace(true);
                self.set_activity(Activity::Paused);
            }
            Command::Resume => {
                self.paused.send_replace(false);
            }
            Command::SyncNow => {}
            Command::ReleaseDeletes => self.may_delete_en_masse.store(true, Ordering::Relaxed),
        }
        self.nudge.notify_one();
    }

    /// The last things that were done, newest first.
    ///
    /// # Errors
    /// As the state says.
    pub async fn activity(&self, limit: usize) -> Result<Vec<(Timestamp, String, String)>, StateError> {
        self.engine.state.activity(limit).await
    }

    /// The folders of the server that are not kept here. A change shows in the next pass.
    pub fn exclusions(&self) -> Exclusions {
        Exclusions::new(Arc::clone(&self.engine.state), self.engine.namespace)
    }

    /// What is transferred.
    pub fn progress(&self) -> Arc<crate::progress::Progress> {
        Arc::clone(&self.engine.progress)
    }

    /// Scans and syncs until both sides agree.
    ///
    /// # Errors
    /// [`DaemonError`]; [`DaemonError::Unfinished`] when some paths could not be synced and all others are.
    pub async fn run_once(&self) -> Result<Status, DaemonError> {
        match self.pass_once().await {
            Err(error) => Err(self.ask_order(error).await),
            done => done,
        }
    }

    async fn pass_once(&self) -> Result<Status, DaemonError> {
        // Who asks for one pass wants it now; the next daemon is paused still.
        self.paused.send_replace(false);
        self.engine.introduce().await?;
        let mut work = Work::everything();
        let begun = self.reread_once_after_start().await;
        self.look_again(&mut work).await?;
        self.beating(begun.is_some(), self.settle(&mut work)).await?;
        for round in 0..RECHECKS {
            if !work.must_recheck && !work.busy.is_any() {
                break;
            }
            tokio::time::sleep(RECHECK_ONCE_AFTER * (1 + round / 4)).await;
            work.is_recheck_due = true;
            work.look_at_busy();
            self.settle(&mut work).await?;
        }
        if let Some(begun) = begun {
            self.beat_after_pass(begun).await;
        }
        let status = self.status.borrow().clone();
        match status.problems.iter().find(|problem| !work::is_harmless(problem)) {
            _ if status.in_sync => Ok(status),
            _ if status.held_deletes > 0 => Err(DaemonError::MassDelete {
                count: status.held_deletes,
            }),
            Some(first) => Err(DaemonError::Unfinished {
                count: status.problems.len().max(1) as u64,
                first: format!("{}: {}", first.path, first.message),
            }),
            None => Err(DaemonError::Unfinished {
                count: status.pending,
                first: "files keep changing while they are read".to_owned(),
            }),
        }
    }

    /// Keeps the folder in sync until `stop`, told by the system what changes in it.
    ///
    /// A pass that is under way when `stop` comes is cut where it waits, as a crash would cut it, and the next start goes
    /// on from there. What it has handed to the disk is waited for.
    ///
    /// # Errors
    /// [`DaemonError`] only when going on makes no sense, such as a state that cannot be written.
    pub async fn run(&self, stop: CancellationToken) -> Result<(), DaemonError> {
        let watcher = Watcher::start(&self.folder, self.runtime.clone());
        let result = match stop.run_until_cancelled(watcher).await {
            Some(watcher) => self.run_with(Box::new(watcher), stop).await,
            None => Ok(()),
        };
        self.jobs.ended().await;
        result
    }

    /// As [`Self::run`], told by `watch`.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_with(&self, watch: Box<dyn Watch>, stop: CancellationToken) -> Result<(), DaemonError> {
        self.begin_following().await?;
        let result = self.follow(watch, &stop).await;
        // What was cut may be on its way to the disk still.
        self.jobs.ended().await;
        result?;
        Ok(self.end_following().await?)
    }

    /// Finishes what is under way and lets go of folder and state.
    pub async fn close(self) {
        self.jobs.ended().await;
        self.engine.state.close().await;
    }
}

#[cfg(test)]
mod tests;
