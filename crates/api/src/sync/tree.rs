//! The tree: by listing, by path and by hash.

use cairn_core::ids::{FileId, NamespaceId, NodeId, TreeHash};
use cairn_core::name::NodeName;
use cairn_core::node::Node;
use cairn_core::rev::Seq;
use cairn_core::tree_hash::Child;
use minicbor::{Decode, Encode};

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
