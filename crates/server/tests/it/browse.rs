use std::time::Duration;

use cairn_api::error::ErrorCode;
use cairn_api::sync::{
    ChangesReply, ChangesRequest, ChildrenRequest, CommitReply, CommitRequest, CursorReply, CursorReport,
    NodesReply, NodesRequest, Resolve, ResolveReply, Whoami, path,
};
use cairn_core::ids::{ChainHash, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::Content;
use cairn_core::rev::{Cursor, Seq};

use crate::support::{Device, TestFile, World, assert_refused, create, new_node, soon};

fn changes(cursor: Cursor, wait_seconds: u32) -> ChangesRequest {
    ChangesRequest {
        cursor,
        limit: 100,
        wait_seconds,
    }
}

async fn page(device: &Device<'_>, request: &ChangesRequest) -> (Vec<NodeId>, Cursor, bool) {
    match device.post(path::CHANGES, request).await.ok() {
        ChangesReply::Page {
            entries,
            cursor,
            has_more,
        } => (entries.iter().map(|entry| entry.node).collect(), cursor, has_more),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_journal_is_read_in_pages() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (a, _) = device.put("a", &TestFile::new(b"a")).await;
    let (b, _) = device.put("b", &TestFile::new(b"b")).await;
    let first = ChangesRequest {
        limit: 1,
        ..changes(device.link.origin, 0)
    };
    let (nodes, cursor, has_more) = page(&device, &first).await;
    assert_eq!((nodes, has_more), (vec![a], true));
    let (nodes, cursor, has_more) = page(&device, &changes(cursor, 0)).await;
    assert_eq!((nodes, has_more), (vec![b], false));
    let (nodes, _, has_more) = page(&device, &changes(cursor, 0)).await;
    assert_eq!((nodes, has_more), (vec![], false));
}

/// A daemon takes a change of its own that it does not know for a sign that it was restored.
#[tokio::test]
async fn the_journal_tells_a_daemon_from_who_acts_in_the_name_of_its_device() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let me = device.get(path::WHOAMI).await.ok::<Whoami>().device;
    for (name, is_on_behalf) in [("by the daemon", false), ("by a command", true)] {
        let request = CommitRequest {
            is_on_behalf,
            ..device.request(vec![vec![create(new_node(), name, Content::Directory)]])
        };
        device.commit(&[], &request).await.ok::<CommitReply>();
    }
    let request = changes(device.link.origin, 0);
    let ChangesReply::Page { entries, .. } = device.post(path::CHANGES, &request).await.ok() else {
        panic!("no page")
    };
    let by: Vec<_> = entries.iter().map(|entry| entry.device).collect();
    assert_eq!(by, [me, me.on_behalf()]);
    assert_eq!(me.on_behalf().on_behalf(), me);
}

#[tokio::test]
async fn a_cursor_off_the_chain_is_told() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    device.put("a", &TestFile::new(b"a")).await;
    let foreign = Cursor {
        seq: Seq::new(1).unwrap(),
        chain: ChainHash::new([9; 32]),
        ..device.link.origin
    };
    let reply: ChangesReply = device.post(path::CHANGES, &changes(foreign, 0)).await.ok();
    assert!(matches!(reply, ChangesReply::NotOnChain { .. }), "{reply:?}");
}

