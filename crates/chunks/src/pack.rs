//! Chunks in local files.
//!
//! ```text
//! keyring          the keys that wrap the keys of packs; made on the first start
//! epoch            the epoch of garbage collection
//! index.db         where each chunk lies; a cache of what the packs say
//! packs/ID.pack    many chunks in one file, encrypted, immutable
//! packs/ID.open    the pack that is being written, or that a crash left for the next start to seal
//! ```
//!
//! A chunk is acknowledged when its frame is durable in a pack; the index learns of it later. A process appends only
//! to packs that it created: ordinals are nonces, and after a crash nobody knows which were used.

mod epoch;
pub mod files;
mod footer;
mod format;
mod index;
mod open;
mod pending;
mod reader;
mod recover;
mod suspects;
mod writer;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use cairn_core::ids::ChunkHash;
use cairn_core::runtime::Runtime;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

use self::epoch::EpochFile;
use self::files::{OsDir, PackDir};
use self::index::Index;
use self::pending::{Claims, Pending};
use self::reader::{Location, Packs};
use self::suspects::Suspects;
use self::writer::{BATCH_BYTES, BATCH_CHUNKS, Command, Request, Writer};
use crate::{ChunkError, ChunkStore, CollectableChunks, EncodedChunk, Lease, NewChunk, Result};

/// Requests that may wait for the writer.
const QUEUE_REQUESTS: usize = 1_024;
/// KiB of chunks that may wait for the writer, so that a slow disk bounds memory.
const QUEUE_KIB: u32 = 16 * 1024;

/// What can be chosen about a store of packs.
#[derive(Debug, Clone)]
pub struct PackOptions {
    /// Bytes after which a pack is sealed. A pack is longer only when one batch of chunks alone is.
    pub pack_bytes: u64,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            pack_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Keeps chunks in packs. The caller holds the lock of the folder.
pub struct PackChunks {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Command>,
    queue_kib: Arc<Semaphore>,
    closed: AtomicBool,
    advancing: Mutex<()>,
}

/// What the store and its tasks share.
pub(crate) struct Shared {
    runtime: Runtime,
    options: PackOptions,
    packs: Packs,
    index: Index,
    epoch: Arc<EpochFile>,
    pending: Arc<Pending>,
    learning: Mutex<()>,
    suspects: Suspects,
}

impl Shared {
    /// Tells the index what it does not know yet.
    async fn learn(&self) -> Result<()> {
        let _one_at_a_time = self.learning.lock().await;
        let backlog = self.pending.backlog();
        self.index.learn(&backlog).await?;
        self.pending.learnt(&backlog);
        Ok(())
    }
}

impl PackChunks {
    /// Opens the store in `folder`, making it when it is empty, sealing what a crash left open and completing the
    /// index.
    ///
    /// # Errors
    /// [`ChunkError::Unopenable`] when there are packs but not their keys, [`ChunkError::Full`], [`ChunkError::Io`].
    pub async fn open(folder: &Path, runtime: Runtime, options: PackOptions) -> Result<Self> {
        let packs = folder.join("packs");
        let made = packs.clone();
        runtime.blocking(move || open::make_folder(&made)).await?;
        Self::open_with(folder, Arc::new(OsDir::new(packs)), runtime, options).await
    }

