//! Batches: written together, and each entry as if it were alone.

use serde_json::{Value, json};

use super::{App, label};
use crate::support::World;

/// A tree to work on.
async fn furnish(app: &App<'_>) {
    for path in ["/a/1", "/a/2", "/a/deep/er/3", "/b", "/c"] {
        app.put(path, path.as_bytes()).await;
    }
}

/// What became of an entry, but for what no two runs have in common.
fn outcome(metadata: &Value) -> String {
    let entry = label(metadata);
    match metadata.get("size") {
        Some(size) => format!("{entry} {size}"),
        None => entry,
    }
}

fn of_entry(entry: &Value) -> String {
    match entry[".tag"].as_str().unwrap() {
        "success" if entry.get("metadata").is_some() => outcome(&entry["metadata"]),
        "success" => outcome(&entry["success"]),
        _ => {
            let failure = &entry["failure"];
            let error = failure.get("relocation_error").unwrap_or(failure);
            error.to_string()
        }
    }
}

/// Does entries at once in one account, and one by one in another: nobody can tell which.
async fn compare(world: &World, number: usize, route: &str, wrap: fn(&[Value]) -> Value, entries: &[Value]) {
    let (one, other) = (
        format!("one{number}@example.com"),
        format!("other{number}@example.com"),
    );
    let (one, other) = (world.device(&one).await, world.device(&other).await);
    let (at_once, by_one) = (App::of(world, &one), App::of(world, &other));
    furnish(&at_once).await;
    furnish(&by_one).await;
    let batch = at_once.rpc(&format!("files/{route}"), wrap(entries)).await;
    let batch: Vec<String> = batch["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(of_entry)
        .collect();
    let mut single = Vec::new();
    for entry in entries {
        let done = by_one
            .rpc(&format!("files/{route}"), wrap(std::slice::from_ref(entry)))
            .await;
        single.push(of_entry(&done["entries"][0]));
    }
    assert_eq!(batch, single, "{route} {entries:?}");
    assert_eq!(at_once.tree().await, by_one.tree().await, "{route} {entries:?}");
    // What is told of an entry is what is there.
    let listed = json!({ "path": "", "recursive": true });
    let listed = at_once.rpc("files/list_folder", listed).await;
    let mut revisions = Vec::new();
    for entry in listed["entries"].as_array().unwrap() {
        revisions.extend(entry["rev"].as_str().map(str::to_owned));
    }
    let count = revisions.len();
    revisions.sort();
    revisions.dedup();
    assert_eq!(revisions.len(), count);
}

fn relocations(entries: &[Value]) -> Value {
    json!({ "entries": entries })
}

fn renaming(entries: &[Value]) -> Value {
    json!({ "entries": entries, "autorename": true })
}

fn go(from: &str, to: &str) -> Value {
    json!({ "from_path": from, "to_path": to })
}

#[tokio::test]
async fn entries_are_done_as_if_each_were_alone() {
    let world = World::new();
    let folders = |paths: &[Value]| json!({ "paths": paths });
    let renamed = |paths: &[Value]| json!({ "paths": paths, "autorename": true });
    let paths = [
        "/x",
        "/x/y/z",
        "/X/y",
        "/b",
        "/b/below",
        "/a",
        "/new",
        "/new",
        "/bad\\name",
        "/x/y/w",
    ];
    let paths = paths.map(Value::from);
    compare(&world, 0, "create_folder_batch", folders, &paths).await;
    compare(&world, 1, "create_folder_batch", renamed, &paths).await;
    let gone = ["/a/1", "/a", "/a/2", "/none", "/b", "/b", "/c/below"];
    let gone = gone.map(|path| json!({ "path": path }));
    compare(&world, 2, "delete_batch", relocations, &gone).await;
    let moves = [
        go("/b", "/moved/b"),
        go("/none", "/x"),
        go("/c", "/b"),
        go("/b", "/again"),
        go("/a/deep", "/a/deep/er/in"),
        go("/a/1", "/a/2"),
        go("/a", "/moved/a"),
        go("/moved/a/deep/er/3", "/3"),
        go("/moved", "/MOVED"),
        go("/again", "/again"),
    ];
    let copies = [
        go("/a", "/copy"),
        go("/copy/1", "/copy/other"),
        go("/a", "/a/in"),
        go("/b", "/c"),
        go("/b", "/copy"),
        go("/copy", "/whole/copy"),
        go("/none", "/x"),
    ];
    for (number, wrap) in [(3, relocations as fn(&[Value]) -> Value), (4, renaming)] {
        compare(&world, number, "move_batch_v2", wrap, &moves).await;
        compare(&world, number + 10, "copy_batch_v2", wrap, &copies).await;
    }
}

#[tokio::test]
async fn what_one_entry_lacks_others_still_get() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/ten", &[0; 10]).await;
    cairn_server::service::accounts::set_quota(world.metadata.as_ref(), "ada@example.com", Some(25))
        .await
        .unwrap();
    app.put("/two", &[0; 2]).await;
    let entries = [
        go("/ten", "/ten more"),
        go("/ten", "/too much"),
        go("/two", "/two more"),
    ];
    let done = app.rpc("files/copy_batch_v2", relocations(&entries)).await;
    let done: Vec<String> = done["entries"].as_array().unwrap().iter().map(of_entry).collect();
    assert_eq!(done[0], "/ten more 10");
    assert_eq!(done[1], json!({ ".tag": "insufficient_quota" }).to_string());
    assert_eq!(done[2], "/two more 2");
}

#[tokio::test]
async fn a_batch_is_few_transactions() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let paths: Vec<String> = (0..2_500)
        .map(|number| format!("/{}/{number}", number % 7))
        .collect();
    let before = world.metadata.head(device.root).await.unwrap().unwrap();
    let made = app
        .rpc("files/create_folder_batch", json!({ "paths": paths }))
        .await;
    let made = made["entries"].as_array().unwrap();
    assert!(made.iter().all(|entry| entry[".tag"] == "success"));
    // Each entry is a change of its own all the same: with the folder that it lacked.
    let entries = world.metadata.changes(&before.cursor(), 9_999).await.unwrap();
    let cairn_metadata::Changes::Page { entries, .. } = entries else {
        panic!("{entries:?}")
    };
    let mut groups: Vec<_> = entries.iter().map(|entry| entry.group_last).collect();
    groups.dedup();
    assert_eq!((entries.len(), groups.len()), (2_507, 2_500));
    let gone: Vec<Value> = paths[..1_000]
        .iter()
        .map(|path| json!({ "path": path }))
        .collect();
    let gone = app.rpc("files/delete_batch", relocations(&gone)).await;
    let gone = gone["entries"].as_array().unwrap();
    assert!(gone.iter().all(|entry| entry[".tag"] == "success"));
    let left = json!({ "path": "", "recursive": true });
    let left = app.rpc("files/list_folder", left).await;
    assert_eq!(left["entries"].as_array().unwrap().len(), 1_507);
}
