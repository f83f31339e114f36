//! Finds files by the words in them: an index beside the metadata, derived from journal and contents.
//!
//! Each namespace has an index of its own, so none can tell of another's files, not even by what is rare in it. With every
//! commit an index remembers how far it has followed the journal; a crash costs the work since then, and an index that is
//! damaged, or of another version, is made anew. It says which files held the words: whether these still stand there, where,
//! and whether the caller may see them, is looked up in the tree.

mod fill;
mod plain;
mod store;
mod words;

use std::collections::BTreeSet;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cairn_core::ids::NamespaceId;
use cairn_core::node::FileContent;

pub(crate) use store::{Hit, Span};

use crate::data_folder::make_private_folder;
use crate::jobs::DirtyNamespaces;
use crate::state::State;
use store::Opened;

/// Another version is another folder: the one before is removed and its indexes are made anew.
const VERSION: &str = "1";
/// Bytes of a file's text that are indexed.
const TEXT_BYTES: usize = 1 << 20;
/// Bytes of the longest document that is looked into.
const DOCUMENT_BYTES: u64 = 32 << 20;
/// Indexes that are kept open.
const OPEN: u64 = 64;
/// How long one that nobody asks stays open.
const OPEN_FOR: Duration = Duration::from_secs(600);

/// Gets the text out of documents, which strangers have made: in a process of its own, with bounds on time and memory.
#[async_trait]
pub trait TextExtractor: Send + Sync {
    /// Whether bytes begin as a document whose text it may know; the first kilobyte tells.
    fn is_document(&self, beginning: &[u8]) -> bool;

    /// The text of a document, at most `max_bytes` of it; `None` where there is none that can be read. Never panics.
    async fn text_of(&self, document: Vec<u8>, max_bytes: usize) -> Option<String>;
}

/// The indexes of a server's namespaces.
pub(crate) struct TextIndex {
    folder: PathBuf,
    extractor: Arc<dyn TextExtractor>,
    open: moka::sync::Cache<NamespaceId, Arc<Opened>>,
    /// One is opened or removed at a time: whoever sees another being made would take it for damaged.
    opening: Mutex<()>,
    /// Namespaces that have moved on.
    pub(crate) dirty: DirtyNamespaces,
    /// One is filled at a time.
    filling: tokio::sync::Mutex<()>,
}

/// Why an index does not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TextIndexError {
    /// The index.
    #[error(transparent)]
    Index(#[from] tantivy::TantivyError),
    /// Its folder.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It broke down over what is on the disk.
    #[error("it broke down")]
    Broken,
    /// It has had its turn; what it has done until then counts.
    #[error("others are waiting")]
    TurnIsOver,
    /// The service failed.
    #[error(transparent)]
    Service(#[from] crate::error::ServiceError),
}

impl TextIndexError {
    /// Whether the index is beyond use, and not only what it needed at the moment.
    const fn is_damage(&self) -> bool {
        use tantivy::TantivyError as Error;
        use tantivy::directory::error::OpenReadError;
        matches!(
            self,
            Self::Broken
                | Self::Index(
                    Error::DataCorruption(_)
                        | Error::IncompatibleIndex(_)
                        | Error::SchemaError(_)
                        | Error::OpenReadError(
                            OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_)
                        )
                )
        )
    }
}

impl From<cairn_metadata::MetadataError> for TextIndexError {
    fn from(error: cairn_metadata::MetadataError) -> Self {
        Self::Service(error.into())
    }
}

type Result<T> = std::result::Result<T, TextIndexError>;

impl TextIndex {
    /// Opens the folder, which holds nothing else, and removes what earlier versions left.
    pub(crate) fn open(folder: &Path, extractor: Arc<dyn TextExtractor>) -> io::Result<Self> {
        make_private_folder(folder)?;
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name() != VERSION {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        let folder = folder.join(VERSION);
        make_private_folder(&folder)?;
        let open = moka::sync::Cache::builder()
            .max_capacity(OPEN)
            .time_to_idle(OPEN_FOR)
            .build();
        Ok(Self {
            folder,
            extractor,
            open,
            opening: Mutex::default(),
            dirty: DirtyNamespaces::default(),
            filling: tokio::sync::Mutex::default(),
        })
    }

    /// What was found in a namespace, the best first, at most `limit`: nothing that is certain, see [`Hit::is_of`].
    pub(crate) async fn find(
        self: &Arc<Self>,
        state: &State,
        namespace: NamespaceId,
        query: &str,
        limit: usize,
    ) -> Result<Vec<Hit>> {
        let query = query.to_owned();
        self.with(state, namespace, move |opened| opened.find(&query, limit))
            .await
    }

    /// The passages of hits that hold the words, in their order; empty where no room was left for more.
    pub(crate) async fn passages(
        self: &Arc<Self>,
        state: &State,
        namespace: NamespaceId,
        query: &str,
        hits: Vec<Hit>,
    ) -> Result<Vec<Vec<Span>>> {
        let query = query.to_owned();
        self.with(state, namespace, move |opened| opened.passages(&query, &hits))
            .await
    }

    /// Removes the indexes of namespaces that there are no longer.
    pub(crate) fn keep_only(&self, namespaces: &BTreeSet<NamespaceId>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let namespace = id.and_then(|id| NamespaceId::new(id).ok());
            if !namespace.is_some_and(|namespace| namespaces.contains(&namespace)) {
                std::fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }

    /// Works on a namespace's index.
    async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        state: &State,
        namespace: NamespaceId,
        work: impl FnOnce(&Opened) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let index = Arc::clone(self);
        let work = move || index.opened(namespace).and_then(|opened| work(&opened));
        self.guarded(state, namespace, work).await
    }

    /// Works on a namespace's index where that blocks nobody. One that is damaged is removed, to be made anew.
    async fn guarded<T: Send + 'static>(
        &self,
        state: &State,
        namespace: NamespaceId,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // What is on the disk may be anything after a crash of the machine.
        let work = move || catch_unwind(AssertUnwindSafe(work));
        let done = state.runtime.blocking(work).await;
        let done = done.unwrap_or(Err(TextIndexError::Broken));
        if done.as_ref().is_err_and(TextIndexError::is_damage) {
            self.discard(namespace);
        }
        done
    }

    fn opened(&self, namespace: NamespaceId) -> Result<Arc<Opened>> {
        if let Some(opened) = self.open.get(&namespace) {
            return Ok(opened);
        }
        let _alone = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = self.open.get(&namespace) {
            return Ok(opened);
        }
        let opened = Arc::new(Opened::open(&self.folder_of(namespace))?);
        self.open.insert(namespace, Arc::clone(&opened));
        Ok(opened)
    }

    fn discard(&self, namespace: NamespaceId) {
        let _alone = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        self.open.invalidate(&namespace);
        match std::fs::remove_dir_all(self.folder_of(namespace)) {
            Ok(()) => self.dirty.add(namespace),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.dirty.add(namespace),
            Err(error) => tracing::warn!(namespace.id = %namespace, %error, "cannot remove a damaged index"),
        }
    }

    fn folder_of(&self, namespace: NamespaceId) -> PathBuf {
        self.folder.join(namespace.get().to_string())
    }
}

/// Tells states of files apart, as far as an index needs to.
pub(crate) fn key_of(file: &FileContent) -> u64 {
    let (first, _) = file
        .file_id
        .as_bytes()
        .split_first_chunk()
        .unwrap_or((&[0; 8], &[]));
    u64::from_le_bytes(*first)
}
