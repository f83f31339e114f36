//! The epoch of garbage collection, in a file of its own: it must survive the loss of the index.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};

use super::files::replace_file;
use crate::{ChunkError, Result};

const MAGIC: &[u8; 8] = b"CAIRNEPO";
const VERSION: u32 = 1;
const LEN: usize = 24;

/// The epoch and its file.
pub(crate) struct EpochFile {
    path: PathBuf,
    value: AtomicI64,
}

impl EpochFile {
    /// Reads the file, or makes it when there are no packs yet. Blocks.
    pub(crate) fn open(path: &Path, has_packs: bool) -> Result<Self> {
        let unopenable = |what: &str| ChunkError::Unopenable {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let value = match std::fs::read(path) {
            Ok(bytes) => parse(&bytes).ok_or_else(|| {
                unopenable("the epoch file is damaged; restore it from a backup of the store")
            })?,
            // Epochs that begin again would let garbage collection take chunks that are in use.
            Err(error) if error.kind() == io::ErrorKind::NotFound && has_packs => {
                return Err(unopenable(
                    "there are packs but no epoch file; restore it from a backup of the store",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(path, 1)?;
                1
            }
            Err(error) => return Err(ChunkError::io("read", path, error)),
        };
        Ok(Self {
            path: path.to_owned(),
            value: AtomicI64::new(value),
        })
    }

    pub(crate) fn get(&self) -> i64 {
        self.value.load(Ordering::SeqCst)
    }

    /// Writes the next epoch, then makes it current. Blocks. The caller lets only one run at a time.
    pub(crate) fn advance(&self) -> Result<i64> {
        let next = self.get() + 1;
        write(&self.path, next)?;
        self.value.store(next, Ordering::SeqCst);
        Ok(next)
    }
}

fn write(path: &Path, value: i64) -> Result<()> {
    let mut bytes = [0; LEN];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&value.to_le_bytes());
    let checksum = crc32fast::hash(&bytes[..20]);
    bytes[20..].copy_from_slice(&checksum.to_le_bytes());
    replace_file(path, &bytes).map_err(|error| ChunkError::io("write", path, error))
}

fn parse(bytes: &[u8]) -> Option<i64> {
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    let valid = bytes.len() == LEN
        && &content[..8] == MAGIC
        && content[8..12] == VERSION.to_le_bytes()
        && u32::from_le_bytes(*checksum) == crc32fast::hash(content);
    valid
        .then(|| i64::from_le_bytes(content[12..20].try_into().unwrap_or_default()))
        .filter(|value| *value >= 1)
}
