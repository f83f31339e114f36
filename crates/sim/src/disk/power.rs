//! What a loss of power leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cairn_testkit::random::Random;

use super::MetadataOrder;
use super::inode::{Body, FileBody, FolderBody, Inode, Uid};
use super::state::State;

/// After this time the system has written a file by itself: Linux does after 30 seconds, and begins to within 5.
const WRITTEN_OUT_AFTER: Duration = Duration::from_secs(60);

/// What became of a file that was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileLoss {
    /// Everything was written all the same.
    Kept,
    /// It is as when it was synced last; empty when it never was.
    Lost,
    /// It is empty.
    Emptied,
    /// It ends early, with new bytes to its end.
    Shortened,
    /// It has its new length, new bytes up to a point, and there old ones or zeros.
    Torn,
}

/// What a loss of power did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PowerLoss {
    /// How many un-synced folder operations, or sides of one, survived.
    pub kept_operations: usize,
    /// How many did not.
    pub lost_operations: usize,
    /// What became of the files that were not synced, by path.
    pub files: BTreeMap<String, FileLoss>,
    /// How many files have other bytes now than they were synced with, and size and times from then: only reading tells.
    pub hidden: usize,
    /// How many files, links and folders that could be seen before are under no name any more.
    pub vanished: usize,
}

impl State {
    pub(super) fn power_loss(&mut self, random: &mut Random) -> PowerLoss {
        self.boot += 1;
        for inode in self.inodes.values_mut() {
            // A folder is what the operations in it that survive make of it.
            if !inode.is_folder() && inode.touched_at.elapsed() >= WRITTEN_OUT_AFTER {
                inode.write_out();
            }
        }
        let named = self.named_count();
        let chosen = self.choose(random);
        let kept_operations = chosen.len();
        self.journal.commit(&chosen, &mut self.inodes);
        let lost_operations = self.journal.forget();
        for inode in self.inodes.values_mut() {
            inode.open_count = 0;
            inode.names.clear();
            if let Body::Folder(FolderBody { entries, durable }) = &mut inode.body {
                entries.clone_from(durable);
                inode.attributes.mtime_ns = inode.durable_attributes.mtime_ns;
            }
        }
        let paths = self.drop_unreachable();
        let (files, hidden) = self.lose_files(&paths, random);
        self.renumber();
        self.count_space();
        PowerLoss {
            kept_operations,
            lost_operations,
            files,
            hidden,
            vanished: named.saturating_sub(self.named_count()),
        }
    }

    fn named_count(&self) -> usize {
        self.inodes
            .values()
            .filter(|inode| !inode.names.is_empty())
            .count()
    }

    /// Which folder operations survive.
    fn choose(&self, random: &mut Random) -> BTreeSet<u64> {
        match self.options.metadata_order {
            MetadataOrder::Prefix => {
                let operations: BTreeSet<u64> =
                    self.journal.parts.values().map(|part| part.operation).collect();
                let count = random.below(operations.len() as u64 + 1) as usize;
                let kept: BTreeSet<u64> = operations.into_iter().take(count).collect();
                self.journal
                    .parts
                    .iter()
                    .filter(|(_, part)| kept.contains(&part.operation))
                    .map(|(id, _)| *id)
                    .collect()
            }
            MetadataOrder::Any => {
                // Mostly kept, mostly lost, or even: each shows other mixtures.
                let percent = [10, 50, 90][random.below(3) as usize];
                let chosen = self.journal.parts.keys().copied();
                self.journal
                    .completed(chosen.filter(|_| random.below(100) < percent).collect())
            }
        }
    }

