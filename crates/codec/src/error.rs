//! What can be wrong with an encoded chunk.

use cairn_core::delta::DeltaError;
use cairn_core::ids::ChunkHash;

use crate::PLAIN_MAX_BYTES;

/// Why an encoded chunk is not what it claims to be. None of these gets better by trying again.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// It claims a plaintext longer than any chunk.
    #[error("the chunk claims {plain_len} bytes, more than the {PLAIN_MAX_BYTES} that are allowed")]
    TooLong {
        /// The claimed length in bytes.
        plain_len: u32,
    },
    /// Its bytes are not as long as it claims.
    #[error("the chunk claims {expected} bytes but has {found}")]
    Length {
        /// The claimed length in bytes.
        expected: u32,
        /// The length that was found, in bytes.
        found: usize,
    },
    /// It does not decompress within the length that it claims.
    #[error("the chunk does not decompress")]
    Zstd {
        /// What zstd says.
        #[source]
        source: std::io::Error,
    },
    /// The delta that it came as does not fit its base.
    #[error("the delta cannot be applied")]
    Delta {
        /// Why.
        #[source]
        source: DeltaError,
    },
    /// Its plaintext does not have the CRC-32 that it claims.
    #[error("the chunk's checksum does not match its plaintext")]
    Checksum,
    /// Its plaintext has another name.
    #[error("the chunk is {found} instead of {expected}")]
    Hash {
        /// The name that was asked for.
        expected: ChunkHash,
        /// The name of what was found.
        found: ChunkHash,
    },
}
