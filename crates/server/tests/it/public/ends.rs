//! The ends of many sessions: written together, and each as if it were alone.

use serde_json::{Value, json};

use super::{App, value};
use crate::support::World;

/// Begins a session for each content, and closes it.
async fn sessions(app: &App<'_>, contents: &[&str]) -> Vec<Value> {
    let begin = json!({ "num_sessions": contents.len() });
    let begun = app.rpc("files/upload_session/start_batch", begin).await;
    let ids = begun["session_ids"].as_array().unwrap().clone();
    let mut from = 0;
    // As many as one batch of pieces may have.
    for part in contents.chunks(500) {
        let pieces = part.iter().zip(&ids[from..]).map(|(content, id)| {
            json!({ "cursor": { "session_id": id, "offset": 0 }, "length": content.len(), "close": true })
        });
        let pieces = json!({ "entries": pieces.collect::<Vec<_>>() });
        let raw = app
            .upload_raw("files/upload_session/append_batch", pieces, part.concat())
            .await;
        let added = value(&raw);
        let added = added["entries"].as_array().unwrap();
        assert!(added.iter().all(|entry| entry[".tag"] == "success"));
        from += part.len();
    }
    ids
}

fn end(id: &Value, offset: usize, commit: &Value) -> Value {
    json!({ "cursor": { "session_id": id, "offset": offset }, "commit": commit })
}

async fn finish(app: &App<'_>, entries: Vec<Value>) -> Vec<Value> {
    let ends = json!({ "entries": entries });
    let ended = app.rpc("files/upload_session/finish_batch_v2", ends).await;
    ended["entries"].as_array().unwrap().clone()
}

fn outcome(entry: &Value) -> String {
    match entry[".tag"].as_str().unwrap() {
        "success" => format!("{} {}", entry["path_display"], entry["size"]),
        _ => entry["failure"].to_string(),
    }
}

/// A content and what is to be done with it.
fn wanted() -> Vec<(&'static str, Value)> {
    let update = |rev: &str| json!({ ".tag": "update", "update": rev });
    vec![
        ("new", json!({ "path": "/deep/er/new" })),
        ("new", json!({ "path": "/deep/ER/new" })),
        ("other", json!({ "path": "/deep/er/new" })),
        ("third", json!({ "path": "/deep/er/new", "autorename": true })),
        ("fourth", json!({ "path": "/deep/er/new", "mode": "overwrite" })),
        ("fourth", json!({ "path": "/deep/er/new", "mode": "overwrite" })),
        ("fifth", json!({ "path": "/a", "mode": "overwrite" })),
        ("sixth", json!({ "path": "/a", "mode": "overwrite" })),
        ("sixth", json!({ "path": "/a", "strict_conflict": true })),
        ("below", json!({ "path": "/a/below" })),
        ("over", json!({ "path": "/deep" })),
        ("over", json!({ "path": "/deep", "autorename": true })),
        (
            "late",
            json!({ "path": "/a", "mode": update("0123456789abcdef"), "autorename": true }),
        ),
        ("bad", json!({ "path": "/bad/.dropbox" })),
        ("", json!({ "path": "/empty" })),
    ]
}

