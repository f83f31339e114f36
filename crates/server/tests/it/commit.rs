use std::time::Duration;

use cairn_api::error::ErrorCode;
use cairn_api::frame::Frame;
use cairn_api::sync::{ChunksReply, CommitReply, CommitRequest, Whoami, path, to_cbor};
use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::ids::{ChainHash, ChunkHash, ContentHash, FileId};
use cairn_core::limits;
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::Cursor;
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::support::{TestFile, World, assert_refused, chunk, commit_body, create, hash_of, new_node};

/// More chunks than a manifest lists inline.
const LONG_FILE_BYTES: usize = 24 << 20;

fn missing(reply: &CommitReply) -> Vec<ChunkHash> {
    match &reply.groups[..] {
        [
            GroupOutcome::Refused {
                refusal: Refusal::MissingChunks { missing },
                ..
            },
        ] => missing.clone(),
        other => panic!("{other:?}"),
    }
}

fn is_applied(reply: &CommitReply) -> bool {
    reply
        .groups
        .iter()
        .all(|group| matches!(group, GroupOutcome::Applied { .. }))
}

#[tokio::test]
async fn a_small_file_takes_one_request() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    device.put("a.txt", &TestFile::new(b"hello")).await;
    device.put("empty", &TestFile::new(b"")).await;
    let whoami: Whoami = device.get(path::WHOAMI).await.ok();
    assert_eq!(whoami.bytes_used, 5);
}

#[tokio::test]
async fn missing_chunks_are_named_and_the_commit_goes_on_after_them() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("resume", 400_000);
    assert!(file.chunks.len() > 1);
    let (first, rest) = file.chunks.split_at(1);
    device.upload(device.root, first).await.ok::<ChunksReply>();
    let request = device.request(vec![vec![file.create(new_node(), "a")]]);
    let mut named = missing(&device.commit(&[], &request).await.ok());
    let mut expected: Vec<ChunkHash> = rest.iter().map(hash_of).collect();
    named.sort();
    expected.sort();
    assert_eq!(named, expected);

    device.upload(device.root, rest).await.ok::<ChunksReply>();
    let again = CommitRequest {
        op_id: device.request(vec![]).op_id,
        ..request
    };
    assert!(is_applied(&device.commit(&[], &again).await.ok()));
}

#[tokio::test]
async fn a_repeated_commit_is_applied_once() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::new(b"hello");
    let request = device.request(vec![vec![file.create(new_node(), "a")]]);
    let first: CommitReply = device.commit(&file.chunks, &request).await.ok();
    let second: CommitReply = device.commit(&file.chunks, &request).await.ok();
    let without_chunks: CommitReply = device.commit(&[], &request).await.ok();
    assert!(is_applied(&first));
    assert_eq!(first, second);
    assert_eq!(first, without_chunks);
}

#[tokio::test]
async fn an_op_id_serves_one_request() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let request = device.request(vec![vec![create(new_node(), "a", Content::Directory)]]);
    device.commit(&[], &request).await.ok::<CommitReply>();
    let other = CommitRequest {
        groups: vec![vec![create(new_node(), "b", Content::Directory)]],
        ..request
    };
    assert_refused(&device.commit(&[], &other).await, ErrorCode::OpIdReused);
}

#[tokio::test]
async fn a_commit_of_another_history_is_refused_and_that_of_this_one_is_not() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let request = device.request(vec![vec![create(new_node(), "a", Content::Directory)]]);
    let reply: CommitReply = device.commit(&[], &request).await.ok();
    let after = |known| CommitRequest {
        known: Some(known),
        ..device.request(vec![vec![create(new_node(), "b", Content::Directory)]])
    };
    let elsewhere = Cursor {
        chain: ChainHash::new([7; 32]),
        ..reply.cursor
    };
    assert_refused(
        &device.commit(&[], &after(elsewhere)).await,
        ErrorCode::NotOnChain,
    );
    assert!(is_applied(&device.commit(&[], &after(reply.cursor)).await.ok()));
}

#[tokio::test]
async fn contents_that_do_not_add_up_are_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::new(b"hello");
    let good = file.content.clone();
    let with_size = |size: u64| FileContent {
        size,
        file_id: good.manifest.file_id(size),
        ..good.clone()
    };
    let entries = vec![ChunkEntry {
        hash: hash_of(&file.chunks[0]),
        len: 6,
    }];
    let manifest = Manifest::Inline(entries);
    let wrong_len = FileContent {
        size: 6,
        file_id: manifest.file_id(6),
        manifest,
        ..good.clone()
    };
    for content in [
        FileContent {
            file_id: FileId::new([7; 32]),
            ..good.clone()
        },
        FileContent {
            size: 6,
            ..good.clone()
        },
        with_size(4),
        with_size(6),
        wrong_len,
    ] {
        let ops = vec![
            create(new_node(), "folder", Content::Directory),
            create(new_node(), "private-name", Content::File(content.clone())),
        ];
        let request = device.request(vec![vec![], ops]);
        let error = assert_refused(
            &device.commit(&file.chunks, &request).await,
            ErrorCode::BadRequest,
        );
        assert!(
            error.message.contains("operation 1 of group 1"),
            "{}",
            error.message
        );
        assert!(!error.message.contains("private-name"), "{}", error.message);
    }
    let whoami: Whoami = device.get(path::WHOAMI).await.ok();
    assert_eq!(whoami.bytes_used, 0);
}

