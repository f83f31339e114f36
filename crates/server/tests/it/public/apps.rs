//! Apps that may look into one folder alone.

use cairn_core::ids::DeviceId;
use cairn_core::time::Timestamp;
use cairn_metadata::{AccessToken, App as Registered, AppKey, Device, LinkKind, Scope, Scopes, TokenHash};
use ring::digest;
use serde_json::{Value, json};

use super::App;
use crate::support::{OsEntropy, World};

/// An app of ada's that is confined to `/Apps/Notes`.
pub(super) async fn confined(world: &World, scopes: Scopes) -> App<'_> {
    confined_since(world, scopes, Timestamp::from_millis(0)).await
}

/// One that was linked then.
pub(super) async fn confined_since(world: &World, scopes: Scopes, created_at: Timestamp) -> App<'_> {
    let email = cairn_metadata::Email::new("ada@example.com").unwrap();
    let account = world.metadata.account_by_email(&email).await.unwrap().unwrap();
    let key = AppKey::new("notes").unwrap();
    let registered = Registered {
        key: key.clone(),
        name: "Notes".to_owned(),
        secret: TokenHash([0; 32]),
        redirect_uris: Vec::new(),
        folder: Some("Notes".to_owned()),
        created_at: Timestamp::from_millis(0),
    };
    world.metadata.put_app(&registered).await.unwrap();
    let token = format!("cairn_{}", "ab".repeat(32));
    let hash = digest::digest(&digest::SHA256, token.as_bytes());
    let access = AccessToken {
        hash: TokenHash(hash.as_ref().try_into().unwrap()),
        scopes,
        expires_at: None,
    };
    let link = Device {
        account: account.id,
        id: DeviceId::random(&OsEntropy),
        name: "Notes".to_owned(),
        created_at,
        last_seen_at: created_at,
        kind: LinkKind::App,
        app: Some(key),
        wipe: None,
    };
    world.metadata.link_device(&link, &access, None).await.unwrap();
    App { world, token }
}

#[tokio::test]
async fn a_confined_app_sees_its_folder_as_the_root_and_nothing_else() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    let secret = ada.put("/secret.txt", b"secret").await;
    let app = confined(&world, Scopes::APP).await;
    assert!(app.tree().await.is_empty());
    let note = app.put("/a/note.txt", b"note").await;
    assert_eq!(note["path_display"], "/a/note.txt");
    assert_eq!(app.tree().await, ["/a/", "/a/note.txt"]);
    let expected = [
        "/Apps/",
        "/Apps/Notes/",
        "/Apps/Notes/a/",
        "/Apps/Notes/a/note.txt",
        "/secret.txt",
    ];
    assert_eq!(ada.tree().await, expected);

    let apps = ada.rpc("files/get_metadata", json!({ "path": "/Apps" })).await;
    let root = device.root.get();
    for path in [
        "/secret.txt".to_owned(),
        "/Apps/Notes/a/note.txt".to_owned(),
        secret["id"].as_str().unwrap().to_owned(),
        format!("rev:{}", secret["rev"].as_str().unwrap()),
        format!("ns:{root}/secret.txt"),
        apps["id"].as_str().unwrap().to_owned(),
        format!("{}/Notes", apps["id"].as_str().unwrap()),
    ] {
        let (summary, _) = app.refused("files/get_metadata", json!({ "path": path })).await;
        assert_eq!(summary, "path/not_found/..", "{path}");
        let raw = app.download(&path, &[]).await;
        assert_eq!(raw.status, 409, "{path}");
    }
    let take = json!({ "from_path": secret["id"], "to_path": "/mine.txt" });
    assert_eq!(
        app.refused("files/copy_v2", take).await.0,
        "from_lookup/not_found/.."
    );
    let into = format!("{}/planted.txt", apps["id"].as_str().unwrap());
    let raw = app.upload_raw("files/upload", json!({ "path": into }), "x").await;
    assert_eq!(raw.status, 409);
    let restore = json!({ "path": "/mine.txt", "rev": secret["rev"] });
    assert_eq!(
        app.refused("files/restore", restore).await.0,
        "invalid_revision/.."
    );
    // Nor by a cursor that another one gave it.
    let all = ada
        .rpc(
            "files/list_folder",
            json!({ "path": "", "recursive": true, "limit": 1 }),
        )
        .await;
    let raw = app
        .raw("files/list_folder/continue", json!({ "cursor": all["cursor"] }))
        .await;
    assert_eq!(raw.status, 400);
}

#[tokio::test]
async fn a_confined_app_follows_its_folder() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let ada = App::of(&world, &device);
    let app = confined(&world, Scopes::APP).await;
    let latest = json!({ "path": "", "recursive": true });
    let cursor = app.rpc("files/list_folder/get_latest_cursor", latest).await["cursor"].clone();
    ada.put("/secret.txt", b"secret").await;
    ada.put("/Apps/Notes/in/note.txt", b"note").await;
    ada.put("/out/file.txt", b"file").await;
    let move_in = json!({ "from_path": "/out", "to_path": "/Apps/Notes/out" });
    ada.rpc("files/move_v2", move_in).await;
    let mut labels = Vec::new();
    let mut page = json!({ "cursor": cursor, "has_more": true });
    while page["has_more"] == json!(true) {
        page = app
            .rpc("files/list_folder/continue", json!({ "cursor": page["cursor"] }))
            .await;
        labels.extend(page["entries"].as_array().unwrap().iter().map(super::label));
    }
    labels.sort();
    assert_eq!(labels, ["/in/", "/in/note.txt", "/out/", "/out/file.txt"]);
}

#[tokio::test]
async fn a_call_beyond_the_scopes_of_a_token_is_refused_and_the_scope_is_named() {
    let world = World::new();
    world.device("ada@example.com").await;
    let app = confined(&world, Scopes::NONE.with(Scope::FilesMetadataRead)).await;
    assert!(app.tree().await.is_empty());
    for (raw, scope) in [
        (
            app.raw("users/get_space_usage", Value::Null).await,
            "account_info.read",
        ),
        (
            app.upload_raw("files/upload", json!({ "path": "/a" }), "x").await,
            "files.content.write",
        ),
        (app.download("/a", &[]).await, "files.content.read"),
    ] {
        assert_eq!(raw.status, 401);
        let body: Value = serde_json::from_slice(&raw.body).unwrap();
        assert_eq!(
            body["error"],
            json!({ ".tag": "missing_scope", "required_scope": scope })
        );
    }
}