#[tokio::test]
async fn sessions_end_as_if_each_were_alone() {
    let world = World::new();
    let (ada, bob) = (
        world.device("ada@example.com").await,
        world.device("bob@example.com").await,
    );
    let (at_once, by_one) = (App::of(&world, &ada), App::of(&world, &bob));
    at_once.put("/a", b"a").await;
    by_one.put("/a", b"a").await;
    let wanted = wanted();
    let contents: Vec<&str> = wanted.iter().map(|(content, _)| *content).collect();
    let entries = |ids: &[Value]| -> Vec<Value> {
        let all = ids.iter().zip(&wanted);
        all.map(|(id, (content, commit))| end(id, content.len(), commit))
            .collect()
    };
    let ids = sessions(&at_once, &contents).await;
    let batch = finish(&at_once, entries(&ids)).await;
    let ids_alone = sessions(&by_one, &contents).await;
    let mut single = Vec::new();
    for entry in entries(&ids_alone) {
        single.extend(finish(&by_one, vec![entry]).await);
    }
    let outcomes = |entries: &[Value]| -> Vec<String> {
        let texts = entries.iter().map(outcome);
        // The copy of an edited file is named after its owner.
        texts.map(|text| text.replace("bob", "ada")).collect()
    };
    assert_eq!(outcomes(&batch), outcomes(&single));
    let trees = (at_once.tree().await, by_one.tree().await);
    let renamed: Vec<String> = trees.1.iter().map(|path| path.replace("bob", "ada")).collect();
    assert_eq!(trees.0, renamed);
    // What is told of an entry is what is there, or was until the next one.
    for entry in batch.iter().filter(|entry| entry[".tag"] == "success") {
        let path = json!({ "path": format!("rev:{}", entry["rev"].as_str().unwrap()) });
        let there = at_once.rpc("files/get_metadata", path).await;
        assert_eq!((&there["id"], &there["size"]), (&entry["id"], &entry["size"]));
    }
    // The sessions of what has failed are there, the others have gone.
    let again = finish(&at_once, entries(&ids)).await;
    for (first, again) in batch.iter().zip(again) {
        let is_gone = again["failure"]["lookup_failed"][".tag"] == "not_found";
        assert_eq!(first[".tag"] == "success", is_gone, "{first} {again}");
    }
}

#[tokio::test]
async fn what_one_session_lacks_others_still_get() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    cairn_server::service::accounts::set_quota(world.metadata.as_ref(), "ada@example.com", Some(12))
        .await
        .unwrap();
    let ids = sessions(&app, &["ten bytes.", "too much, too much", "ok"]).await;
    let done = finish(
        &app,
        vec![
            end(&ids[0], 10, &json!({ "path": "/ten" })),
            end(&ids[1], 18, &json!({ "path": "/much" })),
            // The name is free, since the one before has not got it.
            end(&ids[2], 2, &json!({ "path": "/much" })),
            end(&ids[0], 10, &json!({ "path": "/twice" })),
        ],
    )
    .await;
    assert_eq!(outcome(&done[0]), "\"/ten\" 10");
    assert_eq!(done[1]["failure"]["path"][".tag"], "insufficient_space");
    assert_eq!(outcome(&done[2]), "\"/much\" 2");
    assert_eq!(done[3]["failure"]["lookup_failed"][".tag"], "not_found");
    assert_eq!(app.tree().await, ["/much", "/ten"]);
    // A session that could not be put is there for another try.
    let again = finish(&app, vec![end(&ids[1], 18, &json!({ "path": "/more" }))]).await;
    assert_eq!(again[0]["failure"]["path"][".tag"], "insufficient_space");
}

#[tokio::test]
async fn a_thousand_sessions_are_changes_of_their_own() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let contents: Vec<String> = (0..1_000).map(|number| format!("content {number}")).collect();
    let contents: Vec<&str> = contents.iter().map(String::as_str).collect();
    let ids = sessions(&app, &contents).await;
    let before = world.metadata.head(device.root).await.unwrap().unwrap();
    let entries = ids.iter().zip(&contents).enumerate();
    let entries = entries.map(|(number, (id, content))| {
        let path = format!("/{}/{number}", number % 7);
        end(id, content.len(), &json!({ "path": path }))
    });
    let done = finish(&app, entries.collect()).await;
    assert!(done.iter().all(|entry| entry[".tag"] == "success"));
    let entries = world.metadata.changes(&before.cursor(), 9_999).await.unwrap();
    let cairn_metadata::Changes::Page { entries, .. } = entries else {
        panic!("{entries:?}")
    };
    let mut groups: Vec<_> = entries.iter().map(|entry| entry.group_last).collect();
    groups.dedup();
    assert_eq!((entries.len(), groups.len()), (1_007, 1_000));
    let listed = app.rpc("files/list_folder", json!({ "path": "/3" })).await;
    assert_eq!(listed["entries"].as_array().unwrap().len(), 143);
}
