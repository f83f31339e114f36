//! Stops without a word, damaged files, files of other versions.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cairn_core::ids::NodeId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::world::{at_seq, content, cursor, file, folder, id, ns, row};
use crate::state::sqlite::{SqliteState, set_aside};
use crate::state::{ClientState, LocalChange, StateBatch, StateError, TreeChange};

fn many(from: i64, count: i64) -> StateBatch {
    let entries = (from..from + count).map(|n| (n, at_seq(file(1, &format!("file {n}"), n as u64), 1, n)));
    let mut batch = StateBatch {
        cursor: Some(cursor(from + count)),
        ..StateBatch::default()
    };
    for (n, entry) in entries {
        batch.remote.push(TreeChange::Put(id(n), entry.clone()));
        batch.local.push(LocalChange::Put(row(n, entry.clone())));
        batch.synced.push(TreeChange::Put(id(n), entry));
        batch.contents.push(content(n as u64));
    }
    batch
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_applied_survives_a_stop_without_a_word() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    let state = SqliteState::open(&path).await.unwrap();
    state.apply(ns(), many(10, 300)).await.unwrap();
    // A batch that is dropped half-way leaves nothing behind.
    let mut apply = Box::pin(state.apply(ns(), many(1_000, 5_000)));
    for _ in 0..3 {
        assert!(futures::poll!(&mut apply).is_pending());
        tokio::task::yield_now().await;
    }
    drop(apply);
    drop(state);
    let state = SqliteState::open(&path).await.unwrap();
    let counts = state.counts(ns()).await.unwrap();
    assert_eq!(
        (counts.local_nodes, counts.remote_nodes, counts.dirty),
        (300, 300, 0)
    );
    assert_eq!(state.cursor(ns()).await.unwrap(), Some(cursor(310)));
    state.apply(ns(), many(1_000, 10)).await.unwrap();
    assert_eq!(state.counts(ns()).await.unwrap().local_nodes, 310);
    state.close().await;
    assert!(matches!(
        state.counts(ns()).await,
        Err(StateError::Unavailable { .. })
    ));
    assert!(matches!(
        state.apply(ns(), many(1, 1)).await,
        Err(StateError::Unavailable { .. })
    ));
    let state = SqliteState::open(&path).await.unwrap();
    assert_eq!(state.counts(ns()).await.unwrap().local_nodes, 310);
}

/// Reads all nodes and contents once.
async fn read_all(state: &SqliteState) -> Result<(), StateError> {
    state.local_children(ns(), NodeId::ROOT).await?;
    let file_ids: Vec<_> = (10..2_010).map(|n| content(n).file_id).collect();
    state.contents(&file_ids).await?;
    state.neighbourhood(ns(), None, 5_000).await?;
    for n in (10..2_010).step_by(50) {
        state.disk_path(ns(), id(n)).await?;
        state
            .local_by_inode(ns(), row(n, folder(1, "x")).fingerprint.inode)
            .await?;
        let asked = [content(n as u64).file_id];
        state.locals_with_contents(ns(), &asked).await?;
    }
    Ok(())
}

async fn sound_file(path: &Path) {
    let state = SqliteState::open(path).await.unwrap();
    state.apply(ns(), many(10, 2_000)).await.unwrap();
    state.close().await;
}

#[tokio::test]
async fn a_damaged_page_is_named_and_the_file_can_be_set_aside() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    sound_file(&path).await;
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    let mut named = 0;
    for page in (1..pages).step_by(7) {
        let copy = home.path().join("copy.db");
        fs::copy(&path, &copy).unwrap();
        let damaged = fs::File::options().write(true).open(&copy).unwrap();
        damaged.write_all_at(&[0xa5; 4096], page * 4096).unwrap();
        drop(damaged);
        let found = match SqliteState::open(&copy).await {
            Ok(state) => {
                let found = read_all(&state).await;
                state.close().await;
                found
            }
            Err(error) => Err(error),
        };
        // A page of an index that nothing here reads is not met.
        if let Err(error) = found {
            assert!(matches!(error, StateError::Corrupt { .. }), "{error:?}");
            named += 1;
            // Damage that was met once is met at the next start.
            assert!(matches!(
                SqliteState::open(&copy).await,
                Err(StateError::Corrupt { .. })
            ));
            let aside = set_aside(&copy).unwrap();
            assert!(aside.exists());
            let fresh = SqliteState::open(&copy).await.unwrap();
            assert_eq!(fresh.counts(ns()).await.unwrap().local_nodes, 0);
            fresh.close().await;
            fs::remove_file(aside).unwrap();
        }
        fs::remove_file(&copy).unwrap();
    }
    assert!(named > pages as usize / 14, "{named} of {pages} pages");
}

