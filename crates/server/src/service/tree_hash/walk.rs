//! One walk through what lies below a folder.

use std::collections::VecDeque;

use cairn_api::sync::HashedContent;
use cairn_core::ids::{NodeId, TreeHash};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::tree_hash::{Child, FolderHasher};
use cairn_metadata::MetadataError;
use tokio::time::Instant;

use super::{Key, NODES_WORTH_KEEPING, hashed};
use crate::error::ServiceError;
use crate::state::State;

/// Nodes that are read at once.
const PAGE: usize = 256;
/// Nodes that wait in all open folders together; beyond it, those of the folders above are read again later.
const NODES_WAITING: usize = 4_096;

/// A child that waits.
struct Waiting {
    node: NodeId,
    name: NodeName,
    /// `None` for a folder.
    content: Option<HashedContent>,
}

/// A folder whose children are being hashed.
struct Open {
    folder: NodeId,
    /// Its name in the folder above.
    name: Option<NodeName>,
    hasher: FolderHasher,
    waiting: VecDeque<Waiting>,
    /// The last child that was taken.
    after: Option<NameKey>,
    /// Whether there are more behind those that wait.
    has_more: bool,
    /// Nodes below it.
    nodes: u64,
}

impl Open {
    fn new(folder: NodeId, name: Option<NodeName>) -> Self {
        Self {
            folder,
            name,
            hasher: FolderHasher::new(),
            waiting: VecDeque::new(),
            after: None,
            has_more: true,
            nodes: 0,
        }
    }

    fn add(&mut self, name: &NodeName, child: &Child<'_>) -> Result<(), ServiceError> {
        self.nodes += 1;
        self.hasher.add(name, child).map_err(|error| {
            ServiceError::Metadata(MetadataError::Corrupt {
                what: format!("folder {}: {error}", self.folder),
            })
        })
    }
}

/// A walk that stands still between two requests.
pub(super) struct Walk {
    open: Vec<Open>,
    folders: u64,
}

impl Walk {
    pub(super) fn new(folder: NodeId) -> Self {
        Self {
            open: vec![Open::new(folder, None)],
            folders: 0,
        }
    }

    /// Folders that are hashed.
    pub(super) const fn folders(&self) -> u64 {
        self.folders
    }

    /// Goes on until the folder is hashed, or `deadline` (`None`).
    pub(super) async fn go_on(
        &mut self,
        state: &State,
        (namespace, _, at): Key,
        deadline: Instant,
    ) -> Result<Option<TreeHash>, ServiceError> {
        while let Some(top) = self.open.last_mut() {
            if let Some(child) = top.waiting.pop_front() {
                top.after = Some(child.name.key());
                match &child.content {
                    Some(content) => top.add(&child.name, &content.as_child())?,
                    None => match state.tree_hashes.done.get(&(namespace, child.node, at)) {
                        Some(hash) => top.add(&child.name, &Child::Folder { hash })?,
                        None => self.enter(child),
                    },
                }
                continue;
            }
            if top.has_more {
                if Instant::now() >= deadline {
                    return Ok(None);
                }
                let page = state
                    .metadata
                    .children_at(namespace, top.folder, Some(at), top.after.as_ref(), PAGE)
                    .await?;
                top.has_more = page.has_more;
                top.waiting = page
                    .nodes
                    .into_iter()
                    .map(|node| Waiting {
                        content: hashed(&node),
                        node: node.id,
                        name: node.place.name,
                    })
                    .collect();
                continue;
            }
            let hash = top.hasher.finish();
            if top.nodes >= NODES_WORTH_KEEPING || self.open.len() == 1 {
                let folder = self.open.last().map_or(NodeId::ROOT, |open| open.folder);
                state.tree_hashes.done.insert((namespace, folder, at), hash);
            }
            self.folders += 1;
            if let Some(hash) = self.leave(hash)? {
                return Ok(Some(hash));
            }
        }
        Err(ServiceError::Metadata(MetadataError::Corrupt {
            what: "a walk ended without a folder".to_owned(),
        }))
    }

    fn enter(&mut self, folder: Waiting) {
        let waiting: usize = self.open.iter().map(|open| open.waiting.len()).sum();
        if waiting > NODES_WAITING {
            for open in self.open.iter_mut().filter(|open| !open.waiting.is_empty()) {
                open.waiting.clear();
                open.has_more = true;
            }
        }
        self.open.push(Open::new(folder.node, Some(folder.name)));
    }

    /// Gives a folder's hash to the one above; returns it when there is none.
    fn leave(&mut self, hash: TreeHash) -> Result<Option<TreeHash>, ServiceError> {
        let done = self.open.pop();
        match (self.open.last_mut(), done) {
            (
                Some(above),
                Some(Open {
                    name: Some(name),
                    nodes,
                    ..
                }),
            ) => {
                above.nodes += nodes;
                above.add(&name, &Child::Folder { hash })?;
                Ok(None)
            }
            _ => Ok(Some(hash)),
        }
    }
}
