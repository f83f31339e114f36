//! The filesystem under a synced root, as a trait: the only way by which this crate touches a user's files.
//!
//! Paths are relative to the root and made of disk names; an implementation never follows a link out of the root and
//! never crosses into another mount. All calls block: they run on the blocking pool.

use cairn_core::node::{LinkTarget, NodeKind};
use cairn_core::time::{Mtime, Timestamp};

pub mod disk;
mod error;
pub mod os;
mod path;
pub mod root;

#[cfg(test)]
pub(crate) mod faulty;

pub use self::error::FsError;
pub use self::path::DiskPath;

/// The folder at the top of a root that holds what is ours; never synced, never watched.
pub const OWN_FOLDER: &str = ".cairn";

/// What tells one state of a file on disk from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// The inode, or the platform's file id.
    pub inode: u64,
    /// When the inode was made, where the filesystem says; nanoseconds since the Unix epoch.
    pub born_ns: Option<i128>,
    /// Length in bytes.
    pub size: u64,
    /// Modification time.
    pub mtime: Mtime,
    /// Change time.
    pub ctime: Mtime,
}

impl Fingerprint {
    /// Whether both are states of one file: the same inode, made at the same time.
    pub const fn is_same_file(&self, other: &Self) -> bool {
        self.inode == other.inode
            && match (self.born_ns, other.born_ns) {
                (Some(a), Some(b)) => a == b,
                (None, None) => true,
                _ => false,
            }
    }

    /// Whether both are one state of one file as far as a rename lets them be compared: a rename may set the change time.
    pub fn is_same_state(&self, other: &Self) -> bool {
        self.is_same_file(other) && self.size == other.size && self.mtime == other.mtime
    }
}

/// What a name in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A kind that is synced.
    Node(NodeKind),
    /// A socket, a device, a pipe: never synced.
    Special,
    /// A folder on which something else is mounted: left alone and reported.
    MountPoint,
}

/// What `stat` says, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metadata {
    /// The kind.
    pub kind: FileKind,
    /// The state.
    pub fingerprint: Fingerprint,
    /// Whether the owner may execute it.
    pub executable: bool,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryEntry {
    /// A name in UTF-8.
    Named {
        /// The name.
        name: String,
        /// What it is.
        metadata: Metadata,
    },
    /// A name that is not UTF-8, or cannot be looked at: stays on this disk and is reported.
    Unreadable {
        /// The name, made printable.
        shown: String,
        /// Why.
        reason: String,
    },
}

/// The result of every call.
pub type FsResult<T> = Result<T, FsError>;

/// A file that is being read.
pub trait ReadFile: Send {
    /// Reads at a position until the buffer is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// As the filesystem says.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize>;

    /// Looks at the open file.
    ///
    /// # Errors
    /// As the filesystem says.
    fn metadata(&self) -> FsResult<Metadata>;
}

/// A staged file that is being written.
pub trait StageFile: Send {
    /// Writes all bytes at a position.
    ///
    /// # Errors
    /// As the filesystem says.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> FsResult<()>;

    /// Reads back; as [`ReadFile::read_at`].
    ///
    /// # Errors
    /// As the filesystem says.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize>;

