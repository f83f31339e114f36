//! Edits of large files: what the version before has is not sent, what is new is sent as deltas against it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use cairn_api::error::ErrorCode;
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame};
use cairn_api::sync::{CommitReply, Signatures};
use cairn_codec::{EncodedDelta, encode_delta, encode_owned, encode_patch};
use cairn_core::base::Base;
use cairn_core::change::Op;
use cairn_core::delta::Signature;
use cairn_core::ids::ChunkHash;
use cairn_core::limits::{CHUNK_MAX_BYTES, SIGNATURES};
use cairn_core::node::Content;
use cairn_core::tree::Substance;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::later::{Encoded, Later, Little, requests};
use super::queue::Queued;
use super::walk::PlainChunk;
use super::{ASKED_AT_ONCE, FileToSend, UploadError, Uploader};
use crate::base;
use crate::remote::RemoteError;

/// Deltas in a row that saved too little, after which the file is taken for another one and sent as it is.
const FUTILE: u64 = 32;
/// New chunks in a window, pages included, that the server is not asked about.
const FEW: usize = 8;
/// Hundredths of a whole chunk up to which a delta is worth its work.
const WORTH: usize = 60;

/// The version before of a file that is being sent.
pub(super) struct Against {
    base: Base,
    /// Deltas in a row that were not worth while.
    futile: AtomicU64,
}

/// A chunk that is to be sent, and what a delta of it may be made against.
pub(super) struct NewChunk {
    pub(super) plain: PlainChunk,
    pub(super) base: Vec<ChunkHash>,
}

impl Against {
    /// Whether the server has a chunk or a page, as a part of the version before.
    pub(super) fn contains(&self, hash: &ChunkHash) -> bool {
        self.base.contains(hash)
    }

    /// What deltas of a window's chunks may be made against; `next` goes from one window of the file to the next.
    pub(super) fn align(&self, next: &mut usize, window: &[PlainChunk]) -> Vec<Vec<ChunkHash>> {
        let entries: Vec<_> = window
            .iter()
            .filter(|chunk| !chunk.is_page)
            .map(|chunk| cairn_core::manifest::ChunkEntry {
                hash: chunk.hash,
                len: u32::try_from(chunk.len).unwrap_or(u32::MAX),
            })
            .collect();
        let mut bases = self.base.align(next, &entries).into_iter();
        let of_each = window.iter().map(|chunk| match chunk.is_page {
            true => Vec::new(),
            false => bases.next().unwrap_or_default(),
        });
        of_each.collect()
    }

    /// Bytes of the base and of the result, where a chunk travels as a delta.
    fn work(&self, frame: &Frame) -> usize {
        let Frame::Delta(delta) = frame else { return 0 };
        let len = |hash: &ChunkHash| match delta.is_page {
            true => self.base.page(hash).map(<[u8]>::len),
            false => self.base.place_of(hash).map(|(_, len)| len),
        };
        // A base that is none is not sent; it would be no longer than this.
        let base: usize = delta
            .base
            .iter()
            .map(|hash| len(hash).unwrap_or(CHUNK_MAX_BYTES))
            .sum();
        base + delta.delta.plain_len as usize
    }

    fn is_hopeless(&self) -> bool {
        self.futile.load(Ordering::Relaxed) >= FUTILE
    }

