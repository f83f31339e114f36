//! How what turns one chunk into another is encoded: steps made from signatures, or a zstd frame made from the base.

use bytes::Bytes;
use cairn_core::delta::{BASE_BYTES, Signature, apply, make};
use cairn_core::ids::ChunkHash;
use zstd::zstd_safe::{CCtx, CParameter, DCtx};

use crate::compress::{expand, shrink};
use crate::{CodecError, PLAIN_MAX_BYTES};

/// Zstd's level for patches. Below 3 a base that is longer than the level's tables is not found again.
const PATCH_LEVEL: i32 = 3;
/// The window of a patch, as a power of two: the longest base and the longest chunk lie in it.
const PATCH_WINDOW_LOG: u32 = 21;
/// Bytes of steps beyond those of the plaintext: a copy and the head of the literal behind it take 12 at most, and a copy
/// stands for 512.
const STEPS_SPARE: (usize, usize) = (32, 64);

/// How a delta's bytes are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeltaForm {
    /// Steps of [`cairn_core::delta`], as they are.
    Steps,
    /// The same in one zstd frame.
    ZstdSteps,
    /// The chunk in one zstd frame, with the base as prefix.
    Patch,
}

/// What turns a base into a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedDelta {
    /// How `bytes` are encoded.
    pub form: DeltaForm,
    /// Length of the chunk's plaintext in bytes.
    pub plain_len: u32,
    /// The encoded bytes.
    pub bytes: Bytes,
}

/// Makes a delta against a base that is known by the signatures of its chunks.
pub fn encode_delta(base: &[&Signature], plaintext: &[u8]) -> EncodedDelta {
    let steps = make(base, plaintext);
    let (form, bytes) = match shrink(&steps) {
        Some(smaller) => (DeltaForm::ZstdSteps, smaller),
        None => (DeltaForm::Steps, steps),
    };
    EncodedDelta {
        form,
        plain_len: len_of(plaintext),
        bytes: bytes.into(),
    }
}

/// Makes a delta against a base that is at hand; `None` when zstd fails, which is no failure: the chunk travels whole.
///
/// Some tens of bytes for a change of one. 1 to 2 ms for a base of 256 KiB, and some megabytes of memory.
pub fn encode_patch(base: &[u8], plaintext: &[u8]) -> Option<EncodedDelta> {
    let mut context = CCtx::create();
    for parameter in [
        CParameter::CompressionLevel(PATCH_LEVEL),
        CParameter::WindowLog(PATCH_WINDOW_LOG),
        CParameter::EnableLongDistanceMatching(true),
        // The length is in front of the frame already.
        CParameter::ContentSizeFlag(false),
        CParameter::ChecksumFlag(false),
    ] {
        context.set_parameter(parameter).ok()?;
    }
    context.ref_prefix(base).ok()?;
    let mut bytes = Vec::with_capacity(zstd::zstd_safe::compress_bound(plaintext.len()));
    context.compress2(&mut bytes, plaintext).ok()?;
    bytes.shrink_to_fit();
    Some(EncodedDelta {
        form: DeltaForm::Patch,
        plain_len: len_of(plaintext),
        bytes: bytes.into(),
    })
}

/// Makes the chunk from its base and checks that it is what `expected` names.
///
/// Never allocates more than a chunk's length twice over, whatever `delta` claims.
///
/// # Errors
/// [`CodecError`]: the chunk must be had in another way.
pub fn decode_delta(delta: &EncodedDelta, base: &[u8], expected: &ChunkHash) -> Result<Bytes, CodecError> {
    let plain_len = delta.plain_len as usize;
    if plain_len > PLAIN_MAX_BYTES || base.len() > BASE_BYTES {
        return Err(CodecError::TooLong {
            plain_len: delta.plain_len,
        });
    }
    let steps = |steps: &[u8]| apply(base, steps, plain_len).map_err(|source| CodecError::Delta { source });
    let plaintext = match delta.form {
        DeltaForm::Steps => steps(&delta.bytes)?,
        DeltaForm::ZstdSteps => {
            let most = plain_len + plain_len / STEPS_SPARE.0 + STEPS_SPARE.1;
            steps(&expand(&delta.bytes, most)?)?
        }
        DeltaForm::Patch => unpatch(&delta.bytes, base, plain_len)?,
    };
    let found = ChunkHash::of(&plaintext);
    if plaintext.len() != plain_len {
        return Err(CodecError::Length {
            expected: delta.plain_len,
            found: plaintext.len(),
        });
    }
    if found != *expected {
        return Err(CodecError::Hash {
            expected: *expected,
            found,
        });
    }
    Ok(plaintext.into())
}

