// tidy: long because the messages of one protocol are read together, beside its document.
//! The messages of `/sync/1`, the devices' protocol. Every body is one CBOR message or a sequence of frames
//! (see [`crate::frame`]). `docs/protocol.md` has the routes.

use cairn_core::change::{GroupOutcome, JournalEntry, Op};
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, DeviceId, FileId, NamespaceId, NodeId, OpId, TreeHash,
};
use cairn_core::name::NodeName;
use cairn_core::node::Node;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree_hash::Child;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::wire::Wire;

/// The version of the protocol that is spoken here.
pub const PROTOCOL_VERSION: u32 = 1;
/// Media type of a body that is one CBOR message.
pub const CBOR: &str = "application/cbor";
/// Media type of a body that is a sequence of frames.
pub const FRAMES: &str = "application/vnd.cairn.frames";

/// The routes, without the host.
pub mod path {
    /// `GET`, without a token: [`super::Hello`].
    pub const HELLO: &str = "/sync/1/hello";
    /// `POST` [`super::Login`]: [`super::LoginReply`].
    pub const LOGIN: &str = "/sync/1/login";
    /// `POST`, no body: unlinks the device that asks.
    pub const LOGOUT: &str = "/sync/1/logout";
    /// `GET`: [`super::Whoami`].
    pub const WHOAMI: &str = "/sync/1/whoami";
    /// `GET`: [`super::Devices`].
    pub const DEVICES: &str = "/sync/1/devices";
    /// `POST` [`super::Unlink`]: forgets a device of the account, an app's link or a token.
    pub const UNLINK: &str = "/sync/1/unlink";
    /// `POST` [`super::AskWipe`]: unlinks a device that deletes what it keeps on its next contact. `GET`, by that device:
    /// [`super::WipeOrder`].
    pub const WIPE: &str = "/sync/1/wipe";
    /// `POST` [`super::Wiped`], by a device that has done so: its last request.
    pub const WIPED: &str = "/sync/1/wiped";
    /// `POST` [`super::MakeToken`]: [`super::MakeTokenReply`].
    pub const TOKENS: &str = "/sync/1/tokens";
    /// `POST` [`super::SecondFactor`]: [`super::SecondFactorReply`].
    pub const SECOND_FACTOR: &str = "/sync/1/second-factor";
    /// `POST` [`super::Have`]: [`super::HaveReply`].
    pub const HAVE: &str = "/sync/1/have";
    /// `POST` [`super::Signatures`]: [`super::SignaturesReply`].
    pub const SIGNATURES: &str = "/sync/1/signatures";
    /// `POST` frames of chunks, `?ns=` names the namespace: [`super::ChunksReply`].
    pub const CHUNKS: &str = "/sync/1/chunks";
    /// `POST` frames of chunks, then one frame with a [`super::CommitRequest`]: [`super::CommitReply`].
    pub const COMMIT: &str = "/sync/1/commit";
    /// `POST` [`super::ChangesRequest`]: [`super::ChangesReply`].
    pub const CHANGES: &str = "/sync/1/changes";
    /// `POST` [`super::NodesRequest`]: [`super::NodesReply`].
    pub const NODES: &str = "/sync/1/nodes";
    /// `POST` [`super::ChildrenRequest`]: [`super::NodesReply`].
    pub const CHILDREN: &str = "/sync/1/children";
    /// `POST` [`super::Resolve`]: [`super::ResolveReply`].
    pub const RESOLVE: &str = "/sync/1/resolve";
    /// `POST` [`super::TreeHashRequest`]: [`super::TreeHashReply`].
    pub const TREE_HASH: &str = "/sync/1/tree-hash";
    /// `POST` [`super::Fetch`]: frames, see there.
    pub const FETCH: &str = "/sync/1/fetch";
    /// `POST` [`super::CursorReport`]: [`super::CursorReply`].
    pub const CURSOR: &str = "/sync/1/cursor";
    /// `GET`: an endless sequence of [`super::Event`] frames.
    pub const EVENTS: &str = "/sync/1/events";
    /// The query by which a device asks that [`super::Event::Step`] may stand in place of a head. A server that does not know
    /// it sends heads.
    pub const STEPS: &str = "steps=1";
}

