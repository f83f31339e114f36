//! One namespace in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::convert::Infallible;

use async_trait::async_trait;
use cairn_core::ids::{ChainHash, FileId, NodeId};
use cairn_core::limits;
use cairn_core::name::{NameKey, NodeName};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::tree::{Entry, Substance};

use crate::state::inbox::{ConflictRow, Displaced};
use crate::state::neighbourhood::Source;
use crate::state::triple::{Below, TreeName, Triple};
use crate::state::{
    Counts, InFlight, Intent, LocalChange, LocalRow, Relisted, StateBatch, TreeChange, outlived_by,
};

/// Everything that is kept by namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Space {
    nodes: BTreeMap<NodeId, Triple>,
    /// The nodes that a folder holds in any tree: more than those of each.
    held: HashMap<NodeId, BTreeSet<NodeId>>,
    dirty: BTreeSet<NodeId>,
    pub(super) cursor: Option<Cursor>,
    pub(super) checkpoints: BTreeMap<Seq, ChainHash>,
    pub(super) waypoints: BTreeMap<u64, (Seq, ChainHash)>,
    pub(super) listing: Option<(Cursor, BTreeMap<NodeId, Entry>)>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) intents: BTreeMap<String, Intent>,
    pub(super) seen: Seq,
    /// Folders that the device does not keep, with the paths that they were known by.
    pub(super) excluded: BTreeMap<NodeId, String>,
    pub(super) conflicts: BTreeMap<NodeId, ConflictRow>,
    pub(super) displaced: BTreeMap<String, Displaced>,
}

/// Whether a node's bytes are these.
pub(super) fn has_content(entry: &Entry, wanted: FileId) -> bool {
    matches!(entry.substance, Substance::File { file_id, .. } if file_id == wanted)
}

impl Space {
    pub(super) fn apply(&mut self, batch: StateBatch) {
        for (from, to) in batch.rebind {
            self.rebind(from, to);
        }
        for change in batch.remote {
            self.change_tree(TreeName::Remote, change);
        }
        for change in batch.local {
            match change {
                LocalChange::Put(row) => self.update(row.node, |triple| triple.put_local(row)),
                LocalChange::Remove(node) => self.remove_subtree(TreeName::Local, node),
            }
        }
        for change in batch.synced {
            self.change_tree(TreeName::Synced, change);
        }
        if let Some(cursor) = batch.cursor {
            self.cursor = Some(cursor);
            self.add_waypoint(cursor);
            self.checkpoints.retain(|seq, _| *seq > cursor.seq);
            self.seen = self.seen.max(cursor.seq);
        }
        if let Some(checkpoint) = batch.checkpoint
            && self.cursor.is_none_or(|cursor| cursor.seq < checkpoint.seq)
        {
            self.checkpoints.entry(checkpoint.seq).or_insert(checkpoint.chain);
        }
        if batch.in_flight.is_some() {
            self.in_flight = batch.in_flight;
        }
        if self
            .in_flight
            .as_ref()
            .is_some_and(|sent| Some(sent.op_id) == batch.settled)
        {
            self.in_flight = None;
        }
        for staged in batch.done_intents {
            self.intents.remove(&staged);
        }
        for conflict in batch.conflicts {
            self.conflicts.insert(conflict.copy, conflict);
        }
        for copy in batch.settled_conflicts {
            self.conflicts.remove(&copy);
        }
        for displaced in batch.displaced {
            self.displaced.insert(displaced.staged.clone(), displaced);
        }
        for staged in batch.let_go {
            self.displaced.remove(&staged);
        }
    }

    fn add_waypoint(&mut self, at: Cursor) {
        let last = self.waypoints.last_key_value();
        if last.is_some_and(|(_, (seq, _))| *seq >= at.seq) {
            return;
        }
        let number = last.map_or(0, |(number, _)| *number) + 1;
        self.waypoints.insert(number, (at.seq, at.chain));
        self.waypoints.remove(&outlived_by(number));
    }

    pub(super) fn finish_listing(&mut self, kind: Relisted) {
        let Some((at, listed)) = self.listing.take() else {
            return;
        };
        if let Relisted::Merge { shared } = kind {
            self.checkpoints.clear();
            self.waypoints.retain(|_, (seq, _)| *seq <= shared);
        }
        let known: Vec<NodeId> = self.nodes.keys().copied().chain(listed.keys().copied()).collect();
        for node in known {
            let entry = listed.get(&node).cloned();
            self.saw(entry.as_ref());
            self.update(node, |triple| triple.relist(entry, kind));
        }
        for folder in self.excluded.keys().copied().collect::<Vec<_>>() {
            self.withhold(folder);
        }
        self.cursor = Some(at);
        self.add_waypoint(at);
        self.seen = self.seen.max(at.seq);
    }

