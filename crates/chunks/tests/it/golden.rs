//! The bytes on disk, for fixed randomness. A change here breaks every store that exists.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use cairn_chunks::pack::PackOptions;
use cairn_chunks::{ChunkKind, ChunkStore, Codec, CollectableChunks, EncodedChunk, NewChunk, PackChunks};
use cairn_core::ids::ChunkHash;

use crate::support::{Home, has, raw_chunk, runtime};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

fn chunks() -> Vec<NewChunk> {
    let zeros = [0; 1_000];
    // One zstd frame of 1,000 zero bytes, written out so that no version of zstd can change it.
    let zstd = [
        0x28, 0xb5, 0x2f, 0xfd, 0x60, 0xe8, 0x02, 0x4d, 0x00, 0x00, 0x10, 0x00, 0x00, 0x01, 0x00, 0xe3, 0x2b,
        0x80, 0x05,
    ];
    let chunk = EncodedChunk {
        codec: Codec::Zstd,
        plain_len: 1_000,
        plain_crc32: crc32fast::hash(&zeros),
        bytes: Bytes::copy_from_slice(&zstd),
    };
    cairn_codec::decode_chunk(&chunk, &ChunkHash::of(&zeros)).unwrap();
    vec![
        raw_chunk(b"a stone on a stone", ChunkKind::Data),
        raw_chunk(b"a page", ChunkKind::ManifestPage),
        NewChunk {
            hash: ChunkHash::of(&zeros),
            kind: ChunkKind::Data,
            chunk,
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_store_has_these_bytes() {
    let home = Home::new();
    let folder = home.next();
    let store = PackChunks::open(&folder.path, runtime(7), PackOptions::default())
        .await
        .unwrap();
    for new in chunks() {
        store.put(vec![new]).await.unwrap();
    }
    store.advance_epoch().await.unwrap();
    store.advance_epoch().await.unwrap();
    store.close().await.unwrap();
    let pack = &folder.files("pack")[0];
    assert_eq!(
        pack.file_name().unwrap().to_str().unwrap(),
        fs::read_to_string(golden("pack.name")).unwrap().trim()
    );
    for (found, name) in [
        (pack.clone(), "small.pack"),
        (folder.path.join("keyring"), "keyring"),
        (folder.path.join("epoch"), "epoch"),
    ] {
        assert_eq!(
            fs::read(found).unwrap(),
            fs::read(golden(name)).unwrap(),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn these_bytes_are_read() {
    let home = Home::new();
    let folder = home.next();
    fs::create_dir_all(folder.packs()).unwrap();
    let name = fs::read_to_string(golden("pack.name")).unwrap();
    fs::copy(golden("small.pack"), folder.packs().join(name.trim())).unwrap();
    fs::copy(golden("keyring"), folder.path.join("keyring")).unwrap();
    fs::copy(golden("epoch"), folder.path.join("epoch")).unwrap();
    let store = folder.reopen().await;
    for new in chunks() {
        assert!(has(&store, &new).await);
    }
    store.close().await.unwrap();
}
