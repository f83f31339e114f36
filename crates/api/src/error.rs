//! The one list of what can go wrong on the wire.

use minicbor::{Decode, Encode};

/// What went wrong, for programs. Every code maps to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum ErrorCode {
    /// The request is malformed or breaks a limit. Repeating it is useless.
    #[n(0)]
    BadRequest,
    /// There is no token, or it is unknown or revoked. Log in again.
    #[n(1)]
    NotAuthenticated,
    /// The token has expired. Log in again.
    #[n(2)]
    TokenExpired,
    /// The address or the password is wrong.
    #[n(3)]
    WrongCredentials,
    /// The account is locked, or may not do this.
    #[n(4)]
    Forbidden,
    /// The namespace or node does not exist, or not for this account.
    #[n(5)]
    NotFound,
    /// A body, frame or list is too large.
    #[n(6)]
    TooLarge,
    /// Too many requests. Wait for `retry_after_ms`.
    #[n(7)]
    RateLimited,
    /// The operation id came with another request before.
    #[n(8)]
    OpIdReused,
    /// A chunk is not what its name says.
    #[n(9)]
    HashMismatch,
    /// The server has no space left. Nothing was acknowledged.
    #[n(10)]
    StorageFull,
    /// The server cannot answer now. The same request may be sent again.
    #[n(11)]
    Unavailable,
    /// Something is broken on the server; the request id finds it in its log.
    #[n(12)]
    Internal,
    /// The server does not speak this version of the protocol.
    #[n(13)]
    UnsupportedVersion,
    /// Too slow: the body did not arrive in time.
    #[n(14)]
    Timeout,
    /// A delta cannot be used: send the chunk whole.
    #[n(15)]
    DeltaRefused,
    /// The password is right, and the account asks for a code as well: send the login again with one.
    #[n(16)]
    SecondFactorNeeded,
    /// The device was unlinked and is to delete what it keeps.
    #[n(17)]
    WipeAsked,
    /// The journal was never where the request says: the server was restored. Nothing was applied. Read the journal and begin anew.
    #[n(18)]
    NotOnChain,
}

impl ErrorCode {
    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::NotAuthenticated
            | Self::TokenExpired
            | Self::WrongCredentials
            | Self::SecondFactorNeeded => 401,
            Self::Forbidden | Self::WipeAsked => 403,
            Self::NotFound => 404,
            Self::Timeout => 408,
            Self::OpIdReused | Self::NotOnChain => 409,
            Self::TooLarge => 413,
            Self::HashMismatch | Self::DeltaRefused => 422,
            Self::UnsupportedVersion => 426,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
            Self::StorageFull => 507,
        }
    }

    /// Whether the same request may succeed later. The one place that decides what is tried again.
    pub const fn is_transient(self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::StorageFull | Self::Unavailable | Self::Timeout | Self::Internal
        )
    }
}

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// What went wrong, for programs.
    #[n(0)]
    pub code: ErrorCode,
    /// What went wrong, for people: the thing, the cause, the next step.
    #[n(1)]
    pub message: String,
    /// Finds the request in the server's log.
    #[n(2)]
    pub request_id: String,
    /// When to try again, in milliseconds.
    #[n(3)]
    pub retry_after_ms: Option<u32>,
}
