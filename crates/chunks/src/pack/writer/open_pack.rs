//! The pack that the writer appends to.

use std::io;
use std::sync::Arc;

use cairn_core::ids::ChunkHash;

use super::super::files::PackFile;
use super::super::footer::FrameEntry;
use super::super::format::{FRAMES_MAX, HEADER_LEN, PackCipher};
use super::super::pending::Entry;
use super::super::reader::{Location, PackNumber};
use super::Request;

/// The pack that is being written.
pub(super) struct OpenPack {
    pub(super) number: PackNumber,
    pub(super) file: Arc<dyn PackFile>,
    pub(super) cipher: Arc<PackCipher>,
    pub(super) next_ordinal: u64,
    pub(super) end: u64,
    pub(super) entries: Vec<FrameEntry>,
    /// Frames that are durable; the rest of `entries` is not.
    pub(super) durable: usize,
}

/// A request whose frames are appended but not synced.
pub(super) struct Appended {
    pub(super) request: Request,
    pub(super) entries: Vec<(ChunkHash, Entry)>,
}

impl OpenPack {
    /// A pack whose header is durable.
    pub(super) fn new(number: PackNumber, file: Arc<dyn PackFile>, cipher: Arc<PackCipher>) -> Self {
        let end = HEADER_LEN as u64;
        Self {
            number,
            file,
            cipher,
            next_ordinal: 0,
            end,
            entries: Vec::new(),
            durable: 0,
        }
    }

    /// Whether another batch would make it too long.
    pub(super) fn is_full(&self, chunk_count: usize, bytes: usize, pack_bytes: u64) -> bool {
        self.end + bytes as u64 > pack_bytes || self.next_ordinal + chunk_count as u64 > FRAMES_MAX
    }

    /// Encrypts and appends. Blocks. After a failure nothing more may be appended: ordinals are used up.
    pub(super) fn append(&mut self, batch: Vec<Request>) -> Result<Vec<Appended>, (io::Error, Vec<Request>)> {
        let mut bytes = Vec::with_capacity(batch.iter().map(|request| request.bytes() + 128).sum());
        let start = self.end;
        let mut placed = Vec::with_capacity(batch.len());
        for request in &batch {
            let mut entries = Vec::with_capacity(request.chunks.len());
            for new in &request.chunks {
                let offset = start + bytes.len() as u64;
                let len = self.cipher.append_chunk(&mut bytes, self.next_ordinal, new);
                self.next_ordinal += 1;
                self.entries.push(FrameEntry {
                    hash: new.hash,
                    offset,
                    len,
                    kind: new.kind,
                });
                let at = Location {
                    pack: self.number,
                    offset,
                    len,
                };
                entries.push((
                    new.hash,
                    Entry {
                        at,
                        touch_epoch: request.epoch,
                    },
                ));
            }
            placed.push(entries);
        }
        self.end += bytes.len() as u64;
        match self.file.write_all_at(&bytes, start) {
            Ok(()) => Ok(batch
                .into_iter()
                .zip(placed)
                .map(|(request, entries)| Appended { request, entries })
                .collect()),
            Err(error) => Err((error, batch)),
        }
    }
}
