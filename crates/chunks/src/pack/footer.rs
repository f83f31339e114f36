//! The end of a sealed pack: the footer, which lists its chunks, and the trailer, which says where the footer is.

use cairn_core::ids::ChunkHash;

use super::format::{
    FRAME_HEADER_LEN, FRAMES_MAX, FormatError, FrameContent, FrameHeader, KIND_DATA, KIND_PAGE, PackCipher,
    TAG_LEN, array_at, kind_byte, u32_at,
};
use crate::ChunkKind;

const TRAILER_MAGIC: &[u8; 8] = b"CAIRNEND";

/// Bytes after the footer's frame.
pub(crate) const TRAILER_LEN: usize = 32;
/// Bytes of one entry of a footer.
const ENTRY_LEN: usize = 45;
/// Bytes of the longest list of entries.
pub(super) const FOOTER_CONTENT_MAX_BYTES: usize = FRAMES_MAX as usize * ENTRY_LEN;
/// Bytes of the longest footer's frame.
pub(crate) const FOOTER_MAX_BYTES: usize = FRAME_HEADER_LEN + FOOTER_CONTENT_MAX_BYTES + TAG_LEN;

impl PackCipher {
    /// The footer of a pack whose frames end at `offset`, with the trailer.
    pub(crate) fn footer(&self, mut entries: Vec<FrameEntry>, offset: u64) -> Vec<u8> {
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.offset));
        let mut content = Vec::with_capacity(entries.len() * ENTRY_LEN);
        for entry in &entries {
            content.extend_from_slice(entry.hash.as_bytes());
            content.extend_from_slice(&entry.offset.to_le_bytes());
            content.extend_from_slice(&entry.len.to_le_bytes());
            content.push(kind_byte(entry.kind));
        }
        let len = u32::try_from(content.len()).expect("a pack has at most FRAMES_MAX frames");
        let header = FrameHeader {
            ordinal: entries.len() as u64,
            content: FrameContent::Footer,
            plain_len: len,
            plain_crc32: crc32fast::hash(&content),
            stored_len: len,
            sealed_crc32: 0,
        };
        let mut out = Vec::with_capacity(FRAME_HEADER_LEN + content.len() + TAG_LEN + TRAILER_LEN);
        let frame_len = self.append(&mut out, header, &content);
        let mut trailer = [0; TRAILER_LEN];
        trailer[..8].copy_from_slice(TRAILER_MAGIC);
        trailer[8..16].copy_from_slice(&offset.to_le_bytes());
        trailer[16..20].copy_from_slice(&frame_len.to_le_bytes());
        let checksum = crc32fast::hash(&trailer[..28]);
        trailer[28..].copy_from_slice(&checksum.to_le_bytes());
        out.extend_from_slice(&trailer);
        out
    }

    /// Reads the footer's frame.
    pub(crate) fn open_footer(&self, mut frame: Vec<u8>) -> Result<Vec<FrameEntry>, FormatError> {
        let Some((head, body)) = frame.split_first_chunk_mut::<FRAME_HEADER_LEN>() else {
            return Err(FormatError::Short);
        };
        let header = FrameHeader::parse(head, self.pack())?;
        if header.content != FrameContent::Footer {
            return Err(FormatError::Misplaced);
        }
        let len = self.open(&header, body)?;
        let entries = &body[..len];
        if crc32fast::hash(entries) != header.plain_crc32 || header.ordinal != (len / ENTRY_LEN) as u64 {
            return Err(FormatError::Checksum);
        }
        entries.chunks(ENTRY_LEN).map(parse_entry).collect()
    }
}

/// Where the footer's frame lies: its offset and length in bytes.
pub(crate) fn parse_trailer(bytes: &[u8; TRAILER_LEN]) -> Result<(u64, u32), FormatError> {
    if &bytes[..8] != TRAILER_MAGIC {
        return Err(FormatError::Magic);
    }
    if u32_at(bytes, 28) != crc32fast::hash(&bytes[..28]) {
        return Err(FormatError::Checksum);
    }
    Ok((u64::from_le_bytes(array_at(bytes, 8)), u32_at(bytes, 16)))
}

/// One chunk of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub(crate) hash: ChunkHash,
    pub(crate) offset: u64,
    /// Length of the whole frame in bytes.
    pub(crate) len: u32,
    pub(crate) kind: ChunkKind,
}

fn parse_entry(bytes: &[u8]) -> Result<FrameEntry, FormatError> {
    let bytes: &[u8; ENTRY_LEN] = bytes.try_into().map_err(|_len| FormatError::Short)?;
    let kind = match bytes[44] {
        KIND_DATA => ChunkKind::Data,
        KIND_PAGE => ChunkKind::ManifestPage,
        _ => return Err(FormatError::Values),
    };
    let hash = ChunkHash::new(array_at(bytes, 0));
    Ok(FrameEntry {
        hash,
        offset: u64::from_le_bytes(array_at(bytes, 32)),
        len: u32_at(bytes, 40),
        kind,
    })
}
