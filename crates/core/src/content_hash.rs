//! Dropbox's content hash: SHA-256 over the SHA-256s of a file's 4 MiB blocks.
//!
//! *Source:* Dropbox's developer guide, "Content hash". Never used for identity or dedup.

use sha2::{Digest, Sha256};

use crate::ids::ContentHash;

/// Bytes of a block; only a file's last block may be shorter.
pub const CONTENT_HASH_BLOCK_BYTES: usize = 4 * 1024 * 1024;

/// Hashes a file's bytes as they come, in constant memory.
#[derive(Debug, Clone, Default)]
pub struct ContentHasher {
    blocks: Sha256,
    block: Sha256,
    block_len: usize,
}

impl ContentHasher {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let len = data.len().min(CONTENT_HASH_BLOCK_BYTES - self.block_len);
            let (head, rest) = data.split_at(len);
            self.block.update(head);
            self.block_len += len;
            data = rest;
            if self.block_len == CONTENT_HASH_BLOCK_BYTES {
                self.end_block();
            }
        }
    }

    /// The hash of all bytes taken. That of an empty file is the SHA-256 of nothing.
    pub fn finish(mut self) -> ContentHash {
        if self.block_len > 0 {
            self.end_block();
        }
        ContentHash::new(self.blocks.finalize().into())
    }

    fn end_block(&mut self) {
        self.blocks.update(self.block.finalize_reset());
        self.block_len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_hash(pieces: &[&[u8]]) -> String {
        let mut hasher = ContentHasher::new();
        for piece in pieces {
            hasher.update(piece);
        }
        hasher.finish().to_string()
    }

    /// Byte `i` is `i mod 251`, so that no two blocks are alike.
    fn counting(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn hashes_equal_those_of_another_implementation() {
        // From Python's hashlib; see docs/formats-content.md.
        for (len, expected) in [
            (
                0,
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
            (
                1,
                "1406e05881e299367766d313e26c05564ec91bf721d31726bd6e46e60689539a",
            ),
            (
                CONTENT_HASH_BLOCK_BYTES - 1,
                "e1d05b9adf4293b7fec11b099ce74116fc06dfa733a9833be9166ab4c769da43",
            ),
            (
                CONTENT_HASH_BLOCK_BYTES,
                "b9654428408015906b44a00935b70af33830aa344b780b0eabd535a133150d04",
            ),
            (
                CONTENT_HASH_BLOCK_BYTES + 1,
                "4a6cc0a344febaa07772e7c974834b2fb1d24594d4ba15f27c97a54699709f44",
            ),
            (
                10_000_000,
                "adcedd7b0933aef0bdf54a73c43b77526b6ff90b1a303d2cd235f44161b65177",
            ),
        ] {
            assert_eq!(content_hash(&[&counting(len)]), expected, "{len}");
        }
    }

    #[test]
    fn the_hash_does_not_depend_on_the_pieces() {
        let data = counting(2 * CONTENT_HASH_BLOCK_BYTES + 4321);
        let whole = content_hash(&[&data]);
        for piece_len in [1_000_003, CONTENT_HASH_BLOCK_BYTES, CONTENT_HASH_BLOCK_BYTES + 1] {
            let pieces: Vec<&[u8]> = data.chunks(piece_len).collect();
            assert_eq!(content_hash(&pieces), whole, "{piece_len}");
        }
    }
}
