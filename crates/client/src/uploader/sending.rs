//! One commit after another. While one is answered and recorded, the next ones are made ready and their chunks travel.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::mem;
use std::pin::pin;
use std::task::Poll;

use futures::future::{self, BoxFuture, Either};

use super::ahead::Ready;
use super::queue::{Queued, Sent};
use super::{Batch, CommitResult, Dedup, FEW_EDITS, Piece, UploadError, Uploader};

/// Batches that are ready beside the one that is committed. Each holds a body, 8 MiB at most, until that has travelled; so does
/// the one that is made ready.
const READY: usize = 2;

/// Pieces that are being sent; [`Self::next`] drives it.
pub struct Sending<'a> {
    uploader: &'a Uploader,
    /// What waits; empty while some of it is made ready.
    queue: VecDeque<Queued>,
    /// What is to be sent again, before all that waits.
    again: Vec<Queued>,
    preparing: Option<BoxFuture<'a, Prepared>>,
    ready: VecDeque<Result<Ready<'a>, UploadError>>,
}

/// A batch that was made ready, and the queue that it was taken from.
struct Prepared {
    batch: Result<Batch, UploadError>,
    queue: VecDeque<Queued>,
}

impl Uploader {
    /// Begins to send pieces, in this order as far as they depend on one another.
    ///
    /// A commit that is in flight from before must have been replayed and settled.
    pub fn send(&self, pieces: Vec<Piece>, dedup: Dedup) -> Sending<'_> {
        let files: usize = pieces.iter().map(|piece| piece.files.len()).sum();
        let bytes = pieces.iter().map(Piece::size).sum();
        self.progress.up.expect(files as u64, bytes);
        let are_few = pieces.len() <= FEW_EDITS;
        let queue = pieces.into_iter().enumerate().map(|(index, piece)| Queued {
            index,
            is_small_edit: are_few && piece.is_small_edit(),
            piece,
            dedup,
            missing: Sent::Unknown,
            encoded: None,
            is_presumed: false,
            attempts: 0,
        });
        Sending {
            uploader: self,
            queue: queue.collect(),
            again: Vec::new(),
            preparing: None,
            ready: VecDeque::new(),
        }
    }
}

impl Sending<'_> {
    /// Sends the next commit and returns what became of it; `None` when every piece has its outcome.
    ///
    /// # Errors
    /// [`UploadError`]: the rest is not sent. If a commit was under way it is in flight still.
    pub async fn next(&mut self) -> Result<Option<CommitResult>, UploadError> {
        while self.ready.is_empty() {
            self.prepare();
            if self.preparing.is_none() {
                return Ok(None);
            }
            let batch = self.prepared().await;
            self.ready
                .push_back(batch.map(|batch| Ready { batch, ahead: None }));
        }
        let Some(Ready { batch, ahead }) = self.ready.pop_front().transpose()? else {
            return Ok(None);
        };
        if batch.members.is_empty() {
            return Ok(Some(CommitResult {
                op_id: None,
                outcomes: batch.failed,
                journal: None,
            }));
        }
        let uploader = self.uploader;
        let mut commit = pin!(uploader.commit(batch, ahead));
        let committed = loop {
            self.prepare();
            let batch = match future::select(commit.as_mut(), pin!(self.prepared())).await {
                Either::Left((committed, _)) => break committed,
                Either::Right((batch, _)) => batch,
            };
            self.ready.push_back(batch.map(|batch| uploader.begin(batch)));
        };
        let (result, again) = committed?;
        self.again.extend(again);
        if self.preparing.is_none() {
            self.requeue();
        }
        Ok(Some(result))
    }

    /// Begins to make a batch ready, if there is what to make it of and where to keep it.
    fn prepare(&mut self) {
        let has_failed = self.ready.back().is_some_and(Result::is_err);
        if self.preparing.is_some() || self.queue.is_empty() || self.ready.len() >= READY || has_failed {
            return;
        }
        let (uploader, mut queue) = (self.uploader, mem::take(&mut self.queue));
        self.preparing = Some(Box::pin(async move {
            let batch = uploader.prepare(&mut queue).await;
            Prepared { batch, queue }
        }));
    }

    /// The batch that is being made ready; waits for ever when none is. The chunks of those that are ready travel meanwhile. It
    /// is no loss to drop the future.
    async fn prepared(&mut self) -> Result<Batch, UploadError> {
        let Prepared { batch, queue } = poll_fn(|context| {
            let ahead = self
                .ready
                .iter_mut()
                .filter_map(|ready| ready.as_mut().ok()?.ahead.as_mut());
            ahead.for_each(|ahead| ahead.travel(context));
            match &mut self.preparing {
                Some(preparing) => preparing.as_mut().poll(context),
                None => Poll::Pending,
            }
        })
        .await;
        self.preparing = None;
        self.queue = queue;
        self.requeue();
        batch
    }

    fn requeue(&mut self) {
        let again = mem::take(&mut self.again);
        again
            .into_iter()
            .rev()
            .for_each(|queued| self.queue.push_front(queued));
    }
}
