//! `cairn/files/commit`: all or nothing.

use cairn_core::ids::NamespaceId;
use cairn_core::rev::Seq;
use cairn_metadata::Changes;
use serde_json::{Value, json};

use super::{App, value};
use crate::support::World;

async fn head(world: &World, app: &App<'_>) -> Seq {
    let root = app.rpc("users/get_current_account", Value::Null).await["root_info"]["root_namespace_id"]
        .as_str()
        .unwrap()
        .parse::<i64>()
        .unwrap();
    let namespace = NamespaceId::new(root).unwrap();
    let head = world.metadata.head(namespace).await.unwrap().unwrap();
    assert_eq!(
        world.metadata.check(namespace).await.unwrap(),
        Vec::<String>::new()
    );
    head.seq
}

/// Whoever reads the journal sees all that came after `before`, or nothing.
async fn assert_one_step(world: &World, namespace: NamespaceId, before: Seq) {
    let origin = world.metadata.origin(namespace).await.unwrap();
    let Changes::Page { entries, cursor, .. } = world.metadata.changes(&origin, 1_000).await.unwrap() else {
        panic!("a page");
    };
    let new: Vec<_> = entries.iter().filter(|entry| entry.seq > before).collect();
    assert!(!new.is_empty() && new.iter().all(|entry| entry.group_last == cursor.seq));
}

/// A session with these bytes, ready to be committed.
async fn session(app: &App<'_>, bytes: &[u8]) -> Value {
    let start = json!({ "close": true });
    let started = app
        .upload_raw("files/upload_session/start", start, bytes.to_vec())
        .await;
    let id = value(&started)["session_id"].clone();
    json!({ ".tag": "upload_session", "session_id": id, "offset": bytes.len() })
}

fn put(path: &str, content: &Value) -> Value {
    json!({ ".tag": "put", "path": path, "content": content })
}

fn go(tag: &str, from: &str, to: &str) -> Value {
    json!({ ".tag": tag, "from_path": from, "to_path": to })
}

fn delete(path: &str) -> Value {
    json!({ ".tag": "delete", "path": path })
}

fn folder(path: &str) -> Value {
    json!({ ".tag": "create_folder", "path": path })
}

fn file(path: &str) -> Value {
    json!({ ".tag": "file", "path": path })
}

async fn commit(app: &App<'_>, operations: Value) -> Vec<Value> {
    let done = app
        .rpc("cairn/files/commit", json!({ "operations": operations }))
        .await;
    done["entries"].as_array().unwrap().clone()
}

async fn refused(app: &App<'_>, operations: Value) -> (String, Value) {
    app.refused("cairn/files/commit", json!({ "operations": operations }))
        .await
}

#[tokio::test]
async fn each_operation_sees_those_before_it_and_all_are_one_step() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let kept = app.put("/old/kept.txt", b"kept").await;
    app.put("/old/gone.txt", b"gone").await;
    let bytes = session(&app, b"from a session").await;
    let before = head(&world, &app).await;
    let entries = commit(
        &app,
        json!([
            folder("/new"),
            put("/new/deep/down/file.txt", &bytes),
            go("move", "/old/kept.txt", "/new/moved.txt"),
            go("copy", "/new", "/copy"),
            delete("/old"),
            put("/old", &file("/old/kept.txt")),
        ]),
    )
    .await;
    let expected = [
        "/copy/",
        "/copy/deep/",
        "/copy/deep/down/",
        "/copy/deep/down/file.txt",
        "/copy/moved.txt",
        "/new/",
        "/new/deep/",
        "/new/deep/down/",
        "/new/deep/down/file.txt",
        "/new/moved.txt",
        "/old",
    ];
    assert_eq!(app.tree().await, expected);
    assert_eq!(
        entries.iter().map(super::label).collect::<Vec<_>>(),
        [
            "/new/",
            "/new/deep/down/file.txt",
            "/new/moved.txt",
            "/copy/",
            "/old/",
            "/old"
        ]
    );
    assert_eq!(
        (&entries[2]["id"], &entries[2]["rev"]),
        (&kept["id"], &kept["rev"])
    );
    for (path, bytes) in [
        ("/copy/deep/down/file.txt", &b"from a session"[..]),
        ("/old", b"kept"),
    ] {
        assert_eq!(&app.download(path, &[]).await.body[..], bytes, "{path}");
    }
    for entry in &entries[..4] {
        let found = app
            .rpc("files/get_metadata", json!({ "path": entry["id"] }))
            .await;
        assert_eq!(&found, entry);
    }
    let rev = format!("rev:{}", entries[5]["rev"].as_str().unwrap());
    assert_eq!(&app.download(&rev, &[]).await.body[..], b"kept");
    assert_one_step(&world, device.root, before).await;
    // The session has gone.
    let (summary, _) = refused(&app, json!([put("/again", &bytes)])).await;
    assert_eq!(summary, "operation_failed/lookup_failed/not_found/..");
}