    fn note(&self, was_worth: bool) {
        if was_worth {
            self.futile.store(0, Ordering::Relaxed);
        } else {
            self.futile.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Uploader {
    /// The version that an edit replaces, as far as this device remembers it.
    pub(super) async fn against(
        &self,
        queued: &Queued,
        file: &FileToSend,
    ) -> Result<Option<Arc<Against>>, UploadError> {
        let edit = queued.piece.group.iter().find_map(|op| match op {
            Op::Edit {
                node,
                content: Content::File(content),
                base_content,
                ..
            } if content.file_id == file.content.file_id => Some((*node, *base_content)),
            _ => None,
        });
        let Some((node, base_content)) = edit else {
            return Ok(None);
        };
        let Some(remote) = self.state.remote(self.namespace, node).await? else {
            return Ok(None);
        };
        let Substance::File { file_id, .. } = remote.substance else {
            return Ok(None);
        };
        if remote.content_seq != base_content {
            return Ok(None);
        }
        let Some(Some(content)) = self.state.contents(&[file_id]).await?.pop() else {
            return Ok(None);
        };
        let base = base::load(self.state.as_ref(), &content).await?;
        Ok(base.map(|base| {
            Arc::new(Against {
                base,
                futile: AtomicU64::new(0),
            })
        }))
    }

    /// Sends what is new in a window, as deltas where that saves enough. What is little waits in `later` for the rest.
    pub(super) async fn send_against(
        &self,
        window: Vec<NewChunk>,
        against: &Arc<Against>,
        later: &Later,
    ) -> Result<(), UploadError> {
        if window.is_empty() {
            return Ok(());
        }
        // Of what was copied from elsewhere the server may have all: both questions take one round trip.
        let asked = self.ask(worth_asking(&window).map(|chunk| chunk.plain.hash));
        let (had, signatures) = futures::future::try_join(asked, self.signatures(&window, against)).await?;
        let window: Vec<NewChunk> = window
            .into_iter()
            .filter(|chunk| !had.contains(&chunk.plain.hash))
            .collect();
        if window.is_empty() {
            return Ok(());
        }
        let window = Arc::new(window);
        let (chunks, against) = (Arc::clone(&window), Arc::clone(against));
        let encoded = self
            .runtime
            .blocking(move || -> Vec<Encoded> {
                let encode = |chunk| {
                    let frame = encode(chunk, &against, &signatures);
                    let work = against.work(&frame);
                    Encoded { frame, work }
                };
                chunks.iter().map(encode).collect()
            })
            .await;
        match later.take_in(encoded, window) {
            None => Ok(()),
            Some((encoded, window)) => {
                let windows = vec![window];
                self.put_little(Little { encoded, windows }).await
            }
        }
    }

    /// Sends chunks, and all of them whole when the server refuses a delta.
    pub(super) async fn put_little(&self, little: Little) -> Result<(), UploadError> {
        let Little { encoded, windows } = little;
        for frames in requests(encoded) {
            let has_deltas = has_deltas(&frames);
            match self.remote.put_frames(self.namespace, frames).await {
                Err(error) if has_deltas && is_delta_refused(&error) => {
                    self.put_whole(&windows).await?;
                    break;
                }
                sent => sent?,
            }
        }
        self.keep_all_hot(windows).await;
        Ok(())
    }

    /// Sends a commit with chunks in front of it. When the server refuses a delta nothing was applied: the chunks go whole, and
    /// then the commit as it was.
    pub(super) async fn commit_with(
        &self,
        chunks: Vec<ChunkFrame>,
        little: Little,
        request: Vec<u8>,
    ) -> Result<CommitReply, UploadError> {
        let Little { encoded, windows } = little;
        let mut frames: Vec<Frame> = encoded.into_iter().map(|encoded| encoded.frame).collect();
        let has_deltas = has_deltas(&frames);
        frames.extend(chunks.into_iter().map(Frame::Chunk));
        if !has_deltas {
            return Ok(self.remote.commit(frames, request).await?);
        }
        let whole: Vec<_> = frames
            .iter()
            .filter(|frame| matches!(frame, Frame::Chunk(_)))
            .cloned()
            .collect();
        let reply = match self.remote.commit(frames, request.clone()).await {
            Err(error) if is_delta_refused(&error) => {
                self.put_whole(&windows).await?;
                self.remote.commit(whole, request).await?
            }
            answered => answered?,
        };
        self.keep_all_hot(windows).await;
        Ok(reply)
    }

    async fn put_whole(&self, windows: &[Arc<Vec<NewChunk>>]) -> Result<(), UploadError> {
        tracing::debug!("a delta was refused: the chunks are sent whole");
        for window in windows {
            let chunks = Arc::clone(window);
            let frames = self
                .runtime
                .blocking(move || {
                    chunks
                        .iter()
                        .map(|chunk| Frame::Chunk(whole(&chunk.plain)))
                        .collect()
                })
                .await;
            self.remote.put_frames(self.namespace, frames).await?;
        }
        Ok(())
    }

    async fn keep_all_hot(&self, windows: Vec<Arc<Vec<NewChunk>>>) {
        for window in windows {
            self.keep_hot(window).await;
        }
    }

    /// The signatures of all that deltas may be made against.
    async fn signatures(
        &self,
        window: &[NewChunk],
        against: &Against,
    ) -> Result<BTreeMap<ChunkHash, Signature>, UploadError> {
        let mut found = BTreeMap::new();
        if against.is_hopeless() {
            return Ok(found);
        }
        let named: BTreeSet<ChunkHash> = window.iter().flat_map(|chunk| &chunk.base).copied().collect();
        let mut unknown = Vec::new();
        for hash in named {
            match self
                .hot
                .get(&hash)
                .and_then(|bytes| Signature::decode(&bytes).ok())
            {
                Some(signature) => drop(found.insert(hash, signature)),
                None => unknown.push(hash),
            }
        }
        let questions: Vec<_> = unknown.chunks(SIGNATURES).map(<[ChunkHash]>::to_vec).collect();
        let answers: Vec<_> = stream::iter(questions)
            .map(|hashes| async move {
                let request = Signatures {
                    hashes: hashes.clone(),
                };
                let signatures = self.remote.signatures(request).await?;
                Ok::<_, UploadError>(hashes.into_iter().zip(signatures))
            })
            .buffered(ASKED_AT_ONCE)
            .try_collect()
            .await?;
        for (hash, bytes) in answers.into_iter().flatten() {
            // What cannot be read is as good as none.
            if let Some(signature) = bytes.and_then(|bytes| Signature::decode(&bytes).ok()) {
                found.insert(hash, signature);
            }
        }
        Ok(found)
    }

    /// Remembers the signatures of what was changed.
    async fn keep_hot(&self, window: Arc<Vec<NewChunk>>) {
        let signed = self
            .runtime
            .blocking(move || -> Vec<_> {
                let changed = window.iter().filter(|chunk| !chunk.base.is_empty());
                changed
                    .map(|chunk| {
                        let signature = Signature::of(&chunk.plain.bytes).encode();
                        (chunk.plain.hash, Bytes::from(signature))
                    })
                    .collect()
            })
            .await;
        for (hash, signature) in signed {
            self.hot.keep(hash, signature);
        }
    }
}

fn has_deltas(frames: &[Frame]) -> bool {
    frames.iter().any(|frame| matches!(frame, Frame::Delta(_)))
}

/// Whether whole chunks may do what a request with deltas did not. That counts for one that was too large as well: a server may
/// allow less work than this device thinks.
fn is_delta_refused(error: &RemoteError) -> bool {
    matches!(
        error,
        RemoteError::Refused(error) if matches!(error.code, ErrorCode::DeltaRefused | ErrorCode::TooLarge)
    )
}

/// The chunks of a window that may cost much more than a question. A few with a place in the version before travel as deltas,
/// which are shorter than a request.
fn worth_asking(window: &[NewChunk]) -> impl Iterator<Item = &NewChunk> {
    let is_few = window.len() <= FEW;
    window
        .iter()
        .filter(move |chunk| !is_few || (chunk.base.is_empty() && !chunk.plain.is_page))
}

/// A chunk as it travels: as a delta where that is short enough.
fn encode(chunk: &NewChunk, against: &Against, signatures: &BTreeMap<ChunkHash, Signature>) -> Frame {
    let plain = &chunk.plain;
    let made = match plain.is_page {
        true => page_delta(plain, against),
        false => chunk_delta(chunk, against, signatures),
    };
    let Some((base, delta)) = made else {
        return Frame::Chunk(whole(plain));
    };
    let delta = Frame::Delta(DeltaFrame {
        hash: plain.hash,
        is_page: plain.is_page,
        base,
        delta,
    });
    // So short that no whole chunk can be as short, mostly: then none is made to compare.
    if delta.wire_len() * 20 < plain.bytes.len() {
        against.note(true);
        return delta;
    }
    let whole = Frame::Chunk(whole(plain));
    let is_worth = delta.wire_len() * 100 <= whole.wire_len() * WORTH;
    against.note(is_worth);
    if is_worth { delta } else { whole }
}

fn page_delta(page: &PlainChunk, against: &Against) -> Option<(Vec<ChunkHash>, EncodedDelta)> {
    let (hashes, bytes) = against.base.page_base(&page.bytes)?;
    Some((hashes, encode_patch(&bytes, &page.bytes)?))
}

fn chunk_delta(
    chunk: &NewChunk,
    against: &Against,
    signatures: &BTreeMap<ChunkHash, Signature>,
) -> Option<(Vec<ChunkHash>, EncodedDelta)> {
    if chunk.base.is_empty() || against.is_hopeless() {
        return None;
    }
    // A base without the chunks that have no signature is a base still.
    let (hashes, known): (Vec<_>, Vec<_>) = chunk
        .base
        .iter()
        .filter_map(|hash| Some((*hash, signatures.get(hash)?)))
        .unzip();
    (!hashes.is_empty()).then(|| (hashes, encode_delta(&known, &chunk.plain.bytes)))
}

fn whole(plain: &PlainChunk) -> ChunkFrame {
    ChunkFrame {
        hash: plain.hash,
        is_page: plain.is_page,
        chunk: encode_owned(plain.bytes.clone()),
    }
}