/// What a server says of itself to anyone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Always `cairn`, so that a wrong address is told from a broken server.
    #[n(0)]
    pub product: String,
    /// The protocol's version.
    #[n(1)]
    pub protocol: u32,
    /// The version of the program.
    #[n(2)]
    pub version: String,
}

/// Asks for a token.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Login {
    /// The account's address.
    #[n(0)]
    pub email: String,
    /// Its password.
    #[n(1)]
    pub password: String,
    /// The name that the owner will see for this device.
    #[n(2)]
    pub device_name: String,
    /// The device's id: chosen at random on the first login, the same afterwards.
    #[cbor(n(3), with = "crate::wire")]
    pub device: DeviceId,
    /// A code of the account's authenticator, or a recovery code; only where one is asked for.
    #[n(4)]
    pub code: Option<String>,
}

/// Keeps the password out of logs.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// A linked device's credentials.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct LoginReply {
    /// Sent as `Authorization: Bearer` from now on.
    #[n(0)]
    pub token: String,
    /// The account.
    #[cbor(n(1), with = "crate::wire")]
    pub account: AccountId,
    /// The namespace of the account's own files.
    #[cbor(n(2), with = "crate::wire")]
    pub root: NamespaceId,
    /// The cursor before the first entry of that namespace's journal.
    #[cbor(n(3), with = "crate::wire")]
    pub origin: Cursor,
}

/// Keeps the token out of logs.
impl std::fmt::Debug for LoginReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoginReply")
            .field("account", &self.account)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Whom the token speaks for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Whoami {
    /// The account.
    #[cbor(n(0), with = "crate::wire")]
    pub account: AccountId,
    /// Its address.
    #[n(1)]
    pub email: String,
    /// The device.
    #[cbor(n(2), with = "crate::wire")]
    pub device: DeviceId,
    /// The namespace of the account's own files.
    #[cbor(n(3), with = "crate::wire")]
    pub root: NamespaceId,
    /// Live bytes in it.
    #[n(4)]
    pub bytes_used: u64,
    /// Bytes that it may hold; `None` for no bound.
    #[n(5)]
    pub quota_bytes: Option<u64>,
}

/// The account's devices.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Devices {
    /// By id.
    #[n(0)]
    pub devices: Vec<DeviceRow>,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct DeviceRow {
    /// The device.
    #[cbor(n(0), with = "crate::wire")]
    pub id: DeviceId,
    /// Its name.
    #[n(1)]
    pub name: String,
    /// When it was linked.
    #[cbor(n(2), with = "crate::wire")]
    pub created_at: Timestamp,
    /// When it was last heard of, to the hour.
    #[cbor(n(3), with = "crate::wire")]
    pub last_seen_at: Timestamp,
    /// What it is: `device`, `app` or `token`; `None` where the server knows devices only.
    #[n(4)]
    pub kind: Option<String>,
    /// Whether it is to delete what it keeps and has not said that it did; `None` where the server cannot ask for that.
    #[n(5)]
    pub is_to_be_wiped: Option<bool>,
}

/// Forgets what is linked to the account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Unlink {
    /// The device, or what else is listed among the devices.
    #[cbor(n(0), with = "crate::wire")]
    pub device: DeviceId,
}

/// Unlinks a device, which then deletes what it keeps.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AskWipe {
    /// The device.
    #[cbor(n(0), with = "crate::wire")]
    pub device: DeviceId,
    /// Whether also what the server does not have is deleted.
    #[n(1)]
    pub everything: bool,
}

/// What a device is to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct WipeOrder {
    /// Whether also what the server does not have is deleted.
    #[n(0)]
    pub everything: bool,
}

