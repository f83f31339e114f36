use proptest::collection::vec;
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::{build, encode_page, entries, entry};
use crate::ids::ChunkHash;
use crate::limits::CHUNK_MAX_BYTES;
use crate::manifest::{
    ChunkEntry, EncodedPage, Manifest, ManifestBuilder, ManifestError, ManifestReader, Page, PageEntry, Step,
};

/// The encoding of a tree with these numbers.
fn tree_bytes(levels: u8, chunk_count: u64) -> Vec<u8> {
    Manifest::Tree {
        root: ChunkHash::of(b"root"),
        levels,
        chunk_count,
    }
    .encode()
}

#[test]
fn decoding_refuses_what_the_format_does_not_allow() {
    let good = build(&entries(3)).manifest.encode();
    let with = |index: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[index] = byte;
        Manifest::decode(&bytes)
    };
    assert_eq!(with(0, 2), Err(ManifestError::Version(2)));
    assert_eq!(with(1, 0), Err(ManifestError::HashAlgorithm(0)));
    assert_eq!(with(2, 9), Err(ManifestError::Chunker(9)));
    assert_eq!(with(3, 3), Err(ManifestError::Form(3)));
    assert_eq!(
        Manifest::decode(&[good.as_slice(), &[0]].concat()),
        Err(ManifestError::TrailingBytes(1))
    );
    for len in 0..good.len() {
        assert_eq!(
            Manifest::decode(&good[..len]),
            Err(ManifestError::Truncated),
            "{len}"
        );
    }
    let inline = |count: &[u8], len: &[u8]| Manifest::decode(&[&[1, 1, 1, 1], count, &[7; 32], len].concat());
    assert!(inline(&[1], &[5]).is_ok());
    assert!(inline(&[1], &[0x80, 0x80, 0x10]).is_ok());
    assert_eq!(inline(&[1], &[0]), Err(ManifestError::Length(0)));
    assert_eq!(
        inline(&[1], &[0x81, 0x80, 0x10]),
        Err(ManifestError::Length(262_145))
    );
    assert_eq!(inline(&[1], &[0x85, 0x00]), Err(ManifestError::Varint));
    assert_eq!(inline(&[1], &[0xff; 11]), Err(ManifestError::Varint));
    assert_eq!(inline(&[0x81, 0x00], &[5]), Err(ManifestError::Varint));
    assert_eq!(inline(&[0x81, 0x02], &[5]), Err(ManifestError::EntryCount(257)));
    assert_eq!(
        inline(
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[5]
        ),
        Err(ManifestError::EntryCount(u64::MAX))
    );
    for (levels, chunk_count, allowed) in [
        (0, 1_000, false),
        (1, 256, false),
        (1, 257, true),
        (1, 1_024, true),
        (1, 1_025, false),
        (2, 256, false),
        (2, 257, true),
        (3, 64 * 64, false),
        (3, 64 * 64 + 1, true),
        (4, 64 * 64 * 64, false),
        (4, 1 << 40, true),
        (4, (1 << 40) + 1, false),
        (5, 1 << 30, false),
        (255, 1 << 30, false),
    ] {
        let decoded = Manifest::decode(&tree_bytes(levels, chunk_count));
        assert_eq!(decoded.is_ok(), allowed, "{levels} levels, {chunk_count} chunks");
    }
}

#[test]
fn page_decoding_refuses_what_the_format_does_not_allow() {
    let page = |body: &[u8]| Page::decode(&[&[1, 1, 1, 3], body].concat());
    let inner = |chunk_count: &[u8], byte_len: &[u8]| {
        page(&[&[1, 1], [7; 32].as_slice(), chunk_count, byte_len].concat())
    };
    assert_eq!(page(&[0, 0]), Err(ManifestError::EntryCount(0)));
    assert_eq!(page(&[4, 0]), Err(ManifestError::Levels(4)));
    assert_eq!(page(&[0, 0x81, 0x08]), Err(ManifestError::EntryCount(1_025)));
    assert_eq!(page(&[0, 1]), Err(ManifestError::Truncated));
    assert!(inner(&[2], &[2]).is_ok());
    assert_eq!(inner(&[0], &[2]), Err(ManifestError::Length(2)));
    assert_eq!(inner(&[2], &[1]), Err(ManifestError::Length(1)));
    assert_eq!(
        inner(&[1], &[0x81, 0x80, 0x10]),
        Err(ManifestError::Length(262_145))
    );
    assert_eq!(Page::decode(&[1, 1, 1, 1, 0]), Err(ManifestError::Form(1)));
    let huge = PageEntry {
        hash: ChunkHash::of(b"huge"),
        chunk_count: u64::MAX,
        byte_len: u64::MAX,
    };
    let mut bytes = vec![1, 1, 1, 3, 1, 2];
    for _ in 0..2 {
        bytes.extend_from_slice(huge.hash.as_bytes());
        crate::manifest::codec::put_varint(&mut bytes, huge.chunk_count);
        crate::manifest::codec::put_varint(&mut bytes, huge.byte_len);
    }
    assert_eq!(Page::decode(&bytes), Err(ManifestError::Totals));
}