fn mode(mut put: Value, mode: Value) -> Value {
    put["mode"] = mode;
    put
}

/// Operations that fail, and how, after the others of the test. `old`: a superseded revision.
fn refusals(old: &str, open: &Value, bytes: &Value) -> Vec<(Value, &'static str)> {
    let mut short = bytes.clone();
    short["offset"] = json!(4);
    let at = |tag: &str, mut operation: Value| {
        operation[tag] = json!(old);
        operation
    };
    let update = |rev: &str| json!({ ".tag": "update", "update": rev });
    vec![
        (folder("/dir"), "path/conflict/folder"),
        (folder("/a.txt"), "path/conflict/file"),
        (folder("/a.txt/x"), "path/conflict/file_ancestor"),
        (folder("/x//y"), "path/malformed_path"),
        (folder("/x/.DS_Store"), "path/disallowed_name"),
        (folder("/fresh"), "path/conflict/folder"),
        (put("/a.txt", bytes), "path/conflict/file"),
        (mode(put("/a.txt", bytes), update(old)), "path/conflict/file"),
        (
            mode(put("/dir", bytes), json!("overwrite")),
            "path/conflict/folder",
        ),
        (put("/x", open), "lookup_failed/not_closed"),
        (put("/x", &short), "lookup_failed/incorrect_offset"),
        (put("/x", &file("/none")), "content_lookup/not_found"),
        (put("/x", &file("/dir")), "content_lookup/not_file"),
        (go("move", "/none", "/x"), "from_lookup/not_found"),
        (go("move", "/gone.txt", "/x"), "from_lookup/not_found"),
        (go("move", "/a.txt", "/dir/b.txt"), "to/conflict/file"),
        (go("move", "/a.txt", "/a.txt"), "to/conflict/file"),
        (go("move", "/dir", "/dir/in/it"), "cant_move_folder_into_itself"),
        (go("copy", "/dir", "/dir/in/it"), "duplicated_or_nested_paths"),
        (go("copy", "/a.txt", "/dir"), "to/conflict/folder"),
        (
            at("parent_rev", go("move", "/a.txt", "/x")),
            "from_write/conflict/file",
        ),
        (
            at("parent_rev", go("copy", "/a.txt", "/x")),
            "from_write/conflict/file",
        ),
        (at("parent_rev", delete("/a.txt")), "path_write/conflict/file"),
        (at("parent_rev", delete("/dir")), "path_lookup/not_file"),
        (delete("/none"), "path_lookup/not_found"),
        (delete(""), ""),
    ]
}

