//! The version before of a file: its chunks in order and the pages that list them, so that a new version travels as what
//! is new in it, and that against what is old.

use std::collections::BTreeMap;
use std::ops::Range;

use cairn_core::delta::{BASE_BYTES, BASE_CHUNKS};
use cairn_core::ids::ChunkHash;
use cairn_core::limits::CHUNK_MAX_BYTES;
use cairn_core::manifest::{ChunkEntry, EncodedPage, Manifest, Page};
use cairn_core::node::FileContent;

use crate::state::{ClientState, StateResult};

/// Chunks of a file whose version before is looked at: 9 GiB of it, and 10 MiB of memory.
const MOST_CHUNKS: u64 = 1 << 17;
/// Bytes of the old version around the place of a new chunk that may be a part of it.
const AROUND_BYTES: u64 = CHUNK_MAX_BYTES as u64;

/// The version before of one file.
#[derive(Debug)]
pub(crate) struct Base {
    chunks: Vec<ChunkEntry>,
    /// Bytes in front of each chunk.
    offsets: Vec<u64>,
    /// The chunks by the front of their hash.
    by_hash: Vec<(u64, u32)>,
    pages: Vec<BasePage>,
    /// For each page but the root the page that lists it, by index.
    parents: BTreeMap<ChunkHash, usize>,
}

#[derive(Debug)]
struct BasePage {
    hash: ChunkHash,
    level: u8,
    bytes: Vec<u8>,
    /// Of a leaf: the chunks that it lists.
    chunks: Range<usize>,
}

impl Base {
    /// What is remembered of a content; `None` when not all of its pages are, or it is too long.
    pub(crate) async fn load(state: &dyn ClientState, content: &FileContent) -> StateResult<Option<Self>> {
        let mut base = Self {
            chunks: Vec::new(),
            offsets: Vec::new(),
            by_hash: Vec::new(),
            pages: Vec::new(),
            parents: BTreeMap::new(),
        };
        match &content.manifest {
            Manifest::Inline(entries) => base.chunks.clone_from(entries),
            Manifest::Tree { chunk_count, .. } if *chunk_count > MOST_CHUNKS => return Ok(None),
            Manifest::Tree { root, levels, .. } => {
                let mut wanted = vec![*root];
                for level in (0..*levels).rev() {
                    let found = state.pages(&wanted).await?;
                    let Some(below) = base.add_level(level, &wanted, found) else {
                        return Ok(None);
                    };
                    wanted = below;
                }
            }
        }
        base.index();
        Ok(Some(base))
    }

    /// Adds the pages of a level and returns what they list; `None` when one is missing or is no such page.
    fn add_level(
        &mut self,
        level: u8,
        hashes: &[ChunkHash],
        found: Vec<Option<Vec<u8>>>,
    ) -> Option<Vec<ChunkHash>> {
        let mut below = Vec::new();
        for (hash, bytes) in hashes.iter().zip(found) {
            let bytes = bytes?;
            let first = self.chunks.len();
            match Page::decode(&bytes).ok()? {
                Page::Leaf(entries) if level == 0 => self.chunks.extend(entries),
                Page::Inner {
                    level: found,
                    entries,
                } if found == level => {
                    let index = self.pages.len();
                    for entry in entries {
                        self.parents.insert(entry.hash, index);
                        below.push(entry.hash);
                    }
                }
                _ => return None,
            }
            self.pages.push(BasePage {
                hash: *hash,
                level,
                bytes,
                chunks: first..self.chunks.len(),
            });
        }
        Some(below)
    }

    /// Its chunks in order, and its pages, children before parents.
    pub(crate) fn into_lists(self) -> (Vec<ChunkEntry>, Vec<EncodedPage>) {
        let pages = self.pages.into_iter().rev();
        let pages = pages.map(|page| EncodedPage {
            hash: page.hash,
            bytes: page.bytes,
        });
        (self.chunks, pages.collect())
    }

    fn index(&mut self) {
        let mut offset = 0;
        for (index, chunk) in (0u32..).zip(&self.chunks) {
            self.offsets.push(offset);
            offset += u64::from(chunk.len);
            self.by_hash.push((front(&chunk.hash), index));
        }
        self.by_hash.sort_unstable();
    }

