//! Many small files in one commit: their chunks travel in its body.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_codec::encode_owned;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{BODY_BYTES, CHUNK_MIN_BYTES};
use cairn_core::manifest::Manifest;
use futures::stream::{FuturesOrdered, StreamExt};

use super::queue::{Queued, Sent};
use super::walk::{FileWalk, WalkError, check_unchanged};
use super::{Batch, FileToSend, PieceOutcome, UploadError, Uploader};
use crate::fs::Filesystem;

/// Bytes of a body that neither chunks nor operations may take: its end frame and the message around the operations.
const BODY_SPARE_BYTES: usize = 64 * 1024;

/// Content that is read and encoded by one thread before it hands it over.
const SHARE_BYTES: u64 = 1024 * 1024;
/// Threads that read and encode at once. More would have little to do on most machines: another one scans, and the server
/// may run beside.
const SHARES: usize = 2;

/// A piece with the chunks of it that must be sent, or with what kept it from being read.
type Encoded = (Queued, Result<Vec<ChunkFrame>, PieceOutcome>);

/// A body that is being filled.
struct Filling {
    batch: Batch,
    in_body: HashSet<ChunkHash>,
    /// Bytes on the wire that the body may still take.
    room: usize,
    is_full: bool,
    /// Those for which there was no room, in order.
    left: Vec<Queued>,
}

impl Uploader {
    /// Makes a batch of small pieces, chunks included; what does not fit is returned.
    pub(super) async fn fill_small(
        &self,
        run: Vec<Queued>,
        ops_bytes: usize,
    ) -> Result<(Batch, Vec<Queued>), UploadError> {
        let had = Arc::new(self.ask_for_small(&run).await?);
        let most = BODY_BYTES.saturating_sub(BODY_SPARE_BYTES + ops_bytes);
        let mut filling = Filling {
            batch: Batch::default(),
            in_body: HashSet::new(),
            room: self.pace.next(self.runtime.clock.now()).min(most),
            is_full: false,
            left: Vec::new(),
        };
        let mut shares = shares(run);
        let mut under_way = FuturesOrdered::new();
        loop {
            while under_way.len() < SHARES
                && !filling.is_full
                && let Some(share) = shares.pop_front()
            {
                let (fs, had) = (Arc::clone(&self.fs), Arc::clone(&had));
                under_way.push_back(self.runtime.blocking(move || encode(&fs, share, &had)));
            }
            // What is under way when the body is full is encoded for the next one.
            match under_way.next().await {
                Some(encoded) => encoded.into_iter().for_each(|one| filling.add(one)),
                None => break,
            }
        }
        filling.left.extend(shares.into_iter().flatten());
        Ok((filling.batch, filling.left))
    }

    /// The chunks of a run that need not be sent.
    ///
    /// Asking costs a round trip, sending what is there costs bytes. A file below the shortest chunk is asked about with
    /// 32 bytes, sent with a few kilobytes, and seldom there. So only longer ones are asked about, and only when they add
    /// up: a save of a few files, or a million of tiny ones, takes one request a commit.
    async fn ask_for_small(&self, run: &[Queued]) -> Result<HashSet<ChunkHash>, UploadError> {
        const WORTH_BYTES: u64 = 256 * 1024;
        let candidates: Vec<_> = run
            .iter()
            .filter(|queued| queued.asks())
            .flat_map(|queued| &queued.piece.files)
            .filter(|file| file.content.size >= CHUNK_MIN_BYTES as u64)
            .flat_map(chunks_of)
            .collect();
        let bytes: u64 = candidates.iter().map(|entry| u64::from(entry.len)).sum();
        if bytes < WORTH_BYTES {
            return Ok(HashSet::new());
        }
        self.ask(candidates.iter().map(|entry| entry.hash)).await
    }
}

/// The chunks that a file's manifest names outright.
pub(super) fn chunks_of(file: &FileToSend) -> &[cairn_core::manifest::ChunkEntry] {
    match &file.content.manifest {
        Manifest::Inline(entries) => entries,
        Manifest::Tree { .. } => &[],
    }
}

