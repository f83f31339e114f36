//! Makes the new bytes from the base and a delta.

use super::number;
use crate::limits::CHUNK_MAX_BYTES;

/// A delta that cannot be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// The result would be longer than any chunk, or than was promised.
    #[error("the delta makes more bytes than it may")]
    TooLong,
    /// The result is shorter than was promised.
    #[error("the delta makes {found} bytes, not {expected}")]
    Short {
        /// Bytes that were promised.
        expected: usize,
        /// Bytes that it makes.
        found: usize,
    },
    /// A step is empty, cut, or wrongly encoded.
    #[error("the delta is malformed")]
    Malformed,
    /// A copy reaches beyond the base.
    #[error("the delta copies what the base does not have")]
    OutOfBase,
}

/// Applies a delta to its base; the result has `plain_len` bytes. What it should be is the caller's to check, by hash.
///
/// Allocates `plain_len` bytes, and nothing before that was found to be a chunk's length.
///
/// # Errors
/// [`DeltaError`].
pub fn apply(base: &[u8], mut delta: &[u8], plain_len: usize) -> Result<Vec<u8>, DeltaError> {
    if plain_len > CHUNK_MAX_BYTES {
        return Err(DeltaError::TooLong);
    }
    let mut out = Vec::with_capacity(plain_len);
    let mut expected = 0usize;
    while !delta.is_empty() {
        let step = number::take(&mut delta).ok_or(DeltaError::Malformed)?;
        let len = (step >> 1) as usize;
        if len == 0 {
            return Err(DeltaError::Malformed);
        }
        if len > plain_len - out.len() {
            return Err(DeltaError::TooLong);
        }
        if step & 1 == 0 {
            let (literal, rest) = delta.split_at_checked(len).ok_or(DeltaError::Malformed)?;
            out.extend_from_slice(literal);
            delta = rest;
        } else {
            let jump = number::take(&mut delta).ok_or(DeltaError::Malformed)?;
            let start = expected
                .checked_add_signed(number::to_signed(jump) as isize)
                .ok_or(DeltaError::OutOfBase)?;
            // Neither overflows: the start is at most the base's length and 2^31 more.
            let piece = base.get(start..start + len).ok_or(DeltaError::OutOfBase)?;
            out.extend_from_slice(piece);
            expected = start + len;
        }
    }
    if out.len() < plain_len {
        return Err(DeltaError::Short {
            expected: plain_len,
            found: out.len(),
        });
    }
    Ok(out)
}