    /// The index of a chunk: the first from `near` on, else the last before.
    fn find(&self, hash: &ChunkHash, near: usize) -> Option<usize> {
        let sought = (front(hash), u32::try_from(near).unwrap_or(u32::MAX));
        let place = self.by_hash.partition_point(|known| *known < sought);
        let candidates = [Some(place), place.checked_sub(1)].into_iter().flatten();
        let mut found = candidates.filter_map(|place| Some(self.by_hash.get(place)?.1 as usize));
        found.find(|index| self.chunks.get(*index).is_some_and(|chunk| chunk.hash == *hash))
    }

    /// Whether a chunk or a page is part of it.
    pub(crate) fn contains(&self, hash: &ChunkHash) -> bool {
        self.find(hash, 0).is_some() || self.pages.iter().any(|page| page.hash == *hash)
    }

    /// Where a chunk of it stands: the bytes in front of it, and its length.
    pub(crate) fn place_of(&self, hash: &ChunkHash) -> Option<(u64, usize)> {
        let index = self.find(hash, 0)?;
        Some((*self.offsets.get(index)?, self.chunks.get(index)?.len as usize))
    }

    /// Whether a chunk stands at a place.
    pub(crate) fn has_at(&self, hash: &ChunkHash, offset: u64) -> bool {
        let index = self.offsets.binary_search(&offset).ok();
        index
            .and_then(|index| self.chunks.get(index))
            .is_some_and(|chunk| chunk.hash == *hash)
    }

    /// The bytes of one of its pages.
    pub(crate) fn page(&self, hash: &ChunkHash) -> Option<&[u8]> {
        let page = self.pages.iter().find(|page| page.hash == *hash)?;
        Some(&page.bytes)
    }

    /// For each chunk of the new version, in order, what to make a delta of it against; empty for those that are old. `next`
    /// is where the old version goes on behind what was matched last: it is carried from one call to the next.
    pub(crate) fn align(&self, next: &mut usize, new: &[ChunkEntry]) -> Vec<Vec<ChunkHash>> {
        let mut bases = vec![Vec::new(); new.len()];
        let mut at = 0;
        while at < new.len() {
            if let Some(index) = self.find(&new[at].hash, *next) {
                *next = index + 1;
                at += 1;
                continue;
            }
            let run = new[at..]
                .iter()
                .take_while(|chunk| self.find(&chunk.hash, 0).is_none());
            let end = at + run.count();
            let resumed = new.get(end).and_then(|chunk| self.find(&chunk.hash, *next));
            let old = *next..resumed.filter(|index| index >= next).unwrap_or(self.chunks.len());
            let mut offset = 0;
            for (chunk, base) in new[at..end].iter().zip(&mut bases[at..end]) {
                *base = self.around(&old, offset, chunk.len);
                offset += u64::from(chunk.len);
            }
            at = end;
        }
        bases
    }

    /// The old chunks of a run near a place in it, as many as a base may have.
    fn around(&self, run: &Range<usize>, offset: u64, len: u32) -> Vec<ChunkHash> {
        let Some(start) = self.offsets.get(run.start) else {
            return Vec::new();
        };
        let from = (start + offset).saturating_sub(AROUND_BYTES);
        let to = start + offset + u64::from(len) + AROUND_BYTES;
        let mut bytes = 0;
        let mut base = Vec::new();
        for index in run.clone() {
            let (begins, chunk) = (self.offsets[index], &self.chunks[index]);
            if begins + u64::from(chunk.len) <= from {
                continue;
            }
            bytes += chunk.len as usize;
            if begins >= to || bytes > BASE_BYTES || base.len() == BASE_CHUNKS {
                break;
            }
            base.push(chunk.hash);
        }
        base
    }

