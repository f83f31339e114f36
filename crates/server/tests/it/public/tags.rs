//! `files/tags/*`

use cairn_metadata::Scopes;
use serde_json::{Value, json};

use super::App;
use crate::support::World;

async fn tags(app: &App<'_>, path: &str) -> Vec<String> {
    let told = app.rpc("files/tags/get", json!({ "paths": [path] })).await;
    let [told] = told["paths_to_tags"].as_array().unwrap().as_slice() else {
        panic!("{told}")
    };
    assert_eq!(told["path"], path);
    let tags = told["tags"].as_array().unwrap().iter();
    tags.map(|tag| {
        assert_eq!(tag[".tag"], "user_generated_tag");
        tag["tag_text"].as_str().unwrap().to_owned()
    })
    .collect()
}

fn tag(path: &str, text: &str) -> Value {
    json!({ "path": path, "tag_text": text })
}

#[tokio::test]
async fn tags_stay_with_what_has_them() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let file = app.put("/a/file", b"x").await;
    for (path, text) in [
        ("/a/file", "Wichtig"),
        ("/A/FILE", "\u{c4}rger_2"),
        ("/a", "folder"),
    ] {
        assert_eq!(app.rpc("files/tags/add", tag(path, text)).await, Value::Null);
    }
    app.rpc("files/tags/add", tag("/a/file", "WICHTIG")).await;
    assert_eq!(tags(&app, "/a/file").await, ["wichtig", "\u{e4}rger_2"]);
    let go = json!({ "from_path": "/a", "to_path": "/b" });
    app.rpc("files/move_v2", go).await;
    assert_eq!(tags(&app, "/b").await, ["folder"]);
    app.rpc("files/delete_v2", json!({ "path": "/b/file" })).await;
    let back = json!({ "path": "/b/file", "rev": file["rev"] });
    app.rpc("files/restore", back).await;
    assert_eq!(tags(&app, file["id"].as_str().unwrap()).await.len(), 2);
    app.rpc("files/tags/remove", tag("/b/file", "wichtig")).await;
    assert_eq!(tags(&app, "/b/file").await, ["\u{e4}rger_2"]);

    let (summary, _) = app.refused("files/tags/remove", tag("/b/file", "wichtig")).await;
    assert_eq!(summary, "tag_not_present/..");
    let (summary, _) = app.refused("files/tags/add", tag("/none", "x")).await;
    assert_eq!(summary, "path/not_found/..");
    let (summary, _) = app
        .refused("files/tags/get", json!({ "paths": ["/b", "/none"] }))
        .await;
    assert_eq!(summary, "path/not_found/..");
    for text in ["", "two words", "a-b", &"x".repeat(33)] {
        assert_eq!(
            app.raw("files/tags/add", tag("/b", text)).await.status,
            400,
            "{text}"
        );
    }
    for number in 1..20 {
        app.rpc("files/tags/add", tag("/b", &format!("t{number}"))).await;
    }
    let (summary, _) = app.refused("files/tags/add", tag("/b", "more")).await;
    assert_eq!(summary, "too_many_tags/..");
}

#[tokio::test]
async fn tags_are_their_owners() {
    let world = World::new();
    let ada = world.device("ada@example.com").await;
    let eve = world.device("eve@example.com").await;
    let (ada, eve) = (App::of(&world, &ada), App::of(&world, &eve));
    let file = ada.put("/secret", b"x").await;
    let id = file["id"].as_str().unwrap();
    ada.rpc("files/tags/add", tag(id, "secret")).await;
    let confined = super::apps::confined(&world, Scopes::APP).await;
    for app in [&eve, &confined] {
        let (summary, _) = app.refused("files/tags/get", json!({ "paths": [id] })).await;
        assert_eq!(summary, "path/not_found/..");
        let (summary, _) = app.refused("files/tags/add", tag(id, "x")).await;
        assert_eq!(summary, "path/not_found/..");
    }
}
