//! A tree of nodes in memory: the whole of one in tests, the neighbourhood of what changed in a daemon.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ids::{FileId, NodeId};
use crate::limits;
use crate::name::{NameKey, NodeName};
use crate::node::{Attributes, Content, LinkTarget, Node, NodeKind, Place};
use crate::rev::Seq;

/// What a node holds, as far as planning needs it: enough to say whether two states are the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Substance {
    /// A folder.
    Directory,
    /// A file's bytes, by identity.
    File {
        /// Equal ids mean equal bytes.
        file_id: FileId,
        /// Length in bytes.
        size: u64,
    },
    /// A link's target.
    Symlink(LinkTarget),
}

impl Substance {
    /// The kind of node that holds this.
    pub const fn kind(&self) -> NodeKind {
        match self {
            Self::Directory => NodeKind::Directory,
            Self::File { .. } => NodeKind::File,
            Self::Symlink(_) => NodeKind::Symlink,
        }
    }
}

impl From<&Content> for Substance {
    fn from(content: &Content) -> Self {
        match content {
            Content::Directory => Self::Directory,
            Content::File(file) => Self::File {
                file_id: file.file_id,
                size: file.size,
            },
            Content::Symlink(target) => Self::Symlink(target.clone()),
        }
    }
}

/// One node as one of the three trees has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub place: Place,
    /// What it holds.
    pub substance: Substance,
    /// Its attributes.
    pub attributes: Attributes,
    /// The server's counter of the place; zero in the local tree.
    pub place_seq: Seq,
    /// The server's counter of the content; zero in the local tree.
    pub content_seq: Seq,
}

impl Entry {
    /// Whether this is a folder.
    pub const fn is_directory(&self) -> bool {
        matches!(self.substance, Substance::Directory)
    }

    /// Whether both have the same attributes, as far as the kind has any: a folder's and a link's times are their own.
    pub fn same_attributes(&self, other: &Self) -> bool {
        self.substance.kind() != NodeKind::File || self.attributes == other.attributes
    }
}

impl From<&Node> for Entry {
    fn from(node: &Node) -> Self {
        Self {
            place: node.place.clone(),
            substance: (&node.content).into(),
            attributes: node.attributes,
            place_seq: node.place_seq,
            content_seq: node.content_seq,
        }
    }
}

/// Nodes by id, with an index of names. The root is implied and has no entry. May be partial: a node's parent need not
/// be here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    entries: HashMap<NodeId, Entry>,
    children: HashMap<NodeId, BTreeMap<NameKey, Vec<NodeId>>>,
}

impl Tree {
    /// An empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many nodes it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The node's entry.
    pub fn get(&self, node: NodeId) -> Option<&Entry> {
        self.entries.get(&node)
    }

    /// Whether the node is here; the root always is.
    pub fn contains(&self, node: NodeId) -> bool {
        node == NodeId::ROOT || self.entries.contains_key(&node)
    }

    /// Puts a node in, in place of what it was.
    pub fn insert(&mut self, node: NodeId, entry: Entry) {
        self.remove(node);
        let holders = self.children.entry(entry.place.parent).or_default();
        let ids = holders.entry(entry.place.name.key()).or_default();
        ids.push(node);
        ids.sort_unstable();
        self.entries.insert(node, entry);
    }

    /// Takes a node out. What is below it stays, without a parent.
    pub fn remove(&mut self, node: NodeId) -> Option<Entry> {
        let entry = self.entries.remove(&node)?;
        let key = entry.place.name.key();
        if let Some(holders) = self.children.get_mut(&entry.place.parent) {
            if let Some(ids) = holders.get_mut(&key) {
                ids.retain(|id| *id != node);
                if ids.is_empty() {
                    holders.remove(&key);
                }
            }
            if holders.is_empty() {
                self.children.remove(&entry.place.parent);
            }
        }
        Some(entry)
    }

    /// Gives a node another place; does nothing when it is not here.
    pub fn set_place(&mut self, node: NodeId, place: Place) {
        if let Some(mut entry) = self.remove(node) {
            entry.place = place;
            self.insert(node, entry);
        }
    }

    /// The node that has this name, or one that folds to the same key, in a folder. Never more than one in a tree that
    /// obeys the rules; a local tree on a case-sensitive disk may have several for a moment: the smallest id then.
    pub fn child(&self, parent: NodeId, name: &NodeName) -> Option<NodeId> {
        self.children.get(&parent)?.get(&name.key())?.first().copied()
    }

    /// A node other than `except` that has this name's key in a folder.
    pub fn other_child(&self, parent: NodeId, name: &NodeName, except: NodeId) -> Option<NodeId> {
        self.children
            .get(&parent)?
            .get(&name.key())?
            .iter()
            .copied()
            .find(|id| *id != except)
    }

    /// The nodes in a folder, by name key.
    pub fn children(&self, parent: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.children
            .get(&parent)
            .into_iter()
            .flat_map(|holders| holders.values().flatten().copied())
    }

    /// Whether `node` is `ancestor` or lies below it. Ends at a missing parent, and after the greatest depth.
    pub fn is_within(&self, node: NodeId, ancestor: NodeId) -> bool {
        let mut current = node;
        for _ in 0..=limits::TREE_DEPTH {
            if current == ancestor {
                return true;
            }
            match self.entries.get(&current) {
                Some(entry) => current = entry.place.parent,
                None => return false,
            }
        }
        // A chain longer than the greatest depth can only be a cycle: refuse to walk it further.
        true
    }

