//! Packs cut or damaged at every byte.

use std::fs;
use std::path::Path;

use cairn_chunks::{ChunkError, ChunkStore, NewChunk};

use crate::support::{Folder, Home, chunk, has};

const HEADER: usize = 128;

/// A folder in which a crash left an unsealed pack with these chunks, and where each frame ends.
async fn crashed(home: &Home, count: usize) -> (Folder, Vec<NewChunk>, Vec<usize>) {
    let live = home.next();
    let store = live.reopen().await;
    let mut chunks = Vec::new();
    let mut ends = vec![HEADER];
    for number in 0..count {
        let new = chunk(&format!("frame {number}"));
        store.put(vec![new.clone()]).await.unwrap();
        ends.push(ends[number] + 80 + new.chunk.bytes.len());
        chunks.push(new);
    }
    let image = home.next();
    live.copy_to(&image);
    assert_eq!(image.files("open").len(), 1);
    assert_eq!(
        fs::metadata(&image.files("open")[0]).unwrap().len() as usize,
        ends[count]
    );
    store.close().await.unwrap();
    (image, chunks, ends)
}

async fn expect_prefix(folder: &Folder, chunks: &[NewChunk], kept: usize, context: &str) {
    let store = folder.reopen().await;
    for (number, new) in chunks.iter().enumerate() {
        assert_eq!(has(&store, new).await, number < kept, "{context}: chunk {number}");
    }
    assert_eq!(store.list(None, 100).await.unwrap().len(), kept, "{context}");
    assert_eq!(
        folder.files("open").len(),
        0,
        "{context}: what a crash left open is sealed"
    );
    assert_eq!(folder.files("pack").len(), usize::from(kept > 0), "{context}");
    // What was lost can be put again, into another pack.
    store.put(chunks.to_vec()).await.unwrap();
    store.close().await.unwrap();
    let store = folder.reopen().await;
    for new in chunks {
        assert!(has(&store, new).await, "{context}: put again");
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_cut_at_any_byte_keeps_the_whole_frames() {
    let home = Home::new();
    let (image, chunks, ends) = crashed(&home, 3).await;
    let bytes = fs::read(&image.files("open")[0]).unwrap();
    for len in 0..=bytes.len() {
        let folder = home.next();
        image.copy_to(&folder);
        fs::write(&folder.files("open")[0], &bytes[..len]).unwrap();
        let kept = ends[1..].iter().filter(|end| **end <= len).count();
        expect_prefix(&folder, &chunks, kept, &format!("cut at {len}")).await;
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_loses_its_frame_and_what_follows_only() {
    let home = Home::new();
    let (image, chunks, ends) = crashed(&home, 3).await;
    let bytes = fs::read(&image.files("open")[0]).unwrap();
    for at in HEADER..bytes.len() {
        let folder = home.next();
        image.copy_to(&folder);
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        fs::write(&folder.files("open")[0], &damaged).unwrap();
        let kept = ends[1..].iter().filter(|end| **end <= at).count();
        expect_prefix(&folder, &chunks, kept, &format!("flip at {at}")).await;
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_after_the_last_frame_are_cut() {
    let home = Home::new();
    let (image, chunks, _) = crashed(&home, 2).await;
    let path = &image.files("open")[0];
    let whole = fs::read(path).unwrap();
    let again = &whole[HEADER..];
    for junk in [&[0_u8; 5_000][..], &[0xff; 100], again] {
        let folder = home.next();
        image.copy_to(&folder);
        fs::write(&folder.files("open")[0], [&whole[..], junk].concat()).unwrap();
        expect_prefix(&folder, &chunks, 2, "junk").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_while_sealing_is_repeated_to_the_same_bytes() {
    let home = Home::new();
    let live = home.next();
    let store = live.reopen().await;
    let chunks = vec![chunk("one"), chunk("two")];
    store.put(chunks.clone()).await.unwrap();
    let image = home.next();
    live.copy_to(&image);
    store.close().await.unwrap();
    let sealed = fs::read(&live.files("pack")[0]).unwrap();
    let frames = fs::metadata(&image.files("open")[0]).unwrap().len() as usize;
    for len in frames..=sealed.len() {
        let folder = home.next();
        image.copy_to(&folder);
        fs::write(&folder.files("open")[0], &sealed[..len]).unwrap();
        folder.reopen().await.close().await.unwrap();
        assert_eq!(
            fs::read(&folder.files("pack")[0]).unwrap(),
            sealed,
            "cut at {len}"
        );
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_a_sealed_pack_is_told_and_harms_one_chunk() {
    let home = Home::new();
    let live = home.next();
    let store = live.reopen().await;
    let chunks: Vec<_> = (0..3).map(|number| chunk(&format!("sealed {number}"))).collect();
    for new in &chunks {
        store.put(vec![new.clone()]).await.unwrap();
    }
    store.close().await.unwrap();
    let bytes = fs::read(&live.files("pack")[0]).unwrap();
    let middle = HEADER + 80 + chunks[0].chunk.bytes.len();
    for at in middle..middle + 80 + chunks[1].chunk.bytes.len() {
        let folder = home.next();
        live.copy_to(&folder);
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x40;
        fs::write(&folder.files("pack")[0], &damaged).unwrap();
        let store = folder.reopen().await;
        assert!(has(&store, &chunks[0]).await && has(&store, &chunks[2]).await);
        let error = store.get(&chunks[1].hash).await.unwrap_err();
        assert!(
            matches!(error, ChunkError::Corrupt { hash, .. } if hash == chunks[1].hash),
            "flip at {at}"
        );
        store.close().await.unwrap();
        fs::remove_dir_all(&folder.path).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_found_damaged_is_stored_anew_when_it_is_put_again() {
    let home = Home::new();
    let folder = home.next();
    let store = folder.reopen().await;
    let chunks: Vec<_> = (0..3).map(|number| chunk(&format!("put {number}"))).collect();
    store.put(chunks.clone()).await.unwrap();
    let bad = &chunks[1];
    // Damaged while the index does not have it yet, and once more when it has.
    for _ in 0..2 {
        let damage = |path: &Path| {
            let mut bytes = fs::read(path).unwrap();
            bytes[HEADER..].fill(0xee);
            fs::write(path, &bytes).unwrap();
        };
        for extension in ["open", "pack"] {
            folder.files(extension).iter().for_each(|path| damage(path));
        }
        // Nobody has read it yet, so nobody knows.
        store.put(vec![bad.clone()]).await.unwrap();
        for new in &chunks {
            let error = store.get(&new.hash).await.unwrap_err();
            assert!(matches!(error, ChunkError::Corrupt { .. }), "{error}");
        }
        store.put(vec![bad.clone()]).await.unwrap();
        assert!(has(&store, bad).await, "whoever puts it again has mended it");
        assert!(
            store.get(&chunks[0].hash).await.is_err(),
            "nobody put this one again"
        );
        assert_eq!(store.list(None, 10).await.unwrap().len(), 3);
    }
    store.close().await.unwrap();
    let store = folder.reopen().await;
    assert!(has(&store, bad).await, "it stays mended");
    store.put(chunks.clone()).await.unwrap();
    assert!(
        store.get(&chunks[0].hash).await.is_err(),
        "what was found is forgotten with the process"
    );
    store.put(chunks.clone()).await.unwrap();
    assert!(has(&store, &chunks[0]).await);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_footer_is_replaced_by_reading_the_frames() {
    let home = Home::new();
    let live = home.next();
    let store = live.reopen().await;
    let chunks = vec![chunk("one"), chunk("two"), chunk("three")];
    store.put(chunks.clone()).await.unwrap();
    store.close().await.unwrap();
    let bytes = fs::read(&live.files("pack")[0]).unwrap();
    let frames: usize = HEADER + chunks.iter().map(|new| 80 + new.chunk.bytes.len()).sum::<usize>();
    for at in (frames..bytes.len()).step_by(3) {
        let folder = home.next();
        live.copy_to(&folder);
        fs::remove_file(folder.path.join("index.db")).unwrap();
        let mut damaged = bytes.clone();
        damaged[at] ^= 2;
        fs::write(&folder.files("pack")[0], &damaged).unwrap();
        let store = folder.reopen().await;
        for new in &chunks {
            assert!(has(&store, new).await, "flip at {at}");
        }
        store.close().await.unwrap();
        fs::remove_dir_all(&folder.path).unwrap();
    }
}
