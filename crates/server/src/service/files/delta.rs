//! New contents as deltas against what is there: signatures for those who have the new one, and the application of what they
//! send.
//!
//! Both run through a file as a download does, a few chunks at a time. A delta is not believed: what it makes is a content as if it
//! had been sent whole, and its hash is compared with the one that the sender has computed.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use cairn_codec::decode_chunk;
use cairn_core::node::FileContent;
use tokio::sync::mpsc;

use super::Ingest;
use super::rdiff::{DeltaReader, Malformed, Signer, Step};
use super::stream::Downloader;
use crate::error::ServiceError;
use crate::memory::Reservation;
use crate::service::contents::{ChunkWalk, damaged};
use crate::state::State;

pub(crate) use super::rdiff::{BLOCK_MAX_BYTES, BLOCK_MIN_BYTES, signature_len, usual_block};

/// Chunks of the base that are kept for the next steps: deltas go through it from front to back, with a look back now and then.
const CHUNKS_KEPT: usize = 3;
/// What they take, and the one that is being decoded.
const KEPT_BYTES: usize = (CHUNKS_KEPT + 1) * cairn_core::limits::CHUNK_MAX_BYTES;
/// A delta may copy as many bytes as these, and as the base has four times over: a few bytes of steps could otherwise make
/// terabytes.
const COPIED_BYTES: u64 = 64 << 20;
/// So often as many bytes of the base as it may copy, it may have read for it: steps that jump about make a chunk be read for
/// each.
const READ_TIMES: u64 = 4;

/// Why a delta was not applied.
#[derive(Debug)]
pub(crate) enum DeltaError {
    /// It is none, or was cut.
    Malformed,
    /// It copies what the base does not have.
    OutOfBase,
    /// It makes, or asks for, more than it may.
    TooMuch,
    /// The service failed.
    Service(ServiceError),
}

impl From<ServiceError> for DeltaError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<Malformed> for DeltaError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Starts to send the signature of a content.
pub(crate) async fn signature(
    state: &Arc<State>,
    file: FileContent,
    block: u32,
) -> Result<mpsc::Receiver<Result<Bytes, ServiceError>>, ServiceError> {
    Downloader::start(state, move |downloader| async move {
        let sent = sign(&downloader, &file, block).await;
        (downloader, sent)
    })
    .await
}

async fn sign(downloader: &Downloader, file: &FileContent, block: u32) -> Result<(), ServiceError> {
    let state = &downloader.state;
    let (mut signer, head) = Signer::new(block);
    if !downloader.block(head).await {
        return Ok(());
    }
    let mut walk = ChunkWalk::from_chunk(file, 0).map_err(|error| ServiceError::bad(error.to_string()))?;
    while let Some(entry) = walk.next(state).await? {
        let chunk = state.chunks.get(&entry.hash).await?;
        let chunk = chunk.ok_or_else(|| damaged(entry.hash, &"it is not in the chunk store"))?;
        let work = move || {
            let plaintext = decode_chunk(&chunk, &entry.hash).map_err(|error| damaged(entry.hash, &error))?;
            let sums = signer.update(&plaintext);
            Ok::<_, ServiceError>((signer, sums))
        };
        let sums;
        (signer, sums) = state.runtime.blocking(work).await?;
        if !sums.is_empty() && !downloader.block(sums).await {
            return Ok(());
        }
    }
    let last = signer.finish();
    if !last.is_empty() {
        downloader.block(last).await;
    }
    Ok(())
}

/// A delta on its way to a new content.
pub(crate) struct Patch<'s> {
    reader: DeltaReader,
    base: Base<'s>,
    ingest: Ingest<'s>,
}

