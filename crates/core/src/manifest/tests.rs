mod refusals;

use std::collections::HashMap;

use super::page::PageWriter;
use super::{
    BuiltManifest, ChunkEntry, EncodedPage, Manifest, ManifestBuilder, ManifestReader, PAGE_MAX_BYTES,
    PAGE_MAX_ENTRIES, PAGE_MIN_ENTRIES, Page, PlacedChunk, Step,
};
use crate::ids::ChunkHash;
use crate::limits::CHUNK_MAX_BYTES;

/// Chunk `index` of a made-up file.
fn entry(index: usize) -> ChunkEntry {
    ChunkEntry {
        hash: ChunkHash::of(&(index as u64).to_le_bytes()),
        len: (index * 7_919 % CHUNK_MAX_BYTES) as u32 + 1,
    }
}

fn entries(count: usize) -> Vec<ChunkEntry> {
    (0..count).map(entry).collect()
}

fn build(entries: &[ChunkEntry]) -> BuiltManifest {
    let mut builder = ManifestBuilder::new();
    for entry in entries {
        builder.push(*entry).unwrap();
    }
    builder.finish().unwrap()
}

fn by_hash(pages: &[EncodedPage]) -> HashMap<ChunkHash, &[u8]> {
    pages
        .iter()
        .map(|page| (page.hash, page.bytes.as_slice()))
        .collect()
}

/// Runs a reader to its end; returns the chunks and how many pages it asked for.
fn read(mut reader: ManifestReader, pages: &HashMap<ChunkHash, &[u8]>) -> (Vec<PlacedChunk>, usize) {
    let mut chunks = Vec::new();
    let mut page_count = 0;
    loop {
        match reader.step() {
            Step::Need(hash) => {
                reader.give(pages[&hash]).unwrap();
                page_count += 1;
            }
            Step::Chunk(chunk) => chunks.push(chunk),
            Step::End => return (chunks, page_count),
        }
    }
}

