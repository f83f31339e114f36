//! After a crash between the calls of one verb.

use std::ffi::OsStr;
use std::io;

use super::swap::{self, Name};
use super::{At, own, walk};
use crate::fs::disk::{Disk, RenameMode};
use crate::fs::{DiskPath, Fingerprint};

/// Ends an exchange that was made by links or moves, takes the staged name from what has both names, and makes the rest
/// durable.
pub(super) fn settle<D: Disk>(at: At<'_, D>, staged: &OsStr, path: &DiskPath) -> io::Result<()> {
    let disk = at.disk;
    let stage = own::open_stage(at)?;
    let staged = (&stage, staged);
    let aside = swap::aside(staged.1);
    let aside = (&stage, aside.as_os_str());
    let (folder, name) = match walk::open_parent(at, path) {
        Ok(found) => found,
        // The folder is gone: only the stage is left to look at.
        Err(error) if is_gone(&error) => {
            finish_exchange(disk, aside, staged)?;
            return disk.sync_folder(&stage);
        }
        Err(error) => return Err(error),
    };
    let here = (&folder, name);
    if let Some(displaced) = look(disk, aside)? {
        match look(disk, here)? {
            // It was linked aside, no more.
            Some(found) if found.is_same_file(&displaced) => drop_second_name(disk, here, aside)?,
            // It was moved aside, no more.
            None if look(disk, staged)?.is_some() => swap::move_to_free(disk, aside, here)?,
            _ => finish_exchange(disk, aside, staged)?,
        }
    }
    if let (Some(found), Some(other)) = (look(disk, here)?, look(disk, staged)?)
        && found.is_same_file(&other)
    {
        drop_second_name(disk, here, staged)?;
    }
    disk.sync_folder(&folder)?;
    disk.sync_folder(&stage)
}

/// Gives what was displaced the staged name when that is free; else it stays for the trash.
fn finish_exchange<D: Disk>(disk: &D, aside: Name<'_, D>, staged: Name<'_, D>) -> io::Result<()> {
    if look(disk, staged)?.is_some() || look(disk, aside)?.is_none() {
        return Ok(());
    }
    disk.rename(aside.0, aside.1, staged.0, staged.1, RenameMode::Replace)
}

/// Removes one of two names, after the other is durable.
fn drop_second_name<D: Disk>(disk: &D, kept: Name<'_, D>, dropped: Name<'_, D>) -> io::Result<()> {
    disk.sync_folder(kept.0)?;
    disk.unlink(dropped.0, dropped.1)
}

fn look<D: Disk>(disk: &D, name: Name<'_, D>) -> io::Result<Option<Fingerprint>> {
    match disk.stat(name.0, name.1) {
        Ok(stat) => Ok(Some(stat.metadata.fingerprint)),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
