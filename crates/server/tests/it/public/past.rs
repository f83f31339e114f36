//! The tree as it was.

use std::time::Duration;

use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::{App, label, value};
use crate::support::{Raw, World};

fn position(position: i64) -> Value {
    json!({ ".tag": "position", "position": position })
}

fn time(time: &str) -> Value {
    json!({ ".tag": "time", "time": time })
}

/// Every path of a moment.
async fn tree_at(app: &App<'_>, path: &str, at: &Value) -> Vec<String> {
    let argument = json!({ "path": path, "at": at, "recursive": true, "limit": 2 });
    let mut page = app.rpc("cairn/files/list_at", argument).await;
    let mut paths = Vec::new();
    loop {
        assert!(page["as_of"]["position"].is_i64());
        paths.extend(page["entries"].as_array().unwrap().iter().map(label));
        if page["has_more"] == json!(false) {
            assert!(page.get("cursor").is_none());
            paths.sort();
            return paths;
        }
        page = app
            .rpc(
                "cairn/files/list_at/continue",
                json!({ "cursor": page["cursor"] }),
            )
            .await;
    }
}

async fn download_at(app: &App<'_>, path: &str, at: &Value) -> Raw {
    let argument = json!({ "path": path, "at": at });
    app.upload_raw("cairn/files/download_at", argument, "").await
}

async fn head(world: &World, device: &crate::support::Device<'_>) -> i64 {
    world.metadata.head(device.root).await.unwrap().unwrap().seq.get()
}

#[tokio::test]
async fn a_folder_is_seen_as_it_was() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    // 2026-11-22T00:00:00Z
    app.put("/docs/a.txt", b"one").await;
    app.put("/docs/b/c.txt", b"c").await;
    let first = head(&world, &device).await;
    world.clock.advance(Duration::from_secs(3_600));
    let edited = app.put("/docs/a.txt", b"two").await;
    let go = json!({ "from_path": "/docs/b", "to_path": "/moved" });
    app.rpc("files/move_v2", go).await;
    let second = head(&world, &device).await;
    world.clock.advance(Duration::from_secs(3_600));
    app.rpc("files/delete_v2", json!({ "path": "/docs" })).await;
    app.put("/docs", b"now a file").await;

    let before = ["/docs/", "/docs/a.txt", "/docs/b/", "/docs/b/c.txt"];
    let between = ["/docs/", "/docs/a.txt", "/moved/", "/moved/c.txt"];
    for (at, expected) in [
        (position(first), &before),
        (time("2026-11-22T00:00:00Z"), &before),
        (time("2026-11-22T00:59:59Z"), &before),
        (position(second), &between),
        (time("2026-11-22T01:30:00Z"), &between),
    ] {
        assert_eq!(tree_at(&app, "", &at).await, *expected, "{at}");
        let below = tree_at(&app, "/docs", &at).await;
        let in_docs = expected.iter().filter(|path| path.starts_with("/docs"));
        assert_eq!(below, in_docs.copied().collect::<Vec<_>>(), "{at}");
    }
    let empty: [&str; 0] = [];
    assert_eq!(tree_at(&app, "", &position(0)).await, empty);
    assert_eq!(tree_at(&app, "", &time("2020-01-01T00:00:00Z")).await, empty);
    let now = ["/docs", "/moved/", "/moved/c.txt"];
    assert_eq!(tree_at(&app, "", &time("2036-01-01T00:00:00Z")).await, now);

    for (path, at, content) in [
        ("/docs/a.txt", position(first), &b"one"[..]),
        ("/DOCS/A.txt", position(second), b"two"),
        ("/docs/b/c.txt", position(first), b"c"),
        (edited["id"].as_str().unwrap(), position(first), b"one"),
        (edited["id"].as_str().unwrap(), position(second), b"two"),
    ] {
        let raw = download_at(&app, path, &at).await;
        assert_eq!(
            (raw.status.as_u16(), &raw.body[..]),
            (200, content),
            "{path} {at}"
        );
        let found = app
            .rpc("cairn/files/get_metadata_at", json!({ "path": path, "at": at }))
            .await;
        assert_eq!(found["metadata"]["size"], content.len(), "{path} {at}");
        assert_eq!(found["as_of"]["position"], at["position"]);
        // Its revision gives the same content, now and later.
        let rev = format!("rev:{}", found["metadata"]["rev"].as_str().unwrap());
        assert_eq!(&app.download(&rev, &[]).await.body[..], content);
    }
    for (path, at, summary) in [
        ("/docs/b/c.txt", position(second), "path/not_found/.."),
        ("/moved", position(first), "path/not_found/.."),
        ("/docs", position(first), "path/not_file/.."),
        ("/a//b", position(first), "path/malformed_path/.."),
        ("/docs", position(99), "at/not_yet/.."),
    ] {
        let (found, _) = super::refusal(&download_at(&app, path, &at).await);
        assert_eq!(found, summary, "{path} {at}");
    }
    let argument = json!({ "path": "/docs/a.txt", "at": position(first) });
    let (summary, _) = app.refused("cairn/files/list_at", argument).await;
    assert_eq!(summary, "path/not_folder/..");
}

