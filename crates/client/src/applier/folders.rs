//! New folders, and attributes.

use cairn_core::ids::NodeId;
use cairn_core::node::NodeKind;
use cairn_core::tree::Entry;

use super::{Applier, ApplyError, ApplyResult};
use crate::fs::{DiskPath, FileKind};
use crate::state::StateBatch;

impl Applier {
    /// Makes a folder. An empty one that no node has is taken for it: that is what a crash leaves.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when something else has the name.
    pub async fn create_folder(&self, node: NodeId, entry: &Entry) -> ApplyResult<()> {
        let folder = self.folder_path(entry.place.parent).await?;
        let path = self.path_in(&folder, entry);
        let at = path.clone();
        match self.on_disk(move |fs| fs.create_directory(&at)).await {
            Err(error) if error.is_already_exists() && self.is_nobodys(&path).await? => {}
            Err(error) if error.is_already_exists() => return Err(ApplyError::Changed { path }),
            result => result?,
        }
        let found = self
            .look(&path)
            .await?
            .filter(|found| found.kind == FileKind::Node(NodeKind::Directory));
        let Some(found) = found else {
            return Err(ApplyError::Changed { path });
        };
        let mut batch = StateBatch::default();
        let row = self.placed_row(node, entry, found.fingerprint);
        self.add_row(&mut batch, row, Some(entry)).await?;
        self.write(batch).await
    }

    async fn is_nobodys(&self, path: &DiskPath) -> ApplyResult<bool> {
        if self.state.local_at(self.namespace, path.names()).await?.is_some() {
            return Ok(false);
        }
        let at = path.clone();
        let listed = self.on_disk(move |fs| fs.list(&at)).await;
        Ok(listed.is_ok_and(|entries| entries.is_empty()))
    }

    /// Gives a file the attributes of an entry.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when the file is not what the local tree says.
    pub async fn set_attributes(&self, node: NodeId, entry: &Entry) -> ApplyResult<()> {
        let (mut row, path) = self.local(node).await?;
        self.check_unchanged(&row, &path).await?;
        let (at, attributes) = (path.clone(), entry.attributes);
        self.on_disk(move |fs| fs.set_attributes(&at, attributes.executable, attributes.mtime))
            .await?;
        let found = self.look(&path).await?.filter(|found| {
            found.fingerprint.is_same_file(&row.fingerprint) && found.fingerprint.size == row.fingerprint.size
        });
        let Some(found) = found else {
            return Err(ApplyError::Changed { path });
        };
        row.fingerprint = found.fingerprint;
        row.entry.attributes = attributes;
        // A write just before would have got the new time: only the bytes can tell.
        row.is_unsure = true;
        let mut batch = StateBatch::default();
        self.add_row(&mut batch, row, Some(entry)).await?;
        self.write(batch).await
    }
}
