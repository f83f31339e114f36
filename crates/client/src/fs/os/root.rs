//! The root's descriptor and what is known of its filesystem.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};

/// `f_type` of filesystems that keep less than the others; from Linux's `magic.h` and the drivers' sources.
const FAT: u64 = 0x4d44;
const EXFAT: u64 = 0x2011_bab0;
const HFS_PLUS: u64 = 0x482b;
const NTFS3: u64 = 0x7366_746e;
const CIFS: u64 = 0xff53_4d42;
const SMB2: u64 = 0xfe53_4d42;
const NFS: u64 = 0x6969;
const FUSE: u64 = 0x6573_5546;

/// An open root.
#[derive(Debug)]
pub(super) struct Root {
    pub(super) fd: OwnedFd,
    pub(super) device: (u32, u32),
    /// The kernel's number of the mount, where it says.
    pub(super) mount: Option<u64>,
    inode: u64,
    pub(super) timestamp_step_ns: u64,
    pub(super) keeps_exec_bit: bool,
    /// Set once the kernel has said that it has no `openat2`.
    pub(super) lacks_openat2: AtomicBool,
}

impl Root {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let stat = rustix::fs::statx(
            &fd,
            c"",
            AtFlags::EMPTY_PATH,
            StatxFlags::BASIC_STATS | StatxFlags::MNT_ID,
        )?;
        let kind = rustix::fs::fstatfs(&fd).map_or(0, |stat| stat.f_type as u64) & 0xffff_ffff;
        Ok(Self {
            device: (stat.stx_dev_major, stat.stx_dev_minor),
            mount: mount_of(&stat),
            inode: stat.stx_ino,
            timestamp_step_ns: match kind {
                FAT | EXFAT => 2_000_000_000,
                HFS_PLUS | NFS | FUSE => 1_000_000_000,
                _ => 10_000_000,
            },
            keeps_exec_bit: !matches!(kind, FAT | EXFAT | NTFS3 | CIFS | SMB2),
            lacks_openat2: AtomicBool::new(false),
            fd,
        })
    }

    pub(super) const fn inode(&self) -> u64 {
        self.inode
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.device == other.device && self.mount == other.mount && self.inode == other.inode
    }
}

pub(super) fn mount_of(stat: &rustix::fs::Statx) -> Option<u64> {
    let has_mount = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    has_mount.then_some(stat.stx_mnt_id)
}
