//! The version before of a file: its chunks in order and the pages that list them, so that a new version travels as what
//! is new in it, and that against what is old.
//!
//! Also how a device asks for what is new: a server that sends a small edit along foresees it by the same rules.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::delta::{BASE_BYTES, BASE_CHUNKS};
use crate::ids::ChunkHash;
use crate::limits::{CHUNK_MAX_BYTES, CHUNK_MIN_BYTES};
use crate::manifest::{ChunkEntry, EncodedPage, Manifest, Page};
use crate::node::FileContent;

/// Chunks of a file whose version before is looked at: 9 GiB of it, and 10 MiB of memory.
const MOST_CHUNKS: u64 = 1 << 17;
/// Bytes of the old version around the place of a new chunk that may be a part of it.
const AROUND_BYTES: u64 = CHUNK_MAX_BYTES as u64;
/// Content up to which a file is fetched together with others and written at once.
const SMALL_FILE_BYTES: u64 = 1024 * 1024;
/// Small files that may be fetched one by one, when they are all that is fetched. Of many it would take longer to fetch what
/// changed, one by one, than to fetch them whole and together.
const FEW_FILES: usize = 8;

/// Whether a file is fetched by itself whatever is there of it, and not together with others.
pub fn is_long(content: &FileContent) -> bool {
    content.size > SMALL_FILE_BYTES || !matches!(content.manifest, Manifest::Inline(_))
}

/// Whether a file that is not long is fetched by itself where an older version of it is there. `files` is how many are fetched
/// at once.
pub const fn may_come_as_edit(content: &FileContent, files: usize) -> bool {
    files <= FEW_FILES && content.size >= CHUNK_MIN_BYTES as u64
}

/// Groups chunks that are asked for together: a run has no gaps and one base. `of` says which chunk of the file one is, and
/// against what it is asked for.
pub fn runs<T>(chunks: Vec<T>, of: impl Fn(&T) -> (u64, &[ChunkHash])) -> Vec<Vec<T>> {
    let goes_on = |last: &T, next: &T| {
        let ((last, last_base), (next, next_base)) = (of(last), of(next));
        last + 1 == next && last_base == next_base
    };
    let mut runs: Vec<Vec<T>> = Vec::new();
    for chunk in chunks {
        match runs.last_mut() {
            Some(run) if run.last().is_some_and(|last| goes_on(last, &chunk)) => run.push(chunk),
            _ => runs.push(vec![chunk]),
        }
    }
    runs
}

/// The version before of one file.
#[derive(Debug)]
pub struct Base {
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

/// Puts a [`Base`] together, from the top page down.
#[derive(Debug)]
pub struct BaseReader {
    base: Base,
    /// The pages of the next level.
    wanted: Vec<ChunkHash>,
    level: u8,
}

impl BaseReader {
    /// Begins with what the manifest says itself; `None` where the file is too long.
    pub fn new(manifest: &Manifest) -> Option<Self> {
        let mut reader = Self {
            base: Base {
                chunks: Vec::new(),
                offsets: Vec::new(),
                by_hash: Vec::new(),
                pages: Vec::new(),
                parents: BTreeMap::new(),
            },
            wanted: Vec::new(),
            level: 0,
        };
        match manifest {
            Manifest::Inline(entries) => reader.base.chunks.clone_from(entries),
            Manifest::Tree { chunk_count, .. } if *chunk_count > MOST_CHUNKS => return None,
            Manifest::Tree { root, levels, .. } => {
                reader.wanted.push(*root);
                reader.level = *levels;
            }
        }
        Some(reader)
    }

    /// The pages that are needed next, all of one level; none when everything is there.
    pub fn wanted(&self) -> &[ChunkHash] {
        &self.wanted
    }

    /// Takes the pages that were wanted, in that order; `None` when one is missing or is no such page.
    #[must_use]
    pub fn give(mut self, found: Vec<Option<Vec<u8>>>) -> Option<Self> {
        let level = self.level.checked_sub(1)?;
        let wanted = std::mem::take(&mut self.wanted);
        if found.len() != wanted.len() {
            return None;
        }
        for (hash, bytes) in wanted.into_iter().zip(found) {
            self.add(level, hash, bytes?)?;
        }
        self.level = level;
        Some(self)
    }

    fn add(&mut self, level: u8, hash: ChunkHash, bytes: Vec<u8>) -> Option<()> {
        let base = &mut self.base;
        let first = base.chunks.len();
        match Page::decode(&bytes).ok()? {
            Page::Leaf(entries) if level == 0 => base.chunks.extend(entries),
            Page::Inner {
                level: found,
                entries,
            } if found == level => {
                let index = base.pages.len();
                for entry in entries {
                    base.parents.insert(entry.hash, index);
                    self.wanted.push(entry.hash);
                }
            }
            _ => return None,
        }
        // A manifest that says less than its pages hold is no reason to hold more.
        if base.chunks.len() as u64 > MOST_CHUNKS || self.wanted.len() as u64 > MOST_CHUNKS {
            return None;
        }
        base.pages.push(BasePage {
            hash,
            level,
            bytes,
            chunks: first..base.chunks.len(),
        });
        Some(())
    }

