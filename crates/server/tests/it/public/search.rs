//! `search_v2`: in the order of time, and among what was deleted.

use std::time::Duration;

use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::{App, label};
use crate::support::World;

/// What is found, page by page.
async fn search(app: &App<'_>, options: Value) -> Vec<String> {
    let argument = json!({ "query": "report", "options": options });
    let mut page = app.rpc("files/search_v2", argument).await;
    let mut found = Vec::new();
    loop {
        let matches = page["matches"].as_array().unwrap().iter();
        found.extend(matches.map(|one| label(&one["metadata"]["metadata"])));
        if page["has_more"] == json!(false) {
            return found;
        }
        let argument = json!({ "cursor": page["cursor"] });
        page = app.rpc("files/search/continue_v2", argument).await;
    }
}

#[tokio::test]
async fn the_newest_come_first() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in ["/report 1", "/a/report 2", "/a/b/REPORT 3", "/a/other"] {
        world.clock.advance(Duration::from_secs(60));
        app.put(path, path.as_bytes()).await;
    }
    app.put("/report 1", b"edited").await;
    let go = json!({ "from_path": "/a/report 2", "to_path": "/a/moved report 2" });
    app.rpc("files/move_v2", go).await;
    let expected = ["/report 1", "/a/b/REPORT 3", "/a/moved report 2"];
    for limit in [1, 2, 3, 100] {
        let options = json!({ "order_by": "last_modified_time", "max_results": limit });
        assert_eq!(search(&app, options).await, expected, "{limit}");
    }
    let options = json!({ "order_by": { ".tag": "last_modified_time" }, "path": "/a", "max_results": 1 });
    assert_eq!(search(&app, options).await, expected[1..]);
    let options = json!({ "order_by": "relevance", "file_status": "active" });
    assert_eq!(search(&app, options).await.len(), 3);
}

#[tokio::test]
async fn the_pages_of_one_search_are_of_one_tree() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/other", b"x").await;
    for number in 1..=7 {
        let path = format!("/report {number}");
        app.put(&path, path.as_bytes()).await;
    }
    let options = json!({ "order_by": "last_modified_time", "max_results": 2 });
    let first = json!({ "query": "report", "options": options });
    let page = app.rpc("files/search_v2", first.clone()).await;
    let cursor = json!({ "cursor": page["cursor"] });
    // It would be the last one of a tree that is read now.
    let go = json!({ "from_path": "/other", "to_path": "/report 0" });
    app.rpc("files/move_v2", go).await;
    app.put("/report 5", b"edited").await;
    app.rpc("files/delete_v2", json!({ "path": "/report 4" })).await;
    let go = json!({ "from_path": "/report 3", "to_path": "/something else" });
    app.rpc("files/move_v2", go).await;
    let go = json!({ "from_path": "/report 2", "to_path": "/moved/report 2" });
    app.rpc("files/move_v2", go).await;
    let page = app.rpc("files/search/continue_v2", cursor.clone()).await;
    let labels = |page: &Value| -> Vec<String> {
        let matches = page["matches"].as_array().unwrap().iter();
        matches.map(|one| label(&one["metadata"]["metadata"])).collect()
    };
    assert_eq!(labels(&page), ["/moved/report 2", "/report 1"]);
    assert_eq!(page["has_more"], json!(false));
    let anew = search(
        &app,
        json!({ "order_by": "last_modified_time", "max_results": 2 }),
    )
    .await;
    let expected = [
        "/report 5",
        "/report 7",
        "/report 6",
        "/moved/report 2",
        "/report 1",
        "/report 0",
    ];
    assert_eq!(anew, expected);
    // Another search than the one that is remembered.
    let below = json!({ "order_by": "last_modified_time", "max_results": 1, "path": "/moved" });
    assert_eq!(search(&app, below).await, ["/moved/report 2"]);
}

#[tokio::test]
async fn what_was_deleted_is_found_where_it_stood() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in [
        "/report 1",
        "/a/report 2",
        "/a/report 3",
        "/a/kept report",
        "/other",
    ] {
        app.put(path, path.as_bytes()).await;
    }
    for path in ["/report 1", "/a/report 2", "/other"] {
        app.rpc("files/delete_v2", json!({ "path": path })).await;
    }
    // Two of one change: where it stood before that.
    let operations = json!([
        { ".tag": "move", "from_path": "/a", "to_path": "/A2" },
        { ".tag": "delete", "path": "/A2/report 3" },
    ]);
    app.rpc("cairn/files/commit", json!({ "operations": operations }))
        .await;
    for limit in [1, 100] {
        let options = json!({ "file_status": "deleted", "max_results": limit });
        let mut found = search(&app, options).await;
        found.sort();
        assert_eq!(found, ["-/a/report 2", "-/a/report 3", "-/report 1"], "{limit}");
    }
    app.put("/a/new", b"x").await;
    let options = json!({ "file_status": { ".tag": "deleted" }, "path": "/a" });
    let mut found = search(&app, options).await;
    found.sort();
    assert_eq!(found, ["-/a/report 2", "-/a/report 3"]);

    let both =
        json!({ "query": "x", "options": { "file_status": "deleted", "order_by": "last_modified_time" } });
    let (summary, _) = app.refused("files/search_v2", both).await;
    assert_eq!(summary, "invalid_argument/..");
    let options = json!({ "file_status": "deleted", "max_results": 1 });
    let page = json!({ "query": "report", "options": options });
    let page = app.rpc("files/search_v2", page.clone()).await;
    let confined = super::apps::confined(&world, Scopes::APP).await;
    let (summary, _) = confined
        .refused("files/search_v2", json!({ "query": "x", "options": options }))
        .await;
    assert_eq!(summary, "invalid_argument/..");
    let raw = confined
        .raw("files/search/continue_v2", json!({ "cursor": page["cursor"] }))
        .await;
    assert_eq!(raw.status, 400);
}
