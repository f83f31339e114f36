use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use cairn_api::error::ErrorCode;
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{ChunksReply, CommitReply, Have, path};
use cairn_chunks::ChunkStore;
use cairn_core::change::GroupOutcome;
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;
use cairn_server::ServerConfig;

use crate::support::{
    OsEntropy, TestFile, World, assert_refused, body, chunk, chunks_path, commit_body, hash_of, new_node,
    soon,
};

#[tokio::test]
async fn uploaded_chunks_need_not_be_sent_again() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let chunks = [chunk(b"one"), chunk(b"two"), chunk(b"one")];
    let reply: ChunksReply = device.upload(device.root, &chunks).await.ok();
    assert_eq!(reply.count, 3);
    let absent = ChunkHash::of(b"three");
    assert_eq!(
        device
            .have(vec![hash_of(&chunks[1]), absent, hash_of(&chunks[0])])
            .await,
        [true, false, true]
    );
    let other = world.link("ada@example.org").await;
    assert_eq!(
        other.have(vec![hash_of(&chunks[0])]).await,
        [true],
        "grants belong to the account"
    );
}

#[tokio::test]
async fn chunks_that_are_asked_about_may_be_committed_for_longer() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let chunks = [chunk(b"asked about"), chunk(b"forgotten")];
    device.upload(device.root, &chunks).await.ok::<ChunksReply>();
    let asked = || device.have(vec![hash_of(&chunks[0])]);
    for _ in 0..3 {
        world.clock.advance(DAY * 4);
        assert_eq!(asked().await, [true]);
    }
    assert_eq!(device.have(vec![hash_of(&chunks[1])]).await, [false]);
    world.clock.advance(DAY * 8);
    assert_eq!(asked().await, [false]);
}

#[tokio::test]
async fn have_says_nothing_of_other_accounts_chunks() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let file = TestFile::new(b"a secret that can be guessed");
    ada.put("secret.txt", &file).await;
    let hash = hash_of(&file.chunks[0]);
    assert_eq!(ada.have(vec![hash]).await, [true]);
    assert_eq!(eve.have(vec![hash]).await, [false]);
    // Nor does a commit: knowing a hash does not give the bytes.
    let request = eve.request(vec![vec![file.create(new_node(), "mine.txt")]]);
    let reply: CommitReply = eve.commit(&[], &request).await.ok();
    assert!(
        matches!(reply.groups[0], GroupOutcome::Refused { .. }),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_foreign_namespace_does_not_exist() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    for namespace in [ada.root, NamespaceId::random(&OsEntropy)] {
        assert_refused(&eve.upload(namespace, &[chunk(b"x")]).await, ErrorCode::NotFound);
        let have = Have {
            namespace,
            hashes: vec![ChunkHash::of(b"x")],
        };
        assert_refused(&eve.post(path::HAVE, &have).await, ErrorCode::NotFound);
    }
    for query in ["", "?ns=", "?ns=xyz", "?other=1"] {
        let raw = eve.bytes(&format!("{}{query}", path::CHUNKS), body(&[])).await;
        assert_refused(&raw, ErrorCode::BadRequest);
    }
}

#[tokio::test]
async fn a_wrong_hash_is_refused_and_nothing_is_granted() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let good = chunk(b"good");
    let Frame::Chunk(frame) = chunk(b"bad") else {
        panic!("it is a chunk")
    };
    let claimed = ChunkHash::of(b"something else");
    let bad = Frame::Chunk(ChunkFrame {
        hash: claimed,
        ..frame
    });
    let error = assert_refused(
        &device.upload(device.root, &[good.clone(), bad]).await,
        ErrorCode::HashMismatch,
    );
    assert!(error.message.contains(&claimed.to_string()), "{}", error.message);
    assert_eq!(device.have(vec![hash_of(&good), claimed]).await, [false, false]);
}

#[tokio::test]
async fn a_chunk_that_claims_another_length_or_checksum_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let Frame::Chunk(frame) = chunk(&[b'x'; 5_000]) else {
        panic!("it is a chunk")
    };
    let mut longer = frame.clone();
    longer.chunk.plain_len += 1;
    let mut other_sum = frame;
    other_sum.chunk.plain_crc32 ^= 1;
    for frame in [longer, other_sum] {
        let raw = device.upload(device.root, &[Frame::Chunk(frame)]).await;
        assert_refused(&raw, ErrorCode::HashMismatch);
    }
}

#[tokio::test]
async fn broken_bodies_are_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let whole = body(&[chunk(b"one"), chunk(b"two")]);
    let unknown_kind = Bytes::from_static(&[9, 0, 0, 0, 0]);
    let no_chunk = Bytes::from_static(&[1, 2, 0, 0, 0, 7, 7, 3, 0, 0, 0, 0]);
    let message = body(&[Frame::Message(Bytes::from_static(b"x"))]);
    for broken in [
        whole.slice(..whole.len() - 1),
        whole.slice(..40),
        Bytes::new(),
        unknown_kind,
        no_chunk,
        message,
    ] {
        let raw = device.bytes(&chunks_path(device.root), broken).await;
        assert_refused(&raw, ErrorCode::BadRequest);
    }
    assert_eq!(
        device.have(vec![ChunkHash::of(b"one")]).await,
        [false],
        "a cut upload grants nothing"
    );
    let reply: ChunksReply = device.bytes(&chunks_path(device.root), whole).await.ok();
    assert_eq!(reply.count, 2);
}

