//! Looking at names without opening what they name.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cairn_core::node::{LinkTarget, NodeKind};
use cairn_core::time::Mtime;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp};
use rustix::io::Errno;
use rustix::path::Arg;

use super::root::{Root, mount_of};
use crate::fs::{DirectoryEntry, FileKind, Fingerprint, Metadata, OWN_FOLDER};

/// Looks at a name in a folder.
pub(super) fn name(root: &Root, folder: impl AsFd, name: impl Arg) -> io::Result<Metadata> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(folder, name, flags, wanted())?;
    Ok(metadata(root, &stat))
}

/// Looks at an open file or folder.
pub(super) fn open_file(root: &Root, fd: impl AsFd) -> io::Result<Metadata> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted())?;
    Ok(metadata(root, &stat))
}

const fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS
        .union(StatxFlags::BTIME)
        .union(StatxFlags::MNT_ID)
}

fn metadata(root: &Root, stat: &Statx) -> Metadata {
    let kind = FileType::from_raw_mode(stat.stx_mode.into());
    let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    Metadata {
        kind: if is_foreign(root, stat, kind) {
            FileKind::MountPoint
        } else {
            match kind {
                FileType::RegularFile => FileKind::Node(NodeKind::File),
                FileType::Directory => FileKind::Node(NodeKind::Directory),
                FileType::Symlink => FileKind::Node(NodeKind::Symlink),
                _ => FileKind::Special,
            }
        },
        fingerprint: Fingerprint {
            inode: stat.stx_ino,
            born_ns: has_birth.then(|| {
                i128::from(stat.stx_btime.tv_sec) * 1_000_000_000 + i128::from(stat.stx_btime.tv_nsec)
            }),
            size: if kind == FileType::RegularFile {
                stat.stx_size
            } else {
                0
            },
            mtime: instant(stat.stx_mtime),
            ctime: instant(stat.stx_ctime),
        },
        executable: stat.stx_mode & 0o100 != 0,
    }
}

/// Whether it belongs to another mount than the root. Files are not told by their device: on an overlay they keep the
/// device of the layer that they come from.
fn is_foreign(root: &Root, stat: &Statx, kind: FileType) -> bool {
    let is_other_mount = mount_of(stat)
        .zip(root.mount)
        .is_some_and(|(mount, own)| mount != own);
    let is_mount_root =
        stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) && stat.stx_ino != root.inode();
    let is_other_device =
        kind == FileType::Directory && (stat.stx_dev_major, stat.stx_dev_minor) != root.device;
    is_other_mount || is_mount_root || is_other_device
}

fn instant(time: StatxTimestamp) -> Mtime {
    Mtime {
        seconds: time.tv_sec,
        nanos: time.tv_nsec,
    }
}

/// Opens a folder for reading its names.
pub(super) fn open_listing(folder: impl AsFd) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(folder, c".", flags, Mode::empty())
}

/// Lists a folder by name in byte order.
pub(super) fn list(root: &Root, folder: &OwnedFd, is_root: bool) -> io::Result<Vec<DirectoryEntry>> {
    let mut found: Vec<(Vec<u8>, DirectoryEntry)> = Vec::new();
    for entry in Dir::new(open_listing(folder)?)? {
        let entry = entry?;
        let bytes = entry.file_name().to_bytes();
        if bytes == b"." || bytes == b".." || (is_root && bytes == OWN_FOLDER.as_bytes()) {
            continue;
        }
        let looked = name(root, folder, entry.file_name());
        let row = match (std::str::from_utf8(bytes), looked) {
            // Gone since the folder was read.
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            (Ok(name), Ok(metadata)) => DirectoryEntry::Named {
                name: name.to_owned(),
                metadata,
            },
            (Err(_), _) => DirectoryEntry::Unreadable {
                shown: String::from_utf8_lossy(bytes).into_owned(),
                reason: "the name is not UTF-8".to_owned(),
            },
            (Ok(name), Err(error)) => DirectoryEntry::Unreadable {
                shown: name.to_owned(),
                reason: error.to_string(),
            },
        };
        found.push((bytes.to_vec(), row));
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(found.into_iter().map(|(_, row)| row).collect())
}

/// The names in a folder of our own.
pub(super) fn names(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::new(open_listing(folder)?)? {
        let entry = entry?;
        if let Ok(name) = entry.file_name().to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a link.
pub(super) fn link_target(folder: &OwnedFd, name: &str) -> io::Result<LinkTarget> {
    let target = match rustix::fs::readlinkat(folder, name, Vec::new()) {
        Ok(target) => target,
        // It is no link.
        Err(Errno::INVAL) => return Err(io::Error::from(io::ErrorKind::InvalidInput)),
        Err(errno) => return Err(errno.into()),
    };
    let text = target
        .into_string()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    LinkTarget::new(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
