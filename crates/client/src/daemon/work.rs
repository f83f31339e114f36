//! What a pass has to look at, and the pass itself.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use super::{Daemon, DaemonError};
use crate::engine::PassReport;
use crate::fs::DiskPath;
use crate::scanner::{Brake, ScanReport};
use crate::status::{Activity, Problem, Transfer};

/// Folders that are looked at one by one; of more, everything is scanned.
const FOLDERS: usize = 10_000;
/// Scans and syncs of one pass; files that change all the time wait for the next one.
const ROUNDS: usize = 50;
/// Rounds for which files that are being written are waited for.
const BUSY_ROUNDS: u32 = 10;
/// Codes of problems that keep nothing from being in sync: what they name is never synced.
const HARMLESS: [&str; 5] = ["special-file", "mount-point", "bad-name", "not-utf8", "bad-link"];

/// What the next pass has to look at. Hints only: whatever is forgotten is found by the next full scan.
#[derive(Debug, Default)]
pub(super) struct Work {
    everything: bool,
    folders: BTreeSet<DiskPath>,
    /// Whether the journal may have moved, or something was left undone.
    pub(super) must_sync: bool,
    /// Whether some files must be read again, later.
    pub(super) must_recheck: bool,
    /// Whether that time has come.
    pub(super) is_recheck_due: bool,
    /// Whether the last pass spoke with the server.
    pub(super) has_synced: bool,
    /// Whether the last pass met files that were being written.
    pub(super) is_busy: bool,
    /// What the last pass that spoke with the server came to.
    last: PassReport,
}

impl Work {
    pub(super) fn everything() -> Self {
        Self {
            everything: true,
            must_sync: true,
            ..Self::default()
        }
    }

    pub(super) fn look_at_everything(&mut self) {
        self.everything = true;
        self.must_sync = true;
        self.folders.clear();
    }

    pub(super) fn look_at(&mut self, folders: Vec<DiskPath>) {
        if self.everything {
            return;
        }
        self.folders.extend(folders);
        if self.folders.len() > FOLDERS {
            self.look_at_everything();
        }
    }

    /// Adds what a watch has said.
    pub(super) fn add(&mut self, hints: Self) {
        if hints.everything {
            self.look_at_everything();
        } else {
            self.look_at(hints.folders.into_iter().collect());
        }
    }

    /// Whether something was left undone that is worth another try.
    pub(super) fn has_setbacks(&self) -> bool {
        self.is_busy || !self.last.setbacks.is_empty()
    }

    fn must_scan(&self) -> bool {
        self.everything || !self.folders.is_empty()
    }
}

/// Whether a problem names something that is never synced.
pub(super) fn is_harmless(problem: &Problem) -> bool {
    HARMLESS.contains(&problem.code.as_str())
}

impl Daemon {
    /// Scans and syncs until there is nothing left to do, or nothing more can be done now.
    pub(super) async fn settle(&self, work: &mut Work) -> Result<(), DaemonError> {
        let _pass = self.pass.lock().await;
        let is_full = work.everything;
        let mut busy_rounds = 0;
        let mut scan_problems = Vec::new();
        work.is_busy = false;
        for _ in 0..ROUNDS {
            let is_scan = work.must_scan() || work.is_recheck_due;
            if is_scan {
                self.set_activity(Activity::Scanning);
                let scan = self.scan(work).await?;
                work.must_sync |= scan.changed > 0;
                work.is_busy = scan.busy_count > 0;
                scan_problems = scan.problems.iter().map(Problem::from).collect();
                if work.is_busy && busy_rounds < BUSY_ROUNDS {
                    busy_rounds += 1;
                    work.look_at(scan.busy.iter().filter_map(DiskPath::parent).collect());
                }
            }
            if work.must_sync {
                self.set_activity(Activity::Syncing);
                work.must_sync = false;
                work.last = self.engine.sync().await?;
                work.has_synced = true;
                let rescan = std::mem::take(&mut work.last.rescan);
                work.look_at(rescan);
            }
            if !work.must_scan() && !work.must_sync {
                break;
            }
            if work.is_busy {
                // Whoever writes the file is given a moment; a hint comes when it is done, too.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                work.look_at(self.merge_conflicts().await?);
            }
        }
        self.publish(&work.last, scan_problems, work.is_busy).await?;
        if is_full {
            self.status.send_modify(|status| status.full_passes += 1);
        }
        Ok(())
    }

    async fn scan(&self, work: &mut Work) -> Result<ScanReport, DaemonError> {
        let may_delete = self.may_delete_en_masse.swap(false, Ordering::Relaxed);
        let brake = if may_delete { Brake::Released } else { Brake::On };
        let result = if work.everything {
            self.scanner.scan_all(brake).await
        } else if work.folders.is_empty() {
            self.scanner.recheck_unsure().await
        } else {
            let folders: Vec<DiskPath> = work.folders.iter().cloned().collect();
            self.scanner.scan_folders(&folders, brake).await
        };
        let report = result.map_err(|error| DaemonError::of_scan(error, &self.folder))?;
        work.everything = false;
        work.folders.clear();
        work.is_recheck_due = false;
        work.must_recheck = report.has_more_unsure;
        match report.held {
            Some(held) => {
                work.everything = true;
                Err(DaemonError::MassDelete { count: held.count })
            }
            None => Ok(report),
        }
    }

    /// Publishes what a pass came to.
    async fn publish(
        &self,
        report: &PassReport,
        mut problems: Vec<Problem>,
        is_busy: bool,
    ) -> Result<(), DaemonError> {
        let counts = self.engine.state.counts(self.engine.namespace).await?;
        let is_clean = problems.iter().all(is_harmless) && report.setbacks.is_empty() && !is_busy;
        problems.extend(report.setbacks.iter().map(|setback| setback.problem.clone()));
        let transfers = self.engine.progress.snapshot();
        self.status.send_modify(|status| {
            status.activity = Activity::Idle;
            status.local_nodes = counts.local_nodes;
            status.remote_nodes = counts.remote_nodes;
            status.pending = counts.dirty;
            status.in_sync = is_clean && counts.dirty == 0;
            status.problems = problems;
            status.passes += 1;
            status.upload = Transfer::from(transfers.up);
            status.download = Transfer::from(transfers.down);
        });
        Ok(())
    }

    pub(super) fn set_activity(&self, activity: Activity) {
        self.status.send_if_modified(|status| {
            let is_new = status.activity != activity;
            status.activity = activity;
            is_new
        });
    }

    /// Publishes what ended a pass early.
    pub(super) fn tell(&self, error: &DaemonError) {
        let is_transient = error.is_transient();
        tracing::warn!(
            error = error as &dyn std::error::Error,
            is_transient,
            "a pass ended early"
        );
        let (activity, code) = match error {
            DaemonError::Remote(_) if is_transient => (Activity::Offline, "offline"),
            DaemonError::Remote(_) => (Activity::Blocked, "refused"),
            DaemonError::FolderGone { .. } => (Activity::Blocked, "folder-gone"),
            DaemonError::MassDelete { .. } => (Activity::Blocked, "mass-delete"),
            _ => (Activity::Blocked, "state"),
        };
        let problem = Problem {
            path: String::new(),
            code: code.to_owned(),
            message: error.to_string(),
        };
        self.status.send_modify(|status| {
            status.activity = activity;
            status.in_sync = false;
            status.problems = vec![problem];
            status.passes += 1;
        });
    }
}
