//! Cuts files into chunks where their content says so, so that an edit changes only the chunks it touches.
//!
//! A hash rolls over the last 64 bytes; a chunk ends where it falls below a limit. The limit is strict up to the
//! average length and generous above it, which draws the lengths together. Where a chunk ends depends on nothing but
//! the bytes since the last cut: neither on how they are fed nor on what came before. Hence a reader can begin at any
//! old cut, and cuts fall into step again soon after an edit.
//!
//! *Source:* FastCDC (Xia et al., 2020), normalised chunking at level 2. It differs in two points: the hash is warmed
//! over the 64 bytes before the smallest chunk's end, so that a cut depends on a full window from the first; and
//! bits are tested by comparing the hash with a limit (its top bits are the ones that the whole window reaches).
//! The bytes are specified in `docs/formats-content.md`.

mod gear;

use gear::GEAR;

use crate::limits::{CHUNK_AVG_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES};

/// Names the parameters of this chunker in a manifest. Others would get another number: cuts never change under one.
pub const CHUNKER_ID: u8 = 1;

/// Bytes that reach the hash: each step shifts the older ones one bit further out.
const WINDOW: usize = 64;
/// Chunk length at which the hash begins to roll. What lies before cannot reach the first place to cut.
const WARM_FROM: usize = CHUNK_MIN_BYTES - WINDOW;
/// Up to the average length one in 2^18 places is a cut: two bits fewer cuts than the average asks for.
const STRICT_LIMIT: u64 = 1 << (64 - 18);
/// Above it one in 2^14: two bits more.
const LOOSE_LIMIT: u64 = 1 << (64 - 14);

/// Length of the first chunk of `data`.
///
/// `data` must hold [`CHUNK_MAX_BYTES`] or everything up to the end of the file; with fewer bytes the answer would be
/// a cut that the rest of the file does not make. 0 only for no data.
pub fn cut(data: &[u8]) -> usize {
    Cutter::new().feed(data).unwrap_or(data.len())
}

/// Finds cuts in bytes that come in pieces, without keeping any of them.
#[derive(Debug, Clone, Default)]
pub struct Cutter {
    hash: u64,
    pending_len: usize,
}

impl Cutter {
    /// Begins a chunk.
    pub const fn new() -> Self {
        Self {
            hash: 0,
            pending_len: 0,
        }
    }

    /// Takes bytes up to the next cut.
    ///
    /// `Some(len)`: the chunk ends after the first `len` bytes of `data`; the rest was not taken, and the next one
    /// begins there. `None`: all were taken, the chunk goes on or is the file's last.
    pub fn feed(&mut self, data: &[u8]) -> Option<usize> {
        let mut taken = 0;
        while taken < data.len() {
            let (stretch_end, limit) = stretch(self.pending_len);
            let rest = &data[taken..];
            let len = rest.len().min(stretch_end - self.pending_len);
            let found = if stretch_end == WARM_FROM {
                None
            } else {
                roll(&mut self.hash, &rest[..len], limit)
            };
            if let Some(end) = found {
                *self = Self::new();
                return Some(taken + end);
            }
            self.pending_len += len;
            taken += len;
            if self.pending_len == CHUNK_MAX_BYTES {
                *self = Self::new();
                return Some(taken);
            }
        }
        None
    }

    /// Bytes taken since the last cut.
    pub const fn pending_len(&self) -> usize {
        self.pending_len
    }
}

/// Where the stretch of a chunk ends to which the byte after `len` belongs, and the limit that holds in it. No hash
/// is below 0, so nothing is cut while the window fills.
const fn stretch(len: usize) -> (usize, u64) {
    if len < WARM_FROM {
        (WARM_FROM, 0)
    } else if len < CHUNK_MIN_BYTES - 1 {
        (CHUNK_MIN_BYTES - 1, 0)
    } else if len < CHUNK_AVG_BYTES {
        (CHUNK_AVG_BYTES, STRICT_LIMIT)
    } else {
        (CHUNK_MAX_BYTES, LOOSE_LIMIT)
    }
}

/// Rolls the hash over `bytes` until it falls below `limit`; returns how many bytes that took.
fn roll(hash: &mut u64, bytes: &[u8], limit: u64) -> Option<usize> {
    let mut rolled = *hash;
    let (blocks, tail) = bytes.as_chunks::<8>();
    for (block_index, block) in blocks.iter().enumerate() {
        for (index, &byte) in block.iter().enumerate() {
            rolled = (rolled << 1).wrapping_add(GEAR[usize::from(byte)]);
            if rolled < limit {
                return Some(block_index * 8 + index + 1);
            }
        }
    }
    for (index, &byte) in tail.iter().enumerate() {
        rolled = (rolled << 1).wrapping_add(GEAR[usize::from(byte)]);
        if rolled < limit {
            return Some(blocks.len() * 8 + index + 1);
        }
    }
    *hash = rolled;
    None
}

/// Gathers bytes that come in pieces into whole chunks. Keeps at most one chunk.
#[derive(Debug, Default)]
pub struct Chunker {
    cutter: Cutter,
    buffer: Vec<u8>,
    /// The buffer holds a chunk that was handed out, to be dropped by the next call.
    handed_out: bool,
}

impl Chunker {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes from the front of `input` and returns the next whole chunk; `None` when all of `input` was taken
    /// and more is needed.
    ///
    /// Call it until it returns `None`, then with the next piece; [`Self::last_chunk`] after the last. A chunk that
    /// lies within one piece is not copied.
    pub fn next_chunk<'out, 'input: 'out>(&'out mut self, input: &mut &'input [u8]) -> Option<&'out [u8]> {
        self.drop_handed_out();
        let piece: &'input [u8] = input;
        let Some(len) = self.cutter.feed(piece) else {
            self.buffer.extend_from_slice(piece);
            *input = &[];
            return None;
        };
        let (head, rest) = piece.split_at(len);
        *input = rest;
        if self.buffer.is_empty() {
            return Some(head);
        }
        self.buffer.extend_from_slice(head);
        self.handed_out = true;
        Some(&self.buffer)
    }

    /// Ends the file and returns what is left of it; `None` when it ended at a cut or is empty. The chunker is then
    /// as new.
    pub fn last_chunk(&mut self) -> Option<&[u8]> {
        self.drop_handed_out();
        self.cutter = Cutter::new();
        if self.buffer.is_empty() {
            return None;
        }
        self.handed_out = true;
        Some(&self.buffer)
    }

    fn drop_handed_out(&mut self) {
        if self.handed_out {
            self.buffer.clear();
            self.handed_out = false;
        }
    }
}

#[cfg(test)]
mod tests;
