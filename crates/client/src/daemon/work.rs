//! What a pass has to look at, and the pass itself.

use std::collections::BTreeSet;

use tokio::sync::Notify;

use super::unread::{Busy, Looked};
use super::{Daemon, DaemonError};
use crate::engine::PassReport;
use crate::fs::DiskPath;
use crate::reason::{Reason, Weight};
use crate::scanner::ScanReport;
use crate::status::{Activity, Problem, Transfer};

/// Folders that are looked at one by one; of more, everything is scanned.
const FOLDERS: usize = 10_000;
/// Scans and syncs of one pass; files that change all the time wait for the next one.
const ROUNDS: usize = 50;
/// Rounds for which small files that are being written are waited for.
const BUSY_ROUNDS: u32 = 10;

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
    /// Whether the last pass read files again of which it cannot be told any better now.
    pub(super) is_recheck_vain: bool,
    /// Whether the last pass spoke with the server.
    pub(super) has_synced: bool,
    /// Files that were being written when they were looked at last.
    pub(super) busy: Busy,
    /// What the scans found that cannot be synced.
    pub(super) problems: Vec<Problem>,
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
        !self.last.setbacks.is_empty()
    }

    fn must_scan(&self) -> bool {
        self.everything || !self.folders.is_empty()
    }
}

/// Whether a problem names something that is never synced.
pub(super) fn is_harmless(problem: &Problem) -> bool {
    Reason::from_code(&problem.code).is_some_and(|reason| reason.weight() == Weight::Harmless)
}

impl Daemon {
    /// Scans and syncs until there is nothing left to do, or nothing more can be done now, or syncing is paused.
    pub(super) async fn settle(&self, work: &mut Work) -> Result<(), DaemonError> {
        let _pass = self.pass.lock().await;
        if let Some(settled) = Box::pin(self.unless_paused(self.rounds(work))).await {
            return settled;
        }
        self.after_cut(work).await;
        Ok(())
    }

    async fn rounds(&self, work: &mut Work) -> Result<(), DaemonError> {
        let is_full = work.everything;
        // Who reads files again comes back for the busy ones.
        let mut busy_rounds = if work.is_recheck_due { 0 } else { BUSY_ROUNDS };
        let mut is_busy = false;
        work.is_recheck_vain = false;
        for _ in 0..ROUNDS {
            let is_scan = work.must_scan() || work.is_recheck_due;
            // What a half-done step has displaced is missing, and was deleted by nobody. The sync says what is wrong.
            let is_blocked = !self.finish_steps().await?;
            work.must_sync |= is_blocked || work.last.is_stuck;
            if is_scan && !is_blocked {
                let busy = self.look(work).await?;
                is_busy = !busy.is_empty();
                if is_busy && busy_rounds > 0 {
                    busy_rounds -= 1;
                    work.look_at(busy);
                }
            }
            if work.must_sync {
                self.set_activity(Activity::Syncing);
                work.must_sync = false;
                work.last = Box::pin(self.engine.sync()).await?;
                work.has_synced = true;
                // What was just put on the disk may have been written within the same tick of the clock.
                work.must_recheck = self.has_unsure().await?;
                let rescan = std::mem::take(&mut work.last.rescan);
                work.look_at(rescan);
                work.look_at(self.merge_conflicts().await?);
            }
            if work.last.is_stuck || (!work.must_scan() && !work.must_sync) {
                break;
            }
            if is_busy {
                // Whoever writes the file is given a moment; a hint comes when it is done, too.
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            }
        }
        work.last.tell_obstacles();
        let has_more = work.must_scan() || work.must_sync;
        self.publish(&work.last, work.problems.clone(), work.busy.is_any(), has_more)
            .await?;
        if is_full {
            self.status.send_modify(|status| status.full_passes += 1);
        }
        Ok(())
    }

    /// Scans what is to be looked at. Returns the folders of small files that were being written.
    async fn look(&self, work: &mut Work) -> Result<Vec<DiskPath>, DaemonError> {
        self.set_activity(Activity::Scanning);
        let is_all = work.everything;
        let scan = self.scan_and_send(work).await?;
        work.must_sync |= scan.changed > 0;
        if scan.changed > 0 {
            work.last.obstacles.clear();
        }
        if is_all {
            self.status.send_modify(|status| status.ignored = scan.ignored);
        }
        let found = scan.problems.iter().map(Problem::from).collect();
        let before = std::mem::replace(&mut work.problems, found);
        if !is_all {
            self.keep_problems(before, &mut work.problems, &scan.visited)
                .await;
        }
        Ok(scan.busy_small.iter().filter_map(DiskPath::parent).collect())
    }