fn encode_page(page: &Page) -> EncodedPage {
    let mut writer = PageWriter::new(page.level());
    match page {
        Page::Leaf(entries) => entries.iter().for_each(|entry| writer.push_chunk(entry)),
        Page::Inner { entries, .. } => entries.iter().for_each(|entry| writer.push_page(entry)),
    }
    writer.take().1
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn encodings_are_those_of_the_format() {
    let empty = build(&[]);
    assert_eq!(hex(&empty.manifest.encode()), "0101010100");
    assert_eq!(
        empty.file_id.to_string(),
        "1f8a2428747557207cadc394d92b27b63f8e982560fe8ab894fdb73cd537a586"
    );

    let one = ChunkEntry::of(b"cairn");
    let inline = build(&[one]);
    assert_eq!(
        hex(&inline.manifest.encode()),
        format!("0101010101{}05", one.hash)
    );
    assert_eq!(
        inline.file_id.to_string(),
        "cf7bb98b815e7c1c67284d71cded188237affba87104f7e2576685e273b25c1f"
    );

    let tree = build(&entries(1_000));
    assert_eq!(
        hex(&tree.manifest.encode()),
        "01010102d4adbaa019d98a0d8568ab10127a84604a4aca27756ef2ba52241b63decd08a902e807"
    );
    assert_eq!(
        tree.file_id.to_string(),
        "6f710d33f2d2539b18cb4b4e4723588cae1ca069bf299aa0c2dceac7dcdb384e"
    );
}

#[test]
fn manifests_decode_to_what_was_encoded() {
    for count in [0, 1, 2, 255, 256, 257, 5_000] {
        let built = build(&entries(count));
        assert_eq!(built.manifest.chunk_count(), count as u64);
        assert_eq!(
            Manifest::decode(&built.manifest.encode()).unwrap(),
            built.manifest
        );
        assert_eq!(
            matches!(built.manifest, Manifest::Inline(_)),
            count <= 256,
            "{count}"
        );
        assert_eq!(built.manifest.file_id(built.size), built.file_id);
        assert_eq!(built, build(&entries(count)));
    }
}

#[test]
fn file_ids_tell_contents_apart() {
    let tree = build(&entries(300));
    let mut others = entries(300);
    others.swap(10, 11);
    assert_ne!(build(&others).file_id, tree.file_id);
    assert_ne!(build(&entries(299)).file_id, tree.file_id);
    assert_ne!(tree.manifest.file_id(tree.size + 1), tree.file_id);
}

#[test]
fn readers_yield_the_chunks_that_were_pushed() {
    for count in [0, 1, 256, 257, 1_024, 1_025, 20_000, 120_000] {
        let pushed = entries(count);
        let built = build(&pushed);
        let pages = by_hash(&built.pages);
        let reader = ManifestReader::new(&built.manifest, built.size).unwrap();
        let (chunks, page_count) = read(reader, &pages);
        assert_eq!(chunks.iter().map(|chunk| chunk.entry).collect::<Vec<_>>(), pushed);
        assert_eq!(page_count, built.pages.len());
        let mut offset = 0;
        for (index, chunk) in chunks.iter().enumerate() {
            assert_eq!((chunk.index, chunk.offset), (index as u64, offset));
            offset += u64::from(chunk.entry.len);
        }
        assert_eq!(offset, built.size);
    }
}

#[test]
fn readers_skip_pages_in_front_of_their_start() {
    let built = build(&entries(60_000));
    let Manifest::Tree { levels, .. } = built.manifest else {
        panic!("60,000 chunks are a tree");
    };
    let pages = by_hash(&built.pages);
    let (all, _) = read(ManifestReader::new(&built.manifest, built.size).unwrap(), &pages);
    for index in [0, 1, 300, 31_234, 59_999, 60_000, 70_000] {
        let reader = ManifestReader::at_chunk(&built.manifest, built.size, index as u64).unwrap();
        assert_eq!(read(reader, &pages).0, all[index.min(all.len())..]);
    }
    for index in [0, 1, 300, 31_234, 59_999] {
        let chunk = all[index];
        for within in [0, u64::from(chunk.entry.len) / 2, u64::from(chunk.entry.len) - 1] {
            let offset = chunk.offset + within;
            let reader = ManifestReader::at_offset(&built.manifest, built.size, offset).unwrap();
            assert_eq!(read(reader, &pages).0, all[index..]);
        }
    }
    let mut last = ManifestReader::at_offset(&built.manifest, built.size, built.size - 1).unwrap();
    for _ in 0..levels {
        let Step::Need(hash) = last.step() else {
            panic!("one page of each level is needed");
        };
        last.give(pages[&hash]).unwrap();
    }
    assert_eq!(last.step(), Step::Chunk(all[59_999]));
    for offset in [built.size, u64::MAX] {
        let mut beyond = ManifestReader::at_offset(&built.manifest, built.size, offset).unwrap();
        assert_eq!(beyond.step(), Step::End);
    }
}

#[test]
fn pages_keep_their_bounds_and_do_not_depend_on_when_they_are_taken() {
    let built = build(&entries(60_000));
    let mut builder = ManifestBuilder::new();
    let mut pages = Vec::new();
    for entry in entries(60_000) {
        builder.push(entry).unwrap();
        let taken = builder.take_pages();
        assert!(taken.len() <= 4);
        pages.extend(taken);
    }
    let rest = builder.finish().unwrap();
    assert_eq!((rest.file_id, rest.size), (built.file_id, built.size));
    pages.extend(rest.pages);
    assert_eq!(pages, built.pages);

    let mut leaf_lens = Vec::new();
    for page in &built.pages {
        assert_eq!(ChunkHash::of(&page.bytes), page.hash);
        assert!(page.bytes.len() <= PAGE_MAX_BYTES);
        let decoded = Page::decode(&page.bytes).unwrap();
        assert_eq!(encode_page(&decoded), *page);
        if let Page::Leaf(entries) = decoded {
            leaf_lens.push(entries.len());
        }
    }
    let (_, full) = leaf_lens.split_last().unwrap();
    assert!(
        full.iter()
            .all(|len| (PAGE_MIN_ENTRIES..=PAGE_MAX_ENTRIES).contains(len))
    );
    let mean = 60_000 / leaf_lens.len();
    assert!((220..290).contains(&mean), "{mean}");
    const { assert!(PAGE_MAX_BYTES < 64 * 1024) };
}

#[test]
fn a_splice_rewrites_few_pages() {
    let before = build(&entries(20_000));
    let known = by_hash(&before.pages);
    for (place, removed, inserted) in [
        (0, 0, 1),
        (10_000, 1, 1),
        (15_000, 3, 40),
        (7, 1, 0),
        (20_000, 0, 5),
    ] {
        let mut edited = entries(20_000);
        edited.splice(
            place..place + removed,
            (0..inserted).map(|index| entry(1_000_000 + index)),
        );
        let after = build(&edited);
        let fresh = after
            .pages
            .iter()
            .filter(|page| !known.contains_key(&page.hash))
            .count();
        // A leaf and its root; at worst the edit falls on an end of a page and shifts the neighbour's.
        assert!((2..=6).contains(&fresh), "{fresh} pages for a splice at {place}");
    }
}

/// An entry whose repetition fills leaves of the fewest entries, so that few chunks make many levels.
fn entry_of_small_pages() -> ChunkEntry {
    let ends = |hash: &ChunkHash| u16::from_le_bytes([hash.as_bytes()[30], hash.as_bytes()[31]]) < 341;
    let candidates = (0..).map(entry).filter(|entry| ends(&entry.hash));
    let mut small = candidates.filter(|entry| {
        let leaf = encode_page(&Page::Leaf(vec![*entry; PAGE_MIN_ENTRIES]));
        ends(&leaf.hash)
    });
    small.next().unwrap()
}

#[test]
fn four_levels_are_built_and_read() {
    let entry = entry_of_small_pages();
    // Leaves of 64, then pages of 64 leaves, then pages of up to 1,024: one more chunk needs the fourth level.
    let count = 64 * 64 * 1_024 + 1;
    let mut builder = ManifestBuilder::new();
    let mut pages = HashMap::new();
    for _ in 0..count {
        builder.push(entry).unwrap();
        pages.extend(
            builder
                .take_pages()
                .into_iter()
                .map(|page| (page.hash, page.bytes)),
        );
    }
    let built = builder.finish().unwrap();
    pages.extend(built.pages.into_iter().map(|page| (page.hash, page.bytes)));
    let Manifest::Tree {
        levels: 4,
        chunk_count,
        ..
    } = built.manifest
    else {
        panic!("not a tree of four levels: {:?}", built.manifest);
    };
    assert_eq!(chunk_count, count);
    assert_eq!(
        Manifest::decode(&built.manifest.encode()).unwrap(),
        built.manifest
    );
    let mut reader = ManifestReader::at_chunk(&built.manifest, built.size, count - 2).unwrap();
    let mut rest = Vec::new();
    loop {
        match reader.step() {
            Step::Need(hash) => reader.give(&pages[&hash]).unwrap(),
            Step::Chunk(chunk) => rest.push(chunk.index),
            Step::End => break,
        }
    }
    assert_eq!(rest, [count - 2, count - 1]);
}
