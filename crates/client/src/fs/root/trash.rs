//! What is kept for a while, and what is removed for good.

use std::ffi::{OsStr, OsString};
use std::io;

use cairn_core::name::NodeName;
use cairn_core::node::NodeKind;
use cairn_core::time::Timestamp;

use super::swap::Name;
use super::{At, look, own, swap};
use crate::fs::disk::Disk;
use crate::fs::{FileKind, Fingerprint};

/// How many things of one name the trash numbers. Of more each has a tail of its own: to try all numbers for each takes ever
/// longer.
const NUMBERED_NAMES: u32 = 8;

/// Moves a staged thing to the trash under `name`, numbered when that is taken.
pub(super) fn trash<D: Disk>(at: At<'_, D>, staged: Name<'_, D>, name: &str) -> io::Result<()> {
    let trash = own::open_trash(at)?;
    let wanted = NodeName::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    for number in 1..=NUMBERED_NAMES + 1 {
        let suffix = match number {
            1 => String::new(),
            2..=NUMBERED_NAMES => format!(" ({number})"),
            _ => format!(" ({})", tail(at.disk, staged)?),
        };
        let free = wanted.with_suffix(&suffix);
        match swap::move_to_own(at.disk, staged, (&trash, OsStr::new(free.as_str()))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                at.disk.sync_folder(&trash)?;
                return at.disk.sync_folder(staged.0);
            }
        }
    }
    Err(io::Error::from(io::ErrorKind::AlreadyExists))
}

/// What hardly anything else in the trash has in its name: it is made of the thing's state and of its staged name.
fn tail<D: Disk>(disk: &D, staged: Name<'_, D>) -> io::Result<String> {
    let Fingerprint { inode, ctime, .. } = disk.stat(staged.0, staged.1)?.metadata.fingerprint;
    let mut hasher = blake3::Hasher::new();
    hasher.update(staged.1.as_encoded_bytes());
    hasher.update(&inode.to_le_bytes());
    hasher.update(&ctime.seconds.to_le_bytes());
    hasher.update(&ctime.nanos.to_le_bytes());
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

/// Removes what came to the trash before `before`. A rename sets the change time, so that tells when.
pub(super) fn empty<D: Disk>(at: At<'_, D>, before: Timestamp) -> io::Result<u64> {
    let trash = own::open_trash(at)?;
    let mut removed = 0;
    let mut failure = None;
    for name in look::names(at.disk, &trash)? {
        let name = OsStr::new(&name);
        let came = at.disk.stat(&trash, name)?.metadata.fingerprint.ctime;
        let came_ms = came
            .seconds
            .saturating_mul(1_000)
            .saturating_add(i64::from(came.nanos / 1_000_000));
        if came_ms >= before.as_millis() {
            continue;
        }
        match remove_tree(at.disk, &trash, name) {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(removed),
    }
}

/// A folder that is being emptied.
struct Emptying<D: Disk> {
    folder: D::Folder,
    name: OsString,
    left: Vec<OsString>,
}

/// Removes a file, a link or a folder with all below it, through no link and no mount; nothing happens when it is not
/// there. Goes on after what cannot be removed, the first of which is the error then.
pub(super) fn remove_tree<D: Disk>(disk: &D, folder: &D::Folder, name: &OsStr) -> io::Result<()> {
    let Some(top) = unlink_or_open(disk, folder, name.to_owned())? else {
        return Ok(());
    };
    let mut failure = None;
    // The way down to the folder that is being emptied.
    let mut way = vec![top];
    while let Some(current) = way.last_mut() {
        let result = if let Some(name) = current.left.pop() {
            unlink_or_open(disk, &current.folder, name).map(|below| way.extend(below))
        } else if let Some(done) = way.pop() {
            let parent = way.last().map_or(folder, |above| &above.folder);
            disk.remove_folder(parent, &done.name)
        } else {
            Ok(())
        };
        if let Err(error) = result {
            failure.get_or_insert(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// Removes what is no folder; opens what is one.
fn unlink_or_open<D: Disk>(disk: &D, parent: &D::Folder, name: OsString) -> io::Result<Option<Emptying<D>>> {
    let kind = match disk.stat(parent, &name) {
        Ok(stat) => stat.metadata.kind,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if !matches!(kind, FileKind::Node(NodeKind::Directory) | FileKind::MountPoint) {
        disk.unlink(parent, &name)?;
        return Ok(None);
    }
    // A mount is refused here: what is on it is not ours to remove.
    let folder = disk.open_folder(parent, &[&name])?;
    Ok(Some(Emptying {
        left: disk.names(&folder)?,
        folder,
        name,
    }))
}
