//! Takes chunks in, whole or as deltas: decoded and hashed, then durable, then allowed to be committed.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::Request;
use bytes::Bytes;
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame, FrameReader};
use cairn_chunks::{ChunkKind, NewChunk};
use cairn_codec::decode_chunk;
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;
use cairn_core::time::Timestamp;

use super::deltas::Resolver;
use crate::auth::Caller;
use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::memory::Reservation;
use crate::state::State;

/// Encoded bytes that are checked and stored at once: long enough for one sync of the disk to be worth it, short
/// enough for many uploads at a time.
const BATCH_BYTES: usize = 2 << 20;
/// How long to wait for more before what has come is stored. The message of a commit may take longer than its chunks: the client
/// says what it asks for when the commit before is settled.
const PAUSE: Duration = Duration::from_millis(10);
/// Chunks of one request. Bounds the rows of its grant.
const REQUEST_CHUNKS: usize = 10_000;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What a body of frames held.
pub(crate) struct Received {
    /// Length of the plaintext of each chunk, all of which are durable now.
    pub(crate) chunks: BTreeMap<ChunkHash, u32>,
    /// The oldest epoch in which the store held them.
    lease: Option<i64>,
    /// How many chunk frames there were.
    pub(crate) frame_count: u32,
    /// The message at the end.
    pub(crate) message: Option<Bytes>,
}

/// Whether a body of frames ends in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Chunks alone.
    ChunksOnly,
    /// Chunks, then exactly one message.
    Message,
}

/// Reads a body of frames and stores its chunks as they come. Nobody may commit them yet: see [`grant`].
pub(crate) async fn receive(
    state: &State,
    caller: &Caller,
    request: Request,
    ending: Ending,
) -> Result<Received, ServiceError> {
    let frame_limit = match ending {
        Ending::ChunksOnly => limits::CHUNK_MAX_BYTES + 4096,
        Ending::Message => limits::FRAME_BYTES,
    };
    let mut body = BodyReader::new(request, limits::BODY_BYTES, state)?;
    let mut reading = Reading::new(state, caller, ending, frame_limit);
    let received = reading.run(&mut body).await.map(|()| reading.received);
    if received.is_err() {
        body.discard().await;
    }
    received
}

/// Allows the caller to commit chunks that were just stored.
pub(crate) async fn grant(
    state: &State,
    caller: &Caller,
    namespace: NamespaceId,
    received: &Received,
) -> Result<(), ServiceError> {
    let Some(lease) = received.lease else {
        return Ok(());
    };
    let hashes: Vec<ChunkHash> = received.chunks.keys().copied().collect();
    let expires_at = grant_end(state.runtime.clock.now());
    Ok(state
        .metadata
        .grant(namespace, caller.account, &hashes, lease, expires_at)
        .await?)
}

/// When a grant ends that is given or extended now.
pub(crate) const fn grant_end(now: Timestamp) -> Timestamp {
    now.plus_millis(limits::GRANT_DAYS * DAY_MS)
}

/// A body of frames on its way.
struct Reading<'s> {
    state: &'s State,
    ending: Ending,
    reader: FrameReader,
    /// Bytes that the reader holds: of a frame that is not complete.
    reader_bytes: usize,
    batch: Vec<ChunkFrame>,
    deltas: Vec<DeltaFrame>,
    resolver: Resolver<'s>,
    batch_bytes: usize,
    memory: Reservation<'s>,
    received: Received,
}

impl<'s> Reading<'s> {
    fn new(state: &'s State, caller: &'s Caller, ending: Ending, frame_limit: usize) -> Self {
        Self {
            state,
            ending,
            reader: FrameReader::with_limit(frame_limit),
            reader_bytes: 0,
            batch: Vec::new(),
            deltas: Vec::new(),
            resolver: Resolver::new(state, caller),
            batch_bytes: 0,
            memory: state.body_memory.begin(),
            received: Received {
                chunks: BTreeMap::new(),
                lease: None,
                frame_count: 0,
                message: None,
            },
        }
    }

    async fn run(&mut self, body: &mut BodyReader) -> Result<(), ServiceError> {
        while let Some(block) = self.next_block(body).await? {
            self.make_room(block.len()).await?;
            self.reader.push(&block);
            self.reader_bytes += block.len();
            while let Some(frame) = self.reader.next_frame()? {
                self.reader_bytes = self.reader_bytes.saturating_sub(frame.wire_len());
                self.take(frame)?;
                if self.batch_bytes >= BATCH_BYTES {
                    self.store().await?;
                }
            }
        }
        self.reader.finish()?;
        if self.ending == Ending::Message && self.received.message.is_none() {
            return Err(ServiceError::bad("the message is missing"));
        }
        self.store().await
    }

