//! Tokens for scripts, and unlinking from another device.

use std::time::Duration;

use axum::body::Body;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{Devices, MakeToken, MakeTokenReply, Unlink, Whoami, path};

use crate::support::{World, assert_refused, request};

fn made(scopes: &str, days: Option<u32>) -> MakeToken {
    MakeToken {
        name: "backup".to_owned(),
        scopes: scopes.to_owned(),
        days,
    }
}

async fn taken(world: &World, token: &str) -> ErrorCode {
    let raw = world
        .send(request("GET", path::WHOAMI, Some(token), Body::empty()))
        .await;
    raw.error().code
}

#[tokio::test]
async fn a_token_for_scripts_is_no_device() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let reply: MakeTokenReply = device.post(path::TOKENS, &made("", Some(1))).await.ok();
    assert_eq!(taken(&world, &reply.token).await, ErrorCode::Forbidden);
    let again = world
        .post(path::TOKENS, Some(&reply.token), &made("", None))
        .await;
    assert_refused(&again, ErrorCode::Forbidden);
    let devices: Devices = device.get(path::DEVICES).await.ok();
    let kinds = devices.devices.iter().map(|row| (row.id, row.kind.as_deref()));
    let kinds: Vec<_> = kinds.collect();
    assert!(kinds.contains(&(reply.id, Some("token"))));
    assert!(kinds.iter().any(|(_, kind)| *kind == Some("device")));
    world.clock.advance(Duration::from_secs(86_400));
    assert_eq!(taken(&world, &reply.token).await, ErrorCode::TokenExpired);
}

#[tokio::test]
async fn a_token_has_scopes_that_exist() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    for scopes in ["everything", "sync", "files.content.read sync"] {
        let raw = device.post(path::TOKENS, &made(scopes, None)).await;
        assert_refused(&raw, ErrorCode::BadRequest);
    }
    let nameless = MakeToken {
        name: " ".to_owned(),
        ..made("", None)
    };
    assert_refused(&device.post(path::TOKENS, &nameless).await, ErrorCode::BadRequest);
    for _ in 0..100 {
        device
            .post(path::TOKENS, &made("", None))
            .await
            .ok::<MakeTokenReply>();
    }
    let raw = device.post(path::TOKENS, &made("", None)).await;
    assert_refused(&raw, ErrorCode::BadRequest);
}

#[tokio::test]
async fn what_is_unlinked_is_refused_at_once() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let lost = world.link("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let id = lost.get(path::WHOAMI).await.ok::<Whoami>().device;
    // To others it does not exist.
    let raw = eve.post(path::UNLINK, &Unlink { device: id }).await;
    assert_refused(&raw, ErrorCode::NotFound);
    lost.get(path::WHOAMI).await.ok::<Whoami>();
    let raw = ada.post(path::UNLINK, &Unlink { device: id }).await;
    assert_eq!(raw.status, 204);
    assert_refused(&lost.get(path::WHOAMI).await, ErrorCode::NotAuthenticated);
    let raw = ada.post(path::UNLINK, &Unlink { device: id }).await;
    assert_refused(&raw, ErrorCode::NotFound);
}
