//! Seam 2: bytes by hash.
//!
//! [`ChunkStore`] keeps chunks. [`MemoryChunks`] is the specification; [`PackChunks`] keeps them in local files, whose
//! bytes are described in `docs/formats-pack.md`. Every store passes [`conformance`].

pub mod conformance;
mod error;
pub mod keyring;
mod memory;
pub mod pack;

pub use cairn_codec::{Codec, EncodedChunk};
pub use error::ChunkError;
pub use memory::MemoryChunks;
pub use pack::PackChunks;

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

impl NewChunk {
    /// Refuses what no store can hold: a chunk longer than any may be, which a reader could not bound.
    pub(crate) fn check(&self) -> Result<()> {
        let longest = self.chunk.bytes.len().max(self.chunk.plain_len as usize);
        if longest > cairn_codec::PLAIN_MAX_BYTES {
            let what = format!("{longest} bytes are more than a chunk may have");
            return Err(ChunkError::Corrupt {
                hash: self.hash,
                what,
            });
        }
        Ok(())
    }
}

/// The epoch of garbage collection in which a chunk was seen alive. Commits refuse leases that are too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lease(pub i64);

/// Keeps chunks.
#[async_trait]
pub trait ChunkStore: Send + Sync + 'static {
    /// Stores chunks; those that are there already are left alone and kept alive, except those that a read has found
    /// damaged: they are stored anew. All are durable when this returns, and every one is readable until at least two
    /// epochs after the returned lease.
    ///
    /// # Errors
    /// [`ChunkError::Full`], [`ChunkError::Io`]: none of the chunks may be relied on.
    async fn put(&self, chunks: Vec<NewChunk>) -> Result<Lease>;

    /// Reads a chunk and checks it against its frame; `None` when it is not there.
    ///
    /// # Errors
    /// [`ChunkError::Corrupt`] when what is stored is not what was put.
    async fn get(&self, hash: &ChunkHash) -> Result<Option<EncodedChunk>>;

    /// Reads chunks, each as [`Self::get`] does, and returns one result for each in order. May look them up together.
    async fn get_many(&self, hashes: &[ChunkHash]) -> Vec<Result<Option<EncodedChunk>>> {
        let mut chunks = Vec::with_capacity(hashes.len());
        for hash in hashes {
            chunks.push(self.get(hash).await);
        }
        chunks
    }

    /// For each hash, whether the chunk is there and alive; those that are, are kept alive under the returned lease.
    async fn touch(&self, hashes: &[ChunkHash]) -> Result<(Vec<bool>, Lease)>;

    /// Lists the chunks that are there, by hash, after `after`, at most `limit`.
    async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Result<Vec<ChunkHash>>;

    /// Finishes what is under way and makes the store ready for the next start. Later calls fail.
    async fn close(&self) -> Result<()>;
}

/// What garbage collection asks of a store, besides keeping chunks.
///
/// A condemned chunk counts as missing in every verb of [`ChunkStore`]; putting it again stores it anew.
#[async_trait]
pub trait CollectableChunks: ChunkStore {
    /// The current epoch, under which leases are handed out.
    fn epoch(&self) -> Lease;

    /// Begins the next epoch and returns it; durable when this returns.
    async fn advance_epoch(&self) -> Result<Lease>;

    /// Condemns those of `unreferenced` that nobody put or touched since the epoch before `round`, each atomically
    /// against `put` and `touch`; says for each whether it is condemned now.
    async fn condemn(&self, unreferenced: &[ChunkHash], round: Lease) -> Result<Vec<bool>>;
}
