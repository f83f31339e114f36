//! New folders, and attributes.

use cairn_core::ids::NodeId;
use cairn_core::node::{Attributes, NodeKind};
use cairn_core::tree::{Entry, Substance};

use super::place::Standing;
use super::{Applier, ApplyError, ApplyResult};
use crate::fs::{DiskPath, FileKind, FsError, FsResult, Metadata};
use crate::state::{LocalChange, LocalRow, StateBatch};

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
        let row = self.placed_row(
            node,
            entry,
            Standing {
                fingerprint: found.fingerprint,
                is_unsure: false,
            },
        );
        self.add_row(&mut batch, row, Some(entry)).await?;
        self.write(batch).await
    }

    async fn is_nobodys(&self, path: &DiskPath) -> ApplyResult<bool> {
        if self.state.local_at(self.namespace, path.names()).await?.is_some() {
            return Ok(false);
        }
        // A disk that folds names finds a folder under one that is not its own byte for byte.
        let Some(found) = self.look(path).await? else {
            return Ok(false);
        };
        let inode = found.fingerprint.inode;
        let known = self.state.local_by_inode(self.namespace, inode).await?;
        if known
            .iter()
            .any(|row| row.fingerprint.is_same_file(&found.fingerprint))
        {
            return Ok(false);
        }
        let at = path.clone();
        let listed = self.on_disk(move |fs| fs.list(&at)).await;
        Ok(listed.is_ok_and(|entries| entries.is_empty()))
    }

    /// Makes a folder that was found durable, before it is taken for the server's: it may be one that this device made just
    /// before a crash, and its loss with the power would be taken for its user's wish. Anything else is left alone.
    ///
    /// # Errors
    /// As the filesystem and the state say.
    pub async fn secure_folder(&self, node: NodeId) -> ApplyResult<()> {
        let (row, path) = match self.local(node).await {
            Err(ApplyError::NotLocal { .. }) => return Ok(()),
            found => found?,
        };
        if row.entry.substance != Substance::Directory {
            return Ok(());
        }
        // Making one that is there makes its name durable, and nothing else.
        match self.on_disk(move |fs| fs.create_directory(&path)).await {
            Err(error) if is_of_disk(&error) && !error.is_already_exists() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Gives a file the attributes of an entry. When that fails the file's bytes are in doubt: a disk that cannot write out
    /// what a program wrote before may have forgotten it. Then its content is unknown until the next scan has read it. Where
    /// that is not what was agreed upon, nothing is any more, so that it does not replace the server's version.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] when the file is not what the local tree says.
    pub async fn set_attributes(&self, node: NodeId, entry: &Entry) -> ApplyResult<()> {
        let (mut row, path) = self.local(node).await?;
        self.check_unchanged(&row, &path).await?;
        let attributes = entry.attributes;
        let set = self.set_on_disk(&path, attributes).await;
        if let Err(error) = set {
            if is_of_disk(&error) && row.entry.substance == entry.substance {
                // Nor are the attributes there for good. With the old ones back the next pass sets them once more, and syncs that;
                // where they stood as wanted they would count as agreed upon, and a loss of power would look like a change.
                if let Err(error) = self.set_on_disk(&path, row.entry.attributes).await {
                    tracing::debug!(%error, "the old attributes cannot be put back");
                }
                row.forget_content();
                let batch = StateBatch {
                    local: vec![LocalChange::Put(row)],
                    ..StateBatch::default()
                };
                self.write(batch).await?;
            }
            return Err(error.into());
        }
        let Some(mut found) = self.same_file(&row, &path).await? else {
            return Err(ApplyError::Changed { path });
        };
        if of_disk(&found) != attributes {
            // The disk holds no such attributes, or somebody was faster: what it makes of them once more tells.
            self.set_on_disk(&path, attributes).await?;
            let again = self.same_file(&row, &path).await?;
            let again = again.filter(|again| [attributes, of_disk(&found)].contains(&of_disk(again)));
            found = again.ok_or_else(|| ApplyError::Changed { path: path.clone() })?;
        }
        row.fingerprint = found.fingerprint;
        row.entry.attributes = attributes;
        // A write just before would have got the new time: only the bytes can tell.
        row.is_unsure = true;
        let mut batch = StateBatch::default();
        self.add_row(&mut batch, row, Some(entry)).await?;
        self.write(batch).await
    }

    async fn set_on_disk(&self, path: &DiskPath, attributes: Attributes) -> FsResult<()> {
        let path = path.clone();
        self.on_disk(move |fs| fs.set_attributes(&path, attributes.executable, attributes.mtime))
            .await
    }

    /// What stands on the path, if it is still the row's file.
    async fn same_file(&self, row: &LocalRow, path: &DiskPath) -> ApplyResult<Option<Metadata>> {
        let found = self.look(path).await?;
        Ok(found.filter(|found| {
            found.fingerprint.is_same_file(&row.fingerprint) && found.fingerprint.size == row.fingerprint.size
        }))
    }
}

const fn of_disk(found: &Metadata) -> Attributes {
    Attributes {
        mtime: found.fingerprint.mtime,
        executable: found.executable,
    }
}

/// Whether a call may have reached the disk before it failed. A disk that is mounted for reading alone refuses before it does
/// anything.
fn is_of_disk(error: &FsError) -> bool {
    use std::io::ErrorKind;
    !error.is_not_found()
        && !matches!(
            error.source.kind(),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
        )
}
