//! What a daemon says of itself, to `cairn status` and to whoever waits.

use serde::{Deserialize, Serialize};

/// What the daemon is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It has just been started.
    Starting,
    /// It looks at the disk.
    Scanning,
    /// It sends, fetches or applies.
    Syncing,
    /// There is nothing to do.
    Idle,
    /// The user paused it.
    Paused,
    /// The server cannot be reached; local changes are noted and wait.
    Offline,
    /// It cannot go on without the user; `problems` says why.
    Blocked,
}

/// One thing that keeps a path from being in sync, or the whole folder when the path is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The path below the folder, with slashes.
    pub path: String,
    /// A stable word for programs, such as `not-utf8`, `disk-full`, `over-quota`.
    pub code: String,
    /// The cause and the next step.
    pub message: String,
}

/// A snapshot of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub activity: Activity,
    /// The synced folder.
    pub folder: String,
    /// The server's address.
    pub server: String,
    /// Files and folders on this disk.
    pub local_nodes: u64,
    /// Files and folders on the server.
    pub remote_nodes: u64,
    /// Files and folders that are not in sync yet.
    pub pending: u64,
    /// Whether everything is in sync as far as anyone can tell now: nothing pending, unsure, held or unfinished, no problem
    /// that the user could mend, the last pass complete, the server heard.
    pub in_sync: bool,
    /// Files that may have changed in the moment in which they were read, the first 1,000 counted; read again in seconds.
    #[serde(default)]
    pub unsure: u64,
    /// Files and folders that vanished all at once; their deletion is held until the user says that it is meant.
    #[serde(default)]
    pub held_deletes: u64,
    /// Whether the system tells of every change in the folder.
    #[serde(default)]
    pub watching: Watching,
    /// Files that the rolling check has read again in its current round.
    #[serde(default)]
    pub reread_files: u64,
    /// Bytes sent of those to send, in the current pass.
    pub upload: Transfer,
    /// Bytes fetched of those to fetch, in the current pass.
    pub download: Transfer,
    /// What the last look at the whole folder left alone because a rule says so; an ignored folder counts as one.
    #[serde(default)]
    pub ignored: u64,
    /// What is wrong, the first 1,000 of it.
    pub problems: Vec<Problem>,
    /// How many completed passes there were.
    pub passes: u64,
    /// How many of them looked at the whole folder and at the server: a waiter that saw one number waits for a greater one.
    pub full_passes: u64,
}

/// How changes in the folder are noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Watching {
    /// The system tells of each.
    #[default]
    Fully,
    /// Not all folders can be watched: everything is looked at once a minute.
    Partly,
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes to do.
    pub bytes_total: u64,
    /// Files done.
    pub files_done: u64,
    /// Files to do.
    pub files_total: u64,
}
