//! Conflicts and displaced files.

use cairn_core::ids::{FileId, NodeId};
use cairn_core::time::Timestamp;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::Number;
use super::fault::Fault;
use super::row::{self, select_entries};
use crate::state::inbox::{
    AgreedVersion, ConflictReason, ConflictRow, Displaced, DisplacedTotal, INBOX_ROWS,
};
use crate::state::{LocalRow, StateBatch};

/// Applies a batch's part of it.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    number: Number,
    batch: &StateBatch,
) -> Result<(), Fault> {
    for (from, to) in &batch.rebind {
        rebind(connection, number, *from, *to).await?;
    }
    for conflict in &batch.conflicts {
        put_conflict(connection, number, conflict).await?;
    }
    for copy in &batch.settled_conflicts {
        sqlx::query("DELETE FROM conflict WHERE ns = $1 AND copy = $2")
            .bind(number)
            .bind(copy.get())
            .execute(&mut *connection)
            .await?;
    }
    for displaced in &batch.displaced {
        sqlx::query(
            "INSERT OR REPLACE INTO displaced (ns, staged, since_ms, size, note) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(number)
        .bind(&displaced.staged)
        .bind(displaced.since.as_millis())
        .bind(displaced.size.cast_signed())
        .bind(&displaced.note)
        .execute(&mut *connection)
        .await?;
    }
    for staged in &batch.let_go {
        sqlx::query("DELETE FROM displaced WHERE ns = $1 AND staged = $2")
            .bind(number)
            .bind(staged)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn rebind(
    connection: &mut SqliteConnection,
    number: Number,
    from: NodeId,
    to: NodeId,
) -> Result<(), Fault> {
    sqlx::query("UPDATE OR REPLACE conflict SET copy = $3 WHERE ns = $1 AND copy = $2")
        .bind(number)
        .bind(from.get())
        .bind(to.get())
        .execute(&mut *connection)
        .await?;
    sqlx::query("UPDATE conflict SET original = $3 WHERE ns = $1 AND original = $2")
        .bind(number)
        .bind(from.get())
        .bind(to.get())
        .execute(connection)
        .await?;
    Ok(())
}

async fn put_conflict(
    connection: &mut SqliteConnection,
    number: Number,
    conflict: &ConflictRow,
) -> Result<(), Fault> {
    let base = conflict.base.as_ref();
    sqlx::query(
        "INSERT OR REPLACE INTO conflict (ns, copy, original, base_seq, base_file_id, base_size, at_ms, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(number)
    .bind(conflict.copy.get())
    .bind(conflict.original.get())
    .bind(base.map(|base| base.content_seq.get()))
    .bind(base.map(|base| &base.file_id.as_bytes()[..]))
    .bind(base.map(|base| base.size.cast_signed()))
    .bind(conflict.at.as_millis())
    .bind(conflict.reason.number())
    .execute(connection)
    .await?;
    Ok(())
}

/// The conflicts, the newest first.
pub(super) async fn conflicts(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<Vec<ConflictRow>, Fault> {
    let found = sqlx::query(
        "SELECT copy, original, base_seq, base_file_id, base_size, at_ms, reason
         FROM conflict
         WHERE ns = $1
         ORDER BY at_ms DESC, copy
         LIMIT $2",
    )
    .bind(number)
    .bind(INBOX_ROWS as i64)
    .fetch_all(connection)
    .await?;
    found.iter().map(conflict).collect()
}

fn conflict(found: &SqliteRow) -> Result<ConflictRow, Fault> {
    let file_id = found.try_get::<Option<&[u8]>, _>(3)?.and_then(FileId::from_slice);
    let base = match (found.try_get::<Option<i64>, _>(2)?, file_id) {
        (Some(seq), Some(file_id)) => Some(AgreedVersion {
            content_seq: row::seq(seq)?,
            file_id,
            size: found.try_get::<i64, _>(4)?.cast_unsigned(),
        }),
        _ => None,
    };
    let reason = ConflictReason::from_number(found.try_get(6)?);
    Ok(ConflictRow {
        copy: row::node_id(found.try_get(0)?)?,
        original: row::node_id(found.try_get(1)?)?,
        base,
        at: Timestamp::from_millis(found.try_get(5)?),
        reason: reason.ok_or_else(|| Fault::damaged("reason of a conflict"))?,
    })
}

/// Nodes of the local tree whose name holds `part`.
pub(super) async fn local_named(
    connection: &mut SqliteConnection,
    number: Number,
    part: &str,
    limit: usize,
) -> Result<Vec<LocalRow>, Fault> {
    let found = sqlx::query(select_entries!(
        "entry e",
        "WHERE e.ns = $1 AND e.trees & 2 AND instr(e.name, $2) > 0 ORDER BY e.node LIMIT $3"
    ))
    .bind(number)
    .bind(part)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    found.iter().map(row::local_row).collect()
}

/// Displaced files, the oldest first.
pub(super) async fn displaced(
    connection: &mut SqliteConnection,
    number: Number,
    limit: usize,
) -> Result<Vec<Displaced>, Fault> {
    let found = sqlx::query(
        "SELECT staged, since_ms, size, note
         FROM displaced
         WHERE ns = $1
         ORDER BY since_ms, staged
         LIMIT $2",
    )
    .bind(number)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    found
        .iter()
        .map(|found| {
            Ok(Displaced {
                staged: found.try_get(0)?,
                since: Timestamp::from_millis(found.try_get(1)?),
                size: found.try_get::<i64, _>(2)?.cast_unsigned(),
                note: found.try_get(3)?,
            })
        })
        .collect()
}

/// How much is displaced.
pub(super) async fn displaced_total(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<DisplacedTotal, Fault> {
    let found = sqlx::query("SELECT count(*), coalesce(sum(size), 0) FROM displaced WHERE ns = $1")
        .bind(number)
        .fetch_one(connection)
        .await?;
    Ok(DisplacedTotal {
        count: found.try_get::<i64, _>(0)?.cast_unsigned(),
        bytes: found.try_get::<i64, _>(1)?.cast_unsigned(),
    })
}
