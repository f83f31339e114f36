use super::*;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_oneof, proptest};

fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"noise").finalize_xof().fill(&mut bytes);
    bytes
}

fn text(len: usize) -> Vec<u8> {
    b"{\"name\": \"a stone on a stone\", \"size\": 17}\n"
        .iter()
        .copied()
        .cycle()
        .take(len)
        .collect()
}

#[test]
fn text_shrinks_and_noise_stays_raw() {
    let chunk = encode_chunk(&text(64 * 1024));
    assert_eq!(chunk.codec, Codec::Zstd);
    assert!(chunk.bytes.len() < 1024);
    for len in [0, 1, 100, 5_000, 64 * 1024, PLAIN_MAX_BYTES] {
        let chunk = encode_chunk(&noise(len));
        assert_eq!((chunk.codec, chunk.bytes.len()), (Codec::Raw, len));
    }
}

#[test]
fn a_chunk_under_another_name_is_refused() {
    let chunk = encode_chunk(b"one thing");
    let other = ChunkHash::of(b"another");
    assert!(matches!(
        decode_chunk(&chunk, &other),
        Err(CodecError::Hash { .. })
    ));
}

#[test]
fn lying_lengths_are_refused_without_allocating_them() {
    let plaintext = text(64 * 1024);
    let hash = ChunkHash::of(&plaintext);
    let good = encode_chunk(&plaintext);
    let claim = |plain_len| EncodedChunk {
        plain_len,
        ..good.clone()
    };
    assert!(matches!(
        decode_chunk(&claim(u32::MAX), &hash),
        Err(CodecError::TooLong { .. })
    ));
    assert!(matches!(
        decode_chunk(&claim(64 * 1024 - 1), &hash),
        Err(CodecError::Zstd { .. })
    ));
    assert!(matches!(
        decode_chunk(&claim(64 * 1024 + 1), &hash),
        Err(CodecError::Length { .. })
    ));
    assert!(matches!(
        decode_chunk(&claim(1), &hash),
        Err(CodecError::Length { .. })
    ));
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
    let bomb = EncodedChunk {
        plain_len: PLAIN_MAX_BYTES as u32,
        bytes: bomb.into(),
        ..good
    };
    assert!(matches!(decode_chunk(&bomb, &hash), Err(CodecError::Zstd { .. })));
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut chunk = encode_chunk(b"stone");
    chunk.plain_crc32 ^= 1;
    assert!(matches!(
        decode_chunk(&chunk, &ChunkHash::of(b"stone")),
        Err(CodecError::Checksum)
    ));
}

fn plaintexts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..3000),
        (0..PLAIN_MAX_BYTES).prop_map(noise),
        (0..PLAIN_MAX_BYTES).prop_map(text),
        (0..40_000usize, 0..40_000usize).prop_map(|(a, b)| [noise(a), text(b)].concat()),
    ]
}

proptest! {
    #[test]
    fn every_plaintext_comes_back(plaintext in plaintexts()) {
        let chunk = encode_chunk(&plaintext);
        let back = decode_chunk(&chunk, &ChunkHash::of(&plaintext)).unwrap();
        prop_assert_eq!(&back[..], &plaintext[..]);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), plain_len: u32, zstd: bool) {
        let codec = if zstd { Codec::Zstd } else { Codec::Raw };
        let chunk = EncodedChunk { codec, plain_len, plain_crc32: 0, bytes: bytes.into() };
        let _ = decode_chunk(&chunk, &ChunkHash::of(b""));
    }
}