#[tokio::test]
async fn the_first_that_fails_is_named_and_nothing_is_done() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let first = app.put("/a.txt", b"one").await;
    app.put("/a.txt", b"two").await;
    app.put("/dir/b.txt", b"b").await;
    let open = app
        .upload_raw("files/upload_session/start", json!({}), "open")
        .await;
    let open = json!({ ".tag": "upload_session", "session_id": value(&open)["session_id"], "offset": 4 });
    let bytes = session(&app, b"bytes").await;
    let old = first["rev"].as_str().unwrap();
    let before = (app.tree().await, head(&world, &app).await);
    for (operation, reason) in refusals(old, &open, &bytes) {
        let operations = json!([
            folder("/fresh"),
            go("move", "/dir/b.txt", "/gone.txt"),
            delete("/gone.txt"),
            mode(put("/dir/b.txt", &file("/a.txt")), json!("overwrite")),
            operation,
            delete("/never/looked/at"),
        ]);
        let argument = json!({ "operations": operations });
        let raw = app.raw("cairn/files/commit", argument).await;
        match reason {
            "" => assert_eq!(raw.status, 400, "{operations}"),
            _ => {
                let (summary, error) = super::refusal(&raw);
                assert_eq!(summary, format!("operation_failed/{reason}/.."), "{operations}");
                assert_eq!(error["index"], 4, "{operations}");
            }
        }
        assert_eq!(
            (app.tree().await, head(&world, &app).await),
            before,
            "{operations}"
        );
    }
    // The session is still there for another try.
    commit(&app, json!([put("/x", &bytes)])).await;
    assert_eq!(&app.download("/x", &[]).await.body[..], b"bytes");
}

#[tokio::test]
async fn what_is_changed_twice_is_written_once() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let a = app.put("/a", b"a").await;
    let b = app.put("/b", b"b").await;
    app.put("/dir/inner/c", b"c").await;
    let before = head(&world, &app).await;
    let entries = commit(
        &app,
        json!([
            // Two files change places.
            go("move", "/a", "/tmp"),
            go("move", "/b", "/a"),
            go("move", "/tmp", "/b"),
            // A folder is made, filled and taken away again.
            folder("/passing"),
            go("move", "/dir/inner/c", "/passing/c"),
            go("copy", "/a", "/passing/a"),
            delete("/passing"),
            // A file is written, moved and written again.
            put("/new", &file("/a")),
            go("move", "/new", "/newer"),
            { ".tag": "put", "path": "/newer", "content": file("/b"), "mode": "overwrite" },
            go("move", "/dir", "/Dir"),
        ]),
    )
    .await;
    assert_eq!(app.tree().await, ["/Dir/", "/Dir/inner/", "/a", "/b", "/newer"]);
    assert_eq!(entries[0]["id"], a["id"]);
    assert_eq!(entries[0]["path_display"], "/b");
    assert_eq!(entries[1]["id"], b["id"]);
    assert_eq!(
        entries.iter().map(super::label).collect::<Vec<_>>(),
        [
            "/b",
            "/a",
            "/b",
            "-/passing",
            "-/passing/c",
            "-/passing/a",
            "-/passing",
            "/newer",
            "/newer",
            "/newer",
            "/Dir/"
        ]
    );
    // Contents are those that stood on the paths before the call.
    assert_eq!(&app.download("/newer", &[]).await.body[..], b"b");
    assert_eq!(entries[9], entries[7]);
    // Two moves, one deletion, one creation, one respelling.
    assert_eq!(head(&world, &app).await.get() - before.get(), 5);
}

#[tokio::test]
async fn of_two_calls_that_expect_the_same_revision_one_wins_whole() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for round in 0..20 {
        let file = app.put("/f", format!("state {round}").as_bytes()).await;
        app.put("/x", format!("x {round}").as_bytes()).await;
        let mut calls = Vec::new();
        for writer in 0..4 {
            let bytes = session(&app, format!("{round} by {writer}").as_bytes()).await;
            let mut wanted = put("/f", &bytes);
            wanted["mode"] = json!({ ".tag": "update", "update": file["rev"] });
            let operations = json!([folder(&format!("/{round}/won by {writer}")), wanted]);
            calls.push(app.raw("cairn/files/commit", json!({ "operations": operations })));
        }
        let answers = futures::future::join_all(calls).await;
        let won: Vec<bool> = answers.iter().map(|raw| raw.status == 200).collect();
        assert_eq!(won.iter().filter(|won| **won).count(), 1, "{answers:?}");
        for raw in answers.iter().filter(|raw| raw.status != 200) {
            let (summary, error) = super::refusal(raw);
            assert_eq!(summary, "operation_failed/path/conflict/file/..");
            assert_eq!(error["index"], 1);
        }
        let winner = won.iter().position(|won| *won).unwrap();
        let content = format!("{round} by {winner}");
        assert_eq!(&app.download("/f", &[]).await.body[..], content.as_bytes());
        let listed = app
            .rpc("files/list_folder", json!({ "path": format!("/{round}") }))
            .await;
        assert_eq!(listed["entries"].as_array().unwrap().len(), 1);
        assert_eq!(listed["entries"][0]["name"], format!("won by {winner}"));
    }
    head(&world, &app).await;
}

