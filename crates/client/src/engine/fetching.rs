//! The content that a plan puts on the disk, fetched before its first step.

use std::collections::HashMap;

use cairn_core::ids::{FileId, NodeId};
use cairn_core::planner::Step;
use cairn_core::tree::{Entry, Neighbourhood, Substance};
use futures::StreamExt;

use super::report::PassReport;
use super::{Engine, EngineResult};
use crate::downloader::{DownloadError, Wanted, part_name};
use crate::reason::Reason;
use crate::remote::RemoteError;
use crate::state::StateResult;

/// What was fetched for the steps of a plan: the staged name of each node's content.
pub(super) type Staged = HashMap<NodeId, String>;

impl Engine {
    /// Fetches the content of every file that the plan creates or replaces.
    pub(super) async fn fetch(
        &self,
        hood: &Neighbourhood,
        steps: &[Step],
        report: &mut PassReport,
    ) -> EngineResult<Staged> {
        let mut files = Vec::new();
        for step in steps {
            let (Step::Create { node } | Step::Replace { node, .. }) = step else {
                continue;
            };
            let Some(entry) = hood.remote.get(*node) else {
                continue;
            };
            if let Substance::File { file_id, .. } = entry.substance {
                files.push((*node, entry, file_id));
            }
        }
        let file_ids: Vec<FileId> = files.iter().map(|(_, _, file_id)| *file_id).collect();
        let contents = self.state.contents(&file_ids).await?;
        let mut wanted = Vec::with_capacity(files.len());
        for ((node, entry, file_id), content) in files.into_iter().zip(contents) {
            let Some(content) = content else { continue };
            wanted.push(Wanted {
                node,
                content_seq: entry.content_seq,
                content,
                executable: entry.attributes.executable,
                mtime: entry.attributes.mtime,
                staged: part_name(node, file_id),
                path: entry.place.name.to_string(),
            });
        }
        let names: Staged = wanted
            .iter()
            .map(|wanted| (wanted.node, wanted.staged.clone()))
            .collect();
        let mut staged = Staged::with_capacity(names.len());
        let mut downloads = self.downloader.download(wanted);
        let mut lost_connection = None;
        while let Some((node, result)) = downloads.next().await {
            match result {
                Ok(()) => {
                    staged.extend(names.get(&node).map(|name| (node, name.clone())));
                }
                Err(DownloadError::State(error)) => return Err(error.into()),
                Err(DownloadError::Remote(error)) if matches!(*error, RemoteError::Unreachable { .. }) => {
                    lost_connection = Some(error);
                }
                Err(error) => self.note_download(node, &error, report).await?,
            }
        }
        drop(downloads);
        match lost_connection {
            // Nothing at all arrived: the server is gone, and it is useless to go on.
            Some(error) if staged.is_empty() => Err(unreachable_again(&error).into()),
            _ => Ok(staged),
        }
    }

    async fn note_download(
        &self,
        node: NodeId,
        error: &DownloadError,
        report: &mut PassReport,
    ) -> StateResult<()> {
        let names = self
            .state
            .remote_path(self.namespace, node)
            .await?
            .unwrap_or_default();
        let path = names.join("/");
        match error {
            // The journal says by what it was superseded.
            DownloadError::NotFound => report.is_stale = true,
            DownloadError::Fs(error) if error.is_full() => {
                let message = format!("{error}: {}; free some space; it is tried again", error.source);
                report.set_back(&path, Reason::DiskFull, message, true);
            }
            DownloadError::Damaged => {
                report.set_back(
                    &path,
                    Reason::Damaged,
                    format!("{error}; a device that has it can send it again"),
                    true,
                );
            }
            error => report.set_back(
                &path,
                Reason::FetchFailed,
                format!("{error}; it is tried again"),
                true,
            ),
        }
        Ok(())
    }
}

/// Whether a step lacks the content that it puts on the disk: it could not be fetched, which has been told.
pub(super) fn lacks_content(hood: &Neighbourhood, step: &Step, staged: &Staged) -> bool {
    let (Step::Create { node } | Step::Replace { node, .. }) = step else {
        return false;
    };
    let is_file = |entry: &Entry| matches!(entry.substance, Substance::File { .. });
    hood.remote.get(*node).is_some_and(is_file) && !staged.contains_key(node)
}

fn unreachable_again(error: &RemoteError) -> RemoteError {
    let server = match error {
        RemoteError::Unreachable { server, .. } => server.clone(),
        _ => String::new(),
    };
    RemoteError::Unreachable {
        server,
        source: error.to_string().into(),
    }
}
