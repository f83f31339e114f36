//! The bytes of a pack: its header and its frames; `footer` has the rest. Described in `docs/formats-pack.md`; held by a golden file.

use std::fmt;

use bytes::Bytes;
use cairn_codec::PLAIN_MAX_BYTES;
use ring::aead;
use zeroize::Zeroizing;

use super::footer::FOOTER_CONTENT_MAX_BYTES;
use crate::keyring::{KEY_LEN, KeyId, Keyring, NONCE_LEN, WRAPPED_LEN};
use crate::{ChunkKind, Codec, EncodedChunk, NewChunk};

const PACK_MAGIC: &[u8; 8] = b"CAIRNPCK";
const FRAME_MAGIC: &[u8; 4] = b"CFRM";
const VERSION: u32 = 1;

/// Bytes of a pack's header.
pub(crate) const HEADER_LEN: usize = 128;
/// Bytes of a frame's header.
pub(crate) const FRAME_HEADER_LEN: usize = 64;
/// Bytes of the part of a frame's header that is authenticated with the ciphertext.
const FRAME_AAD_LEN: usize = 48;
/// Bytes of a tag of AES-GCM.
pub(crate) const TAG_LEN: usize = 16;
/// Bytes of the longest frame of a chunk.
pub(crate) const FRAME_MAX_BYTES: usize = FRAME_HEADER_LEN + PLAIN_MAX_BYTES + TAG_LEN;
/// Frames in a pack: keeps a footer below 3 MB, so that it is read at once.
pub(crate) const FRAMES_MAX: u64 = 65_536;

pub(super) const KIND_DATA: u8 = 1;
pub(super) const KIND_PAGE: u8 = 2;
const KIND_FOOTER: u8 = 255;

/// Names a pack; random.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PackId([u8; 16]);

impl PackId {
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads the stem of a file's name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok()?;
        let id = Self(number.to_be_bytes());
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackId({self})")
    }
}

/// What the header of a pack says.
#[derive(Debug, Clone)]
pub(crate) struct PackHeader {
    pub(crate) pack: PackId,
    pub(crate) key: KeyId,
    nonce: [u8; NONCE_LEN],
    wrapped: [u8; WRAPPED_LEN],
}

impl PackHeader {
    /// Makes the header of a new pack; `None` when the ring cannot wrap.
    pub(crate) fn seal(
        pack: PackId,
        ring: &Keyring,
        nonce: [u8; NONCE_LEN],
        secret: &[u8; KEY_LEN],
    ) -> Option<Self> {
        let key = ring.current();
        let mut header = Self {
            pack,
            key,
            nonce,
            wrapped: [0; WRAPPED_LEN],
        };
        header.wrapped = ring.wrap(key, nonce, &header.to_bytes()[..44], secret)?;
        Some(header)
    }

    /// The pack's key; `None` when the ring lacks the wrapping key or the header was changed.
    pub(crate) fn open(&self, ring: &Keyring) -> Option<PackCipher> {
        let secret = ring.unwrap(self.key, self.nonce, &self.to_bytes()[..44], &self.wrapped)?;
        PackCipher::new(self.pack, &secret)
    }

    pub(crate) fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..8].copy_from_slice(PACK_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.pack.0);
        bytes[28..44].copy_from_slice(self.key.as_bytes());
        bytes[44..56].copy_from_slice(&self.nonce);
        bytes[56..104].copy_from_slice(&self.wrapped);
        let checksum = crc32fast::hash(&bytes[..124]);
        bytes[124..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn parse(bytes: &[u8; HEADER_LEN]) -> Result<Self, FormatError> {
        if &bytes[..8] != PACK_MAGIC {
            return Err(FormatError::Magic);
        }
        if u32_at(bytes, 124) != crc32fast::hash(&bytes[..124]) {
            return Err(FormatError::Checksum);
        }
        if u32_at(bytes, 8) != VERSION {
            return Err(FormatError::Version {
                found: u32_at(bytes, 8),
            });
        }
        Ok(Self {
            pack: PackId(array_at(bytes, 12)),
            key: KeyId::new(array_at(bytes, 28)),
            nonce: array_at(bytes, 44),
            wrapped: array_at(bytes, 56),
        })
    }
}

