//! Brings content to the stage, each chunk checked, from the disk where it can be had there, else from the server.

mod assemble;
mod incoming;
mod large;
mod older;
mod pages;
mod small;

use std::sync::Arc;

use cairn_core::base::{is_long, may_come_as_edit};
use cairn_core::ids::{FileId, NamespaceId, NodeId};
use cairn_core::limits::COMMIT_BATCH_OPS;
use cairn_core::manifest::{ManifestError, ManifestReader, PlacedChunk, Step};
use cairn_core::node::FileContent;
use cairn_core::rev::Seq;
use cairn_core::runtime::Runtime;
use cairn_core::time::Mtime;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::sync::Semaphore;

use crate::fs::{DiskPath, Filesystem, FsError};
use crate::paths::Paths;
use crate::progress::Progress;
use crate::remote::{Remote, RemoteError};
use crate::state::{ClientState, StateError};

/// Content of one request for small files.
const BATCH_BYTES: u64 = 16 * 1024 * 1024;
/// Batches of small files under way at once: one arrives while the syncs of the other are waited for.
const BATCHES: usize = 2;
/// Large files under way at once.
const LARGE_FILES: usize = 4;
/// Requests for content of large files under way at once, over all of them.
const REQUESTS: usize = 4;

/// A file that is to be brought to the stage.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The node.
    pub node: NodeId,
    /// The journal entry that wrote the content.
    pub content_seq: Seq,
    /// The content.
    pub content: FileContent,
    /// Whether the owner may execute it.
    pub executable: bool,
    /// Its modification time.
    pub mtime: Mtime,
    /// The name in the stage; [`part_name`] makes one by which a cut download is found again.
    pub staged: String,
    /// What people are shown while it is under way.
    pub path: String,
}

/// Names the staged file of one content of one node: it differs when either does, so that what is found under it is a
/// part of the same bytes.
pub fn part_name(node: NodeId, file_id: FileId) -> String {
    let file_id = file_id.to_string();
    format!("part-{node}-{}", &file_id[..16])
}

/// Why a file was not brought to the stage.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The server could not be asked, or did not answer well. Shared by the files of one request.
    #[error(transparent)]
    Remote(Arc<RemoteError>),
    /// The disk refused; see [`FsError::is_full`]. What was written of a large file stays unless the disk is full.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The device's own state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// The server does not have that content any more: it was superseded. The journal says by what.
    #[error("the server does not keep this version any more")]
    NotFound,
    /// The content is damaged on the server.
    #[error("this version is damaged on the server")]
    Damaged,
    /// The manifest is not one, or not of this file.
    #[error("the file's list of chunks is wrong")]
    Manifest(#[from] ManifestError),
    /// The manifest is that of other bytes than the metadata says.
    #[error("the file's list of chunks belongs to another file")]
    OtherFile,
}

impl From<RemoteError> for DownloadError {
    fn from(error: RemoteError) -> Self {
        Self::Remote(Arc::new(error))
    }
}

/// A node with what became of it.
pub type Downloaded = (NodeId, Result<(), DownloadError>);

/// Files by how they are fetched.
#[derive(Default)]
struct Sorted {
    /// Not at all.
    unfit: Vec<Downloaded>,
    /// Many with a request.
    small: Vec<Wanted>,
    /// One by one.
    large: Vec<Wanted>,
}

/// Downloads for one synced folder.
pub struct Downloader {
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// The folder.
    pub fs: Arc<dyn Filesystem>,
    /// What the device remembers.
    pub state: Arc<dyn ClientState>,
    /// Threads.
    pub runtime: Runtime,
    /// Where the files are.
    pub namespace: NamespaceId,
    /// What is counted.
    pub progress: Arc<Progress>,
}

impl Downloader {
    /// Brings files to the stage: small ones first, many with a request, then large ones. The staged file of an `Ok` is
    /// whole and durable. Results come as they are had, in no order; dropping the stream stops the work.
    ///
    /// Nothing is tried again here. Memory does not grow with the files: chunks on their way, and for a large file the
    /// list of its chunks.
    pub fn download(&self, wanted: Vec<Wanted>) -> BoxStream<'_, Downloaded> {
        let bytes = wanted.iter().map(|wanted| wanted.content.size).sum();
        self.progress.down.expect(wanted.len() as u64, bytes);
        let begun = async move {
            let Sorted { unfit, small, large } = self.sort(wanted).await;
            let requests = Arc::new(Semaphore::new(REQUESTS));
            let small = stream::iter(batches(small))
                .map(|batch| self.fetch_small(batch))
                .buffer_unordered(BATCHES)
                .flat_map(stream::iter);
            let large = stream::iter(large)
                .map(move |wanted| self.fetch_large(wanted, Arc::clone(&requests)))
                .buffer_unordered(LARGE_FILES);
            stream::iter(unfit).chain(small).chain(large)
        };
        stream::once(begun).flatten().boxed()
    }

    /// Sorts files by how they are fetched. Of few the folder is asked for an older version: what has one is fetched by
    /// itself, and only what changed.
    async fn sort(&self, wanted: Vec<Wanted>) -> Sorted {
        let count = wanted.len();
        let mut sorted = Sorted::default();
        for wanted in wanted {
            let content = &wanted.content;
            let is_edit = may_come_as_edit(content, count);
            if content.manifest.file_id(content.size) != content.file_id {
                sorted.unfit.push((wanted.node, Err(DownloadError::OtherFile)));
            } else if is_long(content) || (is_edit && matches!(self.older(&wanted).await, Ok(Some(_)))) {
                sorted.large.push(wanted);
            } else {
                sorted.small.push(wanted);
            }
        }
        sorted
    }

    /// A local file that has the content.
    async fn local_source(&self, content: &FileContent) -> Result<Option<DiskPath>, DownloadError> {
        Ok(self.local_sources(&[content.file_id]).await?.pop().flatten())
    }

    /// For each of these contents a local file that has it.
    async fn local_sources(&self, file_ids: &[FileId]) -> Result<Vec<Option<DiskPath>>, DownloadError> {
        let rows = self.state.locals_with_contents(self.namespace, file_ids).await?;
        let mut paths = Paths::new(self.namespace);
        let mut sources = Vec::with_capacity(rows.len());
        for row in rows {
            sources.push(match row {
                Some(row) => paths.of(self.state.as_ref(), &row).await?,
                None => None,
            });
        }
        Ok(sources)
    }
}

/// Cuts small files into requests.
fn batches(small: Vec<Wanted>) -> Vec<Vec<Wanted>> {
    let mut batches: Vec<Vec<Wanted>> = Vec::new();
    let mut room = 0;
    for wanted in small {
        let size = wanted.content.size;
        match batches
            .last_mut()
            .filter(|batch| room >= size && batch.len() < COMMIT_BATCH_OPS)
        {
            Some(batch) => {
                room -= size;
                batch.push(wanted);
            }
            None => {
                room = BATCH_BYTES.saturating_sub(size);
                batches.push(vec![wanted]);
            }
        }
    }
    batches
}

/// The places of the chunks of a file whose manifest lists them.
fn inline_chunks(content: &FileContent) -> Result<Vec<PlacedChunk>, DownloadError> {
    let mut reader = ManifestReader::new(&content.manifest, content.size)?;
    let mut chunks = Vec::new();
    while let Step::Chunk(chunk) = reader.step() {
        chunks.push(chunk);
    }
    Ok(chunks)
}

#[cfg(test)]
mod tests;
