//! Looking at names without opening what they name.

use std::ffi::{OsStr, OsString};
use std::io;

use cairn_core::node::LinkTarget;

use crate::fs::disk::Disk;
use crate::fs::{DirectoryEntry, OWN_FOLDER};

/// Lists a folder by name in byte order.
pub(super) fn list<D: Disk>(disk: &D, folder: &D::Folder, is_root: bool) -> io::Result<Vec<DirectoryEntry>> {
    let mut names = disk.names(folder)?;
    if is_root {
        names.retain(|name| name != OWN_FOLDER);
    }
    names.sort_unstable_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    // A folder that changes while it is read may give a name twice.
    names.dedup();
    let mut entries = Vec::with_capacity(names.len());
    for name in names {
        let looked = disk.stat(folder, &name);
        entries.push(match (name.into_string(), looked) {
            // Gone since the folder was read.
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => continue,
            (Ok(name), Ok(stat)) => DirectoryEntry::Named {
                name,
                metadata: stat.metadata,
            },
            (Err(name), _) => DirectoryEntry::Unreadable {
                shown: name.to_string_lossy().into_owned(),
                reason: "the name is not UTF-8".to_owned(),
            },
            (Ok(name), Err(error)) => DirectoryEntry::Unreadable {
                shown: name,
                reason: error.to_string(),
            },
        });
    }
    Ok(entries)
}

/// The names in a folder of our own.
pub(super) fn names<D: Disk>(disk: &D, folder: &D::Folder) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = disk
        .names(folder)?
        .into_iter()
        .filter_map(|name| OsString::into_string(name).ok())
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Reads a link.
pub(super) fn link_target<D: Disk>(disk: &D, folder: &D::Folder, name: &OsStr) -> io::Result<LinkTarget> {
    let unkept = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason);
    let text = disk
        .read_link(folder, name)?
        .into_string()
        .map_err(|_| unkept("the link's target is not UTF-8"))?;
    LinkTarget::new(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
