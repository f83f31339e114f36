//! Builds a manifest from chunks as they come.

use super::codec::chunk_len;
use super::page::PageWriter;
use super::{ChunkEntry, EncodedPage, MANIFEST_MAX_LEVELS, Manifest, ManifestError, PageEntry};
use crate::ids::FileId;
use crate::limits::MANIFEST_INLINE_CHUNKS;

/// A whole manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// Length of the file in bytes.
    pub size: u64,
    /// Identity of the file's bytes.
    pub file_id: FileId,
    /// The pages that [`ManifestBuilder::take_pages`] has not yet handed out, children before parents.
    pub pages: Vec<EncodedPage>,
}

/// Builds a manifest from a file's chunks, pushed in order. The same chunks always make the same manifest.
///
/// Keeps at most [`MANIFEST_INLINE_CHUNKS`] entries, one page a level, and the finished pages until they are taken.
#[derive(Debug, Default)]
pub struct ManifestBuilder {
    /// The chunks while they may stand inline; moved into pages by the first that may not.
    inline: Vec<ChunkEntry>,
    levels: Vec<Level>,
    pages: Vec<EncodedPage>,
    chunk_count: u64,
    size: u64,
}

#[derive(Debug)]
struct Level {
    page: PageWriter,
    /// The first finished page: the root, when it stays the only one.
    first: Option<PageEntry>,
    page_count: u64,
}

impl ManifestBuilder {
    /// Begins a file.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`ManifestError::Length`] when its length is out of bounds; it is not appended.
    /// [`ManifestError::TooManyChunks`] when the tree is full; the builder is of no use then.
    pub fn push(&mut self, entry: ChunkEntry) -> Result<(), ManifestError> {
        chunk_len(u64::from(entry.len))?;
        self.chunk_count += 1;
        self.size += u64::from(entry.len);
        if self.levels.is_empty() {
            if self.inline.len() < MANIFEST_INLINE_CHUNKS {
                self.inline.push(entry);
                return Ok(());
            }
            for early in std::mem::take(&mut self.inline) {
                self.push_to_leaf(&early)?;
            }
        }
        self.push_to_leaf(&entry)
    }

    /// Chunks pushed so far.
    pub const fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// Bytes of the chunks pushed so far.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Hands out the pages finished since the last call, children before parents. Calling it now and then keeps
    /// memory bounded for files of any length.
    pub fn take_pages(&mut self) -> Vec<EncodedPage> {
        std::mem::take(&mut self.pages)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`ManifestError::TooManyChunks`] when they need more than [`MANIFEST_MAX_LEVELS`] levels.
    pub fn finish(mut self) -> Result<BuiltManifest, ManifestError> {
        let manifest = if self.levels.is_empty() {
            Manifest::Inline(std::mem::take(&mut self.inline))
        } else {
            let (root, levels) = self.end_levels()?;
            Manifest::Tree {
                root: root.hash,
                levels,
                chunk_count: self.chunk_count,
            }
        };
        Ok(BuiltManifest {
            file_id: manifest.file_id(self.size),
            size: self.size,
            pages: self.pages,
            manifest,
        })
    }

    fn push_to_leaf(&mut self, entry: &ChunkEntry) -> Result<(), ManifestError> {
        let leaf = &mut self.level(0)?.page;
        leaf.push_chunk(entry);
        if leaf.has_ended() {
            self.end_page(0)
        } else {
            Ok(())
        }
    }

    /// Ends the page of a level and enters it in the level above, and so on upwards.
    fn end_page(&mut self, mut level: u8) -> Result<(), ManifestError> {
        loop {
            let ending = self.level(level)?;
            let (entry, page) = ending.page.take();
            ending.first.get_or_insert(entry);
            ending.page_count += 1;
            let is_only = ending.page_count == 1;
            self.pages.push(page);
            level += 1;
            if level == MANIFEST_MAX_LEVELS {
                return if is_only {
                    Ok(())
                } else {
                    Err(ManifestError::TooManyChunks)
                };
            }
            let above = &mut self.level(level)?.page;
            above.push_page(&entry);
            if !above.has_ended() {
                return Ok(());
            }
        }
    }

    /// Ends the last page of every level, upwards until one page stands alone: the root.
    fn end_levels(&mut self) -> Result<(PageEntry, u8), ManifestError> {
        for level in 0..MANIFEST_MAX_LEVELS {
            if !self.level(level)?.page.is_empty() {
                self.end_page(level)?;
            }
            if let Level {
                first: Some(root),
                page_count: 1,
                ..
            } = self.level(level)?
            {
                return Ok((*root, level + 1));
            }
        }
        Err(ManifestError::TooManyChunks)
    }

    fn level(&mut self, level: u8) -> Result<&mut Level, ManifestError> {
        let index = usize::from(level);
        if index == self.levels.len() {
            self.levels.push(Level {
                page: PageWriter::new(level),
                first: None,
                page_count: 0,
            });
        }
        self.levels.get_mut(index).ok_or(ManifestError::TooManyChunks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ChunkHash;

    #[test]
    fn a_second_page_at_the_top_level_is_refused() {
        let mut builder = ManifestBuilder::new();
        let entry = PageEntry {
            hash: ChunkHash::of(b"below"),
            chunk_count: 1 << 20,
            byte_len: 1 << 36,
        };
        for level in 0..MANIFEST_MAX_LEVELS {
            builder.level(level).unwrap();
        }
        let top = MANIFEST_MAX_LEVELS - 1;
        builder.level(top).unwrap().page.push_page(&entry);
        assert_eq!(builder.end_page(top), Ok(()));
        builder.level(top).unwrap().page.push_page(&entry);
        assert_eq!(builder.end_page(top), Err(ManifestError::TooManyChunks));
    }
}
