use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{Devices, Hello, LoginReply, Whoami, path};
use cairn_server::service::accounts;
use cairn_server::{LoginLimits, ServerConfig};

use crate::support::{World, assert_refused, login, request};

#[tokio::test]
async fn a_server_says_what_it_is() {
    let world = World::new();
    let hello: Hello = world
        .send(request("GET", path::HELLO, None, Body::empty()))
        .await
        .ok();
    assert_eq!((hello.product.as_str(), hello.protocol), ("cairn", 1));
}

#[tokio::test]
async fn a_linked_device_is_known() {
    let world = World::new();
    let device = world.device("Ada@Example.org").await;
    let whoami: Whoami = device.get(path::WHOAMI).await.ok();
    assert_eq!(whoami.email, "ada@example.org");
    assert_eq!(
        (whoami.account, whoami.root, whoami.bytes_used),
        (device.link.account, device.root, 0)
    );
    let devices: Devices = device.get(path::DEVICES).await.ok();
    assert_eq!(devices.devices.len(), 1);
    assert_eq!(
        (devices.devices[0].id, devices.devices[0].name.as_str()),
        (whoami.device, "a laptop")
    );
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_look_the_same() {
    let world = World::new();
    world.account("ada@example.org").await;
    let mut answers = Vec::new();
    for (email, password) in [
        ("ada@example.org", "wrong horse"),
        ("eve@example.org", "correct horse"),
        ("no", "x"),
    ] {
        let raw = world.post(path::LOGIN, None, &login(email, password)).await;
        let error = assert_refused(&raw, ErrorCode::WrongCredentials);
        answers.push((error.message, error.retry_after_ms, raw.headers.len()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
}

#[tokio::test]
async fn requests_without_a_good_token_are_refused() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    for token in [
        None,
        Some("cairn_"),
        Some("x"),
        Some(&device.token[..20]),
        Some(&device.token.to_uppercase()[..]),
    ] {
        let raw = world
            .send(request("GET", path::WHOAMI, token, Body::empty()))
            .await;
        assert_refused(&raw, ErrorCode::NotAuthenticated);
        assert_eq!(raw.headers["www-authenticate"], "Bearer");
    }
    let mut basic = request("GET", path::WHOAMI, None, Body::empty());
    let value = format!("Basic {}", device.token);
    basic
        .headers_mut()
        .insert("authorization", value.parse().unwrap());
    assert_refused(&world.send(basic).await, ErrorCode::NotAuthenticated);
}

#[tokio::test]
async fn every_route_but_hello_and_login_wants_a_token() {
    let world = World::new();
    for (method, route) in [
        ("POST", path::LOGOUT),
        ("GET", path::WHOAMI),
        ("GET", path::DEVICES),
        ("POST", path::UNLINK),
        ("POST", path::TOKENS),
        ("POST", path::HAVE),
        ("POST", path::CHUNKS),
        ("POST", path::COMMIT),
        ("POST", path::CHANGES),
        ("POST", path::NODES),
        ("POST", path::CHILDREN),
        ("POST", path::RESOLVE),
        ("POST", path::REVS),
        ("POST", path::FETCH),
        ("POST", path::CURSOR),
        ("GET", path::EVENTS),
    ] {
        let raw = world.send(request(method, route, None, Body::empty())).await;
        assert_eq!(
            assert_refused(&raw, ErrorCode::NotAuthenticated).code.status(),
            401,
            "{route}"
        );
    }
}

#[tokio::test]
async fn a_logged_out_device_is_refused_at_once() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    device.get(path::WHOAMI).await.ok::<Whoami>();
    let raw = device.bytes(path::LOGOUT, bytes::Bytes::new()).await;
    assert_eq!(raw.status, StatusCode::NO_CONTENT);
    assert_refused(&device.get(path::WHOAMI).await, ErrorCode::NotAuthenticated);
    other.get(path::WHOAMI).await.ok::<Whoami>();
}

#[tokio::test]
async fn a_token_expires() {
    let lifetime = Duration::from_secs(3_600);
    let world = World::with(ServerConfig {
        token_lifetime: Some(lifetime),
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.org").await;
    world.clock.advance(lifetime - Duration::from_millis(1));
    device.get(path::WHOAMI).await.ok::<Whoami>();
    world.clock.advance(Duration::from_millis(1));
    assert_refused(&device.get(path::WHOAMI).await, ErrorCode::TokenExpired);
}

#[tokio::test]
async fn linking_a_device_again_voids_its_old_token() {
    let world = World::new();
    world.account("ada@example.org").await;
    let login = login("ada@example.org", crate::support::PASSWORD);
    let first: LoginReply = world.post(path::LOGIN, None, &login).await.ok();
    let whoami = |token: String| world.send(request("GET", path::WHOAMI, Some(&token), Body::empty()));
    whoami(first.token.clone()).await.ok::<Whoami>();
    let second: LoginReply = world.post(path::LOGIN, None, &login).await.ok();
    assert_refused(&whoami(first.token).await, ErrorCode::NotAuthenticated);
    whoami(second.token).await.ok::<Whoami>();
}

#[tokio::test]
async fn a_disabled_account_is_locked_out_and_let_in_again() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    device.get(path::WHOAMI).await.ok::<Whoami>();
    let metadata = world.metadata.as_ref();
    accounts::set_disabled(metadata, "ada@example.org", true)
        .await
        .unwrap();
    world.server.forget_sessions();
    assert_refused(&device.get(path::WHOAMI).await, ErrorCode::Forbidden);
    let raw = world
        .post(
            path::LOGIN,
            None,
            &login("ada@example.org", crate::support::PASSWORD),
        )
        .await;
    assert_refused(&raw, ErrorCode::Forbidden);
    let raw = world
        .post(path::LOGIN, None, &login("ada@example.org", "wrong horse"))
        .await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    accounts::set_disabled(metadata, "ada@example.org", false)
        .await
        .unwrap();
    world.server.forget_sessions();
    device.get(path::WHOAMI).await.ok::<Whoami>();
}

#[tokio::test]
async fn a_new_password_counts_and_the_old_one_does_not() {
    let world = World::new();
    world.account("ada@example.org").await;
    let set = accounts::set_password(
        world.metadata.as_ref(),
        &world.runtime,
        "ada@example.org",
        "battery staple".into(),
    );
    set.await.unwrap();
    let raw = world
        .post(
            path::LOGIN,
            None,
            &login("ada@example.org", crate::support::PASSWORD),
        )
        .await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    world
        .post(path::LOGIN, None, &login("ada@example.org", "battery staple"))
        .await
        .ok::<LoginReply>();
    let short = accounts::set_password(
        world.metadata.as_ref(),
        &world.runtime,
        "ada@example.org",
        "short".into(),
    );
    assert!(short.await.is_err());
}

#[tokio::test]
async fn password_guessing_is_slowed_down() {
    let limits = LoginLimits {
        account_burst: 3,
        account_interval: Duration::from_secs(3_600),
        ..LoginLimits::default()
    };
    let world = World::with(ServerConfig {
        login: limits,
        ..ServerConfig::default()
    });
    world.account("ada@example.org").await;
    world.account("bob@example.org").await;
    for _ in 0..3 {
        let raw = world
            .post(path::LOGIN, None, &login("ada@example.org", "wrong horse"))
            .await;
        assert_refused(&raw, ErrorCode::WrongCredentials);
    }
    let raw = world
        .post(
            path::LOGIN,
            None,
            &login("ada@example.org", crate::support::PASSWORD),
        )
        .await;
    let error = assert_refused(&raw, ErrorCode::RateLimited);
    assert!(error.retry_after_ms.unwrap() > 0 && raw.headers.contains_key("retry-after"));
    world.link("bob@example.org").await;
}

#[tokio::test]
async fn logins_from_one_address_are_slowed_down() {
    let limits = LoginLimits {
        address_burst: 2,
        address_interval: Duration::from_secs(3_600),
        ..LoginLimits::default()
    };
    let world = World::with(ServerConfig {
        login: limits,
        ..ServerConfig::default()
    });
    for email in ["a@example.org", "b@example.org"] {
        assert_refused(
            &world.post(path::LOGIN, None, &login(email, "wrong horse")).await,
            ErrorCode::WrongCredentials,
        );
    }
    let raw = world
        .post(path::LOGIN, None, &login("c@example.org", "wrong horse"))
        .await;
    assert_refused(&raw, ErrorCode::RateLimited);
}

#[tokio::test]
async fn a_device_has_a_printable_name() {
    let world = World::new();
    world.account("ada@example.org").await;
    for name in ["", "   ", "two\nlines", &"x".repeat(65)] {
        let mut login = login("ada@example.org", crate::support::PASSWORD);
        login.device_name = name.to_owned();
        assert_refused(
            &world.post(path::LOGIN, None, &login).await,
            ErrorCode::BadRequest,
        );
    }
}

#[tokio::test]
async fn a_device_that_asks_too_often_is_slowed_down() {
    let world = World::with(ServerConfig {
        device_requests_per_second: 1,
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.org").await;
    for _ in 0..10 {
        device.get(path::WHOAMI).await.ok::<Whoami>();
    }
    let error = assert_refused(&device.get(path::WHOAMI).await, ErrorCode::RateLimited);
    assert!(error.retry_after_ms.is_some());
}

#[tokio::test]
async fn wrong_addresses_and_methods_are_told_apart() {
    let world = World::new();
    let get = |path: &'static str| world.send(request("GET", path, None, Body::empty()));
    assert_refused(&get("/nothing").await, ErrorCode::NotFound);
    assert_refused(&get("/sync/1/nothing").await, ErrorCode::NotFound);
    assert_refused(&get("/sync/2/hello").await, ErrorCode::UnsupportedVersion);
    assert_refused(&get(path::LOGIN).await, ErrorCode::BadRequest);
    assert_eq!(get("/").await.status, StatusCode::OK);
    assert_eq!(get("/healthz").await.body, "ok\n");
    assert_eq!(get("/readyz").await.body, "ready\n");
}

#[tokio::test]
async fn a_message_that_is_none_is_refused() {
    let world = World::new();
    let raw = world.send(request("POST", path::LOGIN, None, "{}")).await;
    assert_refused(&raw, ErrorCode::BadRequest);
    let raw = world
        .send(request("POST", path::LOGIN, None, vec![0; 5_000]))
        .await;
    assert_refused(&raw, ErrorCode::TooLarge);
}
