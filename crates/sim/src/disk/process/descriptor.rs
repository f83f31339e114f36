//! What a process has open.

use std::io;
use std::sync::Arc;

use cairn_client::fs::disk::Access;

use super::life::Life;
use crate::disk::SimDisk;
use crate::disk::inode::{Inode, Uid};
use crate::disk::state::{State, gone};

/// The device number of the disk below the mount point; a mounted volume's is above.
const BARE_DEVICE: u64 = 1;

/// Stays with its inode whatever becomes of names; ends with its process and with the mount.
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) uid: Uid,
    mount: u64,
    disk: SimDisk,
    life: Arc<Life>,
}

impl Descriptor {
    pub(super) fn new(disk: &SimDisk, life: &Arc<Life>, state: &mut State, uid: Uid) -> Self {
        state.open(uid);
        Self {
            uid,
            mount: state.mount_count,
            disk: disk.clone(),
            life: Arc::clone(life),
        }
    }

    pub(super) fn check(&self, state: &State, life: &Arc<Life>) -> io::Result<()> {
        if self.mount == state.mount_count && Arc::ptr_eq(&self.life, life) {
            Ok(())
        } else {
            Err(gone())
        }
    }

    /// Device, mount and inode.
    pub(super) fn identity(&self, state: &State) -> (u64, u64, u64) {
        let number = state
            .inodes
            .get(&self.uid)
            .map_or(0, |inode: &Inode| inode.number);
        if self.uid == state.mount_point {
            (BARE_DEVICE, BARE_DEVICE, number)
        } else {
            (BARE_DEVICE + self.mount, BARE_DEVICE + self.mount, number)
        }
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut state = self.disk.lock();
        if state.boot == self.life.boot {
            state.close(self.uid);
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub struct SimFolder(pub(super) Descriptor);

/// An open file.
#[derive(Debug)]
pub struct SimFile {
    pub(super) open: Descriptor,
    pub(super) access: Access,
}

impl SimFile {
    pub(super) fn check_readable(&self) -> io::Result<()> {
        match self.access {
            Access::Read | Access::Create => Ok(()),
            Access::Write | Access::CreateEmpty => Err(not_open_for_this()),
        }
    }

    pub(super) fn check_writable(&self) -> io::Result<()> {
        match self.access {
            Access::Write | Access::Create | Access::CreateEmpty => Ok(()),
            Access::Read => Err(not_open_for_this()),
        }
    }
}

fn not_open_for_this() -> io::Error {
    // EBADF, the same on every Unix.
    io::Error::from_raw_os_error(9)
}
