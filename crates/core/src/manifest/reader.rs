//! Reads a manifest's chunks in order, asking for pages as they are needed.

use std::vec;

use super::{ChunkEntry, MANIFEST_MAX_LEVELS, Manifest, ManifestError, Page, PageEntry};
use crate::ids::ChunkHash;

/// A chunk and where it stands in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedChunk {
    /// The chunk.
    pub entry: ChunkEntry,
    /// Chunks in front of it.
    pub index: u64,
    /// Bytes in front of it.
    pub offset: u64,
}

/// What a [`ManifestReader`] wants or has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The page with this hash is needed: pass its bytes to [`ManifestReader::give`].
    Need(ChunkHash),
    /// The next chunk.
    Chunk(PlacedChunk),
    /// There are no more chunks.
    End,
}

/// Walks a manifest's chunks in order. The caller drives it and fetches the pages; nothing in a page is believed
/// that does not add up to what the page above it, and at the top the manifest, promised.
///
/// Keeps at most one page a level, [`MANIFEST_MAX_LEVELS`] in all.
#[derive(Debug)]
pub struct ManifestReader {
    /// The pages from the root down to the one being read, what is left of each.
    open: Vec<Open>,
    needed: Option<Needed>,
    /// Chunks and bytes in front of the next entry.
    index: u64,
    offset: u64,
    from_index: u64,
    from_offset: u64,
}

#[derive(Debug)]
enum Open {
    Leaf(vec::IntoIter<ChunkEntry>),
    Inner(u8, vec::IntoIter<PageEntry>),
}

#[derive(Debug, Clone, Copy)]
struct Needed {
    entry: PageEntry,
    level: u8,
}

impl ManifestReader {
    /// Reads all chunks of a file of `size` bytes.
    ///
    /// # Errors
    /// [`ManifestError::Totals`] when a file of that size cannot have this manifest, [`ManifestError::Levels`] when
    /// its levels are out of bounds.
    pub fn new(manifest: &Manifest, size: u64) -> Result<Self, ManifestError> {
        manifest.check_size(size)?;
        let (open, needed) = match manifest {
            Manifest::Inline(entries) => (vec![Open::Leaf(entries.clone().into_iter())], None),
            Manifest::Tree {
                root,
                levels,
                chunk_count,
            } => {
                if *levels == 0 || *levels > MANIFEST_MAX_LEVELS {
                    return Err(ManifestError::Levels(*levels));
                }
                let entry = PageEntry {
                    hash: *root,
                    chunk_count: *chunk_count,
                    byte_len: size,
                };
                let level = levels - 1;
                (Vec::new(), Some(Needed { entry, level }))
            }
        };
        Ok(Self {
            open,
            needed,
            index: 0,
            offset: 0,
            from_index: 0,
            from_offset: 0,
        })
    }

    /// Begins with the chunk that holds the byte at `offset`, skipping the pages in front of it; with nothing when
    /// the file ends there or before.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn at_offset(manifest: &Manifest, size: u64, offset: u64) -> Result<Self, ManifestError> {
        let mut reader = Self::new(manifest, size)?;
        reader.from_offset = offset;
        reader.skip_needed();
        Ok(reader)
    }

    /// Begins with the chunk that has `index` chunks in front of it, skipping the pages before; with nothing when
    /// there is no such chunk.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn at_chunk(manifest: &Manifest, size: u64, index: u64) -> Result<Self, ManifestError> {
        let mut reader = Self::new(manifest, size)?;
        reader.from_index = index;
        reader.skip_needed();
        Ok(reader)
    }

    /// The next chunk, or what is needed to get there. Asks for the same page until it is given.
    pub fn step(&mut self) -> Step {
        loop {
            if let Some(needed) = &self.needed {
                return Step::Need(needed.entry.hash);
            }
            match self.open.last_mut() {
                None => return Step::End,
                Some(Open::Leaf(entries)) => {
                    let Some(entry) = entries.next() else {
                        self.open.pop();
                        continue;
                    };
                    let chunk = PlacedChunk {
                        entry,
                        index: self.index,
                        offset: self.offset,
                    };
                    let skipped = self.skips(1, u64::from(entry.len));
                    self.pass(1, u64::from(entry.len));
                    if !skipped {
                        return Step::Chunk(chunk);
                    }
                }
                Some(Open::Inner(level, entries)) => {
                    let level = *level - 1;
                    match entries.next() {
                        None => drop(self.open.pop()),
                        Some(entry) => {
                            self.needed = Some(Needed { entry, level });
                            self.skip_needed();
                        }
                    }
                }
            }
        }
    }

    /// Takes the bytes of the page that [`Step::Need`] asked for.
    ///
    /// # Errors
    /// [`ManifestError::UnexpectedPage`] when no page is needed or the bytes do not have its hash: the page is still
    /// needed then. Any other variant says that the tree itself is wrong.
    pub fn give(&mut self, bytes: &[u8]) -> Result<(), ManifestError> {
        let Some(needed) = self.needed else {
            return Err(ManifestError::UnexpectedPage);
        };
        if ChunkHash::of(bytes) != needed.entry.hash {
            return Err(ManifestError::UnexpectedPage);
        }
        let page = Page::decode(bytes)?;
        if page.level() != needed.level {
            return Err(ManifestError::Levels(page.level()));
        }
        if page.totals()? != (needed.entry.chunk_count, needed.entry.byte_len) {
            return Err(ManifestError::Totals);
        }
        self.needed = None;
        self.open.push(match page {
            Page::Leaf(entries) => Open::Leaf(entries.into_iter()),
            Page::Inner { level, entries } => Open::Inner(level, entries.into_iter()),
        });
        Ok(())
    }

    /// Whether all of what comes next, so many chunks and bytes, lies in front of the place to begin at.
    const fn skips(&self, chunk_count: u64, byte_len: u64) -> bool {
        self.index + chunk_count <= self.from_index || self.offset + byte_len <= self.from_offset
    }

    const fn pass(&mut self, chunk_count: u64, byte_len: u64) {
        self.index += chunk_count;
        self.offset += byte_len;
    }

    /// Passes over the needed page if nothing in it is wanted.
    fn skip_needed(&mut self) {
        let Some(Needed { entry, .. }) = self.needed else {
            return;
        };
        if self.skips(entry.chunk_count, entry.byte_len) {
            self.pass(entry.chunk_count, entry.byte_len);
            self.needed = None;
        }
    }
}
