//! What every call shares: tokens, arguments, path roots, the shapes of errors.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{App, value};
use crate::support::{Raw, World};
use cairn_server::{LoginLimits, ServerConfig};

fn error(raw: &Raw) -> Value {
    assert_eq!(raw.headers["content-type"], "application/json");
    serde_json::from_slice(&raw.body).unwrap()
}

fn text(raw: &Raw) -> String {
    assert!(
        raw.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    String::from_utf8(raw.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_token_is_needed_and_the_answer_says_so_as_clients_read_it() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let mut app = App::of(&world, &device);
    let raw = app.raw("users/get_current_account", Value::Null).await;
    assert!(raw.headers.contains_key("x-dropbox-request-id"));
    assert_eq!(value(&raw)["account_id"].as_str().unwrap().len(), 40);
    app.token = format!("cairn_{}", "0".repeat(64));
    let raw = app.raw("users/get_current_account", Value::Null).await;
    assert_eq!(raw.status, StatusCode::UNAUTHORIZED);
    let expected = json!({
        "error_summary": "invalid_access_token/..",
        "error": { ".tag": "invalid_access_token" },
    });
    assert_eq!(error(&raw), expected);
    assert!(raw.headers.contains_key("x-dropbox-request-id"));
}

#[tokio::test]
async fn an_expired_token_and_a_locked_account_have_their_own_tags() {
    let world = World::with(ServerConfig {
        token_lifetime: Some(std::time::Duration::from_secs(60)),
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    cairn_server::service::accounts::set_disabled(world.metadata.as_ref(), "ada@example.com", true)
        .await
        .unwrap();
    let raw = app.raw("users/get_space_usage", Value::Null).await;
    assert_eq!(error(&raw)["error"][".tag"], "user_suspended");
    cairn_server::service::accounts::set_disabled(world.metadata.as_ref(), "ada@example.com", false)
        .await
        .unwrap();
    world.server.forget_sessions();
    world.clock.advance(std::time::Duration::from_secs(61));
    let raw = app.raw("users/get_space_usage", Value::Null).await;
    assert_eq!(raw.status, StatusCode::UNAUTHORIZED);
    assert_eq!(error(&raw)["error"][".tag"], "expired_access_token");
}

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_again() {
    let world = World::with(ServerConfig {
        device_requests_per_second: 1,
        login: LoginLimits::default(),
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    let mut last = app.raw("users/get_space_usage", Value::Null).await;
    for _ in 0..20 {
        last = app.raw("users/get_space_usage", Value::Null).await;
    }
    assert_eq!(last.status, StatusCode::TOO_MANY_REQUESTS);
    let error = error(&last);
    assert_eq!(error["error"]["reason"][".tag"], "too_many_requests");
    assert_eq!(
        last.headers["retry-after"].to_str().unwrap().parse::<u64>().ok(),
        error["error"]["retry_after"].as_u64()
    );
}

#[tokio::test]
async fn the_apps_of_an_account_share_its_calls() {
    let world = World::with(ServerConfig {
        account_calls_per_second: 1,
        ..ServerConfig::default()
    });
    let (ada, bob) = (
        world.device("ada@example.com").await,
        world.device("bob@example.com").await,
    );
    let tablet = world.link("ada@example.com").await;
    let (one, other) = (App::of(&world, &ada), App::of(&world, &tablet));
    let cursor = one
        .rpc("files/list_folder/get_latest_cursor", json!({ "path": "" }))
        .await["cursor"]
        .clone();
    for _ in 0..9 {
        one.rpc("users/get_space_usage", Value::Null).await;
    }
    for raw in [
        other.raw("users/get_space_usage", Value::Null).await,
        other
            .raw(
                "files/list_folder/longpoll",
                json!({ "cursor": cursor, "timeout": 0 }),
            )
            .await,
    ] {
        assert_eq!(raw.status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(error(&raw)["error_summary"], "too_many_requests/..");
        assert_eq!(raw.headers["retry-after"], "1");
    }
    // Neither other accounts nor the devices' own protocol are held up.
    App::of(&world, &bob)
        .rpc("users/get_space_usage", Value::Null)
        .await;
    assert_eq!(ada.get("/sync/1/whoami").await.status, StatusCode::OK);
}

#[tokio::test]
async fn void_arguments_come_in_three_forms() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    for body in ["null", "", " "] {
        let request = Request::post("/2/users/get_space_usage")
            .header("authorization", format!("Bearer {}", device.token))
            .body(Body::from(body))
            .unwrap();
        assert_eq!(world.send(request).await.status, StatusCode::OK, "{body:?}");
    }
}

#[tokio::test]
async fn arguments_come_as_raw_utf8_or_in_the_address_too() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    app.put("/é", b"hello").await;
    let authorization = format!("Bearer {}", device.token);
    let raw_header = axum::http::HeaderValue::from_bytes("{\"path\":\"/é\"}".as_bytes()).unwrap();
    let request = Request::post("/2/files/download")
        .header("authorization", &authorization)
        .header("dropbox-api-arg", raw_header)
        .body(Body::empty())
        .unwrap();
    assert_eq!(&world.send(request).await.body[..], b"hello");
    let request = Request::get("/2/files/download?arg=%7B%22path%22%3A%22%2F%C3%A9%22%7D")
        .header("authorization", &authorization)
        .body(Body::empty())
        .unwrap();
    let raw = world.send(request).await;
    assert_eq!(&raw.body[..], b"hello");
    assert!(
        raw.headers["dropbox-api-result"]
            .to_str()
            .unwrap()
            .contains("\\u00e9")
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_named_in_text() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for (route, argument, named) in [
        ("files/nonsense", json!({}), "Unknown API function"),
        ("sharing/share_folder", json!({}), "no links and folders yet"),
        ("files/get_metadata", json!({}), "path"),
        ("files/get_metadata", json!({ "path": 7 }), "string"),
        (
            "files/get_metadata",
            json!({ "path": "no slash" }),
            "did not match pattern",
        ),
        ("files/list_folder", json!({ "path": "/" }), "root folder"),
        ("files/list_folder", json!({ "path": "", "limit": 0 }), "limit"),
        (
            "files/list_revisions",
            json!({ "path": "/a", "limit": 101 }),
            "limit",
        ),
        (
            "files/delete_v2",
            json!({ "path": "/a", "parent_rev": "x" }),
            "rev",
        ),
    ] {
        let raw = app.raw(route, argument).await;
        assert_eq!(raw.status, StatusCode::BAD_REQUEST, "{route}");
        let text = text(&raw);
        assert!(text.contains(named), "{route}: {text}");
    }
    for (argument, named) in [
        (json!({ "path": "/a", "mode": "append" }), "write mode"),
        (
            json!({ "path": "/a", "client_modified": "yesterday" }),
            "client_modified",
        ),
        (
            json!({ "path": "/a", "mode": { ".tag": "update", "update": "x" } }),
            "rev",
        ),
    ] {
        let raw = app.upload_raw("files/upload", argument, "x").await;
        assert_eq!(raw.status, StatusCode::BAD_REQUEST);
        let text = text(&raw);
        assert!(text.contains(named), "{text}");
    }
    assert!(app.tree().await.is_empty());
}

#[tokio::test]
async fn only_the_own_root_is_a_path_root() {
    let world = World::new();
    let device = world.device("ada@example.com").await;
    let root = device.root.get().to_string();
    let ask = async |header: Value| {
        let request = Request::post("/2/files/list_folder")
            .header("authorization", format!("Bearer {}", device.token))
            .header("dropbox-api-path-root", header.to_string())
            .body(Body::from(json!({ "path": "" }).to_string()))
            .unwrap();
        world.send(request).await
    };
    for right in [
        json!({ ".tag": "home" }),
        json!({ ".tag": "root", "root": root }),
        json!({ ".tag": "namespace_id", "namespace_id": root }),
    ] {
        assert_eq!(ask(right).await.status, StatusCode::OK);
    }
    let raw = ask(json!({ ".tag": "root", "root": "1" })).await;
    assert_eq!(raw.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        error(&raw)["error"]["invalid_root"]["root_namespace_id"],
        root.as_str()
    );
    let raw = ask(json!({ ".tag": "namespace_id", "namespace_id": "1" })).await;
    assert_eq!(error(&raw)["error"][".tag"], "no_permission");
}

#[tokio::test]
async fn pages_of_other_origins_may_call_with_a_token() {
    let world = World::new();
    let request = Request::options("/2/files/upload")
        .header("origin", "https://app.example")
        .header("access-control-request-headers", "authorization,dropbox-api-arg")
        .body(Body::empty())
        .unwrap();
    let raw = world.send(request).await;
    assert_eq!(raw.status, StatusCode::NO_CONTENT);
    assert_eq!(raw.headers["access-control-allow-origin"], "*");
    assert!(
        raw.headers["access-control-allow-headers"]
            .to_str()
            .unwrap()
            .contains("dropbox-api-arg")
    );
    assert!(!raw.headers.contains_key("access-control-allow-credentials"));
    let device = world.device("ada@example.com").await;
    let app = App::of(&world, &device);
    for raw in [
        app.raw("users/get_space_usage", Value::Null).await,
        app.raw("sharing/list_folders", Value::Null).await,
    ] {
        assert!(
            raw.headers["access-control-expose-headers"]
                .to_str()
                .unwrap()
                .contains("Dropbox-API-Result")
        );
    }
    // The devices' protocol is for devices.
    let raw = device.get("/sync/1/whoami").await;
    assert!(!raw.headers.contains_key("access-control-allow-origin"));
}
