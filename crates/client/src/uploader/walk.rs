//! Reads a file again, in windows, and makes sure that it is still the one that was looked at.

use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use cairn_core::file_hasher::ChunkHasher;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{BODY_BYTES, CHUNK_MAX_BYTES};
use cairn_core::manifest::{ChunkEntry, EncodedPage};

use super::FileToSend;
use crate::fs::{Filesystem, FsError, ReadFile};
use crate::known::{Known, read_chunk};

/// Bytes of chunks after which a window is full. The last read, the chunk that it completes and the pages of a
/// manifest may still join: together they fit a body, whatever compression saves.
pub(super) const WINDOW_BYTES: usize = BODY_BYTES - 4 * CHUNK_MAX_BYTES;
/// Chunks of a window, those included that are not read.
const WINDOW_CHUNKS: usize = 4_096;
/// Bytes of one read: as large as the largest chunk.
const READ_BYTES: usize = CHUNK_MAX_BYTES;

/// A chunk or a page of a manifest, not yet encoded.
#[derive(Debug, Clone)]
pub(super) struct PlainChunk {
    pub(super) hash: ChunkHash,
    pub(super) is_page: bool,
    /// Its length, also where the bytes were not read.
    pub(super) len: usize,
    /// Empty where the server has them.
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
    cuts: Cuts,
    is_known: bool,
    offset: u64,
}

/// Where the file's chunks end.
enum Cuts {
    /// Where they ended when it was looked at.
    Known {
        chunks: vec::IntoIter<ChunkEntry>,
        pages: vec::IntoIter<EncodedPage>,
    },
    /// It is found out anew.
    Sought { hasher: ChunkHasher, buffer: Vec<u8> },
    /// The file was read to its end.
    Over,
}

/// Checks, without reading it, that a file is still the one that was looked at.
pub(super) fn check_unchanged(fs: &dyn Filesystem, file: &FileToSend) -> Result<(), WalkError> {
    match fs.metadata(&file.path)? {
        Some(metadata) if metadata.fingerprint == file.fingerprint => Ok(()),
        _ => Err(WalkError::Changed),
    }
}

impl FileWalk {
    /// Opens a file that should be the one that was looked at. What is `known` of its content is taken for granted: the hashes
    /// tell whether it is still true.
    pub(super) fn open(
        fs: &Arc<dyn Filesystem>,
        file: &FileToSend,
        known: Option<Known>,
    ) -> Result<Self, WalkError> {
        let open = fs.open(&file.path)?;
        if open.metadata()?.fingerprint != file.fingerprint {
            return Err(WalkError::Changed);
        }
        let cuts = match known.or_else(|| Known::inline(&file.content)) {
            Some(known) => Cuts::Known {
                chunks: known.chunks.into_iter(),
                pages: known.pages.into_iter(),
            },
            None => Cuts::Sought {
                hasher: ChunkHasher::new(),
                buffer: vec![0; READ_BYTES],
            },
        };
        Ok(Self {
            fs: Arc::clone(fs),
            file: file.clone(),
            open,
            is_known: matches!(cuts, Cuts::Known { .. }),
            cuts,
            offset: 0,
        })
    }

    /// Whether the manifest's pages come from what is remembered.
    pub(super) const fn has_known_pages(&self) -> bool {
        self.is_known
    }

    /// The next window of chunks; `None` when the file was read to its end and is what it was said to be.
    ///
    /// Where it is known how the file was cut, chunks that are not `wanted` are not read: they are what they were when it was
    /// looked at, or it is looked at again. Pages of a long manifest come behind the chunks that they list.
    pub(super) fn next_window(
        &mut self,
        wanted: &dyn Fn(&ChunkHash) -> bool,
    ) -> Result<Option<Vec<PlainChunk>>, WalkError> {
        match std::mem::replace(&mut self.cuts, Cuts::Over) {
            Cuts::Known { chunks, pages } => self.known_window(chunks, pages, wanted).map(Some),
            Cuts::Sought { hasher, buffer } => self.sought_window(hasher, buffer).map(Some),
            Cuts::Over => Ok(None),
        }
    }

