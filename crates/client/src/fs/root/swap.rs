//! Renames that replace nothing, and swaps.

use std::ffi::{OsStr, OsString};
use std::io;

use cairn_core::name::NodeName;
use cairn_core::node::NodeKind;

use super::look;
use crate::fs::FileKind;
use crate::fs::disk::{Disk, RenameMode};

/// A folder and a name in it.
pub(super) type Name<'a, D> = (&'a <D as Disk>::Folder, &'a OsStr);

fn is_unsupported(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

fn rename_as<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>, mode: RenameMode) -> io::Result<()> {
    disk.rename(from.0, from.1, to.0, to.1, mode)
}

/// Moves to a name that nothing has.
pub(super) fn move_to_free<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<()> {
    match rename_as(disk, from, to, RenameMode::KeepExisting) {
        Err(error) if is_unsupported(&error) => move_by_link(disk, from, to),
        result => result,
    }
}

/// The same for filesystems without such a rename: a link never replaces anything. To a crash the two calls are not one,
/// so the new name is durable before the old one goes.
fn move_by_link<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<()> {
    let kind = disk.stat(from.0, from.1)?.metadata.kind;
    if !matches!(kind, FileKind::Node(NodeKind::Directory) | FileKind::MountPoint) {
        match disk.link(from.0, from.1, to.0, to.1) {
            Ok(()) => {
                if let Err(error) = disk.sync_folder(to.0) {
                    // The other one would be taken for a copy that somebody made.
                    return drop_name(disk, to, from).and(Err(error));
                }
                return drop_name(disk, from, to);
            }
            Err(error) if is_unsupported(&error) => {}
            Err(error) => return Err(error),
        }
    }
    // Neither is to be had.
    rename_if_free(disk, from, to)
}

/// Removes one of two names, unless it is another file's by now: somebody may have renamed one over it.
fn drop_name<D: Disk>(disk: &D, dropped: Name<'_, D>, kept: Name<'_, D>) -> io::Result<()> {
    let file = disk.stat(kept.0, kept.1)?.metadata.fingerprint;
    let found = disk.stat(dropped.0, dropped.1)?.metadata.fingerprint;
    if found.is_same_file(&file) {
        return disk.unlink(dropped.0, dropped.1);
    }
    Ok(())
}

/// Looks, then renames. A folder can replace only an empty folder.
fn rename_if_free<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<()> {
    match disk.stat(to.0, to.1) {
        Ok(_) => Err(io::Error::from(io::ErrorKind::AlreadyExists)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            rename_as(disk, from, to, RenameMode::Replace)
        }
        Err(error) => Err(error),
    }
}

/// Moves to a free name in a folder of ours, where nobody else makes names. Not by a link: a crash between its two calls
/// leaves two names, and whoever renames something over the old one then would lose it to the second call.
pub(super) fn move_to_own<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<()> {
    match rename_as(disk, from, to, RenameMode::KeepExisting) {
        Err(error) if is_unsupported(&error) => rename_if_free(disk, from, to),
        result => result,
    }
}

/// Swaps a staged file with what is at a name.
pub(super) fn exchange<D: Disk>(disk: &D, staged: Name<'_, D>, at: Name<'_, D>) -> io::Result<()> {
    match rename_as(disk, staged, at, RenameMode::Exchange) {
        Err(error) if is_unsupported(&error) => exchange_by_moves(disk, staged, at),
        result => result,
    }
}

/// The same for filesystems without swaps. Nothing is ever replaced at the path: what somebody renames to it in that moment
/// may have no other name. So it is free for a moment. What was displaced is durable before it is filled again, and what
/// fills it before the displaced file has the staged name: only so it is known from the names alone how far it came. What
/// a crash leaves of this is ended by [`settle`](super::settle).
fn exchange_by_moves<D: Disk>(disk: &D, staged: Name<'_, D>, at: Name<'_, D>) -> io::Result<()> {
    let stage = staged.0;
    let aside = aside(staged.1);
    let aside = (stage, aside.as_os_str());
    move_to_own(disk, at, aside)?;
    disk.sync_folder(stage)?;
    move_to_free(disk, staged, at)?;
    disk.sync_folder(at.0)?;
    // The staged name is free now, and nobody else makes names in the stage.
    rename_as(disk, aside, staged, RenameMode::Replace)
}

/// The name that a displaced file has in the stage while the staged one is still there.
pub(super) fn aside(staged: &OsStr) -> OsString {
    let mut aside = OsString::from("displaced-");
    aside.push(staged);
    aside
}

/// Moves within the root to a name that nothing has, or that is the thing's own in another case.
pub(super) fn rename<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<()> {
    match move_to_free(disk, from, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_own_name(disk, from, to)? => {
            rename_as(disk, from, to, RenameMode::Replace)
        }
        result => result,
    }
}

/// Whether the new name finds the same thing because the filesystem folds names: then it is not listed as such. Two
/// hard links are both listed.
fn is_own_name<D: Disk>(disk: &D, from: Name<'_, D>, to: Name<'_, D>) -> io::Result<bool> {
    let key = |name: &OsStr| {
        let name = NodeName::new(name.to_str()?).ok()?;
        Some(name.key())
    };
    if from.1 == to.1 || key(from.1) != key(to.1) {
        return Ok(false);
    }
    let old = disk.stat(from.0, from.1)?.metadata.fingerprint;
    let new = disk.stat(to.0, to.1)?.metadata.fingerprint;
    Ok(old.is_same_file(&new) && !look::names(disk, to.0)?.iter().any(|name| to.1 == name.as_str()))
}
