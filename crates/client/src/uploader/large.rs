//! Large files: their chunks go ahead of the commit, a window at a time.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use cairn_api::frame::ChunkFrame;
use cairn_codec::encode_chunk;
use cairn_core::ids::ChunkHash;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::small::{chunks_of, is_inline};
use super::walk::{FileWalk, PlainChunk, WalkError, check_unchanged};
use super::{Batch, FileToSend, PieceOutcome, Queued, Sent, UploadError, Uploader};
use crate::fs::Filesystem;

/// Windows under way at once. With one that is being read they hold at most 5 x 8 MiB.
const WINDOWS: usize = 4;
/// Hashes of chunks that were sent lately and are not sent again. What falls out is found by asking.
const RECENT_HASHES: usize = 1 << 16;

/// How to tell which chunks of a file must be sent.
#[derive(Clone)]
enum Wanted {
    /// Ask the server, window by window.
    Ask,
    /// All but these: the server was asked before the file was read.
    AllBut(Arc<HashSet<ChunkHash>>),
    /// These alone: the server named them.
    Only(Arc<HashSet<ChunkHash>>),
}

/// A file that waits, with the place of its piece in the run.
struct Waiting {
    member: usize,
    file: FileToSend,
    wanted: Wanted,
}

/// What was read of a file.
struct ReadStep {
    waiting: Waiting,
    walk: Option<FileWalk>,
    window: Result<Option<Vec<PlainChunk>>, WalkError>,
}

impl Uploader {
    /// Sends the chunks of large pieces and returns the batch to commit. Files follow one another without a pause:
    /// the first window of the next is under way while the last of the one before is.
    pub(super) async fn send_large(&self, run: Vec<Queued>) -> Result<Batch, UploadError> {
        let mut waiting = self.wait_list(&run).await?;
        let mut failed: Vec<Option<PieceOutcome>> = run.iter().map(|_| None).collect();
        let mut recent = HashSet::new();
        let mut under_way: FuturesUnordered<BoxFuture<'_, Result<(), UploadError>>> = FuturesUnordered::new();
        let mut reading = waiting.pop_front().map(|next| self.read_step(next, None));
        while reading.is_some() || !under_way.is_empty() {
            let may_read = under_way.len() < WINDOWS;
            // Sent windows first: they free memory.
            tokio::select! {
                biased;
                Some(sent) = under_way.next(), if !under_way.is_empty() => sent?,
                Some(step) = advance(&mut reading), if may_read && reading.is_some() => {
                    let ReadStep { waiting: now, walk, window } = step;
                    let mut has_more = false;
                    match window {
                        Ok(Some(window)) => {
                            has_more = true;
                            let window = fresh(window, &now.wanted, &mut recent, self);
                            let wanted = now.wanted.clone();
                            under_way.push(Box::pin(self.send_window(window, wanted)));
                        }
                        Ok(None) => {}
                        Err(error) => failed[now.member] = Some(PieceOutcome::of(error, &now.file.path)),
                    }
                    reading = if has_more {
                        Some(self.read_step(now, walk))
                    } else {
                        self.progress.end(&now.file.path.to_string());
                        // The other files of a piece that failed need not be sent.
                        waiting.retain(|next| failed[next.member].is_none());
                        waiting.pop_front().map(|next| self.read_step(next, None))
                    };
                }
            }
        }
        let mut batch = Batch::default();
        for (queued, failure) in run.into_iter().zip(failed) {
            match failure {
                Some(outcome) => batch.failed.push((queued.index, outcome)),
                None => batch.members.push(queued),
            }
        }
        Ok(batch)
    }

    /// The files of a run with what to send of them. Also in a namespace that holds nothing yet the server is asked: an
    /// upload that was cut before its commit left chunks there, and 32 bytes are little beside a chunk. Those whose chunks are listed in the metadata are asked about
    /// here, so that a file which is on the server is not even read.
    async fn wait_list(&self, run: &[Queued]) -> Result<VecDeque<Waiting>, UploadError> {
        let asked = run
            .iter()
            .filter(|queued| matches!(queued.missing, Sent::Unknown))
            .flat_map(|queued| &queued.piece.files)
            .flat_map(chunks_of)
            .map(|entry| entry.hash);
        let had = Arc::new(self.ask(asked).await?);
        let files = run.iter().enumerate().flat_map(|(member, queued)| {
            let had = &had;
            queued.piece.files.iter().map(move |file| Waiting {
                member,
                file: file.clone(),
                wanted: match &queued.missing {
                    Sent::AllBut(missing) => Wanted::Only(Arc::clone(missing)),
                    Sent::Unknown if is_inline(file) => Wanted::AllBut(Arc::clone(had)),
                    Sent::Unknown => Wanted::Ask,
                },
            })
        });
        Ok(files.collect())
    }

