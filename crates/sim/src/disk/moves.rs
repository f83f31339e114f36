//! Names: made, removed, linked, moved, swapped.

use std::ffi::OsStr;
use std::io;

use cairn_client::fs::disk::RenameMode;

use super::inode::{BLOCK_BYTES, Body, Entry, FileBody, FolderBody, Uid};
use super::journal::{Bond, NameChange, Operation};
use super::names::{self, Key};
use super::state::{State, UMASK, Who, failure};

/// A name in a folder, found or not.
struct Place<'name> {
    folder: Uid,
    name: &'name OsStr,
    key: Key,
    uid: Option<Uid>,
}

impl Place<'_> {
    fn is(&self, other: &Self) -> bool {
        self.folder == other.folder && self.key == other.key
    }
}

impl State {
    fn place<'name>(&self, folder: Uid, name: &'name OsStr, who: Who) -> io::Result<Place<'name>> {
        let uid = match self.lookup(folder, name, who) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            found => Some(found?),
        };
        Ok(Place {
            folder,
            name,
            key: self.key(name)?,
            uid,
        })
    }

    /// A name that nothing has, in a folder that has not been removed.
    fn free_place<'name>(&self, folder: Uid, name: &'name OsStr, who: Who) -> io::Result<Place<'name>> {
        let place = self.place(folder, name, who)?;
        if place.uid.is_some() {
            return failure(io::ErrorKind::AlreadyExists);
        }
        self.check_alive(folder)?;
        self.check_writable()?;
        Ok(place)
    }

    /// Nothing can be made in a folder that has been removed, whoever has it open.
    fn check_alive(&self, folder: Uid) -> io::Result<()> {
        let is_base = folder == self.root || folder == self.mount_point;
        if !is_base && self.inode(folder)?.names.is_empty() {
            return failure(io::ErrorKind::NotFound);
        }
        Ok(())
    }

    /// Puts a name into the cache, replacing what had it.
    fn attach(&mut self, place: &Place<'_>, uid: Uid) -> io::Result<NameChange> {
        let entry = Entry {
            name: names::kept(&self.options, place.name),
            uid,
        };
        let old = self
            .folder_mut(place.folder)?
            .entries
            .insert(place.key.clone(), entry.clone());
        let owned = (place.folder, place.key.clone());
        if let Some(old) = &old {
            self.inode_mut(old.uid)?.names.remove(&owned);
        }
        self.inode_mut(uid)?.names.insert(owned);
        self.touch(place.folder, true);
        Ok(NameChange {
            key: place.key.clone(),
            old: old.map(|entry| entry.uid),
            new: Some(entry),
        })
    }

    /// Takes a name out of the cache.
    fn detach(&mut self, place: &Place<'_>) -> io::Result<NameChange> {
        let old = self.folder_mut(place.folder)?.entries.remove(&place.key);
        if let Some(old) = &old {
            let owned = (place.folder, place.key.clone());
            self.inode_mut(old.uid)?.names.remove(&owned);
        }
        self.touch(place.folder, true);
        Ok(NameChange {
            key: place.key.clone(),
            old: old.map(|entry| entry.uid),
            new: None,
        })
    }

    fn record(
        &mut self,
        parts: Vec<(Uid, Vec<NameChange>)>,
        bond: Bond,
        removed_folders: Vec<Uid>,
        who: Who,
    ) {
        let operation = Operation {
            parts,
            bond,
            by_user: who == Who::User,
            removed_folders,
            at_ns: self.rounded(self.now_ns),
        };
        self.journal.record(operation, self.options.metadata_order);
    }

    fn make(&mut self, folder: Uid, name: &OsStr, body: Body, mode: u32, who: Who) -> io::Result<Uid> {
        let place = self.free_place(folder, name, who)?;
        let is_folder = matches!(body, Body::Folder(_));
        self.check_space(if is_folder { BLOCK_BYTES } else { 0 })?;
        let uid = self.new_inode(body, mode);
        let change = self.attach(&place, uid)?;
        self.record(vec![(folder, vec![change])], Bond::InOrder, Vec::new(), who);
        self.tell(folder, is_folder.then_some(name));
        Ok(uid)
    }

    pub(super) fn make_file(&mut self, folder: Uid, name: &OsStr, mode: u32, who: Who) -> io::Result<Uid> {
        self.make(folder, name, Body::File(FileBody::default()), mode & !UMASK, who)
    }

    pub(super) fn make_folder(&mut self, folder: Uid, name: &OsStr, mode: u32, who: Who) -> io::Result<Uid> {
        self.make(
            folder,
            name,
            Body::Folder(FolderBody::default()),
            mode & !UMASK,
            who,
        )
    }

    pub(super) fn make_other(&mut self, folder: Uid, name: &OsStr, body: Body, who: Who) -> io::Result<()> {
        self.make(folder, name, body, 0o777, who).map(|_| ())
    }

    /// Removes an empty folder.
    pub(super) fn remove_folder(&mut self, folder: Uid, name: &OsStr, who: Who) -> io::Result<()> {
        let uid = self.lookup(folder, name, who)?;
        if !self.inode(uid)?.is_folder() {
            return failure(io::ErrorKind::NotADirectory);
        }
        if !self.folder(uid)?.entries.is_empty() {
            return failure(io::ErrorKind::DirectoryNotEmpty);
        }
        self.remove_name(folder, name, vec![uid], who)
    }

    /// Removes what is no folder.
    pub(super) fn unlink(&mut self, folder: Uid, name: &OsStr, who: Who) -> io::Result<()> {
        let uid = self.lookup(folder, name, who)?;
        if self.inode(uid)?.is_folder() {
            return failure(io::ErrorKind::IsADirectory);
        }
        self.remove_name(folder, name, Vec::new(), who)
    }

    fn remove_name(&mut self, folder: Uid, name: &OsStr, folders: Vec<Uid>, who: Who) -> io::Result<()> {
        self.check_writable()?;
        let place = self.place(folder, name, who)?;
        let change = self.detach(&place)?;
        let old = change.old;
        self.record(vec![(folder, vec![change])], Bond::InOrder, folders, who);
        if let Some(old) = old {
            self.touch(old, false);
            self.release(old);
        }
        self.tell(folder, None);
        Ok(())
    }

    /// Removes a file, link or empty folder.
    pub(super) fn remove_any(&mut self, folder: Uid, name: &OsStr) -> io::Result<()> {
        let uid = self.lookup(folder, name, Who::User)?;
        if self.inode(uid)?.is_folder() {
            self.remove_folder(folder, name, Who::User)
        } else {
            self.unlink(folder, name, Who::User)
        }
    }

    pub(super) fn remove_tree(&mut self, folder: Uid, name: &OsStr) -> io::Result<()> {
        let uid = self.lookup(folder, name, Who::User)?;
        if let Ok(body) = self.folder(uid) {
            let below: Vec<_> = body.entries.values().map(|entry| entry.name.clone()).collect();
            for name in below {
                self.remove_tree(uid, &name)?;
            }
        }
        self.remove_any(folder, name)
    }

    pub(super) fn link(&mut self, from: (Uid, &OsStr), to: (Uid, &OsStr), who: Who) -> io::Result<()> {
        let uid = self.lookup(from.0, from.1, who)?;
        let place = self.free_place(to.0, to.1, who)?;
        if self.inode(uid)?.is_folder() {
            // As the calls of Linux are understood: it does not say what is missing.
            return failure(io::ErrorKind::Unsupported);
        }
        if !self.options.has_links {
            return failure(io::ErrorKind::Unsupported);
        }
        self.check_space(0)?;
        let change = self.attach(&place, uid)?;
        self.touch(uid, false);
        self.record(vec![(to.0, vec![change])], Bond::InOrder, Vec::new(), who);
        self.tell(to.0, None);
        Ok(())
    }

    pub(super) fn rename(
        &mut self,
        from: (Uid, &OsStr),
        to: (Uid, &OsStr),
        mode: RenameMode,
        who: Who,
    ) -> io::Result<()> {
        let from = self.place(from.0, from.1, who)?;
        let Some(moved) = from.uid else {
            return failure(io::ErrorKind::NotFound);
        };
        let to = self.place(to.0, to.1, who)?;
        self.check_alive(to.folder)?;
        let is_known = match mode {
            RenameMode::Replace => true,
            RenameMode::KeepExisting => self.options.has_keep_existing,
            RenameMode::Exchange => self.options.has_exchange,
        };
        if !is_known {
            return failure(io::ErrorKind::Unsupported);
        }
        match (mode, to.uid) {
            (RenameMode::KeepExisting, Some(_)) => return failure(io::ErrorKind::AlreadyExists),
            (RenameMode::Exchange, None) => return failure(io::ErrorKind::NotFound),
            _ => {}
        }
        self.check_writable()?;
        self.check_no_loop(&from, &to, mode)?;
        if to.uid == Some(moved) && !(from.is(&to) && from.name != to.name) {
            return Ok(());
        }
        match to.uid {
            Some(other) if mode == RenameMode::Exchange => self.swap(&from, moved, &to, other, who),
            other => self.move_over(&from, moved, &to, other, who),
        }
    }

    /// A folder cannot come below itself. With a mode Linux answers that as if it did not know the mode.
    fn check_no_loop(&self, from: &Place<'_>, to: &Place<'_>, mode: RenameMode) -> io::Result<()> {
        if from.uid.is_some_and(|moved| self.is_above(moved, to.folder)) {
            return failure(if mode == RenameMode::Replace {
                io::ErrorKind::InvalidInput
            } else {
                io::ErrorKind::Unsupported
            });
        }
        if to.uid.is_some_and(|other| self.is_above(other, from.folder)) {
            return failure(if mode == RenameMode::Exchange {
                io::ErrorKind::Unsupported
            } else {
                io::ErrorKind::DirectoryNotEmpty
            });
        }
        Ok(())
    }

    fn move_over(
        &mut self,
        from: &Place<'_>,
        moved: Uid,
        to: &Place<'_>,
        replaced: Option<Uid>,
        who: Who,
    ) -> io::Result<()> {
        let is_folder = self.inode(moved)?.is_folder();
        let replaced = replaced.filter(|other| *other != moved);
        let mut removed_folders = Vec::new();
        if let Some(other) = replaced {
            match (is_folder, self.inode(other)?.is_folder()) {
                (true, false) => return failure(io::ErrorKind::NotADirectory),
                (false, true) => return failure(io::ErrorKind::IsADirectory),
                (true, true) if !self.folder(other)?.entries.is_empty() => {
                    return failure(io::ErrorKind::DirectoryNotEmpty);
                }
                (true, true) => removed_folders.push(other),
                (false, false) => {}
            }
        }
        if from.folder != to.folder && replaced.is_none() {
            self.check_space(0)?;
        }
        let removal = self.detach(from)?;
        let addition = self.attach(to, moved)?;
        let parts = if from.is(to) {
            vec![(to.folder, vec![addition])]
        } else if from.folder == to.folder {
            vec![(to.folder, vec![removal, addition])]
        } else {
            vec![(to.folder, vec![addition]), (from.folder, vec![removal])]
        };
        let bond = if is_folder && from.folder != to.folder {
            Bond::Whole
        } else {
            Bond::InOrder
        };
        self.record(parts, bond, removed_folders, who);
        self.touch(moved, false);
        if let Some(other) = replaced {
            self.touch(other, false);
            self.release(other);
        }
        self.tell(from.folder, None);
        self.tell(to.folder, is_folder.then_some(to.name));
        Ok(())
    }

    fn swap(&mut self, a: &Place<'_>, in_a: Uid, b: &Place<'_>, in_b: Uid, who: Who) -> io::Result<()> {
        let (a_is_folder, b_is_folder) = (self.inode(in_a)?.is_folder(), self.inode(in_b)?.is_folder());
        let mut change_a = self.detach(a)?;
        let mut change_b = self.detach(b)?;
        change_a.new = self.attach(a, in_b)?.new;
        change_b.new = self.attach(b, in_a)?.new;
        let is_one_folder = a.folder == b.folder;
        let parts = if is_one_folder {
            vec![(a.folder, vec![change_a, change_b])]
        } else {
            vec![(a.folder, vec![change_a]), (b.folder, vec![change_b])]
        };
        let bond = if (a_is_folder || b_is_folder) && !is_one_folder {
            Bond::Whole
        } else {
            Bond::Together
        };
        self.record(parts, bond, Vec::new(), who);
        self.touch(in_a, false);
        self.touch(in_b, false);
        self.tell(a.folder, b_is_folder.then_some(a.name));
        self.tell(b.folder, a_is_folder.then_some(b.name));
        Ok(())
    }
}
