//! Frames: how chunks and messages share a streamed body.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | kind |
//! | 1 | 4 | length of the payload, little-endian, at most [`limits::FRAME_BYTES`] |
//! | 5 | n | payload |
//!
//! A body of frames ends with an end frame: a body that was cut is told from one that is complete.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use cairn_codec::{Codec, DeltaForm, EncodedChunk, EncodedDelta};
use cairn_core::delta::BASE_CHUNKS;
use cairn_core::ids::ChunkHash;
use cairn_core::limits;

/// Bytes before a payload.
pub const HEADER_BYTES: usize = 5;
/// Bytes of a chunk frame's payload before the encoded bytes.
const CHUNK_HEADER_BYTES: usize = 32 + 1 + 1 + 4 + 4;
/// Bytes of a delta frame's payload before the names of the base.
const DELTA_HEADER_BYTES: usize = 32 + 1 + 1 + 4 + 1;

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A chunk.
    Chunk(ChunkFrame),
    /// A CBOR message; which one follows from the place.
    Message(Bytes),
    /// A chunk as a delta.
    Delta(DeltaFrame),
    /// The end of the body.
    End,
}

/// A chunk with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkFrame {
    /// The chunk's name.
    pub hash: ChunkHash,
    /// Whether it is a page of a manifest.
    pub is_page: bool,
    /// Its bytes.
    pub chunk: EncodedChunk,
}

/// A chunk with its name, as what turns a base into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeltaFrame {
    /// The chunk's name.
    pub hash: ChunkHash,
    /// Whether it is a page of a manifest.
    pub is_page: bool,
    /// The chunks that the base is put together from, in this order; 1 to [`BASE_CHUNKS`].
    pub base: Vec<ChunkHash>,
    /// What turns the base into the chunk.
    pub delta: EncodedDelta,
}

/// A body that is not a sequence of frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A kind that this version does not know.
    #[error("unknown kind of frame: {0}")]
    UnknownKind(u8),
    /// A frame above the limit.
    #[error("a frame may have {limit} bytes, this one says {len}")]
    TooLarge {
        /// Bytes that it says.
        len: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// A chunk frame whose fields make no sense.
    #[error("malformed chunk frame: {0}")]
    MalformedChunk(&'static str),
    /// The body ended within a frame or without an end frame.
    #[error("the body was cut: {0} bytes of an unfinished frame, no end frame")]
    Cut(usize),
}

impl Frame {
    /// Appends the frame to a buffer.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Chunk(frame) => {
                put_header(out, 1, CHUNK_HEADER_BYTES + frame.chunk.bytes.len());
                out.put_slice(frame.hash.as_bytes());
                out.put_u8(u8::from(frame.is_page));
                out.put_u8(match frame.chunk.codec {
                    Codec::Raw => 0,
                    Codec::Zstd => 1,
                });
                out.put_u32_le(frame.chunk.plain_len);
                out.put_u32_le(frame.chunk.plain_crc32);
                out.put_slice(&frame.chunk.bytes);
            }
            Self::Message(payload) => {
                put_header(out, 2, payload.len());
                out.put_slice(payload);
            }
            Self::End => put_header(out, 3, 0),
            Self::Delta(frame) => {
                put_header(out, 4, frame.payload_len());
                out.put_slice(frame.hash.as_bytes());
                out.put_u8(u8::from(frame.is_page));
                out.put_u8(match frame.delta.form {
                    DeltaForm::Steps => 0,
                    DeltaForm::ZstdSteps => 1,
                    DeltaForm::Patch => 2,
                });
                out.put_u32_le(frame.delta.plain_len);
                out.put_u8(u8::try_from(frame.base.len()).expect("a base has few chunks"));
                frame.base.iter().for_each(|hash| out.put_slice(hash.as_bytes()));
                out.put_slice(&frame.delta.bytes);
            }
        }
    }

    /// Bytes that the frame takes on the wire.
    pub fn wire_len(&self) -> usize {
        HEADER_BYTES
            + match self {
                Self::Chunk(frame) => CHUNK_HEADER_BYTES + frame.chunk.bytes.len(),
                Self::Message(payload) => payload.len(),
                Self::Delta(frame) => frame.payload_len(),
                Self::End => 0,
            }
    }
}

impl DeltaFrame {
    fn payload_len(&self) -> usize {
        DELTA_HEADER_BYTES + self.base.len() * ChunkHash::LEN + self.delta.bytes.len()
    }
}

fn put_header(out: &mut BytesMut, kind: u8, len: usize) {
    out.reserve(HEADER_BYTES + len);
    out.put_u8(kind);
    out.put_u32_le(u32::try_from(len).expect("no frame is made that is near 4 GiB"));
}

/// Takes frames out of a stream of byte blocks. Buffers one frame at most.
#[derive(Debug)]
pub struct FrameReader {
    buffer: BytesMut,
    ended: bool,
    frame_limit: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::with_limit(limits::FRAME_BYTES)
    }
}

impl FrameReader {
    /// A reader at the start of a body.
    pub fn new() -> Self {
        Self::default()
    }

