//! The commit after the one that is under way: its chunks travel while that one is answered and its outcomes are recorded, so
//! that neither the line nor the server waits for the other. What it asks for is said when the one before is settled: only one
//! commit is ever in flight.

use std::mem;

use cairn_api::frame::Frame;
use cairn_api::sync::CommitReply;
use futures::channel::oneshot;
use futures::future::{self, BoxFuture, Either};

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
    /// Has the chunks travel; returns when the server does not want to hear more.
    async fn drive(&mut self) {
        if let Call::UnderWay(call) = &mut self.call {
            let answer = call.await;
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

/// Waits for a commit while the next one is made ready, and while its chunks travel then.
pub(super) async fn beside<'a, T>(
    commit: impl Future<Output = T>,
    next: impl Future<Output = Option<Result<Ready<'a>, UploadError>>>,
) -> (T, Option<Result<Ready<'a>, UploadError>>) {
    match future::select(Box::pin(commit), Box::pin(next)).await {
        Either::Left((committed, next)) => (committed, next.await),
        Either::Right((mut ready, commit)) => {
            let ahead = ready
                .as_mut()
                .and_then(|ready| ready.as_mut().ok()?.ahead.as_mut());
            let committed = match ahead {
                Some(ahead) => match future::select(commit, Box::pin(ahead.drive())).await {
                    Either::Left((committed, _)) => committed,
                    Either::Right(((), commit)) => commit.await,
                },
                None => commit.await,
            };
            (committed, ready)
        }
    }
}
