//! What planning needs, read in one transaction.

use async_trait::async_trait;
use cairn_core::ids::NodeId;
use cairn_core::name::NameKey;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::Number;
use super::changes::{local_children, triples};
use super::fault::Fault;
use super::row::node_id;
use crate::state::neighbourhood::Source;
use crate::state::triple::{Below, Triple};

/// Places in one statement.
const PLACES_AT_ONCE: usize = 2_000;

/// Walks down the remote tree from $2 until a node is met of which the placeholder's condition is true. `r`, `s` and `l`
/// are its entries in the remote, synced and local trees.
macro_rules! any_below {
    ($condition:literal) => {
        concat!(
            "WITH RECURSIVE below (node) AS (
                 VALUES ($2)
                 UNION
                 SELECT e.node
                 FROM below CROSS JOIN entry e ON e.ns = $1 AND e.parent = below.node
                 WHERE e.trees & 1)
             SELECT 1
             FROM below
                 CROSS JOIN entry r ON r.ns = $1 AND r.node = below.node AND r.trees & 1
                 LEFT JOIN entry s ON s.ns = $1 AND s.node = below.node AND s.trees & 4
                 LEFT JOIN entry l ON l.ns = $1 AND l.node = below.node AND l.trees & 2
             WHERE below.node <> $2 AND ",
            $condition,
            " LIMIT 1"
        )
    };
}

/// One namespace within a transaction that reads.
pub(super) struct Snapshot<'t> {
    pub(super) connection: &'t mut SqliteConnection,
    pub(super) number: Number,
}

#[async_trait]
impl Source for Snapshot<'_> {
    type Fault = Fault;

    async fn dirty_after(&mut self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, Fault> {
        let rows = sqlx::query("SELECT node FROM dirty WHERE ns = $1 AND node > $2 ORDER BY node LIMIT $3")
            .bind(self.number)
            .bind(after.map_or(0, NodeId::get))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&mut *self.connection)
            .await?;
        rows.iter().map(|row| node_id(row.try_get(0)?)).collect()
    }

    async fn triples(&mut self, nodes: &[NodeId]) -> Result<Vec<(NodeId, Triple)>, Fault> {
        Ok(triples(self.connection, self.number, nodes)
            .await?
            .into_iter()
            .collect())
    }

    async fn holders(&mut self, places: &[(NodeId, NameKey)]) -> Result<Vec<NodeId>, Fault> {
        let mut holders = Vec::new();
        for some in places.chunks(PLACES_AT_ONCE) {
            let pairs: serde_json::Value = some
                .iter()
                .map(|(parent, key)| serde_json::json!([parent.get(), key.as_str()]))
                .collect();
            let rows = sqlx::query(
                "SELECT e.node
                 FROM json_each($2) j CROSS JOIN entry e
                     ON e.ns = $1
                     AND e.parent = json_extract(j.value, '$[0]')
                     AND coalesce(e.folded, e.name) = json_extract(j.value, '$[1]')",
            )
            .bind(self.number)
            .bind(pairs.to_string())
            .fetch_all(&mut *self.connection)
            .await?;
            for row in rows {
                holders.push(node_id(row.try_get(0)?)?);
            }
        }
        Ok(holders)
    }

    async fn local_children(&mut self, folder: NodeId, limit: usize) -> Result<Vec<NodeId>, Fault> {
        local_children(self.connection, self.number, folder, limit).await
    }

    async fn local_children_count(&mut self, folder: NodeId) -> Result<usize, Fault> {
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM entry WHERE ns = $1 AND parent = $2 AND trees & 2")
                .bind(self.number)
                .bind(folder.get())
                .fetch_one(&mut *self.connection)
                .await?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    async fn is_below(&mut self, folder: NodeId, what: Below) -> Result<bool, Fault> {
        let sql = match what {
            Below::Waiting => any_below!("l.node IS NOT NULL AND s.parent = r.parent AND s.name = r.name"),
            Below::Kept => any_below!(
                "CASE
                     WHEN s.node IS NULL THEN 1
                     WHEN l.node IS NOT NULL THEN s.parent <> r.parent OR s.name <> r.name
                     WHEN r.trees & 8 THEN 1
                     ELSE s.parent <> r.parent OR s.name <> r.name OR s.kind <> r.kind OR s.size <> r.size
                         OR s.file_id IS NOT r.file_id OR s.target IS NOT r.target
                 END"
            ),
        };
        let found = sqlx::query(sql)
            .bind(self.number)
            .bind(folder.get())
            .fetch_optional(&mut *self.connection)
            .await?;
        Ok(found.is_some())
    }
}
