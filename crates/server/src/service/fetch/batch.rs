//! What goes out together is read together: one look at the index and one piece of work for many chunks, whether they are one
//! file's or many files'.

use std::collections::VecDeque;
use std::sync::Arc;

use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{Fetch, FetchItem, FetchStart, FetchStatus, to_cbor};
use cairn_chunks::EncodedChunk;
use cairn_core::ids::{ChunkHash, NamespaceId, NodeId};
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;
use futures::stream::{self, StreamExt};

use super::{Form, Run, Stop};
use crate::error::ServiceError;
use crate::service::contents::damaged;
use crate::service::patches;
use crate::state::State;

/// Bytes after which a batch is read: enough to hide the disk.
const BATCH_BYTES: usize = 512 << 10;
/// Chunks after which a batch is read.
const BATCH_CHUNKS: usize = 256;
/// Chunks of an item that are read before it is said to be there: what is damaged among them is told in good order, further on
/// only the connection can be cut.
const FIRST_CHUNKS: usize = 4;
/// Items that are looked up together.
const ITEMS: usize = 64;
/// Patches that are made at once.
const PATCHES: usize = 4;

/// What is sent, in order, read as far as one batch.
pub(super) struct Batches<'r> {
    state: &'r Arc<State>,
    request: &'r Fetch,
    /// The items that were not looked up yet begin here.
    next_item: usize,
    /// Items that were looked up.
    found: VecDeque<(u32, &'r FetchItem, Option<Node>)>,
    /// The item whose chunks come next.
    current: Option<Run>,
}

/// One frame of a batch before it is read.
enum Piece {
    Start(FetchStart),
    /// A chunk or page, and the place of its item's start if that is in the same batch.
    Chunk {
        hash: ChunkHash,
        form: Arc<Form>,
        start: Option<usize>,
    },
}

impl<'r> Batches<'r> {
    pub(super) fn new(state: &'r Arc<State>, request: &'r Fetch) -> Self {
        Self {
            state,
            request,
            next_item: 0,
            found: VecDeque::new(),
            current: None,
        }
    }

