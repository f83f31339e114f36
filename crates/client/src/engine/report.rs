//! What a pass did and what it could not do.

use std::collections::BTreeSet;

use cairn_core::ids::NodeId;

use crate::fs::DiskPath;
use crate::reason::Reason;
use crate::status::Problem;

/// Setbacks that are kept with their paths; beyond it they are only counted.
const KEPT: usize = 1_000;
/// Times that a pass without success is repeated because the trees were behind the server.
const STALE_PASSES: u64 = 20;

/// One thing that could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setback {
    /// What is told to the user.
    pub problem: Problem,
    /// Whether trying again later may help without the user.
    pub is_transient: bool,
}

/// What one or several passes did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassReport {
    /// Steps that were planned.
    pub steps: u64,
    /// Steps that were done.
    pub done: u64,
    /// Nodes that wait for others.
    pub waiting: u64,
    /// What could not be done, the first of it.
    pub setbacks: Vec<Setback>,
    /// All that could not be done.
    pub setback_count: u64,
    /// Folders that are to go from the disk and stay for what in them is not synced, the first of them.
    pub left: Vec<Problem>,
    /// How many they are.
    pub left_count: u64,
    /// Folders that are not as the local tree says: they must be scanned.
    pub rescan: Vec<DiskPath>,
    /// Those of them in which the last pass was kept from a step by what it found there.
    pub(crate) obstacles: Vec<DiskPath>,
    /// Whether a step is half done on the disk and can be neither finished nor undone now: until then the disk is not what
    /// the trees say, so no scan and no other step may be made.
    pub(crate) is_stuck: bool,
    /// Whether the server refused something because it has moved on.
    pub is_stale: bool,
    /// Whether something waits for a name that a node of another plan has and will give up.
    pub(super) is_held_up: bool,
    /// Ids of new nodes that the server has used already.
    pub(super) taken_ids: BTreeSet<NodeId>,
    /// Passes that were stale without any success.
    stale_passes: u64,
}

impl PassReport {
    /// Notes a setback.
    pub(super) fn set_back(&mut self, path: &str, reason: Reason, message: String, is_transient: bool) {
        self.setback_count += 1;
        if self.setbacks.len() < KEPT {
            let problem = Problem {
                path: path.to_owned(),
                code: reason.code().to_owned(),
                message,
            };
            self.setbacks.push(Setback {
                problem,
                is_transient,
            });
        }
    }

    /// Notes a folder that stays for what in it is not synced.
    pub(super) fn leave(&mut self, path: &str) {
        self.left_count += 1;
        if self.left.len() < KEPT {
            self.left.push(Problem {
                path: path.to_owned(),
                code: Reason::LeftFolder.code().to_owned(),
                message: "it stays on this disk alone, for what in it is not synced; \
                          move that away or delete it, and the folder goes"
                    .to_owned(),
            });
        }
    }

    /// Notes a folder that is not as the local tree says.
    pub(super) fn must_rescan(&mut self, folder: DiskPath) {
        if self.rescan.len() < KEPT && !self.rescan.contains(&folder) {
            self.rescan.push(folder);
        }
    }

    /// Notes a folder in which something else was found than the local tree says, so that a step was not done.
    pub(super) fn must_look(&mut self, folder: DiskPath) {
        if self.obstacles.len() < KEPT && !self.obstacles.contains(&folder) {
            self.obstacles.push(folder.clone());
        }
        self.must_rescan(folder);
    }

    /// Tells of the obstacles that a scan could not explain.
    pub(crate) fn tell_obstacles(&mut self) {
        for folder in std::mem::take(&mut self.obstacles) {
            let message = "something in this folder is in the way of what the server has, or changes all the time; \
                           move away what is not synced; it is tried again";
            self.set_back(&folder.to_string(), Reason::Disk, message.to_owned(), true);
        }
    }

    /// Adds a later pass. Setbacks are those of the last pass: what was overcome is forgotten.
    pub(super) fn merge(&mut self, later: Self) {
        self.steps += later.steps;
        self.done += later.done;
        self.waiting = later.waiting;
        self.setbacks = later.setbacks;
        self.setback_count = later.setback_count;
        self.left = later.left;
        self.left_count = later.left_count;
        self.rescan.extend(later.rescan);
        self.obstacles = later.obstacles;
        self.stale_passes = if later.is_stale && later.done == 0 {
            self.stale_passes + 1
        } else {
            0
        };
        self.is_stale = later.is_stale;
        self.is_stuck = later.is_stuck;
    }

    /// Whether a stale pass without success is worth another one.
    pub(super) const fn may_repeat_for_staleness(&self) -> bool {
        self.stale_passes < STALE_PASSES
    }
}
