//! Modes and times.

use std::io;
use std::os::fd::OwnedFd;

use cairn_core::time::Mtime;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};

use super::file;
use super::root::Root;

/// Bits that a synced file may have: no set-id bits.
const PERMISSIONS: u32 = 0o777;

/// Sets exec bit and modification time of an open file, and makes the whole file durable.
pub(super) fn set_open(fd: &OwnedFd, executable: bool, mtime: Mtime) -> io::Result<()> {
    let mode = rustix::fs::fstat(fd)?.st_mode & PERMISSIONS;
    change_mode(fd, mode, with_exec(mode, executable))?;
    rustix::fs::futimens(
        fd,
        &Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: mtime.seconds,
                tv_nsec: mtime.nanos.into(),
            },
        },
    )?;
    Ok(rustix::fs::fsync(fd)?)
}

/// Sets exec bit and modification time of a regular file.
pub(super) fn set(
    root: &Root,
    folder: &OwnedFd,
    name: &str,
    executable: bool,
    mtime: Mtime,
) -> io::Result<()> {
    let fd = match file::open_checked(root, folder, name, OFlags::RDONLY) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            file::open_checked(root, folder, name, OFlags::WRONLY)?
        }
        opened => opened?,
    };
    set_open(&fd, executable, mtime)
}

/// Gives a staged file the permissions of the file that it will replace, with its own exec bit: what was private stays
/// private.
pub(super) fn copy_permissions(
    folder: &OwnedFd,
    name: &str,
    stage: &OwnedFd,
    staged: &str,
) -> io::Result<()> {
    let old = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let new = rustix::fs::statat(stage, staged, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_file = |mode| FileType::from_raw_mode(mode) == FileType::RegularFile;
    if !is_file(old.st_mode) || !is_file(new.st_mode) {
        return Ok(());
    }
    let mode = with_exec(old.st_mode & PERMISSIONS, new.st_mode & 0o100 != 0);
    if mode == new.st_mode & PERMISSIONS {
        return Ok(());
    }
    let fd = file::open_staged(stage, staged)?;
    change_mode(&fd, new.st_mode & PERMISSIONS, mode)?;
    Ok(rustix::fs::fsync(&fd)?)
}

fn with_exec(mode: u32, executable: bool) -> u32 {
    if executable == (mode & 0o100 != 0) {
        mode
    } else if executable {
        // Whoever may read may execute.
        mode | 0o100 | (mode & 0o444) >> 2
    } else {
        mode & !0o111
    }
}

fn change_mode(fd: &OwnedFd, from: u32, to: u32) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    Ok(rustix::fs::fchmod(fd, Mode::from_raw_mode(to))?)
}
