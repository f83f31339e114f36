//! Stopping, starting, and what is missing then.

use std::fs;

use cairn_chunks::keyring::Keyring;
use cairn_chunks::pack::PackOptions;
use cairn_chunks::{ChunkError, ChunkStore, CollectableChunks, NewChunk};

use crate::support::{Folder, Home, chunk, has, runtime, seed};

fn numbered(count: usize) -> Vec<NewChunk> {
    (0..count)
        .map(|number| chunk(&format!("chunk number {number}")))
        .collect()
}

async fn closed_with(home: &Home, chunks: &[NewChunk]) -> Folder {
    let folder = home.next();
    let store = folder.try_open(PackOptions { pack_bytes: 2_000 }).await.unwrap();
    for group in chunks.chunks(5) {
        store.put(group.to_vec()).await.unwrap();
    }
    store.close().await.unwrap();
    folder
}

async fn expect_all(folder: &Folder, chunks: &[NewChunk]) {
    let store = folder.reopen().await;
    for new in chunks {
        assert!(has(&store, new).await);
    }
    assert_eq!(store.list(None, 10_000).await.unwrap().len(), chunks.len());
    store.close().await.unwrap();
}

fn unopenable(result: cairn_chunks::Result<cairn_chunks::PackChunks>) -> String {
    match result.map(|_| ()).unwrap_err() {
        error @ ChunkError::Unopenable { .. } => error.to_string(),
        error => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_survive_starts_and_stops() {
    let home = Home::new();
    let chunks = numbered(100);
    let folder = closed_with(&home, &chunks).await;
    assert!(
        folder.files("pack").len() > 3,
        "small packs are sealed and followed by others"
    );
    for _ in 0..3 {
        expect_all(&folder, &chunks).await;
    }
    let before = folder.files("pack");
    folder.reopen().await.close().await.unwrap();
    assert_eq!(folder.files("pack"), before, "a start without puts makes no pack");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_damaged_index_is_built_again() {
    let home = Home::new();
    let chunks = numbered(60);
    let folder = closed_with(&home, &chunks).await;
    let index = folder.path.join("index.db");
    fs::remove_file(&index).unwrap();
    expect_all(&folder, &chunks).await;
    fs::write(
        &index,
        b"this is no database, whatever it is, but it is long enough to be one".repeat(100),
    )
    .unwrap();
    expect_all(&folder, &chunks).await;
    assert!(folder.path.join("index.db.damaged").exists());
    let whole = fs::read(&index).unwrap();
    fs::write(&index, &whole[..whole.len() / 2]).unwrap();
    expect_all(&folder, &chunks).await;
    fs::write(&index, b"").unwrap();
    expect_all(&folder, &chunks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_inside_the_index_is_found_and_repaired() {
    let home = Home::new();
    let chunks = numbered(60);
    let folder = closed_with(&home, &chunks).await;
    let index = folder.path.join("index.db");
    let whole = fs::read(&index).unwrap();
    for page in 0..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..200].fill(0xee);
        fs::write(&index, &damaged).unwrap();
        expect_all(&folder, &chunks).await;
        fs::remove_file(folder.path.join("index.db.damaged")).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unclean_stop_loses_nothing() {
    let home = Home::new();
    let chunks = numbered(200);
    let live = home.next();
    let store = live.try_open(PackOptions { pack_bytes: 2_000 }).await.unwrap();
    for (number, group) in chunks.chunks(20).enumerate() {
        store.put(group.to_vec()).await.unwrap();
        let image = home.next();
        live.copy_to(&image);
        expect_all(&image, &chunks[..20 * (number + 1)]).await;
        expect_all(&image, &chunks[..20 * (number + 1)]).await;
    }
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_without_their_keys_are_refused() {
    let home = Home::new();
    let folder = closed_with(&home, &numbered(3)).await;
    let keyring = folder.path.join("keyring");
    let kept = fs::read(&keyring).unwrap();

    fs::remove_file(&keyring).unwrap();
    let message = unopenable(folder.try_open(PackOptions::default()).await);
    assert!(
        message.contains("no keyring") && message.contains("backup"),
        "{message}"
    );
    assert!(!keyring.exists(), "no new one is made");

    Keyring::create(&keyring, &*runtime(seed()).entropy).unwrap();
    let message = unopenable(folder.try_open(PackOptions::default()).await);
    assert!(message.contains("lacks key"), "{message}");

    for at in 0..kept.len() {
        let mut damaged = kept.clone();
        damaged[at] ^= 1;
        fs::write(&keyring, &damaged).unwrap();
        unopenable(folder.try_open(PackOptions::default()).await);
        fs::write(&keyring, &kept[..at]).unwrap();
        unopenable(folder.try_open(PackOptions::default()).await);
    }

    fs::write(&keyring, &kept).unwrap();
    expect_all(&folder, &numbered(3)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_without_their_epoch_are_refused() {
    let home = Home::new();
    let folder = closed_with(&home, &numbered(3)).await;
    fs::remove_file(folder.path.join("epoch")).unwrap();
    assert!(unopenable(folder.try_open(PackOptions::default()).await).contains("epoch"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_their_owners_and_are_never_printed() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let folder = closed_with(&home, &numbered(1)).await;
    let keyring = folder.path.join("keyring");
    assert_eq!(
        fs::metadata(&keyring).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let ring = Keyring::load(&keyring).unwrap().unwrap();
    let bytes = fs::read(&keyring).unwrap();
    let id: String = bytes[16..32].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(format!("{ring:?}"), format!("[KeyId({id})]"));
}

#[tokio::test(flavor = "multi_thread")]
async fn epochs_and_condemnations_survive() {
    let home = Home::new();
    let folder = home.next();
    let store = folder.reopen().await;
    let (old, kept) = (chunk("old"), chunk("kept"));
    store.put(vec![old.clone(), kept.clone()]).await.unwrap();
    store.advance_epoch().await.unwrap();
    let round = store.advance_epoch().await.unwrap();
    assert_eq!(store.condemn(&[old.hash], round).await.unwrap(), [true]);
    store.close().await.unwrap();
    let store = folder.reopen().await;
    assert_eq!(store.epoch(), round);
    assert!(!has(&store, &old).await && has(&store, &kept).await);
    assert_eq!(
        store.condemn(&[kept.hash], round).await.unwrap(),
        [true],
        "a clean stop keeps touches as they are"
    );
    store.put(vec![old.clone()]).await.unwrap();
    store.close().await.unwrap();
    expect_all(&folder, &[old]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_unclean_stop_everything_counts_as_touched() {
    let home = Home::new();
    let live = home.next();
    let store = live.reopen().await;
    let old = chunk("old");
    store.put(vec![old.clone()]).await.unwrap();
    store.close().await.unwrap();
    let store = live.reopen().await;
    store.advance_epoch().await.unwrap();
    let round = store.advance_epoch().await.unwrap();
    let image = home.next();
    live.copy_to(&image);
    store.close().await.unwrap();

    let store = image.reopen().await;
    assert_eq!(store.condemn(&[old.hash], round).await.unwrap(), [false]);
    store.advance_epoch().await.unwrap();
    let round = store.advance_epoch().await.unwrap();
    assert_eq!(store.condemn(&[old.hash], round).await.unwrap(), [true]);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_pack_makes_its_chunks_missing_and_puttable() {
    let home = Home::new();
    let chunks = numbered(60);
    let folder = closed_with(&home, &chunks).await;
    fs::remove_file(&folder.files("pack")[0]).unwrap();
    let store = folder.reopen().await;
    let there = store.list(None, 100).await.unwrap().len();
    assert!(there > 0 && there < chunks.len());
    store.put(chunks.clone()).await.unwrap();
    store.close().await.unwrap();
    expect_all(&folder, &chunks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_with_a_damaged_header_makes_its_chunks_missing_and_puttable() {
    let home = Home::new();
    let chunks = numbered(60);
    let live = closed_with(&home, &chunks).await;
    // The checksum finds each of these; the last one is mended, so that only the wrapping can find it.
    for at in [0, 8, 12, 30, 50, 80, 126, 0x100 + 80] {
        let folder = home.next();
        live.copy_to(&folder);
        let pack = &folder.files("pack")[0];
        let mut bytes = fs::read(pack).unwrap();
        bytes[at & 0xff] ^= 4;
        if at > 0xff {
            let checksum = crc32fast::hash(&bytes[..124]);
            bytes[124..128].copy_from_slice(&checksum.to_le_bytes());
        }
        fs::write(pack, &bytes).unwrap();
        let store = folder.reopen().await;
        let there = store.list(None, 100).await.unwrap().len();
        assert!(there > 0 && there < chunks.len());
        store.put(chunks.clone()).await.unwrap();
        store.close().await.unwrap();
        assert!(pack.exists(), "a damaged pack is left for whoever can mend it");
        expect_all(&folder, &chunks).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_of_a_later_version_is_refused() {
    let home = Home::new();
    let folder = closed_with(&home, &numbered(3)).await;
    let pack = &folder.files("pack")[0];
    let mut bytes = fs::read(pack).unwrap();
    bytes[8] = 2;
    let checksum = crc32fast::hash(&bytes[..124]);
    bytes[124..128].copy_from_slice(&checksum.to_le_bytes());
    fs::write(pack, &bytes).unwrap();
    assert!(unopenable(folder.try_open(PackOptions::default()).await).contains("version 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_chunk_is_stored_once_however_often_it_is_put() {
    let home = Home::new();
    let folder = home.next();
    let store = folder.reopen().await;
    let chunks = numbered(50);
    let puts = (0..20).map(|_| store.put(chunks.clone()));
    assert!(futures::future::join_all(puts).await.iter().all(Result::is_ok));
    let image = home.next();
    folder.copy_to(&image);
    let frames: u64 = chunks.iter().map(|new| 80 + new.chunk.bytes.len() as u64).sum();
    assert_eq!(fs::metadata(&image.files("open")[0]).unwrap().len(), 128 + frames);
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_larger_than_any_queue_is_cut_into_requests() {
    let home = Home::new();
    let folder = home.next();
    let store = folder.reopen().await;
    let chunks = numbered(70_000);
    store.put(chunks.clone()).await.unwrap();
    let image = home.next();
    folder.copy_to(&image);
    store.close().await.unwrap();
    for folder in [folder, image] {
        let store = folder.reopen().await;
        assert_eq!(store.list(None, 100_000).await.unwrap().len(), chunks.len());
        assert!(has(&store, &chunks[69_999]).await);
        store.close().await.unwrap();
    }
}
