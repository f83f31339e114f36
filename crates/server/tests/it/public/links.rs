//! Texts and addresses that stand for something: copy references, and links to send a file to.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::{App, value};
use crate::support::{Raw, World};

async fn reference(app: &App<'_>, path: &str) -> Value {
    let found = app.rpc("files/copy_reference/get", json!({ "path": path })).await;
    assert_eq!(found["expires"], "2026-12-22T00:00:00Z");
    found["copy_reference"].clone()
}

fn save(reference: &Value, path: &str) -> Value {
    json!({ "copy_reference": reference, "path": path })
}

#[tokio::test]
async fn a_reference_is_copied_where_it_is_wanted() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let file = app.put("/docs/a.txt", b"as it was").await;
    let (of_file, of_folder) = (
        reference(&app, "/docs/a.txt").await,
        reference(&app, "/docs").await,
    );
    app.put("/docs/a.txt", b"as it is").await;
    let saved = app
        .rpc("files/copy_reference/save", save(&of_file, "/new/b.txt"))
        .await;
    assert_ne!(saved["metadata"]["id"], file["id"]);
    assert_eq!(saved["metadata"]["content_hash"], file["content_hash"]);
    app.rpc("files/copy_reference/save", save(&of_folder, "/copy"))
        .await;
    assert_eq!(&app.download("/copy/a.txt", &[]).await.body[..], b"as it is");
    // A file's state outlives it, a folder does not.
    app.rpc("files/delete_v2", json!({ "path": "/docs" })).await;
    app.rpc("files/copy_reference/save", save(&of_file, "/again.txt"))
        .await;
    assert_eq!(&app.download("/again.txt", &[]).await.body[..], b"as it was");
    let mut forged = of_file.as_str().unwrap().to_owned();
    forged.replace_range(0..1, "B");
    for (reference, path, summary) in [
        (&of_folder, "/x", "not_found/.."),
        (&of_file, "/again.txt", "path/conflict/file/.."),
        (&of_file, "/a//b", "path/malformed_path/.."),
        (&json!(forged), "/x", "invalid_copy_reference/.."),
        (&json!(""), "/x", "invalid_copy_reference/.."),
    ] {
        let (found, _) = app
            .refused("files/copy_reference/save", save(reference, path))
            .await;
        assert_eq!(found, summary, "{path}");
    }
    let (summary, _) = app
        .refused("files/copy_reference/get", json!({ "path": "/none" }))
        .await;
    assert_eq!(summary, "path/not_found/..");
    // It is of this account, and for a time.
    let other = world.device("bob@example.com").await;
    let other = App::of(&world, &other);
    let (summary, _) = other
        .refused("files/copy_reference/save", save(&of_file, "/x"))
        .await;
    assert_eq!(summary, "invalid_copy_reference/..");
    world.clock.advance(Duration::from_secs(31 * 86_400));
    let (summary, _) = app
        .refused("files/copy_reference/save", save(&of_file, "/x"))
        .await;
    assert_eq!(summary, "invalid_copy_reference/..");
}

#[tokio::test]
async fn an_app_with_a_folder_may_be_handed_a_reference() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    let secret = ada.put("/docs/file", b"handed over").await;
    let handed = reference(&ada, "/docs").await;
    let app = super::apps::confined(&world, Scopes::APP).await;
    app.rpc("files/copy_reference/save", save(&handed, "/mine")).await;
    assert_eq!(app.tree().await, ["/mine/", "/mine/file"]);
    let (summary, _) = app
        .refused("files/copy_reference/get", json!({ "path": secret["id"] }))
        .await;
    assert_eq!(summary, "path/not_found/..");
}

async fn link(app: &App<'_>, commit: Value, duration: f64) -> String {
    let argument = json!({ "commit_info": commit, "duration": duration });
    let request = Request::post("/2/files/get_temporary_upload_link")
        .header("host", "cairn.example")
        .header("authorization", format!("Bearer {}", app.token))
        .header("content-type", "application/json");
    let raw = app
        .world
        .send(request.body(Body::from(argument.to_string())).unwrap())
        .await;
    let link = value(&raw)["link"].as_str().unwrap().to_owned();
    link.strip_prefix("http://cairn.example").unwrap().to_owned()
}

