//! What a stolen database is worth.

use std::path::Path;
use std::sync::Arc;

use axum::body::Body;
use cairn_api::error::ErrorCode;
use cairn_api::sync::{MakeToken, MakeTokenReply, Whoami, path};
use cairn_metadata::SqliteMetadata;
use cairn_metadata::sqlite::Options;
use cairn_server::ServerConfig;
use cairn_server::service::accounts::apps::{NewApp, register_app};
use cairn_server::service::accounts::invited::{NewInvitation, invite, reset_link};

use crate::browser::{Browser, MAESTRAL, VERIFIER, pkce};
use crate::second_factor::turn_on;
use crate::support::{DEADLINE, PASSWORD, TokioSpawner, World, assert_refused, request};

const ADA: &str = "ada@example.org";

/// A world over a database in a folder.
pub(crate) async fn on_disk(folder: &Path) -> (World, Arc<SqliteMetadata>) {
    let opened = SqliteMetadata::open(&folder.join("metadata.db"), Options::default()).await;
    let metadata = Arc::new(opened.unwrap());
    let world = World::over(ServerConfig::default(), metadata.clone(), Arc::new(TokioSpawner));
    (world, metadata)
}

fn digest(text: &str) -> Vec<u8> {
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    digest.as_ref().to_vec()
}

/// The random bytes of a token.
fn bytes_of(token: &str) -> Vec<u8> {
    let digits = token.strip_prefix("cairn_").unwrap();
    assert_eq!(digits.len(), 64, "256 bits");
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..64).step_by(2).map(byte).collect()
}

/// All that the server gives out to be shown again, by what it is.
async fn given_out(world: &World) -> Vec<(&'static str, String)> {
    let device = world.device(ADA).await;
    let (_, recovery) = turn_on(world, &device).await;
    let metadata = world.metadata.as_ref();
    world.account("bob@example.org").await;
    let browser = Browser::new(world);
    let uri = pkce(MAESTRAL, &[("token_access_type", "offline")]);
    let code = browser.allow(&uri, "bob@example.org").await;
    let linked = world
        .redeem(MAESTRAL, &code, &[("code_verifier", VERIFIER)])
        .await;
    let waiting = browser.allow(&uri, "bob@example.org").await;
    let cookie = browser.cookie().unwrap();
    let made = MakeToken {
        name: "backup".to_owned(),
        scopes: String::new(),
        days: None,
    };
    let made: MakeTokenReply = device.post(path::TOKENS, &made).await.ok();
    let app = NewApp {
        name: "Backup".to_owned(),
        redirect_uris: vec!["https://backup.example/done".to_owned()],
        folder: None,
    };
    let (_, secret) = register_app(metadata, &world.runtime, app).await.unwrap();
    let new = NewInvitation {
        email: None,
        quota_bytes: None,
        lifetime: DEADLINE,
    };
    let invitation = invite(metadata, &world.runtime, new).await.unwrap();
    let reset = reset_link(metadata, &world.runtime, ADA).await.unwrap();
    let behind = |text: &str| text.split_once('=').unwrap().1.to_owned();
    vec![
        ("a device's token", device.token.clone()),
        ("an app's token", linked.get("access_token").to_owned()),
        ("what renews it", linked.get("refresh_token").to_owned()),
        ("a code that waits", waiting),
        ("a token for scripts", made.token),
        ("an app's secret", secret),
        ("an invitation", behind(&invitation)),
        ("a reset", behind(&reset)),
        ("a recovery code", recovery[0].clone()),
        ("a browser's cookie", behind(&cookie)),
        ("a password", PASSWORD.to_owned()),
    ]
}

#[tokio::test]
async fn the_database_holds_nothing_that_could_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (world, store) = on_disk(folder.path()).await;
    let secrets = given_out(&world).await;
    store.close().await;
    let mut stored = Vec::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        stored.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |part: &[u8]| stored.windows(part.len()).any(|window| window == part);
    for (what, secret) in &secrets {
        // A part of it is as good as a hint; the first letters of all tokens are the same.
        let part = secret.trim_start_matches("cairn_").get(..10).unwrap();
        assert!(!holds(part.as_bytes()), "{what}");
        if secret.starts_with("cairn_") {
            assert!(!holds(&bytes_of(secret)), "{what}, as bytes");
            // A browser is remembered in memory alone; of all else the hash is kept.
            assert_eq!(holds(&digest(secret)), !what.contains("cookie"), "{what}");
        }
    }
}

#[tokio::test]
async fn a_token_is_found_by_its_hash_alone() {
    let world = World::new();
    let device = world.device(ADA).await;
    let ask = |token: String| world.send(request("GET", path::WHOAMI, Some(&token), Body::empty()));
    ask(device.token.clone()).await.ok::<Whoami>();
    let hash: String = digest(&device.token)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let other_end = |token: &str| {
        let last = if token.ends_with('0') { "1" } else { "0" };
        format!("{}{last}", &token[..token.len() - 1])
    };
    for wrong in [
        format!("cairn_{hash}"),
        hash,
        other_end(&device.token),
        format!("cairn_{}", "0".repeat(64)),
    ] {
        assert_refused(&ask(wrong).await, ErrorCode::NotAuthenticated);
    }
}
