//! Many small files in one commit: their chunks travel in its body.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_codec::encode_owned;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{BODY_BYTES, CHUNK_MIN_BYTES};
use cairn_core::manifest::Manifest;

use super::walk::{FileWalk, WalkError, check_unchanged};
use super::{Batch, FileToSend, PieceOutcome, Queued, Sent, UploadError, Uploader};
use crate::fs::Filesystem;

/// Bytes of a body that neither chunks nor operations may take: its end frame and the message around the operations.
const BODY_SPARE_BYTES: usize = 64 * 1024;

/// What one look at the disk made of a run of pieces.
struct Filled {
    batch: Batch,
    /// Those for which the body had no room, in order.
    left: Vec<Queued>,
}

impl Uploader {
    /// Makes a batch of small pieces, chunks included; what does not fit is returned.
    pub(super) async fn fill_small(
        &self,
        run: Vec<Queued>,
        ops_bytes: usize,
    ) -> Result<(Batch, Vec<Queued>), UploadError> {
        let had = self.ask_for_small(&run).await?;
        let fs = Arc::clone(&self.fs);
        let room = BODY_BYTES.saturating_sub(BODY_SPARE_BYTES + ops_bytes);
        let filled = self.runtime.blocking(move || fill(&fs, run, &had, room)).await;
        Ok((filled.batch, filled.left))
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

/// Reads and encodes pieces until the body is full.
fn fill(fs: &Arc<dyn Filesystem>, run: Vec<Queued>, had: &HashSet<ChunkHash>, room: usize) -> Filled {
    let mut batch = Batch::default();
    let mut in_body = HashSet::new();
    let mut taken = 0;
    let mut pieces = run.into_iter();
    let mut left = Vec::new();
    for queued in pieces.by_ref() {
        let plain = usize::try_from(queued.piece.size()).unwrap_or(usize::MAX);
        if !batch.is_empty() && taken + plain > room {
            left.push(queued);
            break;
        }
        match read_piece(fs, &queued, had, &in_body) {
            Ok(frames) => {
                in_body.extend(frames.iter().map(|frame| frame.hash));
                taken += frames.iter().map(wire_len).sum::<usize>();
                batch.chunks.extend(frames);
                batch.members.push(queued);
            }
            Err(outcome) => batch.failed.push((queued.index, outcome)),
        }
    }
    left.extend(pieces);
    Filled { batch, left }
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
    in_body: &HashSet<ChunkHash>,
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
                if is_wanted && !in_body.contains(&hash) && own.insert(hash) {
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
    while let Some(window) = walk.next_window()? {
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
