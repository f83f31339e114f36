use proptest::collection::vec;
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{Chunker, Cutter, cut};
use crate::limits::{CHUNK_AVG_BYTES, CHUNK_MAX_BYTES, CHUNK_MIN_BYTES};

/// The first `len` bytes of BLAKE3's output stream over `seed`.
fn stream(seed: &str, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(seed.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Where the chunks of `data` end.
fn cuts(data: &[u8]) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut start = 0;
    while start < data.len() {
        start += cut(&data[start..]);
        ends.push(start);
    }
    ends
}

/// The same by the specification's letter: the window is hashed anew at every place.
fn slow_cut(data: &[u8]) -> usize {
    for len in CHUNK_MIN_BYTES..data.len().min(CHUNK_MAX_BYTES) {
        let hash = data[len - 64..len].iter().fold(0u64, |hash, &byte| {
            hash.wrapping_mul(2).wrapping_add(super::GEAR[usize::from(byte)])
        });
        let zero_bits = if len <= CHUNK_AVG_BYTES { 18 } else { 14 };
        if hash >> (64 - zero_bits) == 0 {
            return len;
        }
    }
    data.len().min(CHUNK_MAX_BYTES)
}

fn chunks(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut chunker = Chunker::new();
    let mut chunks = Vec::new();
    for piece in pieces {
        let mut input = *piece;
        while let Some(chunk) = chunker.next_chunk(&mut input) {
            chunks.push(chunk.to_vec());
        }
        assert!(input.is_empty());
    }
    chunks.extend(chunker.last_chunk().map(<[u8]>::to_vec));
    chunks
}

#[test]
fn cuts_are_where_the_format_says() {
    // Computed by another implementation from docs/formats-content.md.
    assert_eq!(
        cuts(&stream("cairn chunker vector 1", 1 << 20)),
        [
            57328, 143984, 194028, 260601, 290681, 390242, 471759, 523683, 639296, 730512, 807218, 906949,
            994312, 1048576
        ]
    );
    assert_eq!(
        cuts(&stream("cairn chunker vector 2", 1 << 20)),
        [
            75012, 149451, 201666, 284634, 388504, 459622, 541747, 615168, 681248, 754394, 823145, 891587,
            974382, 1030986, 1048576
        ]
    );
}

#[test]
fn uniform_bytes_become_the_largest_chunks() {
    assert_eq!(cuts(&vec![0; 600_000]), [262_144, 524_288, 600_000]);
    assert_eq!(cuts(&vec![0xff; 262_145]), [262_144, 262_145]);
}

#[test]
fn short_data_is_one_chunk_and_no_data_is_none() {
    assert_eq!(cut(&[]), 0);
    assert_eq!(cut(&[7]), 1);
    assert_eq!(cut(&stream("short", CHUNK_MIN_BYTES)), CHUNK_MIN_BYTES);
    assert!(chunks(&[]).is_empty());
    assert!(chunks(&[&[], &[]]).is_empty());
    assert_eq!(chunks(&[b"a", b"", b"b"]), [b"ab"]);
}

#[test]
fn cuts_follow_the_definition_to_the_letter() {
    for seed in ["one", "two", "three", "four", "five", "six"] {
        let data = stream(seed, 2 * CHUNK_MAX_BYTES);
        assert_eq!(cut(&data), slow_cut(&data), "{seed}");
    }
}

#[test]
fn lengths_average_near_seventy_three_kibibytes() {
    // 16 KiB + 256 KiB * (1 - exp(-48/256)) + exp(-48/256) * 16 KiB = 73.0 KiB.
    let data = stream("mean", 64 << 20);
    let ends = cuts(&data);
    let mean = data.len() / ends.len();
    assert!((70 * 1024..76 * 1024).contains(&mean), "{mean}");
}

#[test]
fn a_chunker_serves_one_file_after_another() {
    let mut chunker = Chunker::new();
    for _ in 0..2 {
        let data = stream("again", 300_000);
        let mut input = data.as_slice();
        let mut ends = Vec::new();
        while let Some(chunk) = chunker.next_chunk(&mut input) {
            ends.push(ends.last().unwrap_or(&0) + chunk.len());
        }
        ends.extend(chunker.last_chunk().map(|chunk| data.len() - chunk.len()));
        assert_eq!(chunker.last_chunk(), None);
        assert_eq!(ends[..ends.len() - 1], cuts(&data)[..ends.len() - 1]);
    }
}

proptest! {
    #![proptest_config(proptest::test_runner::Config::with_cases(48))]

    #[test]
    fn chunks_hold_the_input_and_keep_the_bounds(
        seed in any::<u64>(),
        len in 0usize..1_500_000,
        piece_lens in vec(1usize..200_000, 1..6),
    ) {
        let data = stream(&seed.to_string(), len);
        let mut pieces = Vec::new();
        let mut rest = data.as_slice();
        for piece_len in piece_lens.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at(rest.len().min(*piece_len));
            pieces.push(piece);
            rest = after;
        }
        let chunks = chunks(&pieces);
        prop_assert_eq!(chunks.concat(), data.clone());
        let mut end = 0;
        let ends: Vec<usize> = chunks.iter().map(|chunk| { end += chunk.len(); end }).collect();
        prop_assert_eq!(ends, cuts(&data));
        for (index, chunk) in chunks.iter().enumerate() {
            prop_assert!(chunk.len() <= CHUNK_MAX_BYTES && !chunk.is_empty());
            prop_assert!(chunk.len() >= CHUNK_MIN_BYTES || index + 1 == chunks.len());
        }
    }

    #[test]
    fn bytes_fed_one_by_one_are_cut_alike(seed in any::<u64>()) {
        let data = stream(&seed.to_string(), 400_000);
        let mut cutter = Cutter::new();
        let ends: Vec<usize> =
            (1..=data.len()).filter(|end| cutter.feed(&data[end - 1..*end]).is_some()).collect();
        let expected = cuts(&data);
        prop_assert_eq!(&ends[..], &expected[..ends.len()]);
        prop_assert_eq!(cutter.pending_len(), data.len() - ends.last().unwrap_or(&0));
        prop_assert!(expected.len() <= ends.len() + 1);
    }

    #[test]
    fn cuts_fall_into_step_after_an_edit(
        seed in any::<u64>(),
        place in any::<prop::sample::Index>(),
        inserted in vec(any::<u8>(), 0..3_000),
        removed_len in 0usize..3_000,
    ) {
        let data = stream(&seed.to_string(), 6_000_000);
        let place = place.index(data.len() / 2);
        let edited = [&data[..place], &inserted, &data[place + removed_len..]].concat();
        let before = cuts(&data);
        let after = cuts(&edited);
        // In front of the edit nothing changes.
        let kept = before.iter().filter(|end| **end <= place).count();
        prop_assert_eq!(&before[..kept], &after[..kept]);
        // Behind it the cuts soon coincide, and from there on all do.
        let shifted: Vec<usize> = before
            .iter()
            .filter(|end| **end >= place + removed_len)
            .map(|end| end + inserted.len() - removed_len)
            .collect();
        let joined = shifted.iter().position(|end| after.binary_search(end).is_ok());
        let joined = joined.unwrap_or(shifted.len());
        prop_assert!(joined <= 20, "in step only after {joined} chunks");
        let from = after.binary_search(&shifted[joined]).unwrap_or(after.len());
        prop_assert_eq!(&after[from..], &shifted[joined..]);
    }
}
