//! Opening, reading and writing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;

use cairn_core::node::NodeKind;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::root::Root;
use super::{LinuxFolder, look};
use crate::fs::FileKind;
use crate::fs::disk::{Access, Stat};

const ALWAYS: OFlags = OFlags::NONBLOCK
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// Opens a regular file; pipes and devices are told by looking, before they could be opened.
pub(super) fn open(root: &Root, folder: &LinuxFolder, name: &OsStr, access: Access) -> io::Result<OwnedFd> {
    let (flags, mode) = match access {
        Access::Read => (OFlags::RDONLY, 0),
        Access::Write => (OFlags::WRONLY, 0),
        Access::Create => (OFlags::RDWR | OFlags::CREATE, 0o666),
        Access::CreateEmpty => (OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC, 0o600),
    };
    if matches!(access, Access::Read | Access::Write) {
        refuse_other_kinds(&look::name(root, folder, name)?)?;
    }
    let fd = match rustix::fs::openat(folder, name, flags | ALWAYS, Mode::from_raw_mode(mode)) {
        Ok(fd) => fd,
        // It is a link, or a pipe without a reader; perhaps only since it was looked at.
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        Err(errno) => return Err(errno.into()),
    };
    refuse_other_kinds(&look::open_file(root, &fd)?)?;
    Ok(fd)
}

fn refuse_other_kinds(stat: &Stat) -> io::Result<()> {
    match stat.metadata.kind {
        FileKind::Node(NodeKind::File) => Ok(()),
        FileKind::MountPoint => Err(Errno::XDEV.into()),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

/// Reads until the buffer is full or the file ends.
pub(super) fn read_at(fd: &OwnedFd, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(fd, &mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

/// Writes all bytes.
pub(super) fn write_at(fd: &OwnedFd, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(fd, bytes, offset) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => {
                offset += count as u64;
                bytes = &bytes[count..];
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
