//! The operating system's disk, by file descriptors below the root's and nothing else.

mod file;
mod look;
mod root;
mod together;
mod walk;

#[cfg(test)]
mod tests;

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cairn_core::time::Mtime;
use rustix::fs::{AtFlags, Mode, RenameFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use crate::fs::disk::{Access, Disk, RenameMode, RootTraits, Stat};
use crate::fs::root::RootFilesystem;
use crate::fs::{FsResult, OWN_FOLDER};
use root::Root;

/// Where Linux names its boot: random, and another one after each.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A synced root on a local filesystem.
pub type OsFilesystem = RootFilesystem<LinuxDisk>;

impl OsFilesystem {
    /// Opens the folder at `path`, which may itself be reached through links.
    ///
    /// # Errors
    /// As the filesystem says.
    pub fn open(path: impl Into<PathBuf>) -> FsResult<Self> {
        Self::new(LinuxDisk::new(path.into()))
    }
}

/// The calls of Linux.
///
/// Paths are walked with `openat2` where the kernel has it; they may be longer than `PATH_MAX`.
#[derive(Debug)]
pub struct LinuxDisk {
    path: PathBuf,
    /// Set once the kernel has said that it has no `openat2`.
    lacks_openat2: AtomicBool,
}

impl LinuxDisk {
    /// The disk below the folder at `path`, which may itself be reached through links.
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            lacks_openat2: AtomicBool::new(false),
        }
    }
}

/// An open folder of a [`LinuxDisk`].
#[derive(Debug)]
pub struct LinuxFolder {
    fd: OwnedFd,
    root: Arc<Root>,
}

impl AsFd for LinuxFolder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// An open file of a [`LinuxDisk`].
#[derive(Debug)]
pub struct LinuxFile {
    fd: OwnedFd,
    root: Arc<Root>,
}

impl Disk for LinuxDisk {
    type Folder = LinuxFolder;
    type File = LinuxFile;
    type Witness = Option<OwnedFd>;

    fn open_root(&self) -> io::Result<LinuxFolder> {
        let (fd, root) = Root::open(&self.path)?;
        Ok(LinuxFolder {
            fd,
            root: Arc::new(root),
        })
    }

    fn root_traits(&self, root: &LinuxFolder) -> RootTraits {
        root.root.traits()
    }

    fn session(&self, root: &LinuxFolder) -> Option<String> {
        let mount = root.root.lasting_mount()?;
        let boot = std::fs::read_to_string(BOOT_ID).ok()?;
        Some(format!("{} {mount}", boot.trim()))
    }

    fn open_folder<N: AsRef<OsStr>>(&self, base: &LinuxFolder, names: &[N]) -> io::Result<LinuxFolder> {
        Ok(LinuxFolder {
            fd: walk::open_below(&self.lacks_openat2, &base.root, base.as_fd(), names)?,
            root: Arc::clone(&base.root),
        })
    }

    fn stat(&self, folder: &LinuxFolder, name: &OsStr) -> io::Result<Stat> {
        look::name(&folder.root, folder, name)
    }

    fn stat_folder(&self, folder: &LinuxFolder) -> io::Result<Stat> {
        look::open_file(&folder.root, folder)
    }

    fn stat_file(&self, file: &LinuxFile) -> io::Result<Stat> {
        look::open_file(&file.root, &file.fd)
    }

    fn names(&self, folder: &LinuxFolder) -> io::Result<Vec<OsString>> {
        look::names(folder)
    }

    fn open_file(&self, folder: &LinuxFolder, name: &OsStr, access: Access) -> io::Result<LinuxFile> {
        Ok(LinuxFile {
            fd: file::open(&folder.root, folder, name, access)?,
            root: Arc::clone(&folder.root),
        })
    }

    fn read_at(&self, file: &LinuxFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        file::read_at(&file.fd, offset, buffer)
    }

    fn write_at(&self, file: &LinuxFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file::write_at(&file.fd, offset, bytes)
    }

