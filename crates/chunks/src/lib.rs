//! Seam 2: bytes by hash.
//!
//! [`ChunkStore`] keeps chunks. The in-memory store is the specification; `pack` keeps them in local files. Every
//! store passes [`conformance`].

mod error;

pub use cairn_codec::{Codec, EncodedChunk};
pub use error::ChunkError;

use async_trait::async_trait;
use cairn_core::ids::ChunkHash;

/// The result of every verb.
pub type Result<T> = std::result::Result<T, ChunkError>;

/// What a chunk is for; recovery and gc treat both alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChunkKind {
    /// A piece of a file.
    Data,
    /// A page of a manifest.
    ManifestPage,
}

/// A chunk on its way into the store. The caller has checked that `chunk` decodes to bytes that hash to `hash`.
#[derive(Debug, Clone)]
pub struct NewChunk {
    /// Its name.
    pub hash: ChunkHash,
    /// What it is for.
    pub kind: ChunkKind,
    /// Its bytes.
    pub chunk: EncodedChunk,
}

/// The epoch of garbage collection in which a chunk was seen alive. Commits refuse leases that are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(pub i64);

/// Keeps chunks.
#[async_trait]
pub trait ChunkStore: Send + Sync + 'static {
    /// Stores chunks; those that are there already are left alone and kept alive. All are durable when this returns,
    /// and every one is readable until at least two epochs after the returned lease.
    ///
    /// # Errors
    /// [`ChunkError::Full`], [`ChunkError::Io`]: none of the chunks may be relied on.
    async fn put(&self, chunks: Vec<NewChunk>) -> Result<Lease>;

    /// Reads a chunk and checks it against its frame; `None` when it is not there.
    ///
    /// # Errors
    /// [`ChunkError::Corrupt`] when what is stored is not what was put.
    async fn get(&self, hash: &ChunkHash) -> Result<Option<EncodedChunk>>;

    /// For each hash, whether the chunk is there and alive; those that are, are kept alive under the returned lease.
    async fn touch(&self, hashes: &[ChunkHash]) -> Result<(Vec<bool>, Lease)>;

    /// Lists the chunks that are there, by hash, after `after`, at most `limit`.
    async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Result<Vec<ChunkHash>>;

    /// Finishes what is under way and makes the store ready for the next start. Later calls fail.
    async fn close(&self) -> Result<()>;
}
