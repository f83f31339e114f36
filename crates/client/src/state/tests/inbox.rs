//! Conflicts and displaced files, in both kinds of state, and in a database of the first schema.

use cairn_core::ids::NodeId;
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::subjects;
use super::world::{file, file_id, id, ns, row};
use crate::state::inbox::{AgreedVersion, ConflictReason, ConflictRow, Displaced, DisplacedTotal};
use crate::state::sqlite::SqliteState;
use crate::state::{ClientState, LocalChange, StateBatch};

fn conflict(copy: i64, original: i64, at_ms: i64) -> ConflictRow {
    ConflictRow {
        copy: id(copy),
        original: id(original),
        base: None,
        at: Timestamp::from_millis(at_ms),
        reason: ConflictReason::BothCreated,
    }
}

fn displaced(staged: &str, since_ms: i64, size: u64) -> Displaced {
    Displaced {
        staged: staged.to_owned(),
        since: Timestamp::from_millis(since_ms),
        size,
        note: vec![1, 2],
    }
}

async fn applied(state: &dyn ClientState, batch: StateBatch) {
    state.apply(ns(), batch).await.unwrap();
}

#[tokio::test]
async fn conflicts_are_kept_until_they_are_settled_and_follow_their_nodes() {
    for subject in subjects().await {
        let state = &*subject.state;
        let based = ConflictRow {
            base: Some(AgreedVersion {
                content_seq: Seq::new(7).unwrap(),
                file_id: file_id(3),
                size: u64::MAX >> 1,
            }),
            reason: ConflictReason::LateWrite,
            ..conflict(20, 21, 50)
        };
        let batch = StateBatch {
            conflicts: vec![conflict(10, 11, 40), based],
            ..StateBatch::default()
        };
        applied(state, batch).await;
        let all = state.conflicts(ns()).await.unwrap();
        assert_eq!(all, [based, conflict(10, 11, 40)], "{}", subject.name);
        let batch = StateBatch {
            rebind: vec![(id(10), id(30)), (id(11), id(31))],
            settled_conflicts: vec![id(20)],
            ..StateBatch::default()
        };
        applied(state, batch).await;
        assert_eq!(state.conflicts(ns()).await.unwrap(), [conflict(30, 31, 40)]);
    }
}

#[tokio::test]
async fn displaced_files_come_back_oldest_first() {
    for subject in subjects().await {
        let state = &*subject.state;
        assert_eq!(
            state.displaced_total(ns()).await.unwrap(),
            DisplacedTotal::default()
        );
        let batch = StateBatch {
            displaced: vec![displaced("b", 9, 5), displaced("a", 9, 6), displaced("c", 8, 7)],
            ..StateBatch::default()
        };
        applied(state, batch).await;
        let total = DisplacedTotal { count: 3, bytes: 18 };
        assert_eq!(state.displaced_total(ns()).await.unwrap(), total);
        let oldest = state.displaced(ns(), 2).await.unwrap();
        assert_eq!(
            oldest,
            [displaced("c", 8, 7), displaced("a", 9, 6)],
            "{}",
            subject.name
        );
        let batch = StateBatch {
            let_go: vec!["a".to_owned(), "c".to_owned()],
            ..StateBatch::default()
        };
        applied(state, batch).await;
        assert_eq!(state.displaced(ns(), 9).await.unwrap(), [displaced("b", 9, 5)]);
    }
}

#[tokio::test]
async fn local_nodes_are_found_by_a_part_of_their_name() {
    for subject in subjects().await {
        let state = &*subject.state;
        let rows = [
            row(10, file(1, "a (conflict, x, 2026-01-01).txt", 1)),
            row(11, file(1, "a (Conflict, x).txt", 1)),
            row(12, file(1, "plain_%", 1)),
        ];
        let batch = StateBatch {
            local: rows.iter().cloned().map(LocalChange::Put).collect(),
            ..StateBatch::default()
        };
        applied(state, batch).await;
        let found = async |part: &str| -> Vec<NodeId> {
            let rows = state.local_named(ns(), part, 5).await.unwrap();
            rows.iter().map(|row| row.node).collect()
        };
        assert_eq!(found("(conflict, ").await, [id(10)], "{}", subject.name);
        assert_eq!(found("_%").await, [id(12)]);
        assert!(state.local_named(ns(), "a", 1).await.unwrap().len() == 1);
    }
}

#[tokio::test]
async fn a_database_of_the_first_schema_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let mut old = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(include_str!("../migrations/0001_trees.sql"))
        .execute(&mut old)
        .await
        .unwrap();
    let made = "INSERT INTO meta (only, is_closed, unicode, contents_added) VALUES (1, 1, '17.0.0', 0);
        INSERT INTO setting VALUES ('root-marker', 'abc');";
    sqlx::raw_sql(made).execute(&mut old).await.unwrap();
    sqlx::Connection::close(old).await.unwrap();

    let state = SqliteState::open(&path).await.unwrap();
    assert_eq!(
        state.setting("root-marker").await.unwrap().as_deref(),
        Some("abc")
    );
    let batch = StateBatch {
        conflicts: vec![conflict(10, 11, 1)],
        displaced: vec![displaced("a", 1, 1)],
        ..StateBatch::default()
    };
    applied(&state, batch).await;
    state.close().await;
    let state = SqliteState::open(&path).await.unwrap();
    assert_eq!(state.conflicts(ns()).await.unwrap(), [conflict(10, 11, 1)]);
    assert_eq!(state.displaced(ns(), 9).await.unwrap().len(), 1);
    state.close().await;
}
