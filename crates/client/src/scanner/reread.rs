//! Reading a file again that nothing says has changed.

use std::sync::Arc;

use cairn_core::ids::FileId;
use cairn_core::node::FileContent;
use cairn_core::runtime::Runtime;
use cairn_core::time::Timestamp;
use cairn_core::tree::Substance;

use super::Scanner;
use super::content::{self, ReadOutcome, Target};
use crate::fs::{DiskPath, Filesystem, Fingerprint, Metadata};
use crate::known::Known;
use crate::state::{ClientState, LocalRow, StateResult};

/// Shorter files are cut and summed up again in less time than it takes to look up what is known of them.
const WORTH_KNOWING_BYTES: u64 = 64 * 1024;

/// What a known file's bytes are now.
#[derive(Debug)]
pub(crate) enum Reread {
    /// As remembered.
    Same,
    /// Others, while times and size are as remembered.
    Silent(FileContent),
    /// Others, of a state from before the one that is remembered: the disk has forgotten what was written since.
    Older(FileContent, Metadata),
    /// Those of another file, of a state from before the one that is remembered. Where the power failed, the disk has taken
    /// back what put the file in its place.
    TakenBack(FileContent, Metadata),
    /// Times or size say that it changed, or it is being written.
    Changed,
    /// It is gone.
    Gone,
    /// It cannot be read.
    Unreadable,
}

impl Scanner {
    /// Reads a file and compares it with what is remembered of it.
    pub(crate) async fn reread(&self, path: DiskPath, row: &LocalRow) -> StateResult<Reread> {
        reread(&self.runtime, &self.fs, &*self.state, path, row).await
    }
}

/// Reads a file and compares it with what is remembered of it.
pub(crate) async fn reread(
    runtime: &Runtime,
    fs: &Arc<dyn Filesystem>,
    state: &dyn ClientState,
    path: DiskPath,
    row: &LocalRow,
) -> StateResult<Reread> {
    let known = known(state, row).await?;
    let target = Target {
        fs: Arc::clone(fs),
        clock: Arc::clone(&runtime.clock),
        path,
    };
    Ok(match content::read(runtime, target, known).await {
        ReadOutcome::Read {
            summary, metadata, ..
        } => {
            let content = summary.content;
            let found = Substance::File {
                file_id: content.file_id,
                size: content.size,
            };
            // The change time is left out: nobody can set it back, so a write always shows there.
            if found == row.entry.substance {
                Reread::Same
            } else if is_older(&metadata.fingerprint, row, runtime.clock.now()) {
                Reread::Older(content, metadata)
            } else if is_from_before(&metadata.fingerprint, row, runtime.clock.now()) {
                Reread::TakenBack(content, metadata)
            } else if !metadata.fingerprint.is_same_state(&row.fingerprint) {
                Reread::Changed
            } else {
                Reread::Silent(content)
            }
        }
        ReadOutcome::Busy { .. } => Reread::Changed,
        ReadOutcome::Gone => Reread::Gone,
        ReadOutcome::Failed(_) => Reread::Unreadable,
    })
}

/// What is remembered of a file's content, where that saves more than looking it up costs.
async fn known(state: &dyn ClientState, row: &LocalRow) -> StateResult<Option<Known>> {
    Ok(all_known(state, &[Some(row)]).await?.pop().flatten())
}

/// As [`known`], of several files.
pub(super) async fn all_known(
    state: &dyn ClientState,
    rows: &[Option<&LocalRow>],
) -> StateResult<Vec<Option<Known>>> {
    let asked: Vec<Option<FileId>> = rows.iter().map(|row| worth_knowing((*row)?)).collect();
    let file_ids: Vec<FileId> = asked.iter().copied().flatten().collect();
    if file_ids.is_empty() {
        return Ok(rows.iter().map(|_| None).collect());
    }
    let mut found = state.contents(&file_ids).await?.into_iter();
    let mut all = Vec::with_capacity(rows.len());
    for asked in asked {
        all.push(match asked.and_then(|_| found.next()).flatten() {
            Some(content) => Known::load(state, &content).await?,
            None => None,
        });
    }
    Ok(all)
}

fn worth_knowing(row: &LocalRow) -> Option<FileId> {
    match row.entry.substance {
        Substance::File { file_id, size } if size >= WORTH_KNOWING_BYTES => Some(file_id),
        _ => None,
    }
}

/// Whether a file's state is one from before that which is remembered. Whoever writes to a file sets its change time to now,
/// and nobody can set it back. Within one tick of the clock a write leaves it as it was, so what was read in that tick must
/// be surely older.
fn is_older(found: &Fingerprint, row: &LocalRow, now: Timestamp) -> bool {
    let known = &row.fingerprint;
    let is_before = found.ctime < known.ctime || (found.ctime == known.ctime && !row.is_unsure);
    is_before && found.is_same_file(known) && found != known && tells(known, now)
}

/// Whether another file than the remembered one has stood there since before that one came: what puts a file in another's
/// place sets the change time of the newcomer. In doubt it has: then both are kept.
fn is_from_before(found: &Fingerprint, row: &LocalRow, now: Timestamp) -> bool {
    let known = &row.fingerprint;
    found.ctime <= known.ctime && !found.is_same_file(known) && tells(known, now)
}

/// Whether what is remembered of times tells anything: where it lies ahead of the clock, that was set back.
pub(super) const fn tells(known: &Fingerprint, now: Timestamp) -> bool {
    known.ctime.seconds <= now.as_millis().div_euclid(1_000)
}
