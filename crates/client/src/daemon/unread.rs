//! What scans found and could not read: kept until a scan has looked there again, however many looked elsewhere in between.

use std::collections::BTreeSet;

use super::work::Work;
use crate::fs::DiskPath;
use crate::reason::Reason;
use crate::scanner::ScanReport;
use crate::status::Problem;

/// Busy files that are kept; with more, everything is looked at.
const BUSY_KEPT: usize = 1_000;

/// Where a scan has looked.
#[derive(Debug)]
pub(super) enum Looked {
    /// Everywhere.
    Everywhere,
    /// In these folders.
    In(BTreeSet<DiskPath>),
    /// At files that nobody was sure of.
    AtUnsure,
}

/// Files that changed while they were read.
#[derive(Debug, Default)]
pub(super) struct Busy {
    files: BTreeSet<DiskPath>,
    /// Whether there are more than are kept.
    has_more: bool,
}

impl Busy {
    pub(super) fn is_any(&self) -> bool {
        self.has_more || !self.files.is_empty()
    }

    /// Notes what a scan met.
    pub(super) fn after_scan(&mut self, looked: &Looked, report: &ScanReport) {
        match looked {
            Looked::Everywhere => *self = Self::default(),
            Looked::In(folders) => self
                .files
                .retain(|file| file.parent().is_none_or(|folder| !folders.contains(&folder))),
            Looked::AtUnsure => {}
        }
        self.has_more |= report.busy_count > report.busy.len() as u64;
        self.files.extend(report.busy.iter().cloned());
        while self.files.len() > BUSY_KEPT {
            self.files.pop_last();
            self.has_more = true;
        }
    }
}

impl Work {
    /// Has busy files looked at again.
    pub(super) fn look_at_busy(&mut self) {
        if self.busy.has_more {
            self.look_at_everything();
        } else {
            self.look_at(self.busy.files.iter().filter_map(DiskPath::parent).collect());
        }
    }

    /// Whether anything is left that a later look may be able to read, although nobody tells when.
    pub(super) fn has_unread(&self) -> bool {
        self.busy.is_any() || self.problems.iter().any(may_be_readable)
    }

    /// Has that looked at again.
    pub(super) fn look_at_unread(&mut self) {
        self.look_at_busy();
        let unreadable = self.problems.iter().filter(|problem| may_be_readable(problem));
        self.look_at(unreadable.map(path_of).collect());
    }
}

/// Whether a problem may go away although nothing is heard of it.
fn may_be_readable(problem: &Problem) -> bool {
    problem.code == Reason::Unreadable.code()
}

/// Where a problem is.
pub(super) fn path_of(problem: &Problem) -> DiskPath {
    let names = problem.path.split('/').filter(|name| !name.is_empty());
    DiskPath::from_names(names.map(str::to_owned).collect())
}
