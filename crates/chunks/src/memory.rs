//! Chunks in memory: the specification of a store.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cairn_core::ids::ChunkHash;

use crate::{ChunkError, ChunkStore, CollectableChunks, EncodedChunk, Lease, NewChunk, Result};

/// Keeps chunks until it is dropped.
#[derive(Debug)]
pub struct MemoryChunks {
    state: Mutex<State>,
}

#[derive(Debug, Clone)]
struct State {
    epoch: i64,
    closed: bool,
    chunks: BTreeMap<ChunkHash, Kept>,
}

#[derive(Debug, Clone)]
struct Kept {
    chunk: EncodedChunk,
    touch_epoch: i64,
}

impl MemoryChunks {
    /// An empty store in its first epoch.
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State {
                epoch: 1,
                closed: false,
                chunks: BTreeMap::new(),
            }),
        }
    }

    /// A store of its own with everything that is in this one now, as a backup has it.
    pub fn snapshot(&self) -> Self {
        Self {
            state: Mutex::new(self.lock().clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.lock();
        if state.closed {
            return Err(ChunkError::Closed {
                reason: "it was closed".to_owned(),
            });
        }
        Ok(state)
    }
}

impl Default for MemoryChunks {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl ChunkStore for MemoryChunks {
    async fn put(&self, chunks: Vec<NewChunk>) -> Result<Lease> {
        let mut state = self.open()?;
        chunks.iter().try_for_each(NewChunk::check)?;
        let epoch = state.epoch;
        for NewChunk { hash, chunk, .. } in chunks {
            let kept = state.chunks.entry(hash).or_insert(Kept {
                chunk,
                touch_epoch: epoch,
            });
            kept.touch_epoch = epoch;
        }
        Ok(Lease(epoch))
    }

    async fn get(&self, hash: &ChunkHash) -> Result<Option<EncodedChunk>> {
        Ok(self.open()?.chunks.get(hash).map(|kept| kept.chunk.clone()))
    }

    async fn touch(&self, hashes: &[ChunkHash]) -> Result<(Vec<bool>, Lease)> {
        let mut state = self.open()?;
        let epoch = state.epoch;
        let mut touch = |hash| match state.chunks.get_mut(hash) {
            Some(kept) => {
                kept.touch_epoch = epoch;
                true
            }
            None => false,
        };
        Ok((hashes.iter().map(&mut touch).collect(), Lease(epoch)))
    }

    async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Result<Vec<ChunkHash>> {
        let start = after.map_or(Bound::Unbounded, |hash| Bound::Excluded(*hash));
        let state = self.open()?;
        Ok(state
            .chunks
            .range((start, Bound::Unbounded))
            .take(limit)
            .map(|(hash, _)| *hash)
            .collect())
    }

    async fn close(&self) -> Result<()> {
        self.open()?.closed = true;
        Ok(())
    }
}

#[async_trait]
impl CollectableChunks for MemoryChunks {
    fn epoch(&self) -> Lease {
        Lease(self.lock().epoch)
    }

    async fn advance_epoch(&self) -> Result<Lease> {
        let mut state = self.open()?;
        state.epoch += 1;
        Ok(Lease(state.epoch))
    }

    async fn condemn(&self, unreferenced: &[ChunkHash], round: Lease) -> Result<Vec<bool>> {
        let mut state = self.open()?;
        // Nothing here outlives its bytes, so that condemned and gone are the same.
        let condemn = |hash: &ChunkHash| {
            let old = state
                .chunks
                .get(hash)
                .is_some_and(|kept| kept.touch_epoch < round.0 - 1);
            if old {
                state.chunks.remove(hash);
            }
            old
        };
        Ok(unreferenced.iter().map(condemn).collect())
    }
}
