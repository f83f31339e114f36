//! What is known of a root's filesystem.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

use super::together;
use crate::fs::disk::RootTraits;

/// `f_type` of filesystems that keep less than the others; from Linux's `magic.h` and the drivers' sources.
const FAT: u64 = 0x4d44;
const EXFAT: u64 = 0x2011_bab0;
const HFS_PLUS: u64 = 0x482b;
const NTFS3: u64 = 0x7366_746e;
const CIFS: u64 = 0xff53_4d42;
const SMB2: u64 = 0xfe53_4d42;
const NFS: u64 = 0x6969;
const FUSE: u64 = 0x6573_5546;
/// Asks for the number of a mount that is not given to another one; from Linux's `stat.h`.
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
/// `f_type` of filesystems that write to disks of this machine themselves, or to memory.
const EXT4: u64 = 0xef53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683e;
const F2FS: u64 = 0xf2f5_2010;
const TMPFS: u64 = 0x0102_1994;

/// An open root.
#[derive(Debug)]
pub(super) struct Root {
    fd: OwnedFd,
    pub(super) device: (u32, u32),
    /// The kernel's number of the mount, where it says.
    pub(super) mount: Option<u64>,
    pub(super) inode: u64,
    timestamp_step_ns: u64,
    keeps_exec_bit: bool,
    /// Whether the filesystem is one that writes to disks of this machine itself, or to memory.
    is_own_disk: bool,
    /// Whether a sync of the whole filesystem makes files as durable as their own syncs do. Where files are served by somebody
    /// else, who serves them is told of nothing.
    pub(super) is_synced_whole: bool,
}

impl Root {
    /// Opens a root, and once more as the base of calls.
    pub(super) fn open(path: &Path) -> io::Result<(OwnedFd, Self)> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let stat = rustix::fs::statx(
            &fd,
            c"",
            AtFlags::EMPTY_PATH,
            StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
        )?;
        let kind = rustix::fs::fstatfs(&fd).map_or(0, |stat| stat.f_type as u64) & 0xffff_ffff;
        let is_own_disk = matches!(kind, EXT4 | XFS | BTRFS | F2FS | TMPFS);
        let root = Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            mount: mount_of(&stat),
            inode: stat.stx_ino,
            timestamp_step_ns: match kind {
                FAT | EXFAT => 2_000_000_000,
                HFS_PLUS | NFS | FUSE => 1_000_000_000,
                _ => 10_000_000,
            },
            is_own_disk,
            is_synced_whole: is_own_disk && together::is_told_of_errors(),
            keeps_exec_bit: !matches!(kind, FAT | EXFAT | NTFS3 | CIFS | SMB2),
            fd: fd.try_clone()?,
        };
        Ok((fd, root))
    }

    /// A number that no later mount gets before the machine is started again; only of disks of this machine, and where the
    /// kernel gives one: Linux 6.8 and later.
    pub(super) fn lasting_mount(&self) -> Option<u64> {
        let flags = StatxFlags::from_bits_retain(STATX_MNT_ID_UNIQUE);
        let stat = rustix::fs::statx(&self.fd, c"", AtFlags::EMPTY_PATH, flags).ok()?;
        let is_lasting = stat.stx_mask & STATX_MNT_ID_UNIQUE != 0;
        (is_lasting && self.is_own_disk).then_some(stat.stx_mnt_id)
    }

    pub(super) fn traits(&self) -> RootTraits {
        let (major, minor) = self.device;
        RootTraits {
            identity: (
                u64::from(major) << 32 | u64::from(minor),
                // Mounts are numbered from one.
                self.mount.unwrap_or(0),
                self.inode,
            ),
            timestamp_step_ns: self.timestamp_step_ns,
            keeps_exec_bit: self.keeps_exec_bit,
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

pub(super) fn mount_of(stat: &rustix::fs::Statx) -> Option<u64> {
    let has_mount = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    has_mount.then_some(stat.stx_mnt_id)
}
