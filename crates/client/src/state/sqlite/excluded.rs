//! Folders of the server that the device does not keep, and the nodes in them.

use std::collections::HashSet;

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::tree::Entry;
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::Number;
use super::changes::{Changes, NODES_AT_ONCE, subtree};
use super::fault::Fault;
use super::row::node_id;
use crate::state::triple::TreeName;

/// Leaves a folder out, or with `None` keeps it again, with all that follows for what is below it.
pub(super) async fn exclude(
    connection: &mut SqliteConnection,
    number: Number,
    node: NodeId,
    path: Option<&str>,
) -> Result<(), Fault> {
    match path {
        Some(path) => {
            sqlx::query("INSERT OR REPLACE INTO excluded (ns, node, path) VALUES ($1, $2, $3)")
                .bind(number)
                .bind(node.get())
                .bind(path)
                .execute(&mut *connection)
                .await?
        }
        None => {
            sqlx::query("DELETE FROM excluded WHERE ns = $1 AND node = $2")
                .bind(number)
                .bind(node.get())
                .execute(&mut *connection)
                .await?
        }
    };
    let mut changes = Changes::new(connection, number);
    changes.withhold(node).await?;
    changes.finish().await
}

/// The folders that are left out.
pub(super) async fn excluded(
    connection: &mut SqliteConnection,
    number: Number,
) -> Result<Vec<(NodeId, String)>, Fault> {
    let rows = sqlx::query("SELECT node, path FROM excluded WHERE ns = $1 ORDER BY node")
        .bind(number)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((node_id(row.try_get(0)?)?, row.try_get(1)?)))
        .collect()
}

/// Whether a node of the remote tree is one of them or lies in one.
pub(super) async fn is_withheld(
    connection: &mut SqliteConnection,
    number: Number,
    node: NodeId,
) -> Result<bool, Fault> {
    let found = sqlx::query("SELECT 1 FROM entry WHERE ns = $1 AND node = $2 AND trees & 8")
        .bind(number)
        .bind(node.get())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

/// The node at a path of the remote tree.
pub(super) async fn remote_at(
    connection: &mut SqliteConnection,
    number: Number,
    path: &[NodeName],
) -> Result<Option<NodeId>, Fault> {
    let mut node = NodeId::ROOT;
    for name in path {
        let found = sqlx::query_scalar(
            "SELECT node
             FROM entry
             WHERE ns = $1 AND parent = $2 AND coalesce(folded, name) = $3 AND trees & 1",
        )
        .bind(number)
        .bind(node.get())
        .bind(name.key().as_str())
        .fetch_optional(&mut *connection)
        .await?;
        let Some(found) = found else { return Ok(None) };
        node = node_id(found)?;
    }
    Ok(Some(node))
}

impl Changes<'_> {
    async fn load_excluded(&mut self) -> Result<HashSet<NodeId>, Fault> {
        if let Some(known) = &self.excluded {
            return Ok(known.clone());
        }
        let rows = excluded(self.connection, self.number).await?;
        let nodes: HashSet<NodeId> = rows.into_iter().map(|(node, _)| node).collect();
        self.excluded = Some(nodes.clone());
        Ok(nodes)
    }

    /// Settles whether a node of the remote tree is withheld; where that changes, of all below it too.
    pub(super) async fn withhold(&mut self, node: NodeId) -> Result<(), Fault> {
        let excluded = self.load_excluded().await?;
        let triple = self.at(node).await?;
        let Some(remote) = triple.remote.as_ref() else {
            return Ok(());
        };
        let (parent, is_folder) = (remote.place.parent, Entry::is_directory(remote));
        let was_withheld = triple.is_withheld;
        if excluded.is_empty() && !was_withheld {
            return Ok(());
        }
        let is_below = parent != NodeId::ROOT && self.at(parent).await?.is_withheld;
        let is_withheld = is_below || excluded.contains(&node);
        if is_withheld == was_withheld {
            return Ok(());
        }
        self.at(node).await?.is_withheld = is_withheld;
        if is_folder {
            let below = self.remote_below(node).await?;
            let mut kept = HashSet::new();
            if !is_withheld {
                for folder in below.iter().filter(|node| excluded.contains(node)) {
                    kept.insert(*folder);
                    kept.extend(self.remote_below(*folder).await?);
                }
            }
            self.mark(
                below.into_iter().filter(|node| !kept.contains(node)).collect(),
                is_withheld,
            )
            .await?;
        }
        Ok(())
    }

    /// Withholds what is in the folders that are left out, after nothing was.
    pub(super) async fn withhold_excluded(&mut self) -> Result<(), Fault> {
        for node in self.load_excluded().await? {
            if self.at(node).await?.remote.is_some() {
                let mut all = self.remote_below(node).await?;
                all.push(node);
                self.mark(all, true).await?;
            }
        }
        Ok(())
    }

    async fn remote_below(&mut self, node: NodeId) -> Result<Vec<NodeId>, Fault> {
        self.write().await?;
        subtree(self.connection, self.number, TreeName::Remote, node).await
    }

    async fn mark(&mut self, nodes: Vec<NodeId>, is_withheld: bool) -> Result<(), Fault> {
        for some in nodes.chunks(NODES_AT_ONCE) {
            self.load(some).await?;
            for node in some {
                self.at(*node).await?.is_withheld = is_withheld;
            }
            self.write().await?;
        }
        Ok(())
    }
}