    /// A reader of a body in which no payload may be longer than `frame_limit`, which is at most
    /// [`limits::FRAME_BYTES`].
    pub fn with_limit(frame_limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            ended: false,
            frame_limit: frame_limit.min(limits::FRAME_BYTES),
        }
    }

    /// Adds the next bytes of the body.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes the next whole frame; `None` when more bytes are needed or the end frame has been read.
    ///
    /// # Errors
    /// [`FrameError`]; the reader is of no use afterwards.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.ended || self.buffer.len() < HEADER_BYTES {
            return Ok(None);
        }
        let kind = self.buffer[0];
        let len =
            u32::from_le_bytes([self.buffer[1], self.buffer[2], self.buffer[3], self.buffer[4]]) as usize;
        if !(1..=4).contains(&kind) {
            return Err(FrameError::UnknownKind(kind));
        }
        // An end has nothing in it: bytes there would be read by nobody.
        let limit = if kind == 3 { 0 } else { self.frame_limit };
        if len > limit {
            return Err(FrameError::TooLarge { len, limit });
        }
        if self.buffer.len() < HEADER_BYTES + len {
            self.buffer.reserve(HEADER_BYTES + len - self.buffer.len());
            return Ok(None);
        }
        self.buffer.advance(HEADER_BYTES);
        let payload = self.buffer.split_to(len).freeze();
        match kind {
            1 => decode_chunk(payload).map(|frame| Some(Frame::Chunk(frame))),
            2 => Ok(Some(Frame::Message(payload))),
            4 => decode_delta(payload).map(|frame| Some(Frame::Delta(frame))),
            _ => {
                self.ended = true;
                Ok(Some(Frame::End))
            }
        }
    }

    /// Checks, at the end of a body, that it was whole.
    ///
    /// # Errors
    /// [`FrameError::Cut`].
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.ended {
            Ok(())
        } else {
            Err(FrameError::Cut(self.buffer.len()))
        }
    }
}

fn decode_chunk(mut payload: Bytes) -> Result<ChunkFrame, FrameError> {
    if payload.len() < CHUNK_HEADER_BYTES {
        return Err(FrameError::MalformedChunk("it is shorter than its header"));
    }
    let hash = take_hash(&mut payload);
    let is_page = take_is_page(&mut payload)?;
    let codec = match payload.get_u8() {
        0 => Codec::Raw,
        1 => Codec::Zstd,
        _ => return Err(FrameError::MalformedChunk("unknown codec")),
    };
    let plain_len = take_plain_len(&mut payload)?;
    let plain_crc32 = payload.get_u32_le();
    if codec == Codec::Raw && payload.len() != plain_len as usize {
        return Err(FrameError::MalformedChunk(
            "a raw chunk has another length than it says",
        ));
    }
    if payload.len() > plain_len as usize {
        return Err(FrameError::MalformedChunk("it is longer than its plaintext"));
    }
    Ok(ChunkFrame {
        hash,
        is_page,
        chunk: EncodedChunk {
            codec,
            plain_len,
            plain_crc32,
            bytes: payload,
        },
    })
}

fn decode_delta(mut payload: Bytes) -> Result<DeltaFrame, FrameError> {
    if payload.len() < DELTA_HEADER_BYTES {
        return Err(FrameError::MalformedChunk("it is shorter than its header"));
    }
    let hash = take_hash(&mut payload);
    let is_page = take_is_page(&mut payload)?;
    let form = match payload.get_u8() {
        0 => DeltaForm::Steps,
        1 => DeltaForm::ZstdSteps,
        2 => DeltaForm::Patch,
        _ => return Err(FrameError::MalformedChunk("unknown form of delta")),
    };
    let plain_len = take_plain_len(&mut payload)?;
    let base_count = usize::from(payload.get_u8());
    if base_count == 0 || base_count > BASE_CHUNKS {
        return Err(FrameError::MalformedChunk("the base has no chunks, or too many"));
    }
    if payload.len() < base_count * ChunkHash::LEN {
        return Err(FrameError::MalformedChunk("the names of its base are cut"));
    }
    let base = (0..base_count).map(|_| take_hash(&mut payload)).collect();
    Ok(DeltaFrame {
        hash,
        is_page,
        base,
        delta: EncodedDelta {
            form,
            plain_len,
            bytes: payload,
        },
    })
}

fn take_hash(payload: &mut Bytes) -> ChunkHash {
    let mut hash = [0; 32];
    payload.copy_to_slice(&mut hash);
    ChunkHash::new(hash)
}

fn take_is_page(payload: &mut Bytes) -> Result<bool, FrameError> {
    match payload.get_u8() {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FrameError::MalformedChunk("unknown kind of chunk")),
    }
}

fn take_plain_len(payload: &mut Bytes) -> Result<u32, FrameError> {
    let plain_len = payload.get_u32_le();
    if plain_len == 0 || plain_len as usize > limits::CHUNK_MAX_BYTES {
        return Err(FrameError::MalformedChunk(
            "the plaintext's length is out of range",
        ));
    }
    Ok(plain_len)
}