    /// Walks the folders from the top, notes the names of everything, and drops what has none. A folder keeps the first
    /// of two names, as a check of the disk would have it. Returns a path of each inode.
    pub(super) fn drop_unreachable(&mut self) -> BTreeMap<Uid, String> {
        let mut paths = BTreeMap::new();
        for base in [self.root, self.mount_point] {
            let mut waiting = vec![(base, String::new())];
            paths.insert(base, String::new());
            while let Some((uid, above)) = waiting.pop() {
                let Ok(folder) = self.folder(uid) else {
                    continue;
                };
                for (key, entry) in folder.entries.clone() {
                    let path = format!("{above}{}", entry.name.to_string_lossy());
                    let is_known = paths.contains_key(&entry.uid);
                    let is_folder = self.inodes.get(&entry.uid).map(Inode::is_folder);
                    if is_folder.is_none() || (is_known && is_folder == Some(true)) {
                        if let Ok(folder) = self.folder_mut(uid) {
                            folder.entries.remove(&key);
                            folder.durable.remove(&key);
                        }
                        continue;
                    }
                    if let Some(inode) = self.inodes.get_mut(&entry.uid) {
                        inode.names.insert((uid, key));
                    }
                    if is_folder == Some(true) {
                        waiting.push((entry.uid, format!("{path}/")));
                    }
                    paths.entry(entry.uid).or_insert(path);
                }
            }
        }
        self.inodes.retain(|uid, _| paths.contains_key(uid));
        paths
    }

    pub(super) fn count_space(&mut self) {
        self.used_bytes = self.inodes.values().map(Inode::allocated).sum();
    }

    fn lose_files(
        &mut self,
        paths: &BTreeMap<Uid, String>,
        random: &mut Random,
    ) -> (BTreeMap<String, FileLoss>, usize) {
        let times_outlive_bytes = self.options.times_outlive_bytes;
        let mut losses = BTreeMap::new();
        let mut hidden = 0;
        for (uid, inode) in &mut self.inodes {
            if !inode.is_dirty() {
                continue;
            }
            let has_unwritten_bytes = inode.has_unwritten_bytes();
            let Body::File(file) = &mut inode.body else {
                inode.durable_attributes = inode.attributes;
                continue;
            };
            let synced = Arc::clone(&file.durable);
            let loss = if has_unwritten_bytes {
                let loss = lose_bytes(file, random);
                losses.insert(paths.get(uid).cloned().unwrap_or_default(), loss);
                loss
            } else {
                FileLoss::Kept
            };
            let keeps_attributes = random.below(2) == 0;
            let may_keep_attributes = loss == FileLoss::Kept || times_outlive_bytes;
            let has_other_bytes = file.durable != synced && file.durable.len() == synced.len();
            if keeps_attributes && may_keep_attributes {
                inode.durable_attributes = inode.attributes;
            } else {
                hidden += usize::from(has_other_bytes);
                inode.attributes = inode.durable_attributes;
            }
        }
        (losses, hidden)
    }

    /// Finds the free inode numbers anew. An inode that came back gives way when its number was given to another.
    pub(super) fn renumber(&mut self) {
        let mut taken = BTreeSet::new();
        let mut homeless = Vec::new();
        for (uid, inode) in self.inodes.iter().rev() {
            if !taken.insert(inode.number) {
                homeless.push(*uid);
            }
        }
        for uid in homeless {
            let number = self.new_number();
            taken.insert(number);
            if let Some(inode) = self.inodes.get_mut(&uid) {
                inode.number = number;
            }
        }
        self.free_numbers = (2..self.next_number)
            .filter(|number| !taken.contains(number))
            .collect();
    }
}

fn lose_bytes(file: &mut FileBody, random: &mut Random) -> FileLoss {
    let old = if file.was_cut {
        Vec::new()
    } else {
        file.durable.as_ref().clone()
    };
    let new = Arc::clone(&file.bytes);
    let is_forsaken = file.is_forsaken;
    let (loss, left) = match random.below(5) {
        0 if !is_forsaken => (FileLoss::Kept, new),
        2 if old.is_empty() => (FileLoss::Emptied, Arc::default()),
        3 if !is_forsaken && new.len() > old.len() => {
            let len = old.len() as u64 + random.below((new.len() - old.len()) as u64);
            (FileLoss::Shortened, Arc::new(new[..len as usize].to_vec()))
        }
        4 if !is_forsaken && !new.is_empty() => {
            let point = random.below(new.len() as u64) as usize;
            let rest = (point..new.len()).map(|index| old.get(index).copied().unwrap_or(0));
            let torn = new[..point].iter().copied().chain(rest).collect();
            (FileLoss::Torn, Arc::new(torn))
        }
        _ => (FileLoss::Lost, Arc::clone(&file.durable)),
    };
    file.bytes = Arc::clone(&left);
    file.durable = left;
    file.was_cut = false;
    file.is_forsaken = false;
    loss
}
