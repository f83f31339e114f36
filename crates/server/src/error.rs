//! What can go wrong in a service, and the one place that says how it looks on the wire.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::FrameError;
use cairn_chunks::ChunkError;
use cairn_core::ids::ChunkHash;
use cairn_metadata::{MetadataError, Scope};

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The request makes no sense or breaks a limit.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// The body is not a sequence of frames.
    #[error("the body cannot be read: {0}")]
    Frame(FrameError),
    /// No token, or one that is unknown or revoked.
    #[error("this device is not linked (any more): log in again")]
    NotAuthenticated,
    /// A token whose time is over.
    #[error("this device's link has expired: log in again")]
    TokenExpired,
    /// Unknown address or wrong password; which of them is not told.
    #[error("the e-mail address or the password is wrong")]
    WrongCredentials,
    /// The password is right, and the account asks for a code as well.
    #[error("this account asks for a code of its authenticator as well")]
    SecondFactorNeeded,
    /// A code that is wrong or was used.
    #[error("the code is wrong, or was used already")]
    WrongCode,
    /// The account is locked.
    #[error("this account is locked: ask the server's administrator")]
    AccountLocked,
    /// The device was unlinked and is to delete what it keeps.
    #[error("this device was unlinked: it deletes what it keeps of this account")]
    WipeAsked,
    /// The token may not do this.
    #[error("this token lacks the scope {}: link the app again, asking for it", .0.name())]
    MissingScope(Scope),
    /// The thing does not exist, or not for this account.
    #[error("{0} does not exist")]
    NotFound(&'static str),
    /// A body or list is longer than allowed.
    #[error("{what}: at most {limit} are allowed")]
    TooLarge {
        /// What is too long.
        what: &'static str,
        /// How many bytes or items are allowed.
        limit: usize,
    },
    /// Too many requests.
    #[error("too many requests: try again in {} s", retry_after.as_secs() + 1)]
    RateLimited {
        /// When to try again.
        retry_after: Duration,
    },
    /// A chunk's bytes do not have its name, its length or its checksum.
    #[error("chunk {hash} is not what its name says: nothing of this request was kept")]
    HashMismatch {
        /// The name.
        hash: ChunkHash,
    },
    /// A delta whose base the caller cannot read, or that does not make the chunk that it names. Which is not told.
    #[error(
        "the delta for chunk {hash} cannot be used: send the chunk whole; nothing of this request was kept"
    )]
    DeltaRefused {
        /// The chunk.
        hash: ChunkHash,
    },
    /// The body came too slowly.
    #[error("the request's body did not arrive in time")]
    Timeout,
    /// The connection broke while the body was read. Nobody will see the answer.
    #[error("the connection broke within the body")]
    Disconnected(#[source] axum::Error),
    /// Another version of the protocol.
    #[error(
        "this server speaks version {} of the protocol: update the older side",
        cairn_api::sync::PROTOCOL_VERSION
    )]
    UnsupportedVersion,
    /// There is too much to do at the moment, or the server is stopping.
    #[error("the server is busy")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// A page of a manifest that is referenced is lost or damaged in the chunk store.
    #[error("chunk {hash}, which is referenced, cannot be read: {what}")]
    Damaged {
        /// The chunk.
        hash: ChunkHash,
        /// What is wrong with it.
        what: String,
    },
    /// The password could not be hashed or a stored hash cannot be read.
    #[error("the password cannot be processed: {what}")]
    Password {
        /// What failed.
        what: String,
    },
    /// The metadata store failed.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The chunk store failed.
    #[error(transparent)]
    Chunks(#[from] ChunkError),
}

impl ServiceError {
    /// A refusal of a malformed request.
    pub(crate) fn bad(what: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(what.into())
    }

    /// Whether bytes that are referenced are lost or damaged in the chunk store.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::Chunks(ChunkError::Corrupt { .. })
        )
    }

    /// Code, text and waiting time as the caller sees them. What a caller can mend is said in full; what is broken here
    /// has a fixed text, the rest is in the log under the request's id.
    pub(crate) fn to_api(&self, request_id: String) -> ApiError {
        let code = self.code();
        let message = match code {
            ErrorCode::Internal => {
                "Something is broken on the server. Its log has more under this request id.".into()
            }
            ErrorCode::StorageFull => {
                "The server has no space left. Nothing of this request was kept; it can be sent again.".into()
            }
            ErrorCode::Unavailable => {
                "The server cannot answer now. The same request may be sent again.".into()
            }
            _ => self.to_string(),
        };
        let wait = match self {
            Self::RateLimited { retry_after } | Self::Busy { retry_after } => Some(*retry_after),
            Self::Metadata(error) if error.is_transient() => Some(Duration::from_secs(1)),
            _ => None,
        };
        let retry_after_ms = wait.map(|wait| u32::try_from(wait.as_millis()).unwrap_or(u32::MAX));
        ApiError {
            code,
            message,
            request_id,
            retry_after_ms,
        }
    }

    /// What went wrong, for programs.
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::Frame(FrameError::TooLarge { .. }) | Self::TooLarge { .. } => ErrorCode::TooLarge,
            Self::Frame(_) | Self::Disconnected(_) => ErrorCode::BadRequest,
            Self::NotAuthenticated => ErrorCode::NotAuthenticated,
            Self::TokenExpired => ErrorCode::TokenExpired,
            Self::WrongCredentials | Self::WrongCode => ErrorCode::WrongCredentials,
            Self::SecondFactorNeeded => ErrorCode::SecondFactorNeeded,
            Self::WipeAsked => ErrorCode::WipeAsked,
            Self::AccountLocked | Self::MissingScope(_) => ErrorCode::Forbidden,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::RateLimited { .. } => ErrorCode::RateLimited,
            Self::HashMismatch { .. } => ErrorCode::HashMismatch,
            Self::DeltaRefused { .. } => ErrorCode::DeltaRefused,
            Self::Timeout => ErrorCode::Timeout,
            Self::UnsupportedVersion => ErrorCode::UnsupportedVersion,
            Self::Busy { .. } => ErrorCode::Unavailable,
            Self::Damaged { .. } | Self::Password { .. } => ErrorCode::Internal,
            Self::Metadata(error) => match error {
                MetadataError::EmailTaken => ErrorCode::BadRequest,
                MetadataError::AccountNotFound(_) | MetadataError::NamespaceNotFound(_) => {
                    ErrorCode::NotFound
                }
                MetadataError::OpIdReused(_) => ErrorCode::OpIdReused,
                MetadataError::NotOnChain(_) => ErrorCode::NotOnChain,
                MetadataError::TooManyOps { .. } => ErrorCode::TooLarge,
                MetadataError::Full => ErrorCode::StorageFull,
                MetadataError::Unavailable(_) => ErrorCode::Unavailable,
                MetadataError::Corrupt { .. } => ErrorCode::Internal,
            },
            Self::Chunks(error) => match error {
                ChunkError::Full { .. } => ErrorCode::StorageFull,
                ChunkError::Closed { .. } => ErrorCode::Unavailable,
                ChunkError::Io { .. }
                | ChunkError::Corrupt { .. }
                | ChunkError::Unopenable { .. }
                | ChunkError::Index { .. } => ErrorCode::Internal,
            },
        }
    }
}

impl From<FrameError> for ServiceError {
    fn from(error: FrameError) -> Self {
        Self::Frame(error)
    }
}

/// What a handler failed with, on its way to the layer that writes the answer and the log.
#[derive(Clone)]
pub(crate) struct Failure(pub(crate) Arc<ServiceError>);

impl IntoResponse for ServiceError {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(Failure(Arc::new(self)));
        response
    }
}
