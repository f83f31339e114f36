//! The inbox of conflicts: which copies there are, what became of both versions, and how one of them is made to stand.
//!
//! A copy that this device made has a row in the state (see [`crate::state::inbox`]), which knows the version that both
//! sides had agreed on. Copies of other devices come by sync and are known by their names.

mod list;
mod resolve;
mod text;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::runtime::Runtime;
use serde::{Deserialize, Serialize};

use crate::applier::{Applier, ApplyError};
use crate::files::{FilesError, RemoteFiles};
use crate::fs::{DiskPath, Filesystem, FsError};
use crate::state::{ClientState, StateError, StateResult};

pub use text::{TEXT_BYTES, unified};

/// Whether two versions can be made one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// They can: they changed different lines.
    Clean,
    /// They changed the same lines.
    Overlapping,
    /// They are no text, too long, too different, or nobody knows what both came from.
    Impossible,
    /// It was not tried: the server could not be asked, or there are too many conflicts.
    Unknown,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The path below the folder.
    pub path: String,
    /// Its length in bytes; `None` for a folder.
    pub size: Option<u64>,
    /// When it was modified, in milliseconds since 1970-01-01T00:00:00Z.
    pub mtime_ms: i64,
}

/// A conflicted copy and what it is a copy of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// What has the name: the version that the server had.
    pub original: Version,
    /// What was put beside it.
    pub copy: Version,
    /// The device that made the copy, where it is known.
    pub device: Option<String>,
    /// Whether it was this one.
    pub is_made_here: bool,
    /// When it was made, in milliseconds since 1970-01-01T00:00:00Z; known of copies that were made here.
    pub at_ms: Option<i64>,
    /// Why, a stable word such as `edit-edit`; known of copies that were made here.
    pub reason: Option<String>,
    /// Whether both versions can be made one.
    pub merge: Merge,
}

/// Which version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The copy takes the name.
    Mine,
    /// The copy goes to the trash.
    Theirs,
    /// The copy gets a plain name.
    Both,
    /// Both are made one, with the version that they came from.
    Merged,
}

/// A conflict to be resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The path of the copy, or of the original when it has one copy.
    pub path: String,
    /// Which version stands.
    pub keep: Keep,
    /// The copy's new name, with [`Keep::Both`].
    pub name: Option<String>,
    /// With [`Keep::Merged`], where both changed the same lines: whether to write a file that shows where.
    pub markers: bool,
}

/// What a resolution came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The path of what stands.
    pub path: String,
    /// The path of the other version, when both stay.
    pub other: Option<String>,
    /// Whether the conflict stays: a file with markers was written and nothing else was done.
    pub is_open: bool,
}

/// Why a conflict could not be shown or resolved.
#[derive(Debug, thiserror::Error)]
pub enum ConflictError {
    /// There is no conflict at the path.
    #[error("{path} is no conflicted copy and has none; \"cairn conflicts\" lists all")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The file has several copies.
    #[error("{path} has several copies; name one of them: {copies}")]
    Ambiguous {
        /// The path.
        path: String,
        /// Their paths.
        copies: String,
    },
    /// A folder cannot take a file's place, nor the other way round.
    #[error("{path} is a folder; keep both, or move what is in it yourself")]
    Folder {
        /// The folder.
        path: String,
    },
    /// Somebody wrote to one of the files just now.
    #[error("{path} changed meanwhile; look at it and say it again")]
    Changed {
        /// The file.
        path: String,
    },
    /// The two cannot be merged.
    #[error("{path} cannot be merged: {why}")]
    NoMerge {
        /// The file.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// Both versions changed the same lines.
    #[error("both versions of {path} changed the same lines; --markers writes a file that shows them")]
    Overlapping {
        /// The file.
        path: String,
    },
    /// The name for the copy cannot be used.
    #[error("the copy cannot be named {name}: {why}")]
    BadName {
        /// The name.
        name: String,
        /// Why.
        why: &'static str,
    },
    /// This daemon has no inbox.
    #[error("conflicts cannot be asked for here")]
    NotHere,
    /// The folder could not be looked at.
    #[error("the synced folder cannot be looked at")]
    Scan(#[from] crate::scanner::ScanError),
    /// The common ancestor could not be fetched.
    #[error("the version that both came from cannot be fetched")]
    Base(#[from] FilesError),
    /// The disk.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The device's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// Putting a version in its place.
    #[error("the version cannot be put in its place")]
    Apply(#[source] ApplyError),
}

impl From<ApplyError> for ConflictError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Changed { path } => Self::Changed {
                path: path.to_string(),
            },
            ApplyError::Fs(error) => Self::Fs(error),
            ApplyError::State(error) => Self::State(error),
            error => Self::Apply(error),
        }
    }
}

/// The conflicts of one synced folder. No scan and no step may run meanwhile, unless a verb says so.
pub(crate) struct Inbox<'a> {
    pub(crate) fs: Arc<dyn Filesystem>,
    pub(crate) state: Arc<dyn ClientState>,
    pub(crate) runtime: Runtime,
    pub(crate) namespace: NamespaceId,
    pub(crate) device_name: &'a str,
    pub(crate) applier: &'a Applier,
    pub(crate) files: RemoteFiles,
}

/// What merging without being asked came to.
#[derive(Debug, Default)]
pub(crate) struct AutoMerged {
    /// Folders that changed.
    pub(crate) folders: Vec<DiskPath>,
    /// Copies that cannot be merged cleanly.
    pub(crate) hopeless: Vec<NodeId>,
}

impl Inbox<'_> {
    /// The folders that resolving a conflict changes.
    pub(crate) async fn folders_of(&self, path: &str) -> Result<Vec<DiskPath>, ConflictError> {
        let found = self.find(path).await?;
        let both = [found.copy_path.parent(), found.original_path.parent()];
        let mut folders: Vec<DiskPath> = both.into_iter().flatten().collect();
        folders.dedup();
        Ok(folders)
    }

    /// Merges those of the copies that can be merged cleanly.
    pub(crate) async fn merge_clean(&self, copies: &HashSet<NodeId>, limit: u64) -> StateResult<AutoMerged> {
        let mut done = AutoMerged::default();
        for found in self.find_all().await? {
            if !copies.contains(&found.copy.node) {
                continue;
            }
            match self.merge_if_clean(&found, limit).await {
                Ok(true) => done.folders.extend(
                    [found.copy_path.parent(), found.original_path.parent()]
                        .into_iter()
                        .flatten(),
                ),
                Ok(false) => done.hopeless.push(found.copy.node),
                Err(ConflictError::State(error)) => return Err(error),
                Err(error) => tracing::debug!(%error, "a conflict is not merged now"),
            }
        }
        Ok(done)
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Filesystem) -> T + Send + 'static,
    ) -> T {
        let fs = Arc::clone(&self.fs);
        self.runtime.blocking(move || work(&*fs)).await
    }

    fn changed(path: &DiskPath) -> ConflictError {
        ConflictError::Changed {
            path: path.to_string(),
        }
    }
}
