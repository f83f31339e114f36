//! Contents that come in several requests, until they are committed.

use async_trait::async_trait;
use cairn_core::ids::AccountId;
use cairn_core::node::FileContent;
use cairn_core::runtime::Entropy;
use cairn_core::time::Timestamp;

use crate::Result;

/// Uploads of one account that may be open at once.
pub const UPLOADS_PER_ACCOUNT: usize = 10_000;

/// Names an upload within its account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(pub [u8; 16]);

impl UploadId {
    /// Draws one.
    pub fn random(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(bytes)
    }
}

/// A content on its way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Whose.
    pub account: AccountId,
    /// Its name.
    pub id: UploadId,
    /// Whether its pieces may come in any order; else each begins where the one before ended.
    pub concurrent: bool,
    /// Bytes that have come.
    pub size: u64,
    /// Bytes in all, once that is known: nothing comes behind them.
    pub total: Option<u64>,
    /// After this instant it is forgotten.
    pub expires_at: Timestamp,
}

/// Bytes that came together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadPiece {
    /// Where they begin.
    pub start: u64,
    /// What they are, cut as a file of their own.
    pub content: FileContent,
}

/// What became of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PieceOutcome {
    /// It is kept.
    Added,
    /// There is no such upload.
    Unknown,
    /// Nothing comes behind what was there.
    Closed,
    /// It does not begin where the bytes end that have come.
    WrongStart {
        /// Where they end.
        size: u64,
    },
}

/// Keeps uploads. Part of [`crate::MetadataStore`]: each call is atomic and, where it writes, durable when it returns.
#[async_trait]
pub trait UploadStore: Send + Sync + 'static {
    /// Begins an upload, and forgets those of the account that expired before `now`. False when there are
    /// [`UPLOADS_PER_ACCOUNT`] others.
    async fn begin_upload(&self, upload: &Upload, now: Timestamp) -> Result<bool>;

    /// Finds an upload.
    async fn upload(&self, account: AccountId, id: UploadId) -> Result<Option<Upload>>;

    /// Adds a piece; an empty one adds nothing. `closes`: nothing comes behind it. A piece of a concurrent upload replaces
    /// one that begins at the same byte.
    async fn add_piece(
        &self,
        account: AccountId,
        id: UploadId,
        piece: &UploadPiece,
        closes: bool,
    ) -> Result<PieceOutcome>;

    /// Lists pieces by where they begin, from `from` on, at most `limit`.
    async fn pieces(
        &self,
        account: AccountId,
        id: UploadId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<UploadPiece>>;

    /// Forgets an upload; false when there was none.
    async fn end_upload(&self, account: AccountId, id: UploadId) -> Result<bool>;
}

impl Upload {
    /// What becomes of a piece, as every store decides it; `None`: it is added.
    pub(crate) fn refuses(&self, piece: &UploadPiece) -> Option<PieceOutcome> {
        let end = piece.start.saturating_add(piece.content.size);
        if self.concurrent {
            return self
                .total
                .is_some_and(|total| end > total)
                .then_some(PieceOutcome::Closed);
        }
        if self.total.is_some() {
            return Some(PieceOutcome::Closed);
        }
        (piece.start != self.size).then_some(PieceOutcome::WrongStart { size: self.size })
    }
}
