//! `cairn/activity`.

use std::time::Duration;

use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::App;
use crate::support::{TestFile, World};

/// Pages of the feed until it ends.
async fn feed(app: &App<'_>, limit: u32) -> Vec<Value> {
    let mut page = app.rpc("cairn/activity", json!({ "limit": limit })).await;
    let mut entries = Vec::new();
    loop {
        entries.extend(page["entries"].as_array().unwrap().iter().cloned());
        if page["has_more"] == json!(false) {
            return entries;
        }
        let argument = json!({ "cursor": page["cursor"], "limit": limit });
        page = app.rpc("cairn/activity/continue", argument).await;
    }
}

/// An entry in short.
fn short(entry: &Value) -> String {
    let path = |field: &str| entry[field].as_str().unwrap_or("-").to_owned();
    let change = entry["change"][".tag"].as_str().unwrap();
    format!("{change} {} {}", path("from_path_display"), path("path_display"))
}

#[tokio::test]
async fn the_feed_says_what_was_done_newest_first() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    device.put("from-device", &TestFile::new(b"bytes")).await;
    app.put("/docs/a.txt", b"one").await;
    world.clock.advance(Duration::from_secs(60));
    let edited = app.put("/docs/a.txt", b"twice").await;
    let operations = json!([
        { ".tag": "move", "from_path": "/docs", "to_path": "/Papers" },
        { ".tag": "move", "from_path": "/Papers/a.txt", "to_path": "/Papers/b.txt" },
    ]);
    app.rpc("cairn/files/commit", json!({ "operations": operations }))
        .await;
    app.rpc("files/delete_v2", json!({ "path": "/Papers/b.txt" }))
        .await;
    let restore = json!({ "path": "/back.txt", "rev": edited["rev"] });
    app.rpc("files/restore", restore).await;
    let expected = [
        "restored - /back.txt",
        "deleted /Papers/b.txt -",
        "moved /docs/a.txt /Papers/b.txt",
        "moved /docs /Papers",
        "edited - /docs/a.txt",
        "created - /docs/a.txt",
        "created - /docs",
        "created - /from-device",
    ];
    for limit in [1, 2, 100] {
        let mut entries = feed(&app, limit).await;
        let positions: Vec<_> = entries.iter().map(|entry| entry["position"].as_i64()).collect();
        assert!(positions.is_sorted_by(|a, b| a > b), "{positions:?}");
        // Which of the two moves of one change comes first depends on their ids.
        entries[2..4].sort_by_key(|entry| entry["kind"][".tag"].as_str().unwrap().to_owned());
        assert_eq!(entries.iter().map(short).collect::<Vec<_>>(), expected, "{limit}");
    }
    let entries = feed(&app, 1_000).await;
    let edit = &entries[4];
    assert_eq!(
        (&edit["rev"], &edit["id"], &edit["size"], &edit["time"]),
        (
            &edited["rev"],
            &edited["id"],
            &json!(5),
            &json!("2026-11-22T00:01:00Z")
        )
    );
    assert_eq!(edit["by"]["name"], "a laptop");
    assert_eq!(edit["by"]["kind"][".tag"], "device");
    assert_eq!(edit["by"]["is_caller"], true);
    assert_eq!(entries[7]["time"], "2026-11-22T00:00:00Z");
    // Somebody else's link is told from one's own, also when it has gone.
    let second = world.link("ada@example.com").await;
    let second = App::of(&world, &second);
    assert_eq!(feed(&second, 9).await[0]["by"]["is_caller"], false);
}

#[tokio::test]
async fn an_app_with_a_folder_sees_what_happened_there_since_it_came() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    ada.put("/Apps/Notes/before.txt", b"x").await;
    world.clock.advance(Duration::from_secs(60));
    let app = super::apps::confined_since(&world, Scopes::APP, world.runtime.clock.now()).await;
    world.clock.advance(Duration::from_secs(60));
    assert!(feed(&app, 10).await.is_empty());
    app.put("/note.txt", b"note").await;
    for number in 0..30 {
        ada.put(&format!("/secret {number}"), b"secret").await;
    }
    let go = |from: &str, to: &str| json!({ "from_path": from, "to_path": to });
    let out = go("/Apps/Notes/note.txt", "/taken out.txt");
    ada.rpc("files/move_v2", out).await;
    ada.put("/taken out.txt", b"not for the app").await;
    ada.rpc("files/move_v2", go("/secret 1", "/Apps/Notes/given.txt"))
        .await;
    let entries = feed(&app, 2).await;
    assert_eq!(
        entries.iter().map(short).collect::<Vec<_>>(),
        ["moved - /given.txt", "moved /note.txt -", "created - /note.txt"]
    );
    assert_eq!(entries[0]["by"], json!({ "is_caller": false }));
    assert_eq!(entries[2]["by"]["name"], "Notes");
}

#[tokio::test]
async fn nonsense_is_refused() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    assert!(app.rpc("cairn/activity", Value::Null).await["entries"].is_array());
    for argument in [json!({ "limit": 0 }), json!({ "limit": 1_001 })] {
        assert_eq!(app.raw("cairn/activity", argument).await.status, 400);
    }
    for cursor in ["", "before:", "before:-1", "before:x", "AAAA"] {
        let raw = app
            .raw("cairn/activity/continue", json!({ "cursor": cursor }))
            .await;
        assert_eq!(raw.status, 400, "{cursor}");
    }
    for beyond in ["before:0", "before:99999"] {
        let page = app
            .rpc("cairn/activity/continue", json!({ "cursor": beyond }))
            .await;
        assert_eq!(page["has_more"], false);
    }
}
