//! Names that a disk takes for one: what was put down under the one is found under the other as well, and listed under its own.

use cairn_core::name::NodeName;

use super::matching::is_one_name;
use super::{ScanError, Scanner};
use crate::fs::{DirectoryEntry, DiskPath, Fingerprint};
use crate::state::LocalRow;

impl Scanner {
    /// Whether the thing that is found at a node's place is another node, whose name is the same to the disk. An inode that is used
    /// again within a tick of the clock is no evidence then; the folder's listing is.
    ///
    /// # Errors
    /// As the state says.
    pub(super) async fn is_twin(&self, row: &LocalRow, found: &Fingerprint) -> Result<bool, ScanError> {
        let others = self.state.local_by_inode(self.namespace, found.inode).await?;
        let is_like = |other: &LocalRow| {
            other.node != row.node
                && other.entry.place.parent == row.entry.place.parent
                && other.fingerprint.is_same_file(found)
                && are_alike(other.name_on_disk(), row.name_on_disk())
        };
        if !others.iter().any(is_like) {
            return Ok(false);
        }
        let names = self.state.disk_path(self.namespace, row.node).await?;
        let Some(folder) = names.and_then(|names| DiskPath::from_names(names).parent()) else {
            return Ok(false);
        };
        let listed = self.on_disk(move |fs| fs.list(&folder)).await;
        Ok(listed.is_ok_and(|entries| !has_name(&entries, row, found)))
    }

    /// Whether the other thing that is found at a node's place is known to be no successor of the node: another node has come to be
    /// of this name, or the folder lists the thing under another name that is the same to the disk.
    ///
    /// # Errors
    /// As the state says.
    pub(super) async fn is_supplanted(
        &self,
        row: &LocalRow,
        path: &DiskPath,
        found: &Fingerprint,
    ) -> Result<bool, ScanError> {
        let others = self.state.local_by_inode(self.namespace, found.inode).await?;
        let is_of_name = |other: &LocalRow| {
            other.node != row.node
                && other.entry.place.parent == row.entry.place.parent
                && other.fingerprint.is_same_file(found)
                && is_one_name(other.name_on_disk(), row.name_on_disk())
        };
        if others.iter().any(is_of_name) {
            return Ok(true);
        }
        let Some(folder) = path.parent() else {
            return Ok(false);
        };
        let listed = self.on_disk(move |fs| fs.list(&folder)).await;
        let is_it = |entry: &DirectoryEntry| match entry {
            DirectoryEntry::Named { name, metadata } => {
                metadata.fingerprint.is_same_file(found) && are_alike(name, row.name_on_disk())
            }
            DirectoryEntry::Unreadable { .. } => false,
        };
        Ok(listed.is_ok_and(|entries| !has_name(&entries, row, found) && entries.iter().any(is_it)))
    }
}

/// Whether a listing may have what is found at a node's place under the node's name. A disk that keeps the forms of a name apart may
/// list another file under another form of it.
fn has_name(entries: &[DirectoryEntry], row: &LocalRow, found: &Fingerprint) -> bool {
    entries.iter().any(|entry| match entry {
        DirectoryEntry::Named { name, metadata } => {
            let is_found = metadata.fingerprint.is_same_file(found);
            name == row.name_on_disk() || (is_found && is_one_name(name, row.name_on_disk()))
        }
        DirectoryEntry::Unreadable { .. } => true,
    })
}

/// Whether some disk may take two names for one.
fn are_alike(a: &str, b: &str) -> bool {
    let key = |name: &str| NodeName::new(name).map(|name| name.key());
    matches!((key(a), key(b)), (Ok(a), Ok(b)) if a == b)
}
