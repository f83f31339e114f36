//! Zstd with reused contexts and bounds.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::CodecError;

/// Level 3 is the knee of zstd's curve: about 0.5 GB/s on one core.
const LEVEL: i32 = 3;
/// Bytes that are tried first: one page tells noise from text, and costs a sixteenth of an average chunk.
const PROBE_BYTES: usize = 4 * 1024;
/// Below this length the probe would cost more than it saves.
const PROBE_FROM_BYTES: usize = 4 * PROBE_BYTES;

// A context holds hundreds of kilobytes of tables; making one for each chunk would cost more than a small chunk does.
thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses, when that saves at least 3 %.
pub(crate) fn shrink(plaintext: &[u8]) -> Option<Vec<u8>> {
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compressor::new(LEVEL).ok();
        }
        let compressor = slot.as_mut()?;
        if plaintext.len() >= PROBE_FROM_BYTES {
            // The middle: a header tells little about a body.
            let start = (plaintext.len() - PROBE_BYTES) / 2;
            worthwhile(compressor, &plaintext[start..start + PROBE_BYTES])?;
        }
        worthwhile(compressor, plaintext)
    })
}

/// Decompresses to at most `plain_len` bytes.
pub(crate) fn expand(bytes: &[u8], plain_len: usize) -> Result<Vec<u8>, CodecError> {
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(|source| CodecError::Zstd { source })?),
        };
        decompressor
            .decompress(bytes, plain_len)
            .map_err(|source| CodecError::Zstd { source })
    })
}

fn worthwhile(compressor: &mut Compressor<'_>, plaintext: &[u8]) -> Option<Vec<u8>> {
    // A failure to compress is no failure: the chunk is then stored as it is.
    let mut bytes = compressor.compress(plaintext).ok()?;
    bytes.shrink_to_fit();
    (bytes.len() * 100 <= plaintext.len() * 97 && bytes.len() < plaintext.len()).then_some(bytes)
}
