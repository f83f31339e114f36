//! Reading a file once, and noticing when it changes meanwhile.

use std::sync::Arc;

use cairn_core::content_hash::ContentHasher;
use cairn_core::file_hasher::{ChunkHasher, FileHasher, FileSummary};
use cairn_core::manifest::{EncodedPage, ManifestError};
use cairn_core::node::{FileContent, NodeKind};
use cairn_core::runtime::{Clock, Runtime};
use cairn_core::time::{Mtime, Timestamp};

use super::report::ProblemReason;
use crate::fs::{DiskPath, FileKind, Filesystem, Fingerprint, FsError, FsResult, Metadata, ReadFile};
use crate::known::{Known, has_chunk};
use crate::state::LocalRow;

/// Bytes read at once of a file that is read by one thread.
const PIECE_BYTES: usize = 256 * 1024;
/// From this length on the content hash is computed beside the chunks, on a second core, a block at a time.
const LARGE_BYTES: u64 = 4 * 1024 * 1024;
/// Bytes of such a block. Two are held.
const BLOCK_BYTES: usize = 1024 * 1024;
/// Bytes that are read, or compared with what is remembered, before it is asked whether the file is still the same, and whether
/// anybody waits for the rest.
const COMPARED_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of pages that are kept of a file: those of 9 GiB. Of a longer one none are.
const PAGES_BYTES: usize = 6 * 1024 * 1024;
/// How far ahead of our clock a filesystem's may be for its times to count as recent, in nanoseconds.
const CLOCK_LEAD_NS: i128 = 60_000_000_000;
/// A step that is surely no finer than whole seconds are.
const WHOLE_SECONDS_NS: u64 = 2_000_000_000;

/// What reading a file came to.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// The bytes and the state that they belong to.
    Read {
        /// With the manifest's pages, unless they are known or too many.
        summary: Box<FileSummary>,
        metadata: Metadata,
        is_unsure: bool,
    },
    /// It changed meanwhile, or another thing took its place.
    Busy {
        /// Its size before.
        size: u64,
    },
    /// It is no longer there.
    Gone,
    /// It cannot be read.
    Failed(ProblemReason),
}

/// A way to a file.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) fs: Arc<dyn Filesystem>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) path: DiskPath,
}

/// Reads a file whole. If it holds what is `known` of it, that is found without cutting it anew. Dropping the future ends
/// the work soon, however long the file is.
pub(super) async fn read(runtime: &Runtime, target: Target, known: Option<Known>) -> ReadOutcome {
    outcome(try_read(runtime, target, known).await)
}

/// Reads files one after another, the small ones without a change of threads in between: for them that costs more than
/// reading. Otherwise as [`read`].
pub(super) async fn read_all(runtime: &Runtime, targets: Vec<(Target, Option<Known>)>) -> Vec<ReadOutcome> {
    let begin_all = move || -> Vec<_> {
        let begun = targets.into_iter().map(|(target, known)| begin(target, known));
        begun.collect()
    };
    let begun = runtime.blocking(begin_all).await;
    let mut outcomes = Vec::with_capacity(begun.len());
    for begun in begun {
        outcomes.push(outcome(match begun {
            Ok(begun) => go_on(runtime, begun).await,
            Err(error) => Err(error),
        }));
    }
    outcomes
}

fn outcome(read: FsResult<ReadOutcome>) -> ReadOutcome {
    match read {
        Ok(outcome) => outcome,
        Err(error) if error.is_not_found() => ReadOutcome::Gone,
        Err(error) => ReadOutcome::Failed(reason(&error)),
    }
}

/// The reason to show for an error.
pub(super) fn reason(error: &FsError) -> ProblemReason {
    ProblemReason::Io(error.source.to_string())
}

async fn try_read(runtime: &Runtime, target: Target, known: Option<Known>) -> FsResult<ReadOutcome> {
    let begun = runtime.blocking(move || begin(target, known)).await?;
    go_on(runtime, begun).await
}

/// Reads a small file whole, and opens a large one.
fn begin(target: Target, known: Option<Known>) -> FsResult<Begun> {
    let mut open = Open::new(target)?;
    let known = known.filter(|known| known.content.size == open.before.fingerprint.size);
    if open.before.fingerprint.size >= LARGE_BYTES {
        return Ok(Begun::Large(Box::new(open), known.map(Box::new)));
    }
    let mut compared = known.map(Compared::new);
    while let Some(now) = &mut compared {
        if open.compare(now)? == Verdict::Other {
            compared = None;
        } else if now.is_over() {
            break;
        }
    }
    Ok(Begun::Done(match compared {
        Some(same) => open.end(same.offset, Some(as_known(same.known.content)))?,
        None => open.read_small()?,
    }))
}

