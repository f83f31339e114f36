//! What a file can be put together from without asking the server, and how it is written.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use cairn_codec::{decode_chunk, decode_delta};
use cairn_core::ids::ChunkHash;
use cairn_core::limits::CHUNK_MAX_BYTES;
use cairn_core::manifest::PlacedChunk;

use super::Wanted;
use super::incoming::Part;
use super::older::Older;
use crate::fs::{DiskPath, Filesystem, FsResult, ReadFile, StageFile};
use crate::remote::RemoteError;

/// Shorter files are copied sooner than shared.
const WORTH_SHARING_BYTES: u64 = 1024 * 1024;

/// A staged file that several requests fill at once.
pub(super) type SharedStage = Arc<Mutex<Box<dyn StageFile>>>;

/// A chunk as it arrived, with its place.
pub(super) struct Arrived {
    pub(super) placed: PlacedChunk,
    pub(super) part: Part,
    /// What a delta is applied to.
    pub(super) base: Vec<Bytes>,
}

/// Why chunks that arrived were not written.
#[derive(Debug)]
pub(super) enum WriteError {
    /// One is not what its name says.
    Damaged,
    /// The disk refused.
    Fs(crate::fs::FsError),
}

impl From<WriteError> for super::DownloadError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Damaged => Self::Remote(Arc::new(RemoteError::DamagedChunk {
                server: "the server".to_owned(),
            })),
            WriteError::Fs(error) => Self::Fs(error),
        }
    }
}

/// Decodes chunks, checks each against the manifest, and writes them.
pub(super) fn write_chunks(stage: &SharedStage, arrived: &[Arrived]) -> Result<(), WriteError> {
    for Arrived { placed, part, base } in arrived {
        let plaintext = decode(part, base, &placed.entry.hash, placed.entry.len)?;
        stage
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_at(placed.offset, &plaintext)
            .map_err(WriteError::Fs)?;
    }
    Ok(())
}

fn decode(part: &Part, base: &[Bytes], hash: &ChunkHash, len: u32) -> Result<Bytes, WriteError> {
    let (decoded, is_page) = match part {
        Part::Whole(frame) => (decode_chunk(&frame.chunk, hash), frame.is_page),
        Part::Delta(frame) => (decode_delta(&frame.delta, &base.concat(), hash), frame.is_page),
    };
    match decoded {
        Ok(plaintext) if plaintext.len() == len as usize && !is_page => Ok(plaintext),
        _ => Err(WriteError::Damaged),
    }
}

/// Fills a staged file from what it holds already, from a local file with the same content and from the older version; returns
/// the chunks that are still missing. Whatever is found is believed only after hashing.
pub(super) fn fill_from_disk(
    fs: &dyn Filesystem,
    wanted: &Wanted,
    source: Option<&DiskPath>,
    older: Option<&Older>,
    chunks: Vec<PlacedChunk>,
) -> FsResult<(SharedStage, Vec<PlacedChunk>)> {
    let is_shared = share(fs, wanted, source, older)?;
    let held = fs
        .staged(&wanted.staged)?
        .map_or(0, |metadata| metadata.fingerprint.size);
    // Of what is shared with the older version only what stands where it stood is worth a look.
    let shared_with = older.filter(|_| is_shared && source.is_none());
    let may_hold = |chunk: &PlacedChunk| {
        let is_within = chunk.offset + u64::from(chunk.entry.len) <= held;
        is_within && shared_with.is_none_or(|older| older.base.has_at(&chunk.entry.hash, chunk.offset))
    };
    // A source that is gone meanwhile is no failure: the server has it all.
    let mut source = source.and_then(|path| fs.open(path).ok());
    let mut old_file = older.and_then(|older| fs.open(&older.path).ok());
    let mut stage = fs.stage(&wanted.staged)?;
    let mut buffer = vec![0; CHUNK_MAX_BYTES];
    let mut missing = Vec::new();
    for chunk in chunks {
        let piece = &mut buffer[..chunk.entry.len as usize];
        if may_hold(&chunk) {
            let len = stage.read_at(chunk.offset, piece)?;
            if is_whole(&chunk, &piece[..len]) {
                continue;
            }
        }
        let old_place = older.and_then(|older| older.base.place_of(&chunk.entry.hash));
        let is_copied = copied(source.as_deref_mut(), chunk.offset, &chunk, piece)
            || old_place.is_some_and(|(offset, _)| copied(old_file.as_deref_mut(), offset, &chunk, piece));
        if is_copied {
            stage.write_at(chunk.offset, piece)?;
        } else {
            missing.push(chunk);
        }
    }
    Ok((Arc::new(Mutex::new(stage)), missing))
}

/// Has a staged file that is not begun share its bytes with the local file that has most of them; whether it does.
fn share(
    fs: &dyn Filesystem,
    wanted: &Wanted,
    source: Option<&DiskPath>,
    older: Option<&Older>,
) -> FsResult<bool> {
    let Some(path) = source.or(older.map(|older| &older.path)) else {
        return Ok(false);
    };
    let is_begun = fs
        .staged(&wanted.staged)?
        .is_some_and(|metadata| metadata.fingerprint.size > 0);
    if is_begun || wanted.content.size < WORTH_SHARING_BYTES {
        return Ok(false);
    }
    match fs.stage_clone(&wanted.staged, path) {
        // Gone or out of reach meanwhile: it comes from the server.
        Err(error) if !error.is_full() => Ok(false),
        shared => shared,
    }
}

/// Reads a chunk from a local file; whether it is the right one.
fn copied(
    source: Option<&mut (dyn ReadFile + 'static)>,
    offset: u64,
    chunk: &PlacedChunk,
    piece: &mut [u8],
) -> bool {
    let Some(source) = source else { return false };
    // A file that cannot be read is as good as none.
    source
        .read_at(offset, piece)
        .is_ok_and(|len| is_whole(chunk, &piece[..len]))
}

fn is_whole(chunk: &PlacedChunk, bytes: &[u8]) -> bool {
    bytes.len() == chunk.entry.len as usize && ChunkHash::of(bytes) == chunk.entry.hash
}

/// Makes a staged file whole: its length, mode and time, durably.
pub(super) fn finish(stage: &SharedStage, wanted: &Wanted) -> FsResult<()> {
    stage.lock().unwrap_or_else(PoisonError::into_inner).finish(
        wanted.content.size,
        wanted.executable,
        wanted.mtime,
    )
}

/// As [`finish`], of a file that becomes durable with its group.
pub(super) fn prepare(stage: &SharedStage, wanted: &Wanted) -> FsResult<()> {
    stage.lock().unwrap_or_else(PoisonError::into_inner).prepare(
        wanted.content.size,
        wanted.executable,
        wanted.mtime,
    )
}
