//! What people and their programs do to a disk: by paths, without faults, durable only when they say so.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::sync::Arc;

use cairn_client::fs::OWN_FOLDER;
use cairn_client::fs::disk::RenameMode;
use cairn_core::time::Mtime;

use super::SimDisk;
use super::inode::{Body, Uid, ns_of};
use super::state::{State, Who, is_missing};

/// What a person sees under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserEntry {
    /// A folder.
    Folder,
    /// A file.
    File {
        /// What it holds.
        bytes: Arc<Vec<u8>>,
        /// Whether its owner may execute it.
        executable: bool,
        /// When it was modified.
        mtime: Mtime,
    },
    /// A symbolic link.
    Link {
        /// Where it points.
        target: String,
    },
    /// A pipe.
    Pipe,
}

/// What a person can ask about a name without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserStat {
    /// The inode.
    pub inode: u64,
    /// Length of a file in bytes, else 0.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// When it was modified.
    pub mtime: Mtime,
    /// How many names it has.
    pub name_count: usize,
}

/// Everything a person can do. Paths have slashes and start below the root; no link in them is followed. What is done is
/// lost with the power until [`Self::sync`], or until a sync of ours covers it.
///
/// All calls fail as a real disk would: not found, read-only, full.
#[derive(Debug, Clone)]
pub struct User {
    disk: SimDisk,
}

impl User {
    pub(super) const fn new(disk: SimDisk) -> Self {
        Self { disk }
    }