    /// As [`PackChunks::open`], with packs in `dir`; keyring, epoch and index are in `folder`.
    ///
    /// # Errors
    /// Those of [`PackChunks::open`].
    pub async fn open_with(
        folder: &Path,
        dir: Arc<dyn PackDir>,
        runtime: Runtime,
        options: PackOptions,
    ) -> Result<Self> {
        let home = folder.to_owned();
        let for_prepare = runtime.clone();
        let (packs, found, epoch) = runtime
            .blocking(move || open::prepare(&home, dir, &for_prepare))
            .await?;
        let index = Index::open(&folder.join("index.db"), epoch.get()).await?;
        let shared = Arc::new(Shared {
            runtime,
            options,
            packs,
            index,
            epoch: Arc::new(epoch),
            pending: Arc::default(),
            learning: Mutex::default(),
            suspects: Suspects::default(),
        });
        open::complete_index(&shared, found).await?;
        let (queue, commands) = mpsc::channel(QUEUE_REQUESTS);
        let (learn, learned) = mpsc::channel(1);
        let writer = Writer {
            shared: Arc::clone(&shared),
            queue: commands,
            learn,
        };
        shared
            .runtime
            .spawner
            .spawn("pack writer", Box::pin(writer.run()));
        shared.runtime.spawner.spawn(
            "pack index",
            Box::pin(keep_learning(Arc::clone(&shared), learned)),
        );
        Ok(Self {
            shared,
            queue,
            queue_kib: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            closed: AtomicBool::new(false),
            advancing: Mutex::default(),
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        Ok(())
    }

    /// Those of `hashes` that the index has alive, kept alive under `epoch`.
    async fn touch_indexed(&self, hashes: &[ChunkHash], epoch: i64) -> Result<HashSet<ChunkHash>> {
        if hashes.is_empty() {
            return Ok(HashSet::new());
        }
        let found = self.shared.index.find(hashes).await?;
        let (mut alive, mut stale) = (HashSet::new(), Vec::new());
        for live in found {
            if live.touch_epoch >= epoch {
                alive.insert(live.hash);
            } else {
                stale.push(live.hash);
            }
        }
        if !stale.is_empty() {
            // Between the lookup and this write a chunk may be condemned: then it is not among those returned.
            alive.extend(self.shared.index.touch(&stale, epoch).await?);
        }
        Ok(alive)
    }

    /// Writes the chunks that `claims` still holds.
    async fn write(&self, chunks: Vec<NewChunk>, claims: Claims, epoch: i64) -> Result<()> {
        let bytes: usize = chunks.iter().map(|new| new.chunk.bytes.len()).sum();
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(QUEUE_KIB);
        let permit = Arc::clone(&self.queue_kib)
            .acquire_many_owned(kib)
            .await
            .map_err(|_closed| closed())?;
        let (reply, answer) = oneshot::channel();
        let request = Request {
            chunks,
            claims,
            epoch,
            permit,
            reply,
        };
        self.queue
            .send(Command::Write(request))
            .await
            .map_err(|_ended| closed())?;
        answer.await.map_err(|_ended| closed())?
    }

    async fn locate_many(&self, hashes: &[ChunkHash]) -> Result<Vec<Option<Location>>> {
        // In this order: a chunk leaves the pending ones only when the index has it.
        let pending = &self.shared.pending;
        let mut located: Vec<_> = hashes.iter().map(|hash| pending.find(hash)).collect();
        let others: Vec<ChunkHash> = hashes
            .iter()
            .zip(&located)
            .filter(|(_, at)| at.is_none())
            .map(|(hash, _)| *hash)
            .collect();
        if others.is_empty() {
            return Ok(located);
        }
        let found = self.shared.index.find(&others).await?;
        let found: HashMap<ChunkHash, Location> = found.iter().map(|live| (live.hash, live.at)).collect();
        for (hash, at) in hashes.iter().zip(&mut located) {
            *at = at.or_else(|| found.get(hash).copied());
        }
        Ok(located)
    }
}

#[async_trait]
impl ChunkStore for PackChunks {
    async fn put(&self, chunks: Vec<NewChunk>) -> Result<Lease> {
        self.check_open()?;
        chunks.iter().try_for_each(NewChunk::check)?;
        let epoch = self.shared.epoch.get();
        let mut left: BTreeMap<_, _> = chunks.into_iter().map(|new| (new.hash, new)).collect();
        let damaged = self.shared.suspects.among(left.keys());
        if !damaged.is_empty() {
            // What is pending counts as alive: the index takes it over first.
            self.shared.learn().await?;
        }
        while !left.is_empty() {
            let hashes = one_request(&left);
            let (alive, mut claims) = self.shared.pending.claim(&hashes, epoch).await;
            alive.iter().for_each(|hash| {
                left.remove(hash);
            });
            let mut sought = claims.hashes();
            sought.retain(|hash| !damaged.contains(hash));
            for hash in self.touch_indexed(&sought, epoch).await? {
                claims.release(&hash);
                left.remove(&hash);
            }
            let missing: Vec<_> = claims
                .hashes()
                .iter()
                .filter_map(|hash| left.remove(hash))
                .collect();
            if !missing.is_empty() {
                self.write(missing, claims, epoch).await?;
            }
        }
        self.shared.suspects.forget(&damaged);
        Ok(Lease(epoch))
    }

    async fn get(&self, hash: &ChunkHash) -> Result<Option<EncodedChunk>> {
        self.get_many(&[*hash]).await.pop().unwrap_or(Ok(None))
    }

    async fn get_many(&self, hashes: &[ChunkHash]) -> Vec<Result<Option<EncodedChunk>>> {
        let located = match self.check_open() {
            Ok(()) => self.locate_many(hashes).await,
            Err(error) => Err(error),
        };
        let located = match located {
            Ok(located) => located,
            Err(error) => return hashes.iter().map(|_| Err(error.again())).collect(),
        };
        let (shared, hashes) = (Arc::clone(&self.shared), hashes.to_vec());
        let read = move || {
            let read = |(hash, at): (&ChunkHash, Option<Location>)| {
                let read = at.map(|at| shared.packs.read(hash, at)).transpose();
                if matches!(read, Err(ChunkError::Corrupt { .. })) {
                    shared.suspects.note(hash);
                }
                read
            };
            hashes.iter().zip(located).map(read).collect()
        };
        self.shared.runtime.blocking(read).await
    }

    async fn touch(&self, hashes: &[ChunkHash]) -> Result<(Vec<bool>, Lease)> {
        self.check_open()?;
        let epoch = self.shared.epoch.get();
        let (recent, others): (Vec<ChunkHash>, Vec<ChunkHash>) = hashes
            .iter()
            .partition(|hash| self.shared.pending.touch(hash, epoch));
        let mut alive = self.touch_indexed(&others, epoch).await?;
        alive.extend(recent);
        Ok((
            hashes.iter().map(|hash| alive.contains(hash)).collect(),
            Lease(epoch),
        ))
    }

    async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Result<Vec<ChunkHash>> {
        self.check_open()?;
        let mut hashes = self.shared.pending.list(after, limit);
        hashes.extend(self.shared.index.list(after, limit).await?);
        hashes.sort_unstable();
        hashes.dedup();
        hashes.truncate(limit);
        Ok(hashes)
    }

    async fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Err(closed());
        }
        let (reply, answer) = oneshot::channel();
        self.queue
            .send(Command::Close(reply))
            .await
            .map_err(|_ended| closed())?;
        let finished = answer.await.map_err(|_ended| closed())?;
        // Whoever learns now is waited for, so that nothing is written after the index is closed.
        let _nobody_learns = self.shared.learning.lock().await;
        let index = self.shared.index.close(finished.is_ok()).await;
        finished.and(index)
    }
}

#[async_trait]
impl CollectableChunks for PackChunks {
    fn epoch(&self) -> Lease {
        Lease(self.shared.epoch.get())
    }

