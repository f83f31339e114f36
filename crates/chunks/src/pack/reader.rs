//! Reading frames, through a bounded set of open files.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cairn_core::ids::ChunkHash;

use super::files::{PackDir, PackFile};
use super::format::{FRAME_MAX_BYTES, HEADER_LEN, PackCipher, PackHeader, PackId};
use crate::keyring::Keyring;
use crate::{ChunkError, EncodedChunk, Result};

/// Packs that are kept open for reading. Well below the usual limit of 1,024 open files.
const OPEN_PACKS: usize = 128;

/// Numbers a pack in the index, where its id would take too many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PackNumber(pub(crate) i64);

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) pack: PackNumber,
    pub(crate) offset: u64,
    /// Length of the whole frame in bytes.
    pub(crate) len: u32,
}

/// A pack that is open.
#[derive(Clone)]
pub(crate) struct PackHandle {
    pub(crate) file: Arc<dyn PackFile>,
    pub(crate) cipher: Arc<PackCipher>,
}

/// The packs of a store.
pub(crate) struct Packs {
    pub(crate) dir: Arc<dyn PackDir>,
    pub(crate) ring: Keyring,
    ids: RwLock<HashMap<PackNumber, PackId>>,
    handles: Mutex<Handles>,
}

#[derive(Default)]
struct Handles {
    clock: u64,
    open: HashMap<PackNumber, (u64, PackHandle)>,
}

impl Packs {
    pub(crate) fn new(dir: Arc<dyn PackDir>, ring: Keyring) -> Self {
        Self {
            dir,
            ring,
            ids: RwLock::default(),
            handles: Mutex::default(),
        }
    }

    /// Makes a pack known.
    pub(crate) fn register(&self, number: PackNumber, id: PackId) {
        self.ids
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, id);
    }

    /// The number for the next pack.
    pub(crate) fn next_number(&self) -> PackNumber {
        let ids = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        PackNumber(ids.keys().map(|number| number.0).max().unwrap_or(0) + 1)
    }

    /// Keeps a pack open.
    pub(crate) fn keep(&self, number: PackNumber, handle: PackHandle) {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.clock += 1;
        let now = handles.clock;
        handles.open.insert(number, (now, handle));
        if handles.open.len() > OPEN_PACKS {
            let oldest = handles
                .open
                .iter()
                .min_by_key(|(_, (used, _))| *used)
                .map(|(number, _)| *number);
            oldest.and_then(|number| handles.open.remove(&number));
        }
    }

    /// Reads and checks a frame. Blocks.
    pub(crate) fn read(&self, hash: &ChunkHash, at: Location) -> Result<EncodedChunk> {
        let corrupt = |what: String| ChunkError::Corrupt { hash: *hash, what };
        let id = self
            .ids
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&at.pack)
            .copied();
        let Some(id) = id else {
            return Err(corrupt(format!(
                "the index names pack {}, which is not there",
                at.pack.0
            )));
        };
        let path = self.dir.path().join(sealed_name(id));
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => corrupt(format!("{} is cut short", path.display())),
            io::ErrorKind::NotFound => corrupt(format!("{} is gone", path.display())),
            _ => ChunkError::io("read", &path, error),
        };
        if at.len as usize > FRAME_MAX_BYTES {
            return Err(corrupt(format!(
                "the index gives its frame {} bytes, more than any has",
                at.len
            )));
        }
        let handle = match self.kept(at.pack) {
            Some(handle) => handle,
            None => {
                let handle = self.open(id).map_err(failed)?.map_err(corrupt)?;
                self.keep(at.pack, handle.clone());
                handle
            }
        };
        let mut frame = vec![0; at.len as usize];
        handle.file.read_exact_at(&mut frame, at.offset).map_err(failed)?;
        let damaged = |error| {
            corrupt(format!(
                "the frame at byte {} of {} is bad: {error}",
                at.offset,
                path.display()
            ))
        };
        handle.cipher.open_chunk(frame).map_err(damaged)
    }

    fn kept(&self, number: PackNumber) -> Option<PackHandle> {
        let mut handles = self.handles.lock().unwrap_or_else(PoisonError::into_inner);
        handles.clock += 1;
        let now = handles.clock;
        let (used, handle) = handles.open.get_mut(&number)?;
        *used = now;
        Some(handle.clone())
    }

    fn open(&self, id: PackId) -> io::Result<std::result::Result<PackHandle, String>> {
        // A pack that is sealed meanwhile changes its name between the first two attempts.
        let names = [sealed_name(id), open_name(id), sealed_name(id)];
        let mut found = Err(io::ErrorKind::NotFound.into());
        for name in names {
            found = self.dir.open(&name);
            if !matches!(&found, Err(error) if error.kind() == io::ErrorKind::NotFound) {
                break;
            }
        }
        let file = found?;
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0)?;
        let header = match PackHeader::parse(&bytes) {
            Ok(header) if header.pack == id => header,
            Ok(_) => return Ok(Err(format!("the header of pack {id} names another pack"))),
            Err(error) => return Ok(Err(format!("the header of pack {id} is bad: {error}"))),
        };
        Ok(match header.open(&self.ring) {
            Some(cipher) => Ok(PackHandle {
                file,
                cipher: Arc::new(cipher),
            }),
            None => Err(format!("the key of pack {id} does not unwrap")),
        })
    }
}

/// The name of a pack that is complete.
pub(crate) fn sealed_name(id: PackId) -> String {
    format!("{id}.pack")
}

/// The name of a pack that is being written.
pub(crate) fn open_name(id: PackId) -> String {
    format!("{id}.open")
}

/// A pack's path for messages.
pub(crate) fn path_of(dir: &dyn PackDir, name: &str) -> PathBuf {
    dir.path().join(name)
}
