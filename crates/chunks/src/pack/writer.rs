//! The one task that writes packs.
//!
//! It appends everything that waits, syncs once and acknowledges all of it; while a sync runs, the next batch is
//! encrypted and appended. There is no timer: a lone request is synced at once, and the busier the store, the larger
//! the batches.

mod open_pack;

use std::io;
use std::sync::Arc;

use futures::future;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use zeroize::Zeroizing;

use self::open_pack::{Appended, OpenPack};
use super::Shared;
use super::format::{FRAMES_MAX, PackCipher, PackHeader, PackId};
use super::pending::Claims;
use super::reader::{PackHandle, open_name, path_of};
use super::recover;
use crate::keyring::{KEY_LEN, NONCE_LEN};
use crate::{ChunkError, NewChunk, Result};

/// Bytes that are appended before the next sync begins: some tens of milliseconds of a disk's work.
pub(crate) const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Chunks that are appended before the next sync begins, and in one request. Two batches fit into a pack.
pub(crate) const BATCH_CHUNKS: usize = FRAMES_MAX as usize / 4;
/// Chunks that wait for their rows before the index is told. Rows are cheapest in large sorted batches.
const LEARN_AT: usize = 4_096;
/// Chunks that wait for their rows before writing waits for the index: bounds memory to some megabytes.
const LEARN_BEHIND: usize = 32_768;

/// Chunks to write.
pub(crate) struct Request {
    pub(crate) chunks: Vec<NewChunk>,
    pub(crate) claims: Claims,
    pub(crate) epoch: i64,
    /// Bytes of the queue; given back when the request is answered.
    pub(crate) permit: OwnedSemaphorePermit,
    pub(crate) reply: oneshot::Sender<Result<()>>,
}

impl Request {
    fn bytes(&self) -> usize {
        self.chunks.iter().map(|new| new.chunk.bytes.len()).sum()
    }

    fn fail(self, error: &ChunkError) {
        // Nobody listens when the caller has gone away.
        let _ = self.reply.send(Err(error.again()));
    }
}

/// What the task is asked.
pub(crate) enum Command {
    /// Write and sync.
    Write(Request),
    /// Sync, seal, and end.
    Close(oneshot::Sender<Result<()>>),
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) queue: mpsc::Receiver<Command>,
    /// Wakes the task that tells the index.
    pub(crate) learn: mpsc::Sender<()>,
}

impl Writer {
    /// Runs until it is told to close, or until the store is dropped: then what waits is still written, and the pack is
    /// left for the next start to seal.
    pub(crate) async fn run(mut self) {
        let mut pack = None;
        let mut appended = Vec::new();
        let mut closing = None;
        loop {
            let mut batch = Vec::new();
            if closing.is_none() {
                closing = match self.next_batch(&mut batch, appended.is_empty()).await {
                    Next::Batch => None,
                    Next::Close(reply) => Some(Some(reply)),
                    Next::Dropped => Some(None),
                };
            }
            self.step(&mut pack, &mut appended, batch).await;
            if closing.is_some() && appended.is_empty() {
                break;
            }
        }
        if let Some(Some(reply)) = closing {
            let _ = reply.send(self.finish(pack).await);
        }
    }

    /// Takes what waits, up to a batch; waits only when `idle`.
    async fn next_batch(&mut self, batch: &mut Vec<Request>, idle: bool) -> Next {
        let (mut bytes, mut chunk_count) = (0, 0);
        loop {
            let command = if idle && batch.is_empty() {
                match self.queue.recv().await {
                    Some(command) => command,
                    None => return Next::Dropped,
                }
            } else {
                match self.queue.try_recv() {
                    Ok(command) => command,
                    Err(mpsc::error::TryRecvError::Empty) => return Next::Batch,
                    Err(mpsc::error::TryRecvError::Disconnected) => return Next::Dropped,
                }
            };
            match command {
                Command::Write(request) => {
                    bytes += request.bytes();
                    chunk_count += request.chunks.len();
                    batch.push(request);
                    if bytes >= BATCH_BYTES || chunk_count >= BATCH_CHUNKS {
                        return Next::Batch;
                    }
                }
                Command::Close(reply) => return Next::Close(reply),
            }
        }
    }