    fn known_window(
        &mut self,
        mut chunks: vec::IntoIter<ChunkEntry>,
        mut pages: vec::IntoIter<EncodedPage>,
        wanted: &dyn Fn(&ChunkHash) -> bool,
    ) -> Result<Vec<PlainChunk>, WalkError> {
        let mut window = Vec::new();
        let mut bytes = 0;
        while bytes < WINDOW_BYTES && window.len() < WINDOW_CHUNKS {
            if let Some(entry) = chunks.next() {
                let chunk = match wanted(&entry.hash) {
                    true => read_chunk(&mut *self.open, self.offset, &entry)?.ok_or(WalkError::Changed)?,
                    false => Bytes::new(),
                };
                self.offset += u64::from(entry.len);
                bytes += chunk.len();
                window.push(PlainChunk {
                    hash: entry.hash,
                    is_page: false,
                    len: entry.len as usize,
                    bytes: chunk,
                });
            } else if let Some(next) = pages.next() {
                bytes += next.bytes.len();
                window.push(page(next));
            } else if self.offset == self.file.content.size {
                self.check_end()?;
                return Ok(window);
            } else {
                return Err(WalkError::Changed);
            }
        }
        self.cuts = Cuts::Known { chunks, pages };
        Ok(window)
    }

    fn sought_window(
        &mut self,
        mut hasher: ChunkHasher,
        mut buffer: Vec<u8>,
    ) -> Result<Vec<PlainChunk>, WalkError> {
        let mut window = Vec::new();
        let mut bytes = 0;
        while bytes < WINDOW_BYTES {
            let len = self.open.read_at(self.offset, &mut buffer)?;
            self.offset += len as u64;
            if self.offset > self.file.content.size {
                return Err(WalkError::Changed);
            }
            let mut piece = &buffer[..len];
            while let Some((entry, plaintext)) =
                hasher.next_chunk(&mut piece).map_err(|_| WalkError::Changed)?
            {
                bytes += plaintext.len();
                window.push(chunk(entry.hash, plaintext));
            }
            window.extend(hasher.take_pages().into_iter().map(page));
            if len < buffer.len() {
                self.finish(hasher, &mut window)?;
                return Ok(window);
            }
        }
        self.cuts = Cuts::Sought { hasher, buffer };
        Ok(window)
    }

    /// Ends the file: the last chunk, the last pages, and the question whether it all belongs together.
    fn finish(&self, mut hasher: ChunkHasher, window: &mut Vec<PlainChunk>) -> Result<(), WalkError> {
        // What a manifest cannot hold is not what was looked at, either.
        if let Some((entry, plaintext)) = hasher.last_chunk().map_err(|_| WalkError::Changed)? {
            window.push(chunk(entry.hash, plaintext));
        }
        let built = hasher.finish().map_err(|_| WalkError::Changed)?;
        window.extend(built.pages.into_iter().map(page));
        if built.file_id != self.file.content.file_id {
            return Err(WalkError::Changed);
        }
        self.check_end()
    }

    /// Whether it was one file in one state all the time.
    fn check_end(&self) -> Result<(), WalkError> {
        if self.open.metadata()?.fingerprint != self.file.fingerprint {
            return Err(WalkError::Changed);
        }
        check_unchanged(self.fs.as_ref(), &self.file)
    }
}

fn chunk(hash: ChunkHash, plaintext: &[u8]) -> PlainChunk {
    PlainChunk {
        hash,
        is_page: false,
        len: plaintext.len(),
        bytes: Bytes::copy_from_slice(plaintext),
    }
}

fn page(page: EncodedPage) -> PlainChunk {
    PlainChunk {
        hash: page.hash,
        is_page: true,
        len: page.bytes.len(),
        bytes: Bytes::from(page.bytes),
    }
}
