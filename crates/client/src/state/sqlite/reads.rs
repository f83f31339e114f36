//! The verbs that read.

use std::collections::{HashMap, HashSet};

use cairn_core::ids::{ChainHash, ContentHash, FileId, NamespaceId, NodeId, OpId};
use cairn_core::limits;
use cairn_core::manifest::Manifest;
use cairn_core::name::NodeName;
use cairn_core::node::FileContent;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree::{Entry, Substance};
use futures::TryStreamExt;
use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::Number;
use super::fault::Fault;
use super::row::{self, local_row, select_entries};
use crate::state::triple::TreeName;
use crate::state::{Counts, InFlight, Intent, LocalRow};

/// Contents in one statement.
const CONTENTS_AT_ONCE: usize = 1_000;
/// Inodes in one statement.
const INODES_AT_ONCE: usize = 2_000;

pub(super) async fn number(
    connection: &mut SqliteConnection,
    namespace: NamespaceId,
) -> Result<Option<Number>, Fault> {
    Ok(
        sqlx::query_scalar("SELECT number FROM namespace WHERE ns_id = $1")
            .bind(namespace.get())
            .fetch_optional(connection)
            .await?,
    )
}

pub(super) async fn cursor(
    connection: &mut SqliteConnection,
    number: Number,
    namespace: NamespaceId,
) -> Result<Option<Cursor>, Fault> {
    let found = sqlx::query("SELECT incarnation, seq, chain FROM namespace WHERE number = $1")
        .bind(number)
        .fetch_one(connection)
        .await?;
    row::cursor(&found, 0, namespace)
}

