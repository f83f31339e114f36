//! One user's hand on one disk: single operations, each told to model and ledger.

use std::sync::Arc;

use cairn_core::time::Mtime;

use super::{SharedNotes, open};
use crate::content;
use crate::disk::{SimDisk, User, UserEntry, UserFile};
use crate::model::Model;
use crate::script::Ref;
use crate::tree::{Item, Tree};

/// A user of one device. What fails on the disk is not done, and told to nobody.
#[derive(Debug)]
pub struct Hand {
    disk: SimDisk,
    user: User,
    device: usize,
    seed: u64,
    step: u64,
    notes: SharedNotes,
    held: Option<UserFile>,
    /// Whether everything is written out after each action, so that no loss of power takes any of it.
    syncs: bool,
}

impl Hand {
    /// A user of a device.
    pub fn new(disk: &SimDisk, device: usize, seed: u64, notes: &SharedNotes) -> Self {
        let syncs = open(notes).model.is_some();
        Self {
            disk: disk.clone(),
            user: disk.user(),
            device,
            seed,
            step: 0,
            notes: Arc::clone(notes),
            held: None,
            syncs,
        }
    }

    pub(super) fn begin(&mut self, step: u64) {
        self.step = step;
    }

    pub(super) fn has_disk(&self) -> bool {
        self.disk.is_mounted()
    }

    pub(super) fn end(&self) {
        if self.syncs {
            self.user.sync();
        }
    }

    pub(super) const fn step(&self) -> u64 {
        self.step
    }

    pub(super) fn bytes(&self, piece: u64, size: u64) -> Vec<u8> {
        content::bytes(self.seed, self.step, piece, size)
    }

    // What is there.

    fn paths(&self, wanted: impl Fn(&UserEntry) -> bool) -> Vec<String> {
        let all = self.user.tree();
        all.into_iter()
            .filter(|(_, entry)| wanted(entry))
            .map(|(path, _)| path)
            .collect()
    }

    fn pick(&self, which: &Ref, wanted: impl Fn(&UserEntry) -> bool) -> Option<String> {
        match which {
            Ref::Path(path) => {
                let entry = self.user.tree().remove(path)?;
                wanted(&entry).then(|| path.clone())
            }
            Ref::Nth(number) => {
                let paths = self.paths(wanted);
                let index = number.checked_rem(paths.len() as u64)?;
                paths.get(index as usize).cloned()
            }
        }
    }

    pub(super) fn file(&self, which: &Ref) -> Option<String> {
        self.pick(which, |entry| *entry != UserEntry::Folder)
    }

    pub(super) fn regular_file(&self, which: &Ref) -> Option<String> {
        self.pick(which, |entry| matches!(entry, UserEntry::File { .. }))
    }

    pub(super) fn node(&self, which: &Ref) -> Option<String> {
        self.pick(which, |_| true)
    }

    pub(super) fn folder_below_root(&self, which: &Ref) -> Option<String> {
        self.pick(which, |entry| *entry == UserEntry::Folder)
    }

    /// A folder, the root among them.
    pub(super) fn folder(&self, which: &Ref) -> Option<String> {
        match which {
            Ref::Path(path) if path.is_empty() => Some(String::new()),
            Ref::Path(_) => self.folder_below_root(which),
            Ref::Nth(number) => {
                let mut paths = vec![String::new()];
                paths.extend(self.paths(|entry| *entry == UserEntry::Folder));
                paths.get((number % paths.len() as u64) as usize).cloned()
            }
        }
    }

    pub(super) fn item(&self, path: &str) -> Option<Item> {
        let keeps_exec = self.disk.options().keeps_exec_bit;
        item_of(self.user.tree().get(path)?, keeps_exec)
    }

    /// Whether something new may stand at a path. In a run of turns no two names of one key may be there, because one of
    /// them would get another name.
    pub(super) fn is_free(&self, path: &str, but: Option<&str>) -> bool {
        let is_there = self.inode(path).is_some() && self.inode(path) != but.and_then(|but| self.inode(but));
        let notes = open(&self.notes);
        let is_taken = notes
            .model
            .as_ref()
            .is_some_and(|model| model.has_namesake(path, but));
        !is_there && !is_taken
    }

    /// Whether, in a run of turns, something has this name in another case or normal form only. Some disks would put a new
    /// file beside it, of which one would get another name, and others would replace it: no plain map says which.
    pub(super) fn is_spelled_otherwise(&self, path: &str) -> bool {
        let notes = open(&self.notes);
        let is_taken = |model: &Model| model.has_namesake(path, None);
        notes.model.as_ref().is_some_and(is_taken) && !self.user.tree().contains_key(path)
    }