    fn share(&self, from: &LinuxFile, to: &LinuxFile) -> io::Result<()> {
        match rustix::fs::ioctl_ficlone(&to.fd, &from.fd) {
            // Filesystems without such a thing, another filesystem, and files that may not share.
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::NOSYS | Errno::XDEV | Errno::INVAL) => {
                Err(io::Error::from(io::ErrorKind::Unsupported))
            }
            result => Ok(result?),
        }
    }

    fn set_len(&self, file: &LinuxFile, len: u64) -> io::Result<()> {
        Ok(rustix::fs::ftruncate(&file.fd, len)?)
    }

    fn set_mode(&self, file: &LinuxFile, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::fchmod(&file.fd, Mode::from_raw_mode(mode))?)
    }

    fn set_mtime(&self, file: &LinuxFile, mtime: Mtime) -> io::Result<()> {
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: mtime.seconds,
                tv_nsec: mtime.nanos.into(),
            },
        };
        Ok(rustix::fs::futimens(&file.fd, &times)?)
    }

    fn sync_file(&self, file: &LinuxFile) -> io::Result<()> {
        Ok(rustix::fs::fsync(&file.fd)?)
    }

    fn watch_writes(&self, folder: &LinuxFolder) -> io::Result<Option<OwnedFd>> {
        Ok(if folder.root.is_synced_whole {
            Some(look::open_listing(folder)?)
        } else {
            None
        })
    }

    fn sync_files(
        &self,
        witness: &Option<OwnedFd>,
        folder: &LinuxFolder,
        names: &[&OsStr],
    ) -> io::Result<()> {
        match witness {
            Some(fd) if names.len() >= together::MANY => Ok(rustix::fs::syncfs(fd)?),
            _ => names
                .iter()
                .try_for_each(|name| self.sync_file(&self.open_file(folder, name, Access::Write)?)),
        }
    }

    fn sync_folders(&self, folders: &[&LinuxFolder]) -> Vec<io::Result<()>> {
        let is_whole =
            |folder: &&&LinuxFolder| folder.root.is_synced_whole && folders.len() >= together::MANY;
        match folders.first().filter(is_whole).map(look::open_listing) {
            Some(Ok(fd)) => {
                let synced = rustix::fs::syncfs(fd);
                folders.iter().map(|_| Ok(synced?)).collect()
            }
            _ => folders.iter().map(|folder| self.sync_folder(folder)).collect(),
        }
    }

    fn sync_folder(&self, folder: &LinuxFolder) -> io::Result<()> {
        let result = match look::open_listing(folder) {
            Ok(fd) => rustix::fs::fsync(fd),
            // A folder that may be written but not read: the whole filesystem is synced in its place.
            Err(Errno::ACCESS) => {
                let own = walk::open_below(
                    &self.lacks_openat2,
                    &folder.root,
                    folder.root.as_fd(),
                    &[OWN_FOLDER],
                )?;
                look::open_listing(own).and_then(rustix::fs::syncfs)
            }
            Err(errno) => Err(errno),
        };
        match result {
            // Some network filesystems have no such thing for folders.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    fn make_folder(&self, folder: &LinuxFolder, name: &OsStr, mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(mode))?)
    }

    fn remove_folder(&self, folder: &LinuxFolder, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?)
    }

    fn unlink(&self, folder: &LinuxFolder, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(folder, name, AtFlags::empty())?)
    }

    fn link(
        &self,
        from: &LinuxFolder,
        from_name: &OsStr,
        to: &LinuxFolder,
        to_name: &OsStr,
    ) -> io::Result<()> {
        match rustix::fs::linkat(from, from_name, to, to_name, AtFlags::empty()) {
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                Err(io::Error::from(io::ErrorKind::Unsupported))
            }
            result => Ok(result?),
        }
    }

    fn symlink(&self, folder: &LinuxFolder, name: &OsStr, target: &str) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, folder, name)?)
    }

    fn read_link(&self, folder: &LinuxFolder, name: &OsStr) -> io::Result<OsString> {
        match rustix::fs::readlinkat(folder, name, Vec::new()) {
            Ok(target) => Ok(OsString::from_vec(target.into_bytes())),
            // It is no link.
            Err(Errno::INVAL) => Err(io::Error::from(io::ErrorKind::InvalidInput)),
            Err(errno) => Err(errno.into()),
        }
    }

    fn rename(
        &self,
        from: &LinuxFolder,
        from_name: &OsStr,
        to: &LinuxFolder,
        to_name: &OsStr,
        mode: RenameMode,
    ) -> io::Result<()> {
        let flags = match mode {
            RenameMode::Replace => return Ok(rustix::fs::renameat(from, from_name, to, to_name)?),
            RenameMode::KeepExisting => RenameFlags::NOREPLACE,
            RenameMode::Exchange => RenameFlags::EXCHANGE,
        };
        match rustix::fs::renameat_with(from, from_name, to, to_name, flags) {
            // Filesystems that do not know the flags; moving a folder into itself is told so too, and again without them.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                Err(io::Error::from(io::ErrorKind::Unsupported))
            }
            result => Ok(result?),
        }
    }
}
