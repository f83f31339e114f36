//! From the root down to a folder, beneath the root and through no link.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::look;
use super::root::Root;
use crate::fs::{DiskPath, FileKind, OWN_FOLDER};

/// Bytes of a relative path given to the kernel at once; it takes 4,095.
const STRETCH_BYTES: usize = 4_000;

const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Refuses what is no single name.
pub(super) fn check_name(name: &str) -> io::Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(())
}

/// Opens the folder that holds `path` and returns the name there.
pub(super) fn open_parent<'path>(root: &Root, path: &'path DiskPath) -> io::Result<(OwnedFd, &'path str)> {
    let (name, above) = path
        .names()
        .split_last()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    check_name(name)?;
    refuse_own(path.names())?;
    Ok((open_folder(root, above)?, name))
}

/// Opens a folder for use as the base of other calls, not for reading.
pub(super) fn open_folder(root: &Root, names: &[String]) -> io::Result<OwnedFd> {
    refuse_own(names)?;
    open_below(root, root.fd.as_fd(), names)
}

/// As [`open_folder`], below any folder, without looking whether it is our own.
pub(super) fn open_below(root: &Root, base: BorrowedFd<'_>, names: &[String]) -> io::Result<OwnedFd> {
    names.iter().try_for_each(|name| check_name(name))?;
    if names.is_empty() {
        return Ok(rustix::fs::openat(base, c".", FOLDER, Mode::empty())?);
    }
    let mut reached: Option<OwnedFd> = None;
    let mut rest = names;
    while !rest.is_empty() {
        let (stretch, after) = rest.split_at(stretch_len(rest));
        let from = reached.as_ref().map_or(base, AsFd::as_fd);
        reached = Some(open_stretch(root, from, stretch)?);
        rest = after;
    }
    reached.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

fn refuse_own(names: &[String]) -> io::Result<()> {
    if names.first().is_some_and(|name| name == OWN_FOLDER) {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    Ok(())
}

fn stretch_len(names: &[String]) -> usize {
    let mut bytes = 0;
    for (index, name) in names.iter().enumerate() {
        bytes += name.len() + 1;
        if bytes > STRETCH_BYTES {
            return index.max(1);
        }
    }
    names.len()
}

fn open_stretch(root: &Root, base: BorrowedFd<'_>, names: &[String]) -> io::Result<OwnedFd> {
    if !root.lacks_openat2.load(Ordering::Relaxed) {
        let rules = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        match rustix::fs::openat2(base, names.join("/"), FOLDER, Mode::empty(), rules) {
            Ok(fd) => return Ok(fd),
            // Old sandboxes answer a call that they do not know with EPERM.
            Err(Errno::NOSYS | Errno::PERM) => root.lacks_openat2.store(true, Ordering::Relaxed),
            // A link in the way is a path that is not there.
            Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
    open_by_steps(root, base, names)
}

/// The same without `openat2`: one folder after the other, each checked.
fn open_by_steps(root: &Root, base: BorrowedFd<'_>, names: &[String]) -> io::Result<OwnedFd> {
    let mut reached: Option<OwnedFd> = None;
    for name in names {
        let from = reached.as_ref().map_or(base, AsFd::as_fd);
        let next = match rustix::fs::openat(from, name.as_str(), FOLDER, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
            Err(errno) => return Err(errno.into()),
        };
        if look::open_file(root, &next)?.kind == FileKind::MountPoint {
            return Err(Errno::XDEV.into());
        }
        reached = Some(next);
    }
    reached.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}
