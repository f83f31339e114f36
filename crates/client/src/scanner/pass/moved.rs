//! Which known node has moved to where something is new.

use std::collections::HashSet;
use std::sync::Arc;

use cairn_core::node::NodeKind;

use super::{Pass, Visit};
use crate::fs::{DiskPath, FileKind, Fingerprint};
use crate::scanner::matching::{Listed, Matched};
use crate::scanner::{ScanError, Scanner};
use crate::state::LocalRow;

impl Pass<'_> {
    /// The node that stood elsewhere and is this now.
    pub(super) async fn find_moved(
        &mut self,
        visit: &Visit,
        item: &Listed,
        known: &HashSet<u64>,
    ) -> Result<Option<LocalRow>, ScanError> {
        let state = Arc::clone(&self.scanner.state);
        let fingerprint = item.metadata.fingerprint;
        if !known.contains(&fingerprint.inode) {
            return Ok(None);
        }
        let candidates = state
            .local_by_inode(self.scanner.namespace, fingerprint.inode)
            .await?;
        for row in candidates {
            if self.claimed.contains(&row.node)
                || self.believed.contains(&row.node)
                || row.entry.substance.kind() != item.kind
                || !is_surely_same(item, &row.fingerprint)
            {
                continue;
            }
            if self.has_moved_folders {
                // Paths are those of the state: it must know of moved folders first.
                self.flush().await?;
            }
            let old = state
                .disk_path(self.scanner.namespace, row.node)
                .await?
                .map(DiskPath::from_names);
            if old
                .as_ref()
                .is_some_and(|old| *old == visit.path.join(&item.name))
            {
                continue;
            }
            if has_left(self.scanner, old, item, &row).await {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// Which inodes of what may be new in a folder are remembered at all. Asked once for the folder: in a new one it is none.
pub(super) async fn known_inodes(scanner: &Scanner, matched: &Matched) -> Result<HashSet<u64>, ScanError> {
    let doubtful = matched.doubtful.iter().map(|(item, _)| item);
    let inodes: Vec<u64> = matched
        .fresh
        .iter()
        .chain(doubtful)
        .map(|item| item.metadata.fingerprint.inode)
        .collect();
    if inodes.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(scanner.state.known_inodes(scanner.namespace, &inodes).await?)
}

/// Whether nothing at a node's old place has a better claim to be the node.
async fn has_left(scanner: &Scanner, old: Option<DiskPath>, item: &Listed, row: &LocalRow) -> bool {
    let Some(old) = old else { return true };
    let Ok(found) = scanner.on_disk(move |fs| fs.metadata(&old)).await else {
        return false;
    };
    let Some(found) = found else { return true };
    let is_same_kind = found.kind == FileKind::Node(item.kind);
    match item.kind {
        // Programs save files under their old name, but do not replace folders: a folder is its inode. Only where births tell that
        // inodes were not dealt anew, though, as some disks do with every mount: then what has the folder's name is the folder.
        NodeKind::Directory if is_known_by_birth(&item.metadata.fingerprint, &row.fingerprint) => {
            !(is_same_kind && found.fingerprint.is_same_file(&row.fingerprint))
        }
        NodeKind::Directory => !is_same_kind,
        NodeKind::File | NodeKind::Symlink => !is_same_kind,
    }
}

/// Whether a fingerprint found elsewhere is that of the same file: inodes are used again, birth times are not. Without
/// them size and modification time must agree.
fn is_surely_same(item: &Listed, old: &Fingerprint) -> bool {
    let found = &item.metadata.fingerprint;
    found.is_same_file(old)
        && (is_known_by_birth(found, old) || item.kind == NodeKind::Directory || found.is_same_state(old))
}

const fn is_known_by_birth(found: &Fingerprint, old: &Fingerprint) -> bool {
    found.born_ns.is_some() && old.born_ns.is_some()
}
