//! Every store passes the suite.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cairn_metadata::sqlite::{OpenError, Options};
use cairn_metadata::{
    CredentialStore, IdentityHash, LinkKind, MemoryMetadata, MetadataError, MetadataStore, Scopes,
    SqliteMetadata, TokenHash, conformance,
};

pub(crate) async fn sqlite(folder: &Path) -> SqliteMetadata {
    SqliteMetadata::open(&folder.join("meta.db"), Options::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn memory_conforms() {
    conformance::run(async || Arc::new(MemoryMetadata::new()) as Arc<dyn MetadataStore>).await;
}

#[tokio::test]
async fn sqlite_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicUsize::new(0);
    conformance::run(|| {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path: PathBuf = folder.path().join(format!("{number}.db"));
        async move {
            let store = SqliteMetadata::open(&path, Options::default()).await.unwrap();
            Arc::new(store) as Arc<dyn MetadataStore>
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_written_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(sqlite(folder.path()).await);
    let at = conformance::Fixture::new(store.clone()).await;
    let (node, op) = at.new_folder(cairn_core::ids::NodeId::ROOT, "kept");
    store.commit(at.request(vec![vec![op]])).await.unwrap();
    assert!(store.stats().transactions >= 2);
    store.close().await;
    assert!(matches!(
        store.head(at.namespace).await,
        Err(MetadataError::Unavailable(_))
    ));
    assert!(matches!(
        store.update_account(&at.account).await,
        Err(MetadataError::Unavailable(_))
    ));
    let store = sqlite(folder.path()).await;
    assert!(store.nodes(at.namespace, &[node]).await.unwrap()[0].is_some());
    assert_eq!(store.check(at.namespace).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    sqlite(folder.path()).await.close().await;
    let url = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let pool = sqlx::SqlitePool::connect_with(url).await.unwrap();
    sqlx::query("INSERT INTO schema_version (version, unicode) VALUES (99990101000000, '17.0.0')")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let refused = SqliteMetadata::open(&path, Options::default()).await;
    assert!(matches!(
        refused,
        Err(OpenError::NewerSchema {
            found: 99_990_101_000_000,
            ..
        })
    ));
}

#[tokio::test]
async fn a_file_that_is_no_database_is_called_damaged() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("meta.db"), vec![b'x'; 8192]).unwrap();
    let refused = SqliteMetadata::open(&folder.path().join("meta.db"), Options::default()).await;
    assert!(matches!(
        refused,
        Err(OpenError::Io {
            source: MetadataError::Corrupt { .. },
            ..
        })
    ));
}

/// A store as the first version left it, with one device.
async fn first_version(path: &Path) {
    let url = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(url).await.unwrap();
    let schema = include_str!("../../migrations/20261122000000_initial.sql");
    sqlx::raw_sql(schema).execute(&pool).await.unwrap();
    for statement in [
        "CREATE TABLE schema_version (version BIGINT NOT NULL, unicode TEXT NOT NULL, PRIMARY KEY (version))",
        "INSERT INTO account VALUES (4096, 'a@example.org', 'hash', 4097, 0, 0, NULL, 1)",
        "INSERT INTO device VALUES (4096, 7, 'laptop', X'0101010101010101010101010101010101010101010101010101010101010101', 1, 1)",
        "INSERT INTO token VALUES (X'0101010101010101010101010101010101010101010101010101010101010101', 4096, 7, NULL)",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let (major, minor, update) = cairn_core::name::UNICODE_VERSION;
    sqlx::query("INSERT INTO schema_version VALUES (20261122000000, $1)")
        .bind(format!("{major}.{minor}.{update}"))
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

#[tokio::test]
async fn a_device_of_the_first_version_stays_linked() {
    let folder = tempfile::tempdir().unwrap();
    first_version(&folder.path().join("meta.db")).await;
    let store = sqlite(folder.path()).await;
    let token = TokenHash([1; 32]);
    let session = store.session(&token).await.unwrap().unwrap();
    assert_eq!(session.scopes, Scopes::ALL);
    let devices = store.devices(session.account).await.unwrap();
    assert_eq!((devices[0].kind, &devices[0].app), (LinkKind::Device, &None));
    assert!(
        store
            .unlink_device(session.account, session.device)
            .await
            .unwrap()
    );
    assert_eq!(store.session(&token).await.unwrap(), None);
}

#[tokio::test]
async fn an_identity_of_before_is_its_accounts_once_it_is_linked_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meta.db");
    first_version(&path).await;
    let account = cairn_core::ids::AccountId::new(4096).unwrap();
    let identity = IdentityHash([7; 32]);
    sqlite(folder.path()).await.close().await;
    let pool = sqlx::SqlitePool::connect_with(sqlx::sqlite::SqliteConnectOptions::new().filename(&path));
    let pool = pool.await.unwrap();
    sqlx::query("INSERT INTO identity VALUES ($1, 4096)")
        .bind(identity.0.to_vec())
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let store = sqlite(folder.path()).await;
    assert_eq!(store.identity(&identity).await.unwrap(), Some(account));
    assert_eq!(store.identities(account).await.unwrap(), 0);
    assert!(store.link_identity(&identity, account).await.unwrap());
    assert_eq!(store.identities(account).await.unwrap(), 1);
    assert_eq!(store.unlink_identities(account).await.unwrap(), 1);
    assert_eq!(store.identity(&identity).await.unwrap(), None);
}
