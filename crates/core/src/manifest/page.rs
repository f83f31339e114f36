//! Pages: the nodes of a long manifest's tree.

use super::codec::{self, FORM_PAGE, Input};
use super::{ChunkEntry, MANIFEST_MAX_LEVELS, ManifestError};
use crate::ids::ChunkHash;
use crate::limits::CHUNK_MAX_BYTES;

/// Fewest entries of a page that is not the last of its level.
pub const PAGE_MIN_ENTRIES: usize = 64;
/// Most entries of a page.
pub const PAGE_MAX_ENTRIES: usize = 1024;
/// No page is longer: header, level, count and entries of a hash and two numbers of at most ten bytes.
pub const PAGE_MAX_BYTES: usize = 4 + 1 + 2 + PAGE_MAX_ENTRIES * (ChunkHash::LEN + 20);

/// One in 192 entries ends a page, so that pages have 64 + 191 entries in the mean.
const PAGE_END_LIMIT: u16 = 341;

/// One page's place in the level above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageEntry {
    /// The page.
    pub hash: ChunkHash,
    /// Chunks of the file below it.
    pub chunk_count: u64,
    /// Bytes of the file below it.
    pub byte_len: u64,
}

/// A node of a manifest's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Chunks of the file, in order.
    Leaf(Vec<ChunkEntry>),
    /// Pages, in order.
    Inner {
        /// Levels below this page, at least 1.
        level: u8,
        /// The pages of the level below.
        entries: Vec<PageEntry>,
    },
}

/// A page as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPage {
    /// Its name: the hash of the bytes, as for any chunk.
    pub hash: ChunkHash,
    /// Its bytes, at most [`PAGE_MAX_BYTES`].
    pub bytes: Vec<u8>,
}

impl Page {
    /// Levels below this page: 0 for a leaf.
    pub const fn level(&self) -> u8 {
        match self {
            Self::Leaf(_) => 0,
            Self::Inner { level, .. } => *level,
        }
    }

    /// Reads a page. Does not allocate more than the bytes justify.
    ///
    /// # Errors
    /// Each variant of [`ManifestError`] that speaks of bytes, and [`ManifestError::Totals`] when the sums of an
    /// inner page overflow.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        let mut input = Input::new(bytes);
        let form = input.header()?;
        if form != FORM_PAGE {
            return Err(ManifestError::Form(form));
        }
        let level = input.byte()?;
        let page = if level == 0 {
            Self::Leaf(input.entries(PAGE_MAX_ENTRIES)?)
        } else if level < MANIFEST_MAX_LEVELS {
            Self::Inner {
                level,
                entries: inner_entries(&mut input)?,
            }
        } else {
            return Err(ManifestError::Levels(level));
        };
        input.finish()?;
        if page.entry_count() == 0 {
            return Err(ManifestError::EntryCount(0));
        }
        page.totals()?;
        Ok(page)
    }

    /// Chunks and bytes of the file below this page.
    pub(super) fn totals(&self) -> Result<(u64, u64), ManifestError> {
        match self {
            Self::Leaf(entries) => {
                let byte_len = entries.iter().map(|entry| u64::from(entry.len)).sum();
                Ok((entries.len() as u64, byte_len))
            }
            Self::Inner { entries, .. } => entries
                .iter()
                .try_fold((0u64, 0u64), |(chunk_count, byte_len), entry| {
                    Some((
                        chunk_count.checked_add(entry.chunk_count)?,
                        byte_len.checked_add(entry.byte_len)?,
                    ))
                })
                .ok_or(ManifestError::Totals),
        }
    }

    fn entry_count(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Inner { entries, .. } => entries.len(),
        }
    }
}

fn inner_entries(input: &mut Input<'_>) -> Result<Vec<PageEntry>, ManifestError> {
    let count = input.entry_count(PAGE_MAX_ENTRIES)?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        let entry = PageEntry {
            hash: input.hash()?,
            chunk_count: input.varint()?,
            byte_len: input.varint()?,
        };
        if !length_fits(entry.chunk_count, entry.byte_len) {
            return Err(ManifestError::Length(entry.byte_len));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// Whether so many chunks, at least one, can have so many bytes.
pub(super) fn length_fits(chunk_count: u64, byte_len: u64) -> bool {
    chunk_count > 0 && chunk_count <= byte_len && byte_len.div_ceil(CHUNK_MAX_BYTES as u64) <= chunk_count
}

/// A page that is being filled.
#[derive(Debug)]
pub(super) struct PageWriter {
    level: u8,
    entry_count: usize,
    entries: Vec<u8>,
    chunk_count: u64,
    byte_len: u64,
    ended: bool,
}

impl PageWriter {
    /// Begins a page with so many levels below it.
    pub(super) const fn new(level: u8) -> Self {
        Self {
            level,
            entry_count: 0,
            entries: Vec::new(),
            chunk_count: 0,
            byte_len: 0,
            ended: false,
        }
    }

    /// Appends a chunk to a leaf.
    pub(super) fn push_chunk(&mut self, entry: &ChunkEntry) {
        codec::put_entry(&mut self.entries, entry);
        self.count(&entry.hash, 1, u64::from(entry.len));
    }

    /// Appends a page of the level below.
    pub(super) fn push_page(&mut self, entry: &PageEntry) {
        self.entries.extend_from_slice(entry.hash.as_bytes());
        codec::put_varint(&mut self.entries, entry.chunk_count);
        codec::put_varint(&mut self.entries, entry.byte_len);
        self.count(&entry.hash, entry.chunk_count, entry.byte_len);
    }

    /// Whether the last entry ends the page: by its hash, once there are enough, or because the page is full.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether there is nothing in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.entry_count == 0
    }

    /// Ends the page and begins the next of its level; returns it with its entry for the level above.
    pub(super) fn take(&mut self) -> (PageEntry, EncodedPage) {
        let next = Self::new(self.level);
        let full = std::mem::replace(self, next);
        let mut bytes = codec::header(FORM_PAGE, 3 + full.entries.len());
        bytes.push(full.level);
        codec::put_varint(&mut bytes, full.entry_count as u64);
        bytes.extend_from_slice(&full.entries);
        let hash = ChunkHash::of(&bytes);
        let entry = PageEntry {
            hash,
            chunk_count: full.chunk_count,
            byte_len: full.byte_len,
        };
        (entry, EncodedPage { hash, bytes })
    }

    fn count(&mut self, hash: &ChunkHash, chunk_count: u64, byte_len: u64) {
        self.entry_count += 1;
        self.chunk_count += chunk_count;
        self.byte_len += byte_len;
        let [.., low, high] = *hash.as_bytes();
        let hash_ends = u16::from_le_bytes([low, high]) < PAGE_END_LIMIT;
        self.ended =
            (hash_ends && self.entry_count >= PAGE_MIN_ENTRIES) || self.entry_count == PAGE_MAX_ENTRIES;
    }
}
