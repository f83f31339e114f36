//! Which folders of the server a device does not keep.
//!
//! A folder is left out by its id: wherever it is moved or renamed, it stays left out. What is below it on the server goes
//! from this disk once the server has all of it, to the root's own trash, and nothing goes from the server.

use std::path::Path;
use std::sync::Arc;

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::name::{NameError, NodeName};
use serde::{Deserialize, Serialize};

use crate::lock::{FolderLock, LockError};
use crate::state::sqlite::SqliteState;
use crate::state::{ClientState, StateError};

/// Folders that a device can leave out.
pub const EXCLUDED_FOLDERS: usize = 1_000;

/// The name of the state database in a device's home folder.
const STATE_FILE: &str = "state.db";

/// Why the folders that a device keeps cannot be told or changed.
#[derive(Debug, thiserror::Error)]
pub enum ExcludeError {
    /// Another process has the home.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The device's state.
    #[error(transparent)]
    State(#[from] StateError),
    /// No node can have such a path.
    #[error("{path:?} is not a path: {reason}")]
    BadPath {
        /// The path as it was typed.
        path: String,
        /// Why.
        reason: NameError,
    },
    /// The server has nothing there, as far as this device has heard.
    #[error("{path} is not on the server, as far as this device knows; it may have to sync first")]
    NotOnServer {
        /// The path.
        path: String,
    },
    /// It is the root.
    #[error("the whole synced folder cannot be excluded; unlink the device instead")]
    Root,
    /// It is a file or a link.
    #[error("{path} is not a folder; only folders can be excluded")]
    NotFolder {
        /// The path.
        path: String,
    },
    /// It is not left out.
    #[error("{path} is not excluded")]
    NotExcluded {
        /// The path.
        path: String,
    },
    /// There are too many.
    #[error("at most {EXCLUDED_FOLDERS} folders can be excluded; exclude a folder above them")]
    TooMany,
}

/// A folder that is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExcludedFolder {
    /// Its path on the server now, or its last one that is known here.
    pub path: String,
    /// Whether the server has it, outside of the trash.
    pub is_on_server: bool,
}

/// The folders that one device leaves out.
#[derive(Clone)]
pub struct Exclusions {
    state: Arc<dyn ClientState>,
    namespace: NamespaceId,
}

impl Exclusions {
    /// Those in the state of a daemon.
    pub fn new(state: Arc<dyn ClientState>, namespace: NamespaceId) -> Self {
        Self { state, namespace }
    }

    /// Runs `work` on those of a device whose daemon does not run, in the home folder `home`.
    ///
    /// # Errors
    /// [`ExcludeError::Lock`] when a daemon runs after all; those of `work`.
    pub async fn at_rest<T>(
        home: &Path,
        namespace: NamespaceId,
        work: impl AsyncFnOnce(&Self) -> Result<T, ExcludeError>,
    ) -> Result<T, ExcludeError> {
        let _lock = FolderLock::home(home)?;
        let state = Arc::new(SqliteState::open(&home.join(STATE_FILE)).await?);
        let result = work(&Self::new(Arc::clone(&state) as Arc<dyn ClientState>, namespace)).await;
        state.close().await;
        result
    }

    /// The folders that are left out, by path.
    ///
    /// # Errors
    /// Those of the state.
    pub async fn list(&self) -> Result<Vec<ExcludedFolder>, ExcludeError> {
        let mut folders = Vec::new();
        for (node, known_by) in self.state.excluded(self.namespace).await? {
            folders.push(self.shown(node, known_by).await?);
        }
        folders.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(folders)
    }

    /// What `cairn exclude` does: lists without `paths`, else leaves them out, or with `keep` keeps them again.
    ///
    /// # Errors
    /// [`ExcludeError`].
    pub async fn change(&self, paths: &[String], keep: bool) -> Result<Vec<ExcludedFolder>, ExcludeError> {
        match paths {
            [] => self.list().await,
            paths if keep => self.keep(paths).await,
            paths => self.exclude(paths).await,
        }
    }

    /// Leaves folders out, all of them or none; returns their paths.
    ///
    /// # Errors
    /// [`ExcludeError`].
    pub async fn exclude(&self, paths: &[String]) -> Result<Vec<ExcludedFolder>, ExcludeError> {
        let mut found = Vec::new();
        for path in paths {
            found.push(self.folder_at(path).await?);
        }
        let mut known = self.state.excluded(self.namespace).await?;
        known.retain(|(node, _)| found.iter().all(|(new, _)| new != node));
        if known.len() + found.len() > EXCLUDED_FOLDERS {
            return Err(ExcludeError::TooMany);
        }
        let mut excluded = Vec::new();
        for (node, path) in found {
            self.state.exclude(self.namespace, node, Some(&path)).await?;
            excluded.push(self.shown(node, path).await?);
        }
        Ok(excluded)
    }

    /// Keeps folders again, all of them or none; what the server has of them comes back. Returns their paths.
    ///
    /// # Errors
    /// [`ExcludeError::NotExcluded`], [`ExcludeError::BadPath`], those of the state.
    pub async fn keep(&self, paths: &[String]) -> Result<Vec<ExcludedFolder>, ExcludeError> {
        let known = self.state.excluded(self.namespace).await?;
        let mut found = Vec::new();
        for path in paths {
            let names = names_of(path)?;
            let at = self.state.remote_at(self.namespace, &names).await?;
            let shown = shown_path(names.iter().map(NodeName::as_str));
            let row = known
                .iter()
                .find(|(node, _)| Some(*node) == at)
                .or_else(|| known.iter().find(|(_, known_by)| *known_by == shown));
            let Some((node, known_by)) = row else {
                return Err(ExcludeError::NotExcluded { path: shown });
            };
            found.push((*node, self.shown(*node, known_by.clone()).await?));
        }
        let mut kept = Vec::new();
        for (node, folder) in found {
            self.state.exclude(self.namespace, node, None).await?;
            kept.push(folder);
        }
        Ok(kept)
    }

    async fn folder_at(&self, path: &str) -> Result<(NodeId, String), ExcludeError> {
        let names = names_of(path)?;
        if names.is_empty() {
            return Err(ExcludeError::Root);
        }
        let shown = shown_path(names.iter().map(NodeName::as_str));
        let Some(node) = self.state.remote_at(self.namespace, &names).await? else {
            return Err(ExcludeError::NotOnServer { path: shown });
        };
        match self.state.remote(self.namespace, node).await? {
            Some(entry) if entry.is_directory() => {
                let known_by = self.shown(node, shown).await?.path;
                Ok((node, known_by))
            }
            Some(_) => Err(ExcludeError::NotFolder { path: shown }),
            None => Err(ExcludeError::NotOnServer { path: shown }),
        }
    }

    async fn shown(&self, node: NodeId, known_by: String) -> Result<ExcludedFolder, ExcludeError> {
        let now = self.state.remote_path(self.namespace, node).await?;
        Ok(ExcludedFolder {
            is_on_server: now.is_some(),
            path: now.map_or(known_by, |names| shown_path(names.iter().map(String::as_str))),
        })
    }
}

fn names_of(path: &str) -> Result<Vec<NodeName>, ExcludeError> {
    path.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(|part| {
            NodeName::new(part).map_err(|reason| ExcludeError::BadPath {
                path: path.to_owned(),
                reason,
            })
        })
        .collect()
}

fn shown_path<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.fold(String::new(), |path, name| path + "/" + name)
}