#[tokio::test]
async fn a_long_file_needs_its_pages() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("long", LONG_FILE_BYTES);
    let Manifest::Tree { root, .. } = file.content.manifest else {
        panic!("it is long")
    };
    for frames in file.chunks.chunks(60) {
        device.upload(device.root, frames).await.ok::<ChunksReply>();
    }
    let node = new_node();
    let request = || device.request(vec![vec![file.create(node, "long")]]);
    assert_eq!(missing(&device.commit(&[], &request()).await.ok()), [root]);
    device.upload(device.root, &file.pages).await.ok::<ChunksReply>();
    assert!(is_applied(&device.commit(&[], &request()).await.ok()));

    let whoami: Whoami = device.get(path::WHOAMI).await.ok();
    assert_eq!(whoami.bytes_used, LONG_FILE_BYTES as u64);
    let hashes: Vec<ChunkHash> = file.all().iter().map(hash_of).collect();
    assert!(device.have(hashes).await.into_iter().all(|have| have));
}

#[tokio::test]
async fn a_page_that_rotted_is_asked_for_and_taken_anew() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("rot", LONG_FILE_BYTES);
    for frames in file.all().chunks(60) {
        device.upload(device.root, frames).await.ok::<ChunksReply>();
    }
    let rotten: Vec<ChunkHash> = file.pages.iter().map(hash_of).collect();
    world.chunks.rotten.lock().unwrap().extend(&rotten);
    let request = || {
        let other = create(new_node(), "other", Content::Directory);
        device.request(vec![vec![file.create(new_node(), "long")], vec![other]])
    };
    let reply: CommitReply = device.commit(&[], &request()).await.ok();
    let GroupOutcome::Refused {
        refusal: Refusal::MissingChunks { missing },
        ..
    } = &reply.groups[0]
    else {
        panic!("{reply:?}")
    };
    assert!(!missing.is_empty() && missing.iter().all(|hash| rotten.contains(hash)));
    assert!(
        matches!(reply.groups[1], GroupOutcome::Applied { .. }),
        "nothing else waits for it"
    );
    // Page by page, as each is found.
    for _ in &file.pages {
        device.upload(device.root, &file.pages).await.ok::<ChunksReply>();
        let request = device.request(vec![vec![file.create(new_node(), "long")]]);
        if is_applied(&device.commit(&[], &request).await.ok()) {
            return;
        }
    }
    panic!("what was sent again is not taken");
}

#[tokio::test]
async fn a_long_file_whose_pages_came_without_a_chunk_names_it() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("gap", LONG_FILE_BYTES);
    for frames in file.chunks[1..].chunks(60) {
        device.upload(device.root, frames).await.ok::<ChunksReply>();
    }
    let request = device.request(vec![vec![file.create(new_node(), "gap")]]);
    assert_eq!(
        missing(&device.commit(&file.pages, &request).await.ok()),
        [hash_of(&file.chunks[0])]
    );
}

#[tokio::test]
async fn a_long_file_that_claims_another_size_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("claim", LONG_FILE_BYTES);
    let size = file.content.size - 1;
    let file_id = file.content.manifest.file_id(size);
    let content = FileContent {
        size,
        file_id,
        ..file.content.clone()
    };
    let request = device.request(vec![vec![create(new_node(), "a", Content::File(content))]]);
    assert_refused(&device.commit(&file.pages, &request).await, ErrorCode::BadRequest);
}

#[tokio::test]
async fn another_accounts_pages_do_not_help() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let file = TestFile::random("theft", LONG_FILE_BYTES);
    let Manifest::Tree { root, .. } = file.content.manifest else {
        panic!("it is long")
    };
    for frames in file.all().chunks(60) {
        ada.upload(ada.root, frames).await.ok::<ChunksReply>();
    }
    ada.put_uploaded("long", &file).await;
    let request = eve.request(vec![vec![file.create(new_node(), "mine")]]);
    assert_eq!(missing(&eve.commit(&[], &request).await.ok()), [root]);
}

