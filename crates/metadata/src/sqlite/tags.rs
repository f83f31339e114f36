//! Tags.

use async_trait::async_trait;
use cairn_core::ids::{NamespaceId, NodeId};

use super::SqliteMetadata;
use super::decode::Columns;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{Result, TagStore};

#[async_trait]
impl TagStore for SqliteMetadata {
    async fn add_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str, most: usize) -> Result<bool> {
        self.write(AddTag {
            namespace,
            node,
            tag: tag.to_owned(),
            most,
        })
        .await
    }

    async fn remove_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str) -> Result<bool> {
        self.write(RemoveTag {
            namespace,
            node,
            tag: tag.to_owned(),
        })
        .await
    }

    async fn tags(&self, namespace: NamespaceId, nodes: &[NodeId]) -> Result<Vec<Vec<String>>> {
        let mut reader = self.reader().await?;
        let mut session = reader.session();
        let mut tags = Vec::with_capacity(nodes.len());
        for node in nodes {
            tags.push(tags_of(&mut session, namespace, *node).await?);
        }
        Ok(tags)
    }
}

async fn tags_of(session: &mut Session<'_>, namespace: NamespaceId, node: NodeId) -> Result<Vec<String>> {
    let statement = query("SELECT tag FROM tag WHERE ns_id = $1 AND node_id = $2 ORDER BY tag")
        .bind(namespace.get())
        .bind(node.get());
    let rows = session.all(statement).await?;
    rows.iter()
        .map(|row| Ok(Columns::of(row).text()?.to_owned()))
        .collect()
}

struct AddTag {
    namespace: NamespaceId,
    node: NodeId,
    tag: String,
    most: usize,
}

#[async_trait]
impl Write for AddTag {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let tags = tags_of(session, self.namespace, self.node).await?;
        if tags.contains(&self.tag) {
            return Ok(true);
        }
        if tags.len() >= self.most {
            return Ok(false);
        }
        let insert = query("INSERT INTO tag (ns_id, node_id, tag) VALUES ($1, $2, $3)")
            .bind(self.namespace.get())
            .bind(self.node.get())
            .bind(self.tag.clone());
        session.execute(insert).await?;
        Ok(true)
    }
}

struct RemoveTag {
    namespace: NamespaceId,
    node: NodeId,
    tag: String,
}

#[async_trait]
impl Write for RemoveTag {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let delete = query("DELETE FROM tag WHERE ns_id = $1 AND node_id = $2 AND tag = $3")
            .bind(self.namespace.get())
            .bind(self.node.get())
            .bind(self.tag.clone());
        Ok(session.execute(delete).await? > 0)
    }
}