    /// Finishes steps that an error left half done. Says whether none is left.
    async fn finish_steps(&self) -> Result<bool, DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        if state.intents(namespace).await?.is_empty() {
            return Ok(true);
        }
        // The folder may have been away in between, and be another one for the system now.
        let root = self.scanner.check_root().await;
        root.map_err(|error| DaemonError::of_scan(error, &self.folder))?;
        Ok(self.engine.finish_intents(&mut PassReport::default()).await?)
    }

    /// Scans, and sends meanwhile what is surely new: of much that is new the first is on the server before the last is read.
    async fn scan_and_send(&self, work: &mut Work) -> Result<ScanReport, DaemonError> {
        let is_over = Notify::new();
        let scanning = async {
            let scanned = Box::pin(self.scan(work)).await;
            is_over.notify_one();
            scanned
        };
        let sending = async {
            loop {
                tokio::select! {
                    biased;
                    () = is_over.notified() => break,
                    () = self.scanner.flushed() => {}
                }
                match Box::pin(self.engine.send_new()).await {
                    Ok(true) => {}
                    // The sync that follows is the one that tells.
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(%error, "nothing is sent before the scan has ended");
                        break;
                    }
                }
            }
        };
        let (scanned, ()) = futures::future::join(scanning, sending).await;
        scanned
    }

    async fn scan(&self, work: &mut Work) -> Result<ScanReport, DaemonError> {
        let is_whole = work.everything;
        let brake = self.brake(is_whole).await?;
        let (result, looked) = if work.everything {
            (self.scanner.scan_all(brake).await, Looked::Everywhere)
        } else if work.folders.is_empty() {
            (self.scanner.recheck_unsure().await, Looked::AtUnsure)
        } else {
            let folders: Vec<DiskPath> = work.folders.iter().cloned().collect();
            let result = self.scanner.scan_folders(&folders, brake).await;
            (result, Looked::In(work.folders.clone()))
        };
        let report = result.map_err(|error| DaemonError::of_scan(error, &self.folder))?;
        work.busy.after_scan(&looked, &report);
        work.everything = false;
        work.folders.clear();
        work.is_recheck_vain = std::mem::take(&mut work.is_recheck_due) && report.has_more_unsure;
        work.must_recheck = self.has_unsure().await?;
        if self
            .note_held(is_whole, report.held.map(|held| held.count))
            .await?
        {
            // What vanished here may have moved to where nobody has looked yet.
            work.look_at_everything();
        }
        Ok(report)
    }

    /// Publishes what a pass came to.
    async fn publish(
        &self,
        report: &PassReport,
        mut problems: Vec<Problem>,
        is_busy: bool,
        has_more: bool,
    ) -> Result<(), DaemonError> {
        let state = &self.engine.state;
        let counts = state.counts(self.engine.namespace).await?;
        let rest = self.what_is_open().await?;
        let is_clean = problems.iter().all(is_harmless) && report.setbacks.is_empty() && !is_busy;
        problems.extend(rest.problems());
        problems.extend(report.setbacks.iter().map(|setback| setback.problem.clone()));
        problems.extend(report.left.iter().cloned());
        let transfers = self.engine.progress.snapshot();
        self.status.send_modify(|status| {
            status.activity = Activity::Idle;
            status.local_nodes = counts.local_nodes;
            status.remote_nodes = counts.remote_nodes;
            status.pending = counts.dirty.saturating_sub(report.left_count);
            status.in_sync = is_clean && !has_more && status.pending == 0 && rest.is_nothing();
            status.unsure = rest.unsure;
            status.held_deletes = rest.held_deletes;
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
            // Whatever begins has not ended: nobody knows yet what it finds.
            status.in_sync &= activity == Activity::Idle;
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
        let (activity, reason) = match error {
            DaemonError::Remote(_) if is_transient => (Activity::Offline, Reason::Offline),
            DaemonError::Remote(_) => (Activity::Blocked, Reason::Refused),
            DaemonError::FolderGone { .. } => (Activity::Blocked, Reason::FolderGone),
            DaemonError::MassDelete { .. } => (Activity::Blocked, Reason::MassDelete),
            _ => (Activity::Blocked, Reason::State),
        };
        let problem = Problem {
            path: String::new(),
            code: reason.code().to_owned(),
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
