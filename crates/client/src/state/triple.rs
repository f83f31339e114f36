//! One node in all three trees.

use cairn_core::ids::NodeId;
use cairn_core::name::NameKey;
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, differ, same_state};

use super::{LocalRow, Relisted};

/// One of the three trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TreeName {
    /// What the server says.
    Remote,
    /// What the disk says.
    Local,
    /// What both last agreed on.
    Synced,
}

impl TreeName {
    /// All of them.
    pub(super) const ALL: [Self; 3] = [Self::Remote, Self::Local, Self::Synced];

    /// Its bit in `entry.trees`.
    pub(super) const fn bit(self) -> i64 {
        match self {
            Self::Remote => 1,
            Self::Local => 2,
            Self::Synced => 4,
        }
    }
}

/// What may lie below a folder that vanished from the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Below {
    /// A node that must not go with the folder.
    Kept,
    /// A node that has to be moved out of it on the server first.
    Waiting,
}

/// A node as each tree has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Triple {
    pub(super) remote: Option<Entry>,
    pub(super) local: Option<LocalRow>,
    pub(super) synced: Option<Entry>,
    /// Whether the server has it in a folder that this device does not keep.
    pub(super) is_withheld: bool,
}

/// The bit in `entry.trees` of a remote node that is withheld.
pub(super) const WITHHELD_BIT: i64 = 8;

impl Triple {
    /// The entry in one tree.
    pub(super) fn entry(&self, tree: TreeName) -> Option<&Entry> {
        match tree {
            TreeName::Remote => self.remote.as_ref(),
            TreeName::Local => self.local.as_ref().map(|row| &row.entry),
            TreeName::Synced => self.synced.as_ref(),
        }
    }

    /// Takes the node out of one tree.
    pub(super) fn clear(&mut self, tree: TreeName) {
        match tree {
            TreeName::Remote => {
                self.remote = None;
                self.is_withheld = false;
            }
            TreeName::Local => self.local = None,
            TreeName::Synced => self.synced = None,
        }
    }

    /// Puts a looked-at node in. The local tree has no counters.
    pub(super) fn put_local(&mut self, mut row: LocalRow) {
        row.entry.place_seq = Seq::ZERO;
        row.entry.content_seq = Seq::ZERO;
        self.local = Some(row);
    }

    /// Takes what the server has of it after a new listing.
    pub(super) fn relist(&mut self, listed: Option<Entry>, kind: Relisted) {
        if let Relisted::Merge { shared } = kind {
            self.synced = listed.clone().filter(|listed| self.is_built_on(listed, shared));
        }
        self.remote = listed;
        self.is_withheld = false;
    }

    /// Whether what is on the disk comes from what was listed, which is of the time when both histories were one.
    fn is_built_on(&self, listed: &Entry, shared: Seq) -> bool {
        let is_shared = listed.place_seq.max(listed.content_seq) <= shared;
        let was_seen = self.synced.as_ref().is_some_and(|agreed| {
            agreed.place_seq >= listed.place_seq && agreed.content_seq >= listed.content_seq
        });
        is_shared && was_seen && self.local.is_some()
    }

    /// Whether no tree has it.
    pub(super) const fn is_empty(&self) -> bool {
        self.remote.is_none() && self.local.is_none() && self.synced.is_none()
    }

    /// Whether the trees do not say the same.
    pub(super) fn is_dirty(&self) -> bool {
        differ(
            self.remote.as_ref(),
            self.entry(TreeName::Local),
            self.synced.as_ref(),
            self.is_withheld,
        )
    }

    /// Whether removing it with all below it needs to look below: what is no folder holds nothing.
    pub(super) fn may_hold(&self, tree: TreeName) -> bool {
        self.entry(tree).is_none_or(Entry::is_directory)
    }

    /// The entries that there are.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        TreeName::ALL.into_iter().filter_map(|tree| self.entry(tree))
    }

    /// The folders that hold it, in any tree.
    pub(super) fn parents(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.entries().map(|entry| entry.place.parent)
    }

    /// Every folder that it is in with every name that it has: where it stands, or will on the way to agreement.
    pub(super) fn places(&self) -> Vec<(NodeId, NameKey)> {
        let mut places = Vec::new();
        for parent in self.parents() {
            for entry in self.entries() {
                let place = (parent, entry.place.name.key());
                if !places.contains(&place) {
                    places.push(place);
                }
            }
        }
        places
    }

    /// Whether the node, being in the remote tree, is what `Below` asks for.
    pub(super) fn is(&self, what: Below) -> bool {
        let Some(remote) = &self.remote else { return false };
        let base = self.synced.as_ref();
        let is_waiting = self.local.is_some() && base.is_some_and(|base| base.place == remote.place);
        match what {
            Below::Waiting => is_waiting,
            Below::Kept => {
                let is_newer = !base.is_some_and(|base| same_state(base, remote));
                !is_waiting && (self.local.is_some() || self.is_withheld || is_newer)
            }
        }
    }
}
