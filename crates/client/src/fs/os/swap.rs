//! Renames that replace nothing, and swaps.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;

use cairn_core::name::NodeName;
use rustix::fs::{AtFlags, FileType, RenameFlags};
use rustix::io::Errno;

use super::root::Root;
use super::{look, own, walk};
use crate::fs::DiskPath;

/// Whether the filesystem does not know a kind of rename.
const fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
}

/// Moves to a name that nothing has.
pub(super) fn move_to_free(from: &OwnedFd, from_name: &str, to: &OwnedFd, to_name: &str) -> io::Result<()> {
    match rustix::fs::renameat_with(from, from_name, to, to_name, RenameFlags::NOREPLACE) {
        Err(errno) if is_unknown(errno) => move_by_link(from, from_name, to, to_name),
        result => Ok(result?),
    }
}

/// The same for filesystems without `RENAME_NOREPLACE`: a link never replaces anything.
fn move_by_link(from: &OwnedFd, from_name: &str, to: &OwnedFd, to_name: &str) -> io::Result<()> {
    let kind =
        FileType::from_raw_mode(rustix::fs::statat(from, from_name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode);
    if kind != FileType::Directory {
        match rustix::fs::linkat(from, from_name, to, to_name, AtFlags::empty()) {
            Ok(()) => return Ok(rustix::fs::unlinkat(from, from_name, AtFlags::empty())?),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    // Neither is to be had: look, then rename. A folder can replace only an empty folder.
    match rustix::fs::statat(to, to_name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Err(Errno::EXIST.into()),
        Err(Errno::NOENT) => Ok(rustix::fs::renameat(from, from_name, to, to_name)?),
        Err(errno) => Err(errno.into()),
    }
}

/// Swaps a staged file with what is at a name.
pub(super) fn exchange(stage: &OwnedFd, staged: &str, folder: &OwnedFd, name: &str) -> io::Result<()> {
    match rustix::fs::renameat_with(stage, staged, folder, name, RenameFlags::EXCHANGE) {
        Err(errno) if is_unknown(errno) => exchange_by_link(stage, staged, folder, name),
        result => Ok(result?),
    }
}

/// The same for filesystems without `RENAME_EXCHANGE`. What is displaced has two names until the last step, or is moved
/// where there are no links: it always has at least one.
fn exchange_by_link(stage: &OwnedFd, staged: &str, folder: &OwnedFd, name: &str) -> io::Result<()> {
    let aside = format!("{staged}.displaced");
    match rustix::fs::linkat(folder, name, stage, aside.as_str(), AtFlags::empty()) {
        Ok(()) => rustix::fs::renameat(stage, staged, folder, name)?,
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            move_to_free(folder, name, stage, &aside)?;
            move_to_free(stage, staged, folder, name)?;
        }
        Err(errno) => return Err(errno.into()),
    }
    move_to_free(stage, &aside, stage, staged)
}

/// Moves within the root to a name that nothing has, or that is the thing's own in another case.
pub(super) fn rename(from: &OwnedFd, from_name: &str, to: &OwnedFd, to_name: &str) -> io::Result<()> {
    match move_to_free(from, from_name, to, to_name) {
        Err(error)
            if error.kind() == io::ErrorKind::AlreadyExists && is_own_name(from, from_name, to, to_name)? =>
        {
            Ok(rustix::fs::renameat(from, from_name, to, to_name)?)
        }
        result => result,
    }
}

/// Whether the new name finds the same thing because the filesystem folds names: then it is not listed as such. Two
/// hard links are both listed.
fn is_own_name(from: &OwnedFd, from_name: &str, to: &OwnedFd, to_name: &str) -> io::Result<bool> {
    let key = |name: &str| NodeName::new(name).map(|name| name.key()).ok();
    if from_name == to_name || key(from_name) != key(to_name) {
        return Ok(false);
    }
    let old = rustix::fs::statat(from, from_name, AtFlags::SYMLINK_NOFOLLOW)?;
    let new = rustix::fs::statat(to, to_name, AtFlags::SYMLINK_NOFOLLOW)?;
    let is_one = (old.st_dev, old.st_ino) == (new.st_dev, new.st_ino);
    Ok(is_one && !look::names(to)?.iter().any(|name| name == to_name))
}

/// Places many staged files; each folder is made durable once.
pub(super) fn place_all(root: &Root, batch: &[(String, DiskPath)]) -> Vec<io::Result<()>> {
    let stage = match own::open_stage(root) {
        Ok(stage) => stage,
        Err(error) => {
            let kind = error.kind();
            return batch.iter().map(|_| Err(io::Error::from(kind))).collect();
        }
    };
    let mut folders: HashMap<DiskPath, OwnedFd> = HashMap::new();
    let mut results = Vec::with_capacity(batch.len());
    for (staged, path) in batch {
        results.push(place_unsynced(root, &stage, &mut folders, staged, path));
    }
    for (folder, fd) in &folders {
        if let Err(error) = own::sync_folder(root, fd) {
            spoil(&mut results, batch, error.kind(), |path| {
                path.parent().as_ref() == Some(folder)
            });
        }
    }
    if let Err(error) = own::sync_folder(root, &stage) {
        spoil(&mut results, batch, error.kind(), |_| true);
    }
    results
}

fn place_unsynced(
    root: &Root,
    stage: &OwnedFd,
    folders: &mut HashMap<DiskPath, OwnedFd>,
    staged: &str,
    path: &DiskPath,
) -> io::Result<()> {
    walk::check_name(staged)?;
    let parent = path
        .parent()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let name = path
        .name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    if let Some(folder) = folders.get(&parent) {
        walk::check_name(name)?;
        return move_to_free(stage, staged, folder, name);
    }
    let (folder, name) = walk::open_parent(root, path)?;
    let result = move_to_free(stage, staged, &folder, name);
    folders.insert(parent, folder);
    result
}

/// What was placed in a folder that could not be made durable has failed.
fn spoil(
    results: &mut [io::Result<()>],
    batch: &[(String, DiskPath)],
    kind: io::ErrorKind,
    is_concerned: impl Fn(&DiskPath) -> bool,
) {
    for (result, (_, path)) in results.iter_mut().zip(batch) {
        if result.is_ok() && is_concerned(path) {
            *result = Err(io::Error::from(kind));
        }
    }
}