#[tokio::test]
async fn groups_stand_and_fall_alone() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let directory = |name: &str| create(new_node(), name, Content::Directory);
    let lost = Op::SetAttributes {
        node: new_node(),
        attributes: Default::default(),
    };
    let request = device.request(vec![
        vec![directory("a")],
        vec![directory("b"), lost],
        vec![directory("c")],
    ]);
    let reply: CommitReply = device.commit(&[], &request).await.ok();
    assert!(matches!(reply.groups[0], GroupOutcome::Applied { .. }));
    assert!(matches!(
        reply.groups[1],
        GroupOutcome::Refused { op_index: 1, .. }
    ));
    assert!(matches!(reply.groups[2], GroupOutcome::Applied { .. }));
}

#[tokio::test]
async fn a_commit_has_at_most_so_many_operations() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let op = || Op::SetAttributes {
        node: new_node(),
        attributes: Default::default(),
    };
    let many: Vec<Op> = (0..=limits::COMMIT_OPS).map(|_| op()).collect();
    assert_refused(
        &device.commit(&[], &device.request(vec![many])).await,
        ErrorCode::TooLarge,
    );
    let many = vec![vec![]; limits::COMMIT_OPS + 1];
    assert_refused(
        &device.commit(&[], &device.request(many)).await,
        ErrorCode::TooLarge,
    );
}

#[tokio::test]
async fn a_foreign_namespace_cannot_be_changed() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let request = ada.request(vec![vec![create(new_node(), "a", Content::Directory)]]);
    assert_refused(&eve.commit(&[chunk(b"x")], &request).await, ErrorCode::NotFound);
}

#[tokio::test]
async fn a_message_that_is_no_commit_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let whole = to_cbor(&device.request(vec![vec![create(new_node(), "a", Content::Directory)]]));
    for len in 0..whole.len() {
        let message = Frame::Message(whole[..len].to_vec().into());
        let raw = device.bytes(path::COMMIT, crate::support::body(&[message])).await;
        assert_refused(&raw, ErrorCode::BadRequest);
    }
    let mut longer = whole;
    longer.push(0);
    let message = Frame::Message(longer.into());
    assert_refused(
        &device.bytes(path::COMMIT, crate::support::body(&[message])).await,
        ErrorCode::BadRequest,
    );
    let body = commit_body(&[], &device.request(vec![]));
    device.bytes(path::COMMIT, body).await.ok::<CommitReply>();
}

#[tokio::test(start_paused = true)]
async fn two_long_manifests_are_read_at_once_and_others_wait() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("turns", LONG_FILE_BYTES);
    let commit = |name: &'static str| {
        let request = device.request(vec![vec![file.create(new_node(), name)]]);
        let (device, pages) = (&device, &file.pages);
        async move { device.commit(pages, &request).await }
    };
    world.chunks.is_stuck.send_replace(true);
    let started = tokio::time::Instant::now();
    let mut waiting: FuturesUnordered<_> = ["a", "b", "c"].map(commit).into_iter().collect();
    // Longer than any of them may wait.
    let late = tokio::time::timeout(Duration::from_secs(60), waiting.next()).await;
    assert_refused(&late.unwrap().unwrap(), ErrorCode::Unavailable);
    assert_eq!(started.elapsed().as_secs(), 20);
    // What is short waits for nobody.
    device.put("short", &TestFile::random("short", 1_000)).await;
    assert_eq!((started.elapsed().as_secs(), waiting.len()), (20, 2));
    world.chunks.is_stuck.send_replace(false);
    while let Some(raw) = waiting.next().await {
        assert!(
            !missing(&raw.ok()).is_empty(),
            "the pages were read, and name what is behind them"
        );
    }
}

#[tokio::test]
async fn a_commit_has_at_most_so_many_chunks() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let claim = |name: &str, chunk_count: u64| {
        let size = chunk_count * 16_384;
        let manifest = Manifest::Tree {
            root: ChunkHash::of(b"a page that nobody has"),
            levels: 3,
            chunk_count,
        };
        let content = FileContent {
            size,
            file_id: manifest.file_id(size),
            manifest,
            content_hash: ContentHash::new([1; 32]),
        };
        vec![create(new_node(), name, Content::File(content))]
    };
    let most = limits::FILE_CHUNKS as u64;
    assert_eq!(most, 1_048_576);
    let whole = device.request(vec![claim("a", most)]);
    assert_eq!(missing(&device.commit(&[], &whole).await.ok()).len(), 1);
    for groups in [
        vec![claim("a", most + 1)],
        vec![claim("a", most), claim("b", most)],
    ] {
        let raw = device.commit(&[], &device.request(groups)).await;
        assert_refused(&raw, ErrorCode::TooLarge);
    }
}
