//! The content of files on its way down.

use cairn_core::ids::{ChunkHash, NamespaceId, NodeId};
use cairn_core::rev::Seq;
use minicbor::{Decode, Encode};

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
