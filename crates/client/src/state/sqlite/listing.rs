//! A listing of the remote tree, kept aside until it is complete.

use std::collections::BTreeMap;

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::{Content, FileContent, Node};
use cairn_core::rev::Cursor;
use cairn_core::tree::Entry;
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Row, Sqlite};

use super::Number;
use super::batch::{add_waypoint, put_contents};
use super::changes::{Changes, NODES_AT_ONCE, in_even_parts, json_ids};
use super::fault::Fault;
use super::row::{self, EntryColumns};
use crate::state::Relisted;

/// Starts a listing at a position, in place of one that was not finished.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
    number: Number,
    at: Cursor,
) -> Result<(), Fault> {
    clear(connection, number).await?;
    sqlx::query(
        "UPDATE namespace
         SET listing_incarnation = $2, listing_seq = $3, listing_chain = $4
         WHERE number = $1",
    )
    .bind(number)
    .bind(&at.incarnation.as_bytes()[..])
    .bind(at.seq.get())
    .bind(&at.chain.as_bytes()[..])
    .execute(connection)
    .await?;
    Ok(())
}

async fn clear(connection: &mut SqliteConnection, number: Number) -> Result<(), Fault> {
    sqlx::query("DELETE FROM listing WHERE ns = $1")
        .bind(number)
        .execute(connection)
        .await?;
    Ok(())
}

/// Where the listing that is under way stands, and its greatest node.
pub(super) async fn unfinished(
    connection: &mut SqliteConnection,
    number: Number,
    namespace: NamespaceId,
) -> Result<Option<(Cursor, Option<NodeId>)>, Fault> {
    let found = sqlx::query(
        "SELECT listing_incarnation, listing_seq, listing_chain, (SELECT max(node) FROM listing WHERE ns = $1)
         FROM namespace
         WHERE number = $1",
    )
    .bind(number)
    .fetch_one(connection)
    .await?;
    let Some(at) = row::cursor(&found, 0, namespace)? else {
        return Ok(None);
    };
    let last = found
        .try_get::<Option<i64>, _>(3)?
        .map(row::node_id)
        .transpose()?;
    Ok(Some((at, last)))
}

/// Adds a page. Nothing happens when no listing is under way; fixed nodes are left out.
pub(super) async fn add(
    connection: &mut SqliteConnection,
    number: Number,
    nodes: &[Node],
) -> Result<(), Fault> {
    let is_under_way: bool =
        sqlx::query_scalar("SELECT listing_seq IS NOT NULL FROM namespace WHERE number = $1")
            .bind(number)
            .fetch_one(&mut *connection)
            .await?;
    if !is_under_way {
        return Ok(());
    }
    let listed = || nodes.iter().filter(|node| !node.id.is_reserved());
    let entries: Vec<(NodeId, Entry)> = listed().map(|node| (node.id, Entry::from(node))).collect();
    for some in in_even_parts(&entries) {
        insert(connection, number, some).await?;
    }
    let contents: Vec<FileContent> = listed()
        .filter_map(|node| match &node.content {
            Content::File(content) => Some(content.clone()),
            Content::Directory | Content::Symlink(_) => None,
        })
        .collect();
    put_contents(connection, &contents).await
}

async fn insert(
    connection: &mut SqliteConnection,
    number: Number,
    entries: &[(NodeId, Entry)],
) -> Result<(), Fault> {
    let mut statement: QueryBuilder<Sqlite> = QueryBuilder::new(
        "INSERT OR REPLACE INTO listing (ns, node, parent, name, kind, file_id, size, target, mtime_s, mtime_ns, exec,
                                         place_seq, content_seq) ",
    );
    statement.push_values(entries, |mut values, (node, entry)| {
        let entry = EntryColumns::from(entry);
        values
            .push_bind(number)
            .push_bind(node.get())
            .push_bind(entry.parent)
            .push_bind(entry.name)
            .push_bind(entry.kind)
            .push_bind(entry.file_id)
            .push_bind(entry.size)
            .push_bind(entry.target)
            .push_bind(entry.mtime.seconds)
            .push_bind(i64::from(entry.mtime.nanos))
            .push_bind(entry.executable)
            .push_bind(entry.place_seq)
            .push_bind(entry.content_seq);
    });
    statement.build().execute(connection).await?;
    Ok(())
}

/// Makes the listing the remote tree, page by page through the nodes of both.
pub(super) async fn finish(
    connection: &mut SqliteConnection,
    number: Number,
    namespace: NamespaceId,
    kind: Relisted,
) -> Result<(), Fault> {
    let Some((at, _)) = unfinished(connection, number, namespace).await? else {
        return Ok(());
    };
    let mut changes = Changes::new(connection, number);
    changes.saw_seq(at.seq);
    let mut after = 0;
    loop {
        let nodes = next_nodes(changes.connection, number, after).await?;
        let Some(last) = nodes.last() else { break };
        after = last.get();
        let mut listed = listed(changes.connection, number, &nodes).await?;
        changes.load(&nodes).await?;
        for node in nodes {
            let entry = listed.remove(&node);
            if let Some(entry) = &entry {
                changes.saw(entry);
            }
            changes.at(node).await?.relist(entry, kind);
        }
        changes.write().await?;
    }
    changes.withhold_excluded().await?;
    changes.finish().await?;
    clear(connection, number).await?;
    if let Relisted::Merge { shared } = kind {
        sqlx::query("DELETE FROM checkpoint WHERE ns = $1")
            .bind(number)
            .execute(&mut *connection)
            .await?;
        sqlx::query("DELETE FROM waypoint WHERE ns = $1 AND seq > $2")
            .bind(number)
            .bind(shared.get())
            .execute(&mut *connection)
            .await?;
    }
    sqlx::query(
        "UPDATE namespace
         SET incarnation = listing_incarnation, seq = listing_seq, chain = listing_chain,
             listing_incarnation = NULL, listing_seq = NULL, listing_chain = NULL
         WHERE number = $1",
    )
    .bind(number)
    .execute(&mut *connection)
    .await?;
    add_waypoint(connection, number, &at).await
}

async fn next_nodes(
    connection: &mut SqliteConnection,
    number: Number,
    after: i64,
) -> Result<Vec<NodeId>, Fault> {
    let rows = sqlx::query(
        "SELECT node FROM entry WHERE ns = $1 AND node > $2
         UNION
         SELECT node FROM listing WHERE ns = $1 AND node > $2
         ORDER BY node
         LIMIT $3",
    )
    .bind(number)
    .bind(after)
    .bind(NODES_AT_ONCE as i64)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| row::node_id(row.try_get(0)?)).collect()
}

async fn listed(
    connection: &mut SqliteConnection,
    number: Number,
    nodes: &[NodeId],
) -> Result<BTreeMap<NodeId, Entry>, Fault> {
    let rows = sqlx::query(
        "SELECT l.node, 1, l.parent, l.name, l.kind, l.file_id, l.size, l.target, l.mtime_s, l.mtime_ns, l.exec,
                l.place_seq, l.content_seq
         FROM json_each($2) j CROSS JOIN listing l ON l.ns = $1 AND l.node = j.value",
    )
    .bind(number)
    .bind(json_ids(nodes))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|found| Ok((row::node(found)?, row::entry(found)?)))
        .collect()
}
