//! Listings and what comes after them.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{App, label, value};
use crate::support::{DEADLINE, World};

/// A client's copy of the tree, kept by applying entries in order.
#[derive(Default)]
struct Mirror(BTreeMap<String, String>);

impl Mirror {
    fn apply(&mut self, entry: &Value) {
        let path = entry["path_lower"].as_str().unwrap().to_owned();
        let below = format!("{path}/");
        let is_folder = entry[".tag"] == "folder";
        if !is_folder {
            self.0
                .retain(|known, _| *known != path && !known.starts_with(&below));
        }
        if entry[".tag"] != "deleted" {
            self.0.insert(path, label(entry));
        }
    }

    fn paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = self.0.values().cloned().collect();
        paths.sort();
        paths
    }

    /// Reads on until there is no more; the cursor then.
    async fn catch_up(&mut self, app: &App<'_>, cursor: Value) -> Value {
        let mut cursor = cursor;
        loop {
            let page = app
                .rpc("files/list_folder/continue", json!({ "cursor": cursor }))
                .await;
            page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .for_each(|entry| self.apply(entry));
            cursor = page["cursor"].clone();
            if page["has_more"] == json!(false) {
                return cursor;
            }
        }
    }
}

async fn listed(app: &App<'_>, argument: Value) -> (Vec<String>, Value) {
    let mut page = app.rpc("files/list_folder", argument).await;
    let mut labels = Vec::new();
    loop {
        labels.extend(page["entries"].as_array().unwrap().iter().map(label));
        let cursor = page["cursor"].clone();
        if page["has_more"] == json!(false) {
            return (labels, cursor);
        }
        page = app
            .rpc("files/list_folder/continue", json!({ "cursor": cursor }))
            .await;
    }
}

#[tokio::test]
async fn parents_are_listed_before_their_children_and_each_once() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in ["/b/x/1", "/b/x/2", "/b/y/3", "/a", "/c/4", "/b/5", "/z"] {
        app.put(path, path.as_bytes()).await;
    }
    for limit in 1..=12 {
        let argument = json!({ "path": "", "recursive": true, "limit": limit });
        let (labels, _) = listed(&app, argument).await;
        assert_eq!(
            labels,
            [
                "/a", "/b/", "/c/", "/z", "/b/5", "/b/x/", "/b/y/", "/b/x/1", "/b/x/2", "/b/y/3", "/c/4"
            ],
            "pages of {limit}"
        );
    }
    let (labels, _) = listed(&app, json!({ "path": "/b", "recursive": true, "limit": 2 })).await;
    assert_eq!(
        labels,
        ["/b/", "/b/5", "/b/x/", "/b/y/", "/b/x/1", "/b/x/2", "/b/y/3"]
    );
    let (labels, _) = listed(&app, json!({ "path": "/B", "limit": 1 })).await;
    assert_eq!(labels, ["/b/5", "/b/x/", "/b/y/"]);
}

#[tokio::test]
async fn what_changes_while_it_is_listed_is_told_afterwards() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in ["/a", "/b", "/c"] {
        app.put(path, b"x").await;
    }
    let page = app
        .rpc("files/list_folder", json!({ "path": "", "limit": 1 }))
        .await;
    app.rpc("files/delete_v2", json!({ "path": "/b" })).await;
    app.put("/aa", b"new").await;
    let mut mirror = Mirror::default();
    page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .for_each(|entry| mirror.apply(entry));
    let cursor = mirror.catch_up(&app, page["cursor"].clone()).await;
    mirror.catch_up(&app, cursor).await;
    assert_eq!(mirror.paths(), ["/a", "/aa", "/c"]);
}

#[tokio::test]
async fn who_applies_changes_in_order_has_the_tree() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let go = |from: &str, to: &str| json!({ "from_path": from, "to_path": to, "autorename": true });
    let gone = |path: &str| json!({ "path": path });
    let cursor = app
        .rpc(
            "files/list_folder/get_latest_cursor",
            json!({ "path": "", "recursive": true, "limit": 2 }),
        )
        .await["cursor"]
        .clone();
    // Who looks after each step, and who looks only at the end.
    let (mut often, mut once) = (Mirror::default(), Mirror::default());
    let mut at = cursor.clone();
    for step in 0..12 {
        match step {
            0 => drop(app.put("/a/b/1", b"1").await),
            1 => drop(app.put("/a/b/c/2", b"2").await),
            2 => drop(app.rpc("files/move_v2", go("/a/b", "/d")).await),
            3 => drop(app.rpc("files/move_v2", go("/d", "/D")).await),
            4 => drop(app.rpc("files/copy_v2", go("/D", "/e")).await),
            5 => drop(app.rpc("files/delete_v2", gone("/d/c")).await),
            6 => drop(app.put("/d/c", b"a file where a folder was").await),
            7 => drop(app.rpc("files/move_v2", go("/e", "/a/E")).await),
            8 => drop(app.rpc("files/move_v2", go("/a", "/E")).await),
            9 => drop(app.put("/E/e/1", b"another").await),
            10 => drop(app.rpc("files/move_v2", go("/E/E/c", "/f")).await),
            _ => drop(app.rpc("files/move_v2", go("/f/2", "/F/3")).await),
        }
        at = often.catch_up(&app, at).await;
        assert_eq!(often.paths(), app.tree().await, "after step {step}");
    }
    once.catch_up(&app, cursor).await;
    assert_eq!(once.paths(), app.tree().await);
}

