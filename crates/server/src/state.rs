//! What every request shares.

use std::hash::Hash;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use cairn_chunks::ChunkStore;
use cairn_core::ids::{ChunkHash, FileId, NamespaceId};
use cairn_core::runtime::Runtime;
use cairn_metadata::MetadataStore;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::auth::Caller;
use crate::config::ServerConfig;
use crate::error::ServiceError;
use crate::jobs::DirtyNamespaces;
use crate::mail::Mailer;
use crate::memory::BodyMemory;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::oidc::Provider;
use crate::service::files::{Ordered, Picture, SearchKey, ThumbnailKey};
use crate::service::steps::Steps;
use crate::service::tree_hash::TreeHashes;
use crate::text_index::TextIndex;

/// Bytes of decoded manifest pages that are kept: about 1,600 pages, the manifests of some 20 GiB of files.
const PAGE_CACHE_BYTES: u64 = 16 << 20;
/// Bytes of signatures that are kept, of chunks that were asked for or made lately: about 14,000, of 1 GiB of files.
const SIGNATURE_CACHE_BYTES: u64 = 16 << 20;
/// Requests that work on signatures or deltas at once; each holds 3 MiB at most.
const DELTA_WORKERS: usize = 4;
/// Bytes of small pictures that are kept: about 3,000 of the usual sizes.
const THUMBNAIL_CACHE_BYTES: u64 = 32 << 20;
/// Pictures of which is kept what they tell of themselves, at about 200 bytes each.
const PICTURES_KEPT: u64 = 50_000;
/// Bytes of what searches in the order of time have found: ten of the longest, or thousands of short ones.
const SEARCH_CACHE_BYTES: u64 = 16 << 20;
/// Pictures that are made small at once; each may take 200 MiB.
const THUMBNAILERS: usize = 1;
/// Commits whose long manifests are read at once; each may keep 40 MiB of hashes.
const LONG_COMMITS: usize = 2;

pub(crate) struct State {
    pub(crate) config: ServerConfig,
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) chunks: Arc<dyn ChunkStore>,
    pub(crate) runtime: Runtime,
    pub(crate) auth: Auth,
    /// Sends mail, where that is configured.
    pub(crate) mailer: OnceLock<Mailer>,
    /// Says who people are, where another provider does.
    pub(crate) oidc: OnceLock<Provider>,
    pub(crate) notifier: Arc<Notifier>,
    /// What goes out with the news.
    pub(crate) steps: Steps,
    pub(crate) metrics: Metrics,
    pub(crate) body_memory: BodyMemory,
    pub(crate) downloads: Arc<Semaphore>,
    pub(crate) long_commits: Arc<Semaphore>,
    /// Plaintext of manifest pages by hash. Holds no answer to who may read them.
    pub(crate) pages: moka::sync::Cache<ChunkHash, Bytes>,
    /// Signatures of chunks by hash; what is used least gives way. Holds no answer to who may read them.
    pub(crate) signatures: moka::sync::Cache<ChunkHash, Bytes>,
    pub(crate) delta_work: Arc<Semaphore>,
    /// Small pictures by content; what is used least gives way. Holds no answer to who may see them.
    pub(crate) thumbnails: moka::sync::Cache<ThumbnailKey, Bytes>,
    pub(crate) thumbnailing: Arc<Semaphore>,
    /// What pictures tell of themselves, by content; nothing of what is none. Holds no answer to who may see them.
    pub(crate) pictures: moka::sync::Cache<FileId, Option<Picture>>,
    /// What searches in the order of time have found, for the pages that follow; what is used least gives way.
    pub(crate) searches: moka::sync::Cache<SearchKey, Arc<Ordered>>,
    /// Hashes of folders, and walks that will go on.
    pub(crate) tree_hashes: TreeHashes,
    /// What files hold, where that is indexed.
    pub(crate) texts: OnceLock<Arc<TextIndex>>,
    /// Namespaces in which content hashes wait to be checked.
    pub(crate) dirty: DirtyNamespaces,
    /// Cancelled when the server begins to stop: nobody starts to wait any more.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the time for running requests is over.
    pub(crate) killed: CancellationToken,
    /// Every task that the server started.
    pub(crate) tasks: TaskTracker,
    pub(crate) jobs_started: AtomicBool,
}

impl State {
    pub(crate) fn new(
        config: ServerConfig,
        metadata: Arc<dyn MetadataStore>,
        chunks: Arc<dyn ChunkStore>,
        runtime: Runtime,
    ) -> Self {
        Self {
            auth: Auth::new(&config),
            mailer: OnceLock::new(),
            oidc: OnceLock::new(),
            notifier: Arc::new(Notifier::default()),
            steps: Steps::default(),
            metrics: Metrics::new(),
            body_memory: BodyMemory::new(config.body_memory_bytes),
            downloads: Arc::new(Semaphore::new(config.max_downloads.max(1))),
            long_commits: Arc::new(Semaphore::new(LONG_COMMITS)),
            pages: cache(PAGE_CACHE_BYTES),
            signatures: cache(SIGNATURE_CACHE_BYTES),
            delta_work: Arc::new(Semaphore::new(DELTA_WORKERS)),
            thumbnails: cache(THUMBNAIL_CACHE_BYTES),
            thumbnailing: Arc::new(Semaphore::new(THUMBNAILERS)),
            pictures: moka::sync::Cache::new(PICTURES_KEPT),
            searches: moka::sync::Cache::builder()
                .max_capacity(SEARCH_CACHE_BYTES)
                .weigher(|_, found: &Arc<Ordered>| u32::try_from(found.weight()).unwrap_or(u32::MAX))
                .build(),
            tree_hashes: TreeHashes::default(),
            texts: OnceLock::new(),
            dirty: DirtyNamespaces::default(),
            draining: CancellationToken::new(),
            killed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            jobs_started: AtomicBool::new(false),
            config,
            metadata,
            chunks,
            runtime,
        }
    }

    /// Starts a task that ends at the latest when the server is killed, and that a stop waits for.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let killed = self.killed.clone();
        let owned = self.tasks.track_future(async move {
            killed.run_until_cancelled(task).await;
        });
        self.runtime.spawner.spawn(name, Box::pin(owned));
    }

    /// Checks that the caller may read and write a namespace. To anyone else it does not exist.
    pub(crate) async fn check_access(
        &self,
        caller: &Caller,
        namespace: NamespaceId,
    ) -> Result<(), ServiceError> {
        let readable = self.metadata.readable_namespaces(caller.account).await?;
        if readable.contains(&namespace) {
            Ok(())
        } else {
            Err(ServiceError::NotFound("that namespace"))
        }
    }
}

/// A cache of so many bytes, those of its own rows included.
fn cache<K: Hash + Eq + Send + Sync + 'static>(bytes: u64) -> moka::sync::Cache<K, Bytes> {
    moka::sync::Cache::builder()
        .max_capacity(bytes)
        .weigher(|_, value: &Bytes| u32::try_from(value.len() + 96).unwrap_or(u32::MAX))
        .build()
}
