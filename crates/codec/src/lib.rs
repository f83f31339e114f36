//! How a chunk's bytes are encoded, on disk and on the wire alike: raw or one zstd frame.
//!
//! A chunk is encoded once, where its plaintext is cut, and travels and rests in that form. Whoever receives one calls
//! [`decode_chunk`] before relying on it. Where the other side has almost the same bytes, an [`EncodedDelta`] travels in
//! its place. Nothing here does IO.

mod compress;
mod delta;
mod error;

pub use delta::{DeltaForm, EncodedDelta, decode_delta, encode_delta, encode_patch};
pub use error::CodecError;

use bytes::Bytes;
use cairn_core::ids::ChunkHash;
use cairn_core::limits;

/// Longest plaintext of a chunk, in bytes: a piece of a file, or a page of a manifest, which is shorter.
pub const PLAIN_MAX_BYTES: usize = limits::CHUNK_MAX_BYTES;

/// How a chunk's bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// As they are.
    Raw,
    /// One zstd frame, shorter than the plaintext.
    Zstd,
}

/// A chunk as it is stored and sent: encoded, with the length of its plaintext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedChunk {
    /// How `bytes` are encoded.
    pub codec: Codec,
    /// Length of the plaintext in bytes.
    pub plain_len: u32,
    /// CRC-32 (IEEE) of the plaintext, for archives whose checksums must be known before the first byte.
    pub plain_crc32: u32,
    /// The encoded bytes.
    pub bytes: Bytes,
}

/// Encodes a chunk: zstd level 3 where that saves at least 3 %, else raw.
///
/// Incompressible data is found by a probe of 4 KiB and then costs only its checksum and a copy. The same plaintext
/// gives the same encoding with one version of zstd, but nothing may rely on that: a chunk's name is the hash of its
/// plaintext.
///
/// # Panics
/// When the plaintext is 4 GiB or longer; callers keep to [`PLAIN_MAX_BYTES`].
pub fn encode_chunk(plaintext: &[u8]) -> EncodedChunk {
    encode(plaintext, || Bytes::copy_from_slice(plaintext))
}

/// As [`encode_chunk`], but what is stored raw is not copied.
///
/// # Panics
/// As [`encode_chunk`].
pub fn encode_owned(plaintext: Bytes) -> EncodedChunk {
    encode(&plaintext, || plaintext.clone())
}

fn encode(plaintext: &[u8], raw: impl FnOnce() -> Bytes) -> EncodedChunk {
    let plain_len = u32::try_from(plaintext.len()).expect("a chunk is at most PLAIN_MAX_BYTES long");
    let (codec, bytes) = match compress::shrink(plaintext) {
        Some(smaller) => (Codec::Zstd, Bytes::from(smaller)),
        None => (Codec::Raw, raw()),
    };
    EncodedChunk {
        codec,
        plain_len,
        plain_crc32: crc32fast::hash(plaintext),
        bytes,
    }
}

/// Decodes a chunk and checks that it is what `expected` names.
///
/// Never allocates more than [`PLAIN_MAX_BYTES`], whatever `chunk` claims: its length is checked first, decompression
/// stops there, then length, CRC-32 and BLAKE3 must agree. A raw chunk is returned without a copy.
///
/// # Errors
/// [`CodecError`]: the chunk must not be used.
pub fn decode_chunk(chunk: &EncodedChunk, expected: &ChunkHash) -> Result<Bytes, CodecError> {
    let plaintext = decode_unnamed(chunk)?;
    let found = ChunkHash::of(&plaintext);
    if found != *expected {
        return Err(CodecError::Hash {
            expected: *expected,
            found,
        });
    }
    Ok(plaintext)
}

/// Decodes a chunk whose name is not known yet, checking its length and CRC-32 only.
///
/// Bounded as [`decode_chunk`] is. For recovery, which finds names by hashing what it decodes.
///
/// # Errors
/// [`CodecError`]: the chunk must not be used.
pub fn decode_unnamed(chunk: &EncodedChunk) -> Result<Bytes, CodecError> {
    let plain_len = chunk.plain_len as usize;
    if plain_len > PLAIN_MAX_BYTES {
        return Err(CodecError::TooLong {
            plain_len: chunk.plain_len,
        });
    }
    let plaintext = match chunk.codec {
        Codec::Raw => chunk.bytes.clone(),
        // The encoder never makes a chunk longer, so a longer one is an attempt to be stored or sent at our cost.
        Codec::Zstd if chunk.bytes.len() >= plain_len => {
            return Err(CodecError::Length {
                expected: chunk.plain_len,
                found: chunk.bytes.len(),
            });
        }
        Codec::Zstd => Bytes::from(compress::expand(&chunk.bytes, plain_len)?),
    };
    if plaintext.len() != plain_len {
        return Err(CodecError::Length {
            expected: chunk.plain_len,
            found: plaintext.len(),
        });
    }
    if crc32fast::hash(&plaintext) != chunk.plain_crc32 {
        return Err(CodecError::Checksum);
    }
    Ok(plaintext)
}

#[cfg(test)]
mod tests;
