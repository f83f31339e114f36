//! Takes chunks in: decoded and hashed, then durable, then allowed to be committed.

use std::collections::HashMap;

use axum::extract::Request;
use bytes::Bytes;
use cairn_api::frame::{ChunkFrame, Frame, FrameReader};
use cairn_chunks::{ChunkKind, NewChunk};
use cairn_codec::decode_chunk;
use cairn_core::ids::{ChunkHash, NamespaceId};
use cairn_core::limits;

use crate::auth::Caller;
use crate::body::BodyReader;
use crate::error::ServiceError;
use crate::state::State;

/// Encoded bytes that are checked and stored at once: long enough for one sync of the disk to be worth it, short
/// enough for many uploads at a time.
const BATCH_BYTES: usize = 2 << 20;
/// Chunks of one request. Bounds the rows of its grant.
const REQUEST_CHUNKS: usize = 10_000;
/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// What a body of frames held.
pub(crate) struct Received {
    /// Length of the plaintext of each chunk, all of which are durable now.
    pub(crate) chunks: HashMap<ChunkHash, u32>,
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
pub(crate) async fn receive(state: &State, request: Request, ending: Ending) -> Result<Received, ServiceError> {
    let frame_limit = match ending {
        Ending::ChunksOnly => limits::CHUNK_MAX_BYTES + 4096,
        Ending::Message => limits::FRAME_BYTES,
    };
    let _memory = state.body_memory.reserve(BATCH_BYTES + frame_limit).await?;
    let mut body = BodyReader::new(request, limits::BODY_BYTES, state)?;
    let received = read_frames(state, &mut body, ending, frame_limit).await;
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
    let expires_at = state.runtime.clock.now().plus_millis(limits::GRANT_DAYS * DAY_MS);
    Ok(state.metadata.grant(namespace, caller.account, &hashes, lease, expires_at).await?)
}

async fn read_frames(
    state: &State,
    body: &mut BodyReader,
    ending: Ending,
    frame_limit: usize,
) -> Result<Received, ServiceError> {
    let mut reader = FrameReader::with_limit(frame_limit);
    let mut received = Received { chunks: HashMap::new(), lease: None, frame_count: 0, message: None };
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    while let Some(block) = body.next().await? {
        reader.push(&block);
        while let Some(frame) = reader.next_frame()? {
            match frame {
                Frame::Chunk(_) if received.message.is_some() => {
                    return Err(ServiceError::bad("a chunk follows the message"));
                }
                Frame::Chunk(frame) => {
                    received.frame_count += 1;
                    if received.frame_count as usize > REQUEST_CHUNKS {
                        return Err(ServiceError::TooLarge { what: "chunks in one request", limit: REQUEST_CHUNKS });
                    }
                    batch_bytes += frame.chunk.bytes.len();
                    batch.push(frame);
                }
                Frame::Message(_) if ending == Ending::ChunksOnly || received.message.is_some() => {
                    return Err(ServiceError::bad("a message where none may be"));
                }
                Frame::Message(message) => received.message = Some(message),
                Frame::End => {}
            }
            if batch_bytes >= BATCH_BYTES {
                batch_bytes = 0;
                store(state, std::mem::take(&mut batch), &mut received).await?;
            }
        }
    }
    reader.finish()?;
    if ending == Ending::Message && received.message.is_none() {
        return Err(ServiceError::bad("the message is missing"));
    }
    store(state, batch, &mut received).await?;
    Ok(received)
}

/// Checks a batch on the blocking pool and makes it durable.
async fn store(state: &State, batch: Vec<ChunkFrame>, received: &mut Received) -> Result<(), ServiceError> {
    if batch.is_empty() {
        return Ok(());
    }
    let checked = state.runtime.blocking(move || check(batch)).await?;
    received.chunks.extend(checked.iter().map(|new| (new.hash, new.chunk.plain_len)));
    let lease = state.chunks.put(checked).await?.0;
    received.lease = Some(received.lease.map_or(lease, |oldest| oldest.min(lease)));
    Ok(())
}

fn check(batch: Vec<ChunkFrame>) -> Result<Vec<NewChunk>, ServiceError> {
    batch
        .into_iter()
        .map(|frame| {
            let hash = frame.hash;
            // Whatever is wrong with it, it is not the chunk that it is called.
            decode_chunk(&frame.chunk, &hash).map_err(|_| ServiceError::HashMismatch { hash })?;
            let kind = if frame.is_page { ChunkKind::ManifestPage } else { ChunkKind::Data };
            Ok(NewChunk { hash, kind, chunk: frame.chunk })
        })
        .collect()
}