async fn send(world: &World, link: &str, body: impl Into<Body>) -> Raw {
    let request = Request::post(link).header("content-type", "application/octet-stream");
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_link_takes_one_file() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let put = app.put("/file", b"one").await;
    let update = json!({ ".tag": "update", "update": put["rev"] });
    let commit = json!({ "path": "/file", "mode": update, "client_modified": "2020-01-01T00:00:00Z" });
    let address = link(&app, commit, 60.0).await;
    let broken = Err::<bytes::Bytes, _>(std::io::Error::other("cut"));
    let cut = send(
        &world,
        &address,
        Body::from_stream(futures::stream::iter([broken])),
    )
    .await;
    assert!(cut.status.is_client_error(), "{cut:?}");
    // Many send at once: one is taken, the others are told.
    let all = (0..5).map(|number| send(&world, &address, format!("by {number}")));
    let answers = futures::future::join_all(all).await;
    let taken: Vec<usize> = (0..5).filter(|number| answers[*number].status == 200).collect();
    assert_eq!(taken.len(), 1, "{answers:?}");
    let others = answers.iter().filter(|raw| raw.status != 200);
    assert!(others.into_iter().all(|raw| raw.status == 410), "{answers:?}");
    let now = app.rpc("files/get_metadata", json!({ "path": "/file" })).await;
    let answer: Value = serde_json::from_slice(&answers[taken[0]].body).unwrap();
    assert_eq!(answer["content-hash"], now["content_hash"]);
    assert_eq!(now["client_modified"], "2020-01-01T00:00:00Z");
    let found = app.download("/file", &[]).await;
    assert_eq!(found.body, format!("by {}", taken[0]));
    assert_eq!(send(&world, &address, "again").await.status, 410);
}

#[tokio::test]
async fn a_link_is_no_more_than_it_was_made_for() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/taken", b"x").await;
    let taken = link(&app, json!({ "path": "/taken" }), 60.0).await;
    let raw = send(&world, &taken, "other").await;
    assert_eq!(super::refusal(&raw).0, "path/conflict/file/..");
    let late = link(&app, json!({ "path": "/late" }), 60.0).await;
    let open = link(&app, json!({ "path": "/open" }), 3_600.0).await;
    world.clock.advance(Duration::from_secs(61));
    assert_eq!(send(&world, &late, "x").await.status, 410);
    let mut forged = open.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    for nothing in [
        &String::from_utf8(forged).unwrap()[..],
        "/u/",
        "/u/AAAA",
        &open[..open.len() - 8],
    ] {
        assert_eq!(send(&world, nothing, "x").await.status, 404, "{nothing}");
    }
    // With the link of the app that made it, it goes.
    let account = device.link.account;
    for linked in world.metadata.devices(account).await.unwrap() {
        world.metadata.unlink_device(account, linked.id).await.unwrap();
    }
    assert_eq!(send(&world, &open, "x").await.status, 410);
    let again = world.link("ada@example.com").await;
    let again = App::of(&world, &again);
    assert_eq!(again.tree().await, ["/taken"]);
    for argument in [
        json!({ "commit_info": { "path": "/x" }, "duration": 59 }),
        json!({ "commit_info": { "path": "/x" }, "duration": 14_401 }),
        json!({ "commit_info": { "path": "/a//b" } }),
        json!({ "commit_info": { "path": "x" } }),
        json!({ "commit_info": { "path": "/x", "mode": "replace" } }),
    ] {
        let raw = again.raw("files/get_temporary_upload_link", argument).await;
        assert_eq!(raw.status, 400, "{raw:?}");
    }
    let confined = super::apps::confined(&world, Scopes::APP).await;
    let mine = link(&confined, json!({ "path": "/mine" }), 60.0).await;
    assert_eq!(send(&world, &mine, "x").await.status, 200);
    assert_eq!(confined.tree().await, ["/mine"]);
}
