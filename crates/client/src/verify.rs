//! What `cairn verify` finds.

use serde::{Deserialize, Serialize};

/// Paths of each kind that are named; more are counted.
pub const PATHS_NAMED: usize = 1_000;

/// A path on which disk and server do not agree although nothing waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The path.
    pub path: String,
    /// What is on this disk.
    pub here: String,
    /// What is on the server.
    pub there: String,
    /// Whether the file's bytes changed while its times and size did not.
    pub is_silent: bool,
}

/// The result of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The hash of the folder on this disk.
    pub hash: String,
    /// The hash of the folder on the server.
    pub server_hash: String,
    /// The position of the journal at which both were compared.
    pub seq: i64,
    /// Files on this disk.
    pub files: u64,
    /// Folders on this disk.
    pub folders: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose bytes were read.
    pub read: u64,
    /// Where both differ, the first of it.
    pub differences: Vec<Difference>,
    /// How many differences there are.
    pub difference_count: u64,
    /// Paths that wait to be synced, with their codes.
    pub pending: Vec<(String, String)>,
    /// How many they are.
    pub pending_count: u64,
    /// Paths that are not synced by a rule.
    pub ignored: Vec<String>,
    /// How many they are.
    pub ignored_count: u64,
}

impl VerifyReport {
    /// Whether both sides have the same tree.
    pub fn is_identical(&self) -> bool {
        self.difference_count == 0 && self.hash == self.server_hash
    }

    pub(crate) fn differ(&mut self, path: String, here: String, there: String, is_silent: bool) {
        self.difference_count += 1;
        if self.differences.len() < PATHS_NAMED {
            self.differences.push(Difference {
                path,
                here,
                there,
                is_silent,
            });
        }
    }

    pub(crate) fn wait_for(&mut self, path: String, code: &str) {
        if self.pending.iter().any(|(known, _)| *known == path) {
            return;
        }
        self.pending_count += 1;
        if self.pending.len() < PATHS_NAMED {
            self.pending.push((path, code.to_owned()));
        }
    }

    pub(crate) fn ignore(&mut self, path: String) {
        self.ignored_count += 1;
        if self.ignored.len() < PATHS_NAMED {
            self.ignored.push(path);
        }
    }
}
