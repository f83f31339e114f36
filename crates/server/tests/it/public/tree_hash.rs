//! `cairn/files/tree_hash`.

use cairn_core::ids::TreeHash;
use cairn_core::tree_hash::{Child, FolderHasher};
use serde_json::{Value, json};

use super::{App, label};
use crate::support::{TestFile, World};

async fn hash(app: &App<'_>, argument: Value) -> String {
    let found = app.rpc("cairn/files/tree_hash", argument).await;
    assert_eq!(found[".tag"], "complete");
    found["hash"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn folders_that_hold_the_same_hash_alike() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/one/sub/file", b"content").await;
    app.put("/one/other", b"other").await;
    let copy = json!({ "from_path": "/one", "to_path": "/two" });
    app.rpc("files/copy_v2", copy).await;
    let one = hash(&app, json!({ "path": "/one" })).await;
    assert_eq!(hash(&app, json!({ "path": "/TWO" })).await, one);
    let before = app.rpc("cairn/files/tree_hash", json!({ "path": "" })).await;
    app.put("/two/sub/file", b"changed").await;
    let two = hash(&app, json!({ "path": "/two" })).await;
    assert_ne!(two, one);
    // As it was.
    let at = json!({ ".tag": "position", "position": before["as_of"]["position"] });
    assert_eq!(hash(&app, json!({ "path": "/two", "at": at })).await, one);
    assert_eq!(hash(&app, json!({ "path": "", "at": at })).await, before["hash"]);

    // The children lead to what differs, and make the hash that was told.
    let children = json!({ "path": "/one", "children": true, "limit": 1 });
    let first = app.rpc("cairn/files/tree_hash", children).await;
    assert_eq!(
        (&first[".tag"], &first["has_more"]),
        (&json!("children"), &json!(true))
    );
    let rest = json!({ "path": "/one", "children": true, "after": first["children"][0]["name"] });
    let rest = app.rpc("cairn/files/tree_hash", rest).await;
    assert_eq!(rest["has_more"], json!(false));
    let file = TestFile::new(b"other").content;
    let sub = hash(&app, json!({ "path": "/one/sub" })).await;
    assert_eq!(first["children"][0]["file_id"], file.file_id.to_string());
    assert_eq!(rest["children"][0]["hash"], sub);
    let mut hasher = FolderHasher::new();
    let name = |text: &str| cairn_core::name::NodeName::new(text).unwrap();
    let child = Child::File {
        file_id: file.file_id,
        size: 5,
        executable: false,
    };
    hasher.add(&name("other"), &child).unwrap();
    let bytes = (0..32).map(|index| u8::from_str_radix(&sub[2 * index..2 * index + 2], 16).unwrap());
    let bytes: Vec<u8> = bytes.collect();
    let sub = Child::Folder {
        hash: TreeHash::new(bytes.try_into().unwrap()),
    };
    hasher.add(&name("sub"), &sub).unwrap();
    assert_eq!(hasher.finish().to_string(), one);
}

#[tokio::test]
async fn only_folders_have_one() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let secret = app.put("/secret/file", b"x").await;
    let folder = app.rpc("files/get_metadata", json!({ "path": "/secret" })).await;
    for (path, summary) in [
        ("/none", "path/not_found/.."),
        ("/secret/file", "path/not_folder/.."),
        (secret["id"].as_str().unwrap(), "path/not_folder/.."),
        ("/a//b", "path/malformed_path/.."),
    ] {
        let (found, _) = app
            .refused("cairn/files/tree_hash", json!({ "path": path }))
            .await;
        assert_eq!(found, summary, "{path}");
    }
    let wrong = json!({ "path": "", "children": true, "after": "a/b" });
    assert_eq!(app.raw("cairn/files/tree_hash", wrong).await.status, 400);
    let confined = super::apps::confined(&world, cairn_metadata::Scopes::APP).await;
    assert_eq!(label(&confined.put("/note", b"x").await), "/note");
    let of_home = hash(&confined, json!({ "path": "" })).await;
    assert_eq!(of_home, hash(&app, json!({ "path": "/Apps/Notes" })).await);
    let argument = json!({ "path": folder["id"] });
    let (summary, _) = confined.refused("cairn/files/tree_hash", argument).await;
    assert_eq!(summary, "path/not_found/..");
}