/// What a device has deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Wiped {
    /// Files and links that the server has as they were.
    #[n(0)]
    pub removed: u64,
    /// Files and links that the server does not have as they were.
    #[n(1)]
    pub unsent: u64,
    /// Whether those are still there.
    #[n(2)]
    pub is_kept: bool,
}

/// Asks for a token for scripts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct MakeToken {
    /// What its owner calls it, as a device's name.
    #[n(0)]
    pub name: String,
    /// What it may do, names with spaces between them; everything but `sync` when empty.
    #[n(1)]
    pub scopes: String,
    /// Days until it expires; `None` for never.
    #[n(2)]
    pub days: Option<u32>,
}

/// Asks about the account's second factor, or changes it.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SecondFactor {
    /// What to do.
    #[n(0)]
    pub step: SecondFactorStep,
    /// The account's password, to begin and to turn off; else empty.
    #[n(1)]
    pub password: String,
    /// A code, to confirm and to turn off.
    #[n(2)]
    pub code: Option<String>,
}

/// Keeps password and code out of logs.
impl std::fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactor")
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}

/// What to do about a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SecondFactorStep {
    /// Say whether it is asked for.
    #[n(0)]
    Look,
    /// Draw a secret for an authenticator.
    #[n(1)]
    Begin,
    /// Ask for it from now on.
    #[n(2)]
    Confirm,
    /// Ask for it no more.
    #[n(3)]
    TurnOff,
}

/// The second factor after that.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct SecondFactorReply {
    /// Whether it is asked for.
    #[n(0)]
    pub is_active: bool,
    /// What the authenticator must be told, in base32; of a beginning.
    #[n(1)]
    pub secret: Option<String>,
    /// The same as an `otpauth` address.
    #[n(2)]
    pub uri: Option<String>,
    /// Codes that stand for the authenticator, each once; of a confirmation.
    #[n(3)]
    pub recovery_codes: Vec<String>,
}

/// Keeps secret and codes out of logs.
impl std::fmt::Debug for SecondFactorReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecondFactorReply")
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

/// A token that was made.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct MakeTokenReply {
    /// What it is listed and unlinked by.
    #[cbor(n(0), with = "crate::wire")]
    pub id: DeviceId,
    /// Sent as `Authorization: Bearer`.
    #[n(1)]
    pub token: String,
}

/// Keeps the token out of logs.
impl std::fmt::Debug for MakeTokenReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MakeTokenReply")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

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

/// Asks for the journal after a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangesRequest {
    /// What the device has durably.
    #[cbor(n(0), with = "crate::wire")]
    pub cursor: Cursor,
    /// At most this many entries, then on to the end of the last group; bounded by
    /// [`cairn_core::limits::CHANGES_PAGE`].
    #[n(1)]
    pub limit: u32,
    /// How long to wait for a first entry, in seconds; at most [`cairn_core::limits::HEARTBEAT_SECONDS`]. 0 answers at once.
    #[n(2)]
    pub wait_seconds: u32,
}

/// A page of the journal, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ChangesReply {
    /// Entries after the cursor.
    #[n(0)]
    Page {
        /// In order.
        #[cbor(n(0), with = "crate::wire")]
        entries: Vec<JournalEntry>,
        /// The next cursor.
        #[cbor(n(1), with = "crate::wire")]
        cursor: Cursor,
        /// Whether there is more.
        #[n(2)]
        has_more: bool,
    },
    /// The entries after the cursor are gone: list the tree at `head`; what is absent there was deleted.
    #[n(1)]
    BelowFloor {
        /// Where to list and go on.
        #[cbor(n(0), with = "crate::wire")]
        head: Cursor,
    },
    /// The cursor is not of this journal: the server was restored or replaced. List the tree at `head` and merge;
    /// delete nothing.
    #[n(2)]
    NotOnChain {
        /// Where to list and go on.
        #[cbor(n(0), with = "crate::wire")]
        head: Cursor,
    },
}

