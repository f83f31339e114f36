//! What happened, for a person to read.

use std::fmt;
use std::time::Duration;

/// What did happen.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Kills of the server, the first and the second daemon.
    pub kills: [u32; 3],
    /// Changes in the two folders.
    pub edits: u64,
    /// `cairn put` that exited 0; every one of them was read back.
    pub puts_acknowledged: u64,
    /// `cairn put` that failed, since the server was away.
    pub puts_failed: u64,
    /// Times that a device said in the middle of it that everything is in sync.
    pub reports: u64,
    /// Files on each device at the end, and their bytes.
    pub files: (usize, u64),
    /// Conflicted copies among them.
    pub conflicts: usize,
    /// Contents that were written into the two folders.
    pub written: usize,
    /// Contents that nobody took away: each was in a file at the end.
    pub survived: usize,
    /// Contents that were taken away and had to be found all the same.
    pub promised: Promised,
    /// Contents that were taken away before anything was promised, and that no version has.
    pub unsaved: usize,
    /// The longest time that one of those had stood while its device and the server ran.
    pub unsaved_stood: Duration,
    /// Different contents in the server's history.
    pub versions: usize,
    /// From the last kill until both folders were equal.
    pub settled_after: Duration,
}

/// Why contents that were replaced or deleted had to be found; one content may count in each.
#[derive(Debug, Clone, Copy, Default)]
pub struct Promised {
    /// All of them.
    pub all: usize,
    /// Their device made a whole pass while they stood, and nothing was left to do at its end.
    pub stood: usize,
    /// The device said that it is in sync while they stood.
    pub reported: usize,
    /// Somebody on the other device took them away.
    pub travelled: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [server, first, second] = self.kills;
        let Promised {
            all,
            stood,
            reported,
            travelled,
        } = self.promised;
        let rows = [
            (
                "kills",
                format!(
                    "{} (server {server}, devices {first} and {second})",
                    server + first + second
                ),
            ),
            ("edits", self.edits.to_string()),
            (
                "puts",
                format!(
                    "{} read back, {} failed",
                    self.puts_acknowledged, self.puts_failed
                ),
            ),
            (
                "reports",
                format!("{} times a device said that it is in sync", self.reports),
            ),
            (
                "files at the end",
                format!(
                    "{} of {} bytes, {} of them conflicted copies",
                    self.files.0, self.files.1, self.conflicts
                ),
            ),
            ("contents written", self.written.to_string()),
            ("not taken away", format!("{}: all are in files", self.survived)),
            (
                "taken away later",
                format!(
                    "{all}: all are in files or versions ({stood} stood for a pass, {reported} were reported in sync, \
                     {travelled} were taken away on the other device)"
                ),
            ),
            (
                "taken away at once",
                format!(
                    "{} that no version has; the longest stood {:.1} s beside processes that ran",
                    self.unsaved,
                    self.unsaved_stood.as_secs_f64()
                ),
            ),
            ("versions", format!("{} contents", self.versions)),
            (
                "equal after",
                format!("{:.1} s", self.settled_after.as_secs_f64()),
            ),
        ];
        let lines = rows.map(|(name, value)| format!("{name:20}{value}"));
        f.write_str(&lines.join("\n"))
    }
}