/// What is wrong with bytes of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("it does not begin as it must")]
    Magic,
    #[error("it has version {found}, later than this program knows")]
    Version { found: u32 },
    #[error("its checksum does not match")]
    Checksum,
    #[error("it is cut short")]
    Short,
    #[error("it belongs to another place")]
    Misplaced,
    #[error("it holds values that are never written")]
    Values,
    #[error("its authentication tag does not match")]
    Tag,
}

/// What the header of a frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) ordinal: u64,
    pub(crate) content: FrameContent,
    pub(crate) plain_len: u32,
    pub(crate) plain_crc32: u32,
    pub(crate) stored_len: u32,
    pub(super) sealed_crc32: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameContent {
    Chunk(ChunkKind, Codec),
    Footer,
}

impl FrameHeader {
    /// Length of the whole frame in bytes.
    pub(crate) fn frame_len(&self) -> u32 {
        (FRAME_HEADER_LEN + TAG_LEN) as u32 + self.stored_len
    }

    /// Reads a header of a frame of `pack`.
    pub(crate) fn parse(bytes: &[u8; FRAME_HEADER_LEN], pack: PackId) -> Result<Self, FormatError> {
        if &bytes[..4] != FRAME_MAGIC {
            return Err(FormatError::Magic);
        }
        if u32_at(bytes, 60) != crc32fast::hash(&bytes[..60]) {
            return Err(FormatError::Checksum);
        }
        if bytes[32..48] != pack.0 {
            return Err(FormatError::Misplaced);
        }
        let content = match (bytes[12], bytes[13]) {
            (KIND_DATA, codec) => FrameContent::Chunk(ChunkKind::Data, codec_of(codec)?),
            (KIND_PAGE, codec) => FrameContent::Chunk(ChunkKind::ManifestPage, codec_of(codec)?),
            (KIND_FOOTER, 0) => FrameContent::Footer,
            _ => return Err(FormatError::Values),
        };
        let header = Self {
            ordinal: u64::from_le_bytes(array_at(bytes, 4)),
            content,
            plain_len: u32_at(bytes, 16),
            plain_crc32: u32_at(bytes, 20),
            stored_len: u32_at(bytes, 24),
            sealed_crc32: u32_at(bytes, 48),
        };
        let longest = match content {
            FrameContent::Chunk(..) => PLAIN_MAX_BYTES,
            FrameContent::Footer => FOOTER_CONTENT_MAX_BYTES,
        };
        let reserved = bytes[14..16]
            .iter()
            .chain(&bytes[28..32])
            .chain(&bytes[52..60])
            .all(|byte| *byte == 0);
        if !reserved || header.stored_len as usize > longest || header.plain_len as usize > longest {
            return Err(FormatError::Values);
        }
        Ok(header)
    }

    fn authenticated(&self, pack: PackId) -> [u8; FRAME_HEADER_LEN] {
        let mut bytes = [0; FRAME_HEADER_LEN];
        bytes[..4].copy_from_slice(FRAME_MAGIC);
        bytes[4..12].copy_from_slice(&self.ordinal.to_le_bytes());
        (bytes[12], bytes[13]) = match self.content {
            FrameContent::Chunk(kind, codec) => (kind_byte(kind), codec_byte(codec)),
            FrameContent::Footer => (KIND_FOOTER, 0),
        };
        bytes[16..20].copy_from_slice(&self.plain_len.to_le_bytes());
        bytes[20..24].copy_from_slice(&self.plain_crc32.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.stored_len.to_le_bytes());
        bytes[32..48].copy_from_slice(&pack.0);
        bytes
    }

    /// Footers have nonces of their own: a recovered pack gets its footer at an ordinal that a lost frame may have used.
    fn nonce(&self) -> aead::Nonce {
        let mut nonce = [0; NONCE_LEN];
        nonce[0] = u8::from(self.content == FrameContent::Footer);
        nonce[4..].copy_from_slice(&self.ordinal.to_le_bytes());
        aead::Nonce::assume_unique_for_key(nonce)
    }
}

/// Encrypts and decrypts the frames of one pack.
pub(crate) struct PackCipher {
    pack: PackId,
    key: aead::LessSafeKey,
}

