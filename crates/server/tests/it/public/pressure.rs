//! What goes wrong on the way: connections that are cut, disks that are full, many writers at once.

use std::sync::atomic::Ordering;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};

use super::{App, refusal, value};
use crate::support::World;

/// A body that breaks after its first megabyte.
fn cut() -> Body {
    let block: Result<Bytes, std::io::Error> = Ok(vec![7; 1 << 20].into());
    let broken = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
    Body::from_stream(stream::iter([block, broken]))
}

#[tokio::test]
async fn what_is_cut_is_not_there() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let put = app.put("/file", &vec![1; 1 << 20]).await;
    let started = app
        .upload_raw("files/upload_session/start", json!({}), vec![7; 1_000])
        .await;
    let session = value(&started)["session_id"].clone();
    let cursor = json!({ "session_id": session, "offset": 1_000 });
    let commit = json!({ "path": "/new", "mode": "overwrite" });
    let before = world.metadata.head(device.root).await.unwrap();
    for (route, argument) in [
        ("files/upload", json!({ "path": "/new" })),
        ("files/upload", json!({ "path": "/file", "mode": "overwrite" })),
        ("files/upload_session/start", json!({ "close": true })),
        (
            "files/upload_session/append_v2",
            json!({ "cursor": cursor, "close": true }),
        ),
        (
            "files/upload_session/finish",
            json!({ "cursor": cursor, "commit": commit }),
        ),
        (
            "files/upload_session/append_batch",
            json!({ "entries": [{ "cursor": cursor, "length": 2 << 20, "close": true }] }),
        ),
        (
            "cairn/files/upload_delta",
            json!({ "path": "/file", "mode": "overwrite", "base_rev": put["rev"], "content_hash": "0".repeat(64) }),
        ),
    ] {
        let raw = app.upload_raw(route, argument, cut()).await;
        assert!(raw.status.is_client_error(), "{route} {raw:?}");
        assert_eq!(world.metadata.head(device.root).await.unwrap(), before, "{route}");
    }
    assert_eq!(app.tree().await, ["/file"]);
    // The session is as long as it was before, and open.
    let argument = json!({ "cursor": cursor, "commit": commit });
    let made = value(
        &app.upload_raw("files/upload_session/finish", argument, "rest")
            .await,
    );
    assert_eq!(made["size"], 1_004);
}

#[tokio::test]
async fn a_full_disk_is_told_as_clients_understand_it() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let put = app.put("/file", b"there was room").await;
    // Two pieces, so that the whole is cut anew when it is finished.
    let start = json!({ "close": false });
    let started = app
        .upload_raw("files/upload_session/start", start, vec![1; 100_000])
        .await;
    let cursor = json!({ "session_id": value(&started)["session_id"], "offset": 100_000 });
    let append = json!({ "cursor": cursor, "close": true });
    let appended = app
        .upload_raw("files/upload_session/append_v2", append, vec![2; 100_000])
        .await;
    assert_eq!(appended.status, 200);
    let whole = json!({ "session_id": cursor["session_id"], "offset": 200_000 });
    world.chunks.is_full.store(true, Ordering::SeqCst);
    let commit = json!({ "path": "/new" });
    let bytes = vec![9; 3 << 20];
    let delta = b"rs\x02\x36\x41\x03new\0".to_vec();
    for (route, argument, body, summary) in [
        (
            "files/upload",
            commit.clone(),
            bytes,
            "path/insufficient_space/..",
        ),
        (
            "files/upload",
            commit.clone(),
            b"x".to_vec(),
            "path/insufficient_space/..",
        ),
        (
            "files/upload_session/finish",
            json!({ "cursor": whole, "commit": commit }),
            Vec::new(),
            "path/insufficient_space/..",
        ),
        (
            "cairn/files/upload_delta",
            json!({ "path": "/new", "base_rev": put["rev"], "content_hash": "0".repeat(64) }),
            delta,
            "path/insufficient_space/..",
        ),
    ] {
        let (found, _) = refusal(&app.upload_raw(route, argument, body).await);
        assert_eq!(found, summary, "{route}");
    }
    let content = json!({ ".tag": "upload_session", "session_id": whole["session_id"], "offset": 200_000 });
    let operations = json!([{ ".tag": "put", "path": "/new", "content": content }]);
    let (found, _) = app
        .refused("cairn/files/commit", json!({ "operations": operations }))
        .await;
    assert_eq!(found, "operation_failed/path/insufficient_space/..");
    // A session has no tag for it.
    for route in ["files/upload_session/start", "files/upload_session/append_v2"] {
        let open = json!({ "cursor": { "session_id": whole["session_id"], "offset": 200_000 } });
        let raw = app.upload_raw(route, open, "more").await;
        let expected = if route.ends_with("start") { 507 } else { 409 };
        assert_eq!(raw.status, expected, "{route} {raw:?}");
    }
    assert_eq!(app.tree().await, ["/file"]);
    assert_eq!(&app.download("/file", &[]).await.body[..], b"there was room");
    // When there is room again nothing has been lost.
    world.chunks.is_full.store(false, Ordering::SeqCst);
    app.rpc("cairn/files/commit", json!({ "operations": operations }))
        .await;
    assert_eq!(app.download("/new", &[]).await.body.len(), 200_000);
}

#[tokio::test]
async fn of_all_who_update_one_revision_one_wins() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let mut rev = app.put("/file", b"0").await["rev"].clone();
    for round in 1..=20 {
        let writers = (0..8).map(|writer| {
            let mode = json!({ ".tag": "update", "update": rev });
            let argument = json!({ "path": "/file", "mode": mode });
            app.upload_raw("files/upload", argument, format!("{round} by {writer}"))
        });
        let answers = futures::future::join_all(writers).await;
        let won: Vec<(usize, Value)> = answers
            .iter()
            .enumerate()
            .filter(|(_, raw)| raw.status == 200)
            .map(|(writer, raw)| (writer, value(raw)))
            .collect();
        let [(winner, made)] = &won[..] else {
            panic!("{} have won", won.len());
        };
        for raw in answers.iter().filter(|raw| raw.status != 200) {
            assert_eq!(refusal(raw).0, "path/conflict/file/..");
        }
        let found = app.download("/file", &[]).await;
        assert_eq!(&found.body[..], format!("{round} by {winner}").as_bytes());
        rev = made["rev"].clone();
    }
    let revisions = app
        .rpc("files/list_revisions", json!({ "path": "/file", "limit": 100 }))
        .await;
    assert_eq!(revisions["entries"].as_array().unwrap().len(), 21);
}
