//! From a plan to the disk, so that nothing of the user's is ever lost.
//!
//! An intent is written down before a user's file leaves its place. What shall be replaced must be in the state that the
//! local tree has; it is swapped out, and what was really displaced is looked at again: if somebody wrote to it in
//! between, it stays as a conflicted copy. Otherwise it waits in the stage for a second look, see [`Applier::look_again`],
//! and goes to the root's trash for a week. A crash is repaired by
//! comparing fingerprints, see [`Applier::recover`].

mod disk_name;
mod displaced;
mod error;
mod folders;
mod moves;
mod place;
mod record;
mod remove;
mod replace;
mod replay;
mod stage_names;
mod step;
mod swap;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use cairn_core::conflict;
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::runtime::Runtime;
use cairn_core::time::Date;
use cairn_core::tree::Entry;

pub use self::disk_name::disk_name_for;
pub use self::displaced::LOOK_AGAIN_AFTER_MS;
pub use self::error::ApplyError;
pub use self::replay::PARTIAL_PREFIX;

use crate::fs::{DiskPath, Filesystem, FsResult, Metadata};
use crate::state::{ClientState, LocalRow};

/// The result of every step.
pub type ApplyResult<T> = Result<T, ApplyError>;

/// A verified, finished staged file and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The node that it becomes.
    pub node: NodeId,
    /// The remote entry.
    pub entry: Entry,
    /// Its staged name.
    pub staged: String,
}

/// The node that a displaced local version becomes, and its name in the same folder.
pub type Keep = (NodeId, NodeName);

/// Puts on the disk what was planned. Steps for different nodes may run at once; no scan may run meanwhile.
pub struct Applier {
    fs: Arc<dyn Filesystem>,
    state: Arc<dyn ClientState>,
    runtime: Runtime,
    namespace: NamespaceId,
    device_name: String,
}

impl Applier {
    /// An applier for one root; `device_name` appears in the names of conflicted copies.
    pub fn new(
        fs: Arc<dyn Filesystem>,
        state: Arc<dyn ClientState>,
        runtime: Runtime,
        namespace: NamespaceId,
        device_name: &str,
    ) -> Self {
        Self {
            fs,
            state,
            runtime,
            namespace,
            device_name: disk_name::printable(device_name),
        }
    }

    /// Runs filesystem calls on the blocking pool.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Filesystem) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let fs = Arc::clone(&self.fs);
        self.runtime.blocking(move || work(&*fs)).await
    }

    async fn look(&self, path: &DiskPath) -> FsResult<Option<Metadata>> {
        let path = path.clone();
        self.on_disk(move |fs| fs.metadata(&path)).await
    }

    async fn look_staged(&self, staged: &str) -> FsResult<Option<Metadata>> {
        let staged = staged.to_owned();
        self.on_disk(move |fs| fs.staged(&staged)).await
    }

    /// The row of a local node and its path.
    async fn local(&self, node: NodeId) -> ApplyResult<(LocalRow, DiskPath)> {
        let row = self.state.local(self.namespace, node).await?;
        let names = self.state.disk_path(self.namespace, node).await?;
        match (row, names) {
            (Some(row), Some(names)) => Ok((row, DiskPath::from_names(names))),
            _ => Err(ApplyError::NotLocal { node }),
        }
    }

    async fn folder_path(&self, folder: NodeId) -> ApplyResult<DiskPath> {
        match self.state.disk_path(self.namespace, folder).await? {
            Some(names) => Ok(DiskPath::from_names(names)),
            None => Err(ApplyError::NoParent { node: folder }),
        }
    }

    /// A staged name of our own that nothing has.
    pub(crate) fn fresh_staged_name(&self, what: &str) -> String {
        let mut bytes = [0; 16];
        self.runtime.entropy.fill(&mut bytes);
        format!("{what}-{:032x}", u128::from_le_bytes(bytes))
    }

    /// The name of a conflicted copy made now.
    fn conflict_name(&self, name: &NodeName) -> NodeName {
        let date = Date::of(self.runtime.clock.now());
        conflict::original(name).with_suffix(&format!(" ({})", conflict::label(&self.device_name, date)))
    }
}
