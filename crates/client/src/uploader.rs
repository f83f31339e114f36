//! Sends local changes: the content that the server lacks, then the commit that names it.
//!
//! Nothing here decides what is to be done, nor tries anything again after a failure of the connection: both are the
//! caller's, who plans anew from the trees. A cut upload resumes because the server is asked what it has.

mod ahead;
mod commit;
mod deltas;
mod hot;
mod large;
mod later;
mod pace;
mod queue;
mod sending;
mod small;
mod walk;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use cairn_api::error::ApiError;
use cairn_api::frame::ChunkFrame;
use cairn_api::sync::{CommitReply, Have};
use cairn_core::change::{Op, Refusal};
use cairn_core::ids::{ChainHash, ChunkHash, NamespaceId, OpId};
use cairn_core::limits::{CHUNK_MIN_BYTES, HAVE_HASHES};
use cairn_core::node::FileContent;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::runtime::Runtime;
use futures::stream::{self, StreamExt, TryStreamExt};

pub use self::hot::HotSignatures;
use self::later::Little;
pub use self::pace::Pace;
use self::queue::{Queued, SMALL_PIECE_BYTES, is_small_next, take_run};
pub use self::sending::Sending;
use self::walk::WalkError;
use crate::fs::{DiskPath, Filesystem, Fingerprint, FsError};
use crate::progress::Progress;
use crate::remote::{Remote, RemoteError};
use crate::state::{ClientState, StateError};

/// Small edits that are sent as what changed in them, of those that are sent together: of each the server is asked for a
/// signature, mostly, and of many that would take longer than to send them whole.
const FEW_EDITS: usize = 8;
/// Questions about chunks that are under way at once.
const ASKED_AT_ONCE: usize = 4;

/// A file whose content an operation needs.
#[derive(Debug, Clone)]
pub struct FileToSend {
    /// Where it is.
    pub path: DiskPath,
    /// Its state when it was looked at.
    pub fingerprint: Fingerprint,
    /// What it held then.
    pub content: FileContent,
}

/// Operations that are applied together or not at all, with the files that they need.
#[derive(Debug, Clone, Default)]
pub struct Piece {
    /// The operations.
    pub group: Vec<Op>,
    /// The files.
    pub files: Vec<FileToSend>,
}

impl Piece {
    /// Bytes of content.
    fn size(&self) -> u64 {
        self.files.iter().map(|file| file.content.size).sum()
    }

    /// Whether it only creates or edits one node.
    fn is_one_write(&self) -> bool {
        matches!(self.group.as_slice(), [Op::Create { .. } | Op::Edit { .. }])
    }

    /// Whether it is new content of one file that is neither large nor so short that a delta saves nothing.
    fn is_small_edit(&self) -> bool {
        let is_edit = matches!(self.group.as_slice(), [Op::Edit { .. }]);
        is_edit && (CHUNK_MIN_BYTES as u64..=SMALL_PIECE_BYTES).contains(&self.size())
    }
}

/// What became of a piece.
#[derive(Debug)]
pub enum PieceOutcome {
    /// Every operation took effect, at these positions.
    Applied {
        /// One per operation.
        seqs: Vec<Seq>,
    },
    /// None did.
    Refused {
        /// Which was refused.
        op_index: usize,
        /// Why.
        refusal: Refusal,
    },
    /// Nothing was asked for: the file is another than the one that was looked at. It must be looked at again.
    FileChanged {
        /// The file.
        path: DiskPath,
    },
    /// Nothing was asked for: the file cannot be read.
    FileFailed(FsError),
    /// The server turned the whole commit down, for good; nothing of it was applied.
    Rejected(ApiError),
}

impl PieceOutcome {
    fn of(error: WalkError, path: &DiskPath) -> Self {
        match error {
            WalkError::Changed => Self::FileChanged { path: path.clone() },
            WalkError::Fs(error) => Self::FileFailed(error),
        }
    }
}

/// What became of a commit.
#[derive(Debug)]
pub struct CommitResult {
    /// To be recorded as settled, in one batch with what the outcomes change in the trees and before the next commit.
    /// `None` when nothing was sent.
    pub op_id: Option<OpId>,
    /// Index of the piece and its outcome. A piece whose chunks the server missed is not among them: it comes again.
    pub outcomes: Vec<(usize, PieceOutcome)>,
    /// The journal after the commit.
    pub journal: Option<Advance>,
}

