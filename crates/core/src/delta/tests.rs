use proptest::prelude::*;

use super::*;

/// Bytes without a pattern, the same for the same seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}

/// Makes and applies a delta; returns how long it was.
fn there_and_back(base: &[&[u8]], plaintext: &[u8]) -> usize {
    let signatures: Vec<_> = base
        .iter()
        .map(|chunk| Signature::decode(&Signature::of(chunk).encode()).unwrap())
        .collect();
    let delta = make(&signatures.iter().collect::<Vec<_>>(), plaintext);
    let made = apply(&base.concat(), &delta, plaintext.len()).unwrap();
    assert!(made == plaintext, "another chunk of {} bytes", made.len());
    delta.len()
}

#[test]
fn a_byte_changed_costs_a_block() {
    let old = noise(1, 80 * 1024);
    for at in [0, 1, 511, 512, 40_000, old.len() - 1] {
        let mut new = old.clone();
        new[at] ^= 0x40;
        assert!(there_and_back(&[&old], &new) <= BLOCK_BYTES + 20);
    }
    assert_eq!(Signature::of(&old).encode().len(), 4 + 160 * 6);
}

#[test]
fn no_change_of_one_byte_hides_in_a_block() {
    let old = noise(15, BLOCK_BYTES);
    let signature = Signature::of(&old);
    for at in 0..BLOCK_BYTES {
        for bit in 0..8 {
            let mut new = old.clone();
            new[at] ^= 1 << bit;
            assert_ne!(Signature::of(&new), signature, "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn what_moved_is_found_again() {
    let old = noise(2, 80 * 1024);
    for at in [0, 300, 40_000, old.len()] {
        let new = [&old[..at], &noise(3, 1_024)[..], &old[at..]].concat();
        assert!(there_and_back(&[&old], &new) <= 1_024 + BLOCK_BYTES + 30);
        let cut = at.min(old.len() - 1_000);
        let new = [&old[..cut], &old[cut + 1_000..]].concat();
        assert!(there_and_back(&[&old], &new) <= 2 * BLOCK_BYTES + 30);
    }
    let unrelated = noise(4, 80 * 1024);
    assert!(there_and_back(&[&old], &unrelated) <= unrelated.len() + 4);
}

#[test]
fn several_chunks_are_one_base() {
    let chunks = [noise(5, 70_001), noise(6, 20_000), noise(7, 100_000)];
    let old = chunks.concat();
    // The cuts fell elsewhere: one chunk now reaches over all three, from within the first to within the last.
    let new = &old[50_000..50_000 + 130_000];
    let base: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
    assert!(there_and_back(&base, new) <= 4 * BLOCK_BYTES + 60);
    assert!(there_and_back(&base, &old[..CHUNK_MAX_BYTES.min(old.len())]) <= 4 * BLOCK_BYTES);
}

#[test]
fn repeated_blocks_are_one_copy() {
    let zeros = vec![0; CHUNK_MAX_BYTES];
    assert!(there_and_back(&[&zeros], &zeros) <= 8);
    assert!(there_and_back(&[&zeros], &zeros[..100_000]) <= 520);
    assert!(there_and_back(&[&zeros[..700]], &zeros) <= 5_000);
}

#[test]
fn the_shortest_chunks_are_no_exception() {
    let old = noise(8, 511);
    assert!(there_and_back(&[&old], &old) <= 4);
    assert_eq!(there_and_back(&[], &old), 511 + 2);
    assert!(there_and_back(&[&old], &[&noise(9, 40)[..], &old].concat()) <= 50);
    assert_eq!(there_and_back(&[&old], &old[..1]), 2);
    assert_eq!(there_and_back(&[&old], b""), 0);
}

#[test]
fn a_signature_of_other_bytes_only_spoils_the_result() {
    // Sums that say of the base what it is not: what comes out is as long as it should be, and something else.
    let (claimed, real) = (noise(10, 30_000), noise(11, 30_000));
    let delta = make(&[&Signature::of(&claimed)], &claimed);
    let made = apply(&real, &delta, claimed.len()).unwrap();
    assert_ne!(made, claimed);
}

#[test]
fn a_delta_reaches_neither_beyond_the_base_nor_beyond_its_promise() {
    let delta = |steps: &[u32], rest: &[u8]| {
        let mut bytes = Vec::new();
        steps.iter().for_each(|step| number::put(&mut bytes, *step));
        bytes.extend_from_slice(rest);
        bytes
    };
    let base = noise(12, 1_000);
    let copy = |len: u32, jump: i32| delta(&[len << 1 | 1, number::from_signed(jump)], b"");
    assert_eq!(apply(&base, &copy(1_000, 0), 1_000).unwrap(), base);
    assert_eq!(apply(&base, &copy(1_000, 1), 1_000), Err(DeltaError::OutOfBase));
    assert_eq!(apply(&base, &copy(1, -1), 1), Err(DeltaError::OutOfBase));
    assert_eq!(apply(&base, &copy(1, i32::MAX), 1), Err(DeltaError::OutOfBase));
    assert_eq!(apply(&base, &copy(1, i32::MIN), 1), Err(DeltaError::OutOfBase));
    assert_eq!(apply(&base, &copy(2, 0), 1), Err(DeltaError::TooLong));
    assert_eq!(
        apply(&base, &copy(1, 0), 2),
        Err(DeltaError::Short {
            expected: 2,
            found: 1
        })
    );
    assert_eq!(apply(&base, &[], CHUNK_MAX_BYTES + 1), Err(DeltaError::TooLong));
    for malformed in [
        delta(&[0], b""),
        delta(&[5 << 1], b"four"),
        vec![0x80],
        delta(&[3], b""),
    ] {
        assert_eq!(apply(&base, &malformed, 10), Err(DeltaError::Malformed));
    }
}

#[test]
fn signatures_that_do_not_fit_are_refused() {
    let good = Signature::of(&noise(13, 1_025)).encode();
    assert_eq!(good.len(), 1 + 2 + 3 * 6);
    assert_eq!(Signature::decode(&good).unwrap().chunk_len(), 1_025);
    assert_eq!(Signature::decode(&[]), Err(SignatureError::Head));
    assert_eq!(Signature::decode(&[2, 1]), Err(SignatureError::Head));
    assert_eq!(Signature::decode(&[1, 0x80]), Err(SignatureError::Head));
    assert_eq!(Signature::decode(&[1, 0]), Err(SignatureError::ChunkLength(0)));
    let mut long = vec![1];
    number::put(&mut long, CHUNK_MAX_BYTES as u32 + 1);
    assert_eq!(
        Signature::decode(&long),
        Err(SignatureError::ChunkLength(CHUNK_MAX_BYTES as u32 + 1))
    );
    let sums = |found| SignatureError::Sums { expected: 18, found };
    assert_eq!(Signature::decode(&good[..good.len() - 1]), Err(sums(17)));
    assert_eq!(Signature::decode(&[&good[..], &[0]].concat()), Err(sums(19)));
}

/// The signature of the documentation, so that it cannot change unseen.
#[test]
fn the_format_stays() {
    let signature = Signature::of(b"cairn").encode();
    assert_eq!(signature.len(), 8);
    expect_test::expect!["0105956c1c3440f9"].assert_eq(&hex(&signature));
    let old = noise(14, 1_024);
    let new = [&old[512..], &b"!"[..], &old[..512]].concat();
    let delta = make(&[&Signature::of(&old)], &new);
    expect_test::expect!["8108800802218108ff0f"].assert_eq(&hex(&delta));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// How a test's new bytes come from the old ones.
#[derive(Debug, Clone)]
enum Part {
    Old { start: usize, len: usize },
    New { seed: u64, len: usize },
    Same { byte: u8, len: usize },
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let part = prop_oneof![
        4 => (0..200_000usize, 1..60_000usize).prop_map(|(start, len)| Part::Old { start, len }),
        2 => (any::<u64>(), 1..3_000usize).prop_map(|(seed, len)| Part::New { seed, len }),
        1 => (any::<u8>(), 1..5_000usize).prop_map(|(byte, len)| Part::Same { byte, len }),
    ];
    prop::collection::vec(part, 0..8)
}

fn assemble(old: &[u8], parts: &[Part]) -> Vec<u8> {
    let mut new = Vec::new();
    for part in parts {
        match part {
            Part::Old { start, len } => {
                let start = (*start).min(old.len());
                new.extend_from_slice(&old[start..(start + len).min(old.len())]);
            }
            Part::New { seed, len } => new.extend(noise(*seed, *len)),
            Part::Same { byte, len } => new.extend(std::iter::repeat_n(*byte, *len)),
        }
    }
    new.truncate(CHUNK_MAX_BYTES);
    new
}

proptest! {
    #[test]
    fn every_delta_makes_what_it_was_made_for(
        chunks in prop::collection::vec((any::<u64>(), 1..80_000usize), 0..4),
        parts in parts(),
    ) {
        let chunks: Vec<_> = chunks.into_iter().map(|(seed, len)| noise(seed, len)).collect();
        let new = assemble(&chunks.concat(), &parts);
        let base: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
        let len = there_and_back(&base, &new);
        prop_assert!(len <= new.len() + 4, "{len} bytes for {}", new.len());
    }

    #[test]
    fn any_signature_makes_a_delta_that_ends(
        len in 1..4_000u32,
        sums in prop::collection::vec(any::<[u8; 6]>(), 8),
        new in prop::collection::vec(any::<u8>(), 0..5_000),
    ) {
        let mut bytes = vec![1];
        number::put(&mut bytes, len);
        bytes.extend(sums.into_iter().flatten());
        bytes.truncate(bytes.len() - (8 - (len as usize).div_ceil(BLOCK_BYTES)) * 6);
        let signature = Signature::decode(&bytes).unwrap();
        prop_assert_eq!(signature.encode(), bytes);
        let delta = make(&[&signature], &new);
        let made = apply(&vec![0; len as usize], &delta, new.len());
        prop_assert_eq!(made.map(|made| made.len()), Ok(new.len()));
    }

    #[test]
    fn any_bytes_are_applied_within_bounds_or_refused(
        base in prop::collection::vec(any::<u8>(), 0..600),
        delta in prop::collection::vec(any::<u8>(), 0..200),
        plain_len in 0..2_000usize,
    ) {
        if let Ok(made) = apply(&base, &delta, plain_len) {
            prop_assert_eq!(made.len(), plain_len);
        }
        drop(Signature::decode(&delta));
    }
}