    /// Reads the next window of a file, opening it first.
    fn read_step(&self, waiting: Waiting, walk: Option<FileWalk>) -> BoxFuture<'static, ReadStep> {
        let fs = Arc::clone(&self.fs);
        let runtime = self.runtime.clone();
        if walk.is_none() {
            self.progress.begin(&waiting.file.path.to_string());
        }
        Box::pin(async move { runtime.blocking(move || read(&fs, waiting, walk)).await })
    }

    /// Sends what is wanted of a window. Its plaintext is let go of chunk by chunk as it is encoded.
    async fn send_window(&self, window: Vec<PlainChunk>, wanted: Wanted) -> Result<(), UploadError> {
        let bytes: u64 = window.iter().map(content_len).sum();
        let had = match &wanted {
            Wanted::Ask => self.ask(window.iter().map(|chunk| chunk.hash)).await?,
            _ => HashSet::new(),
        };
        let frames = self
            .runtime
            .blocking(move || -> Vec<ChunkFrame> {
                window
                    .into_iter()
                    .filter(|chunk| !had.contains(&chunk.hash))
                    .map(|chunk| ChunkFrame {
                        hash: chunk.hash,
                        is_page: chunk.is_page,
                        chunk: encode_chunk(&chunk.bytes),
                    })
                    .collect()
            })
            .await;
        if !frames.is_empty() {
            self.remote.put_chunks(self.namespace, frames).await?;
        }
        self.progress.up.bytes(bytes);
        Ok(())
    }
}

/// Waits for the read that is under way, and takes it off.
async fn advance(reading: &mut Option<BoxFuture<'static, ReadStep>>) -> Option<ReadStep> {
    let step = reading.as_mut()?.await;
    *reading = None;
    Some(step)
}

fn read(fs: &Arc<dyn Filesystem>, waiting: Waiting, walk: Option<FileWalk>) -> ReadStep {
    let is_had = |hash| match &waiting.wanted {
        Wanted::AllBut(had) => had.contains(hash),
        Wanted::Ask | Wanted::Only(_) => false,
    };
    if walk.is_none()
        && is_inline(&waiting.file)
        && chunks_of(&waiting.file).iter().all(|entry| is_had(&entry.hash))
    {
        let window = check_unchanged(fs.as_ref(), &waiting.file).map(|()| None);
        return ReadStep {
            waiting,
            walk: None,
            window,
        };
    }
    let opened = match walk {
        Some(walk) => Ok(walk),
        None => FileWalk::open(fs, &waiting.file),
    };
    match opened {
        Ok(mut walk) => {
            let window = walk.next_window();
            ReadStep {
                waiting,
                walk: Some(walk),
                window,
            }
        }
        Err(error) => ReadStep {
            waiting,
            walk: None,
            window: Err(error),
        },
    }
}

/// Drops the chunks that are known not to be wanted, and those that were sent lately: a file of zeros is one chunk.
fn fresh(
    window: Vec<PlainChunk>,
    wanted: &Wanted,
    recent: &mut HashSet<ChunkHash>,
    uploader: &Uploader,
) -> Vec<PlainChunk> {
    if recent.len() > RECENT_HASHES {
        recent.clear();
    }
    let (fresh, known): (Vec<_>, Vec<_>) = window.into_iter().partition(|chunk| {
        let is_wanted = match wanted {
            Wanted::Ask => true,
            Wanted::AllBut(had) => !had.contains(&chunk.hash),
            Wanted::Only(missing) => missing.contains(&chunk.hash),
        };
        is_wanted && recent.insert(chunk.hash)
    });
    uploader.progress.up.bytes(known.iter().map(content_len).sum());
    fresh
}

/// Bytes of the file in a chunk: none in a page.
fn content_len(chunk: &PlainChunk) -> u64 {
    if chunk.is_page {
        0
    } else {
        chunk.bytes.len() as u64
    }
}
