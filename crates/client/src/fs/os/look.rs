//! Looking at names without opening what they name.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use cairn_core::node::NodeKind;
use cairn_core::time::Mtime;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Statx, StatxAttributes, StatxFlags, StatxTimestamp};
use rustix::path::Arg;

use super::root::{Root, mount_of};
use crate::fs::disk::Stat;
use crate::fs::{FileKind, Fingerprint, Metadata};

/// Looks at a name in a folder.
pub(super) fn name(root: &Root, folder: impl AsFd, name: impl Arg) -> io::Result<Stat> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statx(folder, name, flags, wanted())?;
    Ok(describe(root, &stat))
}

/// Looks at an open file or folder.
pub(super) fn open_file(root: &Root, fd: impl AsFd) -> io::Result<Stat> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, wanted())?;
    Ok(describe(root, &stat))
}

const fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS
        .union(StatxFlags::BTIME)
        .union(StatxFlags::MNT_ID)
}

fn describe(root: &Root, stat: &Statx) -> Stat {
    let kind = FileType::from_raw_mode(stat.stx_mode.into());
    let has_birth = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::BTIME);
    let fingerprint = Fingerprint {
        inode: stat.stx_ino,
        born_ns: has_birth
            .then(|| i128::from(stat.stx_btime.tv_sec) * 1_000_000_000 + i128::from(stat.stx_btime.tv_nsec)),
        size: if kind == FileType::RegularFile {
            stat.stx_size
        } else {
            0
        },
        mtime: instant(stat.stx_mtime),
        ctime: instant(stat.stx_ctime),
    };
    let kind = match kind {
        _ if is_foreign(root, stat, kind) => FileKind::MountPoint,
        FileType::RegularFile => FileKind::Node(NodeKind::File),
        FileType::Directory => FileKind::Node(NodeKind::Directory),
        FileType::Symlink => FileKind::Node(NodeKind::Symlink),
        _ => FileKind::Special,
    };
    let mode = u32::from(stat.stx_mode) & 0o7777;
    Stat {
        metadata: Metadata {
            kind,
            fingerprint,
            executable: mode & 0o100 != 0,
        },
        mode,
    }
}

/// Whether it belongs to another mount than the root. Files are not told by their device: on an overlay they keep the
/// device of the layer that they come from.
fn is_foreign(root: &Root, stat: &Statx, kind: FileType) -> bool {
    let is_other_mount = mount_of(stat)
        .zip(root.mount)
        .is_some_and(|(mount, own)| mount != own);
    let is_mount_root =
        stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) && stat.stx_ino != root.inode;
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

/// The names in a folder.
pub(super) fn names(folder: impl AsFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::new(open_listing(folder)?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}