/// Reads what was only opened.
async fn go_on(runtime: &Runtime, begun: Begun) -> FsResult<ReadOutcome> {
    let (mut open, known) = match begun {
        Begun::Done(outcome) => return Ok(outcome),
        Begun::Large(open, known) => (*open, known.map(|known| *known)),
    };
    let mut compared = known.map(Compared::new);
    while let Some(mut now) = compared.take() {
        let verdict;
        (open, now, verdict) = runtime
            .blocking(move || {
                let verdict = open.compare(&mut now);
                (open, now, verdict)
            })
            .await;
        if verdict? == Verdict::Other {
            break;
        }
        if now.is_over() {
            let summary = as_known(now.known.content);
            return runtime
                .blocking(move || open.end(now.offset, Some(summary)))
                .await;
        }
        compared = Some(now);
    }
    read_large(runtime, open).await
}

/// What reading a file would say that holds what is known.
const fn as_known(content: FileContent) -> FileSummary {
    let pages = Vec::new();
    FileSummary { content, pages }
}

enum Begun {
    Done(ReadOutcome),
    Large(Box<Open>, Option<Box<Known>>),
}

/// A file that is being read.
struct Open {
    target: Target,
    file: Box<dyn ReadFile>,
    observed: Timestamp,
    before: Metadata,
}

/// How far a file was compared with what is known.
struct Compared {
    known: Known,
    next: usize,
    offset: u64,
    buffer: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Same,
    Other,
}

impl Compared {
    fn new(known: Known) -> Self {
        let longest = known.chunks.iter().map(|chunk| chunk.len).max().unwrap_or(0);
        Self {
            known,
            next: 0,
            offset: 0,
            buffer: vec![0; longest as usize],
        }
    }

    fn is_over(&self) -> bool {
        self.next == self.known.chunks.len()
    }
}

impl Open {
    fn new(target: Target) -> FsResult<Self> {
        let file = target.fs.open(&target.path)?;
        let observed = target.clock.now();
        let before = file.metadata()?;
        Ok(Self {
            target,
            file,
            observed,
            before,
        })
    }

    /// Compares some chunks more.
    fn compare(&mut self, compared: &mut Compared) -> FsResult<Verdict> {
        let until = compared.offset + COMPARED_BYTES;
        while compared.offset < until
            && let Some(chunk) = compared.known.chunks.get(compared.next)
        {
            if !has_chunk(&mut *self.file, compared.offset, chunk, &mut compared.buffer)? {
                return Ok(Verdict::Other);
            }
            compared.next += 1;
            compared.offset += u64::from(chunk.len);
        }
        // What is being written is another one: it need not be compared to its end.
        if !compared.is_over() && self.is_changed()? {
            return Ok(Verdict::Other);
        }
        Ok(Verdict::Same)
    }

    /// Whether it is in another state than when it was opened.
    fn is_changed(&self) -> FsResult<bool> {
        Ok(self.file.metadata()? != self.before)
    }

    const fn busy(&self) -> ReadOutcome {
        ReadOutcome::Busy {
            size: self.before.fingerprint.size,
        }
    }

