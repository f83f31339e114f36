//! Contents that come in several requests.
//!
//! Each piece is cut, kept and granted as a file of its own, so that what has come outlasts the server. The whole is cut anew when
//! it is committed, as if it had come at once: its chunks are those of any other copy, and all but a few at the seams
//! are there already.

use cairn_codec::decode_chunk;
use cairn_core::limits;
use cairn_core::node::FileContent;
use cairn_metadata::{PieceOutcome, Upload, UploadId, UploadPiece};

use super::{FileError, FileResult, Files, Ingest, Ingested};
use crate::error::ServiceError;
use crate::service::contents::{ChunkWalk, damaged};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;
/// Pieces that are looked up at once.
const PIECES: usize = 100;
/// Chunks that are read at once: 2 MiB at most.
const BATCH_CHUNKS: usize = 8;

impl Files<'_> {
    /// Begins an upload that is kept for as long as its chunks are.
    pub(crate) async fn begin_upload(&self, concurrent: bool) -> FileResult<UploadId> {
        let now = self.state.runtime.clock.now();
        let upload = Upload {
            account: self.author.account,
            id: UploadId::random(self.state.runtime.entropy.as_ref()),
            concurrent,
            size: 0,
            total: None,
            expires_at: now.plus_millis(limits::GRANT_DAYS * DAY_MS),
        };
        match self.state.metadata.begin_upload(&upload, now).await? {
            true => Ok(upload.id),
            false => Err(FileError::TooManyFiles),
        }
    }

    /// An upload of this account that is still kept.
    pub(crate) async fn find_upload(&self, id: UploadId) -> FileResult<Option<Upload>> {
        let now = self.state.runtime.clock.now();
        let upload = self.state.metadata.upload(self.author.account, id).await?;
        Ok(upload.filter(|upload| upload.expires_at > now))
    }

    /// Adds bytes to an upload.
    pub(crate) async fn add_piece(
        &self,
        id: UploadId,
        start: u64,
        content: &FileContent,
        closes: bool,
    ) -> FileResult<PieceOutcome> {
        let piece = UploadPiece {
            start,
            content: content.clone(),
        };
        let metadata = &self.state.metadata;
        Ok(metadata
            .add_piece(self.author.account, id, &piece, closes)
            .await?)
    }

    /// What an upload holds in all, as one content; `None` when something is missing in between.
    pub(crate) async fn assemble(&self, upload: &Upload) -> FileResult<Option<Ingested>> {
        let mut ingest = Ingest::new(self.state, self.author, self.namespace);
        let mut next = 0;
        loop {
            let metadata = &self.state.metadata;
            let pieces = metadata.pieces(upload.account, upload.id, next, PIECES).await?;
            if pieces.is_empty() {
                break;
            }
            for piece in pieces {
                if piece.start != next {
                    return Ok(None);
                }
                next += piece.content.size;
                if piece.start == 0 && next == upload.size {
                    // It came at once: it is cut already.
                    return Ok(Some(Ingested {
                        content: piece.content,
                        lens: std::collections::BTreeMap::new(),
                    }));
                }
                self.copy(&piece.content, &mut ingest).await?;
            }
        }
        if next != upload.total.unwrap_or(upload.size) {
            return Ok(None);
        }
        Ok(Some(ingest.finish().await?))
    }

    /// Forgets an upload that was committed.
    pub(crate) async fn end_upload(&self, id: UploadId) -> FileResult<()> {
        self.state.metadata.end_upload(self.author.account, id).await?;
        Ok(())
    }

    async fn copy(&self, content: &FileContent, to: &mut Ingest<'_>) -> Result<(), ServiceError> {
        let mut walk =
            ChunkWalk::from_chunk(content, 0).map_err(|error| ServiceError::bad(error.to_string()))?;
        loop {
            let mut hashes = Vec::with_capacity(BATCH_CHUNKS);
            while hashes.len() < BATCH_CHUNKS {
                match walk.next(self.state).await? {
                    Some(entry) => hashes.push(entry.hash),
                    None => break,
                }
            }
            if hashes.is_empty() {
                return Ok(());
            }
            let chunks = self.state.chunks.get_many(&hashes).await;
            for (hash, chunk) in hashes.into_iter().zip(chunks) {
                let chunk = chunk?.ok_or_else(|| damaged(hash, &"it is not in the chunk store"))?;
                let plaintext = self
                    .state
                    .runtime
                    .blocking(move || decode_chunk(&chunk, &hash))
                    .await
                    .map_err(|error| damaged(hash, &error))?;
                to.write(&plaintext).await?;
            }
        }
    }
}
