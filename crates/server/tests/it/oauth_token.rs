//! What apps trade, and what they get.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{Whoami, path};
use cairn_server::service::accounts::apps::{NewApp, register_app, remove_app};
use cairn_server::service::accounts::set_disabled;

use crate::browser::{AUTHORIZE, Browser, MAESTRAL, TOKEN, VERIFIER, encoded, pkce};
use crate::support::{World, request};

const ADA: &str = "ada@example.org";
const OFFLINE: (&str, &str) = ("token_access_type", "offline");
const PROVEN: [(&str, &str); 1] = [("code_verifier", VERIFIER)];

async fn world() -> World {
    let world = World::new();
    world.account(ADA).await;
    world
}

/// How the server takes a token: one that an app has lacks the devices' scope.
async fn taken(world: &World, token: &str) -> ErrorCode {
    let raw = world
        .send(request("GET", path::WHOAMI, Some(token), Body::empty()))
        .await;
    raw.error().code
}

#[tokio::test]
async fn a_link_has_what_the_sdks_want() {
    let world = world().await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    assert_eq!(linked.get("token_type"), "bearer");
    assert_eq!(linked.json["expires_in"], 14_400);
    assert_eq!(
        (linked.get("account_id").len(), &linked.get("account_id")[..5]),
        (40, "dbid:")
    );
    assert!(linked.get("uid").bytes().all(|byte| byte.is_ascii_digit()));
    assert!(linked.get("scope").contains("files.content.write"));
    assert!(linked.get("refresh_token").starts_with("cairn_"));
    let online = world.link_app(ADA, &[]).await;
    assert!(online.json.get("refresh_token").is_none());
}

#[tokio::test]
async fn an_apps_token_is_not_a_devices() {
    let world = world().await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    assert_eq!(
        taken(&world, linked.get("access_token")).await,
        ErrorCode::Forbidden
    );
    // What renews a token is none itself.
    assert_eq!(
        taken(&world, linked.get("refresh_token")).await,
        ErrorCode::NotAuthenticated
    );
}

#[tokio::test]
async fn a_code_is_good_once_and_for_ten_minutes() {
    let world = world().await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[]);
    let code = browser.allow(&uri, ADA).await;
    assert_eq!(world.redeem(MAESTRAL, &code, &PROVEN).await.raw.status, 200);
    world
        .redeem(MAESTRAL, &code, &PROVEN)
        .await
        .refused(400, "invalid_grant");

    let code = browser.allow(&uri, ADA).await;
    world.clock.advance(Duration::from_secs(600));
    world
        .redeem(MAESTRAL, &code, &PROVEN)
        .await
        .refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_that_is_traded_twice_ends_its_link() {
    let world = world().await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[OFFLINE]);
    let other = world.link_app(ADA, &[]).await;
    let code = browser.allow(&uri, ADA).await;
    let linked = world.redeem(MAESTRAL, &code, &PROVEN).await;
    let access = linked.get("access_token");
    assert_eq!(taken(&world, access).await, ErrorCode::Forbidden);
    for _ in 0..2 {
        let again = world.redeem(MAESTRAL, &code, &PROVEN).await;
        again.refused(400, "invalid_grant");
    }
    assert_eq!(taken(&world, access).await, ErrorCode::NotAuthenticated);
    let renewed = world.refresh(MAESTRAL, linked.get("refresh_token"), &[]).await;
    renewed.refused(400, "invalid_grant");
    let kept = other.get("access_token");
    assert_eq!(taken(&world, kept).await, ErrorCode::Forbidden);
}

#[tokio::test]
async fn a_code_is_for_who_asked() {
    let world = world().await;
    let browser = Browser::new(&world);
    let back = ("redirect_uri", "http://localhost:1/");
    let other = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXX";
    let cases: [(&str, &[(&str, &str)]); 6] = [
        ("some-app", &[back]),
        ("some-app", &[back, ("code_verifier", other)]),
        ("some-app", &[back, ("code_verifier", "short")]),
        ("some-app", &[("code_verifier", VERIFIER)]),
        (
            "some-app",
            &[
                ("redirect_uri", "http://localhost:2/"),
                ("code_verifier", VERIFIER),
            ],
        ),
        (MAESTRAL, &[back, ("code_verifier", VERIFIER)]),
    ];
    for (client, fields) in cases {
        let code = browser.allow(&pkce("some-app", &[back]), ADA).await;
        world
            .redeem(client, &code, fields)
            .await
            .refused(400, "invalid_grant");
        // Who had half of it gets no second try.
        let right = [back, ("code_verifier", VERIFIER)];
        world
            .redeem("some-app", &code, &right)
            .await
            .refused(400, "invalid_grant");
    }
    let code = browser.allow(&pkce("some-app", &[back]), ADA).await;
    let linked = world
        .redeem("some-app", &code, &[back, ("code_verifier", VERIFIER)])
        .await;
    assert_eq!(linked.raw.status, 200);
}

