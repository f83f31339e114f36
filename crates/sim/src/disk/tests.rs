mod faults;
mod naming;
mod posix;
mod power;
mod sharing;

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cairn_client::fs::disk::{Access, Disk, RenameMode};

use super::{DiskOptions, MetadataOrder, ProcessDisk, SimDisk, SimFile, SimFolder};

/// A clock that each question moves by a microsecond.
fn disk(options: DiskOptions) -> SimDisk {
    let now_us = AtomicI64::new(1_795_305_600_000_000);
    SimDisk::new(
        options,
        Arc::new(move || i128::from(now_us.fetch_add(1, Ordering::Relaxed)) * 1_000),
    )
}

fn unordered() -> DiskOptions {
    DiskOptions {
        metadata_order: MetadataOrder::Any,
        ..DiskOptions::default()
    }
}

fn name(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// Opens the folder at a slash path.
fn folder(process: &ProcessDisk, path: &str) -> SimFolder {
    let root = process.open_root().unwrap();
    let names: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    process.open_folder(&root, &names).unwrap()
}

/// Writes a file in an open folder, without any sync.
fn put(process: &ProcessDisk, base: &SimFolder, file: &str, bytes: &[u8]) -> SimFile {
    let open = process.open_file(base, name(file), Access::CreateEmpty).unwrap();
    process.write_at(&open, 0, bytes).unwrap();
    open
}

fn move_to(process: &ProcessDisk, from: &SimFolder, old: &str, to: &SimFolder, new: &str) {
    process
        .rename(from, name(old), to, name(new), RenameMode::Replace)
        .unwrap();
}

fn bytes_at(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    disk.user().read(path).ok().map(|bytes| bytes.to_vec())
}