    /// The next block. While none comes, what has come is stored.
    async fn next_block(&mut self, body: &mut BodyReader) -> Result<Option<Bytes>, ServiceError> {
        if self.batch_bytes > 0 {
            match tokio::time::timeout(PAUSE, body.next()).await {
                Ok(block) => return block,
                Err(_elapsed) => self.store().await?,
            }
        }
        body.next().await
    }

    /// Reserves memory for a block. Where there is none, stores what has come so far instead of waiting with it.
    async fn make_room(&mut self, block_bytes: usize) -> Result<(), ServiceError> {
        if !self.memory.try_grow_to(self.held_bytes() + block_bytes) {
            self.store().await?;
            self.memory.grow_to(self.held_bytes() + block_bytes).await?;
        }
        Ok(())
    }

    fn held_bytes(&self) -> usize {
        self.reader_bytes + self.batch_bytes + self.received.message.as_ref().map_or(0, Bytes::len)
    }

    fn take(&mut self, frame: Frame) -> Result<(), ServiceError> {
        let wire_len = frame.wire_len();
        match frame {
            Frame::Chunk(_) | Frame::Delta(_) if self.received.message.is_some() => {
                return Err(ServiceError::bad("a chunk follows the message"));
            }
            Frame::Chunk(chunk) => {
                self.count(wire_len)?;
                self.batch.push(chunk);
            }
            Frame::Delta(delta) => {
                self.count(wire_len)?;
                self.deltas.push(delta);
            }
            Frame::Message(_) if self.ending == Ending::ChunksOnly || self.received.message.is_some() => {
                return Err(ServiceError::bad("a message where none may be"));
            }
            Frame::Message(message) => self.received.message = Some(message),
            Frame::End => {}
        }
        Ok(())
    }

    fn count(&mut self, wire_len: usize) -> Result<(), ServiceError> {
        self.received.frame_count += 1;
        if self.received.frame_count as usize > REQUEST_CHUNKS {
            return Err(ServiceError::TooLarge {
                what: "chunks in one request",
                limit: REQUEST_CHUNKS,
            });
        }
        self.batch_bytes += wire_len;
        Ok(())
    }

    /// Checks the batch on the blocking pool and makes it durable.
    async fn store(&mut self) -> Result<(), ServiceError> {
        let batch = std::mem::take(&mut self.batch);
        if !batch.is_empty() {
            let checked = self.state.runtime.blocking(move || check(batch)).await?;
            self.put(checked).await?;
        }
        // What deltas make is longer than they are: it goes to the disk part by part.
        let mut deltas = std::mem::take(&mut self.deltas);
        while !deltas.is_empty() {
            let rest = deltas.split_off(first_part(&deltas));
            let part = std::mem::replace(&mut deltas, rest);
            let part_bytes: usize = part.iter().map(|delta| delta.delta.plain_len as usize).sum();
            self.memory.grow_to(self.held_bytes() + part_bytes).await?;
            let made = self.resolver.resolve(part).await?;
            self.put(made).await?;
        }
        self.batch_bytes = 0;
        self.memory.shrink_to(self.held_bytes());
        Ok(())
    }

    /// Makes chunks durable that were checked.
    async fn put(&mut self, checked: Vec<NewChunk>) -> Result<(), ServiceError> {
        self.received
            .chunks
            .extend(checked.iter().map(|new| (new.hash, new.chunk.plain_len)));
        let lease = self.state.chunks.put(checked).await?.0;
        self.received.lease = Some(self.received.lease.map_or(lease, |oldest| oldest.min(lease)));
        Ok(())
    }
}

/// How many deltas, one at least, make no more than a batch.
fn first_part(deltas: &[DeltaFrame]) -> usize {
    let mut bytes = 0;
    let fits = deltas.iter().take_while(|delta| {
        bytes += delta.delta.plain_len as usize;
        bytes <= BATCH_BYTES
    });
    fits.count().max(1)
}

fn check(batch: Vec<ChunkFrame>) -> Result<Vec<NewChunk>, ServiceError> {
    batch
        .into_iter()
        .map(|frame| {
            let hash = frame.hash;
            // Whatever is wrong with it, it is not the chunk that it is called.
            decode_chunk(&frame.chunk, &hash).map_err(|_| ServiceError::HashMismatch { hash })?;
            let kind = if frame.is_page {
                ChunkKind::ManifestPage
            } else {
                ChunkKind::Data
            };
            Ok(NewChunk {
                hash,
                kind,
                chunk: frame.chunk,
            })
        })
        .collect()
}