    /// What was put together: call it when nothing is wanted any more.
    pub fn finish(mut self) -> Base {
        self.base.index();
        self.base
    }
}

impl Base {
    /// Its chunks in order, and its pages, children before parents.
    pub fn into_lists(self) -> (Vec<ChunkEntry>, Vec<EncodedPage>) {
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
    pub fn contains(&self, hash: &ChunkHash) -> bool {
        self.find(hash, 0).is_some() || self.pages.iter().any(|page| page.hash == *hash)
    }

    /// Where a chunk of it stands: the bytes in front of it, and its length.
    pub fn place_of(&self, hash: &ChunkHash) -> Option<(u64, usize)> {
        let index = self.find(hash, 0)?;
        Some((*self.offsets.get(index)?, self.chunks.get(index)?.len as usize))
    }

    /// Whether a chunk stands at a place.
    pub fn has_at(&self, hash: &ChunkHash, offset: u64) -> bool {
        let index = self.offsets.binary_search(&offset).ok();
        index
            .and_then(|index| self.chunks.get(index))
            .is_some_and(|chunk| chunk.hash == *hash)
    }

    /// The bytes of one of its pages.
    pub fn page(&self, hash: &ChunkHash) -> Option<&[u8]> {
        let page = self.pages.iter().find(|page| page.hash == *hash)?;
        Some(&page.bytes)
    }

    /// For each chunk of the new version, in order, what to make a delta of it against; empty for those that are old. `next`
    /// is where the old version goes on behind what was matched last: it is carried from one call to the next.
    pub fn align(&self, next: &mut usize, new: &[ChunkEntry]) -> Vec<Vec<ChunkHash>> {
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
    pub fn page_base(&self, page: &[u8]) -> Option<(Vec<ChunkHash>, Vec<u8>)> {
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
    use crate::delta::tests::noise;
    use crate::file_hasher::FileHasher;

    /// The base of a file, and its chunks.
    fn base_of(bytes: &[u8]) -> (Base, Vec<ChunkEntry>) {
        let mut hasher = FileHasher::new();
        let mut chunks = Vec::new();
        let mut rest = bytes;
        while let Some((_, chunk)) = hasher.next_chunk(&mut rest).unwrap() {
            chunks.push(ChunkEntry::of(chunk));
        }
        if let Some((_, chunk)) = hasher.last_chunk().unwrap() {
            chunks.push(ChunkEntry::of(chunk));
        }
        let summary = hasher.finish().unwrap();
        let page = |hash: &ChunkHash| {
            let page = summary.pages.iter().find(|page| page.hash == *hash);
            page.map(|page| page.bytes.clone())
        };
        let mut reader = BaseReader::new(&summary.content.manifest).unwrap();
        while !reader.wanted().is_empty() {
            let found = reader.wanted().iter().map(page).collect();
            reader = reader.give(found).unwrap();
        }
        (reader.finish(), chunks)
    }

    #[test]
    fn a_changed_chunk_is_made_from_the_one_in_its_place() {
        let old = noise(1, 30 << 20);
        let (base, chunks) = base_of(&old);
        assert!(chunks.len() > 256, "it takes pages");
        let mut new = old.clone();
        new[10 << 20] ^= 1;
        new.splice(20 << 20..20 << 20, *b"inserted");
        let (_, new_chunks) = base_of(&new);
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

    #[test]
    fn what_was_appended_is_made_from_the_end() {
        let old = noise(2, 3_000_000);
        let (base, chunks) = base_of(&old);
        let (_, new_chunks) = base_of(&[&old[..], &noise(3, 1 << 20)].concat());
        let bases = base.align(&mut 0, &new_chunks);
        let first = bases.iter().position(|base| !base.is_empty()).unwrap();
        assert_eq!(bases[first], [chunks.last().unwrap().hash]);
        assert_eq!(first, chunks.len() - 1);
    }

    #[test]
    fn another_file_has_bases_within_bounds() {
        let (base, chunks) = base_of(&noise(4, 20 << 20));
        let len = |hash| chunks.iter().find(|chunk| chunk.hash == hash).unwrap().len as usize;
        let (_, other) = base_of(&noise(5, 30 << 20));
        for hashes in base.align(&mut 0, &other) {
            assert!(hashes.len() <= BASE_CHUNKS);
            let bytes: usize = hashes.iter().map(|hash| len(*hash)).sum();
            assert!(bytes <= BASE_BYTES);
        }
    }

    #[test]
    fn a_page_that_is_missing_or_another_ends_it() {
        let bytes = noise(6, 30 << 20);
        let mut hasher = FileHasher::new();
        let mut rest = &bytes[..];
        while hasher.next_chunk(&mut rest).unwrap().is_some() {}
        hasher.last_chunk().unwrap();
        let summary = hasher.finish().unwrap();
        let reader = || BaseReader::new(&summary.content.manifest).unwrap();
        assert!(reader().give(vec![None]).is_none());
        assert!(reader().give(Vec::new()).is_none());
        let leaf = summary.pages.first().unwrap().bytes.clone();
        assert!(
            reader().give(vec![Some(leaf)]).is_none(),
            "a leaf in place of the root"
        );
        assert!(reader().give(vec![Some(b"no page".to_vec())]).is_none());
    }

    #[test]
    fn a_run_has_no_gaps_and_one_base() {
        let hash = |seed: u8| ChunkHash::new([seed; 32]);
        let chunks = vec![
            (3, vec![hash(1)]),
            (4, vec![hash(1)]),
            (5, vec![hash(2)]),
            (7, vec![hash(2)]),
            (8, vec![]),
        ];
        let runs = runs(chunks, |(index, base)| (*index, base));
        let shape: Vec<Vec<u64>> = runs
            .iter()
            .map(|run| run.iter().map(|(index, _)| *index).collect())
            .collect();
        assert_eq!(shape, [vec![3, 4], vec![5], vec![7], vec![8]]);
    }
}
