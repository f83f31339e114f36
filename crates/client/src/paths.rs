//! Where nodes of the local tree are on the disk: what is asked for many of them, each folder once.

use std::collections::HashMap;

use cairn_core::ids::{NamespaceId, NodeId};

use crate::fs::DiskPath;
use crate::state::{ClientState, LocalRow, StateResult};

/// The folders of one namespace that were asked for. Kept no longer than the rows at hand: folders move.
#[derive(Debug)]
pub(crate) struct Paths {
    namespace: NamespaceId,
    /// `None` for one that does not hang on the root.
    folders: HashMap<NodeId, Option<DiskPath>>,
}

impl Paths {
    /// Knows none yet.
    pub(crate) fn new(namespace: NamespaceId) -> Self {
        Self {
            namespace,
            folders: HashMap::new(),
        }
    }

    /// The path of a node; `None` when it does not hang on the root.
    pub(crate) async fn of(
        &mut self,
        state: &dyn ClientState,
        row: &LocalRow,
    ) -> StateResult<Option<DiskPath>> {
        let parent = row.entry.place.parent;
        if !self.folders.contains_key(&parent) {
            let names = state.disk_path(self.namespace, parent).await?;
            self.folders.insert(parent, names.map(DiskPath::from_names));
        }
        let folder = self.folders.get(&parent).and_then(Option::as_ref);
        Ok(folder.map(|folder| folder.join(row.name_on_disk())))
    }
}