#[tokio::test]
async fn a_folder_that_comes_back_comes_with_all_that_is_in_it() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let mut revs = Vec::new();
    for name in ["1", "2", "3"] {
        revs.push(app.put(&format!("/a/b/{name}"), name.as_bytes()).await["rev"].clone());
    }
    let (_, cursor) = listed(&app, json!({ "path": "", "recursive": true })).await;
    let mut mirror = Mirror::default();
    app.rpc("files/move_v2", json!({ "from_path": "/a", "to_path": "/z" }))
        .await;
    app.rpc("files/delete_v2", json!({ "path": "/z" })).await;
    app.rpc("files/restore", json!({ "path": "/q/2", "rev": revs[1] }))
        .await;
    mirror.apply(&json!({ ".tag": "folder", "path_lower": "/a", "path_display": "/a" }));
    mirror.catch_up(&app, cursor).await;
    assert_eq!(mirror.paths(), ["/q/", "/q/2"]);
    assert_eq!(app.tree().await, mirror.paths());
}

#[tokio::test]
async fn a_cursor_of_one_folder_tells_of_it_alone() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a/b/1", b"1").await;
    let (_, flat) = listed(&app, json!({ "path": "/a" })).await;
    let (_, deep) = listed(&app, json!({ "path": "/a", "recursive": true })).await;
    app.put("/other/2", b"2").await;
    app.put("/a/b/3", b"3").await;
    app.put("/a/4", b"4").await;
    let news = async |cursor: &Value| {
        let page = app
            .rpc("files/list_folder/continue", json!({ "cursor": cursor }))
            .await;
        page["entries"]
            .as_array()
            .unwrap()
            .iter()
            .map(label)
            .collect::<Vec<_>>()
    };
    assert_eq!(news(&flat).await, ["/a/4"]);
    assert_eq!(news(&deep).await, ["/a/4", "/a/b/3"]);
    // A folder that is somewhere else is another one.
    app.rpc("files/move_v2", json!({ "from_path": "/a", "to_path": "/c" }))
        .await;
    let stale = app
        .refused("files/list_folder/continue", json!({ "cursor": flat }))
        .await;
    assert_eq!(stale.0, "reset/..");
    app.rpc("files/delete_v2", json!({ "path": "/c" })).await;
    let gone = app
        .refused("files/list_folder/continue", json!({ "cursor": deep }))
        .await;
    assert_eq!(gone.0, "path/not_found/..");
}

async fn poll(world: &World, cursor: &Value, timeout: u64) -> super::Raw {
    let body = json!({ "cursor": cursor, "timeout": timeout }).to_string();
    let request = Request::post("/2/files/list_folder/longpoll").body(Body::from(body));
    world.send(request.unwrap()).await
}

#[tokio::test]
async fn a_long_poll_wakes_for_its_own_folder_alone() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a/1", b"1").await;
    app.put("/b/1", b"1").await;
    let (_, cursor) = listed(&app, json!({ "path": "/a" })).await;
    assert_eq!(
        value(&poll(&world, &cursor, 0).await),
        json!({ "changes": false })
    );
    let waiting = poll(&world, &cursor, 480);
    tokio::pin!(waiting);
    let quiet = async {
        while world.server.waiting_devices() == 0 {
            tokio::task::yield_now().await;
        }
        app.put("/b/2", b"2").await;
    };
    tokio::select! {
        raw = &mut waiting => panic!("it woke for another folder: {raw:?}"),
        () = quiet => {}
    }
    app.put("/a/2", b"2").await;
    let raw = tokio::time::timeout(DEADLINE, waiting).await.unwrap();
    assert_eq!(value(&raw), json!({ "changes": true }));
    assert_eq!(
        value(&poll(&world, &cursor, 480).await),
        json!({ "changes": true }),
        "at once"
    );
}