    fn inode(&self, path: &str) -> Option<u64> {
        Some(self.user.stat(path).ok()??.inode)
    }

    // What is told.

    fn made(&self) {
        open(&self.notes).made += 1;
    }

    /// The user takes away what a file holds.
    pub(super) fn take(&self, path: &str) {
        if let Ok(bytes) = self.user.read(path) {
            open(&self.notes).ledger.taken(content::name_of(&bytes));
        }
    }

    /// The user is done with writing a file.
    pub(super) fn finish(&self, path: &str) {
        let Ok(bytes) = self.user.read(path) else {
            return;
        };
        if bytes.len() as u64 >= content::SHORTEST_UNIQUE {
            let name = content::name_of(&bytes);
            open(&self.notes)
                .ledger
                .written(name, self.step, self.device, path);
        }
    }

    /// The model hears what stands at a path now, and at the other names of the same file.
    fn tell_model(&self, path: &str) {
        let mut notes = open(&self.notes);
        let Some(model) = &mut notes.model else {
            return;
        };
        let Ok(Some(stat)) = self.user.stat(path) else {
            return;
        };
        let keeps_exec = self.disk.options().keeps_exec_bit;
        let mut names = Vec::new();
        for (other, entry) in self.user.tree() {
            // Not by its path: the disk may spell it in another way.
            if self.inode(&other) == Some(stat.inode)
                && let Some(item) = item_of(&entry, keeps_exec)
            {
                names.push((other, item));
            }
        }
        if let Some((_, Item::File { content, .. })) = names.first()
            && names.len() < stat.name_count
        {
            model.may_be_kept(*content);
        }
        for (name, item) in names {
            model.put(&name, item);
        }
    }

    // What is done.

    pub(super) fn write_new(&mut self, path: &str, bytes: &[u8]) -> Option<()> {
        if self.inode(path).is_some() {
            return None;
        }
        let written = self.user.write(path, bytes);
        // A full disk may have taken a part of it.
        self.inode(path)?;
        self.made();
        self.tell_model(path);
        self.finish(path);
        written.ok()
    }

    pub(super) fn truncate(&mut self, path: &str) -> Option<()> {
        let file = self.user.open_for_writing(path).ok()?;
        self.take(path);
        file.truncate(0).ok()?;
        self.tell_model(path);
        Some(())
    }

    pub(super) fn append(&mut self, path: &str, bytes: &[u8]) -> Option<()> {
        self.inode(path)?;
        let written = self.user.append(path, bytes);
        self.tell_model(path);
        written.ok()
    }

    pub(super) fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> Option<()> {
        let written = self.user.write_in_place(path, offset, bytes);
        self.tell_model(path);
        written.ok()
    }

    pub(super) fn make_folder(&mut self, path: &str) -> Option<()> {
        self.user.make_folder(path).ok()?;
        self.made();
        self.tell_model(path);
        Some(())
    }

