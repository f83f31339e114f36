//! The bytes of manifests and pages: header, entries, numbers.

use super::{ChunkEntry, ManifestError};
use crate::chunker::CHUNKER_ID;
use crate::ids::ChunkHash;
use crate::limits::CHUNK_MAX_BYTES;

const VERSION: u8 = 1;
const HASH_BLAKE3: u8 = 1;

/// A manifest that lists its chunks.
pub(super) const FORM_INLINE: u8 = 1;
/// A manifest that names a root page.
pub(super) const FORM_TREE: u8 = 2;
/// A page.
pub(super) const FORM_PAGE: u8 = 3;

/// Fewest bytes of an entry: a hash and a number of one byte.
const ENTRY_MIN_BYTES: usize = ChunkHash::LEN + 1;

/// Begins the encoding of a form, with room for `body_len` more bytes.
pub(super) fn header(form: u8, body_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + body_len);
    out.extend_from_slice(&[VERSION, HASH_BLAKE3, CHUNKER_ID, form]);
    out
}

/// Appends a number: seven bits a byte, low ones first, the top bit set on all but the last (LEB128).
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a chunk's entry.
pub(super) fn put_entry(out: &mut Vec<u8>, entry: &ChunkEntry) {
    out.extend_from_slice(entry.hash.as_bytes());
    put_varint(out, u64::from(entry.len));
}

/// Checks a chunk's length and makes it the entry's type.
pub(super) fn chunk_len(len: u64) -> Result<u32, ManifestError> {
    match u32::try_from(len) {
        Ok(short) if short > 0 && len <= CHUNK_MAX_BYTES as u64 => Ok(short),
        _ => Err(ManifestError::Length(len)),
    }
}

/// What is left to decode.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Reads and checks the header; returns the form.
    pub(super) fn header(&mut self) -> Result<u8, ManifestError> {
        let version = self.byte()?;
        if version != VERSION {
            return Err(ManifestError::Version(version));
        }
        let algorithm = self.byte()?;
        if algorithm != HASH_BLAKE3 {
            return Err(ManifestError::HashAlgorithm(algorithm));
        }
        let chunker = self.byte()?;
        if chunker != CHUNKER_ID {
            return Err(ManifestError::Chunker(chunker));
        }
        self.byte()
    }

    pub(super) fn byte(&mut self) -> Result<u8, ManifestError> {
        let (byte, rest) = self.0.split_first().ok_or(ManifestError::Truncated)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn hash(&mut self) -> Result<ChunkHash, ManifestError> {
        let (hash, rest) = self.0.split_first_chunk().ok_or(ManifestError::Truncated)?;
        self.0 = rest;
        Ok(ChunkHash::new(*hash))
    }

    pub(super) fn varint(&mut self) -> Result<u64, ManifestError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                let minimal = byte != 0 || shift == 0;
                return if minimal {
                    Ok(value)
                } else {
                    Err(ManifestError::Varint)
                };
            }
        }
        Err(ManifestError::Varint)
    }

    /// Reads a count of entries, at most `max`, that the remaining bytes can hold.
    pub(super) fn entry_count(&mut self, max: usize) -> Result<usize, ManifestError> {
        let count = self.varint()?;
        match usize::try_from(count) {
            Ok(short) if short <= max => {
                if short * ENTRY_MIN_BYTES > self.0.len() {
                    return Err(ManifestError::Truncated);
                }
                Ok(short)
            }
            _ => Err(ManifestError::EntryCount(count)),
        }
    }

    /// Reads a counted list of chunks.
    pub(super) fn entries(&mut self, max: usize) -> Result<Vec<ChunkEntry>, ManifestError> {
        let count = self.entry_count(max)?;
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(ChunkEntry {
                hash: self.hash()?,
                len: chunk_len(self.varint()?)?,
            });
        }
        Ok(entries)
    }

    /// Checks that nothing is left.
    pub(super) fn finish(self) -> Result<(), ManifestError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ManifestError::TrailingBytes(self.0.len()))
        }
    }
}
