//! Reads a file again, in windows, and makes sure that it is still the one that was looked at.

use std::sync::Arc;

use bytes::Bytes;
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{BODY_BYTES, CHUNK_MAX_BYTES};

use super::FileToSend;
use crate::fs::{Filesystem, FsError, ReadFile};

/// Bytes of chunks after which a window is full. The last read, the chunk that it completes and the pages of a
/// manifest may still join: together they fit a body, whatever compression saves.
pub(super) const WINDOW_BYTES: usize = BODY_BYTES - 4 * CHUNK_MAX_BYTES;
/// Bytes of one read: as large as the largest chunk.
const READ_BYTES: usize = CHUNK_MAX_BYTES;

/// A chunk or a page of a manifest, not yet encoded.
#[derive(Debug, Clone)]
pub(super) struct PlainChunk {
    pub(super) hash: ChunkHash,
    pub(super) is_page: bool,
    pub(super) bytes: Bytes,
}

/// Why a file cannot be sent.
#[derive(Debug)]
pub(super) enum WalkError {
    /// It is not the file that was looked at, or did not stay it while it was read.
    Changed,
    /// It cannot be read.
    Fs(FsError),
}

impl From<FsError> for WalkError {
    fn from(error: FsError) -> Self {
        if error.is_not_found() {
            Self::Changed
        } else {
            Self::Fs(error)
        }
    }
}

/// A file that is being read. Keeps one window at most.
pub(super) struct FileWalk {
    fs: Arc<dyn Filesystem>,
    file: FileToSend,
    open: Box<dyn ReadFile>,
    /// `None` after the end.
    hasher: Option<FileHasher>,
    buffer: Vec<u8>,
    offset: u64,
}

/// Checks, without reading it, that a file is still the one that was looked at.
pub(super) fn check_unchanged(fs: &dyn Filesystem, file: &FileToSend) -> Result<(), WalkError> {
    match fs.metadata(&file.path)? {
        Some(metadata) if metadata.fingerprint == file.fingerprint => Ok(()),
        _ => Err(WalkError::Changed),
    }
}

impl FileWalk {
    /// Opens a file.
    pub(super) fn open(fs: &Arc<dyn Filesystem>, file: &FileToSend) -> Result<Self, WalkError> {
        let open = fs.open(&file.path)?;
        if open.metadata()?.fingerprint != file.fingerprint || file.fingerprint.size != file.content.size {
            return Err(WalkError::Changed);
        }
        // One byte more than a small file has, so that its end is seen by the first read.
        let len = usize::try_from(file.content.size + 1).map_or(READ_BYTES, |size| size.min(READ_BYTES));
        Ok(Self {
            fs: Arc::clone(fs),
            file: file.clone(),
            open,
            hasher: Some(FileHasher::new()),
            buffer: vec![0; len],
            offset: 0,
        })
    }

    /// The next window of chunks; `None` when the file was read to its end and is what it was said to be.
    ///
    /// Pages of a long manifest come behind the chunks that they list.
    pub(super) fn next_window(&mut self) -> Result<Option<Vec<PlainChunk>>, WalkError> {
        let Some(mut hasher) = self.hasher.take() else {
            return Ok(None);
        };
        let mut window = Vec::new();
        let mut bytes = 0;
        while bytes < WINDOW_BYTES {
            let len = self.open.read_at(self.offset, &mut self.buffer)?;
            self.offset += len as u64;
            if self.offset > self.file.content.size {
                return Err(WalkError::Changed);
            }
            let mut piece = &self.buffer[..len];
            while let Some((entry, plaintext)) =
                hasher.next_chunk(&mut piece).map_err(|_| WalkError::Changed)?
            {
                bytes += plaintext.len();
                window.push(chunk(entry.hash, plaintext));
            }
            window.extend(hasher.take_pages().into_iter().map(page));
            if len < self.buffer.len() {
                self.finish(hasher, &mut window)?;
                return Ok(Some(window));
            }
        }
        self.hasher = Some(hasher);
        Ok(Some(window))
    }

    /// Ends the file: the last chunk, the last pages, and the question whether it all belongs together.
    fn finish(&self, mut hasher: FileHasher, window: &mut Vec<PlainChunk>) -> Result<(), WalkError> {
        // What a manifest cannot hold is not what was looked at, either.
        if let Some((entry, plaintext)) = hasher.last_chunk().map_err(|_| WalkError::Changed)? {
            window.push(chunk(entry.hash, plaintext));
        }
        let summary = hasher.finish().map_err(|_| WalkError::Changed)?;
        window.extend(summary.pages.into_iter().map(page));
        let is_same = summary.content.file_id == self.file.content.file_id
            && self.open.metadata()?.fingerprint == self.file.fingerprint;
        if !is_same {
            return Err(WalkError::Changed);
        }
        check_unchanged(self.fs.as_ref(), &self.file)
    }
}

fn chunk(hash: ChunkHash, plaintext: &[u8]) -> PlainChunk {
    PlainChunk {
        hash,
        is_page: false,
        bytes: Bytes::copy_from_slice(plaintext),
    }
}

fn page(page: cairn_core::manifest::EncodedPage) -> PlainChunk {
    PlainChunk {
        hash: page.hash,
        is_page: true,
        bytes: Bytes::from(page.bytes),
    }
}