    /// Folders above a node; `None` when the chain does not reach the root.
    pub fn depth(&self, node: NodeId) -> Option<usize> {
        let mut current = node;
        for depth in 0..=limits::TREE_DEPTH {
            if current == NodeId::ROOT {
                return Some(depth);
            }
            current = self.entries.get(&current)?.place.parent;
        }
        None
    }

    /// Every node with its entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    /// Names each broken rule of a whole tree: orphans, cycles, parents that are no folders, names taken twice.
    pub fn check(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (id, entry) in &self.entries {
            if self.depth(*id).is_none() {
                broken.push(format!("{id} ({:?}) does not hang on the root", entry.place.name));
            }
            if entry.place.parent != NodeId::ROOT
                && self
                    .entries
                    .get(&entry.place.parent)
                    .is_some_and(|parent| !parent.is_directory())
            {
                broken.push(format!("{id} ({:?}) lies in what is no folder", entry.place.name));
            }
        }
        for (parent, holders) in &self.children {
            for (key, ids) in holders {
                if ids.len() > 1 {
                    broken.push(format!("{key:?} in {parent} is the name of {} nodes", ids.len()));
                }
            }
        }
        broken.sort();
        broken
    }
}

/// The part of the three trees that planning one set of nodes needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Neighbourhood {
    /// What the server says.
    pub remote: Tree,
    /// What the disk says.
    pub local: Tree,
    /// What both last agreed on.
    pub synced: Tree,
    /// The nodes to plan, in no order: those of which the three trees differ.
    pub dirty: Vec<NodeId>,
    /// Folders of the local tree, gone from the server or withheld, that still hold something on the disk beyond what `local` has.
    pub local_more_below: HashSet<NodeId>,
    /// Folders that vanished from the disk, below which the server has something that must not go with them: a node
    /// that the server moved there or has as new, or that is gone from the disk but was edited on the server. They come
    /// back.
    pub remote_kept_below: HashSet<NodeId>,
    /// Folders that vanished from the disk, below which the server still has, where both agreed it to be, a node that
    /// now is elsewhere on the disk: its move must reach the server before the folder can go.
    pub remote_waiting_below: HashSet<NodeId>,
    /// Nodes of the remote tree that this device does not keep: the excluded folders and what is below them on the
    /// server.
    pub withheld: HashSet<NodeId>,
}

impl Neighbourhood {
    /// The neighbourhood of everything that differs in three whole trees. O(n · depth); for tests and small trees.
    pub fn whole(remote: Tree, local: Tree, synced: Tree) -> Self {
        Self::whole_except(remote, local, synced, &[])
    }

    /// The same for a device that does not keep some folders of the server.
    pub fn whole_except(remote: Tree, local: Tree, synced: Tree, excluded: &[NodeId]) -> Self {
        let withheld: HashSet<NodeId> = remote
            .iter()
            .map(|(id, _)| id)
            .filter(|id| excluded.iter().any(|folder| remote.is_within(*id, *folder)))
            .collect();
        let ids: HashSet<NodeId> = [&remote, &local, &synced]
            .into_iter()
            .flat_map(|tree| tree.entries.keys().copied())
            .collect();
        let mut dirty: Vec<NodeId> = ids
            .into_iter()
            .filter(|id| {
                let (remote, local, synced) = (remote.get(*id), local.get(*id), synced.get(*id));
                differ(remote, local, synced, withheld.contains(id))
            })
            .collect();
        dirty.sort_unstable();
        let mut kept = HashSet::new();
        let mut waiting = HashSet::new();
        for (id, entry) in remote.iter() {
            let base = synced.get(id);
            let marked = if local.get(id).is_some() && base.is_some_and(|base| base.place == entry.place) {
                &mut waiting
            } else if local.get(id).is_some()
                || withheld.contains(&id)
                || !base.is_some_and(|base| same_state(entry, base))
            {
                &mut kept
            } else {
                continue;
            };
            let mut above = entry.place.parent;
            while above != NodeId::ROOT && marked.insert(above) {
                match remote.get(above) {
                    Some(parent) => above = parent.place.parent,
                    None => break,
                }
            }
        }
        let vanished = |id: &NodeId| local.get(*id).is_none();
        kept.retain(vanished);
        waiting.retain(vanished);
        Self {
            remote,
            local,
            synced,
            dirty,
            local_more_below: HashSet::new(),
            remote_kept_below: kept,
            remote_waiting_below: waiting,
            withheld,
        }
    }
}

/// Whether two entries have the same place and substance: what guards a deletion.
pub fn same_state(a: &Entry, b: &Entry) -> bool {
    a.place == b.place && a.substance == b.substance
}

/// Whether the three trees say the same of a node, counters included where the server set them.
pub fn agree(remote: Option<&Entry>, local: Option<&Entry>, synced: Option<&Entry>) -> bool {
    match (remote, local, synced) {
        (None, None, None) => true,
        (Some(remote), Some(local), Some(synced)) => {
            remote == synced && same_state(local, synced) && local.same_attributes(synced)
        }
        _ => false,
    }
}

/// Whether there is something to do for a node. One that this device does not keep is as it should be when only the
/// server has it.
pub fn differ(
    remote: Option<&Entry>,
    local: Option<&Entry>,
    synced: Option<&Entry>,
    is_withheld: bool,
) -> bool {
    if is_withheld && remote.is_some() {
        local.is_some() || synced.is_some()
    } else {
        !agree(remote, local, synced)
    }
}
