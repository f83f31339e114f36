//! Chunks that a read found damaged. Whoever puts one of them again has its bytes, so they are written anew.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_core::ids::ChunkHash;

/// How many are remembered. The others are found by the next read.
const SUSPECTS: usize = 4_096;

/// What is remembered of damage until the process ends. Not on disk: a pack that cannot be read now, such as one on a disk that
/// is not mounted, may be whole at the next start.
#[derive(Default)]
pub(crate) struct Suspects(Mutex<HashSet<ChunkHash>>);

impl Suspects {
    fn lock(&self) -> MutexGuard<'_, HashSet<ChunkHash>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn note(&self, hash: &ChunkHash) {
        let mut suspects = self.lock();
        if suspects.len() < SUSPECTS {
            suspects.insert(*hash);
        }
    }

    /// Those of `hashes` that are damaged as far as is known.
    pub(crate) fn among<'a>(&self, hashes: impl Iterator<Item = &'a ChunkHash>) -> HashSet<ChunkHash> {
        let suspects = self.lock();
        if suspects.is_empty() {
            return HashSet::new();
        }
        hashes.filter(|hash| suspects.contains(hash)).copied().collect()
    }

    /// Forgets those that were written anew.
    pub(crate) fn forget(&self, hashes: &HashSet<ChunkHash>) {
        if !hashes.is_empty() {
            self.lock().retain(|hash| !hashes.contains(hash));
        }
    }
}
