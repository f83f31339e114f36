//! Reads the reply to a fetch in the order in which it was asked for.

use cairn_api::frame::{ChunkFrame, DeltaFrame};
use cairn_api::sync::{Fetch, FetchStart};
use futures::StreamExt;
use futures::stream::BoxStream;

use crate::remote::{Fetched, Remote, RemoteError, RemoteResult};

/// A chunk or a page as it came.
#[derive(Debug)]
pub(super) enum Part {
    /// Whole.
    Whole(ChunkFrame),
    /// As what changed in others.
    Delta(DeltaFrame),
}

/// A reply that is being read.
pub(super) struct Incoming {
    stream: BoxStream<'static, RemoteResult<Fetched>>,
}

impl Incoming {
    /// Asks.
    pub(super) async fn open(remote: &dyn Remote, request: Fetch) -> RemoteResult<Self> {
        let stream = remote.fetch(request).await?;
        Ok(Self { stream })
    }

    /// The opening of the item with this index.
    pub(super) async fn start(&mut self, index: usize) -> RemoteResult<FetchStart> {
        match self.next().await? {
            Fetched::Start(start) if start.item as usize == index => Ok(start),
            Fetched::Start(_) => Err(malformed("its items are out of order")),
            Fetched::Chunk(_) | Fetched::Delta(_) => Err(malformed("an item holds more chunks than it says")),
        }
    }

    /// The next chunk of the item that was opened, which did not ask for deltas.
    pub(super) async fn chunk(&mut self) -> RemoteResult<ChunkFrame> {
        match self.part().await? {
            Part::Whole(chunk) => Ok(chunk),
            Part::Delta(_) => Err(malformed("a delta came that nobody asked for")),
        }
    }

    /// The next chunk or page of the item that was opened, as it came.
    pub(super) async fn part(&mut self) -> RemoteResult<Part> {
        match self.next().await? {
            Fetched::Chunk(chunk) => Ok(Part::Whole(chunk)),
            Fetched::Delta(delta) => Ok(Part::Delta(delta)),
            Fetched::Start(_) => Err(malformed("an item holds fewer chunks than it says")),
        }
    }

    async fn next(&mut self) -> RemoteResult<Fetched> {
        match self.stream.next().await {
            Some(fetched) => fetched,
            None => Err(malformed("it ends before the last item")),
        }
    }
}

/// The error for a reply that does not fit the question.
pub(super) fn malformed(what: &str) -> RemoteError {
    RemoteError::Malformed {
        server: "the server".to_owned(),
        what: what.to_owned(),
    }
}
