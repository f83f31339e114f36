//! What a disk keeps of a file, folder or link, in its cache and durably.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::sync::Arc;

use cairn_core::time::Mtime;
use tokio::time::Instant;

use super::names::Key;

/// Bytes of a block, in which space is counted.
pub(super) const BLOCK_BYTES: u64 = 4_096;

const SECOND_NS: i128 = 1_000_000_000;

/// Which inode, for good: unlike its number it is never given to another.
pub(super) type Uid = u64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    pub(super) mtime_ns: i128,
    pub(super) ctime_ns: i128,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) uid: Uid,
}

pub(super) type Entries = BTreeMap<Key, Entry>;

#[derive(Debug, Clone, Default)]
pub(super) struct FileBody {
    pub(super) bytes: Arc<Vec<u8>>,
    /// Shared with `bytes` exactly when nothing has to be written.
    pub(super) durable: Arc<Vec<u8>>,
    /// Whether the file was made shorter since it was durable: then none of its old bytes need survive.
    pub(super) was_cut: bool,
    /// Whether a failed sync has made the disk forget that there is something to write.
    pub(super) is_forsaken: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct FolderBody {
    pub(super) entries: Entries,
    pub(super) durable: Entries,
}

#[derive(Debug, Clone)]
pub(super) enum Body {
    File(FileBody),
    Folder(FolderBody),
    Link(String),
    Pipe,
}

#[derive(Debug, Clone)]
pub(super) struct Inode {
    pub(super) number: u64,
    pub(super) born_ns: i128,
    pub(super) body: Body,
    pub(super) attributes: Attributes,
    pub(super) durable_attributes: Attributes,
    /// When bytes or attributes were changed last, whatever the wall clock showed.
    pub(super) touched_at: Instant,
    /// The folders that it is in, with its names there.
    pub(super) names: BTreeSet<(Uid, Key)>,
    pub(super) open_count: usize,
    pub(super) is_denied: bool,
}

impl Inode {
    pub(super) const fn is_folder(&self) -> bool {
        matches!(self.body, Body::Folder(_))
    }

    pub(super) fn size(&self) -> u64 {
        match &self.body {
            Body::File(file) => file.bytes.len() as u64,
            _ => 0,
        }
    }

    /// The space that it takes.
    pub(super) fn allocated(&self) -> u64 {
        match &self.body {
            Body::File(file) => blocks(file.bytes.len() as u64),
            Body::Folder(_) => BLOCK_BYTES,
            Body::Link(_) | Body::Pipe => 0,
        }
    }

    pub(super) fn mtime(&self) -> Mtime {
        instant(self.attributes.mtime_ns)
    }

    /// Whether bytes or attributes would be lost with the power.
    pub(super) fn is_dirty(&self) -> bool {
        self.attributes != self.durable_attributes || self.has_unwritten_bytes()
    }

    /// Makes durable what a file has, as the system does by itself, unless a failed sync has made it forget the bytes.
    pub(super) fn write_out(&mut self) {
        if let Body::File(file) = &mut self.body {
            if file.is_forsaken {
                return;
            }
            file.durable = Arc::clone(&file.bytes);
            file.was_cut = false;
        }
        self.durable_attributes = self.attributes;
    }

    pub(super) fn has_unwritten_bytes(&self) -> bool {
        matches!(&self.body, Body::File(file) if !Arc::ptr_eq(&file.bytes, &file.durable))
    }
}

/// The space that a file of this length takes.
pub(super) const fn blocks(len: u64) -> u64 {
    len.div_ceil(BLOCK_BYTES) * BLOCK_BYTES
}

pub(super) fn instant(ns: i128) -> Mtime {
    Mtime {
        seconds: i64::try_from(ns.div_euclid(SECOND_NS)).unwrap_or(i64::MAX),
        nanos: u32::try_from(ns.rem_euclid(SECOND_NS)).unwrap_or(0),
    }
}

pub(super) fn ns_of(mtime: Mtime) -> i128 {
    i128::from(mtime.seconds) * SECOND_NS + i128::from(mtime.nanos)
}