    /// The frames of the next batch; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Frame>>, Stop> {
        let pieces = self.plan().await?;
        if pieces.is_empty() {
            return Ok(None);
        }
        let read = self.read(&pieces).await;
        self.frames(pieces, read).map(Some)
    }

    /// Chooses what goes into the batch.
    async fn plan(&mut self) -> Result<Vec<Piece>, Stop> {
        let mut pieces = Vec::new();
        let (mut bytes, mut chunks) = (0, 0);
        // Where the current item's start is in this batch, and how many of its chunks are.
        let (mut start, mut in_item) = (None, FIRST_CHUNKS);
        loop {
            let is_full = bytes >= BATCH_BYTES || chunks >= BATCH_CHUNKS;
            if is_full && in_item >= FIRST_CHUNKS {
                return Ok(pieces);
            }
            if let Some(run) = &mut self.current {
                match run.next(self.state).await {
                    Ok(Some((hash, len))) => {
                        let form = Arc::clone(&run.form);
                        pieces.push(Piece::Chunk { hash, form, start });
                        bytes += len;
                        chunks += 1;
                        in_item += 1;
                    }
                    Ok(None) => {
                        self.current = None;
                        in_item = FIRST_CHUNKS;
                    }
                    Err(error) => self.refuse(&mut pieces, start, error)?,
                }
                continue;
            }
            let Some((index, item, node)) = self.next_found().await? else {
                return Ok(pieces);
            };
            start = Some(pieces.len());
            in_item = 0;
            pieces.push(Piece::Start(self.open(index, item, node).await?));
            if self.current.is_none() {
                in_item = FIRST_CHUNKS;
            }
        }
    }

    /// The next item with the node that it names.
    async fn next_found(&mut self) -> Result<Option<(u32, &'r FetchItem, Option<Node>)>, ServiceError> {
        if self.found.is_empty() {
            let items = &self.request.items[self.next_item..];
            let items = &items[..items.len().min(ITEMS)];
            let named: Vec<_> = items.iter().map(|item| (item.node, item.content_seq)).collect();
            let nodes = revisions(self.state, self.request.namespace, &named).await?;
            let first = u32::try_from(self.next_item).unwrap_or(u32::MAX);
            self.next_item += items.len();
            self.found.extend(
                (first..)
                    .zip(items)
                    .zip(nodes)
                    .map(|((index, item), node)| (index, item, node)),
            );
        }
        Ok(self.found.pop_front())
    }

    /// Makes an item the current one and returns its start.
    async fn open(
        &mut self,
        item: u32,
        asked: &FetchItem,
        node: Option<Node>,
    ) -> Result<FetchStart, ServiceError> {
        let start = |status, frames| FetchStart { item, status, frames };
        let Some(Content::File(file)) = node.map(|node| node.content) else {
            return Ok(start(FetchStatus::NotFound, 0));
        };
        match Run::open(self.state, self.request.namespace, asked, &file).await {
            Ok(run) => {
                let frames = run.left;
                self.current = Some(run);
                Ok(start(FetchStatus::Found, frames))
            }
            Err(error) if error.is_damage() => {
                tracing::error!(%error, "content that is referenced cannot be read");
                Ok(start(FetchStatus::Damaged, 0))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes back that an item is there, and what of it is in the batch; ends the download where its start is out already.
    fn refuse(
        &mut self,
        pieces: &mut Vec<Piece>,
        start: Option<usize>,
        error: ServiceError,
    ) -> Result<(), Stop> {
        let Some(at) = start.filter(|_| error.is_damage()) else {
            return Err(Stop::Failed(error));
        };
        tracing::error!(%error, "content that is referenced cannot be read");
        pieces.truncate(at + 1);
        if let Some(Piece::Start(start)) = pieces.last_mut() {
            (start.status, start.frames) = (FetchStatus::Damaged, 0);
        }
        self.current = None;
        Ok(())
    }

    /// Reads the chunks of a batch; one result for each, in order.
    async fn read(&self, pieces: &[Piece]) -> VecDeque<Result<Frame, ServiceError>> {
        let mut hashes = Vec::new();
        for piece in pieces {
            if let Piece::Chunk { hash, form, .. } = piece
                && !matches!(form.as_ref(), Form::NewPages(_))
            {
                hashes.push(*hash);
            }
        }
        let mut chunks = self.state.chunks.get_many(&hashes).await.into_iter();
        let mut frames = Vec::new();
        for piece in pieces {
            if let Piece::Chunk { hash, form, .. } = piece {
                let chunk = match form.as_ref() {
                    Form::NewPages(_) => None,
                    Form::Whole | Form::WholePages | Form::From(_) => chunks.next(),
                };
                frames.push(frame(self.state, Arc::clone(form), *hash, chunk));
            }
        }
        // Of whole chunks none waits for anything.
        stream::iter(frames).buffered(PATCHES).collect().await
    }

    /// Puts a batch together.
    fn frames(
        &mut self,
        pieces: Vec<Piece>,
        mut read: VecDeque<Result<Frame, ServiceError>>,
    ) -> Result<Vec<Frame>, Stop> {
        let last_start = pieces.iter().rposition(|piece| matches!(piece, Piece::Start(_)));
        let mut starts: Vec<Option<FetchStart>> = Vec::with_capacity(pieces.len());
        let mut chunks: Vec<Option<Frame>> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let (mut begun, mut chunk) = (None, None);
            match piece {
                Piece::Start(start) => begun = Some(start),
                Piece::Chunk { start, .. } => match (read.pop_front(), start) {
                    (Some(Ok(frame)), None) => chunk = Some(frame),
                    (Some(Ok(frame)), Some(at)) => {
                        let is_there = |start: &FetchStart| start.status == FetchStatus::Found;
                        chunk = starts[at].as_ref().is_some_and(is_there).then_some(frame);
                    }
                    (Some(Err(error)), Some(at)) if error.is_damage() => {
                        tracing::error!(%error, "content that is referenced cannot be read");
                        if let Some(start) = &mut starts[at] {
                            (start.status, start.frames) = (FetchStatus::Damaged, 0);
                        }
                        chunks[at..].fill(None);
                        if last_start == Some(at) {
                            self.current = None;
                        }
                    }
                    (Some(Err(error)), _) => return Err(Stop::Failed(error)),
                    (None, _) => return Err(Stop::Failed(ServiceError::bad("a chunk was not read"))),
                },
            }
            starts.push(begun);
            chunks.push(chunk);
        }
        let message = |start: FetchStart| Frame::Message(to_cbor(&start).into());
        let both = starts.into_iter().zip(chunks);
        Ok(both
            .filter_map(|(start, chunk)| start.map(message).or(chunk))
            .collect())
    }
}

/// The nodes in the states that these positions wrote. Mostly that is the current one, which is looked up for all at once.
async fn revisions(
    state: &State,
    namespace: NamespaceId,
    asked: &[(NodeId, Seq)],
) -> Result<Vec<Option<Node>>, ServiceError> {
    let ids: Vec<_> = asked.iter().map(|(node, _)| *node).collect();
    let mut nodes = state.metadata.nodes(namespace, &ids).await?;
    for ((node, seq), found) in asked.iter().zip(&mut nodes) {
        if found.as_ref().is_none_or(|found| found.content_seq != *seq) {
            *found = state.metadata.revision(namespace, *node, *seq).await?;
        }
    }
    Ok(nodes)
}

/// A chunk or a page as it goes out.
async fn frame(
    state: &State,
    form: Arc<Form>,
    hash: ChunkHash,
    chunk: Option<cairn_chunks::Result<Option<EncodedChunk>>>,
) -> Result<Frame, ServiceError> {
    if let Form::NewPages(pages) = form.as_ref() {
        return pages.frame(state, hash).await;
    }
    let chunk = chunk.transpose()?.flatten();
    let chunk = chunk.ok_or_else(|| damaged(hash, &"it is not in the chunk store"))?;
    if let Form::From(base) = form.as_ref() {
        return patches::patched(state, base, hash, chunk).await;
    }
    Ok(Frame::Chunk(ChunkFrame {
        hash,
        is_page: matches!(form.as_ref(), Form::WholePages),
        chunk,
    }))
}
