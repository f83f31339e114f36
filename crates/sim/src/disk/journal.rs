//! Folder operations that are not durable yet.

use std::collections::{BTreeMap, BTreeSet};

use super::MetadataOrder;
use super::inode::{Body, Entry, Inode, Uid};
use super::names::Key;

/// What happens to one name in a folder.
#[derive(Debug, Clone)]
pub(super) struct NameChange {
    pub(super) key: Key,
    pub(super) old: Option<Uid>,
    pub(super) new: Option<Entry>,
}

/// What an operation does in one folder; survives as one.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) operation: u64,
    pub(super) folder: Uid,
    changes: Vec<NameChange>,
    /// The time that it gives the folder.
    at_ns: i128,
    /// Parts without which this one cannot survive by chance.
    needs: BTreeSet<u64>,
    /// Whether not even a sync makes it durable without what it needs.
    is_whole: bool,
}

/// How the parts of one operation hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bond {
    /// A later part does not survive by chance without the earlier ones.
    InOrder,
    /// None survives by chance without the others.
    Together,
    /// Together, even when a sync covers one of them. For moves of folders, which also stay in the order of each other.
    Whole,
}

/// An operation on folders.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) parts: Vec<(Uid, Vec<NameChange>)>,
    pub(super) bond: Bond,
    pub(super) by_user: bool,
    /// Folders that it removes or replaces.
    pub(super) removed_folders: Vec<Uid>,
    /// When it happens, as the disk keeps times.
    pub(super) at_ns: i128,
}

#[derive(Debug, Default)]
pub(super) struct Journal {
    pub(super) parts: BTreeMap<u64, Part>,
    next_part: u64,
    next_operation: u64,
    folder_moves: BTreeSet<u64>,
}

impl Journal {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    pub(super) fn record(&mut self, operation: Operation, order: MetadataOrder) {
        self.next_operation += 1;
        let mut own = Vec::new();
        let mut needs = BTreeSet::new();
        if order == MetadataOrder::Any {
            for (folder, changes) in &operation.parts {
                needs.extend(self.needed(*folder, changes, &operation));
            }
            if operation.bond == Bond::Whole {
                needs.extend(&self.folder_moves);
            }
        }
        for (folder, changes) in operation.parts {
            let id = self.next_part;
            self.next_part += 1;
            let mut needs = needs.clone();
            needs.extend(&own);
            own.push(id);
            self.parts.insert(
                id,
                Part {
                    operation: self.next_operation,
                    folder,
                    changes,
                    at_ns: operation.at_ns,
                    needs,
                    is_whole: operation.by_user
                        || operation.bond == Bond::Whole
                        || !operation.removed_folders.is_empty(),
                },
            );
        }
        if operation.bond == Bond::Whole {
            self.folder_moves.extend(&own);
        }
        if operation.by_user || operation.bond != Bond::InOrder {
            for id in &own {
                if let Some(part) = self.parts.get_mut(id) {
                    part.needs.extend(own.iter().filter(|other| *other != id));
                }
            }
        }
    }

    /// Earlier parts without which one with these changes makes no sense.
    fn needed(&self, folder: Uid, changes: &[NameChange], operation: &Operation) -> Vec<u64> {
        let concerns = |uid: Uid| {
            changes.iter().any(|change| {
                change.old == Some(uid) || change.new.as_ref().is_some_and(|new| new.uid == uid)
            })
        };
        let is_needed = |part: &Part| {
            let is_same_name = part.folder == folder
                && part
                    .changes
                    .iter()
                    .any(|a| changes.iter().any(|b| a.key == b.key));
            let brings = |uid: Uid| {
                part.changes
                    .iter()
                    .any(|change| change.new.as_ref().is_some_and(|new| new.uid == uid))
            };
            let brings_what_is_moved = || {
                part.changes
                    .iter()
                    .filter_map(|change| change.new.as_ref())
                    .any(|new| concerns(new.uid))
            };
            is_same_name
                || brings(folder)
                || operation.removed_folders.contains(&part.folder)
                || (operation.by_user && brings_what_is_moved())
        };
        self.parts
            .iter()
            .filter(|(_, part)| is_needed(part))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The parts that a sync of a folder makes durable.
    pub(super) fn covered_by(&self, folder: Uid) -> BTreeSet<u64> {
        let chosen = self.parts.iter().filter(|(_, part)| part.folder == folder);
        self.with_needs(chosen.map(|(id, _)| *id).collect(), |part| part.is_whole)
    }

    /// A choice completed by what it needs.
    pub(super) fn completed(&self, chosen: BTreeSet<u64>) -> BTreeSet<u64> {
        self.with_needs(chosen, |_| true)
    }

    fn with_needs(&self, chosen: BTreeSet<u64>, has_to_follow: impl Fn(&Part) -> bool) -> BTreeSet<u64> {
        let mut waiting: Vec<u64> = chosen.iter().copied().collect();
        let mut all = chosen;
        while let Some(id) = waiting.pop() {
            let Some(part) = self.parts.get(&id).filter(|part| has_to_follow(part)) else {
                continue;
            };
            for need in &part.needs {
                if self.parts.contains_key(need) && all.insert(*need) {
                    waiting.push(*need);
                }
            }
        }
        all
    }

    /// Makes parts durable, in order.
    pub(super) fn commit(&mut self, chosen: &BTreeSet<u64>, inodes: &mut BTreeMap<Uid, Inode>) {
        for id in chosen {
            self.folder_moves.remove(id);
            if let Some(part) = self.parts.remove(id) {
                part.apply(inodes);
            }
        }
    }

    pub(super) fn commit_all(&mut self, inodes: &mut BTreeMap<Uid, Inode>) {
        self.folder_moves.clear();
        for part in std::mem::take(&mut self.parts).into_values() {
            part.apply(inodes);
        }
    }

    /// Forgets what is not durable; returns how many parts that were.
    pub(super) fn forget(&mut self) -> usize {
        self.folder_moves.clear();
        std::mem::take(&mut self.parts).len()
    }
}

impl Part {
    fn apply(self, inodes: &mut BTreeMap<Uid, Inode>) {
        let Some(inode) = inodes.get_mut(&self.folder) else {
            return;
        };
        let Body::Folder(folder) = &mut inode.body else {
            return;
        };
        inode.durable_attributes.mtime_ns = self.at_ns;
        for change in self.changes {
            match change.new {
                Some(entry) => {
                    folder.durable.insert(change.key, entry);
                }
                // Another thing of this name stays: an operation removes only what it met.
                None if folder.durable.get(&change.key).map(|entry| entry.uid) == change.old => {
                    folder.durable.remove(&change.key);
                }
                None => {}
            }
        }
    }
}
