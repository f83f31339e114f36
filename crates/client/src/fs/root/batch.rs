//! Many staged files placed at once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;

use super::{At, own, swap, walk};
use crate::fs::DiskPath;
use crate::fs::disk::Disk;

/// Places many staged files; each folder is made durable once.
pub(super) fn place_all<D: Disk>(at: At<'_, D>, batch: &[(String, DiskPath)]) -> Vec<io::Result<()>> {
    let stage = match own::open_stage(at) {
        Ok(stage) => stage,
        Err(error) => {
            let kind = error.kind();
            return batch.iter().map(|_| Err(io::Error::from(kind))).collect();
        }
    };
    // In the order of their paths: the same batch makes the same calls.
    let mut folders: BTreeMap<DiskPath, D::Folder> = BTreeMap::new();
    let mut results = Vec::with_capacity(batch.len());
    for (staged, path) in batch {
        results.push(place_unsynced(at, &stage, &mut folders, staged, path));
    }
    let mut are_durable = true;
    let open: Vec<&D::Folder> = folders.values().collect();
    for (folder, synced) in folders.keys().zip(at.disk.sync_folders(&open)) {
        if let Err(error) = synced {
            are_durable = false;
            spoil(&mut results, batch, error.kind(), |path| {
                path.parent().as_ref() == Some(folder)
            });
        }
    }
    // What failed to become durable in its folder keeps the staged name that a crash may still find.
    if are_durable && let Err(error) = at.disk.sync_folder(&stage) {
        spoil(&mut results, batch, error.kind(), |_| true);
    }
    results
}

fn place_unsynced<D: Disk>(
    at: At<'_, D>,
    stage: &D::Folder,
    folders: &mut BTreeMap<DiskPath, D::Folder>,
    staged: &str,
    path: &DiskPath,
) -> io::Result<()> {
    walk::check_name(staged)?;
    let (above, name) = walk::split(path)?;
    let from = (stage, OsStr::new(staged));
    let parent = path.parent().unwrap_or_default();
    if let Some(folder) = folders.get(&parent) {
        return swap::move_to_free(at.disk, from, (folder, name));
    }
    let folder = walk::open_folder(at, above)?;
    let result = swap::move_to_free(at.disk, from, (&folder, name));
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