    /// Sets length, mode and modification time, of a file that [`StageGroup::sync`] makes durable. The last call on it.
    ///
    /// # Errors
    /// As the filesystem says.
    fn prepare(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()>;

    /// As [`Self::prepare`], and makes the file durable.
    ///
    /// # Errors
    /// As the filesystem says; a failed sync is never tried again: the staged file is removed.
    fn finish(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()>;
}

/// Staged files that become durable together: with one sync of the disk where each alone would take one.
pub trait StageGroup: Send {
    /// Makes staged files durable that were written and prepared since the group was begun, and closed again.
    ///
    /// # Errors
    /// As the filesystem says; a failed sync is never tried again: all of the files are removed.
    fn sync(&mut self, names: &[String]) -> FsResult<()>;
}

/// A synced root. Everything of ours lies in `.cairn/` below it: `root` (the marker), `stage/`, `trash/`.
pub trait Filesystem: Send + Sync + 'static {
    /// Checks that the root is the one that carries the marker `id`.
    ///
    /// # Errors
    /// [`NotFound`](std::io::ErrorKind::NotFound) when root or marker is gone or carries another id: nothing may be deleted then.
    fn check_root(&self, id: &str) -> FsResult<()>;

    /// Writes the marker and makes `.cairn/` and its folders, durably.
    ///
    /// # Errors
    /// As the filesystem says.
    fn adopt_root(&self, id: &str) -> FsResult<()>;

    /// Lists a folder by name in byte order, `.cairn` left out of the root's.
    ///
    /// # Errors
    /// As the filesystem says. A folder with more names than fit in memory at ~200 bytes each is still listed whole.
    fn list(&self, folder: &DiskPath) -> FsResult<Vec<DirectoryEntry>>;

    /// Looks at a name; `None` when nothing is there.
    ///
    /// # Errors
    /// As the filesystem says.
    fn metadata(&self, path: &DiskPath) -> FsResult<Option<Metadata>>;

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// As the filesystem says; not following links.
    fn open(&self, path: &DiskPath) -> FsResult<Box<dyn ReadFile>>;

    /// Reads a link's target.
    ///
    /// # Errors
    /// As the filesystem says; [`InvalidData`](std::io::ErrorKind::InvalidData) when the target cannot be kept.
    fn read_link(&self, path: &DiskPath) -> FsResult<LinkTarget>;

    /// Opens a staged file by name, making it when it is not there; keeps what it holds.
    ///
    /// # Errors
    /// As the filesystem says.
    fn stage(&self, name: &str) -> FsResult<Box<dyn StageFile>>;

    /// Makes a staged file that shares the bytes of a file, so that neither time nor room is taken by them, where the
    /// filesystem can; says whether it did. What it holds then is believed as little as anything that somebody else wrote.
    ///
    /// # Errors
    /// As the filesystem says.
    fn stage_clone(&self, name: &str, source: &DiskPath) -> FsResult<bool> {
        let _ = (name, source);
        Ok(false)
    }

    /// Begins a group of staged files.
    ///
    /// # Errors
    /// As the filesystem says.
    fn begin_group(&self) -> FsResult<Box<dyn StageGroup>>;

    /// Makes a staged link.
    ///
    /// # Errors
    /// As the filesystem says.
    fn stage_link(&self, name: &str, target: &LinkTarget) -> FsResult<()>;

    /// Looks at a staged file; `None` when it is not there.
    ///
    /// # Errors
    /// As the filesystem says.
    fn staged(&self, name: &str) -> FsResult<Option<Metadata>>;

    /// Opens a staged file for reading; as [`Self::open`].
    ///
    /// # Errors
    /// As the filesystem says.
    fn open_staged(&self, name: &str) -> FsResult<Box<dyn ReadFile>>;

    /// Gives something staged another staged name, which nothing has. That is durable when the next verb of the stage is: until
    /// then a loss of power may give it the old name back.
    ///
    /// # Errors
    /// [`FsError::is_already_exists`] when something has it: nothing has changed then.
    fn restage(&self, name: &str, other: &str) -> FsResult<()>;

    /// Lists the staged names.
    ///
    /// # Errors
    /// As the filesystem says.
    fn staged_names(&self) -> FsResult<Vec<String>>;

    /// Removes a staged file, link or folder tree; nothing happens when it is not there.
    ///
    /// # Errors
    /// As the filesystem says.
    fn unstage(&self, name: &str) -> FsResult<()>;

    /// Puts a staged file where nothing is, durably.
    ///
    /// # Errors
    /// [`FsError::is_already_exists`] when something is there: nothing has changed then.
    fn place(&self, staged: &str, path: &DiskPath) -> FsResult<()>;

    /// Puts staged files where nothing is, as [`Self::place`] does each, and returns one result for each in order. May make
    /// them durable together.
    fn place_all(&self, batch: &[(String, DiskPath)]) -> Vec<FsResult<()>> {
        batch
            .iter()
            .map(|(staged, path)| self.place(staged, path))
            .collect()
    }

    /// Swaps a staged file with what is at a path, durably: afterwards the staged name holds what was displaced. Where
    /// the filesystem cannot swap, the displaced file is moved into the stage first, and the path is free for a moment.
    ///
    /// # Errors
    /// As the filesystem says; not found when nothing is there. Whatever the error, see [`Self::settle`].
    fn exchange(&self, staged: &str, path: &DiskPath) -> FsResult<()>;

    /// Moves what is at a path into the stage, durably.
    ///
    /// # Errors
    /// As the filesystem says.
    fn displace(&self, path: &DiskPath, staged: &str) -> FsResult<()>;

    /// Ends what a crash or an error interrupted between a staged name and a path: an [`Self::exchange`],
    /// [`Self::displace`] or [`Self::place`] has happened afterwards or it has not, nothing has both names, and what is
    /// found under either is durable.
    ///
    /// Where an exchange has to leave the path free for a moment somebody may have taken it, or removed its folder. Then
    /// this returns the staged name that the displaced file has, and `staged` is still what it was before.
    ///
    /// # Errors
    /// As the filesystem says.
    fn settle(&self, staged: &str, path: &DiskPath) -> FsResult<Option<String>> {
        let _ = (staged, path);
        Ok(None)
    }

    /// Moves a staged file or folder to the root's own trash, where it is kept for a week.
    ///
    /// # Errors
    /// As the filesystem says.
    fn trash(&self, staged: &str) -> FsResult<()>;

    /// As [`Self::trash`], under a name that says what it was; something is added to it when the trash has one of that name.
    ///
    /// # Errors
    /// As the filesystem says.
    fn trash_as(&self, staged: &str, name: &str) -> FsResult<()> {
        let _ = name;
        self.trash(staged)
    }

    /// Removes what was put in the trash before `before`; returns how many things that were.
    ///
    /// # Errors
    /// As the filesystem says; what could be removed is.
    fn empty_trash(&self, before: Timestamp) -> FsResult<u64> {
        let _ = before;
        Ok(0)
    }

    /// Removes everything but what is ours, durably, through no link and no mount. Goes on after what cannot be removed.
    ///
    /// # Errors
    /// The last of what the filesystem says.
    fn clear(&self) -> FsResult<()>;

    /// Removes what is ours, durably, the marker last: the root is an ordinary folder then.
    ///
    /// # Errors
    /// As the filesystem says.
    fn disown(&self) -> FsResult<()>;

    /// Moves within the root, durably, where nothing is at the new path. A rename that changes only the case works too.
    ///
    /// # Errors
    /// [`FsError::is_already_exists`] when something is there: nothing has changed then.
    fn rename(&self, from: &DiskPath, to: &DiskPath) -> FsResult<()>;

    /// Makes a folder, durably.
    ///
    /// # Errors
    /// [`FsError::is_already_exists`].
    fn create_directory(&self, path: &DiskPath) -> FsResult<()>;

    /// Removes an empty folder, durably.
    ///
    /// # Errors
    /// [`FsError::is_already_exists`] when it is not empty.
    fn remove_directory(&self, path: &DiskPath) -> FsResult<()>;

    /// Sets modification time and exec bit of a regular file, durably.
    ///
    /// # Errors
    /// As the filesystem says.
    fn set_attributes(&self, path: &DiskPath, executable: bool, mtime: Mtime) -> FsResult<()>;

    /// The coarsest step of this filesystem's timestamps, in nanoseconds, for the racily-clean rule.
    fn timestamp_step_ns(&self) -> u64;

    /// A name of the time in which nothing that was written can have been lost: of one run of the machine and one mount of
    /// the root. Another one after the machine was started or the disk put back; `None` where nothing tells, as of disks that
    /// another machine serves.
    fn session(&self) -> Option<String>;

    /// Whether the filesystem keeps an exec bit; where it does not, what [`Metadata::executable`] says means nothing.
    fn keeps_exec_bit(&self) -> bool {
        true
    }
}
