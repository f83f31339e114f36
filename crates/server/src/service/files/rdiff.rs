//! The formats of librsync: signatures of a file's blocks, and deltas against a file whose signature was made.
//!
//! They are those that `rdiff` reads and writes. A wrong delta makes wrong bytes, and nothing in it says so: whoever applies
//! one compares the result with the hash that it should have.
//!
//! *Source:* librsync 2.3, `src/librsync.h`, `src/rollsum.h`, `src/prototab.c`.

use blake2::Blake2b;
use blake2::digest::Digest;
use blake2::digest::consts::U32;
use bytes::{Buf, Bytes, BytesMut};

/// A signature with rolling sums of Adler's kind and BLAKE2b.
const SIGNATURE: u32 = 0x7273_0137;
const DELTA: u32 = 0x7273_0236;
/// Bytes of BLAKE2b that are kept of each block: no two blocks of a file of terabytes have the same by chance.
const STRONG_BYTES: usize = 16;
/// Bytes of each block in a signature.
const ENTRY_BYTES: u64 = 4 + STRONG_BYTES as u64;
const HEAD_BYTES: u64 = 12;
/// Shortest block.
pub(crate) const BLOCK_MIN_BYTES: u32 = 256;
/// Longest block.
pub(crate) const BLOCK_MAX_BYTES: u32 = 1 << 20;
/// Bytes of a step's head: one byte and two numbers of eight.
const MOST_HEAD: usize = 17;

/// The length of blocks that makes signature and delta short together: about the root of the file's.
pub(crate) fn usual_block(size: u64) -> u32 {
    let root = u32::try_from(size.isqrt()).unwrap_or(u32::MAX);
    (root & !127).clamp(512, 128 << 10)
}

/// How long the signature of a file is.
pub(crate) const fn signature_len(size: u64, block: u32) -> u64 {
    HEAD_BYTES + size.div_ceil(block as u64) * ENTRY_BYTES
}

/// Makes a signature of bytes as they come.
pub(crate) struct Signer {
    block: usize,
    /// Of a block that is not whole.
    rest: BytesMut,
}

impl Signer {
    /// Begins with blocks of so many bytes; the head of the signature comes with it.
    pub(crate) fn new(block: u32) -> (Self, Bytes) {
        let mut head = Vec::with_capacity(HEAD_BYTES as usize);
        for number in [SIGNATURE, block, STRONG_BYTES as u32] {
            head.extend_from_slice(&number.to_be_bytes());
        }
        let signer = Self {
            block: block as usize,
            rest: BytesMut::new(),
        };
        (signer, head.into())
    }

    /// What the next bytes add.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) -> Bytes {
        let mut out = Vec::new();
        if !self.rest.is_empty() {
            let lacking = (self.block - self.rest.len()).min(bytes.len());
            let (first, others) = bytes.split_at(lacking);
            self.rest.extend_from_slice(first);
            bytes = others;
            if self.rest.len() < self.block {
                return Bytes::new();
            }
            sign(&self.rest, &mut out);
            self.rest.clear();
        }
        let mut blocks = bytes.chunks_exact(self.block);
        for block in &mut blocks {
            sign(block, &mut out);
        }
        self.rest.extend_from_slice(blocks.remainder());
        out.into()
    }

    /// What the last block adds, which may be shorter.
    pub(crate) fn finish(self) -> Bytes {
        let mut out = Vec::new();
        if !self.rest.is_empty() {
            sign(&self.rest, &mut out);
        }
        out.into()
    }
}

fn sign(block: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&rolling(block).to_be_bytes());
    let strong = Blake2b::<U32>::digest(block);
    out.extend_from_slice(&strong[..STRONG_BYTES]);
}

/// The sum that a client rolls over its bytes.
fn rolling(block: &[u8]) -> u32 {
    const OFFSET: u32 = 31;
    let (mut plain, mut weighted) = (0u32, 0u32);
    for byte in block {
        plain = plain.wrapping_add(u32::from(*byte) + OFFSET);
        weighted = weighted.wrapping_add(plain);
    }
    (weighted << 16) | (plain & 0xffff)
}

/// One step of a delta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// These bytes, or the next part of them.
    Literal(Bytes),
    /// Bytes of the base.
    Copy {
        /// Where they begin.
        offset: u64,
        /// How many they are.
        len: u64,
    },
}

/// Bytes that are no delta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// Reads a delta as it comes.
#[derive(Default)]
pub(crate) struct DeltaReader {
    bytes: BytesMut,
    has_begun: bool,
    has_ended: bool,
    /// Bytes that the present literal still lacks.
    literal: u64,
}