/// Lists a namespace's nodes, or those below one folder, as of a position, by node id.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NodesRequest {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// The position; `None` for the head.
    #[cbor(n(1), with = "crate::wire")]
    pub at: Option<Seq>,
    /// List what lies below this folder; `None` for everything.
    #[cbor(n(2), with = "crate::wire")]
    pub folder: Option<NodeId>,
    /// Go on after this node.
    #[cbor(n(3), with = "crate::wire")]
    pub after: Option<NodeId>,
    /// At most this many; bounded by [`cairn_core::limits::LISTING_PAGE`].
    #[n(4)]
    pub limit: u32,
}

/// Lists one folder by name key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChildrenRequest {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// The folder.
    #[cbor(n(1), with = "crate::wire")]
    pub folder: NodeId,
    /// As of this position; `None` for the head.
    #[cbor(n(2), with = "crate::wire")]
    pub at: Option<Seq>,
    /// Go on after the node with this name.
    #[cbor(n(3), with = "crate::wire")]
    pub after: Option<NodeName>,
    /// At most this many; bounded by [`cairn_core::limits::LISTING_PAGE`].
    #[n(4)]
    pub limit: u32,
}

/// A page of nodes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct NodesReply {
    /// The nodes.
    #[cbor(n(0), with = "crate::wire")]
    pub nodes: Vec<Node>,
    /// Whether there is more.
    #[n(1)]
    pub has_more: bool,
}

/// Asks for the hash of a folder as of a position, or for those of its children (see [`cairn_core::tree_hash`]).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TreeHashRequest {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// The folder.
    #[cbor(n(1), with = "crate::wire")]
    pub folder: NodeId,
    /// The position: the end of a group.
    #[cbor(n(2), with = "crate::wire")]
    pub at: Seq,
    /// Whether the children are asked for, page by page, in place of the folder's own hash.
    #[n(3)]
    pub children: bool,
    /// Go on after the child with this name.
    #[cbor(n(4), with = "crate::wire")]
    pub after: Option<NodeName>,
    /// At most this many children; bounded by [`cairn_core::limits::TREE_HASH_PAGE`].
    #[n(5)]
    pub limit: u32,
}

/// The answer to [`TreeHashRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum TreeHashReply {
    /// The folder's own hash.
    #[n(0)]
    Folder {
        /// The hash.
        #[cbor(n(0), with = "crate::wire")]
        hash: TreeHash,
    },
    /// A page of its children by name key. A page may be shorter than was asked for, but is not empty while there is more.
    #[n(1)]
    Children {
        /// The children.
        #[n(0)]
        children: Vec<HashedChild>,
        /// Whether there is more.
        #[n(1)]
        has_more: bool,
    },
    /// The work takes longer than one request may: the same request again goes on where this one stopped.
    #[n(2)]
    Working {
        /// Folders done so far.
        #[n(0)]
        folders: u64,
    },
}

/// One child of a folder as it goes into the folder's hash.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct HashedChild {
    /// The node.
    #[cbor(n(0), with = "crate::wire")]
    pub node: NodeId,
    /// Its name.
    #[cbor(n(1), with = "crate::wire")]
    pub name: NodeName,
    /// What it holds.
    #[n(2)]
    pub content: HashedContent,
}

/// What a child holds, by hash.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum HashedContent {
    /// A folder.
    #[n(0)]
    Folder {
        /// Its hash.
        #[cbor(n(0), with = "crate::wire")]
        hash: TreeHash,
    },
    /// A file.
    #[n(1)]
    File {
        /// Identity of its bytes.
        #[cbor(n(0), with = "crate::wire")]
        file_id: FileId,
        /// Length in bytes.
        #[n(1)]
        size: u64,
        /// Whether the owner may execute it.
        #[n(2)]
        executable: bool,
    },
    /// A link.
    #[n(2)]
    Symlink {
        /// Its target.
        #[n(0)]
        target: String,
    },
}