    /// Syncs what is appended and appends `batch` meanwhile, to a new pack when the current one is full.
    async fn step(&self, pack: &mut Option<OpenPack>, appended: &mut Vec<Appended>, batch: Vec<Request>) {
        if batch.is_empty() {
            return self.sync(pack, std::mem::take(appended)).await;
        }
        let chunk_count: usize = batch.iter().map(|request| request.chunks.len()).sum();
        let bytes: usize = batch.iter().map(Request::bytes).sum();
        if pack
            .as_ref()
            .is_some_and(|pack| pack.is_full(chunk_count, bytes, self.shared.options.pack_bytes))
        {
            self.sync(pack, std::mem::take(appended)).await;
            if let Some(full) = pack.take() {
                self.seal(full).await;
            }
        }
        if let Err(error) = self.make_room(pack, chunk_count).await {
            batch.into_iter().for_each(|request| request.fail(&error));
            return self.sync(pack, std::mem::take(appended)).await;
        }
        let Some(mut open) = pack.take() else {
            return;
        };
        let unsynced = std::mem::take(appended);
        let old = (!unsynced.is_empty()).then(|| Arc::clone(&open.file));
        let durable = open.entries.len();
        let sync = self
            .shared
            .runtime
            .blocking(move || old.map_or(Ok(()), |file| file.sync()));
        let append = self.shared.runtime.blocking(move || {
            let done = open.append(batch);
            (open, done)
        });
        let (synced, (mut open, done)) = future::join(sync, append).await;
        if let Err(error) = synced {
            let error = self.failed("sync", &open, error);
            unsynced
                .into_iter()
                .for_each(|appended| appended.request.fail(&error));
            match done {
                Ok(lost) => lost
                    .into_iter()
                    .for_each(|appended| appended.request.fail(&error)),
                Err((_, batch)) => batch.into_iter().for_each(|request| request.fail(&error)),
            }
            return self.abandon(open).await;
        }
        if !unsynced.is_empty() {
            open.durable = durable;
            self.settle(unsynced);
        }
        match done {
            Ok(done) => {
                *appended = done;
                *pack = Some(open);
            }
            Err((error, batch)) => {
                let error = self.failed("write", &open, error);
                batch.into_iter().for_each(|request| request.fail(&error));
                self.abandon(open).await;
            }
        }
    }

    async fn sync(&self, pack: &mut Option<OpenPack>, appended: Vec<Appended>) {
        let Some(open) = pack.as_mut().filter(|_| !appended.is_empty()) else {
            return;
        };
        let file = Arc::clone(&open.file);
        match self.shared.runtime.blocking(move || file.sync()).await {
            Ok(()) => {
                open.durable = open.entries.len();
                self.settle(appended);
            }
            Err(error) => {
                // What the disk holds is unknown now. The pack keeps what was durable; the next start cuts the rest.
                let error = self.failed("sync", open, error);
                appended
                    .into_iter()
                    .for_each(|appended| appended.request.fail(&error));
                if let Some(failed) = pack.take() {
                    self.abandon(failed).await;
                }
            }
        }
    }

    fn settle(&self, appended: Vec<Appended>) {
        for Appended { request, entries } in appended {
            let Request {
                claims,
                reply,
                permit,
                ..
            } = request;
            claims.settle(&entries);
            let _ = reply.send(Ok(()));
            drop(permit);
        }
        if self.shared.pending.recent_count() >= LEARN_AT {
            self.wake_learner();
        }
    }

    fn wake_learner(&self) {
        // A full channel means that it will look anyway.
        let _ = self.learn.try_send(());
    }

    /// Makes sure that there is a pack and that the index is not too far behind.
    async fn make_room(&self, pack: &mut Option<OpenPack>, chunk_count: usize) -> Result<()> {
        if self.shared.pending.recent_count() + chunk_count > LEARN_BEHIND {
            self.shared.learn().await?;
        }
        if pack.is_none() {
            *pack = Some(self.create().await?);
        }
        Ok(())
    }

