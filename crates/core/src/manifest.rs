//! The ordered chunks of a file.

use crate::ids::ChunkHash;

/// One chunk's place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkEntry {
    /// The chunk.
    pub hash: ChunkHash,
    /// Its length in bytes, 1 to [`crate::limits::CHUNK_MAX_BYTES`].
    pub len: u32,
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
