//! Takes a content in as it comes: cut, encoded, made durable batch by batch, never held whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::BytesMut;
use cairn_chunks::{ChunkKind, NewChunk};
use cairn_codec::encode_chunk;
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;
use cairn_core::manifest::{EncodedPage, ManifestError};
use cairn_core::node::FileContent;

use crate::auth::Author;
use crate::error::ServiceError;
use crate::memory::Reservation;
use crate::state::State;

/// Bytes that are cut and encoded in one trip to the blocking pool.
const PIECE_BYTES: usize = 512 << 10;
/// Encoded bytes that are stored at once.
const BATCH_BYTES: usize = 2 << 20;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// A content on its way in. Nobody can see it before it is committed.
pub(crate) struct Ingest<'s> {
    state: &'s Arc<State>,
    author: Author,
    namespace: NamespaceId,
    hasher: FileHasher,
    piece: BytesMut,
    batch: Vec<NewChunk>,
    batch_bytes: usize,
    lens: BTreeMap<ChunkHash, u32>,
    memory: Reservation<'s>,
}

/// A content that is durable and may be committed.
pub(crate) struct Ingested {
    /// By reference.
    pub(crate) content: FileContent,
    /// Its chunks and pages with the length of each.
    pub(crate) lens: BTreeMap<ChunkHash, u32>,
}

impl<'s> Ingest<'s> {
    /// Begins a content that is to be committed to a namespace.
    pub(crate) fn new(state: &'s Arc<State>, author: Author, namespace: NamespaceId) -> Self {
        Self {
            state,
            author,
            namespace,
            hasher: FileHasher::new(),
            piece: BytesMut::new(),
            batch: Vec::new(),
            batch_bytes: 0,
            lens: BTreeMap::new(),
            memory: state.body_memory.begin(),
        }
    }

    /// Takes the next bytes.
    pub(crate) async fn write(&mut self, block: &[u8]) -> Result<(), ServiceError> {
        for block in block.chunks(PIECE_BYTES) {
            let wanted = self.piece.len() + block.len() + self.batch_bytes;
            // What waits for its turn does not keep what others wait for.
            if !self.memory.try_grow_to(wanted) {
                self.store().await?;
                self.memory.grow_to(self.piece.len() + block.len()).await?;
            }
            self.piece.extend_from_slice(block);
            if self.piece.len() >= PIECE_BYTES {
                self.cut(false).await?;
            }
        }
        Ok(())
    }

    /// Ends the content and makes it durable.
    pub(crate) async fn finish(mut self) -> Result<Ingested, ServiceError> {
        let content = self.end().await?;
        let lens = self.keep().await?;
        Ok(Ingested { content, lens })
    }

    /// Ends the content; what is written next belongs to another one. It is durable once [`Self::keep`] has returned.
    pub(crate) async fn end(&mut self) -> Result<FileContent, ServiceError> {
        self.cut(true).await?;
        let summary = std::mem::take(&mut self.hasher).finish().map_err(too_long)?;
        self.batch.extend(summary.pages.iter().map(page));
        Ok(summary.content)
    }

    /// Makes all contents that were ended durable; their chunks.
    pub(crate) async fn keep(mut self) -> Result<BTreeMap<ChunkHash, u32>, ServiceError> {
        self.store().await?;
        Ok(self.lens)
    }

    async fn cut(&mut self, is_last: bool) -> Result<(), ServiceError> {
        let piece = self.piece.split().freeze();
        let hasher = std::mem::take(&mut self.hasher);
        let work = move || cut(hasher, &piece, is_last);
        let (hasher, chunks) = self.state.runtime.blocking(work).await?;
        self.hasher = hasher;
        self.batch_bytes += chunks.iter().map(|new| new.chunk.bytes.len()).sum::<usize>();
        self.batch.extend(chunks);
        if self.batch_bytes >= BATCH_BYTES {
            self.store().await?;
        }
        Ok(())
    }

    /// Makes the batch durable and lets the account commit it.
    async fn store(&mut self) -> Result<(), ServiceError> {
        let batch = std::mem::take(&mut self.batch);
        self.batch_bytes = 0;
        if batch.is_empty() {
            return Ok(());
        }
        let hashes: Vec<ChunkHash> = batch.iter().map(|new| new.hash).collect();
        self.lens
            .extend(batch.iter().map(|new| (new.hash, new.chunk.plain_len)));
        let lease = self.state.chunks.put(batch).await?;
        let expires_at = self
            .state
            .runtime
            .clock
            .now()
            .plus_millis(limits::GRANT_DAYS * DAY_MS);
        self.state
            .metadata
            .grant(self.namespace, self.author.account, &hashes, lease.0, expires_at)
            .await?;
        self.memory.shrink_to(self.piece.len());
        Ok(())
    }
}

/// Cuts a piece and encodes the chunks that it completes.
fn cut(
    mut hasher: FileHasher,
    mut piece: &[u8],
    is_last: bool,
) -> Result<(FileHasher, Vec<NewChunk>), ServiceError> {
    let mut chunks = Vec::new();
    while let Some((entry, bytes)) = hasher.next_chunk(&mut piece).map_err(too_long)? {
        chunks.push(data(entry.hash, bytes));
    }
    if is_last && let Some((entry, bytes)) = hasher.last_chunk().map_err(too_long)? {
        chunks.push(data(entry.hash, bytes));
    }
    chunks.extend(hasher.take_pages().iter().map(page));
    Ok((hasher, chunks))
}

fn data(hash: ChunkHash, bytes: &[u8]) -> NewChunk {
    NewChunk {
        hash,
        kind: ChunkKind::Data,
        chunk: encode_chunk(bytes),
    }
}

fn page(page: &EncodedPage) -> NewChunk {
    NewChunk {
        hash: page.hash,
        kind: ChunkKind::ManifestPage,
        chunk: encode_chunk(&page.bytes),
    }
}

fn too_long(_: ManifestError) -> ServiceError {
    ServiceError::TooLarge {
        what: "chunks in one file",
        limit: limits::FILE_CHUNKS,
    }
}