#[tokio::test]
async fn a_waiting_device_hears_of_a_commit() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let request = changes(device.link.origin, 50);
    let wait = page(&device, &request);
    let file = TestFile::new(b"a");
    let commit = device.put("a", &file);
    let ((nodes, ..), (node, _)) = soon(async { tokio::join!(wait, commit) }).await;
    assert_eq!(nodes, [node]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_without_news_ends_with_an_empty_page() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let before = tokio::time::Instant::now();
    let (nodes, cursor, _) = page(&device, &changes(device.link.origin, 7)).await;
    assert_eq!((nodes, cursor), (vec![], device.link.origin));
    let waited = before.elapsed();
    assert!(
        (Duration::from_secs(7)..Duration::from_secs(8)).contains(&waited),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_tree_is_listed_in_pages() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (file, _) = device.put("b", &TestFile::new(b"b")).await;
    let folder = new_node();
    let request = device.request(vec![vec![create(folder, "A", Content::Directory)]]);
    device.commit(&[], &request).await.ok::<CommitReply>();

    let mut request = ChildrenRequest {
        namespace: device.root,
        folder: NodeId::ROOT,
        at: None,
        after: None,
        limit: 1,
    };
    let first: NodesReply = device.post(path::CHILDREN, &request).await.ok();
    assert_eq!((first.nodes[0].id, first.has_more), (folder, true));
    request.after = Some(first.nodes[0].place.name.clone());
    let second: NodesReply = device.post(path::CHILDREN, &request).await.ok();
    assert_eq!((second.nodes[0].id, second.has_more), (file, false));

    let mut request = NodesRequest {
        namespace: device.root,
        at: None,
        folder: None,
        after: None,
        limit: 100,
    };
    let all: NodesReply = device.post(path::NODES, &request).await.ok();
    let mut expected = [file, folder];
    expected.sort();
    assert_eq!(all.nodes.iter().map(|node| node.id).collect::<Vec<_>>(), expected);
    request.at = Some(Seq::new(1).unwrap());
    let then: NodesReply = device.post(path::NODES, &request).await.ok();
    assert_eq!(then.nodes.iter().map(|node| node.id).collect::<Vec<_>>(), [file]);
    request.at = Some(Seq::new(99).unwrap());
    assert_refused(&device.post(path::NODES, &request).await, ErrorCode::BadRequest);
    let below = NodesRequest {
        at: None,
        folder: Some(folder),
        ..request
    };
    let below: NodesReply = device.post(path::NODES, &below).await.ok();
    assert!(below.nodes.is_empty());
}

#[tokio::test]
async fn a_path_is_followed_as_far_as_it_exists() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let folder = new_node();
    let request = device.request(vec![vec![create(folder, "Photos", Content::Directory)]]);
    device.commit(&[], &request).await.ok::<CommitReply>();
    let resolve = |names: &[&str]| Resolve {
        namespace: device.root,
        names: names.iter().map(|name| NodeName::new(*name).unwrap()).collect(),
    };
    let found: ResolveReply = device
        .post(path::RESOLVE, &resolve(&["photos", "2026"]))
        .await
        .ok();
    assert_eq!(
        found.nodes.iter().map(|node| node.id).collect::<Vec<_>>(),
        [folder]
    );
    assert_eq!(found.seq.get(), 1);
    let root: ResolveReply = device.post(path::RESOLVE, &resolve(&[])).await.ok();
    assert!(root.nodes.is_empty());
    assert_refused(
        &device.post(path::RESOLVE, &resolve(&["x"; 257])).await,
        ErrorCode::TooLarge,
    );
}

#[tokio::test]
async fn a_cursor_that_falls_back_tells_of_a_restored_device() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    device.put("a", &TestFile::new(b"a")).await;
    let (_, cursor, _) = page(&device, &changes(device.link.origin, 0)).await;
    let report = |cursor| CursorReport { cursor };
    let reply: CursorReply = device.post(path::CURSOR, &report(cursor)).await.ok();
    assert_eq!(reply, CursorReply::Accepted);
    for _ in 0..2 {
        let reply: CursorReply = device.post(path::CURSOR, &report(device.link.origin)).await.ok();
        assert_eq!(reply, CursorReply::DeviceRestored);
    }
}

#[tokio::test]
async fn nothing_of_a_foreign_namespace_is_told() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let namespace = ada.root;
    let nodes = NodesRequest {
        namespace,
        at: None,
        folder: None,
        after: None,
        limit: 10,
    };
    let children = ChildrenRequest {
        namespace,
        folder: NodeId::ROOT,
        at: None,
        after: None,
        limit: 10,
    };
    for raw in [
        eve.post(path::CHANGES, &changes(ada.link.origin, 0)).await,
        eve.post(path::NODES, &nodes).await,
        eve.post(path::CHILDREN, &children).await,
        eve.post(
            path::RESOLVE,
            &Resolve {
                namespace,
                names: vec![],
            },
        )
        .await,
        eve.post(
            path::CURSOR,
            &CursorReport {
                cursor: ada.link.origin,
            },
        )
        .await,
    ] {
        assert_refused(&raw, ErrorCode::NotFound);
    }
}