    pub(super) fn symlink(&mut self, path: &str, target: &str) -> Option<()> {
        self.user.symlink(path, target).ok()?;
        self.made();
        self.tell_model(path);
        Some(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> Option<()> {
        self.user.hard_link(from, to).ok()?;
        self.made();
        self.tell_model(to);
        if let Some(model) = &mut open(&self.notes).model {
            model.shares_attributes(from);
            model.shares_attributes(to);
        }
        Some(())
    }

    pub(super) fn unlink(&mut self, path: &str) -> Option<()> {
        let content = self.user.read(path).map(|bytes| content::name_of(&bytes));
        self.user.remove(path).ok()?;
        let mut notes = open(&self.notes);
        if let Ok(content) = content {
            notes.ledger.taken(content);
        }
        if let Some(model) = &mut notes.model {
            model.remove(path);
        }
        Some(())
    }

    pub(super) fn remove_tree(&mut self, path: &str) -> Option<()> {
        let below = format!("{path}/");
        let all = self.paths(|_| true);
        // The deepest first: a longer path sorts behind that of its folder.
        for inside in all.iter().rev().filter(|inside| inside.starts_with(&below)) {
            self.unlink(inside)?;
        }
        self.unlink(path)
    }

    /// Renames, over what is there.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Option<()> {
        let (inode, replaced) = (self.inode(from)?, self.inode(to));
        let content = self.user.read(to).map(|bytes| content::name_of(&bytes));
        self.user.rename(from, to).ok()?;
        let mut notes = open(&self.notes);
        if replaced.is_some_and(|replaced| replaced != inode)
            && let Ok(content) = content
        {
            notes.ledger.taken(content);
        }
        if let Some(model) = &mut notes.model {
            model.rename(from, to);
        }
        Some(())
    }

    /// Renames to where nothing is.
    pub(super) fn move_to(&mut self, from: &str, to: &str) -> Option<()> {
        if from == to || to.starts_with(&format!("{from}/")) || !self.is_free(to, Some(from)) {
            return None;
        }
        // Two names of one file: renaming one to the other does nothing.
        if self.user.tree().contains_key(to) {
            return None;
        }
        self.rename(from, to)
    }

    pub(super) fn rename_over(&mut self, from: &str, over: &str) -> Option<()> {
        if from == over || self.inode(from) == self.inode(over) {
            return None;
        }
        self.rename(from, over)
    }

    pub(super) fn swap(&mut self, one: &str, other: &str) -> Option<()> {
        let is_within = |inner: &str, outer: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
        if is_within(one, other) || is_within(other, one) || self.inode(one) == self.inode(other) {
            return None;
        }
        let aside = format!("{one} swapped {}", self.step);
        self.rename(one, &aside)?;
        self.rename(other, one)?;
        self.rename(&aside, other)
    }

    pub(super) fn set_executable(&mut self, path: &str, executable: bool) -> Option<()> {
        self.user.set_executable(path, executable).ok()?;
        self.tell_model(path);
        Some(())
    }

    pub(super) fn set_mtime(&mut self, path: &str, mtime_ns: i128) -> Option<()> {
        self.user.set_mtime(path, mtime_of(mtime_ns)?).ok()?;
        self.tell_model(path);
        Some(())
    }

    pub(super) fn hold(&mut self, path: &str) -> Option<()> {
        self.held = Some(self.user.open_for_writing(path).ok()?);
        Some(())
    }

    pub(super) fn write_held(&mut self, bytes: &[u8]) -> Option<()> {
        let held = self.held.take()?;
        let before = content::name_of(&held.read().ok()?);
        let standing = |hand: &Self| -> Vec<String> {
            let Ok(now) = held.read() else {
                return Vec::new();
            };
            hand.paths(|entry| matches!(entry, UserEntry::File { bytes, .. } if Arc::ptr_eq(bytes, &now)))
        };
        let paths = standing(self);
        if held.append(bytes).is_ok() {
            open(&self.notes).ledger.taken(before);
            // What is written to a file that has no name here any more is promised by nobody.
            for path in &paths {
                self.finish(path);
            }
        }
        self.held = Some(held);
        Some(())
    }

    pub(super) fn sync_all(&self) {
        self.user.sync();
    }

    /// The power is gone, and with it every open file.
    pub fn let_go(&mut self) {
        self.held = None;
    }
}

/// What stands on a disk, without `.cairn`.
pub fn tree_of(disk: &SimDisk) -> Tree {
    let keeps_exec = disk.options().keeps_exec_bit;
    let items = disk.user().tree().into_iter();
    Tree(
        items
            .filter_map(|(path, entry)| Some((path, item_of(&entry, keeps_exec)?)))
            .collect(),
    )
}

/// `None` for what is never synced.
fn item_of(entry: &UserEntry, keeps_exec: bool) -> Option<Item> {
    Some(match entry {
        UserEntry::Folder => Item::Folder,
        UserEntry::Link { target } => Item::Link(target.clone()),
        UserEntry::Pipe => return None,
        UserEntry::File {
            bytes,
            executable,
            mtime,
        } => Item::File {
            content: content::name_of(bytes),
            size: bytes.len() as u64,
            executable: keeps_exec.then_some(*executable),
            mtime_ns: ns_of(*mtime),
        },
    })
}

/// A time in nanoseconds since 1970.
pub fn ns_of(mtime: Mtime) -> i128 {
    i128::from(mtime.seconds) * 1_000_000_000 + i128::from(mtime.nanos)
}

fn mtime_of(ns: i128) -> Option<Mtime> {
    let seconds = i64::try_from(ns.div_euclid(1_000_000_000)).ok()?;
    let nanos = u32::try_from(ns.rem_euclid(1_000_000_000)).ok()?;
    Mtime::new(seconds, nanos)
}
