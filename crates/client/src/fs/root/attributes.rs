//! Modes and times.

use std::ffi::OsStr;
use std::io;

use cairn_core::node::NodeKind;
use cairn_core::time::Mtime;

use super::swap::Name;
use crate::fs::FileKind;
use crate::fs::disk::{Access, Disk};

/// Bits that a synced file may have: no set-id bits.
const PERMISSIONS: u32 = 0o777;

/// Sets exec bit and modification time of an open file, and makes the whole file durable.
pub(super) fn set_open<D: Disk>(disk: &D, file: &D::File, executable: bool, mtime: Mtime) -> io::Result<()> {
    set_unsynced(disk, file, executable, mtime)?;
    disk.sync_file(file)
}

/// Sets exec bit and modification time of an open file.
pub(super) fn set_unsynced<D: Disk>(
    disk: &D,
    file: &D::File,
    executable: bool,
    mtime: Mtime,
) -> io::Result<()> {
    let mode = disk.stat_file(file)?.mode & PERMISSIONS;
    change_mode(disk, file, mode, with_exec(mode, executable))?;
    disk.set_mtime(file, mtime)
}

/// Sets exec bit and modification time of a regular file.
pub(super) fn set<D: Disk>(
    disk: &D,
    folder: &D::Folder,
    name: &OsStr,
    executable: bool,
    mtime: Mtime,
) -> io::Result<()> {
    let file = match disk.open_file(folder, name, Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            disk.open_file(folder, name, Access::Write)?
        }
        opened => opened?,
    };
    set_open(disk, &file, executable, mtime)
}

/// Gives a staged file the permissions of the file that it will replace, with its own exec bit: what was private stays
/// private.
pub(super) fn copy_permissions<D: Disk>(disk: &D, old: Name<'_, D>, staged: Name<'_, D>) -> io::Result<()> {
    let old = disk.stat(old.0, old.1)?;
    let new = disk.stat(staged.0, staged.1)?;
    let is_file = |kind| kind == FileKind::Node(NodeKind::File);
    if !is_file(old.metadata.kind) || !is_file(new.metadata.kind) {
        return Ok(());
    }
    let mode = with_exec(old.mode & PERMISSIONS, new.mode & 0o100 != 0);
    if mode == new.mode & PERMISSIONS {
        return Ok(());
    }
    let file = disk.open_file(staged.0, staged.1, Access::Write)?;
    change_mode(disk, &file, new.mode & PERMISSIONS, mode)?;
    disk.sync_file(&file)
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

fn change_mode<D: Disk>(disk: &D, file: &D::File, from: u32, to: u32) -> io::Result<()> {
    if from == to {
        return Ok(());
    }
    disk.set_mode(file, to)
}
