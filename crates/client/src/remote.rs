//! The server, as a trait: what the daemon and the command line ask of it.

#[cfg(test)]
pub(crate) mod fake;
pub mod http;
pub mod limited;
mod steps;
pub mod transport;

use async_trait::async_trait;
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame};
use cairn_api::sync::{
    AskWipe, ChangesReply, ChangesRequest, ChildrenRequest, CommitReply, CursorReply, CursorReport, Devices,
    Event, Fetch, FetchStart, Have, MakeToken, MakeTokenReply, NodesReply, NodesRequest, Resolve,
    ResolveReply, Revs, RevsReply, SecondFactor, SecondFactorReply, Signatures, TreeHashReply,
    TreeHashRequest, Whoami, WipeOrder, Wiped,
};
use cairn_core::ids::{DeviceId, NamespaceId};
use futures::channel::oneshot;
use futures::stream::BoxStream;

/// What can go wrong on the way to the server and back.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The server refused, and said why.
    #[error(transparent)]
    Refused(#[from] ApiError),
    /// The server cannot be reached, or the connection broke. What was asked may or may not have happened.
    #[error("cannot reach {server}")]
    Unreachable {
        /// The server's address.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address cannot be used.
    #[error("{server} cannot be used as a server's address: {what}")]
    BadAddress {
        /// The address as it was given.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// The certificate is neither known nor confirmed.
    #[error(
        "the certificate of {server} is not the one that was confirmed: its fingerprint is {fingerprint}"
    )]
    UntrustedCertificate {
        /// The server's address.
        server: String,
        /// SHA-256 of the certificate, hexadecimal.
        fingerprint: String,
    },
    /// What answered is not a Cairn server, or one of another version.
    #[error("{server} does not answer as a Cairn server: {what}")]
    NotCairn {
        /// The address.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// The answer is malformed or was cut.
    #[error("the answer of {server} is malformed: {what}")]
    Malformed {
        /// The address.
        server: String,
        /// What was wrong.
        what: String,
    },
    /// A chunk that arrived is not what its name says.
    #[error("a chunk from {server} is damaged")]
    DamagedChunk {
        /// The address.
        server: String,
    },
}

impl RemoteError {
    /// Whether this device was unlinked and is to delete what it keeps.
    pub fn asks_wipe(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code == ErrorCode::WipeAsked)
    }

    /// Whether the same request may succeed later.
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Refused(error) => error.code.is_transient(),
            Self::Unreachable { .. } | Self::Malformed { .. } => true,
            Self::BadAddress { .. }
            | Self::UntrustedCertificate { .. }
            | Self::NotCairn { .. }
            | Self::DamagedChunk { .. } => false,
        }
    }
}

/// The result of every call.
pub type RemoteResult<T> = Result<T, RemoteError>;

/// One frame of the reply to a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// An item begins.
    Start(FetchStart),
    /// A chunk or a page of it; the name has not been checked.
    Chunk(ChunkFrame),
    /// The same as a delta, for a part that asks for it.
    Delta(DeltaFrame),
}

/// The server of one account. Every call has a deadline and is tried once: the caller decides what to do again.
#[async_trait]
pub trait Remote: Send + Sync + 'static {
    /// Says whom the token speaks for.
    async fn whoami(&self) -> RemoteResult<Whoami>;

    /// Lists the account's devices.
    async fn devices(&self) -> RemoteResult<Devices>;

    /// Unlinks another device, an app or a token of the account.
    async fn unlink(&self, device: DeviceId) -> RemoteResult<()>;

    /// Unlinks another device, which then deletes what it keeps.
    async fn ask_wipe(&self, request: AskWipe) -> RemoteResult<()>;

    /// Asks what this device is to delete, where the server says that it is.
    async fn wipe_order(&self) -> RemoteResult<WipeOrder>;

    /// Says that this device has done so.
    async fn wiped(&self, done: Wiped) -> RemoteResult<()>;

    /// Makes a token for scripts.
    async fn make_token(&self, request: MakeToken) -> RemoteResult<MakeTokenReply>;

    /// Asks about the account's second factor, or changes it.
    async fn second_factor(&self, request: SecondFactor) -> RemoteResult<SecondFactorReply>;

    /// Unlinks this device.
    async fn logout(&self) -> RemoteResult<()>;

    /// Asks which chunks need not be sent.
    async fn have(&self, request: Have) -> RemoteResult<Vec<bool>>;

    /// Asks for the signatures of chunks; `None` for those that the server does not give.
    async fn signatures(&self, request: Signatures) -> RemoteResult<Vec<Option<Vec<u8>>>>;

    /// Sends chunks, at most [`cairn_core::limits::BODY_BYTES`] in all; they are durable when this returns.
    async fn put_chunks(&self, namespace: NamespaceId, chunks: Vec<ChunkFrame>) -> RemoteResult<()> {
        let frames = chunks.into_iter().map(Frame::Chunk).collect();
        self.put_frames(namespace, frames).await
    }

    /// Sends chunks, whole or as deltas, as [`Self::put_chunks`] does.
    async fn put_frames(&self, namespace: NamespaceId, frames: Vec<Frame>) -> RemoteResult<()>;

    /// Sends an encoded [`cairn_api::sync::CommitRequest`] with the chunks that go along, whole or as deltas.
    async fn commit(&self, chunks: Vec<Frame>, request: Vec<u8>) -> RemoteResult<CommitReply>;

    /// The same while the request is not made yet: its chunks travel meanwhile. When the sender is dropped the server is asked
    /// for nothing, and the chunks are as if they had not been sent.
    async fn commit_later(
        &self,
        chunks: Vec<Frame>,
        request: oneshot::Receiver<Vec<u8>>,
    ) -> RemoteResult<CommitReply>;

    /// Reads the journal.
    async fn changes(&self, request: ChangesRequest) -> RemoteResult<ChangesReply>;

    /// Lists nodes.
    async fn nodes(&self, request: NodesRequest) -> RemoteResult<NodesReply>;

    /// Lists a folder.
    async fn children(&self, request: ChildrenRequest) -> RemoteResult<NodesReply>;

    /// Follows a path.
    async fn resolve(&self, request: Resolve) -> RemoteResult<ResolveReply>;

    /// Lists the states of what stands on a path, or stood there last.
    async fn revs(&self, request: Revs) -> RemoteResult<RevsReply>;

    /// Hashes a folder; the answer may be that there is more to do.
    async fn tree_hash(&self, request: TreeHashRequest) -> RemoteResult<TreeHashReply>;

    /// Asks for content. The stream ends without an error only when the reply was whole.
    async fn fetch(&self, request: Fetch) -> RemoteResult<BoxStream<'static, RemoteResult<Fetched>>>;

    /// Reports a durable cursor.
    async fn report_cursor(&self, report: CursorReport) -> RemoteResult<CursorReply>;

    /// Opens the event stream. What a step brings may be kept for the calls that it answers; what comes out then is the head.
    async fn events(&self) -> RemoteResult<BoxStream<'static, RemoteResult<Event>>>;
}
