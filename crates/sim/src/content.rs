//! The bytes that users write: different for every write, so that the name of the bytes stands for the write.

use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::FileId;
use cairn_testkit::random::Random;

/// The shortest content that is surely different from all others.
pub const SHORTEST_UNIQUE: u64 = 8;

/// The n-th piece of bytes that a step writes. An empty one is empty, any other has at least
/// [`SHORTEST_UNIQUE`] bytes.
pub fn bytes(seed: u64, step: u64, piece: u64, size: u64) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    let salt = blake3::hash(&[seed.to_le_bytes(), step.to_le_bytes(), piece.to_le_bytes()].concat());
    let mut first = [0; 8];
    first.copy_from_slice(&salt.as_bytes()[..8]);
    let mut random = Random::new(u64::from_le_bytes(first));
    let size = size.max(SHORTEST_UNIQUE) as usize;
    if random.below(4) == 0 {
        return random.bytes(size);
    }
    // Text, which compresses and in which three-way merges find lines.
    let mut text = format!("{:08x}\n", random.next() as u32).into_bytes();
    while text.len() < size {
        text.extend_from_slice(format!("line {}\n", random.below(1 << 20)).as_bytes());
    }
    text.truncate(size);
    text
}

/// The bytes of a twin, which follow from its number alone.
pub fn twin(number: u64) -> Vec<u8> {
    bytes(0x7717, number, 0, 40 + number * 100)
}

/// The name of the bytes, as the journal has it.
pub fn name_of(bytes: &[u8]) -> FileId {
    let mut hasher = FileHasher::new();
    hasher
        .update(bytes)
        .and_then(|()| hasher.finish())
        .map_or(FileId::new([0; 32]), |summary| summary.content.file_id)
}
