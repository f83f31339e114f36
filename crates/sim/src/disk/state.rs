//! The cache: inodes, the names in folders, open files, space.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;

use cairn_client::fs::{DiskPath, OWN_FOLDER};
use tokio::time::Instant;

use super::DiskOptions;
use super::events::{Change, Watchers};
use super::inode::{Attributes, Body, FileBody, FolderBody, Inode, Uid};
use super::journal::Journal;
use super::names::{self, Key};

/// What files keep of the permissions that they are made with.
pub(super) const UMASK: u32 = 0o022;
/// Permissions of everything where none are kept.
const FIXED_MODE: u32 = 0o755;

/// On whose behalf something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    User,
    Process,
}

pub(super) fn failure<T>(kind: io::ErrorKind) -> io::Result<T> {
    Err(io::Error::from(kind))
}

/// The disk does not answer.
pub(super) fn gone() -> io::Error {
    // EIO, the same on every Unix.
    io::Error::from_raw_os_error(5)
}

pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

pub(super) struct State {
    pub(super) options: DiskOptions,
    pub(super) now_ns: i128,
    pub(super) inodes: BTreeMap<Uid, Inode>,
    pub(super) journal: Journal,
    pub(super) watchers: Watchers,
    pub(super) root: Uid,
    /// What the root's path shows while the volume is away.
    pub(super) mount_point: Uid,
    pub(super) is_mounted: bool,
    /// Counts mounts: the device number, and which handles are of this mount.
    pub(super) mount_count: u64,
    /// Counts starts of the machine: which processes are alive.
    pub(super) boot: u64,
    pub(super) process_count: u64,
    pub(super) is_read_only: bool,
    pub(super) used_bytes: u64,
    pub(super) failed_syncs: u64,
    next_uid: Uid,
    pub(super) next_number: u64,
    pub(super) free_numbers: BTreeSet<u64>,
}

impl State {
    pub(super) fn new(options: DiskOptions, now_ns: i128) -> Self {
        let mut state = Self {
            options,
            now_ns,
            inodes: BTreeMap::new(),
            journal: Journal::default(),
            watchers: Watchers::default(),
            root: 0,
            mount_point: 0,
            is_mounted: true,
            mount_count: 1,
            boot: 1,
            process_count: 0,
            is_read_only: false,
            used_bytes: 0,
            failed_syncs: 0,
            next_uid: 1,
            next_number: 2,
            free_numbers: BTreeSet::new(),
        };
        state.root = state.new_inode(Body::Folder(FolderBody::default()), 0o755);
        state.mount_point = state.new_inode(Body::Folder(FolderBody::default()), 0o755);
        state
    }

    pub(super) fn inode(&self, uid: Uid) -> io::Result<&Inode> {
        self.inodes.get(&uid).ok_or_else(gone)
    }

