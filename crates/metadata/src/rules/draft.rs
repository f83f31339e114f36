//! The tree as a group has changed it so far.

use std::collections::BTreeMap;

use cairn_core::change::{Change, Refusal};
use cairn_core::ids::NodeId;
use cairn_core::node::{NodeKind, Place};
use cairn_core::rev::Seq;

use super::Stop;
use super::facts::{Below, BelowQuery, Facts, Need};
use crate::row::{NodeRow, PastContent, PastPlace};

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// In the tree, with this many folders above it.
    Live { depth: usize },
    /// In the trash, or below something there.
    Trashed,
    /// Above itself; may pass while a group is under way.
    Cyclic,
}

/// One operation that takes effect.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) op_index: usize,
    pub(super) seq: Seq,
    pub(super) node: NodeId,
    pub(super) change: Change,
    pub(super) place_before: Option<Place>,
    pub(super) bytes_delta: i128,
    /// The node after the operation.
    pub(super) after: NodeRow,
}

#[derive(Debug)]
pub(super) struct Draft<'f> {
    pub(super) facts: &'f Facts,
    pub(super) nodes: BTreeMap<NodeId, NodeRow>,
    pub(super) effects: Vec<Effect>,
    pub(super) seqs: Vec<Seq>,
    pub(super) past_places: Vec<PastPlace>,
    pub(super) past_contents: Vec<PastContent>,
}

impl<'f> Draft<'f> {
    pub(super) fn new(facts: &'f Facts) -> Self {
        Self {
            facts,
            nodes: BTreeMap::new(),
            effects: Vec::new(),
            seqs: Vec::new(),
            past_places: Vec::new(),
            past_contents: Vec::new(),
        }
    }

    /// The head, counting the group's effects so far.
    pub(super) fn head(&self) -> Seq {
        self.effects
            .last()
            .map_or(self.facts.ledger.head, |effect| effect.seq)
    }

    /// The node as the group left it so far; `None` when there is none.
    pub(super) fn node(&self, id: NodeId) -> Result<Option<&NodeRow>, Stop> {
        match self.nodes.get(&id) {
            Some(row) => Ok(Some(row)),
            None => self.node_before(id),
        }
    }

    /// The node as it was before the group.
    pub(super) fn node_before(&self, id: NodeId) -> Result<Option<&'f NodeRow>, Stop> {
        match self.facts.nodes.get(&id) {
            Some(row) => Ok(row.as_ref()),
            None => Err(Stop::Need(Need::Node(id))),
        }
    }

    /// Where a node stands now.
    pub(super) fn standing(&self, id: NodeId) -> Result<Standing, Stop> {
        walk(id, |id| self.node(id))
    }

    /// Where a node stood before the group.
    pub(super) fn standing_before(&self, id: NodeId) -> Result<Standing, Stop> {
        walk(id, |id| self.node_before(id))
    }

    /// An existing node that stands in the tree, to be changed.
    pub(super) fn live_node(&self, id: NodeId) -> Result<&NodeRow, Stop> {
        let absent = Stop::Refuse(Refusal::NodeNotFound { node: id });
        if id.is_reserved() {
            return Err(absent);
        }
        let Some(row) = self.node(id)? else {
            return Err(absent);
        };
        if self.standing(id)? == Standing::Trashed {
            return Err(absent);
        }
        Ok(row)
    }

    /// Refuses a place whose folder is absent, in the trash, or no folder.
    pub(super) fn check_parent(&self, parent: NodeId) -> Result<(), Stop> {
        if parent == NodeId::ROOT {
            return Ok(());
        }
        let absent = Stop::Refuse(Refusal::ParentNotFound { parent });
        if parent.is_reserved() {
            return Err(absent);
        }
        let Some(row) = self.node(parent)? else {
            return Err(absent);
        };
        if self.standing(parent)? == Standing::Trashed {
            return Err(absent);
        }
        if row.kind() != NodeKind::Directory {
            return Err(Stop::Refuse(Refusal::ParentNotDirectory { parent }));
        }
        Ok(())
    }

    /// What the store knows below a folder, leaving out every node that the group touched: those are counted by the
    /// draft itself, with what hangs below them.
    pub(super) fn untouched_below(&self, folder: NodeId) -> Result<Below, Stop> {
        let query = BelowQuery {
            folder,
            excluded: self.nodes.keys().copied().collect(),
        };
        match self.facts.below.get(&query) {
            Some(below) => Ok(*below),
            None => Err(Stop::Need(Need::Below(query))),
        }
    }

    /// Bytes and newest entry of all that lies below a folder now. `height` is not filled.
    pub(super) fn below(&self, folder: NodeId) -> Result<Below, Stop> {
        let mut sum = self.untouched_below(folder)?;
        for row in self.nodes.values() {
            if row.id == folder || !self.is_below(row.id, folder)? {
                continue;
            }
            sum.bytes += row.size();
            sum.newest = sum.newest.max(Some((row.place_seq.max(row.content_seq), row.id)));
            if row.kind() == NodeKind::Directory {
                let deeper = self.untouched_below(row.id)?;
                sum.bytes += deeper.bytes;
                sum.newest = sum.newest.max(deeper.newest);
            }
        }
        Ok(sum)
    }

    fn is_below(&self, id: NodeId, folder: NodeId) -> Result<bool, Stop> {
        let mut found = false;
        walk(id, |at| {
            let row = self.node(at)?;
            found |= row.is_some_and(|row| row.parent == folder);
            Ok(row)
        })?;
        Ok(found)
    }

    /// Records an effect on a node; histories get the states that it supersedes.
    pub(super) fn record(&mut self, op_index: usize, change: Change, bytes_delta: i128, after: NodeRow) {
        let seq = self.head().next();
        let before = self
            .nodes
            .get(&after.id)
            .or_else(|| self.facts.nodes.get(&after.id).and_then(Option::as_ref));
        let place_before = before.map(NodeRow::place);
        if let Some(before) = before {
            if before.place_seq != after.place_seq {
                self.past_places.push(PastPlace {
                    node: before.id,
                    from: before.place_seq,
                    to: seq,
                    parent: before.parent,
                    name: before.name.clone(),
                    key: before.key.clone(),
                    kind: before.kind(),
                });
            }
            if before.content_seq != after.content_seq {
                self.past_contents.push(PastContent {
                    node: before.id,
                    from: before.content_seq,
                    to: seq,
                    content: before.content.clone(),
                    attributes: before.attributes,
                    attributes_seq: before.attributes_seq,
                });
            }
        }
        self.effects.push(Effect {
            op_index,
            seq,
            node: after.id,
            change,
            place_before,
            bytes_delta,
            after: after.clone(),
        });
        self.nodes.insert(after.id, after);
    }
}

/// Walks up to one of the fixed folders. Ends in a cycle too (Brent's algorithm): O(depth), no memory.
fn walk<'n>(
    start: NodeId,
    mut node: impl FnMut(NodeId) -> Result<Option<&'n NodeRow>, Stop>,
) -> Result<Standing, Stop> {
    let (mut at, mut slow, mut power, mut lap) = (start, start, 1_usize, 0_usize);
    let mut above = 0;
    loop {
        let Some(row) = node(at)? else {
            return Ok(Standing::Trashed);
        };
        at = row.parent;
        if at == NodeId::ROOT {
            return Ok(Standing::Live { depth: above });
        }
        if at.is_reserved() {
            return Ok(Standing::Trashed);
        }
        if at == slow {
            return Ok(Standing::Cyclic);
        }
        above += 1;
        lap += 1;
        if lap == power {
            (slow, power, lap) = (at, power * 2, 0);
        }
    }
}