#[tokio::test]
async fn flipped_bytes_never_panic() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    sound_file(&path).await;
    let len = fs::metadata(&path).unwrap().len();
    for at in (0..len).step_by(len as usize / 40) {
        let copy = home.path().join("copy.db");
        fs::copy(&path, &copy).unwrap();
        let damaged = fs::File::options().read(true).write(true).open(&copy).unwrap();
        let mut bytes = [0; 3];
        damaged.read_exact_at(&mut bytes, at.min(len - 3)).unwrap();
        damaged
            .write_all_at(&bytes.map(|byte| !byte), at.min(len - 3))
            .unwrap();
        drop(damaged);
        let found = match SqliteState::open(&copy).await {
            Ok(state) => {
                let found = read_all(&state).await;
                state.close().await;
                found
            }
            Err(error) => Err(error),
        };
        if let Err(error) = found {
            let is_named = matches!(error, StateError::Corrupt { .. } | StateError::Newer { .. });
            assert!(is_named, "at {at}: {error:?}");
        }
        fs::remove_file(&copy).unwrap();
    }
}

#[tokio::test]
async fn a_cut_file_and_one_of_another_kind_are_damaged() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    sound_file(&path).await;
    let len = fs::metadata(&path).unwrap().len();
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(len / 2 / 4096 * 4096)
        .unwrap();
    assert!(matches!(
        SqliteState::open(&path).await,
        Err(StateError::Corrupt { .. })
    ));
    let aside = set_aside(&path).unwrap();
    assert_eq!(aside.file_name().unwrap(), "state.db.damaged-1");
    fs::write(
        &path,
        b"this is a text, and longer than the header of a database. ".repeat(20),
    )
    .unwrap();
    assert!(matches!(
        SqliteState::open(&path).await,
        Err(StateError::Corrupt { .. })
    ));
    assert_eq!(
        set_aside(&path).unwrap().file_name().unwrap(),
        "state.db.damaged-2"
    );
    SqliteState::open(&path).await.unwrap().close().await;
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    sound_file(&path).await;
    let mut connection = raw(&path).await;
    sqlx::query("PRAGMA user_version = 99")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert!(matches!(
        SqliteState::open(&path).await,
        Err(StateError::Newer { .. })
    ));
}

#[tokio::test]
async fn keys_of_other_unicode_tables_are_made_anew() {
    let home = TempDir::new().unwrap();
    let path = home.path().join("state.db");
    let state = SqliteState::open(&path).await.unwrap();
    let local = vec![
        LocalChange::Put(row(10, folder(1, "ÉTÉ"))),
        LocalChange::Put(row(11, folder(1, "ABC"))),
    ];
    state
        .apply(
            ns(),
            StateBatch {
                local,
                ..StateBatch::default()
            },
        )
        .await
        .unwrap();
    state.close().await;
    let mut connection = raw(&path).await;
    sqlx::query("UPDATE entry SET folded = 'wrong' WHERE name = 'ÉTÉ'")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::query("UPDATE meta SET unicode = '1.0.0'")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let state = SqliteState::open(&path).await.unwrap();
    for (name, n) in [("ÉTÉ", 10), ("ABC", 11)] {
        let found = state.local_at(ns(), &[name.to_owned()]).await.unwrap();
        assert_eq!(found.map(|row| row.node), Some(id(n)));
    }
}

#[tokio::test]
async fn a_missing_folder_is_no_damage() {
    let home = TempDir::new().unwrap();
    let missing = home.path().join("nowhere").join("state.db");
    assert!(matches!(
        SqliteState::open(&missing).await,
        Err(StateError::Unavailable { .. })
    ));
}
