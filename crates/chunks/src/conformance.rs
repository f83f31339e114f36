//! What every store does: one suite, run on each of them.
//!
//! To add a rule: a case here, listed in [`run`]; then make every store pass. Cases panic with what they expected.

use std::future::Future;

use bytes::Bytes;
use cairn_codec::{PLAIN_MAX_BYTES, decode_chunk, encode_chunk};
use cairn_core::ids::ChunkHash;
use futures::future::{join_all, try_join_all};

use crate::{ChunkError, ChunkKind, Codec, CollectableChunks, EncodedChunk, Lease, NewChunk};

const WORKS: &str = "the store works";

/// Runs every case, each on a store of its own that `fresh` makes.
///
/// # Panics
/// When the store does something else than it must.
pub async fn run<S, F, Fut>(fresh: F)
where
    S: CollectableChunks,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    what_was_put_comes_back(&fresh().await).await;
    what_was_not_put_is_missing(&fresh().await).await;
    putting_again_changes_nothing(&fresh().await).await;
    puts_at_once_agree(&fresh().await).await;
    chunks_are_listed_by_hash(&fresh().await).await;
    a_chunk_that_is_too_long_is_refused(&fresh().await).await;
    epochs_count_up(&fresh().await).await;
    a_condemned_chunk_is_missing_until_put_again(&fresh().await).await;
    what_was_touched_lately_is_not_condemned(&fresh().await).await;
    touching_races_with_condemning(&fresh().await).await;
    a_closed_store_refuses(&fresh().await).await;
}

fn chunk(plaintext: &[u8]) -> NewChunk {
    NewChunk {
        hash: ChunkHash::of(plaintext),
        kind: ChunkKind::Data,
        chunk: encode_chunk(plaintext),
    }
}

fn numbered(count: usize) -> Vec<NewChunk> {
    (0..count)
        .map(|number| chunk(format!("chunk {number}").as_bytes()))
        .collect()
}

fn hashes(chunks: &[NewChunk]) -> Vec<ChunkHash> {
    chunks.iter().map(|new| new.hash).collect()
}

async fn what_was_put_comes_back(store: &impl CollectableChunks) {
    let longest: Vec<u8> = (0..PLAIN_MAX_BYTES)
        .map(|index| ((index * index) >> 7) as u8)
        .collect();
    let plaintexts: [&[u8]; 4] = [b"", b"a stone", &[7; 100_000], &longest];
    let mut chunks: Vec<_> = plaintexts.iter().map(|plaintext| chunk(plaintext)).collect();
    chunks[1].kind = ChunkKind::ManifestPage;
    store.put(chunks.clone()).await.expect(WORKS);
    for (new, plaintext) in chunks.iter().zip(plaintexts) {
        let found = store
            .get(&new.hash)
            .await
            .expect(WORKS)
            .expect("what was put is there");
        assert_eq!(found, new.chunk, "a chunk comes back as it was put");
        let decoded = decode_chunk(&found, &new.hash).expect("what comes back decodes");
        assert_eq!(&decoded[..], plaintext);
    }
    store.put(Vec::new()).await.expect("putting nothing works");
    let asked = [
        chunks[2].hash,
        ChunkHash::of(b"missing"),
        chunks[0].hash,
        chunks[2].hash,
    ];
    let found = store
        .get_many(&asked)
        .await
        .into_iter()
        .map(|read| read.expect(WORKS));
    let there = |index: usize| Some(chunks[index].chunk.clone());
    assert_eq!(
        found.collect::<Vec<_>>(),
        [there(2), None, there(0), there(2)],
        "each is answered in its place"
    );
    assert!(store.get_many(&[]).await.is_empty());
}

async fn what_was_not_put_is_missing(store: &impl CollectableChunks) {
    let missing = ChunkHash::of(b"missing");
    let there = chunk(b"there");
    store.put(vec![there.clone()]).await.expect(WORKS);
    assert_eq!(store.get(&missing).await.expect(WORKS), None);
    let (alive, _) = store.touch(&[missing, there.hash, missing]).await.expect(WORKS);
    assert_eq!(alive, [false, true, false], "each hash is answered in its place");
    let (alive, _) = store.touch(&[]).await.expect(WORKS);
    assert!(alive.is_empty());
}

async fn putting_again_changes_nothing(store: &impl CollectableChunks) {
    let plaintext = [b'x'; 5_000];
    let (first, hash) = (chunk(&plaintext), ChunkHash::of(&plaintext));
    assert_eq!(
        first.chunk.codec,
        Codec::Zstd,
        "the case needs two encodings of one plaintext"
    );
    let other = NewChunk {
        chunk: EncodedChunk {
            codec: Codec::Raw,
            bytes: Bytes::copy_from_slice(&plaintext),
            ..first.chunk.clone()
        },
        ..first.clone()
    };
    store.put(vec![first.clone(), first.clone()]).await.expect(WORKS);
    store.put(vec![other]).await.expect(WORKS);
    assert_eq!(
        store.get(&hash).await.expect(WORKS),
        Some(first.chunk),
        "the first encoding stays"
    );
    assert_eq!(store.list(None, 10).await.expect(WORKS), [hash]);
}

