//! What judging must know of a namespace, and what it decides to write.

use std::collections::{BTreeMap, HashMap};

use cairn_core::ids::{ChunkHash, NodeId};
use cairn_core::rev::Seq;

use crate::row::{JournalRow, Ledger, NodeRow, PastContent, PastPlace};

/// A fact that judging asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Need {
    /// A node in its current state, in the trash or not.
    Node(NodeId),
    /// Who has a key in a folder.
    Holder(NodeId, String),
    /// What lies below a folder.
    Below(BelowQuery),
    /// Whether these chunks may be committed: referenced, or granted with a lease that is fresh enough.
    Chunks(Vec<ChunkHash>),
}

/// Asks for what hangs below a folder, the folder left out, without descending into `excluded`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct BelowQuery {
    pub(crate) folder: NodeId,
    /// Sorted.
    pub(crate) excluded: Vec<NodeId>,
}

/// What hangs below a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Below {
    /// Sum of sizes.
    pub(crate) bytes: i128,
    /// Levels: 0 for nothing, 1 for children without children.
    pub(crate) height: usize,
    /// The newest entry that placed or edited something there, and its node.
    pub(crate) newest: Option<(Seq, NodeId)>,
}

/// The known part of a namespace, as committed groups left it. What is not in a map is not known yet.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) ledger: Ledger,
    pub(crate) nodes: HashMap<NodeId, Option<NodeRow>>,
    pub(crate) holders: HashMap<(NodeId, String), Option<NodeId>>,
    pub(crate) below: HashMap<BelowQuery, Below>,
    pub(crate) chunks: HashMap<ChunkHash, bool>,
}

/// What applying a group leads to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One position per operation.
    pub(crate) seqs: Vec<Seq>,
    pub(crate) writes: Writes,
    pub(crate) ledger: Ledger,
}

/// Rows to write. Those of several groups can be put together in order.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// New and changed nodes in their last state.
    pub(crate) nodes: BTreeMap<NodeId, NodeRow>,
    pub(crate) past_places: Vec<PastPlace>,
    pub(crate) past_contents: Vec<PastContent>,
    pub(crate) journal: Vec<JournalRow>,
    /// Chunks that the namespace references now; the last position of the group that needs them.
    pub(crate) chunk_refs: BTreeMap<ChunkHash, Seq>,
}

impl Writes {
    /// Whether there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.journal.is_empty()
    }

    /// Adds what a later group writes.
    pub(crate) fn append(&mut self, later: Self) {
        self.nodes.extend(later.nodes);
        self.past_places.extend(later.past_places);
        self.past_contents.extend(later.past_contents);
        self.journal.extend(later.journal);
        self.chunk_refs.extend(later.chunk_refs);
    }
}

impl Facts {
    /// Knows nothing but the namespace's own row.
    pub(crate) fn new(ledger: Ledger) -> Self {
        Self {
            ledger,
            nodes: HashMap::new(),
            holders: HashMap::new(),
            below: HashMap::new(),
            chunks: HashMap::new(),
        }
    }

    /// Takes over the state after an applied group.
    pub(crate) fn absorb(&mut self, outcome: &Outcome) {
        self.ledger = outcome.ledger.clone();
        for row in outcome.writes.nodes.values() {
            if let Some(Some(old)) = self.nodes.get(&row.id) {
                self.holders.insert((old.parent, old.key.clone()), None);
            }
        }
        for row in outcome.writes.nodes.values() {
            self.holders.insert((row.parent, row.key.clone()), Some(row.id));
            self.nodes.insert(row.id, Some(row.clone()));
        }
        self.below.clear();
    }
}