#[tokio::test]
async fn a_position_stands_for_the_whole_change_that_it_is_in() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let operations = json!([
        { ".tag": "create_folder", "path": "/a" },
        { ".tag": "create_folder", "path": "/b" },
        { ".tag": "create_folder", "path": "/c" },
    ]);
    app.rpc("cairn/files/commit", json!({ "operations": operations }))
        .await;
    app.put("/later", b"").await;
    for at in [1, 2, 3] {
        assert_eq!(tree_at(&app, "", &position(at)).await, ["/a/", "/b/", "/c/"]);
    }
    let page = app
        .rpc("cairn/files/list_at", json!({ "path": "", "at": position(1) }))
        .await;
    assert_eq!(
        page["as_of"],
        json!({ "position": 3, "time": "2026-11-22T00:00:00Z" })
    );
}

#[tokio::test]
async fn nonsense_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let put = app.put("/a/b", b"x").await;
    app.put("/a/c", b"x").await;
    let page = json!({ "path": "/a", "at": position(3), "limit": 1 });
    let page = app.rpc("cairn/files/list_at", page).await;
    let cursor = page["cursor"].as_str().unwrap();
    let listing = app
        .rpc("files/list_folder", json!({ "path": "", "limit": 1 }))
        .await;
    for (route, argument) in [
        ("list_at", json!({ "path": "" })),
        ("list_at", json!({ "path": "", "at": "now" })),
        ("list_at", json!({ "path": "", "at": position(-1) })),
        ("list_at", json!({ "path": "", "at": time("yesterday") })),
        ("list_at", json!({ "path": "", "at": position(1), "limit": 0 })),
        (
            "list_at",
            json!({ "path": format!("rev:{}", put["rev"].as_str().unwrap()), "at": position(1) }),
        ),
        ("get_metadata_at", json!({ "path": "", "at": position(1) })),
        ("list_at/continue", json!({ "cursor": listing["cursor"] })),
        ("list_at/continue", json!({ "cursor": &cursor[1..] })),
    ] {
        let raw = app.raw(&format!("cairn/files/{route}"), argument).await;
        assert_eq!(raw.status, 400, "{route} {raw:?}");
    }
    // A cursor is its owner's alone.
    let other = world.device("bob@example.com").await;
    let other = App::of(&world, &other);
    let raw = other
        .raw("cairn/files/list_at/continue", json!({ "cursor": cursor }))
        .await;
    assert_eq!(raw.status, 400);
    let again = world.link("ada@example.com").await;
    let again = App::of(&world, &again);
    let raw = again
        .raw("cairn/files/list_at/continue", json!({ "cursor": cursor }))
        .await;
    assert_eq!(raw.status, 400);
    let rest = app
        .rpc("cairn/files/list_at/continue", json!({ "cursor": cursor }))
        .await;
    assert_eq!(label(&rest["entries"][0]), "/a/c");
}

#[tokio::test]
async fn an_app_with_a_folder_looks_back_to_when_it_was_let_in() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    ada.put("/Apps/Notes/private.txt", b"private").await;
    let private = head(&world, &device).await;
    ada.rpc("files/delete_v2", json!({ "path": "/Apps/Notes/private.txt" }))
        .await;
    world.clock.advance(Duration::from_secs(3_600));
    let app = super::apps::confined_since(&world, Scopes::APP, world.runtime.clock.now()).await;
    world.clock.advance(Duration::from_secs(1));
    let note = app.put("/note.txt", b"note").await;
    let kept = head(&world, &device).await;
    app.rpc("files/delete_v2", json!({ "path": "/note.txt" })).await;
    let secret = ada.put("/secret.txt", b"secret").await;
    let now = head(&world, &device).await;
    assert_eq!(tree_at(&app, "", &position(kept)).await, ["/note.txt"]);
    let raw = download_at(&app, note["id"].as_str().unwrap(), &position(kept)).await;
    assert_eq!(&raw.body[..], b"note");
    for (path, at, summary) in [
        ("/private.txt", position(private), "at/too_old/.."),
        ("/private.txt", time("2026-11-22T00:30:00Z"), "path/not_found/.."),
        ("/private.txt", time("2026-11-21T00:30:00Z"), "at/too_old/.."),
        ("/secret.txt", position(now), "path/not_found/.."),
        (secret["id"].as_str().unwrap(), position(now), "path/not_found/.."),
    ] {
        let (found, _) = super::refusal(&download_at(&app, path, &at).await);
        assert_eq!(found, summary, "{path} {at}");
    }
    // Who is not confined sees all of it.
    let raw = download_at(&ada, "/Apps/Notes/private.txt", &position(private)).await;
    assert_eq!(&raw.body[..], b"private");
    value(
        &ada.raw(
            "cairn/files/get_metadata_at",
            json!({ "path": "/Apps", "at": position(private) }),
        )
        .await,
    );
}
