//! Reading a file once, and noticing when it changes meanwhile.

use cairn_core::file_hasher::FileHasher;
use cairn_core::node::{FileContent, NodeKind};
use cairn_core::runtime::Clock;
use cairn_core::time::{Mtime, Timestamp};

use super::report::ProblemReason;
use crate::fs::{DiskPath, FileKind, Filesystem, Fingerprint, FsError, FsResult, Metadata};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// How far ahead of our clock a filesystem's may be for its times to count as recent, in nanoseconds.
const CLOCK_LEAD_NS: i128 = 60_000_000_000;

/// What reading a file came to.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// The bytes and the state that they belong to.
    Read {
        content: FileContent,
        metadata: Metadata,
        is_unsure: bool,
    },
    /// It changed meanwhile, or another thing took its place.
    Busy,
    /// It is no longer there.
    Gone,
    /// It cannot be read.
    Failed(ProblemReason),
}

/// Reads a file whole, as long as somebody waits for it.
pub(super) fn read(
    fs: &dyn Filesystem,
    clock: &dyn Clock,
    path: &DiskPath,
    is_awaited: &dyn Fn() -> bool,
) -> ReadOutcome {
    match try_read(fs, clock, path, is_awaited) {
        Ok(outcome) => outcome,
        Err(error) if error.is_not_found() => ReadOutcome::Gone,
        Err(error) => ReadOutcome::Failed(reason(&error)),
    }
}

/// The reason to show for an error.
pub(super) fn reason(error: &FsError) -> ProblemReason {
    ProblemReason::Io(error.source.to_string())
}

fn try_read(
    fs: &dyn Filesystem,
    clock: &dyn Clock,
    path: &DiskPath,
    is_awaited: &dyn Fn() -> bool,
) -> FsResult<ReadOutcome> {
    let mut file = fs.open(path)?;
    let observed = clock.now();
    let before = file.metadata()?;
    let mut hasher = FileHasher::new();
    // One byte more than a small file has, so that its end is seen by the first read.
    let len = usize::try_from(before.fingerprint.size.saturating_add(1)).unwrap_or(PIECE_BYTES);
    let mut buffer = vec![0; len.min(PIECE_BYTES)];
    let mut offset = 0;
    loop {
        let len = file.read_at(offset, &mut buffer)?;
        if hasher.update(&buffer[..len]).is_err() {
            return Ok(ReadOutcome::Failed(ProblemReason::TooLarge));
        }
        // Pages of a large manifest are made again by whoever sends them.
        drop(hasher.take_pages());
        offset += len as u64;
        if len < buffer.len() {
            break;
        }
        if offset > before.fingerprint.size || !is_awaited() {
            return Ok(ReadOutcome::Busy);
        }
    }
    let after = file.metadata()?;
    let at_path = fs.metadata(path)?;
    let is_still = at_path.is_some_and(|found| {
        found.kind == FileKind::Node(NodeKind::File) && found.fingerprint == after.fingerprint
    });
    if before != after || !is_still || offset != after.fingerprint.size {
        return Ok(ReadOutcome::Busy);
    }
    Ok(match hasher.finish() {
        Ok(summary) => ReadOutcome::Read {
            content: summary.content,
            metadata: after,
            is_unsure: is_unsure(&after.fingerprint, observed, fs.timestamp_step_ns()),
        },
        Err(_) => ReadOutcome::Failed(ProblemReason::TooLarge),
    })
}

/// Whether a write after `observed` could leave the fingerprint as it is: times are kept in steps, and a second write
/// within the step of the first changes none of them. Times far in the future are no such case: a write would change
/// them. *Source:* git, "racy-git".
pub(crate) fn is_unsure(fingerprint: &Fingerprint, observed: Timestamp, step_ns: u64) -> bool {
    is_recent(fingerprint.mtime, observed, step_ns) || is_recent(fingerprint.ctime, observed, step_ns)
}

/// Whether a write after `observed` could set a file's time to this one again.
fn is_recent(time: Mtime, observed: Timestamp, step_ns: u64) -> bool {
    let time = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let observed = i128::from(observed.as_millis()) * 1_000_000;
    (observed - i128::from(step_ns)..observed + CLOCK_LEAD_NS).contains(&time)
}
