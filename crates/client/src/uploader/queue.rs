//! The pieces that wait, and what is taken of them for one commit.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use cairn_api::frame::ChunkFrame;
use cairn_api::sync::value_to_cbor;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{COMMIT_BATCH_OPS, FRAME_BYTES};

use super::{Dedup, Piece};

/// Content up to which a piece travels in the commit itself. Above it the commit's body would be mostly this one
/// piece, and a cut connection would lose it whole.
pub(super) const SMALL_PIECE_BYTES: u64 = 1024 * 1024;
/// Content of the small pieces that are looked at for one commit: more than fits, for what compresses well.
const SMALL_RUN_BYTES: u64 = 24 * 1024 * 1024;
/// Content of the large pieces that share one commit; the first may be larger. Others see them the later, the larger
/// this is; each commit costs a round trip and a sync.
const LARGE_RUN_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of operations in one commit, manifests included; they travel in one frame.
const OPS_BYTES: usize = FRAME_BYTES / 4 * 3;

/// Which chunks of a piece the server said it misses.
#[derive(Debug, Clone)]
pub(super) enum Sent {
    /// Nothing is known: it was not committed yet.
    Unknown,
    /// All but these are there.
    AllBut(Arc<HashSet<ChunkHash>>),
}

/// A piece on its way.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) index: usize,
    pub(super) piece: Piece,
    pub(super) dedup: Dedup,
    pub(super) missing: Sent,
    /// Its chunks, where they were made ready for a commit that had no room for them.
    pub(super) encoded: Option<Vec<ChunkFrame>>,
    /// Whether it is one of few small edits, which may go as deltas.
    pub(super) is_small_edit: bool,
    /// Whether some of its files were taken to be on the server without asking.
    pub(super) is_presumed: bool,
    pub(super) attempts: u32,
}

impl Queued {
    /// Whether its chunks are looked at before the commit, one by one.
    pub(super) fn is_large(&self) -> bool {
        self.is_small_edit || self.piece.size() > SMALL_PIECE_BYTES
    }

    /// Whether the server is to be asked about its chunks.
    pub(super) fn asks(&self) -> bool {
        self.dedup == Dedup::Ask && matches!(self.missing, Sent::Unknown)
    }
}

/// Whether a small piece is next. One that writes a single node passes large ones that do the same: neither needs the other,
/// and a commit for each large file and for what stands between two of them would take many more. Nothing else passes anything:
/// a deletion may be that of what a large piece writes elsewhere.
pub(super) fn is_small_next(queue: &VecDeque<Queued>) -> bool {
    let passed = queue
        .iter()
        .take_while(|queued| queued.is_large() && queued.piece.is_one_write());
    let passed = passed.count();
    queue
        .get(passed)
        .is_some_and(|next| !next.is_large() && (passed == 0 || next.piece.is_one_write()))
}

/// Takes as many pieces of one kind as one commit may hold, with the bytes of their operations.
pub(super) fn take_run(queue: &mut VecDeque<Queued>, is_large: bool) -> (Vec<Queued>, usize) {
    let content_limit = if is_large {
        LARGE_RUN_BYTES
    } else {
        SMALL_RUN_BYTES
    };
    let mut run: Vec<Queued> = Vec::new();
    let mut passed = VecDeque::new();
    let (mut ops, mut files, mut ops_bytes, mut content) = (0, 0, 0, 0);
    while let Some(next) = queue.pop_front() {
        let piece = &next.piece;
        if next.is_large() != is_large {
            let may_be_passed = piece.is_one_write() && !is_large;
            passed.push_back(next);
            if may_be_passed {
                continue;
            }
            break;
        }
        ops += piece.group.len();
        files += piece.files.len();
        content += piece.size();
        let encoded: usize = piece.group.iter().map(|op| value_to_cbor(op).len()).sum();
        let fits = ops <= COMMIT_BATCH_OPS
            && files <= COMMIT_BATCH_OPS
            && content <= content_limit
            && ops_bytes + encoded <= OPS_BYTES;
        let may_pass = passed.is_empty() || piece.is_one_write();
        if !may_pass || (!fits && !run.is_empty()) {
            passed.push_back(next);
            break;
        }
        ops_bytes += encoded;
        run.push(next);
    }
    passed.append(queue);
    *queue = passed;
    (run, ops_bytes)
}

