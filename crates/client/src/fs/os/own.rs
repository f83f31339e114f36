//! What is ours in a root: marker, lock, stage and trash in `.cairn/`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use cairn_core::name::NodeName;
use cairn_core::time::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::root::Root;
use super::{look, swap, walk};
use crate::fs::{DiskPath, OWN_FOLDER};

const STAGE: &str = "stage";
const TRASH: &str = "trash";
const MARKER: &str = "root";
const NEW_MARKER: &str = "root.new";
const LOCK: &str = "lock";
/// Bytes of a marker that are read: ids are far shorter.
const MARKER_BYTES: usize = 256;
/// How many things of one name the trash numbers before it falls back to a name that is never taken.
const TRASH_NAMES: u32 = 10_000;

pub(super) fn stage_path() -> DiskPath {
    DiskPath::root().join(OWN_FOLDER).join(STAGE)
}

pub(super) fn trash_path() -> DiskPath {
    DiskPath::root().join(OWN_FOLDER).join(TRASH)
}

fn open_own(root: &Root, below: Option<&str>) -> io::Result<OwnedFd> {
    let names: Vec<String> = [Some(OWN_FOLDER), below]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    walk::open_below(root, root.fd.as_fd(), &names)
}

/// Opens the stage.
pub(super) fn open_stage(root: &Root) -> io::Result<OwnedFd> {
    open_own(root, Some(STAGE))
}

/// Makes what was done in a folder durable.
pub(super) fn sync_folder(root: &Root, folder: &OwnedFd) -> io::Result<()> {
    let result = match look::open_listing(folder) {
        Ok(fd) => rustix::fs::fsync(fd),
        // A folder that may be written but not read: the whole filesystem is synced in its place.
        Err(Errno::ACCESS) => look::open_listing(open_own(root, None)?).and_then(rustix::fs::syncfs),
        Err(errno) => Err(errno),
    };
    match result {
        // Some network filesystems have no such thing for folders.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        result => Ok(result?),
    }
}

/// Checks that the root carries the marker.
pub(super) fn check_marker(root: &Root, id: &str) -> io::Result<()> {
    let own = open_own(root, None)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&own, MARKER, flags, Mode::empty())?;
    let mut buffer = [0; MARKER_BYTES];
    let len = rustix::io::pread(&fd, &mut buffer, 0)?;
    if buffer[..len].trim_ascii() == id.as_bytes() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Makes `.cairn/` and writes the marker.
pub(super) fn adopt(root: &Root, id: &str) -> io::Result<()> {
    make_folder(&root.fd, OWN_FOLDER)?;
    let own = open_own(root, None)?;
    make_folder(&own, STAGE)?;
    make_folder(&own, TRASH)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&own, NEW_MARKER, flags, Mode::from_raw_mode(0o600))?;
    let text = format!("{id}\n");
    if rustix::io::pwrite(&fd, text.as_bytes(), 0)? != text.len() {
        return Err(io::Error::from(io::ErrorKind::WriteZero));
    }
    rustix::fs::fsync(&fd)?;
    rustix::fs::renameat(&own, NEW_MARKER, &own, MARKER)?;
    sync_folder(root, &own)?;
    let top = walk::open_folder(root, &[])?;
    sync_folder(root, &top)
}

fn make_folder(parent: impl AsFd, name: &str) -> io::Result<()> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes the lock; `None` when another process has it.
pub(super) fn lock(root: &Root) -> io::Result<Option<OwnedFd>> {
    let own = open_own(root, None)?;
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&own, LOCK, flags, Mode::from_raw_mode(0o600))?;
    match rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(fd)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Moves a staged thing to the trash under `name`, numbered when that is taken.
pub(super) fn trash(root: &Root, stage: &OwnedFd, staged: &str, name: &str) -> io::Result<()> {
    let trash = open_own(root, Some(TRASH))?;
    let wanted = NodeName::new(name).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    for number in 1..=TRASH_NAMES {
        let free = if number == 1 {
            wanted.with_suffix("")
        } else {
            wanted.with_suffix(&format!(" ({number})"))
        };
        match swap::move_to_free(stage, staged, &trash, free.as_str()) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => {
                sync_folder(root, &trash)?;
                return sync_folder(root, stage);
            }
        }
    }
    Err(Errno::EXIST.into())
}

/// Removes what came to the trash before `before`. A rename sets the change time, so that tells when.
pub(super) fn empty_trash(root: &Root, before: Timestamp) -> io::Result<u64> {
    let trash = open_own(root, Some(TRASH))?;
    let mut removed = 0;
    let mut failure = None;
    for name in look::names(&trash)? {
        let came = look::name(root, &trash, name.as_str())?.fingerprint.ctime;
        let came_ms = came
            .seconds
            .saturating_mul(1_000)
            .saturating_add(i64::from(came.nanos / 1_000_000));
        if came_ms >= before.as_millis() {
            continue;
        }
        match remove_tree(&trash, &name) {
            Ok(()) => removed += 1,
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(removed),
    }
}

/// Removes a file, a link or a folder with all below it, through no link; nothing happens when it is not there.
pub(super) fn remove_tree(folder: &OwnedFd, name: &str) -> io::Result<()> {
    let Some(top) = unlink_or_open(folder, name.as_bytes())? else {
        return Ok(());
    };
    // The way down to the folder that is being emptied.
    let mut way = vec![(top, name.as_bytes().to_vec())];
    while let Some((current, _)) = way.last() {
        if let Some(below) = empty_or_enter(current)? {
            way.push(below);
        } else if let Some((_, done)) = way.pop() {
            let parent = way.last().map_or(folder, |(fd, _)| fd);
            rustix::fs::unlinkat(parent, done.as_slice(), AtFlags::REMOVEDIR)?;
        }
    }
    Ok(())
}

/// Removes what a folder holds until it meets a folder, which it opens.
fn empty_or_enter(folder: &OwnedFd) -> io::Result<Option<(OwnedFd, Vec<u8>)>> {
    for entry in Dir::new(look::open_listing(folder)?)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name == b"." || name == b".." {
            continue;
        }
        if let Some(fd) = unlink_or_open(folder, &name)? {
            return Ok(Some((fd, name)));
        }
    }
    Ok(None)
}

/// Removes what is no folder; opens what is one.
fn unlink_or_open(folder: &OwnedFd, name: &[u8]) -> io::Result<Option<OwnedFd>> {
    let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        rustix::fs::unlinkat(folder, name, AtFlags::empty())?;
        return Ok(None);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Some(rustix::fs::openat(folder, name, flags, Mode::empty())?))
}
