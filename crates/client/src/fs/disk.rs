//! The calls of an operating system that a synced root needs, and nothing above them.
//!
//! [`Filesystem`](super::Filesystem) says what must hold of a synced root: what is durable when, what replaces nothing,
//! what a crash may leave. It is written once, over this trait; the real calls and the simulated ones are its two
//! implementations, so that the order of every write, rename and sync is what the simulation rehearses.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;

use cairn_core::time::Mtime;

use super::Metadata;

/// What a disk says of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootTraits {
    /// Tells one root from another: the device, the mount and the inode.
    pub identity: (u64, u64, u64),
    /// The coarsest step of timestamps, in nanoseconds.
    pub timestamp_step_ns: u64,
    /// Whether an exec bit is kept.
    pub keeps_exec_bit: bool,
}

/// What `stat` says, with the permissions as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Kind, state, exec bit.
    pub metadata: Metadata,
    /// Permission bits, at most `0o7777`.
    pub mode: u32,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    Read,
    /// For writing.
    Write,
    /// For both, making it when it is not there.
    Create,
    /// For writing from the start, making it when it is not there, readable by its owner alone.
    CreateEmpty,
}

/// What a rename does when the new name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenameMode {
    /// Replaces it.
    Replace,
    /// Fails with [`io::ErrorKind::AlreadyExists`].
    KeepExisting,
    /// Swaps the two.
    Exchange,
}

/// The calls. Nothing but the two syncs is durable before a crash of the machine: bytes, lengths, modes and times of a
/// file are after [`Self::sync_file`], the names in a folder after [`Self::sync_folder`]. Each call is atomic towards
/// others. None follows a link in its last name.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// A folder, open as the base of other calls. Stays what it is when it is renamed.
    type Folder: fmt::Debug + Send + Sync + 'static;
    /// An open file.
    type File: fmt::Debug + Send + 'static;
    /// A witness of what goes wrong on the disk.
    type Witness: fmt::Debug + Send + 'static;

    /// Opens the root by its path, anew each time: another filesystem may be mounted there meanwhile.
    ///
    /// # Errors
    /// As the system says.
    fn open_root(&self) -> io::Result<Self::Folder>;

    /// Describes an open root.
    fn root_traits(&self, root: &Self::Folder) -> RootTraits;

    /// A name of the time in which nothing that was written can have been lost: of one run of the machine and one mount of
    /// the root. Another one after the machine was started or the disk put back; `None` where nothing tells, as of disks that
    /// another machine serves.
    fn session(&self, root: &Self::Folder) -> Option<String>;

    /// Opens a folder below another, beneath it and through no link and no mount. Without names the folder itself. The
    /// names have been checked: each is one name, neither `.` nor `..`; they need not be UTF-8.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] for a link in the way.
    fn open_folder<N: AsRef<OsStr>>(&self, base: &Self::Folder, names: &[N]) -> io::Result<Self::Folder>;

    /// Looks at a name.
    ///
    /// # Errors
    /// As the system says.
    fn stat(&self, folder: &Self::Folder, name: &OsStr) -> io::Result<Stat>;

    /// Looks at an open folder.
    ///
    /// # Errors
    /// As the system says.
    fn stat_folder(&self, folder: &Self::Folder) -> io::Result<Stat>;

    /// Looks at an open file.
    ///
    /// # Errors
    /// As the system says.
    fn stat_file(&self, file: &Self::File) -> io::Result<Stat>;

    /// The names in a folder, in no order, without `.` and `..`.
    ///
    /// # Errors
    /// As the system says.
    fn names(&self, folder: &Self::Folder) -> io::Result<Vec<OsString>>;

    /// Opens a regular file.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for what is no regular file.
    fn open_file(&self, folder: &Self::Folder, name: &OsStr, access: Access) -> io::Result<Self::File>;

    /// Reads until the buffer is full or the file ends.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, file: &Self::File, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes, or some of them when it fails.
    ///
    /// # Errors
    /// As the system says.
    fn write_at(&self, file: &Self::File, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Has an empty file share all bytes of another: each keeps its own when either is written to.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the filesystem cannot.
    fn share(&self, from: &Self::File, to: &Self::File) -> io::Result<()> {
        let _ = (from, to);
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Sets the length.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, file: &Self::File, len: u64) -> io::Result<()>;

    /// Sets the permissions; whatever the access that the file was opened for.
    ///
    /// # Errors
    /// As the system says.
    fn set_mode(&self, file: &Self::File, mode: u32) -> io::Result<()>;

    /// Sets the modification time; whatever the access that the file was opened for.
    ///
    /// # Errors
    /// As the system says.
    fn set_mtime(&self, file: &Self::File, mtime: Mtime) -> io::Result<()>;

    /// Makes a file durable: bytes, length, permissions, times. Not its name.
    ///
    /// # Errors
    /// As the system says; never tried again, because what was not written may be forgotten.
    fn sync_file(&self, file: &Self::File) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// As [`Self::sync_file`].
    fn sync_folder(&self, folder: &Self::Folder) -> io::Result<()>;

    /// Begins to watch for what goes wrong on the disk of a folder.
    ///
    /// # Errors
    /// As the system says.
    fn watch_writes(&self, folder: &Self::Folder) -> io::Result<Self::Witness>;

    /// Makes files of a folder durable, as [`Self::sync_file`] does each; they were opened and closed since the witness began
    /// to watch. Where it fails any of them may be lost. Calls [`Self::sync_file`] for each unless the system has a better way.
    ///
    /// # Errors
    /// As [`Self::sync_file`].
    fn sync_files(&self, witness: &Self::Witness, folder: &Self::Folder, names: &[&OsStr]) -> io::Result<()> {
        let _ = witness;
        for name in names {
            self.sync_file(&self.open_file(folder, name, Access::Write)?)?;
        }
        Ok(())
    }

    /// Makes the names in folders durable, as [`Self::sync_folder`] does each, and returns one result for each in order. May do
    /// it together, and then fails for all of them.
    fn sync_folders(&self, folders: &[&Self::Folder]) -> Vec<io::Result<()>> {
        folders.iter().map(|folder| self.sync_folder(folder)).collect()
    }

    /// Makes a folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`].
    fn make_folder(&self, folder: &Self::Folder, name: &OsStr, mode: u32) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// [`io::ErrorKind::DirectoryNotEmpty`].
    fn remove_folder(&self, folder: &Self::Folder, name: &OsStr) -> io::Result<()>;

    /// Removes a name that is no folder's.
    ///
    /// # Errors
    /// As the system says.
    fn unlink(&self, folder: &Self::Folder, name: &OsStr) -> io::Result<()>;

    /// Gives a file or link a second name that nothing has.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`]; [`io::ErrorKind::Unsupported`] where there are no hard links.
    fn link(
        &self,
        from: &Self::Folder,
        from_name: &OsStr,
        to: &Self::Folder,
        to_name: &OsStr,
    ) -> io::Result<()>;

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`].
    fn symlink(&self, folder: &Self::Folder, name: &OsStr, target: &str) -> io::Result<()>;

    /// Reads a symbolic link.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for what is none.
    fn read_link(&self, folder: &Self::Folder, name: &OsStr) -> io::Result<OsString>;

    /// Renames.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] where the filesystem does not know the mode.
    fn rename(
        &self,
        from: &Self::Folder,
        from_name: &OsStr,
        to: &Self::Folder,
        to_name: &OsStr,
        mode: RenameMode,
    ) -> io::Result<()>;
}
