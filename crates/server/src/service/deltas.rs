//! Chunks as deltas: signatures for those who have a new version, and bases for those who sent what changed.
//!
//! Signatures and bases are of chunks only that the account can read now. For every other chunk the answer is that of one which
//! does not exist, and the chunk store is not even asked.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use cairn_api::frame::DeltaFrame;
use cairn_chunks::{ChunkKind, NewChunk};
use cairn_codec::{EncodedChunk, decode_chunk, decode_delta, encode_chunk};
use cairn_core::delta::{BASE_BYTES, Signature};
use cairn_core::ids::ChunkHash;
use cairn_core::limits;

use crate::auth::Caller;
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// How long a request waits for its turn.
const WAIT: Duration = Duration::from_secs(20);
/// What a signature costs in hashes of a have-check: the chunk must be read and gone over.
const SIGNATURE_HASHES: usize = 100;

/// Signatures of chunks, in the order asked; `None` for those that the caller cannot read.
pub(crate) async fn signatures(
    state: &State,
    caller: &Caller,
    hashes: &[ChunkHash],
) -> Result<Vec<Option<Bytes>>, ServiceError> {
    if hashes.len() > limits::SIGNATURES {
        return Err(ServiceError::TooLarge {
            what: "signatures in one request",
            limit: limits::SIGNATURES,
        });
    }
    let cost = (hashes.len() * SIGNATURE_HASHES) as u32;
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state
        .auth
        .have_hashes
        .take(&caller.device, cost)
        .map_err(limited)?;
    let readable = readable(state, caller, hashes).await?;
    let _turn = memory::acquire(&state.delta_work, 1, WAIT).await?;
    let mut signatures = Vec::with_capacity(hashes.len());
    for (hash, is_readable) in hashes.iter().zip(readable) {
        signatures.push(match is_readable {
            true => signature(state, hash).await?,
            false => None,
        });
    }
    Ok(signatures)
}

/// The signature of a chunk that the caller can read; `None` when the store cannot give it.
async fn signature(state: &State, hash: &ChunkHash) -> Result<Option<Bytes>, ServiceError> {
    if let Some(signature) = state.signatures.get(hash) {
        return Ok(Some(signature));
    }
    let Some(chunk) = stored(state, hash).await? else {
        return Ok(None);
    };
    let name = *hash;
    let work =
        move || decode_chunk(&chunk, &name).map(|plaintext| Bytes::from(Signature::of(&plaintext).encode()));
    match state.runtime.blocking(work).await {
        Ok(signature) => {
            state.signatures.insert(*hash, signature.clone());
            Ok(Some(signature))
        }
        Err(error) => {
            tracing::error!(chunk.hash = %hash, %error, "a stored chunk is damaged");
            Ok(None)
        }
    }
}

/// Turns deltas into chunks, one after another.
pub(super) struct Resolver<'a> {
    state: &'a State,
    caller: &'a Caller,
    /// Bytes of bases and results that the request may still ask for.
    work_left: usize,
}

impl<'a> Resolver<'a> {
    pub(super) const fn new(state: &'a State, caller: &'a Caller) -> Self {
        Self {
            state,
            caller,
            work_left: limits::DELTA_WORK_BYTES,
        }
    }

    /// The chunks that the deltas stand for, each checked against its name.
    ///
    /// # Errors
    /// [`ServiceError::DeltaRefused`] for the first that cannot be used, whatever the reason.
    pub(super) async fn resolve(&mut self, deltas: Vec<DeltaFrame>) -> Result<Vec<NewChunk>, ServiceError> {
        let named: BTreeSet<ChunkHash> = deltas.iter().flat_map(|delta| &delta.base).copied().collect();
        let named: Vec<ChunkHash> = named.into_iter().collect();
        let readable = readable(self.state, self.caller, &named).await?;
        let bases: BTreeSet<ChunkHash> = named
            .into_iter()
            .zip(readable)
            .filter_map(|(hash, is_readable)| is_readable.then_some(hash))
            .collect();
        let _turn = memory::acquire(&self.state.delta_work, 1, WAIT).await?;
        let mut chunks = Vec::with_capacity(deltas.len());
        for delta in deltas {
            let refused = ServiceError::DeltaRefused { hash: delta.hash };
            if !delta.base.iter().all(|hash| bases.contains(hash)) {
                return Err(refused);
            }
            chunks.push(self.one(delta).await?.ok_or(refused)?);
        }
        Ok(chunks)
    }

    /// The chunk that a delta against readable chunks stands for; `None` when it stands for none.
    async fn one(&mut self, delta: DeltaFrame) -> Result<Option<NewChunk>, ServiceError> {
        let mut base = Vec::with_capacity(delta.base.len());
        let mut base_bytes = 0;
        for hash in &delta.base {
            let Some(chunk) = stored(self.state, hash).await? else {
                return Ok(None);
            };
            base_bytes += chunk.plain_len as usize;
            if base_bytes > BASE_BYTES {
                return Ok(None);
            }
            base.push((*hash, chunk));
        }
        let work = base_bytes + delta.delta.plain_len as usize;
        self.work_left = self.work_left.checked_sub(work).ok_or(ServiceError::TooLarge {
            what: "bytes of bases and results of deltas in one request",
            limit: limits::DELTA_WORK_BYTES,
        })?;
        let made = self.state.runtime.blocking(move || make(&base, delta)).await;
        Ok(made.map(|(chunk, signature)| {
            // What was changed once is likely to be changed again.
            self.state.signatures.insert(chunk.hash, signature);
            chunk
        }))
    }
}

/// Applies a delta; returns the chunk and its signature.
fn make(base: &[(ChunkHash, EncodedChunk)], delta: DeltaFrame) -> Option<(NewChunk, Bytes)> {
    let mut joined = Vec::new();
    for (hash, chunk) in base {
        match decode_chunk(chunk, hash) {
            Ok(plaintext) => joined.extend_from_slice(&plaintext),
            Err(error) => {
                tracing::error!(chunk.hash = %hash, %error, "a stored chunk is damaged");
                return None;
            }
        }
    }
    let plaintext = decode_delta(&delta.delta, &joined, &delta.hash).ok()?;
    let kind = if delta.is_page {
        ChunkKind::ManifestPage
    } else {
        ChunkKind::Data
    };
    let chunk = NewChunk {
        hash: delta.hash,
        kind,
        chunk: encode_chunk(&plaintext),
    };
    Some((chunk, Signature::of(&plaintext).encode().into()))
}

/// A chunk as it is stored. One that is damaged there is as good as none: whoever asks has another way.
async fn stored(state: &State, hash: &ChunkHash) -> Result<Option<EncodedChunk>, ServiceError> {
    match state.chunks.get(hash).await {
        Ok(chunk) => Ok(chunk),
        Err(error @ cairn_chunks::ChunkError::Corrupt { .. }) => {
            tracing::error!(chunk.hash = %hash, %error, "a stored chunk is damaged");
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// For each chunk, whether a namespace references it that the caller can read now.
pub(super) async fn readable(
    state: &State,
    caller: &Caller,
    hashes: &[ChunkHash],
) -> Result<Vec<bool>, ServiceError> {
    let namespaces = state.metadata.readable_namespaces(caller.account).await?;
    Ok(state.metadata.referenced(&namespaces, hashes).await?)
}