impl DeltaReader {
    /// Takes the next bytes; what was taken before must be read first.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next step, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Step>, Malformed> {
        if !self.has_begun {
            let Some(magic) = self.bytes.first_chunk::<4>() else {
                return Ok(None);
            };
            if u32::from_be_bytes(*magic) != DELTA {
                return Err(Malformed);
            }
            self.bytes.advance(4);
            self.has_begun = true;
        }
        loop {
            if self.literal > 0 {
                return Ok(self.part_of_literal());
            }
            let Some(code) = self.bytes.first().copied() else {
                return Ok(None);
            };
            if self.has_ended {
                return Err(Malformed);
            }
            if self.bytes.len() < MOST_HEAD && self.bytes.len() <= numbers(code) {
                return Ok(None);
            }
            self.bytes.advance(1);
            match code {
                0 => self.has_ended = true,
                1..=0x40 => self.literal = u64::from(code),
                0x41..=0x44 => self.literal = self.number(code - 0x41),
                0x45..=0x54 => {
                    let (offset, len) = (self.number((code - 0x45) / 4), self.number((code - 0x45) % 4));
                    return match len {
                        0 => Err(Malformed),
                        len => Ok(Some(Step::Copy { offset, len })),
                    };
                }
                _ => return Err(Malformed),
            }
            if code != 0 && self.literal == 0 {
                return Err(Malformed);
            }
        }
    }

    /// Whether what was read is a whole delta.
    pub(crate) fn is_whole(&self) -> bool {
        self.has_ended && self.bytes.is_empty()
    }

    fn part_of_literal(&mut self) -> Option<Step> {
        let len = usize::try_from(self.literal).unwrap_or(usize::MAX);
        let part = self.bytes.split_to(len.min(self.bytes.len())).freeze();
        self.literal -= part.len() as u64;
        (!part.is_empty()).then_some(Step::Literal(part))
    }

    /// A number of 1, 2, 4 or 8 bytes, which are there.
    fn number(&mut self, width: u8) -> u64 {
        self.bytes.get_uint(1 << width)
    }
}

/// Bytes of the numbers behind a code.
const fn numbers(code: u8) -> usize {
    match code {
        0x41..=0x44 => 1 << (code - 0x41),
        0x45..=0x54 => (1 << ((code - 0x45) / 4)) + (1 << ((code - 0x45) % 4)),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(delta: &[u8], piece: usize) -> Result<(Vec<Step>, bool), Malformed> {
        let mut reader = DeltaReader::default();
        let mut steps: Vec<Step> = Vec::new();
        for piece in delta.chunks(piece) {
            reader.push(piece);
            while let Some(step) = reader.next()? {
                match (steps.last_mut(), step) {
                    (Some(Step::Literal(last)), Step::Literal(next)) => {
                        *last = [&last[..], &next[..]].concat().into();
                    }
                    (_, step) => steps.push(step),
                }
            }
        }
        Ok((steps, reader.is_whole()))
    }

    #[test]
    fn signatures_are_those_of_rdiff() {
        // Of a file of these bytes: `rdiff -b 256 -S 16 -H blake2 -R rollsum signature FILE`.
        const EXPECTED: &str = "727301370000010000000010\
             0fa199d545d503f4fc344944eeff959e1e2234c4\
             31d79a8414ba487c50b44ac41fa8acbf7def9045\
             6d8f719cc4edd461927fd99adf2e7074125f2299";
        let bytes: Vec<u8> = (0..700u32).map(|index| (index * 7 % 251) as u8).collect();
        assert_eq!(EXPECTED.len() as u64, 2 * signature_len(700, 256));
        for piece in [1, 3, 255, 256, 257, 512, 700] {
            let (mut signer, head) = Signer::new(256);
            let mut all = head.to_vec();
            for piece in bytes.chunks(piece) {
                all.extend_from_slice(&signer.update(piece));
            }
            all.extend_from_slice(&signer.finish());
            let found: String = all.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, EXPECTED, "{piece}");
        }
    }

    #[test]
    fn deltas_are_read_however_they_come() {
        let mut delta = b"rs\x02\x36\x03abc\x41\x04defg\x45\x07\x09\x4a\x01\x00\x02\x00".to_vec();
        delta.extend_from_slice(b"\x54\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x05\x42\x00\x01z\x00");
        let expected = vec![
            Step::Literal(Bytes::from_static(b"abcdefg")),
            Step::Copy { offset: 7, len: 9 },
            Step::Copy {
                offset: 256,
                len: 512,
            },
            Step::Copy {
                offset: 1 << 32,
                len: 5,
            },
            Step::Literal(Bytes::from_static(b"z")),
        ];
        for piece in 1..delta.len() {
            assert_eq!(steps(&delta, piece), Ok((expected.clone(), true)), "{piece}");
        }
        // Cut anywhere it is not whole, and never more than it was.
        for len in 0..delta.len() {
            let (found, is_whole) = steps(&delta[..len], 4).unwrap();
            assert!(!is_whole && found.len() <= expected.len(), "{len}");
        }
    }

    #[test]
    fn what_is_no_delta_is_refused() {
        for wrong in [
            &b"rs\x01\x36\0"[..],
            b"nonsense",
            b"rs\x02\x36\x55",
            b"rs\x02\x36\xff",
            b"rs\x02\x36\x41\0",
            b"rs\x02\x36\x45\x01\0",
            b"rs\x02\x36\0\0",
            b"rs\x02\x36\0a",
        ] {
            assert_eq!(steps(wrong, 1), Err(Malformed), "{wrong:?}");
            assert_eq!(steps(wrong, 100), Err(Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn blocks_grow_with_the_file() {
        assert_eq!(usual_block(0), 512);
        assert_eq!(usual_block(1 << 30), 32 << 10);
        assert_eq!(usual_block(u64::MAX), 128 << 10);
    }
}
