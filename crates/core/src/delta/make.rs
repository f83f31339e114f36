//! Finds in new bytes what the base has, knowing the base by its signatures.

use super::number;
use super::rolling::Rolling;
use super::signature::{BLOCK_BYTES, Signature};

/// Makes the delta that turns the base, whose chunks have these signatures in this order, into `plaintext`.
///
/// Time grows with the plaintext, whatever the signatures say: each place is looked up once. Memory: 16 bytes for each block
/// of the base, and the delta, which is a few bytes longer than the plaintext at most.
pub fn make(base: &[&Signature], plaintext: &[u8]) -> Vec<u8> {
    let index = Index::of(base);
    let mut steps = Steps::new(plaintext);
    if plaintext.len() >= BLOCK_BYTES && !index.blocks.is_empty() {
        scan(&index, &mut steps);
    }
    steps.finish(&index)
}

/// Goes over all places at which a whole block may begin.
fn scan(index: &Index, steps: &mut Steps<'_>) {
    let plaintext = steps.plaintext;
    let last = plaintext.len() - BLOCK_BYTES;
    let mut at = 0;
    let mut rolling = Rolling::of(&plaintext[..BLOCK_BYTES]);
    loop {
        match index.find(rolling.sum(), steps.expected) {
            Some(offset) => {
                steps.copy(at, offset, BLOCK_BYTES);
                at += BLOCK_BYTES;
                if at > last {
                    return;
                }
                rolling = Rolling::of(&plaintext[at..at + BLOCK_BYTES]);
            }
            None if at == last => return,
            None => {
                rolling.roll(plaintext[at], plaintext[at + BLOCK_BYTES]);
                at += 1;
            }
        }
    }
}

/// A block of the base, found by its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Block {
    sum: u64,
    /// Bytes of the base in front of it.
    offset: u32,
}

/// The blocks of a base.
struct Index {
    /// The whole ones, by sum and offset.
    blocks: Vec<Block>,
    /// The shorter last ones of its chunks, with their lengths.
    tails: Vec<(Block, usize)>,
    /// A bit for the upper sixteen of each sum that occurs: at most places none of them is the one, and this says so from
    /// the processor's nearest cache.
    seen: Vec<u64>,
}

impl Index {
    fn of(base: &[&Signature]) -> Self {
        let mut index = Self {
            blocks: Vec::new(),
            tails: Vec::new(),
            seen: vec![0; 1 << 10],
        };
        let mut start = 0usize;
        for signature in base {
            for (offset, sum) in signature.blocks() {
                let len = BLOCK_BYTES.min(signature.chunk_len() - offset);
                let Ok(offset) = u32::try_from(start + offset) else {
                    break;
                };
                let block = Block { sum, offset };
                if len == BLOCK_BYTES {
                    let (word, bit) = place_of(sum);
                    index.seen[word] |= bit;
                    index.blocks.push(block);
                } else {
                    index.tails.push((block, len));
                }
            }
            start += signature.chunk_len();
        }
        index.blocks.sort_unstable();
        index
    }

    /// Where the base has a block like this; the one at `expected` when it is one of several.
    fn find(&self, sum: u64, expected: u32) -> Option<u32> {
        let (word, bit) = place_of(sum);
        if self.seen[word] & bit == 0 {
            return None;
        }
        let sought = Block {
            sum,
            offset: expected,
        };
        let place = self.blocks.partition_point(|block| *block < sought);
        // Behind what was copied last, else before it: all the same for the result, not for the delta's length.
        let candidates = [Some(place), place.checked_sub(1)].into_iter().flatten();
        let mut found = candidates.filter_map(|place| self.blocks.get(place));
        found.find(|block| block.sum == sum).map(|block| block.offset)
    }
}

/// The word and the bit of [`Index::seen`] for a sum.
const fn place_of(sum: u64) -> (usize, u64) {
    let upper = sum >> 32;
    ((upper >> 6) as usize, 1 << (upper & 63))
}

/// A delta that is being made.
struct Steps<'a> {
    plaintext: &'a [u8],
    out: Vec<u8>,
    /// Bytes of the plaintext that are in `out` or in `pending`.
    done: usize,
    /// A copy that may still grow: where it begins in the base, and its length.
    pending: Option<(u32, u32)>,
    /// Where the copy before `pending` ended in the base.
    written: u32,
    /// Where `pending` ends in the base.
    expected: u32,
}

impl<'a> Steps<'a> {
    const fn new(plaintext: &'a [u8]) -> Self {
        Self {
            plaintext,
            out: Vec::new(),
            done: 0,
            pending: None,
            written: 0,
            expected: 0,
        }
    }

    /// Copies `len` bytes of the base for those at `at`; what lies before becomes a literal.
    fn copy(&mut self, at: usize, offset: u32, len: usize) {
        let len = len as u32;
        self.literal(at);
        self.pending = match self.pending {
            Some((start, grown)) if offset == self.expected => Some((start, grown + len)),
            _ => {
                self.flush();
                Some((offset, len))
            }
        };
        self.expected = offset + len;
        self.done = at + len as usize;
    }

    /// Writes what lies before `at` and was not written.
    fn literal(&mut self, at: usize) {
        if at > self.done {
            self.flush();
            let literal = &self.plaintext[self.done..at];
            number::put(&mut self.out, (literal.len() as u32) << 1);
            self.out.extend_from_slice(literal);
            self.done = at;
        }
    }

    /// Writes the copy that was pending.
    fn flush(&mut self) {
        if let Some((start, len)) = self.pending.take() {
            number::put(&mut self.out, len << 1 | 1);
            let jump = start.wrapping_sub(self.written).cast_signed();
            number::put(&mut self.out, number::from_signed(jump));
            self.written = start + len;
        }
    }

    /// Ends the delta; the end of the plaintext may be the short last block of a chunk.
    fn finish(mut self, index: &Index) -> Vec<u8> {
        let rest = &self.plaintext[self.done..];
        let tail = index.tails.iter().find(|(block, len)| {
            rest.len() >= *len && Rolling::of(&rest[rest.len() - len..]).sum() == block.sum
        });
        if let Some((block, len)) = tail {
            self.copy(self.plaintext.len() - len, block.offset, *len);
        }
        self.literal(self.plaintext.len());
        self.flush();
        self.out
    }
}
