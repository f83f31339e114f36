//! What is written down.

use std::time::Duration;

use cairn_api::error::ErrorCode;
use cairn_api::sync::{MakeToken, MakeTokenReply, path};
use cairn_server::service::audit::{ExportPosition, export, record_order};

use sqlx::{ConnectOptions, Executor};

use crate::browser::Browser;
use crate::log::Log;
use crate::secrets::on_disk;
use crate::support::{PASSWORD, World, assert_refused, login, soon};

const ADA: &str = "ada@example.org";

async fn events(world: &World) -> Vec<String> {
    let mut at = Some(ExportPosition::default());
    let mut events = Vec::new();
    while let Some(after) = at {
        let (entries, next) = export(world.metadata.as_ref(), after, 3).await.unwrap();
        let shown = format!("{entries:?}");
        assert!(!shown.contains("@") && !shown.contains("cairn_") && !shown.contains(PASSWORD));
        events.extend(entries.into_iter().map(|entry| entry.event));
        at = next;
    }
    events
}

#[tokio::test]
async fn what_is_done_about_an_account_is_written_down() {
    let world = World::new();
    let tick = || world.clock.advance(Duration::from_millis(1));
    let device = world.device(ADA).await;
    tick();
    world.post(path::LOGIN, None, &login(ADA, "wrong horse")).await;
    world
        .post(path::LOGIN, None, &login("eve@example.org", "wrong horse"))
        .await;
    tick();
    let token = MakeToken {
        name: "backup".to_owned(),
        scopes: String::new(),
        days: None,
    };
    device.post(path::TOKENS, &token).await.ok::<MakeTokenReply>();
    tick();
    device.bytes(path::LOGOUT, bytes::Bytes::new()).await;
    tick();
    world.link_app(ADA, &[]).await;
    let mut expected = vec!["login", "wrong-password", "token-made", "unlinked"];
    let mut found = events(&world).await;
    // The last three are of one instant.
    let mut last = found.split_off(4);
    last.sort();
    assert_eq!(found, expected);
    assert_eq!(last, ["app-allowed", "app-linked", "sign-in"]);
    record_order(world.metadata.as_ref(), &world.runtime, "admin-app-added", None).await;
    expected.insert(0, "admin-app-added");
    assert_eq!(events(&world).await[..5], expected, "the server's own come first");
}

#[tokio::test]
async fn old_entries_of_the_audit_log_go() {
    let world = World::new();
    world.device(ADA).await;
    world.clock.advance(Duration::from_secs(366 * 86_400));
    world.link(ADA).await;
    assert_eq!(events(&world).await, ["login", "login"]);
    world.server.start_jobs();
    soon(async {
        while events(&world).await.len() > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let account = world.metadata.accounts(None, 1).await.unwrap()[0].id;
    let left = world.metadata.audit(Some(account), None, 9).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn what_cannot_be_written_down_is_done_all_the_same() {
    let log = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let (world, store) = on_disk(folder.path()).await;
    world.account(ADA).await;
    store.close().await;
    let database = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.path().join("metadata.db"));
    let mut database = database.connect().await.unwrap();
    database.execute("DROP TABLE audit").await.unwrap();
    sqlx::Connection::close(database).await.unwrap();

    let (world, store) = on_disk(folder.path()).await;
    let device = world.link(ADA).await;
    let wrong = world.post(path::LOGIN, None, &login(ADA, "wrong horse")).await;
    assert_refused(&wrong, ErrorCode::WrongCredentials);
    Browser::new(&world).sign_in("/account", ADA).await;
    device.bytes(path::LOGOUT, bytes::Bytes::new()).await;
    let text = log.text();
    for event in ["login", "wrong-password", "sign-in", "unlinked"] {
        let told = format!(
            "ERROR cairn_server::service::audit: an entry of the audit log cannot be written event=\"{event}\""
        );
        assert!(text.contains(&told), "{event}");
    }
    store.close().await;
}
