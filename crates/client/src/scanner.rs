//! From the disk to the local tree: lists, compares with what is remembered, reads what changed.
//!
//! A folder is listed and joined with its remembered nodes by name. What stands at its old name is the same node, also
//! with other bytes: that is how editors save. What is left is joined by inode and birth time: that is a move. The rest
//! is new, or gone. Nothing is taken for gone on less than a listing without it, a look that finds nothing at its place,
//! and a root that still carries its marker when the pass ends.

mod content;
pub mod ignore;
pub(crate) mod lost;
mod matching;
mod pass;
mod report;
pub(crate) mod reread;
mod twins;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::NodeKind;
use cairn_core::runtime::Runtime;

pub(crate) use self::content::{is_unsure, may_hide_a_write};
pub use self::ignore::rules::{BadLine, IgnoreRules};
pub use self::ignore::{IGNORE_FILE, IgnoredBy, is_ignored, is_junk};
pub use self::report::{MassDelete, Problem, ProblemReason, ScanReport};

use crate::fs::{DiskPath, FileKind, Filesystem, FsError, FsResult, Metadata};
use crate::paths::Paths;
use crate::state::{ClientState, StateError};
use ignore::{Loaded, RulesMemory, Scope};
use lost::LostSince;
use pass::{Pass, Visit};
use tokio::sync::Notify;

/// Files that [`Scanner::recheck_unsure`] reads before it asks for more.
const UNSURE_FILES: usize = 1_000;

/// What ends a scan.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The root is gone, or is not the one that carries the marker: nothing was taken for deleted.
    #[error("the synced folder is not there")]
    RootGone(#[source] FsError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Whether a pass in which most of the nodes vanish is believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Brake {
    /// It is held and reported.
    On,
    /// One is held already: nothing is taken for deleted before a look at everything finds that most is there again.
    Holding,
    /// The user has said that it is meant.
    Released,
}

/// Keeps the local tree what the disk is.
#[derive(Clone)]
pub struct Scanner {
    fs: Arc<dyn Filesystem>,
    state: Arc<dyn ClientState>,
    runtime: Runtime,
    namespace: NamespaceId,
    marker: Arc<str>,
    readers: usize,
    rules: Arc<RulesMemory>,
    flushed: Arc<Notify>,
}

impl Scanner {
    /// A scanner of the root that carries `marker`, for which `readers` cores may read and hash files at once.
    pub fn new(
        fs: Arc<dyn Filesystem>,
        state: Arc<dyn ClientState>,
        runtime: Runtime,
        namespace: NamespaceId,
        marker: &str,
        readers: usize,
    ) -> Self {
        Self {
            fs,
            state,
            runtime,
            namespace,
            marker: marker.into(),
            readers: readers.max(1),
            rules: Arc::default(),
            flushed: Arc::default(),
        }
    }

    /// Returns when observations have come into the state since the last time, while a scan may still go on.
    pub(crate) async fn flushed(&self) {
        self.flushed.notified().await;
    }

    /// What keeps a path from being synced, were it new: a rule of the user's or one that is built in.
    ///
    /// # Errors
    /// As the filesystem says.
    pub async fn ignored_by(&self, path: &DiskPath) -> FsResult<Option<IgnoredBy>> {
        let (Some(folder), Some(name)) = (path.parent(), path.names().last().cloned()) else {
            return Ok(None);
        };
        let at = path.clone();
        let found = self.on_disk(move |fs| fs.metadata(&at)).await?;
        let is_folder = found.is_some_and(|found| found.kind == FileKind::Node(NodeKind::Directory));
        Ok(self.scope_of(&folder).await.ignored_by(&name, is_folder))
    }

    /// The rules that hold in a folder, from the root down.
    async fn scope_of(&self, folder: &DiskPath) -> Arc<Scope> {
        let mut path = DiskPath::root();
        let mut scope = self.scope_below(&path, None).await;
        for name in folder.names() {
            path = path.join(name);
            scope = self.scope_below(&path, Some(scope)).await;
        }
        scope
    }

    async fn scope_below(&self, folder: &DiskPath, above: Option<Arc<Scope>>) -> Arc<Scope> {
        let file = folder.join(IGNORE_FILE);
        let (memory, at) = (Arc::clone(&self.rules), folder.clone());
        let now = self.runtime.clock.now();
        let fs = Arc::clone(&self.fs);
        // What is wrong with them is told by whoever lists the folder.
        let load = move || memory.load(&*fs, now, &at, fs.metadata(&file));
        let loaded = self.runtime.blocking(load).await;
        Arc::new(Scope::new(folder, loaded, above))
    }

    /// The rules of a folder that is looked at, in which the file of that name was seen as `found`.
    async fn take_rules(&self, folder: &DiskPath, found: FsResult<Option<Metadata>>) -> Loaded {
        let (memory, folder) = (Arc::clone(&self.rules), folder.clone());
        let now = self.runtime.clock.now();
        let fs = Arc::clone(&self.fs);
        let take = move || memory.take(&*fs, now, &folder, found);
        self.runtime.blocking(take).await
    }

