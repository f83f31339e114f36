//! Uploads.

use std::collections::BTreeMap;

use async_trait::async_trait;
use cairn_core::ids::AccountId;
use cairn_core::node::FileContent;
use cairn_core::time::Timestamp;

use super::{MemoryMetadata, State};
use crate::{PieceOutcome, Result, UPLOADS_PER_ACCOUNT, Upload, UploadId, UploadPiece, UploadStore};

/// An upload with its pieces by where they begin.
#[derive(Debug, Clone)]
pub(super) struct Open {
    upload: Upload,
    pieces: BTreeMap<u64, FileContent>,
}

impl State {
    /// Forgets what expired before `now`, of one account or of all.
    pub(super) fn forget_expired_uploads(&mut self, account: Option<AccountId>, now: Timestamp) {
        self.uploads.retain(|(owner, _), open| {
            account.is_some_and(|account| account != *owner) || open.upload.expires_at >= now
        });
    }
}

#[async_trait]
impl UploadStore for MemoryMetadata {
    async fn begin_upload(&self, upload: &Upload, now: Timestamp) -> Result<bool> {
        let mut state = self.lock();
        state.forget_expired_uploads(Some(upload.account), now);
        let is_own = |open: &Open| open.upload.account == upload.account;
        if state.uploads.values().filter(|open| is_own(open)).count() >= UPLOADS_PER_ACCOUNT {
            return Ok(false);
        }
        let open = Open {
            upload: upload.clone(),
            pieces: BTreeMap::new(),
        };
        state.uploads.insert((upload.account, upload.id), open);
        Ok(true)
    }

    async fn upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>> {
        Ok(self
            .lock()
            .uploads
            .get(&(account, id))
            .map(|open| open.upload.clone()))
    }

    async fn add_piece(
        &self,
        account: AccountId,
        id: UploadId,
        piece: &UploadPiece,
        closes: bool,
    ) -> Result<PieceOutcome> {
        let mut state = self.lock();
        let Some(open) = state.uploads.get_mut(&(account, id)) else {
            return Ok(PieceOutcome::Unknown);
        };
        if let Some(refusal) = open.upload.refuses(piece) {
            return Ok(refusal);
        }
        if piece.content.size > 0 {
            open.pieces.insert(piece.start, piece.content.clone());
        }
        open.upload.size = open.pieces.values().map(|content| content.size).sum();
        if closes {
            open.upload.total = Some(piece.start + piece.content.size);
        }
        Ok(PieceOutcome::Added)
    }

    async fn pieces(
        &self,
        account: AccountId,
        id: UploadId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<UploadPiece>> {
        let state = self.lock();
        let open = state.uploads.get(&(account, id));
        let pieces = open.into_iter().flat_map(|open| open.pieces.range(from..));
        let piece = |(start, content): (&u64, &FileContent)| UploadPiece {
            start: *start,
            content: content.clone(),
        };
        Ok(pieces.map(piece).take(limit).collect())
    }

    async fn end_upload(&self, account: AccountId, id: UploadId) -> Result<bool> {
        Ok(self.lock().uploads.remove(&(account, id)).is_some())
    }
}
