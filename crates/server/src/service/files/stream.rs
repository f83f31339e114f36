//! Sends contents, or ranges of them, as plain bytes.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use cairn_codec::decode_chunk;
use cairn_core::manifest::PlacedChunk;
use cairn_core::node::FileContent;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::error::ServiceError;
use crate::memory;
use crate::service::contents::{ChunkWalk, damaged};
use crate::state::State;

/// Bytes of a file: from the first on, before the last.
pub(crate) type ByteRange = Range<u64>;

/// How long a download waits for its turn.
const DOWNLOAD_WAIT: std::time::Duration = std::time::Duration::from_secs(20);
/// Chunks that are read at once: 2 MiB at most.
const BATCH_CHUNKS: usize = 8;

/// Starts to send a range of a content, which must lie within it. The stream breaks when a chunk cannot be read.
pub(crate) async fn content(
    state: &Arc<State>,
    file: FileContent,
    range: ByteRange,
) -> Result<mpsc::Receiver<Result<Bytes, ServiceError>>, ServiceError> {
    Downloader::start(state, |downloader| async move {
        let sent = downloader.content(&file, range).await;
        (downloader, sent.map(|_| ()))
    })
    .await
}

/// One end of a body that is being made.
pub(super) struct Downloader {
    pub(super) state: Arc<State>,
    blocks: mpsc::Sender<Result<Bytes, ServiceError>>,
    _turn: OwnedSemaphorePermit,
}

impl Downloader {
    /// Waits for a turn and lets `make` send a body, which breaks when it fails.
    pub(super) async fn start<F, M>(
        state: &Arc<State>,
        make: M,
    ) -> Result<mpsc::Receiver<Result<Bytes, ServiceError>>, ServiceError>
    where
        F: Future<Output = (Self, Result<(), ServiceError>)> + Send + 'static,
        M: FnOnce(Self) -> F,
    {
        let turn = memory::acquire(&state.downloads, 1, DOWNLOAD_WAIT).await?;
        let (blocks, stream) = mpsc::channel(1);
        let made = make(Self {
            state: Arc::clone(state),
            blocks,
            _turn: turn,
        });
        state.spawn("download", async move {
            let (downloader, sent) = made.await;
            if let Err(error) = sent {
                tracing::error!(%error, "a download was cut");
                // The reader must not take what it has for the whole; who has gone does not care.
                drop(downloader.blocks.send(Err(error)).await);
            }
        });
        Ok(stream)
    }

    /// Sends a block; whether the reader is still there.
    pub(super) async fn block(&self, block: Bytes) -> bool {
        let patience = self.state.config.download_stall_timeout;
        self.blocks.send_timeout(Ok(block), patience).await.is_ok()
    }

    /// Sends a range of a content; whether the reader is still there.
    pub(super) async fn content(&self, file: &FileContent, range: ByteRange) -> Result<bool, ServiceError> {
        let mut walk = ChunkWalk::from_offset(file, range.start)
            .map_err(|error| ServiceError::bad(error.to_string()))?;
        let mut batch: Vec<PlacedChunk> = Vec::with_capacity(BATCH_CHUNKS);
        while let Some(chunk) = walk.next_placed(&self.state).await? {
            if chunk.offset >= range.end {
                break;
            }
            batch.push(chunk);
            if batch.len() == BATCH_CHUNKS && !self.chunks(&mut batch, &range).await? {
                return Ok(false);
            }
        }
        self.chunks(&mut batch, &range).await
    }

    async fn chunks(&self, batch: &mut Vec<PlacedChunk>, range: &ByteRange) -> Result<bool, ServiceError> {
        let hashes: Vec<_> = batch.iter().map(|chunk| chunk.entry.hash).collect();
        let chunks = self.state.chunks.get_many(&hashes).await;
        for (PlacedChunk { entry, offset, .. }, chunk) in batch.drain(..).zip(chunks) {
            let chunk = chunk?.ok_or_else(|| damaged(entry.hash, &"it is not in the chunk store"))?;
            let hash = entry.hash;
            let decoded = self
                .state
                .runtime
                .blocking(move || decode_chunk(&chunk, &hash))
                .await;
            let plaintext = decoded.map_err(|error| damaged(hash, &error))?;
            if plaintext.len() != entry.len as usize {
                return Err(damaged(hash, &"it is not as long as the manifest says"));
            }
            let from = range.start.saturating_sub(offset) as usize;
            let to = (range.end - offset).min(u64::from(entry.len)) as usize;
            if !self.block(plaintext.slice(from..to)).await {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