    fn saw(&mut self, entry: Option<&Entry>) {
        if let Some(entry) = entry {
            self.seen = self.seen.max(entry.place_seq).max(entry.content_seq);
        }
    }

    fn change_tree(&mut self, tree: TreeName, change: TreeChange) {
        match change {
            TreeChange::Put(node, entry) => {
                self.saw(Some(&entry));
                self.update(node, |triple| match tree {
                    TreeName::Remote => triple.remote = Some(entry),
                    _ => triple.synced = Some(entry),
                });
                if tree == TreeName::Remote {
                    self.withhold(node);
                }
            }
            TreeChange::RemoveSubtree(node) => self.remove_subtree(tree, node),
            TreeChange::RemoveNode(node) => self.update(node, |triple| triple.clear(tree)),
        }
    }

    /// Settles whether a node of the remote tree is withheld, and all below it.
    pub(super) fn withhold(&mut self, node: NodeId) {
        let mut open = vec![node];
        let mut met = HashSet::from([node]);
        while let Some(node) = open.pop() {
            let Some(parent) = self.entry(TreeName::Remote, node).map(|entry| entry.place.parent) else {
                continue;
            };
            let is_below = self.nodes.get(&parent).is_some_and(|triple| triple.is_withheld);
            let is_withheld = is_below || self.excluded.contains_key(&node);
            self.update(node, |triple| triple.is_withheld = is_withheld);
            let below = self.children(TreeName::Remote, node);
            open.extend(below.into_iter().filter(|child| met.insert(*child)));
        }
    }

    /// The node of this name, or one that folds to the same key, in a folder of the remote tree.
    pub(super) fn remote_child(&self, folder: NodeId, name: &NodeName) -> Option<NodeId> {
        let is_named = |node: &NodeId| {
            self.entry(TreeName::Remote, *node)
                .is_some_and(|entry| entry.place.name.key() == name.key())
        };
        self.children(TreeName::Remote, folder).into_iter().find(is_named)
    }

    pub(super) fn is_withheld(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(|triple| triple.is_withheld)
    }

    fn rebind(&mut self, from: NodeId, to: NodeId) {
        if from == to {
            return;
        }
        for child in self.children(TreeName::Local, from) {
            self.update(child, |triple| {
                if let Some(row) = &mut triple.local {
                    row.entry.place.parent = to;
                }
            });
        }
        let mut moved = None;
        self.update(from, |triple| moved = triple.local.take());
        if let Some(row) = moved {
            self.update(to, |triple| triple.local = Some(LocalRow { node: to, ..row }));
        }
        if let Some(conflict) = self.conflicts.remove(&from) {
            self.conflicts.insert(to, ConflictRow { copy: to, ..conflict });
        }
        for conflict in self.conflicts.values_mut().filter(|row| row.original == from) {
            conflict.original = to;
        }
    }

    fn remove_subtree(&mut self, tree: TreeName, node: NodeId) {
        let may_hold = self.nodes.get(&node).is_none_or(|triple| triple.may_hold(tree));
        let mut doomed = vec![node];
        let mut met = HashSet::from([node]);
        while let Some(node) = doomed.pop() {
            if may_hold {
                doomed.extend(
                    self.children(tree, node)
                        .into_iter()
                        .filter(|child| met.insert(*child)),
                );
            }
            self.update(node, |triple| triple.clear(tree));
        }
    }