#[tokio::test]
async fn a_folder_may_be_named_with_two_slashes_in_front() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/a/b", b"x").await;
    let page = app.rpc("files/list_folder", json!({ "path": "//a" })).await;
    assert_eq!(page["entries"][0]["path_display"], "/a/b");
    for path in ["///a", "//", "/a//"] {
        let raw = app.raw("files/list_folder", json!({ "path": path })).await;
        assert!(raw.status.is_client_error(), "{path}");
    }
}

#[tokio::test]
async fn a_long_poll_ends_with_the_device_it_was_made_for() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let (_, cursor) = listed(&app, json!({ "path": "" })).await;
    let waiting = poll(&world, &cursor, 480);
    tokio::pin!(waiting);
    let unlink = async {
        while world.server.waiting_devices() == 0 {
            tokio::task::yield_now().await;
        }
        device.post("/sync/1/logout", &()).await;
    };
    let raw = tokio::time::timeout(DEADLINE, async { futures::join!(&mut waiting, unlink).0 })
        .await
        .unwrap();
    assert_eq!(raw.status, StatusCode::UNAUTHORIZED);
    assert_eq!(poll(&world, &cursor, 480).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_without_news_ends_in_its_time() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let (_, cursor) = listed(&app, json!({ "path": "" })).await;
    let started = tokio::time::Instant::now();
    assert_eq!(
        value(&poll(&world, &cursor, 40).await),
        json!({ "changes": false })
    );
    assert_eq!(started.elapsed().as_secs(), Duration::from_secs(40).as_secs());
}

#[tokio::test]
async fn cursors_of_others_and_nonsense_are_refused() {
    let world = World::new();
    let ada = world.device("ada@example.com").await;
    let eve = world.device("eve@example.com").await;
    let app = App::of(&world, &ada);
    let (_, cursor) = listed(&app, json!({ "path": "" })).await;
    let mut altered = cursor.as_str().unwrap().to_owned();
    altered.replace_range(20..21, if &altered[20..21] == "A" { "B" } else { "A" });
    let eve = App::of(&world, &eve);
    let raw = eve
        .raw("files/list_folder/continue", json!({ "cursor": cursor }))
        .await;
    assert_eq!(raw.status, StatusCode::BAD_REQUEST);
    for wrong in ["", "nonsense", &altered] {
        let raw = app
            .raw("files/list_folder/continue", json!({ "cursor": wrong }))
            .await;
        assert_eq!(raw.status, StatusCode::BAD_REQUEST, "{wrong}");
        let raw = poll(&world, &json!(wrong), 480).await;
        assert_eq!(raw.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
}

#[tokio::test]
async fn what_has_gone_is_listed_where_it_is_wanted() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for path in ["/a/1", "/a/2", "/a/3", "/a/in/4", "/b/5", "/kept"] {
        app.put(path, path.as_bytes()).await;
    }
    for path in ["/a/1", "/a/in/4", "/b"] {
        app.rpc("files/delete_v2", json!({ "path": path })).await;
    }
    let go = json!({ "from_path": "/a/2", "to_path": "/elsewhere" });
    app.rpc("files/move_v2", go).await;
    // Gone and there again, under the same key.
    app.rpc("files/delete_v2", json!({ "path": "/a/3" })).await;
    app.put("/a/3", b"new").await;
    for limit in [1, 2, 3, 100] {
        let below = json!({ "path": "/a", "include_deleted": true, "limit": limit });
        let (mut found, _) = listed(&app, below).await;
        found.sort();
        assert_eq!(found, ["-/a/1", "-/a/2", "/a/3", "/a/in/"], "{limit}");
        let all = json!({ "path": "", "include_deleted": true, "recursive": true, "limit": limit });
        let (mut found, cursor) = listed(&app, all).await;
        found.sort();
        let expected = [
            "-/a/1",
            "-/a/2",
            "-/a/in/4",
            "-/b",
            "/a/",
            "/a/3",
            "/a/in/",
            "/elsewhere",
            "/kept",
        ];
        assert_eq!(found, expected, "{limit}");
        // It goes on with the journal as any other.
        let mut mirror = Mirror::default();
        mirror.catch_up(&app, cursor).await;
        assert!(mirror.paths().is_empty());
    }
    let confined = super::apps::confined(&world, cairn_metadata::Scopes::APP).await;
    confined.put("/x", b"x").await;
    confined.rpc("files/delete_v2", json!({ "path": "/x" })).await;
    let (found, _) = listed(&confined, json!({ "path": "", "include_deleted": true })).await;
    assert!(found.is_empty(), "{found:?}");
}
