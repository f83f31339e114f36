//! Signatures of the chunks that were sent last: who saves a file again changes it near the same place, and then need not ask.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use cairn_core::ids::ChunkHash;

/// Bytes of signatures that are kept: of some 350 MB of chunks. The oldest give way.
const MOST_BYTES: usize = 4 << 20;
/// Bytes of a row beside the signature.
const ROW_BYTES: usize = 128;

/// The signatures.
#[derive(Debug, Default)]
pub struct HotSignatures {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    signatures: BTreeMap<ChunkHash, Bytes>,
    /// The oldest first.
    order: VecDeque<ChunkHash>,
    bytes: usize,
}

impl HotSignatures {
    /// The signature of a chunk.
    pub(super) fn get(&self, hash: &ChunkHash) -> Option<Bytes> {
        self.with(|inner| inner.signatures.get(hash).cloned())
    }

    /// Keeps a signature.
    pub(super) fn keep(&self, hash: ChunkHash, signature: Bytes) {
        self.with(|inner| {
            let len = signature.len() + ROW_BYTES;
            if inner.signatures.insert(hash, signature).is_some() {
                return;
            }
            inner.order.push_back(hash);
            inner.bytes += len;
            while inner.bytes > MOST_BYTES {
                let Some(oldest) = inner.order.pop_front() else {
                    break;
                };
                if let Some(gone) = inner.signatures.remove(&oldest) {
                    inner.bytes -= gone.len() + ROW_BYTES;
                }
            }
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let hot = HotSignatures::default();
        let name = |index: u32| ChunkHash::of(&index.to_le_bytes());
        for index in 0..5_000 {
            hot.keep(name(index), Bytes::from(vec![0; 1_000]));
            hot.keep(name(index), Bytes::from(vec![0; 1_000]));
        }
        assert!(hot.get(&name(0)).is_none());
        assert!(hot.get(&name(4_999)).is_some());
        let kept = hot.with(|inner| (inner.signatures.len(), inner.order.len(), inner.bytes));
        assert_eq!(kept, (3_718, 3_718, 3_718 * 1_128));
    }
}
