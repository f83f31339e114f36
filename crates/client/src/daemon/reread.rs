//! Files that nothing says have changed are read again: after a start those that a loss of power may have damaged, and in
//! the course of a month, or of a day after the machine went off, all of them ([`round`]).
//!
//! Other bytes under the same fingerprint are damage, or the write of a program that hides it; nobody can tell which. Other
//! bytes under a fingerprint from before it, be it another file's, are what a disk went back to that lost power. So the
//! server's version comes back to the name, and what is on the disk becomes a conflicted copy beside it. What the server does
//! not have is an edit as any other.

mod round;

use std::sync::Arc;

use cairn_core::node::FileContent;
use cairn_core::tree::Substance;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::{Instant, sleep};

use super::heartbeat::{Beat, EVERY, Heartbeat, Moment};
use super::{Daemon, DaemonError};
use crate::fs::{DiskPath, Filesystem, Fingerprint};
use crate::scanner::lost::LostSince;
use crate::scanner::reread::Reread;
use crate::state::{ClientState, LocalChange, LocalRow, StateBatch, StateResult, TreeChange};

/// The setting that holds the last moment at which the machine is known to have been running: a [`Beat`].
const RUNNING_SETTING: &str = "running-at";
/// The setting that names the session of the disk in which what a loss of power may have damaged was read again.
const REREAD_SETTING: &str = "reread-in";
/// Rows that are loaded at once.
const AT_ONCE: usize = 500;
/// Files that are read at once after a start, while everything waits: enough that a disk has always something to do.
const READS_AT_ONCE: usize = 4;
/// What `cairn activity` says of a file whose bytes changed while its times and size did not.
const NOTE: &str = "other-bytes";

/// What reading a file again has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// Nothing that is not known, or that the next scan does not see.
    Nothing,
    /// Bytes that nothing had told of; they are taken down.
    OtherBytes,
    /// Such bytes as well, and then it was not there any more, or not so.
    Missed,
}

/// Whether the machine or the disk was started anew since files were read for that: what was written last may be lost.
pub(super) async fn may_have_lost_writes(fs: &dyn Filesystem, state: &dyn ClientState) -> StateResult<bool> {
    let last = state.setting(REREAD_SETTING).await?;
    Ok(matches!((fs.session(), last), (Some(now), Some(last)) if now != last))
}

/// Notes, before the first scan after a loss of power, since when the disk may have lost what was put there.
pub(super) async fn note_lost_since(state: &dyn ClientState) -> StateResult<()> {
    match last_beat(state).await? {
        Some(last) => LostSince::note(state, last.unwritten_since(), last.shown_until()).await,
        None => Ok(()),
    }
}

async fn last_beat(state: &dyn ClientState) -> StateResult<Option<Beat>> {
    let last = state.setting(RUNNING_SETTING).await?;
    Ok(last.and_then(|text| Beat::parse(&text)))
}

impl Daemon {
    /// Reads again what a loss of power may have damaged since the last start. Returns whether that is done; if not, it is
    /// to be tried again.
    pub(super) async fn reread_after_start(&self) -> bool {
        let is_done = self.has_reread_after_start().await;
        if is_done {
            self.beat().await;
        }
        is_done
    }

    /// As [`Self::reread_after_start`], in a life that is too short to see that the clock was set: what it reads the next
    /// one does not. Returns when that was done, if it was.
    pub(super) async fn reread_once_after_start(&self) -> Option<Moment> {
        if !self.has_reread_after_start().await {
            return None;
        }
        let begun = self.moment();
        self.note_running(Heartbeat::beat_once(begun.clock)).await;
        Some(begun)
    }

    /// Notes the end of a single pass: what was written long before is on the disk by then, and the next start need not read
    /// it again. Not where the clock was set meanwhile: then nobody knows how long before a file's time is.
    pub(super) async fn beat_after_pass(&self, begun: Moment) {
        let now = self.moment();
        if !begun.was_clock_set(&now) {
            self.note_running(Heartbeat::beat_once(now.clock)).await;
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            clock: self.runtime.clock.now(),
            at: Instant::now(),
        }
    }

    async fn has_reread_after_start(&self) -> bool {
        match self.reread_unless_done().await {
            Ok(is_done) => is_done,
            Err(error) => {
                tracing::debug!(%error, "files could not be read again after the start");
                false
            }
        }
    }

    /// Once in a session of the disk: who was only killed has lost nothing that was written. Says whether it is done.
    async fn reread_unless_done(&self) -> Result<bool, DaemonError> {
        let state = &self.engine.state;
        let session = self.engine.fs.session();
        if session.is_some() && session == state.setting(REREAD_SETTING).await? {
            return Ok(true);
        }
        let is_done = self.try_reread_after_start().await?;
        if is_done {
            state.set_setting(REREAD_SETTING, session.as_deref()).await?;
        }
        Ok(is_done)
    }