    /// Writes a file, making it or emptying it first.
    ///
    /// # Errors
    /// As the disk says.
    pub fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.disk.lock().write_new(path, bytes)
    }

    /// Writes at the end of a file, making it when it is not there.
    ///
    /// # Errors
    /// As the disk says.
    pub fn append(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let uid = state.find_or_create(path)?;
        let end = state.size_of(uid);
        state.write_at(uid, end, bytes)
    }

    /// Writes over a part of a file that is there.
    ///
    /// # Errors
    /// As the disk says.
    pub fn write_in_place(&self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let uid = state.find_file(path)?;
        state.write_at(uid, offset, bytes)
    }

    /// Saves as many editors do: a temporary file beside it, renamed over it.
    ///
    /// # Errors
    /// As the disk says; the temporary file is left then.
    pub fn save_by_rename(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let temporary = beside(path, ".", ".tmp");
        state.write_new(&temporary, bytes)?;
        state.rename_paths(&temporary, path, RenameMode::Replace)
    }

    /// Saves as other editors do: the old file becomes `name~`, replacing what was so called, then a new one is written.
    ///
    /// # Errors
    /// As the disk says.
    pub fn save_with_backup(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        match state.rename_paths(path, &beside(path, "", "~"), RenameMode::Replace) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        state.write_new(path, bytes)
    }

    /// Opens a file for writing, making it when it is not there. The handle stays with the file whatever becomes of its
    /// name.
    ///
    /// # Errors
    /// As the disk says.
    pub fn open_for_writing(&self, path: &str) -> io::Result<UserFile> {
        let mut state = self.disk.lock();
        let uid = state.find_or_create(path)?;
        state.open(uid);
        let boot = state.boot;
        drop(state);
        Ok(UserFile {
            disk: self.disk.clone(),
            uid,
            boot,
        })
    }

    /// Renames, replacing what is there as `mv -T` does.
    ///
    /// # Errors
    /// As the disk says.
    pub fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.lock().rename_paths(from, to, RenameMode::Replace)
    }

    /// Swaps two names.
    ///
    /// # Errors
    /// As the disk says.
    pub fn exchange(&self, a: &str, b: &str) -> io::Result<()> {
        self.disk.lock().rename_paths(a, b, RenameMode::Exchange)
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// As the disk says.
    pub fn make_folder(&self, path: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (folder, name) = state.find_parent(path)?;
        state.make_folder(folder, OsStr::new(name), 0o777, Who::User)?;
        Ok(())
    }

    /// Removes a file, link or empty folder.
    ///
    /// # Errors
    /// As the disk says.
    pub fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (folder, name) = state.find_parent(path)?;
        state.remove_any(folder, OsStr::new(name))
    }

    /// Removes whatever is there with all below it.
    ///
    /// # Errors
    /// As the disk says; what could be removed is.
    pub fn remove_tree(&self, path: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (folder, name) = state.find_parent(path)?;
        state.remove_tree(folder, OsStr::new(name))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// As the disk says.
    pub fn symlink(&self, path: &str, target: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (folder, name) = state.find_parent(path)?;
        state.make_other(folder, OsStr::new(name), Body::Link(target.into()), Who::User)
    }

    /// Makes a pipe, which is never synced.
    ///
    /// # Errors
    /// As the disk says.
    pub fn make_pipe(&self, path: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (folder, name) = state.find_parent(path)?;
        state.make_other(folder, OsStr::new(name), Body::Pipe, Who::User)
    }

    /// Gives a file another name.
    ///
    /// # Errors
    /// As the disk says.
    pub fn hard_link(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.disk.lock();
        let (from_folder, from_name) = state.find_parent(from)?;
        let (to_folder, to_name) = state.find_parent(to)?;
        let from = (from_folder, OsStr::new(from_name));
        state.link(from, (to_folder, OsStr::new(to_name)), Who::User)
    }

    /// Sets or clears the exec bits of a file.
    ///
    /// # Errors
    /// As the disk says.
    pub fn set_executable(&self, path: &str, executable: bool) -> io::Result<()> {
        let mut state = self.disk.lock();
        let uid = state.find_file(path)?;
        let mode = state.inode(uid)?.attributes.mode;
        let wanted = if executable { mode | 0o111 } else { mode & !0o111 };
        state.set_mode(uid, wanted)
    }

    /// Sets when a file was modified.
    ///
    /// # Errors
    /// As the disk says.
    pub fn set_mtime(&self, path: &str, mtime: Mtime) -> io::Result<()> {
        let mut state = self.disk.lock();
        let uid = state.find_file(path)?;
        state.set_mtime(uid, ns_of(mtime))
    }

    /// Looks at a name; `None` when nothing is there.
    ///
    /// # Errors
    /// As the disk says.
    pub fn stat(&self, path: &str) -> io::Result<Option<UserStat>> {
        let state = self.disk.lock();
        let uid = match state.find(path) {
            Err(error) if is_missing(&error) => return Ok(None),
            found => found?,
        };
        let inode = state.inode(uid)?;
        Ok(Some(UserStat {
            inode: inode.number,
            size: inode.size(),
            mode: state.shown_mode(inode),
            mtime: inode.mtime(),
            name_count: inode.names.len(),
        }))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As the disk says; [`io::ErrorKind::InvalidInput`] for what is no file.
    pub fn read(&self, path: &str) -> io::Result<Arc<Vec<u8>>> {
        let state = self.disk.lock();
        let uid = state.find_file(path)?;
        Ok(Arc::clone(&state.file(uid)?.bytes))
    }

    /// All that is there but `.cairn`, by path.
    pub fn tree(&self) -> BTreeMap<String, UserEntry> {
        let mut tree = self.whole_tree();
        tree.retain(|path, _| path.split('/').next() != Some(OWN_FOLDER));
        tree
    }

    /// All that is there, `.cairn` with stage and trash too. Names that are not UTF-8 are made so.
    pub fn whole_tree(&self) -> BTreeMap<String, UserEntry> {
        let state = self.disk.lock();
        let mut tree = BTreeMap::new();
        let mut waiting = vec![(state.shown_root(), String::new())];
        while let Some((folder, above)) = waiting.pop() {
            let Ok(body) = state.folder(folder) else {
                continue;
            };
            for entry in body.entries.values() {
                let path = format!("{above}{}", entry.name.to_string_lossy());
                if let Some(row) = user_entry(&state, entry.uid) {
                    if row == UserEntry::Folder {
                        waiting.push((entry.uid, format!("{path}/")));
                    }
                    tree.insert(path, row);
                }
            }
        }
        tree
    }

    /// Makes everything on the disk durable.
    pub fn sync(&self) {
        self.disk.lock().sync_all();
    }
}

fn user_entry(state: &State, uid: Uid) -> Option<UserEntry> {
    let inode = state.inodes.get(&uid)?;
    Some(match &inode.body {
        Body::Folder(_) => UserEntry::Folder,
        Body::File(file) => UserEntry::File {
            bytes: Arc::clone(&file.bytes),
            executable: state.shown_mode(inode) & 0o100 != 0,
            mtime: inode.mtime(),
        },
        Body::Link(target) => UserEntry::Link {
            target: target.clone(),
        },
        Body::Pipe => UserEntry::Pipe,
    })
}

/// The path with its last name put between `before` and `after`.
fn beside(path: &str, before: &str, after: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/{before}{name}{after}"),
        None => format!("{before}{path}{after}"),
    }
}

/// A file that a program has open for writing. It dies with the power.
#[derive(Debug)]
pub struct UserFile {
    disk: SimDisk,
    uid: Uid,
    boot: u64,
}

impl UserFile {
    /// Writes at a position.
    ///
    /// # Errors
    /// As the disk says.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| state.write_at(self.uid, offset, bytes))
    }

    /// Writes at the end.
    ///
    /// # Errors
    /// As the disk says.
    pub fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| state.write_at(self.uid, state.size_of(self.uid), bytes))
    }

    /// Sets the length.
    ///
    /// # Errors
    /// As the disk says.
    pub fn truncate(&self, len: u64) -> io::Result<()> {
        self.with(|state| state.set_len(self.uid, len))
    }

    /// What the file holds.
    ///
    /// # Errors
    /// As the disk says.
    pub fn read(&self) -> io::Result<Arc<Vec<u8>>> {
        self.with(|state| Ok(Arc::clone(&state.file(self.uid)?.bytes)))
    }

    /// Makes the file durable.
    ///
    /// # Errors
    /// As the disk says.
    pub fn sync(&self) -> io::Result<()> {
        self.with(|state| state.sync_file(self.uid))
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.lock();
        state.check_boot(self.boot)?;
        work(&mut state)
    }
}

impl Drop for UserFile {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.boot == self.boot {
            state.close(self.uid);
        }
    }
}
