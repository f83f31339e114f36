//! Tags: words that people give to files and folders. No journal tells of them: devices do not keep them.

use async_trait::async_trait;
use cairn_core::ids::{NamespaceId, NodeId};

use crate::Result;

/// The verbs about tags. As those of [`crate::MetadataStore`], each is atomic and durable. A node keeps its tags wherever it goes, to
/// the trash and back; that it exists is the caller's to know.
#[async_trait]
pub trait TagStore: Send + Sync + 'static {
    /// Gives a node a tag, which it may have already; false when it would be more than `most`.
    async fn add_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str, most: usize) -> Result<bool>;

    /// Takes a tag from a node; false when it has none such.
    async fn remove_tag(&self, namespace: NamespaceId, node: NodeId, tag: &str) -> Result<bool>;

    /// The tags of nodes, in the order asked; those of each in the order of their bytes.
    async fn tags(&self, namespace: NamespaceId, nodes: &[NodeId]) -> Result<Vec<Vec<String>>>;
}
