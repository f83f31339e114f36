//! Chunks on their way up, and the changes that name them.

use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::{ChainHash, ChunkHash, NamespaceId, OpId};
use cairn_core::rev::Cursor;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Asks which chunks need not be sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Have {
    /// The namespace that they will be committed to.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// At most [`cairn_core::limits::HAVE_HASHES`].
    #[cbor(n(1), with = "crate::wire")]
    pub hashes: Vec<ChunkHash>,
}

/// The answer to [`Have`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HaveReply {
    /// One per hash: whether a commit may name it without sending it.
    #[n(0)]
    pub have: Vec<bool>,
}

/// Asks for the signatures of chunks, to send others as deltas against them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Signatures {
    /// At most [`cairn_core::limits::SIGNATURES`].
    #[cbor(n(0), with = "crate::wire")]
    pub hashes: Vec<ChunkHash>,
}

/// The answer to [`Signatures`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignaturesReply {
    /// One per hash, as [`cairn_core::delta::Signature`] encodes it; `None` for what no namespace references that the account
    /// may read.
    #[n(0)]
    pub signatures: Vec<Option<ByteVec>>,
}

/// The chunks of the request are durable and may be committed to the namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChunksReply {
    /// How many chunks the request held.
    #[n(0)]
    pub count: u32,
}

/// Asks for changes of one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitRequest {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// Names the attempt; a repeated request carries the same id and the same groups.
    #[cbor(n(1), with = "crate::wire")]
    pub op_id: OpId,
    /// Each group is applied whole or not at all, independent of the others.
    #[cbor(n(2), with = "crate::wire")]
    pub groups: Vec<Vec<Op>>,
    /// The furthest that the device has read the journal, or was told of by an answer to a commit of its own: what the operations
    /// name by number is of the history that leads there. On a server that was restored to a moment before, the same numbers
    /// are of other changes, and the commit is [`crate::error::ErrorCode::NotOnChain`]. `None` where nothing is named by number.
    #[cbor(n(3), with = "crate::wire")]
    pub known: Option<Cursor>,
    /// Whether it is asked for in the device's name by somebody else than its daemon, as by a command: see
    /// [`cairn_core::ids::DeviceId::on_behalf`].
    #[cbor(n(4), skip_if = "is_false")]
    pub is_on_behalf: bool,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CommitReply {
    /// One per group.
    #[cbor(n(0), with = "crate::wire")]
    pub groups: Vec<GroupOutcome>,
    /// The journal after it.
    #[cbor(n(1), with = "crate::wire")]
    pub cursor: Cursor,
    /// The chain of the journal before its first entry. Who had read the journal up to there need not read what came between:
    /// it is this commit.
    #[cbor(n(2), with = "crate::wire")]
    pub base: ChainHash,
}
