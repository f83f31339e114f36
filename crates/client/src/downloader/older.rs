//! The version of a file that the folder has while a newer one comes: what is still in it is not fetched, and what is new
//! comes as what changed in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use cairn_core::base::Base;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::CHUNK_MAX_BYTES;
use cairn_core::manifest::{ChunkEntry, PlacedChunk};
use cairn_core::rev::Seq;
use cairn_core::tree::Substance;

use super::{DownloadError, Downloader, Wanted};
use crate::base;
use crate::fs::{DiskPath, Filesystem, ReadFile};

/// Bytes of old chunks that are held for one file: of some hundred changes. What is beyond comes whole.
const HELD_BYTES: usize = 8 << 20;

/// The older version.
pub(super) struct Older {
    /// Its chunks and pages.
    pub(super) base: Base,
    /// Where it is.
    pub(super) path: DiskPath,
    /// The entry that wrote it, where the server knows it by one.
    pub(super) content_seq: Option<Seq>,
}

/// A run of chunks that is to be fetched, and what of the older version stands in its place; empty for nothing.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) placed: PlacedChunk,
    pub(super) base: Vec<ChunkHash>,
}

/// Bytes of old chunks, each found to be what it is called.
pub(super) type Held = BTreeMap<ChunkHash, Bytes>;

impl Downloader {
    /// The version that the folder has of a file; `None` when it is not remembered, or the same.
    pub(super) async fn older(&self, wanted: &Wanted) -> Result<Option<Arc<Older>>, DownloadError> {
        let Some(row) = self.state.local(self.namespace, wanted.node).await? else {
            return Ok(None);
        };
        let Substance::File { file_id, .. } = row.entry.substance else {
            return Ok(None);
        };
        if file_id == wanted.content.file_id {
            return Ok(None);
        }
        let Some(Some(content)) = self.state.contents(&[file_id]).await?.pop() else {
            return Ok(None);
        };
        let Some(base) = base::load(self.state.as_ref(), &content).await? else {
            return Ok(None);
        };
        let Some(names) = self.state.disk_path(self.namespace, wanted.node).await? else {
            return Ok(None);
        };
        let synced = self.state.synced(self.namespace, wanted.node).await?;
        let synced = synced.filter(
            |entry| matches!(entry.substance, Substance::File { file_id: synced, .. } if synced == file_id),
        );
        Ok(Some(Arc::new(Older {
            base,
            path: DiskPath::from_names(names),
            content_seq: synced.map(|entry| entry.content_seq),
        })))
    }
}

/// Finds for each missing chunk what it may be made from, and reads that.
pub(super) fn plan(
    fs: &dyn Filesystem,
    older: Option<&Older>,
    entries: &[ChunkEntry],
    missing: Vec<PlacedChunk>,
) -> (Vec<Missing>, Held) {
    let mut held = Held::new();
    // A file that is gone or cannot be read is as good as none.
    let open = older.and_then(|older| Some((older, fs.open(&older.path).ok()?)));
    let Some((older, mut file)) = open else {
        let whole = |placed| Missing {
            placed,
            base: Vec::new(),
        };
        return (missing.into_iter().map(whole).collect(), held);
    };
    let mut bases = older.base.align(&mut 0, entries);
    let mut held_bytes = 0;
    let planned = missing.into_iter().map(|placed| {
        let index = usize::try_from(placed.index).unwrap_or(usize::MAX);
        let base = bases.get_mut(index).map(std::mem::take).unwrap_or_default();
        let is_held = base
            .iter()
            .all(|hash| hold(file.as_mut(), &older.base, hash, &mut held, &mut held_bytes));
        let base = if is_held { base } else { Vec::new() };
        Missing { placed, base }
    });
    (planned.collect(), held)
}

/// Reads a chunk of the older version, if there is room and it is there still.
fn hold(
    file: &mut dyn ReadFile,
    base: &Base,
    hash: &ChunkHash,
    held: &mut Held,
    held_bytes: &mut usize,
) -> bool {
    if held.contains_key(hash) {
        return true;
    }
    let Some((offset, len)) = base.place_of(hash) else {
        return false;
    };
    if *held_bytes + len > HELD_BYTES {
        return false;
    }
    let mut bytes = vec![0; len.min(CHUNK_MAX_BYTES)];
    let is_there = file
        .read_at(offset, &mut bytes)
        .is_ok_and(|read| read == len && ChunkHash::of(&bytes) == *hash);
    if is_there {
        *held_bytes += len;
        held.insert(*hash, bytes.into());
    }
    is_there
}
