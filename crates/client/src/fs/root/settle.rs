//! After a crash between the calls of one verb.

use std::ffi::OsStr;
use std::io;

use super::swap::{self, Name};
use super::{At, own, walk};
use crate::fs::disk::{Disk, RenameMode};
use crate::fs::{DiskPath, Fingerprint};

/// Ends an exchange that was made by moves, takes the staged name from what has both names, and makes the rest durable.
/// Returns the staged name of what was displaced, when its place is another's and the staged file is still staged.
pub(super) fn settle<D: Disk>(at: At<'_, D>, staged: &OsStr, path: &DiskPath) -> io::Result<Option<String>> {
    let disk = at.disk;
    let stage = own::open_stage(at)?;
    let staged = (&stage, staged);
    let aside = swap::aside(staged.1);
    let aside = (&stage, aside.as_os_str());
    let (folder, name) = match walk::open_parent(at, path) {
        Ok(found) => found,
        // The folder is gone: only the stage is left to look at.
        Err(error) if is_gone(&error) => {
            let apart = take_staged_name(disk, aside, staged)?;
            disk.sync_folder(&stage)?;
            return Ok(apart);
        }
        Err(error) => return Err(error),
    };
    let here = (&folder, name);
    if let (Some(found), Some(other)) = (look(disk, here)?, look(disk, staged)?)
        && found.is_same_file(&other)
    {
        drop_second_name(disk, here, staged)?;
    }
    let apart = match (look(disk, aside)?, look(disk, here)?) {
        (None, _) => None,
        // The machine lost power, and the folder has forgotten that it was moved away.
        (Some(displaced), Some(found)) if found.is_same_file(&displaced) => {
            drop_second_name(disk, here, aside)?;
            None
        }
        // Moved away, no more; or what was placed then was forgotten with the power.
        (Some(_), None) => {
            swap::move_to_free(disk, aside, here)?;
            None
        }
        (Some(_), Some(_)) => take_staged_name(disk, aside, staged)?,
    };
    disk.sync_folder(&folder)?;
    disk.sync_folder(&stage)?;
    Ok(apart)
}

/// Gives what was displaced the staged name when that is free; else says which one it has.
fn take_staged_name<D: Disk>(
    disk: &D,
    aside: Name<'_, D>,
    staged: Name<'_, D>,
) -> io::Result<Option<String>> {
    if look(disk, aside)?.is_none() {
        return Ok(None);
    }
    if look(disk, staged)?.is_some() {
        return Ok(aside.1.to_str().map(str::to_owned));
    }
    disk.rename(aside.0, aside.1, staged.0, staged.1, RenameMode::Replace)?;
    Ok(None)
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
