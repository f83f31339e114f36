//! From a folder down to another, beneath it and through no link.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::look;
use super::root::Root;
use crate::fs::FileKind;

/// Bytes of a relative path given to the kernel at once; it takes 4,095.
const STRETCH_BYTES: usize = 4_000;

const FOLDER: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Opens a folder for use as the base of other calls, not for reading.
pub(super) fn open_below<N: AsRef<OsStr>>(
    lacks_openat2: &AtomicBool,
    root: &Root,
    base: BorrowedFd<'_>,
    names: &[N],
) -> io::Result<OwnedFd> {
    if names.is_empty() {
        return Ok(rustix::fs::openat(base, c".", FOLDER, Mode::empty())?);
    }
    let mut reached: Option<OwnedFd> = None;
    let mut rest = names;
    while !rest.is_empty() {
        let (stretch, after) = rest.split_at(stretch_len(rest));
        let from = reached.as_ref().map_or(base, AsFd::as_fd);
        reached = Some(open_stretch(lacks_openat2, root, from, stretch)?);
        rest = after;
    }
    reached.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

fn stretch_len<N: AsRef<OsStr>>(names: &[N]) -> usize {
    let mut bytes = 0;
    for (index, name) in names.iter().enumerate() {
        bytes += name.as_ref().len() + 1;
        if bytes > STRETCH_BYTES {
            return index.max(1);
        }
    }
    names.len()
}

fn open_stretch<N: AsRef<OsStr>>(
    lacks_openat2: &AtomicBool,
    root: &Root,
    base: BorrowedFd<'_>,
    names: &[N],
) -> io::Result<OwnedFd> {
    if !lacks_openat2.load(Ordering::Relaxed) {
        let rules = ResolveFlags::BENEATH
            | ResolveFlags::NO_SYMLINKS
            | ResolveFlags::NO_MAGICLINKS
            | ResolveFlags::NO_XDEV;
        match rustix::fs::openat2(base, joined(names), FOLDER, Mode::empty(), rules) {
            Ok(fd) => return Ok(fd),
            // Old sandboxes answer a call that they do not know with EPERM.
            Err(Errno::NOSYS | Errno::PERM) => lacks_openat2.store(true, Ordering::Relaxed),
            // A link in the way is a path that is not there.
            Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
            Err(errno) => return Err(errno.into()),
        }
    }
    open_by_steps(root, base, names)
}

fn joined<N: AsRef<OsStr>>(names: &[N]) -> OsString {
    let mut path = OsString::new();
    for name in names {
        if !path.is_empty() {
            path.push("/");
        }
        path.push(name);
    }
    path
}

/// The same without `openat2`: one folder after the other, each checked.
fn open_by_steps<N: AsRef<OsStr>>(root: &Root, base: BorrowedFd<'_>, names: &[N]) -> io::Result<OwnedFd> {
    let mut reached: Option<OwnedFd> = None;
    for name in names {
        let from = reached.as_ref().map_or(base, AsFd::as_fd);
        let next = match rustix::fs::openat(from, name.as_ref(), FOLDER, Mode::empty()) {
            Ok(next) => next,
            Err(Errno::LOOP) => return Err(Errno::NOTDIR.into()),
            Err(errno) => return Err(errno.into()),
        };
        if look::open_file(root, &next)?.metadata.kind == FileKind::MountPoint {
            return Err(Errno::XDEV.into());
        }
        reached = Some(next);
    }
    reached.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}
