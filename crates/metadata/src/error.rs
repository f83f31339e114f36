//! What can go wrong at the metadata seam.

use cairn_core::ids::{AccountId, NamespaceId, OpId};

/// Errors that some caller acts on.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    /// An account with this address exists.
    #[error("an account with this address exists already")]
    EmailTaken,
    /// There is no such account.
    #[error("account {0} does not exist")]
    AccountNotFound(AccountId),
    /// There is no such namespace.
    #[error("namespace {0} does not exist")]
    NamespaceNotFound(NamespaceId),
    /// The operation id came with another request before.
    #[error("operation {0} was used for another request")]
    OpIdReused(OpId),
    /// The journal was never where a commit says that its device stood: it is of another history.
    #[error("the journal of namespace {0} is another one than the device has read; read it anew")]
    NotOnChain(NamespaceId),
    /// A commit has too many operations.
    #[error("a commit may have {limit} operations, this one has {count}")]
    TooManyOps {
        /// Operations asked for.
        count: usize,
        /// Operations allowed.
        limit: usize,
    },
    /// The disk of the store is full. Nothing was acknowledged; the same request may be sent again when there is room.
    #[error("the metadata store has no space left")]
    Full,
    /// The store cannot be reached or is busy. Nothing was acknowledged; the same request may be sent again.
    #[error("the metadata store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The store holds what it must not hold. Repeating does not help.
    #[error("the metadata store is damaged: {what}")]
    Corrupt {
        /// What was found.
        what: String,
    },
}

impl MetadataError {
    /// Whether the same request may succeed later.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full)
    }
}
