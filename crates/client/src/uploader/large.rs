//! Large files: their chunks go ahead of the commit, a window at a time. Of an edit only what is new is looked at further.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use cairn_api::frame::ChunkFrame;
use cairn_codec::encode_owned;
use cairn_core::ids::ChunkHash;
use cairn_core::manifest::EncodedPage;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use super::deltas::{Against, NewChunk};
use super::later::Later;
use super::queue::{Queued, Sent};
use super::small::{chunks_of, is_inline};
use super::walk::{FileWalk, PlainChunk, WalkError, check_unchanged};
use super::{Batch, FileToSend, PieceOutcome, UploadError, Uploader};
use crate::fs::Filesystem;
use crate::known::Known;

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
    /// All but those of the version before, against which the others are sent.
    Against(Arc<Against>),
    /// None: a file on the server has this content.
    Nothing,
}

impl Wanted {
    /// Whether a chunk is to be looked at further.
    fn includes(&self, hash: &ChunkHash) -> bool {
        match self {
            Self::Ask => true,
            Self::AllBut(had) => !had.contains(hash),
            Self::Only(missing) => missing.contains(hash),
            Self::Against(against) => !against.contains(hash),
            Self::Nothing => false,
        }
    }
}

/// A file that waits, with the place of its piece in the run.
struct Waiting {
    member: usize,
    file: FileToSend,
    wanted: Wanted,
    /// How far the version before was followed.
    aligned: usize,
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
    pub(super) async fn send_large(&self, mut run: Vec<Queued>) -> Result<Batch, UploadError> {
        let mut waiting = self.wait_list(&mut run).await?;
        let mut failed: Vec<Option<PieceOutcome>> = run.iter().map(|_| None).collect();
        let mut recent = HashSet::new();
        let later = Later::default();
        let mut under_way: FuturesUnordered<BoxFuture<'_, Result<(), UploadError>>> = FuturesUnordered::new();
        let mut reading = self.begin_file(waiting.pop_front()).await?;
        while reading.is_some() || !under_way.is_empty() {
            let may_read = under_way.len() < WINDOWS;
            // Sent windows first: they free memory.
            tokio::select! {
                biased;
                Some(sent) = under_way.next(), if !under_way.is_empty() => sent?,
                Some(step) = advance(&mut reading), if may_read && reading.is_some() => {
                    let ReadStep { waiting: mut now, walk, window } = step;
                    let mut has_more = false;
                    match window {
                        Ok(Some(window)) => {
                            has_more = true;
                            if walk.as_ref().is_none_or(|walk| !walk.has_known_pages()) {
                                self.keep_pages(&window, &now.wanted).await?;
                            }
                            let window = fresh(window, &mut now, &mut recent, self);
                            let wanted = now.wanted.clone();
                            under_way.push(Box::pin(self.send_window(window, wanted, &later)));
                        }
                        Ok(None) => {}
                        Err(error) => failed[now.member] = Some(PieceOutcome::of(error, &now.file.path)),
                    }
                    reading = if has_more {
                        Some(self.read_step(now, walk, None))
                    } else {
                        self.progress.end(&now.file.path.to_string());
                        // The other files of a piece that failed need not be sent.
                        waiting.retain(|next| failed[next.member].is_none());
                        self.begin_file(waiting.pop_front()).await?
                    };
                }
            }
        }
        drop(under_way);
        let mut batch = Batch::default();
        let little = later.take();
        if little.suits_commit() {
            batch.little = little;
        } else {
            self.put_little(little).await?;
        }
        for (queued, failure) in run.into_iter().zip(failed) {
            match failure {
                Some(outcome) => batch.failed.push((queued.index, outcome)),
                None => batch.members.push(queued),
            }
        }
        Ok(batch)
    }

    /// The files of a run with what to send of them. Also in a namespace that holds nothing yet the server is asked: an
    /// upload that was cut before its commit left chunks there, and 32 bytes are little beside a chunk. Those whose chunks are
    /// listed in the metadata are asked about here, so that a file which is on the server is not even read. Those whose version
    /// before is remembered are not asked about, nor are copies of what is on the server as far as this device knows: where it
    /// is wrong the commit is refused, and then the server is asked.
    async fn wait_list(&self, run: &mut [Queued]) -> Result<VecDeque<Waiting>, UploadError> {
        let mut files = VecDeque::new();
        for (member, queued) in run.iter_mut().enumerate() {
            for file in &queued.piece.files {
                let wanted = match &queued.missing {
                    Sent::AllBut(missing) => Wanted::Only(Arc::clone(missing)),
                    Sent::Unknown if queued.attempts == 0 && self.is_there(file).await? => {
                        queued.is_presumed = true;
                        Wanted::Nothing
                    }
                    Sent::Unknown => match self.against(queued, file).await? {
                        Some(against) => Wanted::Against(against),
                        None => Wanted::Ask,
                    },
                };
                files.push_back(Waiting {
                    member,
                    file: file.clone(),
                    wanted,
                    aligned: 0,
                });
            }
        }
        let is_asked = |waiting: &Waiting| matches!(waiting.wanted, Wanted::Ask) && is_inline(&waiting.file);
        let asked = files.iter().filter(|waiting| is_asked(waiting));
        let asked = asked.flat_map(|waiting| chunks_of(&waiting.file));
        let had = Arc::new(self.ask(asked.map(|entry| entry.hash)).await?);
        for waiting in files.iter_mut().filter(|waiting| is_asked(waiting)) {
            waiting.wanted = Wanted::AllBut(Arc::clone(&had));
        }
        Ok(files)
    }

