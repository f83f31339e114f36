//! What is told of a chunk so that others can say what they have of it.

use super::number;
use super::rolling::Rolling;
use crate::limits::CHUNK_MAX_BYTES;

/// Bytes of a block. The best length for a chunk of mean length is about 700: shorter ones make the signature longer,
/// longer ones the literals around a change.
pub const BLOCK_BYTES: usize = 512;
/// The only format: blocks of 512 bytes, six bytes for each.
const VERSION: u8 = 1;
/// Bytes of a block in a signature.
const ENTRY_BYTES: usize = 6;

/// A checksum of every block of a chunk. At most 3,076 bytes when encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    len: u32,
    /// 48 bits for each block.
    sums: Vec<u64>,
}

/// Bytes that are no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Written by a later version of the format, or cut within its head.
    #[error("the signature has a head that this version of cairn cannot read")]
    Head,
    /// The chunk that it speaks of would be empty or too long.
    #[error("the signature is of a chunk of {0} bytes, which is out of bounds")]
    ChunkLength(u32),
    /// It has another number of blocks than a chunk of its length.
    #[error("the signature has {found} bytes of sums where {expected} belong")]
    Sums {
        /// Bytes that belong there.
        expected: usize,
        /// Bytes that are there.
        found: usize,
    },
}

impl Signature {
    /// Sums up a chunk, which has 1 to 262,144 bytes.
    pub fn of(chunk: &[u8]) -> Self {
        Self {
            len: u32::try_from(chunk.len()).unwrap_or(u32::MAX),
            sums: chunk
                .chunks(BLOCK_BYTES)
                .map(|block| Rolling::of(block).sum())
                .collect(),
        }
    }

    /// Length of the chunk in bytes.
    pub const fn chunk_len(&self) -> usize {
        self.len as usize
    }

    /// The sums of its blocks, with the bytes that lie before each; all blocks but the last have [`BLOCK_BYTES`].
    pub(super) fn blocks(&self) -> impl Iterator<Item = (usize, u64)> + '_ {
        self.sums
            .iter()
            .enumerate()
            .map(|(index, sum)| (index * BLOCK_BYTES, *sum))
    }

    /// The bytes that travel.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + ENTRY_BYTES * self.sums.len());
        out.push(VERSION);
        number::put(&mut out, self.len);
        for sum in &self.sums {
            out.extend_from_slice(&sum.to_le_bytes()[..ENTRY_BYTES]);
        }
        out
    }

    /// Reads them again. Allocates no more than the bytes justify.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, SignatureError> {
        let (version, mut rest) = bytes.split_first().ok_or(SignatureError::Head)?;
        if *version != VERSION {
            return Err(SignatureError::Head);
        }
        let len = number::take(&mut rest).ok_or(SignatureError::Head)?;
        if len == 0 || len as usize > CHUNK_MAX_BYTES {
            return Err(SignatureError::ChunkLength(len));
        }
        let expected = (len as usize).div_ceil(BLOCK_BYTES) * ENTRY_BYTES;
        if rest.len() != expected {
            return Err(SignatureError::Sums {
                expected,
                found: rest.len(),
            });
        }
        let (sums, _) = rest.as_chunks::<ENTRY_BYTES>();
        let sums = sums
            .iter()
            .map(|[a, b, c, d, e, f]| u64::from_le_bytes([*a, *b, *c, *d, *e, *f, 0, 0]));
        Ok(Self {
            len,
            sums: sums.collect(),
        })
    }
}
