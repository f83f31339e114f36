//! What is ours in a root: marker, stage and trash in `.cairn/`.

use std::ffi::OsStr;
use std::io;

use super::{At, trash, walk};
use crate::fs::disk::{Access, Disk, RenameMode};
use crate::fs::{DiskPath, OWN_FOLDER};

const STAGE: &str = "stage";
const TRASH: &str = "trash";
const MARKER: &str = "root";
const NEW_MARKER: &str = "root.new";
/// Permissions of our folders: what is staged has the permissions that it shall have, so the stage is closed to others.
const PRIVATE: u32 = 0o700;
/// Bytes of a marker that are read: ids are far shorter.
const MARKER_BYTES: usize = 256;

pub(super) fn stage_path() -> DiskPath {
    DiskPath::root().join(OWN_FOLDER).join(STAGE)
}

pub(super) fn trash_path() -> DiskPath {
    DiskPath::root().join(OWN_FOLDER).join(TRASH)
}

/// Opens the stage.
pub(super) fn open_stage<D: Disk>(at: At<'_, D>) -> io::Result<D::Folder> {
    open_or_make(at, STAGE)
}

/// Opens the trash.
pub(super) fn open_trash<D: Disk>(at: At<'_, D>) -> io::Result<D::Folder> {
    open_or_make(at, TRASH)
}

/// Opens a folder of ours. Somebody may have removed it to gain space; where not even `.cairn/` is there the root is not, and
/// nothing is made.
fn open_or_make<D: Disk>(at: At<'_, D>, name: &str) -> io::Result<D::Folder> {
    match at.disk.open_folder(at.root, &[OWN_FOLDER, name]) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let own = at.disk.open_folder(at.root, &[OWN_FOLDER])?;
    make_folder(at.disk, &own, name)?;
    at.disk.sync_folder(&own)?;
    at.disk.open_folder(&own, &[name])
}

/// Checks that the root carries the marker.
pub(super) fn check_marker<D: Disk>(at: At<'_, D>, id: &str) -> io::Result<()> {
    let own = at.disk.open_folder(at.root, &[OWN_FOLDER])?;
    let file = at.disk.open_file(&own, OsStr::new(MARKER), Access::Read)?;
    let mut buffer = [0; MARKER_BYTES];
    let len = at.disk.read_at(&file, 0, &mut buffer)?;
    if buffer[..len].trim_ascii() == id.as_bytes() {
        Ok(())
    } else {
        Err(io::Error::from(io::ErrorKind::NotFound))
    }
}

/// Makes `.cairn/` and writes the marker.
pub(super) fn adopt<D: Disk>(at: At<'_, D>, id: &str) -> io::Result<()> {
    let disk = at.disk;
    make_folder(disk, at.root, OWN_FOLDER)?;
    let own = disk.open_folder(at.root, &[OWN_FOLDER])?;
    make_folder(disk, &own, STAGE)?;
    make_folder(disk, &own, TRASH)?;
    let fresh = OsStr::new(NEW_MARKER);
    let file = disk.open_file(&own, fresh, Access::CreateEmpty)?;
    disk.write_at(&file, 0, format!("{id}\n").as_bytes())?;
    disk.sync_file(&file)?;
    disk.rename(&own, fresh, &own, OsStr::new(MARKER), RenameMode::Replace)?;
    disk.sync_folder(&own)?;
    disk.sync_folder(&walk::open_folder(at, &[])?)
}

/// Removes everything from the root but what is ours. Goes on after what cannot be removed, which is the error then.
pub(super) fn clear<D: Disk>(at: At<'_, D>) -> io::Result<()> {
    let root = walk::open_folder(at, &[])?;
    let cleared = remove_all(at.disk, &root, OWN_FOLDER);
    at.disk.sync_folder(&root)?;
    cleared
}

/// Removes what is ours, the marker last: until then a crash leaves a root that is known.
pub(super) fn disown<D: Disk>(at: At<'_, D>) -> io::Result<()> {
    let disk = at.disk;
    let root = walk::open_folder(at, &[])?;
    let own = disk.open_folder(at.root, &[OWN_FOLDER])?;
    remove_all(disk, &own, MARKER)?;
    disk.sync_folder(&own)?;
    disk.unlink(&own, OsStr::new(MARKER))?;
    disk.remove_folder(&root, OsStr::new(OWN_FOLDER))?;
    disk.sync_folder(&root)
}

fn remove_all<D: Disk>(disk: &D, folder: &D::Folder, but: &str) -> io::Result<()> {
    let mut failure = None;
    for name in disk.names(folder)? {
        if name != but
            && let Err(error) = trash::remove_tree(disk, folder, &name)
        {
            failure = Some(error);
        }
    }
    failure.map_or(Ok(()), Err)
}

fn make_folder<D: Disk>(disk: &D, parent: &D::Folder, name: &str) -> io::Result<()> {
    match disk.make_folder(parent, OsStr::new(name), PRIVATE) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