    fn update(&mut self, node: NodeId, change: impl FnOnce(&mut Triple)) {
        let mut triple = self.nodes.remove(&node).unwrap_or_default();
        for parent in triple.parents() {
            if let Some(held) = self.held.get_mut(&parent) {
                held.remove(&node);
                if held.is_empty() {
                    self.held.remove(&parent);
                }
            }
        }
        change(&mut triple);
        for parent in triple.parents() {
            self.held.entry(parent).or_default().insert(node);
        }
        if triple.is_dirty() {
            self.dirty.insert(node);
        } else {
            self.dirty.remove(&node);
        }
        if !triple.is_empty() {
            self.nodes.insert(node, triple);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let count = |tree| {
            self.nodes
                .values()
                .filter(|triple| triple.entry(tree).is_some())
                .count() as u64
        };
        Counts {
            local_nodes: count(TreeName::Local),
            remote_nodes: count(TreeName::Remote),
            dirty: self.dirty.len() as u64,
        }
    }

    pub(super) fn entry(&self, tree: TreeName, node: NodeId) -> Option<&Entry> {
        self.nodes.get(&node)?.entry(tree)
    }

    pub(super) fn local(&self, node: NodeId) -> Option<&LocalRow> {
        self.nodes.get(&node)?.local.as_ref()
    }

    pub(super) fn local_where(&self, wanted: impl Fn(&LocalRow) -> bool) -> impl Iterator<Item = &LocalRow> {
        self.nodes
            .values()
            .filter_map(|triple| triple.local.as_ref())
            .filter(move |row| wanted(row))
    }

    pub(super) fn remote_has_content(&self, wanted: FileId) -> bool {
        let mut remote = self.nodes.values().filter_map(|triple| triple.remote.as_ref());
        remote.any(|entry| has_content(entry, wanted))
    }

    pub(super) fn local_rows_in(&self, folder: NodeId) -> Vec<LocalRow> {
        let mut rows: Vec<LocalRow> = self
            .children(TreeName::Local, folder)
            .into_iter()
            .filter_map(|node| self.local(node).cloned())
            .collect();
        rows.sort_by(|a, b| a.name_on_disk().cmp(b.name_on_disk()));
        rows
    }

    fn children(&self, tree: TreeName, folder: NodeId) -> Vec<NodeId> {
        let held = self.held.get(&folder).into_iter().flatten().copied();
        held.filter(|node| {
            self.entry(tree, *node)
                .is_some_and(|entry| entry.place.parent == folder)
        })
        .collect()
    }

    pub(super) fn path(&self, tree: TreeName, node: NodeId) -> Option<Vec<String>> {
        let mut names = Vec::new();
        let mut current = node;
        while current != NodeId::ROOT {
            let name = match tree {
                TreeName::Local => self.local(current)?.name_on_disk().to_owned(),
                _ => self.entry(tree, current)?.place.name.as_str().to_owned(),
            };
            names.push(name);
            current = self.entry(tree, current)?.place.parent;
            if names.len() > limits::TREE_DEPTH {
                return None;
            }
        }
        names.reverse();
        Some(names)
    }
}

#[async_trait]
impl Source for Space {
    type Fault = Infallible;

    async fn dirty_after(&mut self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, Infallible> {
        let later = self
            .dirty
            .iter()
            .copied()
            .filter(|node| after.is_none_or(|after| *node > after));
        Ok(later.take(limit).collect())
    }

    async fn triples(&mut self, nodes: &[NodeId]) -> Result<Vec<(NodeId, Triple)>, Infallible> {
        Ok(nodes
            .iter()
            .filter_map(|node| Some((*node, self.nodes.get(node)?.clone())))
            .collect())
    }

    async fn holders(&mut self, places: &[(NodeId, NameKey)]) -> Result<Vec<NodeId>, Infallible> {
        let mut holders = Vec::new();
        for (folder, key) in places {
            for node in self.held.get(folder).into_iter().flatten() {
                let holds = |entry: &Entry| entry.place.parent == *folder && entry.place.name.key() == *key;
                if self
                    .nodes
                    .get(node)
                    .is_some_and(|triple| triple.entries().any(holds))
                {
                    holders.push(*node);
                }
            }
        }
        Ok(holders)
    }

    async fn local_children(&mut self, folder: NodeId, limit: usize) -> Result<Vec<NodeId>, Infallible> {
        Ok(self
            .children(TreeName::Local, folder)
            .into_iter()
            .take(limit)
            .collect())
    }

    async fn local_children_count(&mut self, folder: NodeId) -> Result<usize, Infallible> {
        Ok(self.children(TreeName::Local, folder).len())
    }

    async fn is_below(&mut self, folder: NodeId, what: Below) -> Result<bool, Infallible> {
        let mut met = HashSet::from([folder]);
        let mut open = vec![folder];
        while let Some(node) = open.pop() {
            let below = self.children(TreeName::Remote, node);
            if below
                .iter()
                .any(|child| self.nodes.get(child).is_some_and(|triple| triple.is(what)))
            {
                return Ok(true);
            }
            open.extend(below.into_iter().filter(|child| met.insert(*child)));
        }
        Ok(false)
    }
}