    /// Whether a file on the server has the same content, as far as this device knows.
    async fn is_there(&self, file: &FileToSend) -> Result<bool, UploadError> {
        let file_id = file.content.file_id;
        Ok(self.state.remote_has_content(self.namespace, file_id).await?)
    }

    /// Remembers the pages of a window, for the edit that comes next.
    async fn keep_pages(&self, window: &[PlainChunk], wanted: &Wanted) -> Result<(), UploadError> {
        let is_known = |chunk: &PlainChunk| match wanted {
            Wanted::Against(against) => against.contains(&chunk.hash),
            Wanted::Ask | Wanted::AllBut(_) | Wanted::Only(_) | Wanted::Nothing => false,
        };
        let pages: Vec<_> = window
            .iter()
            .filter(|chunk| chunk.is_page && !is_known(chunk))
            .map(|chunk| EncodedPage {
                hash: chunk.hash,
                bytes: chunk.bytes.to_vec(),
            })
            .collect();
        if !pages.is_empty() {
            self.state.keep_pages(&pages).await?;
        }
        Ok(())
    }

    /// Begins to read the next file. What is known of it is looked up first: a read that waits to be driven must hold nothing
    /// that others may wait for, such as one of the state's few connections.
    async fn begin_file(
        &self,
        next: Option<Waiting>,
    ) -> Result<Option<BoxFuture<'static, ReadStep>>, UploadError> {
        let Some(waiting) = next else { return Ok(None) };
        self.progress.begin(&waiting.file.path.to_string());
        let known = match waiting.wanted {
            Wanted::Nothing => None,
            _ => Known::load(&*self.state, &waiting.file.content).await?,
        };
        Ok(Some(self.read_step(waiting, None, known)))
    }

    /// Reads the next window of a file, opening it first.
    fn read_step(
        &self,
        waiting: Waiting,
        walk: Option<FileWalk>,
        known: Option<Known>,
    ) -> BoxFuture<'static, ReadStep> {
        let fs = Arc::clone(&self.fs);
        let runtime = self.runtime.clone();
        Box::pin(async move { runtime.blocking(move || read(&fs, waiting, walk, known)).await })
    }

    /// Sends what is wanted of a window. Its plaintext is let go of chunk by chunk as it is encoded.
    async fn send_window(
        &self,
        window: Vec<NewChunk>,
        wanted: Wanted,
        later: &Later,
    ) -> Result<(), UploadError> {
        let bytes: u64 = window.iter().map(|chunk| content_len(&chunk.plain)).sum();
        if let Wanted::Against(against) = &wanted {
            self.send_against(window, against, later).await?;
            self.progress.up.bytes(bytes);
            return Ok(());
        }
        let had = match &wanted {
            Wanted::Ask => self.ask(window.iter().map(|chunk| chunk.plain.hash)).await?,
            _ => HashSet::new(),
        };
        let frames = self
            .runtime
            .blocking(move || -> Vec<ChunkFrame> {
                window
                    .into_iter()
                    .map(|chunk| chunk.plain)
                    .filter(|chunk| !had.contains(&chunk.hash))
                    .map(|chunk| ChunkFrame {
                        hash: chunk.hash,
                        is_page: chunk.is_page,
                        chunk: encode_owned(chunk.bytes),
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

fn read(
    fs: &Arc<dyn Filesystem>,
    waiting: Waiting,
    walk: Option<FileWalk>,
    known: Option<Known>,
) -> ReadStep {
    let wanted = |hash: &ChunkHash| waiting.wanted.includes(hash);
    let is_known = matches!(waiting.wanted, Wanted::Nothing) || is_inline(&waiting.file);
    if walk.is_none() && is_known && !chunks_of(&waiting.file).iter().any(|entry| wanted(&entry.hash)) {
        let window = check_unchanged(fs.as_ref(), &waiting.file).map(|()| None);
        return ReadStep {
            waiting,
            walk: None,
            window,
        };
    }
    let opened = match walk {
        Some(walk) => Ok(walk),
        None => FileWalk::open(fs, &waiting.file, known),
    };
    match opened {
        Ok(mut walk) => {
            let window = walk.next_window(&wanted);
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
    waiting: &mut Waiting,
    recent: &mut HashSet<ChunkHash>,
    uploader: &Uploader,
) -> Vec<NewChunk> {
    if recent.len() > RECENT_HASHES {
        recent.clear();
    }
    let bases = match &waiting.wanted {
        Wanted::Against(against) => against.align(&mut waiting.aligned, &window),
        _ => vec![Vec::new(); window.len()],
    };
    let chunks = window
        .into_iter()
        .zip(bases)
        .map(|(plain, base)| NewChunk { plain, base });
    let (fresh, known): (Vec<_>, Vec<_>) = chunks
        .partition(|chunk| waiting.wanted.includes(&chunk.plain.hash) && recent.insert(chunk.plain.hash));
    let known_bytes = known.iter().map(|chunk| content_len(&chunk.plain)).sum();
    uploader.progress.up.bytes(known_bytes);
    fresh
}

/// Bytes of the file in a chunk: none in a page.
fn content_len(chunk: &PlainChunk) -> u64 {
    if chunk.is_page { 0 } else { chunk.len as u64 }
}