impl PackCipher {
    /// `None` when the key is refused, which AES does for none of the right length.
    pub(crate) fn new(pack: PackId, secret: &Zeroizing<[u8; KEY_LEN]>) -> Option<Self> {
        let unbound = aead::UnboundKey::new(&aead::AES_256_GCM, &secret[..]).ok()?;
        Some(Self {
            pack,
            key: aead::LessSafeKey::new(unbound),
        })
    }

    pub(crate) fn pack(&self) -> PackId {
        self.pack
    }

    /// Appends the frame of a chunk to `out`; returns its length in bytes.
    pub(crate) fn append_chunk(&self, out: &mut Vec<u8>, ordinal: u64, new: &NewChunk) -> u32 {
        let chunk = &new.chunk;
        self.append(
            out,
            FrameHeader {
                ordinal,
                content: FrameContent::Chunk(new.kind, chunk.codec),
                plain_len: chunk.plain_len,
                plain_crc32: chunk.plain_crc32,
                stored_len: u32::try_from(chunk.bytes.len())
                    .expect("the store refuses chunks that are too long"),
                sealed_crc32: 0,
            },
            &chunk.bytes,
        )
    }

    pub(super) fn append(&self, out: &mut Vec<u8>, header: FrameHeader, content: &[u8]) -> u32 {
        let mut head = header.authenticated(self.pack);
        let start = out.len();
        out.extend_from_slice(&head);
        out.extend_from_slice(content);
        let body = &mut out[start + FRAME_HEADER_LEN..];
        let aad = aead::Aad::from(&head[..FRAME_AAD_LEN]);
        let tag = self
            .key
            .seal_in_place_separate_tag(header.nonce(), aad, body)
            .expect("AES-GCM seals anything below 64 GiB");
        out.extend_from_slice(tag.as_ref());
        let sealed_crc32 = crc32fast::hash(&out[start + FRAME_HEADER_LEN..]);
        head[48..52].copy_from_slice(&sealed_crc32.to_le_bytes());
        let checksum = crc32fast::hash(&head[..60]);
        head[60..].copy_from_slice(&checksum.to_le_bytes());
        out[start..start + FRAME_HEADER_LEN].copy_from_slice(&head);
        header.frame_len()
    }

    /// Decrypts the body of a frame (ciphertext and tag) in place; returns the length of the content.
    pub(crate) fn open(&self, header: &FrameHeader, body: &mut [u8]) -> Result<usize, FormatError> {
        if body.len() != header.stored_len as usize + TAG_LEN {
            return Err(FormatError::Short);
        }
        if crc32fast::hash(body) != header.sealed_crc32 {
            return Err(FormatError::Checksum);
        }
        let head = header.authenticated(self.pack);
        let aad = aead::Aad::from(&head[..FRAME_AAD_LEN]);
        let content = self
            .key
            .open_in_place(header.nonce(), aad, body)
            .map_err(|_tag| FormatError::Tag)?;
        Ok(content.len())
    }

    /// Reads a whole frame of a chunk.
    pub(crate) fn open_chunk(&self, mut frame: Vec<u8>) -> Result<EncodedChunk, FormatError> {
        let Some((head, body)) = frame.split_first_chunk_mut::<FRAME_HEADER_LEN>() else {
            return Err(FormatError::Short);
        };
        let header = FrameHeader::parse(head, self.pack)?;
        let FrameContent::Chunk(_, codec) = header.content else {
            return Err(FormatError::Misplaced);
        };
        let len = self.open(&header, body)?;
        let bytes = Bytes::from(frame).slice(FRAME_HEADER_LEN..FRAME_HEADER_LEN + len);
        Ok(EncodedChunk {
            codec,
            plain_len: header.plain_len,
            plain_crc32: header.plain_crc32,
            bytes,
        })
    }
}

pub(super) fn kind_byte(kind: ChunkKind) -> u8 {
    match kind {
        ChunkKind::Data => KIND_DATA,
        ChunkKind::ManifestPage => KIND_PAGE,
    }
}

fn codec_byte(codec: Codec) -> u8 {
    match codec {
        Codec::Raw => 0,
        Codec::Zstd => 1,
    }
}

fn codec_of(byte: u8) -> Result<Codec, FormatError> {
    match byte {
        0 => Ok(Codec::Raw),
        1 => Ok(Codec::Zstd),
        _ => Err(FormatError::Values),
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}

pub(super) fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}