#[test]
fn readers_refuse_trees_that_do_not_add_up() {
    let leaf = encode_page(&Page::Leaf(entries(300)));
    let size: u64 = entries(300).iter().map(|entry| u64::from(entry.len)).sum();
    let tree = |root: &EncodedPage, levels, chunk_count| Manifest::Tree {
        root: root.hash,
        levels,
        chunk_count,
    };
    let given = |manifest: &Manifest, size: u64, page: &EncodedPage| {
        ManifestReader::new(manifest, size).and_then(|mut reader| reader.give(&page.bytes))
    };
    assert_eq!(given(&tree(&leaf, 1, 300), size, &leaf), Ok(()));
    assert_eq!(
        given(&tree(&leaf, 1, 299), size, &leaf),
        Err(ManifestError::Totals)
    );
    assert_eq!(
        given(&tree(&leaf, 1, 300), size + 1, &leaf),
        Err(ManifestError::Totals)
    );
    assert_eq!(
        given(&tree(&leaf, 2, 300), size, &leaf),
        Err(ManifestError::Levels(0))
    );
    assert_eq!(
        given(&tree(&leaf, 1, 300), 299, &leaf),
        Err(ManifestError::Totals)
    );
    assert_eq!(
        given(&tree(&leaf, 0, 300), size, &leaf),
        Err(ManifestError::Levels(0))
    );
    let other = encode_page(&Page::Leaf(entries(301)));
    assert_eq!(
        given(&tree(&leaf, 1, 300), size, &other),
        Err(ManifestError::UnexpectedPage)
    );

    // An inner page that promises its leaf one chunk more, and one that names itself a level too high.
    let promise = |level, chunk_count| {
        let hash = leaf.hash;
        encode_page(&Page::Inner {
            level,
            entries: vec![PageEntry {
                hash,
                chunk_count,
                byte_len: size,
            }],
        })
    };
    let inner = promise(1, 301);
    let mut reader = ManifestReader::new(&tree(&inner, 2, 301), size).unwrap();
    reader.give(&inner.bytes).unwrap();
    assert_eq!(reader.step(), Step::Need(leaf.hash));
    assert_eq!(reader.give(&leaf.bytes), Err(ManifestError::Totals));
    assert_eq!(reader.step(), Step::Need(leaf.hash));
    let high = promise(2, 300);
    assert_eq!(
        given(&tree(&high, 2, 300), size, &high),
        Err(ManifestError::Levels(2))
    );

    let inline = build(&entries(3));
    assert_eq!(
        ManifestReader::new(&inline.manifest, 3).err(),
        Some(ManifestError::Totals)
    );
    let mut reader = ManifestReader::new(&inline.manifest, inline.size).unwrap();
    assert_eq!(reader.give(&leaf.bytes), Err(ManifestError::UnexpectedPage));
}

#[test]
fn builders_refuse_chunks_out_of_bounds() {
    let mut builder = ManifestBuilder::new();
    for len in [0, CHUNK_MAX_BYTES as u32 + 1, u32::MAX] {
        let refused = builder.push(ChunkEntry { len, ..entry(1) });
        assert_eq!(refused, Err(ManifestError::Length(u64::from(len))));
    }
    assert_eq!((builder.chunk_count(), builder.size()), (0, 0));
}

/// What decodes encodes to the same bytes: there is no second way to write a manifest or a page.
fn check_decoders(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::decode(bytes) {
        assert_eq!(manifest.encode(), bytes);
    }
    if let Ok(page) = Page::decode(bytes) {
        assert_eq!(encode_page(&page).bytes, bytes);
    }
}

proptest! {
    #[test]
    fn decoders_survive_random_bytes(form in 0u8..5, bytes in vec(any::<u8>(), 0..200)) {
        check_decoders(&bytes);
        check_decoders(&[&[1, 1, 1, form], bytes.as_slice()].concat());
    }

    #[test]
    fn decoders_survive_changed_bytes(
        count in 0usize..400,
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        kept in any::<prop::sample::Index>(),
        cut_short in any::<bool>(),
    ) {
        let built = build(&entries(count));
        let encodings = built.pages.into_iter().map(|page| page.bytes).chain([built.manifest.encode()]);
        for mut bytes in encodings {
            for (index, byte) in &changes {
                let index = index.index(bytes.len());
                bytes[index] = *byte;
            }
            if cut_short {
                bytes.truncate(kept.index(bytes.len()));
            }
            check_decoders(&bytes);
        }
    }

    #[test]
    fn numbers_have_one_encoding(value in any::<u64>(), shift in 0u32..64) {
        let value = value >> shift;
        let mut bytes = Vec::new();
        crate::manifest::codec::put_varint(&mut bytes, value);
        let mut input = crate::manifest::codec::Input::new(&bytes);
        prop_assert_eq!(input.varint(), Ok(value));
        prop_assert!(input.finish().is_ok());
        *bytes.last_mut().unwrap() |= 0x80;
        bytes.push(0);
        prop_assert_eq!(crate::manifest::codec::Input::new(&bytes).varint(), Err(ManifestError::Varint));
    }
}
