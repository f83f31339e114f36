//! What a scan says.

use std::collections::HashSet;

use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::NameError;

use crate::fs::DiskPath;

/// Problems, and busy files, that a report names; the others are counted.
const NAMED: usize = 1_000;
/// What is shorter is worth reading again at once: whoever reads more each time keeps all others waiting.
const SMALL_BYTES: u64 = 64 * 1024 * 1024;

/// Why something on the disk is not synced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProblemReason {
    /// No node can have the name.
    #[error("the name cannot be synced: {0}")]
    Name(NameError),
    /// The name is not UTF-8, or cannot be looked at.
    #[error("the name cannot be synced: {0}")]
    Unreadable(String),
    /// It is a socket, a device or a pipe.
    #[error("sockets, devices and pipes are not synced")]
    Special,
    /// Something is mounted on it.
    #[error("another disk is mounted here; what is on it is not synced")]
    MountPoint,
    /// The link's target cannot be kept.
    #[error(
        "the link's target must have 1 to {} bytes of UTF-8",
        limits::LINK_TARGET_BYTES
    )]
    LinkTarget,
    /// It lies below too many folders.
    #[error("it lies below more than {} folders", limits::TREE_DEPTH)]
    TooDeep,
    /// The file has more chunks than a manifest can say.
    #[error("the file is too large")]
    TooLarge,
    /// A line of `.cairnignore` is no rule; the others hold.
    #[error("line {line} is not a rule: {what}; the other lines hold")]
    IgnoreRule {
        /// The line, from 1; 0 for the file as a whole.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A `.cairnignore` cannot be read, and what it says is not known.
    #[error("it cannot be read, so nothing new in its folder is sent: {0}")]
    UnknownRules(String),
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Io(String),
}

/// Something on the disk that is not synced. It is never taken for deleted because of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; with replacement characters where the name is not UTF-8.
    pub path: DiskPath,
    /// Why.
    pub reason: ProblemReason,
}

/// Most of the tree vanished in one pass; it was not taken for deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MassDelete {
    /// Nodes that vanished, those below vanished folders included.
    pub count: u64,
}

/// What a scan saw and did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Names looked at.
    pub seen: u64,
    /// New things that were left alone by a rule; what is in an ignored folder is not counted.
    pub ignored: u64,
    /// Files read.
    pub hashed: u64,
    /// Bytes read.
    pub hashed_bytes: u64,
    /// Nodes that are new, gone or in another state than remembered.
    pub changed: u64,
    /// What cannot be synced: the first 1,000.
    pub problems: Vec<Problem>,
    /// How many problems there are.
    pub problem_count: u64,
    /// Files that changed or vanished while they were read: to be looked at again, after a while. The first 1,000.
    pub busy: Vec<DiskPath>,
    /// Those of them that are read again in no time.
    pub busy_small: Vec<DiskPath>,
    /// How many busy files there are.
    pub busy_count: u64,
    /// A mass deletion that was held.
    pub held: Option<MassDelete>,
    /// Whether [`super::Scanner::recheck_unsure`] has something to read.
    pub has_more_unsure: bool,
    /// The folders that were looked at, those that a problem is named of too. After a look at everything it is not said.
    pub(crate) visited: HashSet<NodeId>,
}

impl ScanReport {
    /// Adds what another part of the same scan saw.
    pub(super) fn add(&mut self, part: Self) {
        self.seen += part.seen;
        self.ignored += part.ignored;
        self.hashed += part.hashed;
        self.hashed_bytes += part.hashed_bytes;
        self.changed += part.changed;
        self.problem_count += part.problem_count;
        let room = NAMED.saturating_sub(self.problems.len());
        self.problems.extend(part.problems.into_iter().take(room));
        self.busy_count += part.busy_count;
        let room = NAMED.saturating_sub(self.busy.len());
        self.busy.extend(part.busy.into_iter().take(room));
        let room = NAMED.saturating_sub(self.busy_small.len());
        self.busy_small.extend(part.busy_small.into_iter().take(room));
        self.held = self.held.or(part.held);
        self.has_more_unsure |= part.has_more_unsure;
        self.visited.extend(part.visited);
    }

    pub(super) fn note_problem(&mut self, path: DiskPath, reason: ProblemReason) {
        self.problem_count += 1;
        if self.problems.len() < NAMED {
            self.problems.push(Problem { path, reason });
        }
    }

    /// Notes a file of about this size.
    pub(super) fn note_busy(&mut self, path: DiskPath, size: u64) {
        self.busy_count += 1;
        if self.busy.len() < NAMED {
            if size < SMALL_BYTES {
                self.busy_small.push(path.clone());
            }
            self.busy.push(path);
        }
    }
}
