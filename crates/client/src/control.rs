//! The local socket between `cairn` commands and the daemon that runs for the same home folder.
//!
//! One connection carries one question and one answer. A message is its length in four bytes, little endian, and JSON
//! (see [`message`]). Whoever may open the socket may stop the daemon: it is readable by its owner alone.

pub mod client;
mod error;
pub mod message;
pub mod server;
#[cfg(test)]
mod tests;

pub use client::ask;
pub use error::ControlError;
pub use server::{ControlServer, answer_to};

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::conflicts::{Conflict, ConflictError, Resolution, Resolved};
use crate::daemon::{DaemonError, LimitError};
use crate::exclude::{ExcludedFolder, Exclusions};
use crate::remote::limited::Rates;
use crate::state::StateResult;
use crate::status::Status;
use crate::verify::VerifyReport;
use crate::why::Explanation;

/// Longest request in bytes.
pub const REQUEST_BYTES: usize = 64 * 1024;
/// Longest reply in bytes: a status with all the problems that it may list.
pub const REPLY_BYTES: usize = 16 * 1024 * 1024;
/// Most lines of activity that one reply holds.
pub const ACTIVITY_LINES: usize = 1_000;
/// Connections that are served at once; more wait.
const CONNECTIONS: usize = 32;
/// How long either side may take for a message that the other waits for.
const PATIENCE: Duration = Duration::from_secs(10);

/// A question or an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What is going on?
    Status,
    /// Stop syncing until told otherwise.
    Pause,
    /// Go on.
    Resume {
        /// Whether a held mass deletion is meant.
        release_deletes: bool,
    },
    /// Look at the disk and the server now.
    SyncNow,
    /// Answer when everything that is on the disk now is in sync.
    Wait {
        /// How long at most, in milliseconds; for ever when absent.
        timeout_ms: Option<u64>,
    },
    /// What happened lately?
    Activity {
        /// How many lines, at most [`ACTIVITY_LINES`].
        limit: usize,
    },
    /// Which folders of the server are not kept here? With `paths` these are not kept from now on.
    Exclude {
        /// Paths on the server.
        paths: Vec<String>,
        /// Whether they are kept again.
        keep: bool,
    },
    /// In which state is this path, and why?
    Why {
        /// The path below the folder.
        path: String,
    },
    /// Does this disk hold what the server holds?
    Verify {
        /// The folder, from the synced folder down; empty for all of it.
        folder: String,
        /// Whether files are not read again.
        quick: bool,
    },
    /// Which conflicts are there?
    Conflicts,
    /// Make one version of a conflict stand.
    Resolve {
        /// Which conflict, and which version.
        resolution: Resolution,
    },
    /// Are conflicts of texts merged without being asked? With `on` they are, or are not, from now on.
    AutoMerge {
        /// Whether they shall be.
        on: Option<bool>,
    },
    /// How fast may it send and receive? With `rates` these are the limits from now on.
    Limit {
        /// The limits.
        rates: Option<Rates>,
    },
    /// End the daemon.
    Stop,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The order was taken.
    Done,
    /// To [`Request::Status`].
    Status {
        /// The daemon's state.
        status: Status,
    },
    /// To [`Request::Wait`].
    Waited {
        /// Whether it ended because the time was up.
        timed_out: bool,
        /// The state at the end.
        status: Status,
    },
    /// To [`Request::Activity`].
    Activity {
        /// The latest last.
        entries: Vec<ActivityEntry>,
    },
    /// To [`Request::Exclude`].
    Excluded {
        /// The folders that were named, or all that are not kept.
        folders: Vec<ExcludedFolder>,
    },
    /// To [`Request::Why`].
    Why {
        /// What is known of the path.
        explanation: Explanation,
    },
    /// To [`Request::Verify`].
    Verified {
        /// What was found.
        report: VerifyReport,
    },
    /// To [`Request::Conflicts`].
    Conflicts {
        /// All of them.
        conflicts: Vec<Conflict>,
    },
    /// To [`Request::Resolve`].
    Resolved {
        /// What stands now.
        resolved: Resolved,
    },
    /// To [`Request::AutoMerge`].
    AutoMerge {
        /// Whether it is so.
        on: bool,
    },
    /// To [`Request::Limit`].
    Limits {
        /// The limits.
        rates: Rates,
    },
    /// The request cannot be answered.
    Refused {
        /// Why.
        message: String,
    },
}

/// One thing that the daemon did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityEntry {
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// What, a stable word such as `uploaded`.
    pub what: String,
    /// The path below the folder.
    pub path: String,
}

/// What can be asked of a daemon.
#[async_trait]
pub trait Controlled: Send + Sync {
    /// Its state, as it changes.
    fn status(&self) -> watch::Receiver<Status>;

    /// Stops syncing, after the next start too.
    ///
    /// # Errors
    /// As the state says; it has stopped all the same.
    async fn pause(&self) -> StateResult<()>;

    /// Goes on; with `release_deletes` a mass deletion that was held is meant.
    ///
    /// # Errors
    /// As the state says; it goes on all the same.
    async fn resume(&self, release_deletes: bool) -> StateResult<()>;

    /// Begins a pass now, or another one after the one that runs.
    fn sync_now(&self);

    /// The last things that it did, the latest last.
    ///
    /// # Errors
    /// When the record of them cannot be read.
    async fn activity(&self, limit: usize) -> StateResult<Vec<ActivityEntry>>;

    /// The folders that it does not keep; `None` when it keeps whatever there is.
    fn exclusions(&self) -> Option<Exclusions> {
        None
    }

    /// Says in which state a path is; `None` when it cannot tell.
    ///
    /// # Errors
    /// As the state says.
    async fn why(&self, path: &str) -> StateResult<Option<Explanation>> {
        let _ = path;
        Ok(None)
    }

    /// Compares disk and server; `None` when it cannot.
    ///
    /// # Errors
    /// As the daemon says.
    async fn verify(&self, folder: &str, is_quick: bool) -> Result<Option<VerifyReport>, DaemonError> {
        let _ = (folder, is_quick);
        Ok(None)
    }

    /// The conflicts.
    ///
    /// # Errors
    /// [`ConflictError`].
    async fn conflicts(&self) -> Result<Vec<Conflict>, ConflictError> {
        Err(ConflictError::NotHere)
    }

    /// Makes one version of a conflict stand.
    ///
    /// # Errors
    /// [`ConflictError`].
    async fn resolve(&self, resolution: &Resolution) -> Result<Resolved, ConflictError> {
        let _ = resolution;
        Err(ConflictError::NotHere)
    }

    /// Whether conflicts are merged without being asked; with `on` they are so from now on.
    ///
    /// # Errors
    /// As the state says.
    async fn auto_merge(&self, on: Option<bool>) -> StateResult<bool> {
        let _ = on;
        Ok(false)
    }

    /// The limits; with `rates` these hold from now on.
    ///
    /// # Errors
    /// [`LimitError`].
    async fn limit(&self, rates: Option<Rates>) -> Result<Rates, LimitError> {
        let _ = rates;
        Err(LimitError::NotHere)
    }

    /// Ends it; returns at once.
    fn stop(&self);
}