async fn puts_at_once_agree(store: &impl CollectableChunks) {
    let chunks = numbered(40);
    // Overlapping windows, so that most chunks are put by several at once.
    let puts = (0..32).map(|start| store.put(chunks[start..start + 9].to_vec()));
    for lease in join_all(puts).await {
        assert_eq!(lease.expect(WORKS), store.epoch());
    }
    let found = try_join_all(chunks.iter().map(|new| store.get(&new.hash)))
        .await
        .expect(WORKS);
    for (new, found) in chunks.iter().zip(found) {
        assert_eq!(found.as_ref(), Some(&new.chunk));
    }
    assert_eq!(store.list(None, 100).await.expect(WORKS).len(), 40);
}

async fn chunks_are_listed_by_hash(store: &impl CollectableChunks) {
    let chunks = numbered(25);
    store.put(chunks[..20].to_vec()).await.expect(WORKS);
    store.put(chunks[20..].to_vec()).await.expect(WORKS);
    let mut expected = hashes(&chunks);
    expected.sort_unstable();
    let mut listed: Vec<ChunkHash> = Vec::new();
    loop {
        let page = store.list(listed.last(), 7).await.expect(WORKS);
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
    assert!(store.list(None, 0).await.expect(WORKS).is_empty());
}

async fn a_chunk_that_is_too_long_is_refused(store: &impl CollectableChunks) {
    let long = chunk(&vec![1; PLAIN_MAX_BYTES + 1]);
    let good = chunk(b"good");
    let refused = store.put(vec![good.clone(), long.clone()]).await;
    assert!(matches!(refused, Err(ChunkError::Corrupt { hash, .. }) if hash == long.hash));
    assert_eq!(store.get(&long.hash).await.expect(WORKS), None);
    store
        .put(vec![good])
        .await
        .expect("the refusal harms nobody else");
}

async fn epochs_count_up(store: &impl CollectableChunks) {
    let first = store.epoch();
    let lease = store.put(vec![chunk(b"one")]).await.expect(WORKS);
    assert_eq!(lease, first);
    let next = store.advance_epoch().await.expect(WORKS);
    assert_eq!((next, store.epoch()), (Lease(first.0 + 1), next));
    let (_, lease) = store.touch(&[ChunkHash::of(b"one")]).await.expect(WORKS);
    assert_eq!(lease, next);
}

async fn a_condemned_chunk_is_missing_until_put_again(store: &impl CollectableChunks) {
    let (old, kept) = (chunk(b"old"), chunk(b"kept"));
    store.put(vec![old.clone(), kept.clone()]).await.expect(WORKS);
    store.advance_epoch().await.expect(WORKS);
    let round = store.advance_epoch().await.expect(WORKS);
    let never = ChunkHash::of(b"never");
    assert_eq!(
        store.condemn(&[old.hash, never], round).await.expect(WORKS),
        [true, false]
    );
    assert_eq!(store.get(&old.hash).await.expect(WORKS), None, "get");
    assert_eq!(
        store.touch(&[old.hash, kept.hash]).await.expect(WORKS).0,
        [false, true],
        "touch"
    );
    assert_eq!(store.list(None, 10).await.expect(WORKS), [kept.hash], "list");
    store.put(vec![old.clone()]).await.expect(WORKS);
    assert_eq!(store.get(&old.hash).await.expect(WORKS), Some(old.chunk));
    assert_eq!(
        store.condemn(&[old.hash], round).await.expect(WORKS),
        [false],
        "it was just put"
    );
    assert_eq!(store.list(None, 10).await.expect(WORKS).len(), 2);
}

async fn what_was_touched_lately_is_not_condemned(store: &impl CollectableChunks) {
    let chunks = numbered(3);
    store.put(chunks.clone()).await.expect(WORKS);
    let epoch = store.advance_epoch().await.expect(WORKS);
    assert_eq!(
        store.condemn(&hashes(&chunks), epoch).await.expect(WORKS),
        [false; 3],
        "put one epoch ago"
    );
    store.touch(&[chunks[0].hash]).await.expect(WORKS);
    store.put(vec![chunks[1].clone()]).await.expect(WORKS);
    let round = store.advance_epoch().await.expect(WORKS);
    let condemned = store.condemn(&hashes(&chunks), round).await.expect(WORKS);
    assert_eq!(condemned, [false, false, true], "touched, put again, neither");
}

async fn touching_races_with_condemning(store: &impl CollectableChunks) {
    let chunks = numbered(20);
    for _ in 0..5 {
        store.put(chunks.clone()).await.expect(WORKS);
        store.advance_epoch().await.expect(WORKS);
        let round = store.advance_epoch().await.expect(WORKS);
        let hashes = hashes(&chunks);
        let (touched, condemned) = futures::join!(store.touch(&hashes), store.condemn(&hashes, round));
        let ((touched, _), condemned) = (touched.expect(WORKS), condemned.expect(WORKS));
        for ((hash, touched), condemned) in hashes.iter().zip(touched).zip(condemned) {
            assert!(
                touched != condemned,
                "a chunk is kept alive or condemned, never both"
            );
            let there = store.get(hash).await.expect(WORKS).is_some();
            assert_eq!(there, touched);
        }
    }
}

async fn a_closed_store_refuses(store: &impl CollectableChunks) {
    let new = chunk(b"one");
    store.put(vec![new.clone()]).await.expect(WORKS);
    store.close().await.expect(WORKS);
    let closed = |error: Option<ChunkError>| assert!(matches!(error, Some(ChunkError::Closed { .. })));
    closed(store.put(vec![new.clone()]).await.err());
    closed(store.get(&new.hash).await.err());
    closed(store.touch(&[new.hash]).await.err());
    closed(store.list(None, 1).await.err());
    closed(store.advance_epoch().await.err());
    closed(store.close().await.err());
}