    /// Looks at everything below the root.
    ///
    /// # Errors
    /// [`ScanError::RootGone`], or as the state says. What was observed until then is kept.
    pub async fn scan_all(&self, brake: Brake) -> Result<ScanReport, ScanError> {
        self.check_root().await?;
        let mut pass = Pass::new(self);
        pass.enter(Visit {
            node: NodeId::ROOT,
            path: DiskPath::root(),
            is_deep: true,
            above: None,
        });
        pass.run().await?;
        let report = pass.end(brake, true).await?;
        LostSince::forget(&*self.state).await?;
        Ok(report)
    }

    /// Looks at these folders, and at everything below those of them that are new or were moved. A path that is not a
    /// known folder stands for the nearest one above it.
    ///
    /// # Errors
    /// As [`Self::scan_all`].
    pub async fn scan_folders(&self, folders: &[DiskPath], brake: Brake) -> Result<ScanReport, ScanError> {
        self.check_root().await?;
        let mut visits = Vec::with_capacity(folders.len());
        for folder in folders {
            let visit = self.nearest_known(folder).await?;
            // Whoever looks at the folder whose rules nobody knows tells of it, or finds what they kept back when they are known.
            let sealed = visit.above.as_deref().and_then(Scope::sealed_at);
            if let Some(sealed) = sealed {
                visits.push(self.nearest_known(sealed).await?);
            }
            visits.push(visit);
        }
        // What is entered last is looked at first. Those above come before those below: where all below one is looked at, what was
        // looked at on its own account before would be left out.
        visits.sort_by(|a, b| b.path.cmp(&a.path));
        let mut pass = Pass::new(self);
        for visit in visits {
            pass.enter(visit);
        }
        pass.run().await?;
        pass.end(brake, false).await
    }

    /// Reads files again that may have changed within the tick of the clock in which they were read. Worth calling when
    /// that tick is over, until [`ScanReport::has_more_unsure`] is false.
    ///
    /// # Errors
    /// As [`Self::scan_all`].
    pub async fn recheck_unsure(&self) -> Result<ScanReport, ScanError> {
        self.check_root().await?;
        let mut report = ScanReport::default();
        loop {
            let rows = self.state.unsure(self.namespace, UNSURE_FILES).await?;
            let row_count = rows.len();
            let mut pass = Pass::new(self);
            let mut paths = Paths::new(self.namespace);
            for row in rows {
                if let Some(path) = paths.of(self.state.as_ref(), &row).await? {
                    pass.read_again(path, row).await?;
                }
            }
            let page = pass.end(Brake::On, false).await?;
            // Those of which nothing better is known now would come again.
            let is_settled = page.hashed == row_count as u64 && !page.has_more_unsure;
            report.add(page);
            if row_count < UNSURE_FILES || !is_settled {
                report.has_more_unsure |= row_count == UNSURE_FILES;
                return Ok(report);
            }
        }
    }

    /// Checks that the root is there and carries the marker, and opens it anew where it was mounted again.
    ///
    /// # Errors
    /// [`ScanError::RootGone`].
    pub(crate) async fn check_root(&self) -> Result<(), ScanError> {
        let marker = Arc::clone(&self.marker);
        self.on_disk(move |fs| fs.check_root(&marker))
            .await
            .map_err(ScanError::RootGone)
    }

    /// Runs filesystem calls on the blocking pool.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Filesystem) -> FsResult<T> + Send + 'static,
    ) -> FsResult<T> {
        let fs = Arc::clone(&self.fs);
        self.runtime.blocking(move || work(&*fs)).await
    }

    async fn nearest_known(&self, folder: &DiskPath) -> Result<Visit, ScanError> {
        let mut path = folder.clone();
        while let Some(above) = path.parent() {
            if let Some(row) = self.state.local_at(self.namespace, path.names()).await?
                && row.entry.is_directory()
            {
                let looked_at = path.clone();
                let looked = self.on_disk(move |fs| fs.metadata(&looked_at)).await;
                if let Ok(Some(metadata)) = looked
                    && metadata.kind == FileKind::Node(NodeKind::Directory)
                    && metadata.fingerprint.is_same_file(&row.fingerprint)
                {
                    return Ok(Visit {
                        node: row.node,
                        above: self.scope_above(&path).await,
                        path,
                        is_deep: false,
                    });
                }
            }
            path = above;
        }
        Ok(Visit {
            node: NodeId::ROOT,
            path,
            is_deep: false,
            above: None,
        })
    }

    async fn scope_above(&self, folder: &DiskPath) -> Option<Arc<Scope>> {
        match folder.parent() {
            Some(above) => Some(self.scope_of(&above).await),
            None => None,
        }
    }
}
