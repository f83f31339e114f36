//! From the root down to a folder.

use std::ffi::OsStr;
use std::io;

use super::At;
use crate::fs::disk::Disk;
use crate::fs::{DiskPath, OWN_FOLDER};

/// Refuses what is no single name.
pub(super) fn check_name(name: &str) -> io::Result<()> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(())
}

/// The folder's names and the name there, checked. The root has no name.
pub(super) fn split(path: &DiskPath) -> io::Result<(&[String], &OsStr)> {
    let (name, above) = path
        .names()
        .split_last()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    check_name(name)?;
    refuse_own(path.names())?;
    Ok((above, OsStr::new(name)))
}

/// Opens the folder that holds `path` and returns the name there.
pub(super) fn open_parent<'path, D: Disk>(
    at: At<'_, D>,
    path: &'path DiskPath,
) -> io::Result<(D::Folder, &'path OsStr)> {
    let (above, name) = split(path)?;
    Ok((open_folder(at, above)?, name))
}

/// Opens a folder for use as the base of other calls, not for reading.
pub(super) fn open_folder<D: Disk>(at: At<'_, D>, names: &[String]) -> io::Result<D::Folder> {
    refuse_own(names)?;
    names.iter().try_for_each(|name| check_name(name))?;
    at.disk.open_folder(at.root, names)
}

fn refuse_own(names: &[String]) -> io::Result<()> {
    if names.first().is_some_and(|name| name == OWN_FOLDER) {
        return Err(io::Error::from(io::ErrorKind::PermissionDenied));
    }
    Ok(())
}
