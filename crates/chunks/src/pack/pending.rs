//! What the index does not say yet: chunks that are being written, and durable ones whose rows are not inserted.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cairn_core::ids::ChunkHash;
use tokio::sync::Notify;

use super::format::PackId;
use super::reader::{Location, PackNumber};

/// A chunk that is durable in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Location,
    pub(crate) touch_epoch: i64,
}

/// What the index has to learn.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backlog {
    pub(crate) chunks: Vec<(ChunkHash, Entry)>,
    pub(crate) created: Vec<(PackNumber, PackId)>,
    pub(crate) sealed: Vec<PackNumber>,
}

#[derive(Default)]
pub(crate) struct Pending {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    claimed: HashSet<ChunkHash>,
    recent: BTreeMap<ChunkHash, Entry>,
    created: Vec<(PackNumber, PackId)>,
    sealed: Vec<PackNumber>,
}

/// The right of one request to look these chunks up in the index and to write those that are missing. What is neither
/// settled nor dropped stays claimed, so that nobody else writes the same chunk; a chunk leaves `recent` only when the
/// index has it, so that whoever holds a claim and does not find a row knows that there is none.
pub(crate) struct Claims {
    pending: Arc<Pending>,
    hashes: HashSet<ChunkHash>,
}

impl Claims {
    pub(crate) fn hashes(&self) -> Vec<ChunkHash> {
        self.hashes.iter().copied().collect()
    }

    pub(crate) fn release(&mut self, hash: &ChunkHash) {
        if self.hashes.remove(hash) {
            self.pending.lock().claimed.remove(hash);
            self.pending.changed.notify_waiters();
        }
    }

    /// Makes durable chunks known.
    pub(crate) fn settle(mut self, entries: &[(ChunkHash, Entry)]) {
        let mut state = self.pending.lock();
        for (hash, entry) in entries {
            if self.hashes.remove(hash) {
                state.claimed.remove(hash);
            }
            state.recent.insert(*hash, *entry);
        }
        drop(state);
        self.pending.changed.notify_waiters();
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        if !self.hashes.is_empty() {
            let mut state = self.pending.lock();
            self.hashes.iter().for_each(|hash| {
                state.claimed.remove(hash);
            });
            drop(state);
            self.pending.changed.notify_waiters();
        }
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps alive those of `hashes` that are durable here, and claims those that nobody else has claimed. Waits while
    /// there is neither.
    pub(crate) async fn claim(
        self: &Arc<Self>,
        hashes: &[ChunkHash],
        epoch: i64,
    ) -> (Vec<ChunkHash>, Claims) {
        loop {
            let mut changed = pin!(self.changed.notified());
            changed.as_mut().enable();
            let mut alive = Vec::new();
            let mut claims = Claims {
                pending: Arc::clone(self),
                hashes: HashSet::new(),
            };
            {
                let mut state = self.lock();
                for hash in hashes {
                    if state.touch(hash, epoch) {
                        alive.push(*hash);
                    } else if state.claimed.insert(*hash) {
                        claims.hashes.insert(*hash);
                    }
                }
            }
            if hashes.is_empty() || !alive.is_empty() || !claims.hashes.is_empty() {
                return (alive, claims);
            }
            changed.await;
        }
    }

    /// Keeps a chunk alive if it is durable here.
    pub(crate) fn touch(&self, hash: &ChunkHash, epoch: i64) -> bool {
        self.lock().touch(hash, epoch)
    }

    pub(crate) fn find(&self, hash: &ChunkHash) -> Option<Location> {
        self.lock().recent.get(hash).map(|entry| entry.at)
    }

    pub(crate) fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Vec<ChunkHash> {
        let start = after.map_or(Bound::Unbounded, |hash| Bound::Excluded(*hash));
        let state = self.lock();
        state
            .recent
            .range((start, Bound::Unbounded))
            .take(limit)
            .map(|(hash, _)| *hash)
            .collect()
    }

    pub(crate) fn recent_count(&self) -> usize {
        self.lock().recent.len()
    }

    pub(crate) fn created(&self, number: PackNumber, id: PackId) {
        self.lock().created.push((number, id));
    }

    pub(crate) fn sealed(&self, number: PackNumber) {
        self.lock().sealed.push(number);
    }

    /// All that the index has to learn now, sorted by hash.
    pub(crate) fn backlog(&self) -> Backlog {
        let state = self.lock();
        Backlog {
            chunks: state.recent.iter().map(|(hash, entry)| (*hash, *entry)).collect(),
            created: state.created.clone(),
            sealed: state.sealed.clone(),
        }
    }

    /// Forgets what the index has learnt. What changed meanwhile stays.
    pub(crate) fn learnt(&self, backlog: &Backlog) {
        let mut state = self.lock();
        for (hash, entry) in &backlog.chunks {
            if state.recent.get(hash) == Some(entry) {
                state.recent.remove(hash);
            }
        }
        state.created.retain(|created| !backlog.created.contains(created));
        state.sealed.retain(|sealed| !backlog.sealed.contains(sealed));
    }
}

impl State {
    fn touch(&mut self, hash: &ChunkHash, epoch: i64) -> bool {
        match self.recent.get_mut(hash) {
            Some(entry) => {
                entry.touch_epoch = entry.touch_epoch.max(epoch);
                true
            }
            None => false,
        }
    }
}
