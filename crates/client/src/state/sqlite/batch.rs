//! Applying a batch, and the small writes.

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::FileContent;
use cairn_core::rev::Cursor;
use cairn_core::time::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use super::Number;
use super::changes::{Changes, in_even_parts};
use super::fault::Fault;
use super::inbox;
use crate::state::triple::TreeName;
use crate::state::{ACTIVITY_NOTES, Intent, LocalChange, StateBatch, TreeChange, outlived_by};

/// Applies a batch within the caller's transaction.
pub(super) async fn apply(
    connection: &mut SqliteConnection,
    number: Number,
    batch: StateBatch,
) -> Result<(), Fault> {
    inbox::apply(connection, number, &batch).await?;
    let mut changes = Changes::new(connection, number);
    for (from, to) in &batch.rebind {
        changes.rebind(*from, *to).await?;
    }
    changes.load(&touched(&batch)).await?;
    for change in batch.remote {
        change_tree(&mut changes, TreeName::Remote, change).await?;
    }
    for change in batch.local {
        match change {
            LocalChange::Put(row) => changes.at(row.node).await?.put_local(row),
            LocalChange::Remove(node) => changes.remove_subtree(TreeName::Local, node).await?,
        }
    }
    for change in batch.synced {
        change_tree(&mut changes, TreeName::Synced, change).await?;
    }
    if let Some(cursor) = &batch.cursor {
        changes.saw_seq(cursor.seq);
        set_cursor(changes.connection, number, cursor).await?;
    }
    if let Some(checkpoint) = &batch.checkpoint {
        add_checkpoint(changes.connection, number, checkpoint).await?;
    }
    put_contents(changes.connection, &batch.contents).await?;
    changes.finish().await?;
    if let Some(sent) = &batch.in_flight {
        sqlx::query("INSERT OR REPLACE INTO in_flight (ns, op_id, request) VALUES ($1, $2, $3)")
            .bind(number)
            .bind(&sent.op_id.as_bytes()[..])
            .bind(&sent.request)
            .execute(&mut *connection)
            .await?;
    }
    if let Some(op_id) = batch.settled {
        sqlx::query("DELETE FROM in_flight WHERE ns = $1 AND op_id = $2")
            .bind(number)
            .bind(&op_id.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
    }
    for staged in &batch.done_intents {
        sqlx::query("DELETE FROM intent WHERE ns = $1 AND staged = $2")
            .bind(number)
            .bind(staged)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn touched(batch: &StateBatch) -> Vec<NodeId> {
    let trees = batch
        .remote
        .iter()
        .chain(&batch.synced)
        .map(|change| match change {
            TreeChange::Put(node, _) | TreeChange::RemoveSubtree(node) | TreeChange::RemoveNode(node) => {
                *node
            }
        });
    let local = batch.local.iter().map(|change| match change {
        LocalChange::Put(row) => row.node,
        LocalChange::Remove(node) => *node,
    });
    trees.chain(local).collect()
}

async fn change_tree(changes: &mut Changes<'_>, tree: TreeName, change: TreeChange) -> Result<(), Fault> {
    match change {
        TreeChange::Put(node, entry) => {
            changes.saw(&entry);
            let triple = changes.at(node).await?;
            match tree {
                TreeName::Remote => triple.remote = Some(entry),
                TreeName::Local | TreeName::Synced => triple.synced = Some(entry),
            }
            if tree == TreeName::Remote {
                changes.withhold(node).await?;
            }
        }
        TreeChange::RemoveSubtree(node) => changes.remove_subtree(tree, node).await?,
        TreeChange::RemoveNode(node) => changes.at(node).await?.clear(tree),
    }
    Ok(())
}

async fn set_cursor(connection: &mut SqliteConnection, number: Number, cursor: &Cursor) -> Result<(), Fault> {
    sqlx::query("UPDATE namespace SET incarnation = $2, seq = $3, chain = $4 WHERE number = $1")
        .bind(number)
        .bind(&cursor.incarnation.as_bytes()[..])
        .bind(cursor.seq.get())
        .bind(&cursor.chain.as_bytes()[..])
        .execute(&mut *connection)
        .await?;
    sqlx::query("DELETE FROM checkpoint WHERE ns = $1 AND seq <= $2")
        .bind(number)
        .bind(cursor.seq.get())
        .execute(&mut *connection)
        .await?;
    add_waypoint(connection, number, cursor).await
}

pub(super) async fn add_waypoint(
    connection: &mut SqliteConnection,
    number: Number,
    at: &Cursor,
) -> Result<(), Fault> {
    let added: Option<i64> = sqlx::query_scalar(
        "INSERT INTO waypoint (ns, number, seq, chain)
         SELECT $1, coalesce((SELECT max(number) FROM waypoint WHERE ns = $1), 0) + 1, $2, $3
         WHERE $2 > coalesce((SELECT seq FROM waypoint WHERE ns = $1 ORDER BY number DESC LIMIT 1), -1)
         RETURNING number",
    )
    .bind(number)
    .bind(at.seq.get())
    .bind(&at.chain.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    let outlived = added.map_or(0, |added| outlived_by(added.cast_unsigned()));
    if outlived > 0 {
        sqlx::query("DELETE FROM waypoint WHERE ns = $1 AND number = $2")
            .bind(number)
            .bind(outlived.cast_signed())
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn add_checkpoint(
    connection: &mut SqliteConnection,
    number: Number,
    cursor: &Cursor,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT OR IGNORE INTO checkpoint (ns, seq, chain)
         SELECT $1, $2, $3
         WHERE $2 > (SELECT coalesce(max(seq), 0) FROM namespace WHERE number = $1)",
    )
    .bind(number)
    .bind(cursor.seq.get())
    .bind(&cursor.chain.as_bytes()[..])
    .execute(connection)
    .await?;
    Ok(())
}

/// Remembers contents.
pub(super) async fn put_contents(
    connection: &mut SqliteConnection,
    contents: &[FileContent],
) -> Result<(), Fault> {
    for some in in_even_parts(contents) {
        let mut statement: QueryBuilder<Sqlite> =
            QueryBuilder::new("INSERT OR REPLACE INTO content (prefix, size, manifest, content_hash) ");
        statement.push_values(some, |mut values, content| {
            values
                .push_bind(&content.file_id.as_bytes()[..8])
                .push_bind(content.size.cast_signed())
                .push_bind(content.manifest.encode())
                .push_bind(&content.content_hash.as_bytes()[..]);
        });
        statement.build().execute(&mut *connection).await?;
    }
    if !contents.is_empty() {
        sqlx::query("UPDATE meta SET contents_added = contents_added + $1")
            .bind(i64::try_from(contents.len()).unwrap_or(i64::MAX))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// Gives a namespace a number, or finds the one that it has.
pub(super) async fn give_number(
    connection: &mut SqliteConnection,
    namespace: NamespaceId,
) -> Result<Number, Fault> {
    sqlx::query("INSERT OR IGNORE INTO namespace (ns_id) VALUES ($1)")
        .bind(namespace.get())
        .execute(&mut *connection)
        .await?;
    Ok(
        sqlx::query_scalar("SELECT number FROM namespace WHERE ns_id = $1")
            .bind(namespace.get())
            .fetch_one(connection)
            .await?,
    )
}

/// Writes an intent down, in place of one of the same staged name.
pub(super) async fn add_intent(
    connection: &mut SqliteConnection,
    number: Number,
    intent: &Intent,
) -> Result<(), Fault> {
    sqlx::query("INSERT OR REPLACE INTO intent (ns, staged, node, step) VALUES ($1, $2, $3, $4)")
        .bind(number)
        .bind(&intent.staged)
        .bind(intent.node.get())
        .bind(&intent.step)
        .execute(connection)
        .await?;
    Ok(())
}

/// Remembers or forgets a value.
pub(super) async fn set_setting(
    connection: &mut SqliteConnection,
    key: &str,
    value: Option<&str>,
) -> Result<(), Fault> {
    match value {
        Some(value) => {
            sqlx::query("INSERT OR REPLACE INTO setting (key, value) VALUES ($1, $2)")
                .bind(key)
                .bind(value)
                .execute(connection)
                .await?
        }
        None => {
            sqlx::query("DELETE FROM setting WHERE key = $1")
                .bind(key)
                .execute(connection)
                .await?
        }
    };
    Ok(())
}

/// Adds a note and drops the oldest beyond [`ACTIVITY_NOTES`].
pub(super) async fn note_activity(
    connection: &mut SqliteConnection,
    at: Timestamp,
    what: &str,
    path: &str,
) -> Result<(), Fault> {
    let added = sqlx::query("INSERT INTO activity (at_ms, what, path) VALUES ($1, $2, $3)")
        .bind(at.as_millis())
        .bind(what)
        .bind(path)
        .execute(&mut *connection)
        .await?;
    // The newest row is never deleted, so that ids only grow.
    sqlx::query("DELETE FROM activity WHERE id <= $1")
        .bind(added.last_insert_rowid() - ACTIVITY_NOTES as i64)
        .execute(connection)
        .await?;
    Ok(())
}