/// What an answer to a commit says of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advance {
    /// The chain before the commit's first entry.
    pub base: ChainHash,
    /// Where it stands after the last.
    pub cursor: Cursor,
}

impl Advance {
    fn of(reply: &CommitReply) -> Self {
        Self {
            base: reply.base,
            cursor: reply.cursor,
        }
    }

    /// Whether the commit came right after `known`, so that who had read the journal up to there need not read on.
    pub fn follows(&self, known: &Cursor) -> bool {
        known.namespace == self.cursor.namespace
            && known.incarnation == self.cursor.incarnation
            && known.chain == self.base
    }
}

/// The answer to a commit that was sent before a restart or a cut.
#[derive(Debug)]
pub struct Replayed {
    /// To be recorded as settled, in one batch with what the outcomes change in the trees.
    pub op_id: OpId,
    /// What was asked for; empty when the stored request cannot be read.
    pub groups: Vec<Vec<Op>>,
    /// One for each group. A [`Refusal::MissingChunks`] says that it never arrived.
    pub outcomes: Vec<PieceOutcome>,
    /// The journal after it.
    pub journal: Option<Advance>,
}

/// Why sending stopped. What had no outcome until then may have been applied only if it is the commit in flight.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The server could not be asked. The commit in flight, if there is one, must be replayed first.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The device's own state cannot be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Whether to ask which chunks the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedup {
    /// Where it may save bytes.
    Ask,
    /// The namespace holds nothing yet: only large files are asked about, since a cut upload may have left chunks.
    Skip,
}

/// Sends the changes of one synced folder.
pub struct Uploader {
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// The folder.
    pub fs: Arc<dyn Filesystem>,
    /// What the device remembers.
    pub state: Arc<dyn ClientState>,
    /// Randomness and threads.
    pub runtime: Runtime,
    /// Where the changes go.
    pub namespace: NamespaceId,
    /// What is counted.
    pub progress: Arc<Progress>,
    /// What deltas were or may soon be made against.
    pub hot: HotSignatures,
    /// How large commits of small files are.
    pub pace: Pace,
}

/// Pieces that are ready to be committed together, and those that turned out not to be.
#[derive(Default)]
struct Batch {
    members: Vec<Queued>,
    chunks: Vec<ChunkFrame>,
    /// What is new in edits of large files, where it is little.
    little: Little,
    failed: Vec<(usize, PieceOutcome)>,
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.failed.is_empty()
    }
}

impl Uploader {
    /// Asks about any number of chunks; returns those that the server has.
    async fn ask(&self, hashes: impl Iterator<Item = ChunkHash>) -> Result<HashSet<ChunkHash>, UploadError> {
        let asked: Vec<_> = hashes.collect::<BTreeSet<_>>().into_iter().collect();
        let pages: Vec<_> = asked.chunks(HAVE_HASHES).map(<[ChunkHash]>::to_vec).collect();
        let questions = pages.into_iter().map(|hashes| async move {
            let request = Have {
                namespace: self.namespace,
                hashes: hashes.clone(),
            };
            let have = self.remote.have(request).await?;
            let had = hashes.into_iter().zip(have).filter(|(_, have)| *have);
            Ok::<_, UploadError>(had.map(|(hash, _)| hash).collect::<Vec<_>>())
        });
        let answers: Vec<Vec<ChunkHash>> = stream::iter(questions)
            .buffer_unordered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        Ok(answers.into_iter().flatten().collect())
    }

    /// Takes the next pieces off the queue and makes them ready.
    async fn prepare(&self, queue: &mut VecDeque<Queued>) -> Result<Batch, UploadError> {
        for queued in queue.iter_mut().filter(|queued| queued.is_small_edit) {
            // Of a version that is not remembered no delta can be made.
            let mut files = queued.piece.files.iter();
            queued.is_small_edit = match files.next() {
                Some(file) => self.against(queued, file).await?.is_some(),
                None => false,
            };
        }
        let is_large = !is_small_next(queue);
        let (run, ops_bytes) = take_run(queue, is_large);
        if run.is_empty() {
            return Ok(Batch::default());
        }
        if is_large {
            return self.send_large(run).await;
        }
        let (batch, left) = self.fill_small(run, ops_bytes).await?;
        left.into_iter().rev().for_each(|queued| queue.push_front(queued));
        Ok(batch)
    }
}

#[cfg(test)]
mod tests;
