//! The states that a file went through.

use cairn_core::ids::{DeviceId, NamespaceId};
use cairn_core::name::NodeName;
use cairn_core::node::Node;
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};

/// Lists the states of what stands on a path, or stood there last.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Revs {
    /// The namespace.
    #[cbor(n(0), with = "crate::wire")]
    pub namespace: NamespaceId,
    /// The names on the way, at most [`cairn_core::limits::TREE_DEPTH`].
    #[cbor(n(1), with = "crate::wire")]
    pub names: Vec<NodeName>,
    /// Only those before this position.
    #[cbor(n(2), with = "crate::wire")]
    pub before: Option<Seq>,
    /// At most this many; bounded by [`cairn_core::limits::LISTING_PAGE`].
    #[n(3)]
    pub limit: u32,
}

/// The answer to [`Revs`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RevsReply {
    /// Newest first. A folder has one state: the present one.
    #[n(0)]
    pub states: Vec<RevState>,
    /// Where it is now.
    #[n(1)]
    pub whereabouts: Whereabouts,
    /// Whether there are more.
    #[n(2)]
    pub has_more: bool,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RevState {
    /// The node with the content of that time, in its present place.
    #[cbor(n(0), with = "crate::wire")]
    pub node: Node,
    /// When the server learned of it, as far as that is known.
    #[cbor(n(1), with = "crate::wire")]
    pub at: Option<Timestamp>,
    /// The device that wrote it, as the journal names it.
    #[cbor(n(2), with = "crate::wire")]
    pub device: Option<DeviceId>,
}

/// Where a node is that stood on a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Whereabouts {
    /// On that path.
    #[n(0)]
    There,
    /// On another path.
    #[n(1)]
    Elsewhere,
    /// It was deleted, or something above it.
    #[n(2)]
    Deleted,
}