    /// Creates a pack; its header and its name are durable when this returns.
    async fn create(&self) -> Result<OpenPack> {
        let shared = Arc::clone(&self.shared);
        let number = shared.packs.next_number();
        let run = move || {
            let entropy = &*shared.runtime.entropy;
            let mut id = [0; 16];
            entropy.fill(&mut id);
            let id = PackId::new(id);
            let mut secret = Zeroizing::new([0; KEY_LEN]);
            entropy.fill(&mut *secret);
            let mut nonce = [0; NONCE_LEN];
            entropy.fill(&mut nonce);
            let header =
                PackHeader::seal(id, &shared.packs.ring, nonce, &secret).expect("the ring's own key wraps");
            let cipher = PackCipher::new(id, &secret).expect("AES takes any key of its length");
            let dir = &*shared.packs.dir;
            let name = open_name(id);
            let failed = |error| ChunkError::io("create", &path_of(dir, &name), error);
            let file = dir.create(&name).map_err(failed)?;
            let written = file
                .write_all_at(&header.to_bytes(), 0)
                .and_then(|()| file.sync());
            if let Err(error) = written.and_then(|()| dir.sync()) {
                // Nothing is in it; if it stays, the next start removes it.
                let _ = dir.remove(&name);
                return Err(failed(error));
            }
            shared.packs.register(number, id);
            shared.pending.created(number, id);
            let cipher = Arc::new(cipher);
            let handle = PackHandle {
                file: Arc::clone(&file),
                cipher: Arc::clone(&cipher),
            };
            shared.packs.keep(number, handle);
            Ok(OpenPack::new(number, file, cipher))
        };
        self.shared.runtime.blocking(run).await
    }

    /// Seals a pack whose frames are all durable. A failure loses nothing: the next start seals it.
    async fn seal(&self, pack: OpenPack) -> bool {
        let shared = Arc::clone(&self.shared);
        let number = pack.number;
        let run = move || {
            recover::seal(
                &*shared.packs.dir,
                &*pack.file,
                &pack.cipher,
                pack.entries,
                pack.end,
            )
        };
        match self.shared.runtime.blocking(run).await {
            Ok(()) => {
                self.shared.pending.sealed(number);
                self.wake_learner();
                true
            }
            Err(error) => {
                let cause = std::error::Error::source(&error)
                    .map(ToString::to_string)
                    .unwrap_or_default();
                tracing::warn!(%error, cause, "a pack could not be sealed; the next start does it");
                false
            }
        }
    }

    /// Leaves a pack after a failed write or sync. One without durable frames is removed, so that a full disk does not
    /// collect them; any other is cut and sealed by the next start.
    async fn abandon(&self, pack: OpenPack) {
        if pack.durable == 0 {
            let shared = Arc::clone(&self.shared);
            let run = move || {
                let dir = &*shared.packs.dir;
                // If it stays, the next start removes it.
                let _ = dir.remove(&open_name(pack.cipher.pack()));
            };
            self.shared.runtime.blocking(run).await;
        }
    }

    async fn finish(&self, pack: Option<OpenPack>) -> Result<()> {
        if let Some(pack) = pack {
            let path = path_of(&*self.shared.packs.dir, &open_name(pack.cipher.pack()));
            if !self.seal(pack).await {
                let source = io::Error::other("sealing failed; the next start does it");
                return Err(ChunkError::Io {
                    action: "seal",
                    path,
                    source,
                });
            }
        }
        self.shared.learn().await
    }

    fn failed(&self, action: &'static str, pack: &OpenPack, error: io::Error) -> ChunkError {
        let id = pack.cipher.pack();
        tracing::error!(pack.id = %id, %error, action, "a pack failed; it takes no more chunks");
        ChunkError::io(action, &path_of(&*self.shared.packs.dir, &open_name(id)), error)
    }
}

enum Next {
    Batch,
    Close(oneshot::Sender<Result<()>>),
    Dropped,
}
