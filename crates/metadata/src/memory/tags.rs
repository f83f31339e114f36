//! Tags.

use async_trait::async_trait;
use cairn_core::ids::{NamespaceId, NodeId};

use super::MemoryMetadata;
use crate::{Result, TagStore};

#[async_trait]
impl TagStore for MemoryMetadata {
    async fn add_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str, most: usize) -> Result<bool> {
        let mut state = self.lock();
        let tags = state.tags.entry((namespace, node)).or_default();
        if !tags.contains(tag) && tags.len() >= most {
            return Ok(false);
        }
        tags.insert(tag.to_owned());
        Ok(true)
    }

    async fn remove_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str) -> Result<bool> {
        let mut state = self.lock();
        let tags = state.tags.get_mut(&(namespace, node));
        Ok(tags.is_some_and(|tags| tags.remove(tag)))
    }

    async fn tags(&self, namespace: NamespaceId, nodes: &[NodeId]) -> Result<Vec<Vec<String>>> {
        let state = self.lock();
        let tags = nodes.iter().map(|node| state.tags.get(&(namespace, *node)));
        let tags = tags.map(|tags| tags.into_iter().flatten().cloned().collect());
        Ok(tags.collect())
    }
}
