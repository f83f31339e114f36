//! Commits after the one that is under way: their chunks travel while that one is answered and its outcomes are recorded, so
//! that neither the line nor the server waits for the other. What they ask for is said when the one before is settled: only one
//! commit is ever in flight.

use std::mem;
use std::task::{Context, Poll};

use cairn_api::frame::Frame;
use cairn_api::sync::CommitReply;
use futures::channel::oneshot;
use futures::future::BoxFuture;

use super::{Batch, UploadError, Uploader};
use crate::remote::RemoteResult;

/// A batch that is to be committed next.
pub(super) struct Ready<'a> {
    pub(super) batch: Batch,
    /// Its chunks, where they are on their way already.
    pub(super) ahead: Option<Ahead<'a>>,
}

/// A commit of which the server does not know yet what it asks for.
pub(super) struct Ahead<'a> {
    request: oneshot::Sender<Vec<u8>>,
    call: Call<'a>,
}

enum Call<'a> {
    UnderWay(BoxFuture<'a, RemoteResult<CommitReply>>),
    Answered(RemoteResult<CommitReply>),
}

impl Ahead<'_> {
    /// Has the chunks travel.
    pub(super) fn travel(&mut self, context: &mut Context<'_>) {
        if let Call::UnderWay(call) = &mut self.call
            && let Poll::Ready(answer) = call.as_mut().poll(context)
        {
            self.call = Call::Answered(answer);
        }
    }

    /// # Errors
    /// Why it has failed before anything was asked for.
    pub(super) fn still_open(self) -> Result<Self, UploadError> {
        match self.call {
            Call::Answered(Err(error)) => Err(error.into()),
            _ => Ok(self),
        }
    }

    /// Says what is asked for, and waits for the answer.
    pub(super) async fn ask(self, request: Vec<u8>) -> RemoteResult<CommitReply> {
        // Nobody listens where the call has failed: it says so itself.
        drop(self.request.send(request));
        match self.call {
            Call::UnderWay(call) => call.await,
            Call::Answered(answer) => answer,
        }
    }
}

impl Uploader {
    /// Begins to send the chunks of a batch.
    pub(super) fn begin(&self, mut batch: Batch) -> Ready<'_> {
        if batch.members.is_empty() || batch.chunks.is_empty() || !batch.little.is_empty() {
            return Ready { batch, ahead: None };
        }
        let chunks = mem::take(&mut batch.chunks)
            .into_iter()
            .map(Frame::Chunk)
            .collect();
        let (request, asked) = oneshot::channel();
        let call = Call::UnderWay(self.remote.commit_later(chunks, asked));
        Ready {
            batch,
            ahead: Some(Ahead { request, call }),
        }
    }
}