    /// The old pages that a new page is made of, with their bytes joined; `None` when there are none.
    pub(crate) fn page_base(&self, page: &[u8]) -> Option<(Vec<ChunkHash>, Vec<u8>)> {
        let mut sources: Vec<usize> = match Page::decode(page).ok()? {
            Page::Leaf(entries) => entries
                .iter()
                .filter_map(|entry| self.leaf_of(&entry.hash))
                .collect(),
            Page::Inner { entries, .. } => {
                let parents = entries.iter().filter_map(|entry| self.parents.get(&entry.hash));
                parents.copied().collect()
            }
        };
        sources.sort_unstable();
        sources.dedup();
        sources.truncate(BASE_CHUNKS);
        let hashes = sources.iter().map(|index| self.pages[*index].hash).collect();
        let bytes = sources
            .iter()
            .flat_map(|index| &self.pages[*index].bytes)
            .copied();
        (!sources.is_empty()).then(|| (hashes, bytes.collect()))
    }

    /// The leaf that lists a chunk.
    fn leaf_of(&self, hash: &ChunkHash) -> Option<usize> {
        let chunk = self.find(hash, 0)?;
        self.pages
            .iter()
            .position(|page| page.level == 0 && page.chunks.contains(&chunk))
    }
}

/// The first eight bytes of a hash.
fn front(hash: &ChunkHash) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::fake::{chunked, noise};
    use crate::state::memory::MemoryState;

    /// The base of a file, and its chunks.
    async fn base_of(bytes: &[u8]) -> (Base, Vec<ChunkEntry>) {
        let state = MemoryState::new();
        let (content, chunks) = chunked(bytes);
        let pages = chunks.iter().filter(|bytes| Page::decode(bytes).is_ok());
        let pages: Vec<_> = pages
            .map(|bytes| EncodedPage {
                hash: ChunkHash::of(bytes),
                bytes: bytes.clone(),
            })
            .collect();
        state.keep_pages(&pages).await.unwrap();
        let base = Base::load(&state, &content).await.unwrap().unwrap();
        let chunks = chunks.iter().filter(|bytes| Page::decode(bytes).is_err());
        (base, chunks.map(|bytes| ChunkEntry::of(bytes)).collect())
    }

    #[tokio::test]
    async fn a_changed_chunk_is_made_from_the_one_in_its_place() {
        let old = noise(1, 30 << 20);
        let (base, chunks) = base_of(&old).await;
        assert!(chunks.len() > 256, "it takes pages");
        let mut new = old.clone();
        new[10 << 20] ^= 1;
        new.splice(20 << 20..20 << 20, *b"inserted");
        let (_, new_chunks) = base_of(&new).await;
        let mut next = 0;
        let (first, second) = new_chunks.split_at(100);
        let mut bases = base.align(&mut next, first);
        bases.extend(base.align(&mut next, second));
        let changed: Vec<_> = new_chunks
            .iter()
            .zip(&bases)
            .filter(|(chunk, _)| !chunks.contains(chunk))
            .collect();
        assert!((2..6).contains(&changed.len()), "{}", changed.len());
        for (_, base) in &changed {
            assert!((1..3).contains(&base.len()), "{}", base.len());
            assert!(chunks.iter().any(|chunk| chunk.hash == base[0]));
        }
        let kept = new_chunks
            .iter()
            .zip(&bases)
            .filter(|(chunk, _)| chunks.contains(chunk));
        assert!(kept.into_iter().all(|(_, base)| base.is_empty()));
    }

    #[tokio::test]
    async fn what_was_appended_is_made_from_the_end() {
        let old = noise(2, 3_000_000);
        let (base, chunks) = base_of(&old).await;
        let (_, new_chunks) = base_of(&[&old[..], &noise(3, 1 << 20)].concat()).await;
        let bases = base.align(&mut 0, &new_chunks);
        let first = bases.iter().position(|base| !base.is_empty()).unwrap();
        assert_eq!(bases[first], [chunks.last().unwrap().hash]);
        assert_eq!(first, chunks.len() - 1);
    }

    #[tokio::test]
    async fn another_file_has_bases_within_bounds() {
        let (base, chunks) = base_of(&noise(4, 20 << 20)).await;
        let len = |hash| chunks.iter().find(|chunk| chunk.hash == hash).unwrap().len as usize;
        let (_, other) = base_of(&noise(5, 30 << 20)).await;
        for hashes in base.align(&mut 0, &other) {
            assert!(hashes.len() <= BASE_CHUNKS);
            let bytes: usize = hashes.iter().map(|hash| len(*hash)).sum();
            assert!(bytes <= BASE_BYTES);
        }
    }
}
