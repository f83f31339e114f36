//! The unions of the routes' own errors, as the document describes them. The values are made in [`super::error`] and in the
//! handlers; the tests hold every refusal that they see to the union of its route.

#![expect(
    dead_code,
    reason = "their shapes are written down, their values are made as JSON"
)]

use schemars::JsonSchema;

macro_rules! unions {
    ($($(#[$doc:meta])* $name:ident { $($variants:tt)* })*) => {$(
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[serde(tag = ".tag", rename_all = "snake_case")]
        pub(crate) enum $name { $($variants)* }
    )*};
}

unions! {
    /// Why nothing was found on a path.
    Lookup { NotFound, NotFile, NotFolder, MalformedPath }
    /// What stands in the way.
    Conflict { File, Folder, FileAncestor }
    /// Why nothing can be put on a path.
    Write {
        Conflict { conflict: Conflict },
        InsufficientSpace,
        DisallowedName,
        TooManyWriteOperations,
        MalformedPath,
    }
    /// Nothing was found on the path.
    LookupError { Path { path: Lookup } }
    /// No such folder, or a cursor behind which nothing is known any more: list again.
    FolderError { Path { path: Lookup }, Reset }
    /// A cursor behind which nothing is known any more: list again.
    PollError { Reset }
    /// Nothing was searched.
    SearchError { Path { path: Lookup }, InvalidArgument { invalid_argument: String } }
    /// No tag was given.
    AddTagError { Path { path: Lookup }, TooManyTags }
    /// No tag was taken away.
    RemoveTagError { Path { path: Lookup }, TagNotPresent }
    /// No archive was made.
    ZipError { Path { path: Lookup }, TooManyFiles }
    /// No small picture was made.
    ThumbnailError { Path { path: Lookup }, UnsupportedExtension, UnsupportedImage, ConversionError }
    /// The batch has too many entries.
    TooManyFiles { TooManyFiles }
    /// The file was not put.
    UploadError {
        Path { reason: Write, upload_session_id: String },
        PayloadTooLarge,
        ContentHashMismatch,
    }
    /// No folder was made.
    CreateFolderError { Path { path: Write } }
    /// Nothing was deleted.
    DeleteError {
        PathLookup { path_lookup: Lookup },
        PathWrite { path_write: Write },
        TooManyWriteOperations,
    }
    /// Nothing was moved or copied.
    RelocationError {
        FromLookup { from_lookup: Lookup },
        To { to: Write },
        CantMoveFolderIntoItself,
        DuplicatedOrNestedPaths,
        TooManyFiles,
        TooManyWriteOperations,
        InsufficientQuota,
    }
    /// Why an entry was not moved or copied.
    RelocationEntryError { RelocationError { relocation_error: RelocationError } }
    /// Nothing was brought back.
    RestoreError { PathLookup { path_lookup: Lookup }, PathWrite { path_write: Write }, InvalidRevision }
    /// Why a piece was not added.
    AppendError {
        NotFound,
        IncorrectOffset { correct_offset: u64 },
        Closed,
        NotClosed,
        ConcurrentSessionInvalidOffset,
        ConcurrentSessionInvalidDataSize,
        PayloadTooLarge,
        ContentHashMismatch,
    }
    /// No upload was begun.
    StartError {
        ConcurrentSessionDataNotAllowed,
        ConcurrentSessionCloseNotAllowed,
        PayloadTooLarge,
        ContentHashMismatch,
    }
    /// The pieces were not put together.
    FinishError {
        LookupFailed { lookup_failed: AppendError },
        Path { path: Write },
        ConcurrentSessionDataNotAllowed,
        ConcurrentSessionNotClosed,
        ConcurrentSessionMissingData,
        PayloadTooLarge,
        ContentHashMismatch,
    }
    /// No piece was added.
    AppendBatchError { LengthMismatch, PayloadTooLarge, ContentHashMismatch }
    /// Nothing of it was done.
    CommitError {
        OperationFailed { index: usize, reason: OperationError },
        TooManyOperations,
        TooManyWriteOperations,
    }
    /// Why an operation cannot be done.
    OperationError {
        Path { path: Write },
        LookupFailed { lookup_failed: AppendError },
        ConcurrentSessionMissingData,
        ContentLookup { content_lookup: Lookup },
        FromLookup { from_lookup: Lookup },
        FromWrite { from_write: Write },
        To { to: Write },
        CantMoveFolderIntoItself,
        DuplicatedOrNestedPaths,
        PathLookup { path_lookup: Lookup },
        PathWrite { path_write: Write },
        TooManyFiles,
    }
    /// Why there is no tree of a moment.
    Moment { TooOld, NotYet }
    /// Nothing stood on the path then, or there is no tree of the moment.
    PastError { Path { path: Lookup }, At { at: Moment } }
    /// The file was not put.
    DeltaError {
        Path { path: Write },
        BaseLookup { base_lookup: Lookup },
        MalformedDelta,
        OutOfBase,
        TooMuchCopied,
        PayloadTooLarge,
        ContentHashMismatch,
    }
    /// Nothing was copied.
    SaveReferenceError { Path { path: Write }, InvalidCopyReference, NotFound, TooManyFiles }
    /// There is no such job.
    PollJobError { InvalidAsyncJobId }
    /// There is no such account, or none that one may know.
    GetAccountError { NoAccount }
    /// One of them is no account that one may know.
    GetAccountsError { NoAccount { no_account: String } }
    /// The token is not good for this.
    AuthError {
        InvalidAccessToken,
        ExpiredAccessToken,
        UserSuspended,
        MissingScope { required_scope: String },
    }
    /// Why there is nothing yet.
    RateLimitReason { TooManyRequests }
    /// The root that a path begins in.
    RootInfo { User { root_namespace_id: String, home_namespace_id: String } }
    /// `Dropbox-API-Path-Root` names another root.
    PathRootError { InvalidRoot { invalid_root: RootInfo }, NoPermission }
}

/// There were too many requests.
#[derive(JsonSchema)]
pub(crate) struct RateLimitError {
    reason: RateLimitReason,
    /// Seconds to wait.
    retry_after: u32,
}

/// A refusal.
#[derive(JsonSchema)]
#[schemars(rename = "Refusal_{E}")]
pub(crate) struct Refusal<E> {
    /// The tags of the error, one within the other.
    error_summary: String,
    error: E,
}