#[cfg(test)]
mod tests {
    use cairn_core::change::Op;
    use cairn_core::file_hasher::FileHasher;
    use cairn_core::ids::NodeId;
    use cairn_core::name::NodeName;
    use cairn_core::node::{Attributes, Content, Place};
    use cairn_core::rev::Seq;
    use cairn_core::time::Mtime;

    use super::*;
    use crate::fs::{DiskPath, Fingerprint};
    use crate::uploader::FileToSend;

    fn queued(index: usize, group: Vec<Op>, size: u64) -> Queued {
        let mut content = FileHasher::new().finish().unwrap().content;
        content.size = size;
        let file = FileToSend {
            path: DiskPath::root(),
            fingerprint: Fingerprint {
                inode: 1,
                born_ns: None,
                size,
                mtime: Mtime::default(),
                ctime: Mtime::default(),
            },
            content,
        };
        Queued {
            index,
            piece: Piece {
                group,
                files: vec![file],
            },
            dedup: Dedup::Ask,
            missing: Sent::Unknown,
            encoded: None,
            is_small_edit: false,
            is_presumed: false,
            attempts: 0,
        }
    }

    fn node(index: usize) -> NodeId {
        NodeId::new(1_000 + index as i64).unwrap()
    }

    fn create(index: usize) -> Op {
        Op::Create {
            node: node(index),
            place: Place {
                parent: NodeId::ROOT,
                name: NodeName::new(format!("f{index}")).unwrap(),
            },
            content: Content::Directory,
            attributes: Attributes::default(),
        }
    }

    fn delete(index: usize) -> Op {
        Op::Delete {
            node: node(index),
            base_place: Seq::ZERO,
            base_content: Seq::ZERO,
            seen: None,
        }
    }

    /// What is taken, run by run, and whether it is large.
    fn taken(mut queue: VecDeque<Queued>) -> Vec<(bool, Vec<usize>)> {
        let mut runs = Vec::new();
        while !queue.is_empty() {
            let is_large = !is_small_next(&queue);
            let (run, _) = take_run(&mut queue, is_large);
            assert!(!run.is_empty());
            runs.push((is_large, run.iter().map(|queued| queued.index).collect()));
        }
        runs
    }

    const LARGE: u64 = 4 << 20;

    #[test]
    fn small_files_pass_large_ones() {
        let sizes = [LARGE, 10, LARGE, LARGE, 10, 10, LARGE];
        let queue = sizes.into_iter().enumerate();
        let queue = queue.map(|(index, size)| queued(index, vec![create(index)], size));
        assert_eq!(
            taken(queue.collect()),
            [(false, vec![1, 4, 5]), (true, vec![0, 2, 3, 6])]
        );
    }

    #[test]
    fn nothing_else_passes_anything() {
        let queue = VecDeque::from([
            queued(0, vec![create(0)], LARGE),
            queued(1, vec![delete(1)], 0),
            queued(2, vec![create(2)], 10),
            queued(3, vec![delete(3), create(4)], LARGE),
            queued(4, vec![create(5)], 10),
        ]);
        let expected = [
            (true, vec![0]),
            (false, vec![1, 2]),
            (true, vec![3]),
            (false, vec![4]),
        ];
        assert_eq!(taken(queue), expected);
    }

    #[test]
    fn a_full_run_ends_in_order() {
        let mut queue: VecDeque<_> = (0..4)
            .map(|index| queued(index, vec![create(index)], SMALL_PIECE_BYTES))
            .collect();
        for index in 4..60 {
            let size = if index % 2 == 0 { LARGE } else { SMALL_PIECE_BYTES };
            queue.push_back(queued(index, vec![create(index)], size));
        }
        let runs = taken(queue);
        let mut small = runs.iter().filter(|(is_large, _)| !is_large).map(|(_, run)| run);
        assert_eq!(small.clone().map(|run| run.len()).sum::<usize>(), 32);
        assert!(small.all(|run| run.len() as u64 * SMALL_PIECE_BYTES <= SMALL_RUN_BYTES && run.is_sorted()));
        let large: Vec<usize> = runs
            .iter()
            .filter(|(is_large, _)| *is_large)
            .flat_map(|(_, run)| run.clone())
            .collect();
        assert!(large.is_sorted() && large.len() == 28);
    }
}
