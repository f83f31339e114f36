//! The journal's vocabulary: what a commit asks for, what it answers, and what the journal says afterwards.

use crate::ids::{ChainHash, ChunkHash, DeviceId, NodeId};
use crate::node::{Attributes, Content, NodeKind, Place};
use crate::rev::Seq;
use crate::time::Timestamp;

/// One wish within a commit. `base_*` are the counters that the writer saw: a guard against overwriting what it did not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Makes a node that did not exist, under an id that the writer chose.
    Create {
        /// The new node's id.
        node: NodeId,
        /// Where it stands.
        place: Place,
        /// What it holds.
        content: Content,
        /// Its attributes.
        attributes: Attributes,
    },
    /// Gives a node another folder, another name, or both. A move out of the trash is a restore.
    Move {
        /// The node.
        node: NodeId,
        /// Where it goes.
        place: Place,
        /// The place counter that the writer saw.
        base_place: Seq,
    },
    /// Gives a file other bytes or a link another target.
    Edit {
        /// The node.
        node: NodeId,
        /// The new content, of the same kind.
        content: Content,
        /// The attributes that go with it.
        attributes: Attributes,
        /// The content counter that the writer saw.
        base_content: Seq,
    },
    /// Changes attributes alone. The last writer wins.
    SetAttributes {
        /// The node.
        node: NodeId,
        /// The new attributes.
        attributes: Attributes,
    },
    /// Moves a node, with all that is below it, to the namespace's trash.
    Delete {
        /// The node.
        node: NodeId,
        /// The place counter that the writer saw.
        base_place: Seq,
        /// The content counter that the writer saw.
        base_content: Seq,
        /// How far the writer had read the journal: refused when something below a folder is newer. `None` deletes whatever is there.
        seen: Option<Seq>,
    },
}

impl Op {
    /// The node that the operation is about.
    pub const fn node(&self) -> NodeId {
        match self {
            Self::Create { node, .. }
            | Self::Move { node, .. }
            | Self::Edit { node, .. }
            | Self::SetAttributes { node, .. }
            | Self::Delete { node, .. } => *node,
        }
    }
}

/// What became of one group of operations. A group is applied whole or not at all, independent of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Every operation took effect. One journal position per operation, in order. Of a move and an edit that is the node's
    /// counter now, also where it stood there or had that content already; of what else changed nothing it is the head at its time.
    Applied {
        /// The positions.
        seqs: Vec<Seq>,
    },
    /// None did.
    Refused {
        /// Index of the operation that was refused, within the group.
        op_index: usize,
        /// Why.
        refusal: Refusal,
    },
}

/// Why an operation was refused. The writer reads the journal and decides anew, except where noted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The node does not exist here, or is one of the fixed nodes.
    #[error("node {node} does not exist here")]
    NodeNotFound {
        /// The node.
        node: NodeId,
    },
    /// The folder named as parent does not exist, or lies in the trash.
    #[error("folder {parent} does not exist here")]
    ParentNotFound {
        /// The folder.
        parent: NodeId,
    },
    /// The node named as parent is no folder.
    #[error("node {parent} is not a folder")]
    ParentNotDirectory {
        /// The node.
        parent: NodeId,
    },
    /// Another node has the name, or one that folds to the same key.
    #[error("node {holder} already has this name")]
    NameTaken {
        /// The node that has it.
        holder: NodeId,
    },
    /// The place changed since the writer saw it.
    #[error("node {node} was moved or renamed since (now at {current})")]
    StalePlace {
        /// The node.
        node: NodeId,
        /// Its place counter now.
        current: Seq,
    },
    /// The content changed since the writer saw it.
    #[error("node {node} was edited since (now at {current})")]
    StaleContent {
        /// The node.
        node: NodeId,
        /// Its content counter now.
        current: Seq,
    },
    /// Something below the folder is newer than what the writer had seen.
    #[error("node {node} below the folder is newer than what was seen")]
    NewerBelow {
        /// The newer node.
        node: NodeId,
    },
    /// The folder would come to lie below itself.
    #[error("folder {node} cannot move into itself")]
    Cycle {
        /// The folder.
        node: NodeId,
    },
    /// The tree would become too deep.
    #[error("the path would have more than {} folders", crate::limits::TREE_DEPTH)]
    TooDeep,
    /// The id is in use by another node.
    #[error("node id {node} is taken")]
    IdTaken {
        /// The id.
        node: NodeId,
    },
    /// The operation does not fit the node's kind.
    #[error("node {node} is a {kind:?}")]
    WrongKind {
        /// The node.
        node: NodeId,
        /// Its kind.
        kind: NodeKind,
    },
    /// Chunks must be uploaded first (again); at most 4,096 are named. The writer sends them and repeats the commit.
    #[error("{} chunk(s) must be uploaded first", missing.len())]
    MissingChunks {
        /// The chunks.
        missing: Vec<ChunkHash>,
    },
    /// The owner's quota does not suffice. Repeating is useless until space is freed.
    #[error("over quota: {needed} bytes more are needed, {available} are left")]
    QuotaExceeded {
        /// Bytes that the group would add.
        needed: u64,
        /// Bytes left.
        available: u64,
    },
}

/// What a journal entry did to its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// The node came into being.
    Created,
    /// It got another folder or name.
    Moved,
    /// It got other content (and attributes with it).
    Edited,
    /// It got other attributes.
    AttributesSet,
    /// It went to the trash with all that is below it.
    Deleted,
    /// It came back from the trash with all that is below it. Readers list what is below: no entries follow for it.
    Restored,
}

/// One entry of a namespace's journal, as readers get it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// Its position.
    pub seq: Seq,
    /// Last position of its group: readers stop only there, where the tree is valid.
    pub group_last: Seq,
    /// The node.
    pub node: NodeId,
    /// What happened to it.
    pub change: Change,
    /// Where it stood before; `None` for a creation.
    pub place_before: Option<Place>,
    /// Where it stands after; `None` for a deletion.
    pub place_after: Option<Place>,
    /// The kind of the node.
    pub kind: NodeKind,
    /// The content after a creation or an edit; `None` for other changes, and where it was superseded since.
    pub content: Option<Content>,
    /// Attributes after the entry.
    pub attributes: Attributes,
    /// Change of the namespace's live bytes.
    pub bytes_delta: i64,
    /// The device that asked for it.
    pub device: DeviceId,
    /// When, by the server's clock; never earlier than the entry before.
    pub at: Timestamp,
    /// The chain hash of this entry.
    pub chain: ChainHash,
}