pub(super) async fn checkpoints(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<Vec<(Seq, ChainHash)>, Fault> {
    let found = sqlx::query("SELECT seq, chain FROM checkpoint WHERE ns = $1 ORDER BY seq")
        .bind(number)
        .fetch_all(connection)
        .await?;
    found.iter().map(point).collect()
}

pub(super) async fn waypoints(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<Vec<(Seq, ChainHash)>, Fault> {
    let found = sqlx::query("SELECT seq, chain FROM waypoint WHERE ns = $1 ORDER BY number")
        .bind(number)
        .fetch_all(connection)
        .await?;
    found.iter().map(point).collect()
}

/// A point of the journal.
fn point(found: &SqliteRow) -> Result<(Seq, ChainHash), Fault> {
    let chain = ChainHash::from_slice(found.try_get(1)?).ok_or_else(|| Fault::damaged("chain"))?;
    Ok((row::seq(found.try_get(0)?)?, chain))
}

pub(super) async fn counts(connection: &mut SqliteConnection, number: Number) -> Result<Counts, Fault> {
    let found = sqlx::query("SELECT local_nodes, remote_nodes, dirty_nodes FROM namespace WHERE number = $1")
        .bind(number)
        .fetch_one(connection)
        .await?;
    let count = |column: usize| -> Result<u64, Fault> {
        u64::try_from(found.try_get::<i64, _>(column)?).map_err(|_| Fault::damaged("count"))
    };
    Ok(Counts {
        local_nodes: count(0)?,
        remote_nodes: count(1)?,
        dirty: count(2)?,
    })
}

pub(super) async fn seen(connection: &mut SqliteConnection, number: Number) -> Result<Seq, Fault> {
    let value = sqlx::query_scalar("SELECT seen FROM namespace WHERE number = $1")
        .bind(number)
        .fetch_one(connection)
        .await?;
    row::seq(value)
}

pub(super) async fn entry(
    connection: &mut SqliteConnection,
    number: Number,
    node: NodeId,
    tree: TreeName,
) -> Result<Option<Entry>, Fault> {
    let found = sqlx::query(select_entries!(
        "entry e",
        "WHERE e.ns = $1 AND e.node = $2 AND e.trees & $3"
    ))
    .bind(number)
    .bind(node.get())
    .bind(tree.bit())
    .fetch_optional(connection)
    .await?;
    found.as_ref().map(row::entry).transpose()
}

pub(super) async fn local(
    connection: &mut SqliteConnection,
    number: Number,
    node: NodeId,
) -> Result<Option<LocalRow>, Fault> {
    let found = sqlx::query(select_entries!(
        "entry e",
        "WHERE e.ns = $1 AND e.node = $2 AND e.trees & 2"
    ))
    .bind(number)
    .bind(node.get())
    .fetch_optional(connection)
    .await?;
    found.as_ref().map(local_row).transpose()
}

fn local_rows(rows: &[SqliteRow]) -> Result<Vec<LocalRow>, Fault> {
    rows.iter().map(local_row).collect()
}

pub(super) async fn local_children(
    connection: &mut SqliteConnection,
    number: Number,
    folder: NodeId,
) -> Result<Vec<LocalRow>, Fault> {
    let mut found = sqlx::query(select_entries!(
        "entry e",
        "WHERE e.ns = $1 AND e.parent = $2 AND e.trees & 2"
    ))
    .bind(number)
    .bind(folder.get())
    .fetch(connection);
    // One by one, since a folder may have any number, and what the library holds of a row is many times what is made of it.
    let mut rows = Vec::new();
    while let Some(row) = found.try_next().await? {
        rows.push(local_row(&row)?);
    }
    rows.sort_by(|a, b| a.name_on_disk().cmp(b.name_on_disk()));
    Ok(rows)
}

pub(super) async fn local_by_inode(
    connection: &mut SqliteConnection,
    number: Number,
    inode: u64,
) -> Result<Vec<LocalRow>, Fault> {
    let found = sqlx::query(select_entries!(
        "observed i CROSS JOIN entry e ON e.ns = i.ns AND e.node = i.node AND e.trees & 2",
        "WHERE i.ns = $1 AND i.inode = $2 ORDER BY i.node"
    ))
    .bind(number)
    .bind(inode.cast_signed())
    .fetch_all(connection)
    .await?;
    local_rows(&found)
}

pub(super) async fn known_inodes(
    connection: &mut SqliteConnection,
    number: Number,
    inodes: &[u64],
) -> Result<HashSet<u64>, Fault> {
    let mut known = HashSet::new();
    for some in inodes.chunks(INODES_AT_ONCE) {
        let asked: serde_json::Value = some.iter().map(|inode| inode.cast_signed()).collect();
        let found = sqlx::query_scalar::<_, i64>(
            "SELECT i.inode FROM json_each($2) j CROSS JOIN observed i ON i.ns = $1 AND i.inode = j.value",
        )
        .bind(number)
        .bind(asked.to_string())
        .fetch_all(&mut *connection)
        .await?;
        known.extend(found.into_iter().map(i64::cast_unsigned));
    }
    Ok(known)
}

pub(super) async fn unsure(
    connection: &mut SqliteConnection,
    number: Number,
    limit: usize,
) -> Result<Vec<LocalRow>, Fault> {
    let found = sqlx::query(select_entries!(
        "observed i CROSS JOIN entry e ON e.ns = i.ns AND e.node = i.node AND e.trees & 2",
        "WHERE i.ns = $1 AND i.unsure ORDER BY i.node LIMIT $2"
    ))
    .bind(number)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    local_rows(&found)
}

/// Of each content the first file that has it, however many have.
pub(super) async fn locals_with_contents(
    connection: &mut SqliteConnection,
    number: Number,
    file_ids: &[FileId],
) -> Result<HashMap<FileId, LocalRow>, Fault> {
    let mut found = HashMap::new();
    for some in file_ids.chunks(CONTENTS_AT_ONCE) {
        let ids: serde_json::Value = some.iter().map(ToString::to_string).collect();
        let rows = sqlx::query(select_entries!(
            "json_each($2) j CROSS JOIN entry e ON e.ns = $1 AND e.trees & 2 AND e.node = (
                 SELECT min(f.node)
                 FROM entry f
                 WHERE f.ns = $1 AND substr(f.file_id, 1, 8) = substr(unhex(j.value), 1, 8)
                   AND f.file_id = unhex(j.value) AND f.trees & 2)",
            ""
        ))
        .bind(number)
        .bind(ids.to_string())
        .fetch_all(&mut *connection)
        .await?;
        for row in local_rows(&rows)? {
            if let Substance::File { file_id, .. } = row.entry.substance {
                found.insert(file_id, row);
            }
        }
    }
    Ok(found)
}

pub(super) async fn remote_has_content(
    connection: &mut SqliteConnection,
    number: Number,
    file_id: FileId,
) -> Result<bool, Fault> {
    let found = sqlx::query(
        "SELECT 1 FROM entry
         WHERE ns = $1 AND substr(file_id, 1, 8) = substr($2, 1, 8) AND file_id = $2 AND trees & 1
         LIMIT 1",
    )
    .bind(number)
    .bind(&file_id.as_bytes()[..])
    .fetch_optional(connection)
    .await?;
    Ok(found.is_some())
}

/// The names down to a node: on the disk for the local tree.
pub(super) async fn path(
    connection: &mut SqliteConnection,
    number: Number,
    node: NodeId,
    tree: TreeName,
) -> Result<Option<Vec<String>>, Fault> {
    let found = sqlx::query(
        "WITH RECURSIVE up (node, parent, name, height) AS (
             SELECT node, parent, name, 1
             FROM entry
             WHERE ns = $1 AND node = $2 AND trees & $3
             UNION ALL
             SELECT e.node, e.parent, e.name, up.height + 1
             FROM up CROSS JOIN entry e ON e.ns = $1 AND e.node = up.parent
             WHERE e.trees & $3 AND up.height < $4)
         SELECT up.parent, coalesce(o.disk_name, up.name)
         FROM up LEFT JOIN observed o ON $3 = 2 AND o.ns = $1 AND o.node = up.node
         ORDER BY up.height DESC",
    )
    .bind(number)
    .bind(node.get())
    .bind(tree.bit())
    .bind(limits::TREE_DEPTH as i64)
    .fetch_all(connection)
    .await?;
    let Some(top) = found.first() else { return Ok(None) };
    if row::node_id(top.try_get(0)?)? != NodeId::ROOT {
        return Ok(None);
    }
    found
        .iter()
        .map(|row| Ok(row.try_get(1)?))
        .collect::<Result<_, Fault>>()
        .map(Some)
}