#[tokio::test]
async fn a_quota_names_the_operation_that_went_over_it() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let account = world
        .metadata
        .account_by_email(&cairn_metadata::Email::new("ada@example.com").unwrap())
        .await
        .unwrap()
        .unwrap();
    app.put("/a", &[7; 600]).await;
    let account = cairn_metadata::Account {
        quota_bytes: Some(1_500),
        ..account
    };
    world.metadata.update_account(&account).await.unwrap();
    let operations = json!([
        folder("/dir"),
        go("copy", "/a", "/dir/b"),
        go("copy", "/a", "/dir/c"),
        go("copy", "/a", "/dir/d")
    ]);
    let (summary, error) = refused(&app, operations).await;
    assert_eq!(summary, "operation_failed/to/insufficient_space/..");
    assert_eq!(error["index"], 2);
    assert_eq!(app.tree().await, ["/a"]);
    // What the same call frees counts.
    commit(
        &app,
        json!([go("copy", "/a", "/b"), go("copy", "/a", "/c"), delete("/a")]),
    )
    .await;
    assert_eq!(app.tree().await, ["/b", "/c"]);
}

#[tokio::test]
async fn an_app_with_a_folder_reaches_nothing_else() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let whole = App::of(&world, &device);
    let secret = whole.put("/secret.txt", b"secret").await;
    let confined = super::apps::confined(&world, cairn_metadata::Scopes::APP).await;
    commit(&confined, json!([folder("/mine")])).await;
    let rev = format!("rev:{}", secret["rev"].as_str().unwrap());
    for (operation, reason) in [
        (put("/x", &file(&rev)), "content_lookup/not_found"),
        (
            put("/x", &file(secret["id"].as_str().unwrap())),
            "content_lookup/not_found",
        ),
        (
            go("copy", secret["id"].as_str().unwrap(), "/x"),
            "from_lookup/not_found",
        ),
        (go("move", &rev, "/x"), "from_lookup/not_found"),
        (delete(secret["id"].as_str().unwrap()), "path_lookup/not_found"),
        (delete("/secret.txt"), "path_lookup/not_found"),
    ] {
        let (summary, _) = refused(&confined, json!([operation])).await;
        assert_eq!(summary, format!("operation_failed/{reason}/.."));
    }
    assert_eq!(confined.tree().await, ["/mine/"]);
}

#[tokio::test]
async fn a_call_is_bounded() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let many: Vec<Value> = (0..1_001).map(|index| folder(&format!("/{index}"))).collect();
    let raw = app.raw("cairn/files/commit", json!({ "operations": many })).await;
    assert_eq!(raw.status, 400);
    // A copy that doubles what was there with each operation.
    let mut operations = vec![folder("/0/x")];
    for number in 0..15 {
        operations.push(go("copy", &format!("/{number}"), &format!("/{}", number + 1)));
        operations.push(go(
            "copy",
            &format!("/{number}"),
            &format!("/{}/again {number}", number + 1),
        ));
    }
    let (summary, _) = refused(&app, operations.into()).await;
    assert!(
        ["operation_failed/too_many_files/..", "too_many_operations/.."].contains(&summary.as_str()),
        "{summary}"
    );
    assert!(app.tree().await.is_empty());
    let entries = commit(&app, json!([])).await;
    assert!(entries.is_empty());
}