impl<'s> Patch<'s> {
    /// Begins with a base that the caller can read.
    pub(crate) async fn new(
        state: &'s Arc<State>,
        base: FileContent,
        ingest: Ingest<'s>,
    ) -> Result<Self, ServiceError> {
        let mut memory = state.body_memory.begin();
        memory.grow_to(KEPT_BYTES).await?;
        let copied_left = COPIED_BYTES.saturating_add(base.size.saturating_mul(4));
        Ok(Self {
            reader: DeltaReader::default(),
            base: Base {
                state,
                copied_left,
                read_left: copied_left.saturating_mul(READ_TIMES),
                content: base,
                kept: VecDeque::with_capacity(CHUNKS_KEPT),
                _memory: memory,
            },
            ingest,
        })
    }

    /// Takes the next bytes of the delta.
    pub(crate) async fn write(&mut self, block: &[u8]) -> Result<(), DeltaError> {
        self.reader.push(block);
        while let Some(step) = self.reader.next()? {
            match step {
                Step::Literal(bytes) => self.ingest.write(&bytes).await?,
                Step::Copy { offset, len } => self.base.copy(offset, len, &mut self.ingest).await?,
            }
        }
        Ok(())
    }

    /// Ends the delta; what it has made may be finished then.
    pub(crate) fn finish(self) -> Result<Ingest<'s>, DeltaError> {
        match self.reader.is_whole() {
            true => Ok(self.ingest),
            false => Err(DeltaError::Malformed),
        }
    }
}

/// What a delta copies from.
struct Base<'s> {
    state: &'s Arc<State>,
    content: FileContent,
    /// Bytes that may still be copied.
    copied_left: u64,
    /// Bytes that may still be read for it.
    read_left: u64,
    /// Chunks that were read last, by their offsets.
    kept: VecDeque<(u64, Bytes)>,
    _memory: Reservation<'s>,
}

impl Base<'_> {
    async fn copy(&mut self, offset: u64, len: u64, to: &mut Ingest<'_>) -> Result<(), DeltaError> {
        let end = offset.checked_add(len).filter(|end| *end <= self.content.size);
        let end = end.ok_or(DeltaError::OutOfBase)?;
        self.copied_left = self.copied_left.checked_sub(len).ok_or(DeltaError::TooMuch)?;
        let mut at = offset;
        while at < end {
            let (start, chunk) = self.chunk(at).await?;
            let from = (at - start) as usize;
            let most = usize::try_from(end - start).unwrap_or(usize::MAX);
            let piece = chunk.slice(from..chunk.len().min(most));
            to.write(&piece).await?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The chunk that holds a byte of the base, and where it begins.
    async fn chunk(&mut self, at: u64) -> Result<(u64, Bytes), DeltaError> {
        let holds = |(start, chunk): &&(u64, Bytes)| (*start..*start + chunk.len() as u64).contains(&at);
        if let Some(kept) = self.kept.iter().find(holds) {
            return Ok(kept.clone());
        }
        let unreadable = |error: &dyn std::fmt::Display| ServiceError::bad(error.to_string());
        let walk = ChunkWalk::from_offset(&self.content, at);
        let placed = walk
            .map_err(|error| unreadable(&error))?
            .next_placed(self.state)
            .await?;
        let placed = placed.ok_or(DeltaError::OutOfBase)?;
        let (hash, len) = (placed.entry.hash, placed.entry.len);
        self.read_left = self
            .read_left
            .checked_sub(u64::from(len))
            .ok_or(DeltaError::TooMuch)?;
        let chunk = self.state.chunks.get(&hash).await.map_err(ServiceError::from)?;
        let chunk = chunk.ok_or_else(|| damaged(hash, &"it is not in the chunk store"))?;
        let decoded = self
            .state
            .runtime
            .blocking(move || decode_chunk(&chunk, &hash))
            .await;
        let plaintext = decoded.map_err(|error| damaged(hash, &error))?;
        if plaintext.len() != len as usize {
            return Err(damaged(hash, &"it is not as long as the manifest says").into());
        }
        if self.kept.len() == CHUNKS_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((placed.offset, plaintext.clone()));
        Ok((placed.offset, plaintext))
    }
}