#[tokio::test]
async fn a_registered_app_proves_itself_by_its_secret() {
    let world = world().await;
    let back = "https://backup.example/done";
    let new = NewApp {
        name: "Backup".to_owned(),
        redirect_uris: vec![back.to_owned()],
        folder: None,
    };
    let (app, secret) = register_app(world.metadata.as_ref(), &world.runtime, new)
        .await
        .unwrap();
    let key = app.key.as_str();
    let ask = encoded(&[
        ("response_type", "code"),
        ("client_id", key),
        ("redirect_uri", back),
        OFFLINE,
    ]);
    let uri = format!("{AUTHORIZE}?{ask}");
    let browser = Browser::new(&world);
    let code = browser.allow(&uri, ADA).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", back),
    ];
    // The code is not spent by somebody who is not the app.
    world
        .token_by_basic((key, "wrong"), &fields)
        .await
        .refused(401, "invalid_client");
    world
        .redeem(key, &code, &[("redirect_uri", back), ("client_secret", "wrong")])
        .await
        .refused(400, "invalid_client");
    let linked = world.token_by_basic((key, &secret), &fields).await;
    assert_eq!(linked.raw.status, 200, "{}", linked.json);
    let token = linked.get("refresh_token");
    world
        .refresh(key, token, &[])
        .await
        .refused(400, "invalid_client");
    let renewed = world.refresh(key, token, &[("client_secret", &secret)]).await;
    assert_eq!(renewed.raw.status, 200);

    let code = browser.allow(&uri, ADA).await;
    let bare = [("redirect_uri", back)];
    world
        .redeem(key, &code, &bare)
        .await
        .refused(400, "invalid_client");
    let code = browser.allow(&uri, ADA).await;
    let injected = [
        ("redirect_uri", back),
        ("client_secret", &*secret),
        ("code_verifier", VERIFIER),
    ];
    world
        .redeem(key, &code, &injected)
        .await
        .refused(400, "invalid_grant");

    remove_app(world.metadata.as_ref(), key).await.unwrap();
    world.server.forget_sessions();
    let renewed = world.refresh(key, token, &[("client_secret", &secret)]).await;
    renewed.refused(400, "invalid_grant");
    assert_eq!(
        taken(&world, linked.get("access_token")).await,
        ErrorCode::NotAuthenticated
    );
}

#[tokio::test]
async fn a_refreshed_token_does_not_void_the_one_before() {
    let world = world().await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    let refresh_token = linked.get("refresh_token");
    world.clock.advance(Duration::from_secs(3_600));
    let second = world.refresh(MAESTRAL, refresh_token, &[]).await;
    assert_eq!(second.raw.status, 200, "{}", second.json);
    assert!(second.json.get("refresh_token").is_none());
    for token in [linked.get("access_token"), second.get("access_token")] {
        assert_eq!(taken(&world, token).await, ErrorCode::Forbidden);
    }
    world.clock.advance(Duration::from_secs(3 * 3_600));
    assert_eq!(
        taken(&world, linked.get("access_token")).await,
        ErrorCode::TokenExpired
    );
    assert_eq!(
        taken(&world, second.get("access_token")).await,
        ErrorCode::Forbidden
    );
}

#[tokio::test]
async fn what_renews_a_token_stays_the_same_for_ever() {
    let world = world().await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(10 * 365 * 86_400));
        let renewed = world.refresh(MAESTRAL, linked.get("refresh_token"), &[]).await;
        assert!(renewed.json.get("refresh_token").is_none(), "{}", renewed.json);
        assert_eq!(
            taken(&world, renewed.get("access_token")).await,
            ErrorCode::Forbidden
        );
    }
}