    async fn advance_epoch(&self) -> Result<Lease> {
        self.check_open()?;
        let _one_at_a_time = self.advancing.lock().await;
        let epoch = Arc::clone(&self.shared.epoch);
        self.shared
            .runtime
            .blocking(move || epoch.advance())
            .await
            .map(Lease)
    }

    async fn condemn(&self, unreferenced: &[ChunkHash], round: Lease) -> Result<Vec<bool>> {
        self.check_open()?;
        // What is written after this was touched in the current epoch and is out of reach of any round up to it.
        self.shared.learn().await?;
        let condemned = self.shared.index.condemn(unreferenced, round.0).await?;
        Ok(unreferenced.iter().map(|hash| condemned.contains(hash)).collect())
    }
}

/// The first of `left`, as many as one request may have.
fn one_request(left: &BTreeMap<ChunkHash, NewChunk>) -> Vec<ChunkHash> {
    let mut bytes = 0;
    left.values()
        .take(BATCH_CHUNKS)
        .take_while(|new| {
            let fits = bytes < BATCH_BYTES;
            bytes += new.chunk.bytes.len();
            fits
        })
        .map(|new| new.hash)
        .collect()
}

fn closed() -> ChunkError {
    ChunkError::Closed {
        reason: "it was closed".to_owned(),
    }
}

async fn keep_learning(shared: Arc<Shared>, mut wanted: mpsc::Receiver<()>) {
    while wanted.recv().await.is_some() {
        if let Err(error) = shared.learn().await {
            // The chunks stay pending; the writer tries again when there are too many of them.
            let cause = std::error::Error::source(&error)
                .map(ToString::to_string)
                .unwrap_or_default();
            tracing::warn!(%error, cause, "the index of chunks is behind");
        }
    }
}
