//! Signatures and deltas: how a chunk travels that is almost one the other side has.
//!
//! Who has the old bytes (the *base*) makes a [`Signature`] of each chunk: twelve thousandths of its length. Who has the new
//! bytes makes a delta against signatures ([`make()`]): copies of what is in the base, and literals for the rest. Who has
//! the base applies it ([`apply()`]). Signatures are short, so a delta may be wrong: whoever applies one compares the result
//! with the hash that it should have, and asks for the whole chunk when it is another.
//!
//! *Source:* Tridgell and Mackerras, "The rsync algorithm" (1996), with one checksum in place of a weak and a
//! strong one, since a wrong delta is found out. Formats: `docs/formats-content.md`.

mod apply;
mod make;
mod number;
mod rolling;
mod signature;

pub use apply::{DeltaError, apply};
pub use make::make;
pub use signature::{BLOCK_BYTES, Signature, SignatureError};

use crate::limits::CHUNK_MAX_BYTES;

/// Chunks that one base is put together from, one behind the other.
pub const BASE_CHUNKS: usize = 16;
/// Bytes of a base: four chunks at their longest, fourteen of mean length.
pub const BASE_BYTES: usize = 4 * CHUNK_MAX_BYTES;

#[cfg(test)]
pub(crate) mod tests;