    async fn try_reread_after_start(&self) -> Result<bool, DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let Some(last) = self.last_beat().await? else {
            return Ok(true);
        };
        let since = last.unwritten_since();
        let (mut after, mut is_done) = (None, true);
        loop {
            let rows = state.local_files(namespace, Some(since), after, AT_ONCE).await?;
            let Some(end) = rows.last() else {
                return Ok(is_done);
            };
            after = Some(end.node);
            let mut seen = stream::iter(rows)
                .map(|row| self.read_once_more(row, Some(last)))
                .buffer_unordered(READS_AT_ONCE);
            while let Some(seen) = seen.try_next().await? {
                is_done &= seen != Seen::Missed;
            }
        }
    }

    async fn last_beat(&self) -> StateResult<Option<Beat>> {
        last_beat(&*self.engine.state).await
    }

    /// Notes that the machine is running. Before [`Self::reread_after_start`] is done this would hide what it has to read.
    pub(super) async fn beat(&self) {
        let last = if self.heartbeat.has_begun() {
            None
        } else {
            match self.last_beat().await {
                Ok(last) => last,
                Err(error) => {
                    tracing::debug!(%error, "cannot read when the machine was running");
                    return;
                }
            }
        };
        if let Some(beat) = self
            .heartbeat
            .beat(last, self.runtime.clock.now(), Instant::now())
        {
            self.note_running(beat).await;
        }
    }

    /// Does some work, and notes that the machine is running: after it, and again and again where it takes long. Not before
    /// what a loss of power may have damaged was read again.
    pub(super) async fn beating<T>(&self, is_reread: bool, work: impl Future<Output = T>) -> T {
        if !is_reread {
            return work.await;
        }
        let beats = async {
            loop {
                sleep(EVERY).await;
                self.beat().await;
            }
        };
        let done = tokio::select! {
            biased;
            done = work => done,
            never = beats => never,
        };
        self.beat().await;
        done
    }

    async fn note_running(&self, beat: Beat) {
        let text = beat.to_string();
        if let Err(error) = self.engine.state.set_setting(RUNNING_SETTING, Some(&text)).await {
            tracing::debug!(%error, "cannot note that the machine is running");
        }
    }

    /// Reads a file again. After a `start`, of which is known when the machine ran before, one that could not be compared is
    /// read by the next scan, wherever that finds it.
    async fn read_once_more(&self, row: LocalRow, start: Option<Beat>) -> Result<Seen, DaemonError> {
        if row.is_unsure && start.is_none() {
            return Ok(Seen::Nothing);
        }
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let Some(names) = state.disk_path(namespace, row.node).await? else {
            return Ok(Seen::Nothing);
        };
        let path = DiskPath::from_names(names);
        match self.scanner.reread(path.clone(), &row).await? {
            Reread::Same => Ok(Seen::Nothing),
            // Read within the tick of its last write: the next scan makes an edit of whatever followed.
            Reread::Silent(_) if row.is_unsure => Ok(Seen::Nothing),
            Reread::Silent(content) => {
                let known = row.fingerprint;
                self.take_other_bytes(row, content, known, path).await
            }
            // A clock that was set back makes edits look so as well: of those that a start has not to do with the scan learns.
            Reread::Older(content, found) | Reread::TakenBack(content, found)
                if start.is_some_and(|last| last.may_have_given(row.fingerprint.ctime)) =>
            {
                self.take_other_bytes(row, content, found.fingerprint, path).await
            }
            Reread::Older(..)
            | Reread::TakenBack(..)
            | Reread::Changed
            | Reread::Gone
            | Reread::Unreadable => {
                if start.is_some() && !row.is_unsure {
                    self.doubt(row).await?;
                }
                Ok(Seen::Nothing)
            }
        }
    }

    async fn doubt(&self, row: LocalRow) -> Result<(), DaemonError> {
        let _pass = self.pass.lock().await;
        if !self.is_still(&row).await? {
            return Ok(());
        }
        let unsure = LocalRow {
            is_unsure: true,
            ..row
        };
        let batch = StateBatch {
            local: vec![LocalChange::Put(unsure)],
            ..StateBatch::default()
        };
        Ok(self.engine.state.apply(self.engine.namespace, batch).await?)
    }

    /// Takes down that a file holds other bytes than are remembered of it, though nobody wrote them: `seen` is its
    /// fingerprint.
    async fn take_other_bytes(
        &self,
        row: LocalRow,
        content: FileContent,
        seen: Fingerprint,
        path: DiskPath,
    ) -> Result<Seen, DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let _pass = self.pass.lock().await;
        let (fs, at) = (Arc::clone(&self.engine.fs), path.clone());
        let found = self.runtime.blocking(move || fs.metadata(&at)).await?;
        let is_exact = found.is_some_and(|found| found.fingerprint == seen);
        // Of a difference, be it the change time's, the scan makes an edit; what moved away is found by the next look.
        if !is_exact || !self.is_still(&row).await? {
            return Ok(Seen::Missed);
        }
        let remote = state.remote(namespace, row.node).await?;
        let is_kept =
            !row.is_content_known() || remote.is_some_and(|remote| remote.substance == row.entry.substance);
        let mut found = row;
        if seen.mtime != found.fingerprint.mtime {
            found.entry.attributes.mtime = seen.mtime;
        }
        found.fingerprint = seen;
        found.entry.substance = Substance::File {
            file_id: content.file_id,
            size: content.size,
        };
        let node = found.node;
        let mut batch = StateBatch {
            local: vec![LocalChange::Put(found)],
            contents: vec![content],
            ..StateBatch::default()
        };
        if is_kept {
            // Two versions that nobody agreed upon.
            batch.synced.push(TreeChange::RemoveNode(node));
        }
        state.apply(namespace, batch).await?;
        let now = self.runtime.clock.now();
        state.note_activity(now, NOTE, &path.to_string()).await?;
        Ok(Seen::OtherBytes)
    }

    /// Whether a node is remembered as it was when it was loaded.
    async fn is_still(&self, row: &LocalRow) -> StateResult<bool> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        Ok(state.local(namespace, row.node).await?.as_ref() == Some(row))
    }
}

#[cfg(test)]
mod tests;