#[tokio::test]
async fn frames_bodies_and_lists_have_bounds() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let mut frame = BytesMut::new();
    frame.put_u8(1);
    frame.put_u32_le(limits::FRAME_BYTES as u32 + 1);
    assert_refused(
        &device.bytes(&chunks_path(device.root), frame.freeze()).await,
        ErrorCode::TooLarge,
    );
    let long = Bytes::from(vec![0; limits::BODY_BYTES + 1]);
    assert_refused(
        &device.bytes(&chunks_path(device.root), long.clone()).await,
        ErrorCode::TooLarge,
    );
    assert_refused(&device.bytes(path::COMMIT, long).await, ErrorCode::TooLarge);
    let hashes = vec![ChunkHash::of(b"x"); limits::HAVE_HASHES + 1];
    let have = Have {
        namespace: device.root,
        hashes,
    };
    assert_refused(&device.post(path::HAVE, &have).await, ErrorCode::TooLarge);
    assert_refused(
        &device.bytes(path::HAVE, Bytes::from(vec![0; 300_000])).await,
        ErrorCode::TooLarge,
    );
    let frames = vec![chunk(b"x"); 10_001];
    assert_refused(&device.upload(device.root, &frames).await, ErrorCode::TooLarge);
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_committed() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::new(b"does not fit");
    world.chunks.is_full.store(true, Ordering::SeqCst);
    assert_refused(
        &device.upload(device.root, &file.chunks).await,
        ErrorCode::StorageFull,
    );
    let request = device.request(vec![vec![file.create(new_node(), "a")]]);
    assert_refused(
        &device.commit(&file.chunks, &request).await,
        ErrorCode::StorageFull,
    );
    assert_eq!(device.have(vec![hash_of(&file.chunks[0])]).await, [false]);
    let error = device.commit(&file.chunks, &request).await.error();
    assert!(!error.message.contains("/full"), "{}", error.message);

    world.chunks.is_full.store(false, Ordering::SeqCst);
    let reply: CommitReply = device.commit(&file.chunks, &request).await.ok();
    assert!(
        matches!(reply.groups[0], GroupOutcome::Applied { .. }),
        "{reply:?}"
    );
}

#[tokio::test]
async fn a_store_that_is_closed_is_unavailable() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    world.chunks.close().await.unwrap();
    let raw = device.upload(device.root, &[chunk(b"x")]).await;
    assert_refused(&raw, ErrorCode::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_crawls_is_given_up() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let begun = body(&[chunk(b"one")]).slice(..10);
    let stream = futures::stream::once(async move { Ok::<_, std::io::Error>(begun) });
    let stream = futures::StreamExt::chain(stream, futures::stream::pending());
    let crawling = axum::body::Body::from_stream(stream);
    let request = crate::support::request("POST", &chunks_path(device.root), Some(&device.token), crawling);
    assert_refused(&world.send(request).await, ErrorCode::Timeout);
}

#[tokio::test]
async fn a_commit_wants_exactly_one_message_at_the_end() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let request = device.request(vec![]);
    assert_refused(
        &device.bytes(path::COMMIT, body(&[chunk(b"x")])).await,
        ErrorCode::BadRequest,
    );
    let message = Frame::Message(cairn_api::sync::to_cbor(&request).into());
    for frames in [
        vec![message.clone(), message.clone()],
        vec![message.clone(), chunk(b"x")],
    ] {
        assert_refused(
            &device.bytes(path::COMMIT, body(&frames)).await,
            ErrorCode::BadRequest,
        );
    }
    let cut = commit_body(&[], &request);
    assert_refused(
        &device.bytes(path::COMMIT, cut.slice(..cut.len() - 5)).await,
        ErrorCode::BadRequest,
    );
}

#[tokio::test]
async fn uploads_share_little_memory_and_all_get_through() {
    let world = World::with(ServerConfig {
        body_memory_bytes: 600 << 10,
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.org").await;
    let files: Vec<TestFile> = (0..4)
        .map(|index| TestFile::random(&index.to_string(), 4 << 20))
        .collect();
    let uploads = files.iter().map(|file| async {
        // In small blocks, as a network brings them, so that the uploads take turns.
        let blocks: Vec<Bytes> = body(&file.chunks)
            .chunks(16 << 10)
            .map(Bytes::copy_from_slice)
            .collect();
        let blocks = futures::stream::iter(blocks.into_iter().map(Ok::<_, std::io::Error>));
        let body = axum::body::Body::from_stream(blocks);
        let request = crate::support::request("POST", &chunks_path(device.root), Some(&device.token), body);
        world.send(request).await
    });
    for (raw, file) in soon(futures::future::join_all(uploads)).await.iter().zip(&files) {
        assert_eq!(raw.ok::<ChunksReply>().count as usize, file.chunks.len());
    }
}