#[tokio::test]
async fn a_refresh_never_gives_more_than_the_link_has() {
    let world = world().await;
    let linked = world
        .link_app(ADA, &[OFFLINE, ("scope", "files.content.read account_info.read")])
        .await;
    assert_eq!(
        linked.get("scope"),
        "account_info.read files.metadata.read files.content.read"
    );
    let token = linked.get("refresh_token");
    let less = world
        .refresh(MAESTRAL, token, &[("scope", "files.content.read")])
        .await;
    assert_eq!(less.get("scope"), "files.metadata.read files.content.read");
    for scope in ["files.content.write", "sync", "everything"] {
        world
            .refresh(MAESTRAL, token, &[("scope", scope)])
            .await
            .refused(400, "invalid_scope");
    }
    world
        .refresh("some-app", token, &[])
        .await
        .refused(400, "invalid_grant");
    world
        .refresh(MAESTRAL, "cairn_x", &[])
        .await
        .refused(400, "invalid_grant");
    let access = linked.get("access_token");
    world
        .refresh(MAESTRAL, access, &[])
        .await
        .refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_locked_account_gives_out_nothing() {
    let world = world().await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    let code = Browser::new(&world).allow(&pkce(MAESTRAL, &[]), ADA).await;
    set_disabled(world.metadata.as_ref(), ADA, true).await.unwrap();
    world.server.forget_sessions();
    let token = linked.get("refresh_token");
    world
        .refresh(MAESTRAL, token, &[])
        .await
        .refused(400, "invalid_grant");
    world
        .redeem(MAESTRAL, &code, &PROVEN)
        .await
        .refused(400, "invalid_grant");
    let revoked = world
        .send(request(
            "POST",
            "/2/auth/token/revoke",
            Some(linked.get("access_token")),
            "",
        ))
        .await;
    assert_eq!(revoked.status, 401);
    assert!(String::from_utf8_lossy(&revoked.body).contains("user_suspended"));
}

#[tokio::test]
async fn fields_come_in_a_body_or_in_a_query() {
    let world = world().await;
    let browser = Browser::new(&world);
    let code = browser.allow(&pkce(MAESTRAL, &[OFFLINE]), ADA).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", MAESTRAL),
        ("code", code.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let linked = world.token_by_query(&fields).await;
    assert_eq!(linked.raw.status, 200, "{}", linked.json);
    assert_eq!(linked.raw.headers["access-control-allow-origin"], "*");
    let preflight = world
        .send(Request::options(TOKEN).body(Body::empty()).unwrap())
        .await;
    assert_eq!(preflight.status, 204);
    assert!(!preflight.headers.contains_key("access-control-allow-credentials"));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let world = world().await;
    let grant = ("grant_type", "authorization_code");
    let client = ("client_id", MAESTRAL);
    let cases: [(&[(&str, &str)], &str); 8] = [
        (&[], "invalid_request"),
        (&[client], "invalid_request"),
        (&[grant, client], "invalid_request"),
        (&[grant, client, ("code", "")], "invalid_request"),
        (&[grant, ("code", "x")], "invalid_request"),
        (&[("grant_type", "refresh_token"), client], "invalid_request"),
        (&[("grant_type", "password"), client], "unsupported_grant_type"),
        (&[grant, grant, client, ("code", "x")], "invalid_request"),
    ];
    for (fields, error) in cases {
        world.token(fields).await.refused(400, error);
    }
    world
        .redeem(MAESTRAL, "x", &PROVEN)
        .await
        .refused(400, "invalid_grant");
    let long = "x".repeat(20_000);
    world
        .redeem(MAESTRAL, &long, &[])
        .await
        .refused(400, "invalid_request");
    let two = [grant, client, ("code", "x")];
    world
        .token_by_basic(("other", ""), &two)
        .await
        .refused(400, "invalid_request");
}

#[tokio::test]
async fn trading_is_slowed_down() {
    let world = world().await;
    for _ in 0..60 {
        world
            .redeem(MAESTRAL, "x", &PROVEN)
            .await
            .refused(400, "invalid_grant");
    }
    let slowed = world.redeem(MAESTRAL, "x", &PROVEN).await;
    assert_eq!(slowed.raw.status, 429);
    assert!(slowed.json["error"]["retry_after"].as_u64().unwrap() > 0);
    assert!(slowed.raw.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_revoked_token_takes_its_link_along() {
    let world = world().await;
    let device = world.link(ADA).await;
    let linked = world.link_app(ADA, &[OFFLINE]).await;
    let token = linked.get("refresh_token");
    let sibling = world.refresh(MAESTRAL, token, &[]).await;
    let revoke = async |token: Option<&str>| {
        world
            .send(request("POST", "/2/auth/token/revoke", token, "null"))
            .await
    };
    let done = revoke(Some(sibling.get("access_token"))).await;
    assert_eq!((done.status.as_u16(), &done.body[..]), (200, &b"null"[..]));
    assert_eq!(done.headers["content-type"], "application/json");
    assert_eq!(
        taken(&world, linked.get("access_token")).await,
        ErrorCode::NotAuthenticated
    );
    world
        .refresh(MAESTRAL, token, &[])
        .await
        .refused(400, "invalid_grant");
    for token in [None, Some(sibling.get("access_token"))] {
        let raw = revoke(token).await;
        assert_eq!(
            (raw.status.as_u16(), &raw.headers["content-type"]),
            (401, &"application/json".parse().unwrap())
        );
        let json: serde_json::Value = serde_json::from_slice(&raw.body).unwrap();
        assert_eq!(json["error"][".tag"], "invalid_access_token");
    }
    device.get(path::WHOAMI).await.ok::<Whoami>();
    let raw = world
        .send(request("GET", "/2/auth/token/revoke", None, Body::empty()))
        .await;
    assert_eq!(raw.status.as_u16(), 400);
}