fn unpatch(bytes: &[u8], base: &[u8], plain_len: usize) -> Result<Vec<u8>, CodecError> {
    let failed = |code| CodecError::Zstd {
        source: std::io::Error::other(zstd::zstd_safe::get_error_name(code)),
    };
    let mut context = DCtx::create();
    context.ref_prefix(base).map_err(failed)?;
    let mut plaintext = Vec::with_capacity(plain_len);
    context.decompress(&mut plaintext, bytes).map_err(failed)?;
    Ok(plaintext)
}

fn len_of(plaintext: &[u8]) -> u32 {
    u32::try_from(plaintext.len()).expect("a chunk is at most PLAIN_MAX_BYTES long")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut state = seed | 1;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(len)
        .collect()
    }

    /// Each form of the delta from a base to a chunk.
    fn forms(base: &[u8], plaintext: &[u8]) -> [EncodedDelta; 2] {
        let signatures: Vec<_> = base.chunks(PLAIN_MAX_BYTES).map(Signature::of).collect();
        [
            encode_delta(&signatures.iter().collect::<Vec<_>>(), plaintext),
            encode_patch(base, plaintext).unwrap(),
        ]
    }

    #[test]
    fn a_patch_of_a_byte_is_short_whatever_the_base() {
        for base_len in [1_000, 80 * 1024, 256 * 1024, BASE_BYTES] {
            let base = noise(7, base_len);
            let mut new = base[base_len.saturating_sub(PLAIN_MAX_BYTES)..].to_vec();
            let middle = new.len() / 2;
            new[middle] ^= 1;
            let patch = encode_patch(&base, &new).unwrap();
            assert!(
                patch.bytes.len() < 80,
                "{} bytes for a base of {base_len}",
                patch.bytes.len()
            );
            let made = decode_delta(&patch, &base, &ChunkHash::of(&new)).unwrap();
            assert_eq!(&made[..], &new[..]);
        }
    }

    #[test]
    fn literals_of_a_delta_are_compressed() {
        let base = noise(8, 80_000);
        let text = "all work and no play makes a dull chunk. ".repeat(100);
        let new = [&base[..30_000], text.as_bytes(), &base[30_000..]].concat();
        let [delta, _] = forms(&base, &new);
        assert_eq!(delta.form, DeltaForm::ZstdSteps);
        assert!(delta.bytes.len() < 900, "{}", delta.bytes.len());
        assert_eq!(
            &decode_delta(&delta, &base, &ChunkHash::of(&new)).unwrap()[..],
            &new[..]
        );
    }

    #[test]
    fn another_base_another_name_and_another_length_are_refused() {
        let (base, new) = (noise(9, 50_000), noise(9, 60_000));
        for delta in forms(&base, &new) {
            let name = ChunkHash::of(&new);
            assert!(decode_delta(&delta, &base, &name).is_ok());
            assert!(decode_delta(&delta, &noise(10, 50_000), &name).is_err());
            assert!(decode_delta(&delta, &[], &name).is_err());
            assert!(decode_delta(&delta, &base, &ChunkHash::of(b"another")).is_err());
            for plain_len in [0, 59_999, 60_001, PLAIN_MAX_BYTES as u32 + 1, u32::MAX] {
                let other = EncodedDelta {
                    plain_len,
                    ..delta.clone()
                };
                assert!(decode_delta(&other, &base, &name).is_err(), "{plain_len}");
            }
        }
        let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap();
        for form in [DeltaForm::Steps, DeltaForm::ZstdSteps, DeltaForm::Patch] {
            let bomb = EncodedDelta {
                form,
                plain_len: PLAIN_MAX_BYTES as u32,
                bytes: bomb.clone().into(),
            };
            assert!(decode_delta(&bomb, &base, &ChunkHash::of(b"")).is_err());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_form_comes_back(
            base in 0..300_000usize, from in 0..300_000usize, len in 0..200_000usize, new in 0..5_000usize, at in 0..100_000usize,
        ) {
            let base = noise(11, base);
            let from = from.min(base.len());
            let mut plaintext = base[from..base.len().min(from + len)].to_vec();
            plaintext.splice(at.min(plaintext.len())..at.min(plaintext.len()), noise(12, new));
            for delta in forms(&base, &plaintext) {
                let made = decode_delta(&delta, &base, &ChunkHash::of(&plaintext)).unwrap();
                prop_assert_eq!(&made[..], &plaintext[..]);
            }
        }

        #[test]
        fn arbitrary_deltas_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), plain_len: u32, form in 0..3u8) {
            let form = [DeltaForm::Steps, DeltaForm::ZstdSteps, DeltaForm::Patch][usize::from(form)];
            let delta = EncodedDelta { form, plain_len, bytes: bytes.into() };
            drop(decode_delta(&delta, b"a base", &ChunkHash::of(b"")));
        }
    }
}