    /// Reads a block of a long file; nothing when it has changed. That is asked now and then: one that is written all the time,
    /// as the disk of a virtual machine, would be read to its end for nothing.
    fn read_block(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<Option<usize>> {
        if offset.is_multiple_of(COMPARED_BYTES) && self.is_changed()? {
            return Ok(None);
        }
        self.file.read_at(offset, buffer).map(Some)
    }

    fn read_small(mut self) -> FsResult<ReadOutcome> {
        let mut hasher = FileHasher::new();
        // One byte more than a small file has, so that its end is seen by the first read.
        let len = usize::try_from(self.before.fingerprint.size.saturating_add(1)).unwrap_or(PIECE_BYTES);
        let mut buffer = vec![0; len.min(PIECE_BYTES)];
        let mut offset = 0;
        loop {
            let len = self.file.read_at(offset, &mut buffer)?;
            if hasher.update(&buffer[..len]).is_err() {
                return Ok(ReadOutcome::Failed(ProblemReason::TooLarge));
            }
            offset += len as u64;
            if len < buffer.len() {
                break;
            }
            if offset > self.before.fingerprint.size {
                return Ok(self.busy());
            }
        }
        self.end(offset, hasher.finish().ok())
    }

    /// Whether it was one file in one state all the time. Without a summary it was too long to have one.
    fn end(self, read_bytes: u64, summary: Option<FileSummary>) -> FsResult<ReadOutcome> {
        let Target { fs, path, .. } = &self.target;
        let after = self.file.metadata()?;
        let at_path = fs.metadata(path)?;
        let is_still = at_path.is_some_and(|found| {
            found.kind == FileKind::Node(NodeKind::File) && found.fingerprint == after.fingerprint
        });
        if self.before != after || !is_still || read_bytes != after.fingerprint.size {
            return Ok(self.busy());
        }
        Ok(match summary {
            Some(summary) => ReadOutcome::Read {
                summary: Box::new(summary),
                metadata: after,
                is_unsure: is_unsure(&after.fingerprint, self.observed, fs.timestamp_step_ns()),
            },
            None => ReadOutcome::Failed(ProblemReason::TooLarge),
        })
    }
}

/// Reads a long file: while one core cuts a block into chunks, another sums it up and reads the next.
async fn read_large(runtime: &Runtime, mut open: Open) -> FsResult<ReadOutcome> {
    let (mut chunks, mut content_hash) = (ChunkHasher::new(), ContentHasher::new());
    let mut pages = Some(Vec::new());
    let mut offset = 0;
    let mut block = Arc::new(Vec::new());
    let mut spare = Vec::new();
    let mut is_last = false;
    while !is_last {
        let (cut, summed) = (Arc::clone(&block), Arc::clone(&block));
        let cutting = runtime.blocking(move || -> Result<_, ManifestError> {
            chunks.update(&cut)?;
            let pages = chunks.take_pages();
            Ok((chunks, pages))
        });
        let reading = runtime.blocking(move || {
            content_hash.update(&summed);
            spare.resize(BLOCK_BYTES, 0);
            let block = open.read_block(offset, &mut spare);
            (open, content_hash, spare, block)
        });
        let (cut, read) = futures::future::join(cutting, reading).await;
        let next;
        (open, content_hash, spare, next) = read;
        let Ok((hasher, new_pages)) = cut else {
            return Ok(ReadOutcome::Failed(ProblemReason::TooLarge));
        };
        chunks = hasher;
        keep(&mut pages, new_pages);
        let Some(len) = next? else {
            return Ok(open.busy());
        };
        offset += len as u64;
        is_last = len < BLOCK_BYTES;
        spare.truncate(len);
        let done = std::mem::replace(&mut block, Arc::new(spare));
        spare = Arc::try_unwrap(done).unwrap_or_default();
        if offset > open.before.fingerprint.size {
            return Ok(open.busy());
        }
    }
    let end = move || {
        content_hash.update(&block);
        let built = chunks.update(&block).and_then(|()| chunks.finish());
        let summary = built.ok().map(|built| {
            let mut summary = FileSummary::new(built, content_hash.finish());
            keep(&mut pages, std::mem::take(&mut summary.pages));
            summary.pages = pages.unwrap_or_default();
            summary
        });
        open.end(offset, summary)
    };
    runtime.blocking(end).await
}

/// Adds pages; when they have become too many none are kept.
fn keep(pages: &mut Option<Vec<EncodedPage>>, new: Vec<EncodedPage>) {
    let Some(kept) = pages else { return };
    kept.extend(new);
    if kept.iter().map(|page| page.bytes.len()).sum::<usize>() > PAGES_BYTES {
        *pages = None;
    }
}

/// Whether a write after `observed` could leave the fingerprint as it is: times are kept in steps, and a second write
/// within the step of the first changes none of them. Times far in the future are no such case: a write would change
/// them. *Source:* git, "racy-git".
///
/// A disk that keeps whole seconds need not be of a kind that is known for it: ext4 does where it was made with small inodes.
/// Change times are set by nobody but the disk, so one without a fraction tells.
pub(crate) fn is_unsure(fingerprint: &Fingerprint, observed: Timestamp, step_ns: u64) -> bool {
    let step_ns = match fingerprint.ctime.nanos {
        0 => step_ns.max(WHOLE_SECONDS_NS),
        _ => step_ns,
    };
    is_recent(fingerprint.mtime, observed, step_ns) || is_recent(fingerprint.ctime, observed, step_ns)
}

/// Whether a file may hold other bytes than are remembered of it, although it shows the same fingerprint: it was read within the
/// tick of the clock of its last write, or the clock was set back since and shows that tick again.
pub(crate) fn may_hide_a_write(row: &LocalRow, now: Timestamp, step_ns: u64) -> bool {
    row.is_unsure || is_unsure(&row.fingerprint, now, step_ns)
}

/// Whether a write after `observed` could set a file's time to this one again.
fn is_recent(time: Mtime, observed: Timestamp, step_ns: u64) -> bool {
    let time = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
    let observed = i128::from(observed.as_millis()) * 1_000_000;
    (observed - i128::from(step_ns)..observed + CLOCK_LEAD_NS).contains(&time)
}

#[cfg(test)]
mod tests;
