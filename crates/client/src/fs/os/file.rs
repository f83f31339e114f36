//! Open files: those that are read, and staged ones that are written.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use cairn_core::node::NodeKind;
use cairn_core::time::Mtime;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::root::Root;
use super::{attributes, error, look};
use crate::fs::{DiskPath, FileKind, FsResult, Metadata, ReadFile, StageFile};

/// Opens a regular file for reading; pipes and devices are told by looking, before they could be opened.
pub(super) fn open_regular(root: &Root, folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    open_checked(root, folder, name, OFlags::RDONLY)
}

/// As [`open_regular`], with the access asked for.
pub(super) fn open_checked(root: &Root, folder: &OwnedFd, name: &str, access: OFlags) -> io::Result<OwnedFd> {
    refuse_other_kinds(&look::name(root, folder, name)?)?;
    let flags = access | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(folder, name, flags, Mode::empty()) {
        Ok(fd) => fd,
        // It became a link, or a pipe without a reader, since it was looked at.
        Err(Errno::LOOP | Errno::NXIO) => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        Err(errno) => return Err(errno.into()),
    };
    refuse_other_kinds(&look::open_file(root, &fd)?)?;
    Ok(fd)
}

fn refuse_other_kinds(metadata: &Metadata) -> io::Result<()> {
    match metadata.kind {
        FileKind::Node(NodeKind::File) => Ok(()),
        FileKind::MountPoint => Err(Errno::XDEV.into()),
        _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
    }
}

/// Opens a staged file, making it when it is not there. The stage is closed to others, so the mode is already the one
/// that the file shall have.
pub(super) fn open_staged(stage: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(
        stage,
        name,
        flags,
        Mode::from_raw_mode(0o666),
    )?)
}

/// Reads until the buffer is full or the file ends.
fn read_at(fd: &OwnedFd, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
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

fn write_at(fd: &OwnedFd, mut offset: u64, mut bytes: &[u8]) -> io::Result<()> {
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

/// A file that is being read.
pub(super) struct OpenFile {
    pub(super) fd: OwnedFd,
    pub(super) root: Arc<Root>,
    pub(super) path: DiskPath,
}

impl ReadFile for OpenFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        read_at(&self.fd, offset, buffer).map_err(|source| error("read", &self.path, source))
    }

    fn metadata(&self) -> FsResult<Metadata> {
        look::open_file(&self.root, &self.fd).map_err(|source| error("look at", &self.path, source))
    }
}

/// A staged file that is being written.
pub(super) struct OpenStage {
    pub(super) fd: OwnedFd,
    pub(super) path: DiskPath,
}

impl StageFile for OpenStage {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> FsResult<()> {
        write_at(&self.fd, offset, bytes).map_err(|source| error("write", &self.path, source))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        read_at(&self.fd, offset, buffer).map_err(|source| error("read", &self.path, source))
    }

    fn finish(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()> {
        rustix::fs::ftruncate(&self.fd, size)
            .map_err(io::Error::from)
            .and_then(|()| attributes::set_open(&self.fd, executable, mtime))
            .map_err(|source| error("finish", &self.path, source))
    }
}
