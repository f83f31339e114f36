use std::time::Duration;

use axum::body::Body;
use cairn_api::error::ErrorCode;
use cairn_api::frame::Frame;
use cairn_api::sync::{ChunksReply, Fetch, FetchItem, FetchPart, FetchStart, FetchStatus, path};
use cairn_core::ids::ChunkHash;
use cairn_core::rev::Seq;
use cairn_server::ServerConfig;
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::support::{
    Device, TestFile, World, assert_refused, frames, hash_of, item, new_node, request, soon, start_of,
};

async fn put_long(device: &Device<'_>, seed: &str) -> (TestFile, FetchItem) {
    let file = TestFile::random(seed, 24 << 20);
    for frames in file.all().chunks(60) {
        device.upload(device.root, frames).await.ok::<ChunksReply>();
    }
    let (node, seq) = device.put_uploaded(seed, &file).await;
    (file, item(node, seq))
}

#[tokio::test]
async fn files_come_back_as_they_were_sent() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (small, empty) = (TestFile::new(b"hello"), TestFile::new(b""));
    let large = TestFile::random("large", 3_000_000);
    let mut items = Vec::new();
    let mut expected = Vec::new();
    for (name, file) in [("small", &small), ("empty", &empty), ("large", &large)] {
        let (node, seq) = device.put(name, file).await;
        let frames = file.chunks.len() as u64;
        expected.push(start(items.len() as u32, FetchStatus::Found, frames));
        expected.extend(file.chunks.clone());
        items.push(item(node, seq));
    }
    expected.push(Frame::End);
    assert!(device.fetch(items).await == expected);
}

fn start(item: u32, status: FetchStatus, frames: u64) -> Frame {
    Frame::Message(cairn_api::sync::to_cbor(&FetchStart { item, status, frames }).into())
}

#[tokio::test]
async fn what_never_was_is_not_found() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::new(b"hello");
    let (node, seq) = device.put("a", &file).await;
    let frames = device
        .fetch(vec![
            item(node, seq.next()),
            item(new_node(), seq),
            item(node, seq),
        ])
        .await;
    assert_eq!(start_of(&frames[0]).status, FetchStatus::NotFound);
    assert_eq!(start_of(&frames[1]).status, FetchStatus::NotFound);
    assert_eq!(
        start_of(&frames[2]),
        FetchStart {
            item: 2,
            status: FetchStatus::Found,
            frames: 1
        }
    );
    assert_eq!(frames[3..], [file.chunks[0].clone(), Frame::End]);
}

#[tokio::test]
async fn another_accounts_files_cannot_be_fetched() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let (node, seq) = ada.put("a", &TestFile::new(b"secret")).await;
    let foreign = Fetch {
        namespace: ada.root,
        items: vec![item(node, seq)],
    };
    assert_refused(&eve.post(path::FETCH, &foreign).await, ErrorCode::NotFound);
    let frames = eve.fetch(vec![item(node, seq)]).await;
    assert_eq!(start_of(&frames[0]).status, FetchStatus::NotFound);
}

#[tokio::test]
async fn a_run_of_chunks_and_the_pages_can_be_fetched() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (file, whole) = put_long(&device, "runs").await;
    let last = file.chunks.len() as u64 - 1;
    let part = |first, count| FetchItem {
        part: FetchPart::Chunks { first, count },
        ..whole.clone()
    };
    let pages = FetchItem {
        part: FetchPart::Pages,
        ..whole.clone()
    };
    let frames = device
        .fetch(vec![
            part(290, 12),
            part(last, 5),
            part(last + 1, 1),
            part(0, 0),
            pages,
        ])
        .await;
    let mut expected = vec![start(0, FetchStatus::Found, 12)];
    expected.extend_from_slice(&file.chunks[290..302]);
    expected.extend([
        start(1, FetchStatus::Found, 1),
        file.chunks[last as usize].clone(),
    ]);
    expected.extend([start(2, FetchStatus::Found, 0), start(3, FetchStatus::Found, 0)]);
    expected.push(start(4, FetchStatus::Found, file.pages.len() as u64));
    assert!(frames[..expected.len()] == expected);
    // Pages are built from the leaves up and sent from the root down.
    let pages: Vec<ChunkHash> = frames[expected.len()..frames.len() - 1]
        .iter()
        .map(hash_of)
        .collect();
    let mut built: Vec<ChunkHash> = file.pages.iter().map(hash_of).collect();
    assert_eq!(pages[0], *built.last().unwrap());
    built.rotate_right(1);
    assert_eq!(pages, built);
}

#[tokio::test]
async fn damage_is_told_for_its_file_alone() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (good, bad) = (TestFile::new(b"good"), TestFile::new(b"bad"));
    let (good_node, good_seq) = device.put("good", &good).await;
    let (bad_node, bad_seq) = device.put("bad", &bad).await;
    world
        .chunks
        .rotten
        .lock()
        .unwrap()
        .insert(hash_of(&bad.chunks[0]));
    let frames = device
        .fetch(vec![item(bad_node, bad_seq), item(good_node, good_seq)])
        .await;
    assert_eq!(
        start_of(&frames[0]),
        FetchStart {
            item: 0,
            status: FetchStatus::Damaged,
            frames: 0
        }
    );
    assert_eq!(frames[2..], [good.chunks[0].clone(), Frame::End]);
}

#[tokio::test]
async fn damage_far_inside_a_file_cuts_the_stream() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let file = TestFile::random("rot", 3_000_000);
    let (node, seq) = device.put("rot", &file).await;
    world
        .chunks
        .rotten
        .lock()
        .unwrap()
        .insert(hash_of(&file.chunks[20]));
    let frames = device.fetch(vec![item(node, seq)]).await;
    assert_eq!(start_of(&frames[0]).status, FetchStatus::Found);
    assert_ne!(frames.last(), Some(&Frame::End));
    assert!(frames.len() <= 21);
}

#[tokio::test]
async fn one_fetch_has_at_most_so_many_items() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let items = vec![item(new_node(), Seq::ZERO); 1_001];
    let raw = device
        .post(
            path::FETCH,
            &Fetch {
                namespace: device.root,
                items,
            },
        )
        .await;
    assert_refused(&raw, ErrorCode::TooLarge);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stands_still_is_cut_and_its_place_is_free_again() {
    let config = ServerConfig {
        max_downloads: 1,
        download_stall_timeout: Duration::from_secs(5),
        ..ServerConfig::default()
    };
    let world = World::with(config);
    let device = world.device("ada@example.org").await;
    let (node, seq) = device.put("a", &TestFile::random("slow", 3_000_000)).await;
    let fetch = Fetch {
        namespace: device.root,
        items: vec![item(node, seq)],
    };
    let body = cairn_api::sync::to_cbor(&fetch);
    let slow = world.router.clone().oneshot(request(
        "POST",
        path::FETCH,
        Some(&device.token),
        Body::from(body),
    ));
    let slow = slow.await.unwrap();
    let quick = soon(device.fetch(vec![item(node, seq)])).await;
    assert_eq!(quick.last(), Some(&Frame::End));
    let rest = slow.into_body().collect().await.unwrap().to_bytes();
    assert_ne!(frames(&rest).last(), Some(&Frame::End));
}
