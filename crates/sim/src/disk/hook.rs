//! What is asked before each call of a process.

use std::io;

use cairn_client::fs::DiskPath;
use cairn_client::fs::disk::{Access, RenameMode};

/// Which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// `Disk::open_root`.
    OpenRoot,
    /// `Disk::open_folder`.
    OpenFolder,
    /// `Disk::stat`.
    Stat,
    /// `Disk::stat_folder`.
    StatFolder,
    /// `Disk::stat_file`.
    StatFile,
    /// `Disk::names`.
    Names,
    /// `Disk::open_file`.
    OpenFile(Access),
    /// `Disk::read_at`.
    ReadAt,
    /// `Disk::write_at`.
    WriteAt,
    /// `Disk::set_len`.
    SetLen,
    /// `Disk::set_mode`.
    SetMode,
    /// `Disk::set_mtime`.
    SetMtime,
    /// `Disk::sync_file`.
    SyncFile,
    /// `Disk::sync_folder`.
    SyncFolder,
    /// `Disk::make_folder`.
    MakeFolder,
    /// `Disk::remove_folder`.
    RemoveFolder,
    /// `Disk::unlink`.
    Unlink,
    /// `Disk::link`.
    Link,
    /// `Disk::symlink`.
    Symlink,
    /// `Disk::read_link`.
    ReadLink,
    /// `Disk::rename`.
    Rename(RenameMode),
}

impl CallKind {
    /// Whether it may change the disk, or what is durable of it.
    pub const fn is_change(self) -> bool {
        match self {
            Self::OpenFile(access) => matches!(access, Access::Create | Access::CreateEmpty),
            Self::OpenRoot
            | Self::OpenFolder
            | Self::Stat
            | Self::StatFolder
            | Self::StatFile
            | Self::Names
            | Self::ReadAt
            | Self::ReadLink => false,
            _ => true,
        }
    }

    /// Whether it makes something durable.
    pub const fn is_sync(self) -> bool {
        matches!(self, Self::SyncFile | Self::SyncFolder)
    }
}

/// A call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which.
    pub kind: CallKind,
    /// What it is about, below the root; `None` for what has no name any more. Names that are not UTF-8 are made so.
    pub path: Option<DiskPath>,
    /// The new name of a rename or link.
    pub new_path: Option<DiskPath>,
    /// Which process of this disk, from 1.
    pub process: u64,
    /// How many calls this process has made with this one.
    pub number: u64,
}

/// What shall happen to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Injection {
    /// What it asks for.
    Proceed,
    /// It fails and changes nothing.
    Fail(io::ErrorKind),
    /// It is done and fails all the same. A file's sync is not done: the disk forgets that the file was to be written, so
    /// that the next sync succeeds without writing; by turns the cache forgets the new bytes too, as filesystems differ.
    FailAfter(io::ErrorKind),
    /// Half of the bytes are written and the disk is full. Calls other than `Disk::write_at` proceed.
    ShortWrite,
}

/// Decides what happens to a call. No lock is held while it runs.
pub type Hook = Box<dyn FnMut(&Call) -> Injection + Send>;