    pub(super) fn inode_mut(&mut self, uid: Uid) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&uid).ok_or_else(gone)
    }

    pub(super) fn folder(&self, uid: Uid) -> io::Result<&FolderBody> {
        match &self.inode(uid)?.body {
            Body::Folder(folder) => Ok(folder),
            _ => failure(io::ErrorKind::NotADirectory),
        }
    }

    pub(super) fn folder_mut(&mut self, uid: Uid) -> io::Result<&mut FolderBody> {
        match &mut self.inode_mut(uid)?.body {
            Body::Folder(folder) => Ok(folder),
            _ => failure(io::ErrorKind::NotADirectory),
        }
    }

    pub(super) fn file(&self, uid: Uid) -> io::Result<&FileBody> {
        match &self.inode(uid)?.body {
            Body::File(file) => Ok(file),
            _ => failure(io::ErrorKind::InvalidInput),
        }
    }

    pub(super) fn file_mut(&mut self, uid: Uid) -> io::Result<&mut FileBody> {
        match &mut self.inode_mut(uid)?.body {
            Body::File(file) => Ok(file),
            _ => failure(io::ErrorKind::InvalidInput),
        }
    }

    pub(super) fn size_of(&self, uid: Uid) -> u64 {
        self.inodes.get(&uid).map_or(0, Inode::size)
    }

    pub(super) fn shown_mode(&self, inode: &Inode) -> u32 {
        if self.options.keeps_exec_bit {
            inode.attributes.mode
        } else {
            FIXED_MODE
        }
    }

    /// The time as this disk keeps it.
    pub(super) fn rounded(&self, ns: i128) -> i128 {
        let step = i128::from(self.options.timestamp_step_ns.max(1));
        ns.div_euclid(step) * step
    }

    /// What the root's path shows.
    pub(super) const fn shown_root(&self) -> Uid {
        if self.is_mounted {
            self.root
        } else {
            self.mount_point
        }
    }

    pub(super) fn key(&self, name: &OsStr) -> io::Result<Key> {
        names::key(&self.options, name)
    }

    pub(super) fn check_boot(&self, boot: u64) -> io::Result<()> {
        if self.boot == boot { Ok(()) } else { Err(gone()) }
    }

    pub(super) fn check_writable(&self) -> io::Result<()> {
        if self.is_read_only {
            return failure(io::ErrorKind::ReadOnlyFilesystem);
        }
        Ok(())
    }

    /// Checks that this many more bytes fit; 0 asks whether anything does.
    pub(super) fn check_space(&self, bytes: u64) -> io::Result<()> {
        match self.options.capacity {
            Some(capacity) if self.used_bytes.saturating_add(bytes.max(1)) > capacity => {
                failure(io::ErrorKind::StorageFull)
            }
            _ => Ok(()),
        }
    }

    /// Finds a name in a folder.
    pub(super) fn lookup(&self, folder: Uid, name: &OsStr, who: Who) -> io::Result<Uid> {
        let inode = self.inode(folder)?;
        let body = self.folder(folder)?;
        if who == Who::Process && inode.is_denied {
            return failure(io::ErrorKind::PermissionDenied);
        }
        let key = self.key(name)?;
        body.entries
            .get(&key)
            .map(|entry| entry.uid)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Walks down from a folder.
    pub(super) fn walk<N: AsRef<OsStr>>(&self, from: Uid, names: &[N], who: Who) -> io::Result<Uid> {
        names.iter().try_fold(from, |folder, name| {
            let uid = self.lookup(folder, name.as_ref(), who)?;
            if self.inode(uid)?.is_folder() {
                Ok(uid)
            } else {
                failure(io::ErrorKind::NotADirectory)
            }
        })
    }

    /// Where a folder is, below the root that is shown; `None` when it is not there.
    pub(super) fn path_of(&self, uid: Uid) -> Option<DiskPath> {
        let mut names = Vec::new();
        let mut current = uid;
        while current != self.shown_root() {
            let (folder, key) = self.inodes.get(&current)?.names.first()?;
            let entry = self.folder(*folder).ok()?.entries.get(key)?;
            names.push(entry.name.to_string_lossy().into_owned());
            current = *folder;
        }
        names.reverse();
        Some(DiskPath::from_names(names))
    }

    /// Whether a folder is another or above it.
    pub(super) fn is_above(&self, folder: Uid, below: Uid) -> bool {
        let mut current = Some(below);
        while let Some(uid) = current {
            if uid == folder {
                return true;
            }
            current = self
                .inodes
                .get(&uid)
                .and_then(|inode| inode.names.first())
                .map(|(above, _)| *above);
        }
        false
    }

    pub(super) fn new_inode(&mut self, body: Body, mode: u32) -> Uid {
        let uid = self.next_uid;
        self.next_uid += 1;
        let reused = if self.options.reuses_inodes {
            self.free_numbers.pop_first()
        } else {
            None
        };
        let number = reused.unwrap_or_else(|| self.new_number());
        let now_ns = self.rounded(self.now_ns);
        let attributes = Attributes {
            mode,
            mtime_ns: now_ns,
            ctime_ns: now_ns,
        };
        let inode = Inode {
            number,
            born_ns: now_ns,
            body,
            attributes,
            durable_attributes: attributes,
            touched_at: Instant::now(),
            names: BTreeSet::new(),
            open_count: 0,
            is_denied: false,
        };
        self.used_bytes += inode.allocated();
        self.inodes.insert(uid, inode);
        uid
    }

    pub(super) const fn new_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        number
    }

    pub(super) fn open(&mut self, uid: Uid) {
        if let Some(inode) = self.inodes.get_mut(&uid) {
            inode.open_count += 1;
        }
    }

    pub(super) fn close(&mut self, uid: Uid) {
        if let Some(inode) = self.inodes.get_mut(&uid) {
            inode.open_count = inode.open_count.saturating_sub(1);
            self.release(uid);
        }
    }

    /// Frees what has neither name nor handle. The inode itself stays until no loss of power can bring it back.
    pub(super) fn release(&mut self, uid: Uid) {
        let is_base = uid == self.root || uid == self.mount_point;
        let Some(inode) = self.inodes.get(&uid) else {
            return;
        };
        if is_base || !inode.names.is_empty() || inode.open_count > 0 {
            return;
        }
        self.used_bytes = self.used_bytes.saturating_sub(inode.allocated());
        self.free_numbers.insert(inode.number);
        if self.journal.is_empty() {
            self.inodes.remove(&uid);
        }
    }

    /// Drops the inodes that nothing can bring back.
    pub(super) fn forget_released(&mut self) {
        if !self.journal.is_empty() {
            return;
        }
        let bases = [self.root, self.mount_point];
        self.inodes
            .retain(|uid, inode| bases.contains(uid) || !inode.names.is_empty() || inode.open_count > 0);
    }

    /// Sets the change time, and the modification time too when the content changed.
    pub(super) fn touch(&mut self, uid: Uid, is_content: bool) {
        let now_ns = self.rounded(self.now_ns);
        if let Some(inode) = self.inodes.get_mut(&uid) {
            inode.attributes.ctime_ns = now_ns;
            inode.touched_at = Instant::now();
            if is_content {
                inode.attributes.mtime_ns = now_ns;
            }
        }
    }

    /// Tells watchers that something changed in a folder.
    pub(super) fn tell(&mut self, folder: Uid, new_folder: Option<&OsStr>) {
        if self.watchers.is_empty() {
            return;
        }
        let Some(path) = self.path_of(folder) else {
            return;
        };
        if path.names().first().is_some_and(|name| name == OWN_FOLDER) {
            return;
        }
        self.watchers.tell(&Change {
            folder: path,
            new_folder: new_folder.map(|name| name.to_string_lossy().into_owned()),
        });
    }

    /// Tells watchers that a file changed, under each of its names.
    pub(super) fn tell_file(&mut self, uid: Uid) {
        let Some(inode) = self.inodes.get(&uid) else {
            return;
        };
        let folders: BTreeSet<Uid> = inode.names.iter().map(|(folder, _)| *folder).collect();
        for folder in folders {
            self.tell(folder, None);
        }
    }

    pub(super) fn unmount(&mut self) {
        if self.is_mounted {
            self.sync_all();
            self.is_mounted = false;
            self.mount_count += 1;
        }
    }

    pub(super) fn mount(&mut self) {
        if !self.is_mounted {
            self.is_mounted = true;
            self.mount_count += 1;
        }
    }

    pub(super) fn replace_root(&mut self) {
        self.sync_all();
        self.root = self.new_inode(Body::Folder(FolderBody::default()), 0o755);
        self.mount_count += 1;
        self.drop_unreachable();
        self.renumber();
        self.count_space();
    }
}
