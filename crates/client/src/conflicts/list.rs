//! Which conflicts there are.

use std::collections::HashMap;

use cairn_core::conflict::{CASE_MARK, CopyName, MARK, copy_name};
use cairn_core::ids::NodeId;
use cairn_core::tree::Substance;

use super::text::Merged;
use super::{Conflict, ConflictError, Inbox, Merge, Version};
use crate::fs::DiskPath;
use crate::state::inbox::{ConflictRow, INBOX_ROWS};
use crate::state::{LocalRow, StateBatch, StateResult};

/// Conflicts of which it is tried whether they can be merged, in one listing.
const TRIED: usize = 50;
/// Suffixes of copies of copies that are taken off to find the original.
const SUFFIXES: usize = 8;

/// A copy with its original.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(super) copy: LocalRow,
    pub(super) copy_path: DiskPath,
    pub(super) original: LocalRow,
    pub(super) original_path: DiskPath,
    name: CopyName,
    /// What this device wrote down when it made the copy.
    pub(super) row: Option<ConflictRow>,
}

impl Inbox<'_> {
    /// Says of conflicts that were found what the user is shown. Nothing need stand still meanwhile: each resolution looks anew.
    pub(crate) async fn list(&self, found: &[Found]) -> Vec<Conflict> {
        let mut conflicts = Vec::with_capacity(found.len());
        let mut is_reachable = true;
        for (index, found) in found.iter().enumerate() {
            let merge = if index >= TRIED || !is_reachable {
                Merge::Unknown
            } else {
                match self.merge(found).await {
                    Ok(Merged::Clean(_)) => Merge::Clean,
                    Ok(Merged::Overlapping(_)) => Merge::Overlapping,
                    Ok(Merged::Impossible(_)) => Merge::Impossible,
                    Err(ConflictError::Base(error)) => {
                        // Once is enough: the next would wait as long.
                        is_reachable = !matches!(error, crate::files::FilesError::Remote(_));
                        Merge::Unknown
                    }
                    Err(_) => Merge::Unknown,
                }
            };
            conflicts.push(self.shown(found, merge));
        }
        conflicts
    }

    /// The conflict that a path names: of a copy, or of the one copy of a file.
    pub(super) async fn find(&self, path: &str) -> Result<Found, ConflictError> {
        let all = self.find_all().await?;
        if let Some(found) = all.iter().find(|found| found.copy_path.to_string() == path) {
            return Ok(found.clone());
        }
        let mut copies = all
            .into_iter()
            .filter(|found| found.original_path.to_string() == path);
        let Some(first) = copies.next() else {
            return Err(ConflictError::NotFound {
                path: path.to_owned(),
            });
        };
        let others: Vec<String> = copies.map(|found| found.copy_path.to_string()).collect();
        if others.is_empty() {
            return Ok(first);
        }
        Err(ConflictError::Ambiguous {
            path: path.to_owned(),
            copies: format!("{}, {}", first.copy_path, others.join(", ")),
        })
    }

    /// Which conflicts there are now, those made here first and the newest of them before the others.
    pub(crate) async fn find_all(&self) -> StateResult<Vec<Found>> {
        let rows = self.state.conflicts(self.namespace).await?;
        let mut places: HashMap<NodeId, usize> = HashMap::new();
        for (place, row) in rows.iter().enumerate() {
            places.insert(row.copy, place);
        }
        let mut named = self.state.local_named(self.namespace, MARK, INBOX_ROWS).await?;
        named.extend(
            self.state
                .local_named(self.namespace, CASE_MARK, INBOX_ROWS)
                .await?,
        );
        named.sort_by_key(|row| (places.get(&row.node).copied().unwrap_or(usize::MAX), row.node));
        named.dedup_by_key(|row| row.node);
        let mut all = Vec::new();
        for copy in named {
            let row = places.get(&copy.node).map(|place| rows[*place]);
            all.extend(self.with_original(copy, row).await?);
        }
        self.forget_settled(&rows, &all).await?;
        Ok(all)
    }

    async fn with_original(&self, copy: LocalRow, row: Option<ConflictRow>) -> StateResult<Option<Found>> {
        let Some(name) = copy_name(&copy.entry.place.name) else {
            return Ok(None);
        };
        let Some(copy_path) = self.state.disk_path(self.namespace, copy.node).await? else {
            return Ok(None);
        };
        let copy_path = DiskPath::from_names(copy_path);
        let mut original = match row {
            Some(row) => self.state.local(self.namespace, row.original).await?,
            None => None,
        };
        if original.is_none() {
            original = self.named_original(&copy_path, &name).await?;
        }
        let Some(original) = original.filter(|original| original.node != copy.node) else {
            return Ok(None);
        };
        let path = self.state.disk_path(self.namespace, original.node).await?;
        Ok(path.map(|path| Found {
            copy,
            copy_path,
            original,
            original_path: DiskPath::from_names(path),
            name,
            row,
        }))
    }

    /// What has the name, in the same folder, of which the copy's was made.
    async fn named_original(&self, copy: &DiskPath, name: &CopyName) -> StateResult<Option<LocalRow>> {
        let folder = copy.parent().unwrap_or_default();
        let mut wanted = name.original.clone();
        for _ in 0..SUFFIXES {
            let found = self
                .state
                .local_at(self.namespace, folder.join(&wanted).names())
                .await?;
            if found.is_some() {
                return Ok(found);
            }
            let Ok(name) = cairn_core::name::NodeName::new(wanted) else {
                break;
            };
            let Some(inner) = copy_name(&name) else { break };
            wanted = inner.original;
        }
        Ok(None)
    }

    /// Drops the rows of what is no conflict any more: the copy is gone or has a plain name, or the original is gone.
    async fn forget_settled(&self, rows: &[ConflictRow], all: &[Found]) -> StateResult<()> {
        let mut batch = StateBatch::default();
        for row in rows {
            let is_open = all.iter().any(|found| found.copy.node == row.copy);
            // What is on its way to this disk is not gone.
            if !is_open && self.state.remote(self.namespace, row.original).await?.is_none() {
                batch.settled_conflicts.push(row.copy);
            } else if !is_open {
                let copy = self.state.local(self.namespace, row.copy).await?;
                if copy.is_none_or(|copy| copy_name(&copy.entry.place.name).is_none()) {
                    batch.settled_conflicts.push(row.copy);
                }
            }
        }
        if batch.settled_conflicts.is_empty() {
            return Ok(());
        }
        self.state.apply(self.namespace, batch).await
    }

    fn shown(&self, found: &Found, merge: Merge) -> Conflict {
        let device = found.name.device.clone();
        Conflict {
            original: version(&found.original, &found.original_path),
            copy: version(&found.copy, &found.copy_path),
            is_made_here: found.row.is_some() || device.as_deref() == Some(self.device_name),
            device,
            at_ms: found.row.map(|row| row.at.as_millis()),
            reason: found.row.map(|row| row.reason.word().to_owned()),
            merge,
        }
    }
}

fn version(row: &LocalRow, path: &DiskPath) -> Version {
    let mtime = row.fingerprint.mtime;
    Version {
        path: path.to_string(),
        size: match row.entry.substance {
            Substance::Directory => None,
            Substance::File { size, .. } => Some(size),
            Substance::Symlink(_) => Some(0),
        },
        mtime_ms: mtime.seconds.saturating_mul(1_000) + i64::from(mtime.nanos / 1_000_000),
    }
}