impl HashedContent {
    /// As it goes into the hash of the folder above.
    pub fn as_child(&self) -> Child<'_> {
        match self {
            Self::Folder { hash } => Child::Folder { hash: *hash },
            Self::File {
                file_id,
                size,
                executable,
            } => Child::File {
                file_id: *file_id,
                size: *size,
                executable: *executable,
            },
            Self::Symlink { target } => Child::Symlink { target },
        }
    }
}

/// Follows a path from the root of a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Resolve {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// The names on the way, at most [`cairn_core::limits::TREE_DEPTH`]; empty for the root.
    #[cbor(n(1), with = "crate::wire")]
    pub names: Vec<NodeName>,
}

/// The nodes found on the way, the root left out: as long as the path when everything was found, else what was there.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ResolveReply {
    /// From the top down.
    #[cbor(n(0), with = "crate::wire")]
    pub nodes: Vec<Node>,
    /// The head at that time: what a delete may name as seen.
    #[cbor(n(1), with = "crate::wire")]
    pub seq: Seq,
}

/// Asks for the content of files. The reply has, for each item in order, one [`FetchStart`] frame, then for
/// [`FetchStatus::Found`] the frames of its chunks in order; one end frame closes the body.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fetch {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// At most [`cairn_core::limits::COMMIT_BATCH_OPS`].
    #[n(1)]
    pub items: Vec<FetchItem>,
}

/// One file, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FetchItem {
    /// The file.
    #[cbor(n(0), with = "crate::wire")]
    pub node: NodeId,
    /// In the state that this entry wrote.
    #[cbor(n(1), with = "crate::wire")]
    pub content_seq: Seq,
    /// Which part.
    #[n(2)]
    pub part: FetchPart,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum FetchPart {
    /// A run of chunks by index.
    #[n(0)]
    Chunks {
        /// The first.
        #[n(0)]
        first: u64,
        /// How many; those beyond the end are left out.
        #[n(1)]
        count: u64,
    },
    /// The pages of the manifest, every page before those below it, from left to right. None for an inline manifest.
    #[n(1)]
    Pages,
    /// A run of chunks by index, for a device that has others: each comes as a delta against them, joined in this order, where
    /// that is shorter.
    #[n(2)]
    ChunksFrom {
        /// The first.
        #[n(0)]
        first: u64,
        /// How many; those beyond the end are left out.
        #[n(1)]
        count: u64,
        /// What the device has: chunks of the namespace, as many as a delta's base may have.
        #[cbor(n(2), with = "crate::wire")]
        base: Vec<ChunkHash>,
    },
    /// As [`Self::Pages`], for a device that has the pages of an older content of the node: without those, and the others as
    /// deltas against them where that is shorter.
    #[n(3)]
    PagesFrom {
        /// The entry that wrote the older content.
        #[cbor(n(0), with = "crate::wire")]
        base: Seq,
    },
}

impl FetchPart {
    /// A run of chunks by index, against what the device has in their place; empty for nothing.
    pub fn run(first: u64, count: u64, base: Vec<ChunkHash>) -> Self {
        if base.is_empty() {
            Self::Chunks { first, count }
        } else {
            Self::ChunksFrom { first, count, base }
        }
    }
}

/// Opens an item of the reply to [`Fetch`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct FetchStart {
    /// Index of the item.
    #[n(0)]
    pub item: u32,
    /// What became of it.
    #[n(1)]
    pub status: FetchStatus,
    /// Chunk or page frames that follow.
    #[n(2)]
    pub frames: u64,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum FetchStatus {
    /// Its frames follow.
    #[n(0)]
    Found,
    /// That node never had that state, or the state was thinned out.
    #[n(1)]
    NotFound,
    /// A chunk of it is damaged or lost on the server. The others of the request are not affected.
    #[n(2)]
    Damaged,
}

