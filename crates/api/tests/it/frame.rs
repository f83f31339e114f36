//! Frames, however the bytes are cut on their way.

use bytes::{Bytes, BytesMut};
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame, FrameError, FrameReader};
use cairn_codec::{DeltaForm, EncodedDelta, decode_chunk, encode_chunk};
use cairn_core::ids::ChunkHash;
use cairn_core::limits;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::Index;

fn chunk(plaintext: &[u8], is_page: bool) -> ChunkFrame {
    ChunkFrame {
        hash: ChunkHash::of(plaintext),
        is_page,
        chunk: encode_chunk(plaintext),
    }
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        (vec(any::<u8>(), 1..3_000), any::<bool>())
            .prop_map(|(bytes, is_page)| Frame::Chunk(chunk(&bytes, is_page))),
        (any::<u8>(), 1..50_000usize).prop_map(|(byte, len)| Frame::Chunk(chunk(&vec![byte; len], false))),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Frame::Message(Bytes::from(bytes))),
        delta().prop_map(Frame::Delta),
    ]
}

fn delta() -> impl Strategy<Value = DeltaFrame> {
    let form = prop_oneof![
        Just(DeltaForm::Steps),
        Just(DeltaForm::ZstdSteps),
        Just(DeltaForm::Patch)
    ];
    let hash = || any::<[u8; 32]>().prop_map(ChunkHash::new);
    let bytes = vec(any::<u8>(), 0..900);
    (
        hash(),
        any::<bool>(),
        vec(hash(), 1..=16),
        form,
        1..=262_144u32,
        bytes,
    )
        .prop_map(|(hash, is_page, base, form, plain_len, bytes)| DeltaFrame {
            hash,
            is_page,
            base,
            delta: EncodedDelta {
                form,
                plain_len,
                bytes: bytes.into(),
            },
        })
}

fn encoded(frames: &[Frame]) -> BytesMut {
    let mut out = BytesMut::new();
    for frame in frames {
        let before = out.len();
        frame.encode(&mut out);
        assert_eq!(out.len() - before, frame.wire_len());
    }
    out
}

/// Reads a body that comes in pieces.
fn read(body: &[u8], piece_len: usize) -> Result<Vec<Frame>, FrameError> {
    let mut reader = FrameReader::new();
    let mut frames = Vec::new();
    for piece in body.chunks(piece_len) {
        reader.push(piece);
        while let Some(frame) = reader.next_frame()? {
            frames.push(frame);
        }
    }
    reader.finish()?;
    Ok(frames)
}

proptest! {
    #[test]
    fn frames_arrive_however_they_are_cut(frames in vec(frame(), 0..8), piece_len in 1..4_000usize) {
        let mut frames = frames;
        frames.push(Frame::End);
        prop_assert_eq!(read(&encoded(&frames), piece_len).unwrap(), frames);
    }

    #[test]
    fn a_body_that_was_cut_is_told(frames in vec(frame(), 0..5), at in any::<Index>()) {
        let mut frames = frames;
        frames.push(Frame::End);
        let body = encoded(&frames);
        let cut = at.index(body.len());
        let told = matches!(read(&body[..cut], 1_000), Err(FrameError::Cut(_)));
        prop_assert_eq!(told, true);
    }

    /// A flipped bit is found here, or by whoever decodes the chunk, or lies in a message.
    #[test]
    fn no_damage_makes_another_chunk(plaintext in vec(any::<u8>(), 1..500), at in any::<Index>(), bit in 0..8u32) {
        let frame = chunk(&plaintext, false);
        let mut body = encoded(&[Frame::Chunk(frame.clone()), Frame::End]);
        let at = at.index(body.len());
        body[at] ^= 1 << bit;
        let Ok(frames) = read(&body, 100) else { return Ok(()) };
        for arrived in frames {
            if let Frame::Chunk(arrived) = arrived
                && let Ok(bytes) = decode_chunk(&arrived.chunk, &frame.hash)
            {
                prop_assert_eq!(&bytes[..], &plaintext[..]);
            }
        }
    }

    #[test]
    fn noise_is_never_more_than_an_error(bytes in vec(any::<u8>(), 0..300), piece_len in 1..50usize) {
        drop(read(&bytes, piece_len));
    }
}

#[test]
fn lengths_out_of_bounds_are_refused_before_the_bytes_come() {
    let head = |kind: u8, len: u32| {
        let mut reader = FrameReader::new();
        reader.push(&[kind]);
        reader.push(&len.to_le_bytes());
        reader.next_frame()
    };
    let limit = limits::FRAME_BYTES;
    assert_eq!(
        head(2, u32::MAX),
        Err(FrameError::TooLarge {
            len: u32::MAX as usize,
            limit
        })
    );
    assert_eq!(
        head(1, limit as u32 + 1),
        Err(FrameError::TooLarge {
            len: limit + 1,
            limit
        })
    );
    assert_eq!(head(3, 1), Err(FrameError::TooLarge { len: 1, limit: 0 }));
    assert_eq!(head(0, 0), Err(FrameError::UnknownKind(0)));
    assert_eq!(head(2, limit as u32), Ok(None));
}

#[test]
fn chunk_frames_that_contradict_themselves_are_refused() {
    let good = encoded(&[Frame::Chunk(chunk(b"plaintext", false)), Frame::End]);
    // Kind of chunk, codec, length of the plaintext: too short, too long.
    for (at, byte) in [
        (5 + 32, 2),
        (5 + 33, 2),
        (5 + 34, 0),
        (5 + 34, 8),
        (5 + 34, 10),
        (5 + 37, 0xff),
    ] {
        let mut body = good.clone();
        body[at] = byte;
        assert!(
            matches!(read(&body, 7), Err(FrameError::MalformedChunk(_))),
            "byte {at}"
        );
    }
}
