//! A device that was unlinked deletes what it keeps of its folder.

use cairn_core::ids::NodeId;
use cairn_core::tree::Substance;

use super::{Daemon, DaemonError, parts};
use crate::applier::ApplyError;
use crate::engine::PassReport;
use crate::fs::{DirectoryEntry, DiskPath, FileKind, FsError, FsResult};
use crate::scanner::Brake;
use crate::scanner::reread::Reread;
use crate::state::{LocalRow, StateError};
use crate::wipe::WipeReport;
use cairn_core::node::NodeKind;

impl Daemon {
    /// Deletes what is in the folder. With `everything` all of it; else what the server has as it is on this disk: each file
    /// is read again, and goes the way that one goes which was deleted on the server. The folder's marker and what else is
    /// ours in it stay, see [`Self::folder_marker`]. May be called again after a crash, and then goes on.
    ///
    /// # Errors
    /// [`DaemonError::FolderGone`]; as disk and state say. What cannot be removed stays and is counted.
    pub async fn wipe_folder(&self, everything: bool) -> Result<WipeReport, DaemonError> {
        let _pass = self.pass.lock().await;
        let root = self.scanner.check_root().await;
        root.map_err(|error| DaemonError::of_scan(error, &self.folder))?;
        let mut report = WipeReport::default();
        if everything {
            let (known, unknown) = self.count_folder().await?;
            (report.removed, report.unsent) = (known, unknown);
            let cleared = self.on_disk(|fs| fs.clear()).await;
            if let Err(error) = cleared {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "not all could be deleted"
                );
                let (known, unknown) = self.count_folder().await?;
                report.removed = report.removed.saturating_sub(known);
                report.is_kept = known + unknown > 0;
            }
            return Ok(report);
        }
        // What a step has displaced that was cut off, and what was written to displaced files since, is put back first.
        if !self.engine.finish_intents(&mut PassReport::default()).await? {
            return Err(DaemonError::Unfinished {
                count: 1,
                first: "a step that was begun cannot be finished on this disk".to_owned(),
            });
        }
        self.scanner
            .scan_all(Brake::Holding)
            .await
            .map_err(|error| DaemonError::of_scan(error, &self.folder))?;
        report.removed = self.remove_known().await?;
        self.engine.applier.look_again_at_all().await.map_err(of_step)?;
        let (known, unknown) = self.count_folder().await?;
        report.unsent = known + unknown;
        report.is_kept = report.unsent > 0;
        Ok(report)
    }

    /// The marker of the folder, by which it is known after the state is gone.
    ///
    /// # Errors
    /// As the state says.
    pub async fn folder_marker(&self) -> Result<Option<String>, StateError> {
        parts::remembered_marker(self.engine.state.as_ref()).await
    }

    /// Turns a refusal into what is asked for, if the server can be asked for it.
    pub(super) async fn ask_order(&self, error: DaemonError) -> DaemonError {
        match &error {
            DaemonError::Remote(remote) if remote.asks_wipe() => {}
            _ => return error,
        }
        match self.leave().await {
            Ok(()) => error,
            Err(order) => order,
        }
    }

    /// Asks what is to be deleted. That is the error; nothing when the server cannot be asked now, or has withdrawn it.
    pub(super) async fn leave(&self) -> Result<(), DaemonError> {
        match self.engine.remote.wipe_order().await {
            Ok(order) => Err(DaemonError::WipeAsked {
                everything: order.everything,
            }),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the server asks to delete all, but not what"
                );
                Ok(())
            }
        }
    }

    /// Removes what the server has as it is here, from the leaves up; returns how many files and links that were.
    async fn remove_known(&self) -> Result<u64, DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let mut removed = 0;
        let mut open = vec![(NodeId::ROOT, DiskPath::root(), false)];
        while let Some((folder, path, is_empty)) = open.pop() {
            if is_empty {
                if folder != NodeId::ROOT {
                    self.remove(folder, &path).await?;
                }
                continue;
            }
            open.push((folder, path.clone(), true));
            for row in state.local_children(namespace, folder).await? {
                let below = path.join(row.name_on_disk());
                if row.entry.is_directory() {
                    open.push((row.node, below, false));
                } else if self.is_on_server(&row, &below).await? && self.remove(row.node, &below).await? {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Removes a node; false when it stays.
    async fn remove(&self, node: NodeId, path: &DiskPath) -> Result<bool, DaemonError> {
        match self.engine.applier.remove(node).await {
            Ok(()) => Ok(true),
            Err(ApplyError::State(error)) => Err(error.into()),
            Err(ApplyError::NotEmpty { .. }) => Ok(false),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, path = %path, "this stays");
                Ok(false)
            }
        }
    }

    /// Whether the server has a file or link as it is on this disk now.
    async fn is_on_server(&self, row: &LocalRow, path: &DiskPath) -> Result<bool, DaemonError> {
        if !self.was_sent(row).await? {
            return Ok(false);
        }
        match &row.entry.substance {
            Substance::File { .. } => {
                let read = self.scanner.reread(path.clone(), row).await?;
                Ok(matches!(read, Reread::Same))
            }
            Substance::Symlink(target) => {
                let at = path.clone();
                let found = self.on_disk(move |fs| fs.read_link(&at)).await;
                Ok(found.is_ok_and(|found| found == *target))
            }
            Substance::Directory => Ok(false),
        }
    }

    /// Whether what is remembered of a file or link is what the server has.
    async fn was_sent(&self, row: &LocalRow) -> Result<bool, StateError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let synced = state.synced(namespace, row.node).await?;
        let is_there = state.remote(namespace, row.node).await?.is_some();
        Ok(is_there && synced.is_some_and(|synced| synced.substance == row.entry.substance))
    }

    /// Counts the files and links that the server has, as far as a look without reading tells, and all others; a folder that
    /// cannot be listed is one of those.
    async fn count_folder(&self) -> Result<(u64, u64), DaemonError> {
        let (state, namespace) = (&self.engine.state, self.engine.namespace);
        let (mut known, mut unknown) = (0, 0);
        let mut open = vec![(Some(NodeId::ROOT), DiskPath::root())];
        while let Some((node, path)) = open.pop() {
            let rows = match node {
                Some(node) => state.local_children(namespace, node).await?,
                None => Vec::new(),
            };
            let at = path.clone();
            let Ok(listed) = self.on_disk(move |fs| fs.list(&at)).await else {
                // Whatever is in it.
                unknown += 1;
                continue;
            };
            for entry in listed {
                let DirectoryEntry::Named { name, metadata } = entry else {
                    unknown += 1;
                    continue;
                };
                let row = rows.iter().find(|row| row.name_on_disk() == name);
                if metadata.kind == FileKind::Node(NodeKind::Directory) {
                    open.push((row.map(|row| row.node), path.join(&name)));
                    continue;
                }
                match row {
                    Some(row) if row.fingerprint == metadata.fingerprint && self.was_sent(row).await? => {
                        known += 1
                    }
                    _ => unknown += 1,
                }
            }
        }
        Ok((known, unknown))
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn crate::fs::Filesystem) -> FsResult<T> + Send + 'static,
    ) -> Result<T, FsError> {
        let fs = std::sync::Arc::clone(&self.engine.fs);
        self.runtime.blocking(move || work(&*fs)).await
    }
}

fn of_step(error: ApplyError) -> DaemonError {
    match error {
        ApplyError::State(error) => error.into(),
        ApplyError::Fs(error) => error.into(),
        other => DaemonError::Unfinished {
            count: 1,
            first: other.to_string(),
        },
    }
}