/// Reports how far a device has durably followed a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CursorReport {
    /// The cursor.
    #[cbor(n(0), with = "crate::wire")]
    pub cursor: Cursor,
}

/// The answer to [`CursorReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CursorReply {
    /// It is where the device was last, or further.
    #[n(0)]
    Accepted,
    /// It is behind what this device reported before: its state was restored from a backup. Merge, delete nothing.
    #[n(1)]
    DeviceRestored,
}

/// A hint on the event stream. Losing one is harmless: cursors tell the truth.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// A namespace has moved on to this position (also sent for each namespace when the stream opens).
    #[n(0)]
    Head {
        /// The namespace.
        #[cbor(n(0), with = "crate::wire")]
        namespace: NamespaceId,
        /// Its head.
        #[cbor(n(1), with = "crate::wire")]
        seq: Seq,
    },
    /// Nothing happened for [`cairn_core::limits::HEARTBEAT_SECONDS`].
    #[n(1)]
    Heartbeat,
    /// The server is about to stop: reconnect after this many milliseconds.
    #[n(2)]
    Drain {
        /// Milliseconds.
        #[n(0)]
        after_ms: u32,
    },
    /// As [`Self::Head`], with what a device that stood at `from` would ask for next. Only where [`path::STEPS`] asked for it.
    #[n(3)]
    Step(#[n(0)] Box<Step>),
}

impl Event {
    /// The namespace that moved on, and where to.
    pub fn head(&self) -> Option<(NamespaceId, Seq)> {
        match self {
            Self::Head { namespace, seq } => Some((*namespace, *seq)),
            Self::Step(step) => Some((step.cursor.namespace, step.cursor.seq)),
            Self::Heartbeat | Self::Drain { .. } => None,
        }
    }
}

/// A small step of a namespace: at most [`cairn_core::limits::STEP_BYTES`] as it is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Step {
    /// Where it begins: the head that the stream told before.
    #[cbor(n(0), with = "crate::wire")]
    pub from: Cursor,
    /// What [`ChangesReply::Page`] would hold.
    #[cbor(n(1), with = "crate::wire")]
    pub entries: Vec<JournalEntry>,
    /// Where it ends.
    #[cbor(n(2), with = "crate::wire")]
    pub cursor: Cursor,
    /// Contents that are likely to be asked for. What is not here has to be fetched.
    #[n(3)]
    pub contents: Vec<StepContent>,
}

/// What [`Fetch`] would answer to one item.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StepContent {
    /// The item.
    #[n(0)]
    pub item: FetchItem,
    /// The frames of its chunks or pages, one behind the other, without a [`FetchStart`] and without an end frame.
    #[n(1)]
    pub frames: ByteVec,
}

/// Encodes a message.
pub fn to_cbor<T: Encode<()>>(message: &T) -> Vec<u8> {
    minicbor::to_vec(message).unwrap_or_else(|error| unreachable!("writing to memory failed: {error}"))
}

/// Decodes a message that fills `bytes`.
///
/// # Errors
/// When the bytes are no such message, or more than one.
pub fn from_cbor<'b, T: Decode<'b, ()>>(bytes: &'b [u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let message = decoder.decode()?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message(
            "there are bytes after the message",
        ));
    }
    Ok(message)
}

/// Encodes a core value on its own, for storage and hashing.
pub fn value_to_cbor<T: Wire>(value: &T) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    value
        .write(&mut encoder)
        .unwrap_or_else(|error| unreachable!("writing to memory failed: {error}"));
    encoder.into_writer()
}

/// Decodes a core value that fills `bytes`.
///
/// # Errors
/// When the bytes are no such value.
pub fn value_from_cbor<T: Wire>(bytes: &[u8]) -> Result<T, minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = T::read(&mut decoder)?;
    if decoder.position() != bytes.len() {
        return Err(minicbor::decode::Error::message(
            "there are bytes after the value",
        ));
    }
    Ok(value)
}