pub(super) async fn local_at(
    connection: &mut SqliteConnection,
    number: Number,
    path: &[String],
) -> Result<Option<LocalRow>, Fault> {
    let mut found: Option<LocalRow> = None;
    for name in path {
        let folder = found.map_or(NodeId::ROOT, |row| row.node);
        found = local_child(connection, number, folder, name).await?;
        if found.is_none() {
            return Ok(None);
        }
    }
    Ok(found)
}

async fn local_child(
    connection: &mut SqliteConnection,
    number: Number,
    folder: NodeId,
    disk_name: &str,
) -> Result<Option<LocalRow>, Fault> {
    // A disk name that no node can have is found among the names that differ from the nodes' own.
    if let Ok(name) = NodeName::new(disk_name) {
        let found = sqlx::query(select_entries!(
            "entry e",
            "WHERE e.ns = $1 AND e.parent = $2 AND coalesce(e.folded, e.name) = $3 AND e.trees & 2
                 AND e.name = $4 AND o.disk_name IS NULL"
        ))
        .bind(number)
        .bind(folder.get())
        .bind(name.key().as_str())
        .bind(disk_name)
        .fetch_optional(&mut *connection)
        .await?;
        if let Some(found) = found {
            return local_row(&found).map(Some);
        }
    }
    let found = sqlx::query(select_entries!(
        "observed i CROSS JOIN entry e ON e.ns = i.ns AND e.node = i.node AND e.trees & 2",
        "WHERE i.ns = $1 AND i.disk_name = $3 AND e.parent = $2"
    ))
    .bind(number)
    .bind(folder.get())
    .bind(disk_name)
    .fetch_optional(connection)
    .await?;
    found.as_ref().map(local_row).transpose()
}

pub(super) async fn contents(
    connection: &mut SqliteConnection,
    file_ids: &[FileId],
) -> Result<Vec<Option<FileContent>>, Fault> {
    let mut found: HashMap<FileId, FileContent> = HashMap::new();
    for some in file_ids.chunks(CONTENTS_AT_ONCE) {
        let ids: serde_json::Value = some.iter().map(ToString::to_string).collect();
        let rows = sqlx::query(
            "SELECT c.size, c.manifest, c.content_hash
             FROM json_each($1) j CROSS JOIN content c ON c.prefix = substr(unhex(j.value), 1, 8)",
        )
        .bind(ids.to_string())
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            let content = content(&row)?;
            found.insert(content.file_id, content);
        }
    }
    Ok(file_ids.iter().map(|id| found.get(id).cloned()).collect())
}

fn content(row: &SqliteRow) -> Result<FileContent, Fault> {
    let size = row.try_get::<i64, _>(0)?.cast_unsigned();
    let manifest = Manifest::decode(row.try_get(1)?).map_err(|error| Fault::Damaged(error.to_string()))?;
    let content_hash = ContentHash::from_slice(row.try_get(2)?);
    Ok(FileContent {
        size,
        file_id: manifest.file_id(size),
        manifest,
        content_hash: content_hash.ok_or_else(|| Fault::damaged("content hash"))?,
    })
}

pub(super) async fn in_flight(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<Option<InFlight>, Fault> {
    let found = sqlx::query("SELECT op_id, request FROM in_flight WHERE ns = $1")
        .bind(number)
        .fetch_optional(connection)
        .await?;
    let Some(found) = found else { return Ok(None) };
    let op_id = OpId::from_slice(found.try_get(0)?).ok_or_else(|| Fault::damaged("operation id"))?;
    Ok(Some(InFlight {
        op_id,
        request: found.try_get(1)?,
    }))
}

pub(super) async fn intents(connection: &mut SqliteConnection, number: Number) -> Result<Vec<Intent>, Fault> {
    let found = sqlx::query("SELECT staged, node, step FROM intent WHERE ns = $1 ORDER BY staged")
        .bind(number)
        .fetch_all(connection)
        .await?;
    found
        .iter()
        .map(|found| {
            Ok(Intent {
                staged: found.try_get(0)?,
                node: row::node_id(found.try_get(1)?)?,
                step: found.try_get(2)?,
            })
        })
        .collect()
}

pub(super) async fn setting(connection: &mut SqliteConnection, key: &str) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT value FROM setting WHERE key = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?)
}

pub(super) async fn activity(
    connection: &mut SqliteConnection,
    limit: usize,
) -> Result<Vec<(Timestamp, String, String)>, Fault> {
    let found = sqlx::query("SELECT at_ms, what, path FROM activity ORDER BY id DESC LIMIT $1")
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    found
        .iter()
        .map(|found| {
            Ok((
                Timestamp::from_millis(found.try_get(0)?),
                found.try_get(1)?,
                found.try_get(2)?,
            ))
        })
        .collect()
}
