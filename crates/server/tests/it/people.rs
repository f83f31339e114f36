//! Accounts by invitation, and passwords that were forgotten.

use std::time::Duration;

use axum::http::Request;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{Login, LoginReply, Whoami, path};
use cairn_server::service::accounts::invited::{NewInvitation, invite, reset_link};
use cairn_server::service::accounts::{set_disabled, set_password};
use cairn_server::{LoginLimits, ServerConfig, SignUp};

use crate::browser::{encoded, text};
use crate::second_factor::{code_now, turn_on};
use crate::support::{PASSWORD, Raw, World, assert_refused, login};

const ADA: &str = "ada@example.org";
const NEW: &str = "battery staple";

impl World {
    async fn invitation(&self, email: Option<&str>) -> String {
        let new = NewInvitation {
            email: email.map(str::to_owned),
            quota_bytes: Some(1_000),
            lifetime: Duration::from_secs(86_400),
        };
        invite(self.metadata.as_ref(), &self.runtime, new).await.unwrap()
    }

    async fn reset_path(&self) -> String {
        reset_link(self.metadata.as_ref(), &self.runtime, ADA)
            .await
            .unwrap()
    }

    async fn page(&self, uri: &str) -> Raw {
        self.send(Request::get(uri).body(String::new().into()).unwrap())
            .await
    }

    async fn form(&self, uri: &str, fields: &[(&str, &str)]) -> u16 {
        let raw = self
            .send(Request::post(uri).body(encoded(fields).into()).unwrap())
            .await;
        assert_eq!(raw.headers["x-frame-options"], "DENY");
        raw.status.as_u16()
    }

    async fn join(&self, uri: &str, email: &str) -> u16 {
        self.form(uri, &[("email", email), ("password", PASSWORD)]).await
    }
}

#[tokio::test]
async fn an_account_is_made_by_invitation() {
    let world = World::new();
    assert_eq!(world.page("/join").await.status, 403);
    assert_eq!(world.join("/join", ADA).await, 400);
    assert_eq!(world.join("/join?link=cairn_x", ADA).await, 400);
    let open = world.invitation(None).await;
    let bound = world.invitation(Some("Bob@example.org")).await;
    let page = text(&world.page(&bound).await);
    assert!(page.contains("value=\"bob@example.org\""), "{page}");
    assert_eq!(world.join(&bound, ADA).await, 400, "it is Bob's");
    assert_eq!(
        world.form(&open, &[("email", ADA), ("password", "short")]).await,
        400
    );
    assert_eq!(world.join(&open, "no address").await, 400);
    // What failed has used nothing up.
    assert_eq!(world.join(&open, ADA).await, 200);
    assert_eq!(world.join(&open, "eve@example.org").await, 400, "it was used");
    assert_eq!(world.page(&open).await.status, 400);
    assert_eq!(world.join(&bound, "bob@example.org").await, 200);
    let linked = world.link(ADA).await;
    let whoami: Whoami = linked.get(path::WHOAMI).await.ok();
    assert_eq!(whoami.quota_bytes, Some(1_000));
    let again = world.invitation(None).await;
    assert_eq!(world.join(&again, ADA).await, 400, "the address is taken");
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(world.join(&again, "eve@example.org").await, 400, "it has expired");
}

#[tokio::test]
async fn anybody_may_join_where_that_is_configured() {
    let world = World::with(ServerConfig {
        sign_up: SignUp::Open,
        ..ServerConfig::default()
    });
    assert_eq!(world.page("/join").await.status, 200);
    assert_eq!(world.join("/join", ADA).await, 200);
    assert_eq!(world.join("/join", ADA).await, 400);
    world.link(ADA).await;
}

#[tokio::test]
async fn joining_is_slowed_down() {
    let world = World::with(ServerConfig {
        sign_up: SignUp::Open,
        login: LoginLimits {
            address_burst: 2,
            address_interval: Duration::from_secs(3_600),
            ..LoginLimits::default()
        },
        ..ServerConfig::default()
    });
    assert_eq!(world.join("/join", "a@example.org").await, 200);
    assert_eq!(world.join("/join", "b@example.org").await, 200);
    assert_eq!(world.join("/join", "c@example.org").await, 429);
}

#[tokio::test]
async fn a_password_is_reset_once() {
    let world = World::new();
    let device = world.device(ADA).await;
    assert_eq!(world.page("/reset").await.status, 403);
    let uri = world.reset_path().await;
    for _ in 0..2 {
        assert_eq!(world.page(&uri).await.status, 200, "looking does not use it");
    }
    assert_eq!(world.page(&uri.replace("/reset", "/join")).await.status, 400);
    assert_eq!(
        world
            .join(&uri.replace("/reset", "/join"), "eve@example.org")
            .await,
        400
    );
    assert_eq!(world.form(&uri, &[("password", "short")]).await, 400);
    assert_eq!(world.form(&uri, &[("password", NEW)]).await, 200);
    assert_eq!(world.form(&uri, &[("password", PASSWORD)]).await, 400);
    let raw = world.post(path::LOGIN, None, &login(ADA, PASSWORD)).await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    world
        .post(path::LOGIN, None, &login(ADA, NEW))
        .await
        .ok::<LoginReply>();
    device.get(path::WHOAMI).await.ok::<Whoami>();

    let uri = world.reset_path().await;
    assert_eq!(
        world
            .form(&uri, &[("password", PASSWORD), ("unlink", "all")])
            .await,
        200
    );
    assert_refused(&device.get(path::WHOAMI).await, ErrorCode::NotAuthenticated);

    let uri = world.reset_path().await;
    world.clock.advance(Duration::from_secs(3_600));
    assert_eq!(world.form(&uri, &[("password", NEW)]).await, 400);
}

#[tokio::test]
async fn a_reset_is_void_once_the_password_is_another() {
    let world = World::new();
    world.account(ADA).await;
    let metadata = world.metadata.as_ref();
    let [first, second] = [world.reset_path().await, world.reset_path().await];
    set_disabled(metadata, ADA, true).await.unwrap();
    assert_eq!(world.form(&first, &[("password", NEW)]).await, 400);
    set_disabled(metadata, ADA, false).await.unwrap();
    set_password(metadata, &world.runtime, ADA, NEW.into())
        .await
        .unwrap();
    for uri in [first, second] {
        assert_eq!(world.form(&uri, &[("password", PASSWORD)]).await, 400);
    }
    world
        .post(path::LOGIN, None, &login(ADA, NEW))
        .await
        .ok::<LoginReply>();
}

#[tokio::test]
async fn the_second_factor_is_asked_for_after_a_reset() {
    let world = World::new();
    let device = world.device(ADA).await;
    let (secret, _) = turn_on(&world, &device).await;
    let uri = world.reset_path().await;
    assert_eq!(
        world.form(&uri, &[("password", NEW), ("unlink", "all")]).await,
        200
    );
    let raw = world.post(path::LOGIN, None, &login(ADA, NEW)).await;
    assert_refused(&raw, ErrorCode::SecondFactorNeeded);
    let with_code = Login {
        code: Some(code_now(&world, &secret)),
        ..login(ADA, NEW)
    };
    world.post(path::LOGIN, None, &with_code).await.ok::<LoginReply>();
}