impl Filling {
    /// Adds a piece, or keeps it with what was encoded of it.
    fn add(&mut self, (mut queued, encoded): Encoded) {
        let mut frames = match encoded {
            Ok(frames) => frames,
            Err(outcome) => return self.batch.failed.push((queued.index, outcome)),
        };
        let is_new = |frame: &ChunkFrame| !self.in_body.contains(&frame.hash);
        let len: usize = frames.iter().filter(|frame| is_new(frame)).map(wire_len).sum();
        if self.is_full || (len > self.room && !self.batch.is_empty()) {
            self.is_full = true;
            queued.encoded = Some(frames);
            self.left.push(queued);
            return;
        }
        frames.retain(|frame| self.in_body.insert(frame.hash));
        self.room = self.room.saturating_sub(len);
        self.batch.chunks.extend(frames);
        self.batch.members.push(queued);
    }
}

/// Cuts a run into what one thread reads at once.
fn shares(run: Vec<Queued>) -> VecDeque<Vec<Queued>> {
    let mut shares: VecDeque<Vec<Queued>> = VecDeque::new();
    let mut bytes = SHARE_BYTES;
    for queued in run {
        if bytes >= SHARE_BYTES {
            shares.push_back(Vec::new());
            bytes = 0;
        }
        bytes += queued.piece.size();
        if let Some(share) = shares.back_mut() {
            share.push(queued);
        }
    }
    shares
}

/// Reads and encodes pieces that are not encoded yet.
fn encode(fs: &Arc<dyn Filesystem>, share: Vec<Queued>, had: &HashSet<ChunkHash>) -> Vec<Encoded> {
    let encode_one = |mut queued: Queued| {
        let encoded = match queued.encoded.take() {
            Some(frames) => Ok(frames),
            None => read_piece(fs, &queued, had),
        };
        (queued, encoded)
    };
    share.into_iter().map(encode_one).collect()
}

fn wire_len(frame: &ChunkFrame) -> usize {
    // A frame's bytes are shared: the copy is of its fields alone.
    Frame::Chunk(frame.clone()).wire_len()
}

/// The chunks of a piece that must be sent, encoded.
fn read_piece(
    fs: &Arc<dyn Filesystem>,
    queued: &Queued,
    had: &HashSet<ChunkHash>,
) -> Result<Vec<ChunkFrame>, PieceOutcome> {
    let mut frames: Vec<ChunkFrame> = Vec::new();
    let mut own = HashSet::new();
    for file in &queued.piece.files {
        read_file(
            fs,
            file,
            &mut |hash, is_page, bytes: Bytes| {
                let is_wanted = match &queued.missing {
                    Sent::Unknown => !had.contains(&hash),
                    Sent::AllBut(missing) => missing.contains(&hash),
                };
                if is_wanted && own.insert(hash) {
                    frames.push(ChunkFrame {
                        hash,
                        is_page,
                        chunk: encode_owned(bytes),
                    });
                }
            },
            |hash| matches!(queued.missing, Sent::Unknown) && had.contains(hash),
        )
        .map_err(|error| PieceOutcome::of(error, &file.path))?;
    }
    Ok(frames)
}

/// Reads a file, unless all of its chunks are on the server: then it is enough that it is still the same.
fn read_file(
    fs: &Arc<dyn Filesystem>,
    file: &FileToSend,
    give: &mut dyn FnMut(ChunkHash, bool, Bytes),
    is_had: impl Fn(&ChunkHash) -> bool,
) -> Result<(), WalkError> {
    if chunks_of(file).iter().all(|entry| is_had(&entry.hash)) && is_inline(file) {
        return check_unchanged(fs.as_ref(), file);
    }
    let mut walk = FileWalk::open(fs, file, None)?;
    while let Some(window) = walk.next_window(&|_| true)? {
        for chunk in window {
            give(chunk.hash, chunk.is_page, chunk.bytes);
        }
    }
    Ok(())
}

/// Whether the manifest names every chunk.
pub(super) const fn is_inline(file: &FileToSend) -> bool {
    matches!(file.content.manifest, Manifest::Inline(_))
}
