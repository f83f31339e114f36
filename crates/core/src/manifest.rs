//! The ordered chunks of a file, and the pages in which a long list of them is kept.
//!
//! Up to [`MANIFEST_INLINE_CHUNKS`] chunks stand in the manifest itself. More of them are a tree: leaf pages list
//! chunks, inner pages list pages, and the manifest names the root. A page ends where the hash of its last entry says
//! so, so that a change in the middle of a file rewrites one page of each level. Pages are stored as chunks, named by
//! their hash. Bytes: `docs/formats-content.md`.
//!
//! [`ManifestBuilder`] writes, [`ManifestReader`] reads; neither touches a store.

mod builder;
mod codec;
mod error;
mod page;
mod reader;

pub use builder::{BuiltManifest, ManifestBuilder};
pub use error::ManifestError;
pub use page::{EncodedPage, PAGE_MAX_BYTES, PAGE_MAX_ENTRIES, PAGE_MIN_ENTRIES, Page, PageEntry};
pub use reader::{ManifestReader, PlacedChunk, Step};

use crate::ids::{ChunkHash, FileId};
use crate::limits::{CHUNK_MAX_BYTES, MANIFEST_INLINE_CHUNKS};
use codec::{FORM_INLINE, FORM_TREE, Input};

/// Levels of pages above a file's chunks. Four hold 300 PB at the usual 256 entries in a page, and a reader never
/// keeps more pages than that.
pub const MANIFEST_MAX_LEVELS: u8 = 4;

/// BLAKE3's context for file ids, so that none equals the hash of a chunk.
const FILE_ID_CONTEXT: &str = "cairn 2026 file id v1";

/// One chunk's place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk.
    pub hash: ChunkHash,
    /// Its length in bytes, 1 to [`crate::limits::CHUNK_MAX_BYTES`].
    pub len: u32,
}

impl ChunkEntry {
    /// The entry of a chunk with these bytes, which must not be more than [`CHUNK_MAX_BYTES`].
    pub fn of(plaintext: &[u8]) -> Self {
        debug_assert!(plaintext.len() <= CHUNK_MAX_BYTES);
        Self {
            hash: ChunkHash::of(plaintext),
            len: plaintext.len() as u32,
        }
    }
}

/// How a file is put together from chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// At most [`crate::limits::MANIFEST_INLINE_CHUNKS`] chunks, listed. Empty for an empty file.
    Inline(Vec<ChunkEntry>),
    /// More of them: a tree of pages, which are stored as chunks themselves.
    Tree {
        /// The page at the top.
        root: ChunkHash,
        /// Levels of pages, at least 1: a root whose entries are the file's chunks.
        levels: u8,
        /// Chunks of the file.
        chunk_count: u64,
    },
}

impl Manifest {
    /// Chunks of the file.
    pub fn chunk_count(&self) -> u64 {
        match self {
            Self::Inline(entries) => entries.len() as u64,
            Self::Tree { chunk_count, .. } => *chunk_count,
        }
    }

    /// The identity of the bytes of a file of `size` bytes with this manifest.
    pub fn file_id(&self, size: u64) -> FileId {
        let mut hasher = blake3::Hasher::new_derive_key(FILE_ID_CONTEXT);
        hasher.update(&self.encode());
        hasher.update(&size.to_le_bytes());
        FileId::new(*hasher.finalize().as_bytes())
    }

    /// Checks that a file of `size` bytes can have this manifest: exactly for an inline one, within the bounds of
    /// its chunks for a tree, whose sums [`ManifestReader`] checks on the way.
    ///
    /// # Errors
    /// [`ManifestError::Totals`] when it cannot.
    pub fn check_size(&self, size: u64) -> Result<(), ManifestError> {
        let fits = match self {
            Self::Inline(entries) => entries.iter().map(|entry| u64::from(entry.len)).sum::<u64>() == size,
            Self::Tree { chunk_count, .. } => page::length_fits(*chunk_count, size),
        };
        if fits { Ok(()) } else { Err(ManifestError::Totals) }
    }

    /// The bytes that are kept in the metadata and sent. Equal manifests encode equally.
    ///
    /// What breaks the bounds (more entries than may stand inline, a chunk of no bytes) encodes to bytes that
    /// [`Self::decode`] refuses.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Inline(entries) => {
                let mut out = codec::header(FORM_INLINE, 2 + entries.len() * 35);
                codec::put_varint(&mut out, entries.len() as u64);
                for entry in entries {
                    codec::put_entry(&mut out, entry);
                }
                out
            }
            Self::Tree {
                root,
                levels,
                chunk_count,
            } => {
                let mut out = codec::header(FORM_TREE, 43);
                out.extend_from_slice(root.as_bytes());
                out.push(*levels);
                codec::put_varint(&mut out, *chunk_count);
                out
            }
        }
    }

    /// Reads what [`Self::encode`] wrote, and nothing else: each manifest has one encoding.
    ///
    /// # Errors
    /// Each variant of [`ManifestError`] that speaks of bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut input = Input::new(bytes);
        let manifest = match input.header()? {
            FORM_INLINE => Self::Inline(input.entries(MANIFEST_INLINE_CHUNKS)?),
            FORM_TREE => {
                let root = input.hash()?;
                let levels = input.byte()?;
                let chunk_count = input.varint()?;
                check_levels(levels, chunk_count)?;
                Self::Tree {
                    root,
                    levels,
                    chunk_count,
                }
            }
            form => return Err(ManifestError::Form(form)),
        };
        input.finish()?;
        Ok(manifest)
    }
}

/// Checks that a tree of so many levels can hold so many chunks, given the bounds of a page.
fn check_levels(levels: u8, chunk_count: u64) -> Result<(), ManifestError> {
    if levels == 0 || levels > MANIFEST_MAX_LEVELS {
        return Err(ManifestError::Levels(levels));
    }
    // Below a root of several levels stand at least two pages, the first of them full at every level.
    let most = (PAGE_MAX_ENTRIES as u64).pow(u32::from(levels));
    let fewest = (PAGE_MIN_ENTRIES as u64).pow(u32::from(levels) - 1) + 1;
    let fewest = fewest.max(MANIFEST_INLINE_CHUNKS as u64 + 1);
    if (fewest..=most).contains(&chunk_count) {
        Ok(())
    } else {
        Err(ManifestError::Levels(levels))
    }
}

#[cfg(test)]
mod tests;
