//! What both stores keep: nodes, their past states, and journal rows.

use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{ChainHash, DeviceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Node, NodeKind, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

/// A node in its current state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeRow {
    pub(crate) id: NodeId,
    pub(crate) parent: NodeId,
    pub(crate) name: NodeName,
    /// Unique below `parent`. Of a name that stands in the tree its key, in the trash [`trash_key`].
    pub(crate) key: String,
    pub(crate) content: Content,
    pub(crate) attributes: Attributes,
    pub(crate) place_seq: Seq,
    pub(crate) content_seq: Seq,
    pub(crate) attributes_seq: Seq,
    pub(crate) created_seq: Seq,
}

/// The unique key of a node in the trash, where names may repeat. No name has a key like it: `/` is illegal in names.
pub(crate) fn trash_key(node: NodeId) -> String {
    format!("/{node}")
}

impl NodeRow {
    pub(crate) fn place(&self) -> Place {
        Place {
            parent: self.parent,
            name: self.name.clone(),
        }
    }

    pub(crate) fn stands_at(&self, place: &Place) -> bool {
        self.parent == place.parent && self.name == place.name
    }

    pub(crate) fn kind(&self) -> NodeKind {
        self.content.kind()
    }

    pub(crate) fn size(&self) -> i128 {
        i128::from(self.content.size())
    }

    pub(crate) fn to_node(&self) -> Node {
        Node {
            id: self.id,
            place: self.place(),
            content: self.content.clone(),
            attributes: self.attributes,
            place_seq: self.place_seq,
            content_seq: self.content_seq,
            attributes_seq: self.attributes_seq,
        }
    }
}

/// A place that a node had from entry `from` until just before entry `to`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastPlace {
    pub(crate) node: NodeId,
    pub(crate) from: Seq,
    pub(crate) to: Seq,
    pub(crate) parent: NodeId,
    pub(crate) name: NodeName,
    pub(crate) key: String,
    pub(crate) kind: NodeKind,
}

/// A content that a node had from entry `from` until just before entry `to`, with its last attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PastContent {
    pub(crate) node: NodeId,
    pub(crate) from: Seq,
    pub(crate) to: Seq,
    pub(crate) content: Content,
    pub(crate) attributes: Attributes,
    pub(crate) attributes_seq: Seq,
}

/// One journal entry without its content, which is joined from the node or its history when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalRow {
    pub(crate) seq: Seq,
    pub(crate) group_last: Seq,
    pub(crate) node: NodeId,
    pub(crate) change: Change,
    pub(crate) kind: NodeKind,
    pub(crate) place_before: Option<Place>,
    pub(crate) place_after: Option<Place>,
    /// Digest of the content that the entry wrote; pins it in the chain.
    pub(crate) content_id: Option<[u8; 32]>,
    pub(crate) attributes: Attributes,
    pub(crate) bytes_delta: i64,
    pub(crate) device: DeviceId,
    pub(crate) at: Timestamp,
    pub(crate) chain: ChainHash,
}

impl JournalRow {
    /// Whether the entry wrote a content.
    pub(crate) fn writes_content(&self) -> bool {
        matches!(self.change, Change::Created | Change::Edited)
    }

    /// The entry as readers get it. `content` is what was found in the state that the entry wrote.
    pub(crate) fn into_entry(self, content: Option<Content>) -> JournalEntry {
        JournalEntry {
            seq: self.seq,
            group_last: self.group_last,
            node: self.node,
            change: self.change,
            place_before: self.place_before,
            place_after: self.place_after,
            kind: self.kind,
            content: if matches!(self.change, Change::Created | Change::Edited) {
                content
            } else {
                None
            },
            attributes: self.attributes,
            bytes_delta: self.bytes_delta,
            device: self.device,
            at: self.at,
            chain: self.chain,
        }
    }
}

/// The namespace's own row, as far as commits read and write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) head: Seq,
    pub(crate) chain: ChainHash,
    pub(crate) last_at: Timestamp,
    pub(crate) bytes_used: i64,
    /// Live bytes that the namespace may hold; `None` for no bound.
    pub(crate) bytes_granted: Option<i64>,
    pub(crate) fence_epoch: i64,
}
