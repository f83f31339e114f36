//! Downloads as what is new in them: chunks and pages as patches against those that the device says it has.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use cairn_api::frame::{ChunkFrame, DeltaFrame, Frame};
use cairn_codec::{EncodedChunk, decode_chunk, encode_chunk, encode_patch};
use cairn_core::delta::{BASE_BYTES, BASE_CHUNKS};
use cairn_core::ids::{ChunkHash, NamespaceId, NodeId};
use cairn_core::manifest::Page;
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::Seq;

use super::contents::{damaged, load_page, pages_of};
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// How long a download waits for its turn at making patches.
const WAIT: Duration = Duration::from_secs(20);
/// Old pages that new ones are made from: with more the file is another one, and 64 hold 3 MB of hashes.
const GONE_PAGES: usize = 64;
/// Hundredths of a whole chunk up to which a patch is sent in its place.
const WORTH: usize = 90;

/// The base of a run of chunks, joined.
pub(super) struct Base {
    hashes: Vec<ChunkHash>,
    bytes: Bytes,
}

/// Joins a base out of chunks of a namespace that the caller can read; `None` when one of them is not referenced there, or
/// they are no base: then the chunks go out whole.
pub(super) async fn base(
    state: &State,
    namespace: NamespaceId,
    hashes: Vec<ChunkHash>,
) -> Result<Option<Base>, ServiceError> {
    if hashes.is_empty() || hashes.len() > BASE_CHUNKS {
        return Ok(None);
    }
    let referenced = state.metadata.referenced(&[namespace], &hashes).await?;
    if referenced.contains(&false) {
        return Ok(None);
    }
    let _turn = memory::acquire(&state.delta_work, 1, WAIT).await?;
    let mut chunks = Vec::with_capacity(hashes.len());
    let mut bytes = 0;
    for hash in &hashes {
        // What is damaged or lost there is no loss here.
        let Ok(Some(chunk)) = state.chunks.get(hash).await else {
            return Ok(None);
        };
        bytes += chunk.plain_len as usize;
        if bytes > BASE_BYTES {
            return Ok(None);
        }
        chunks.push((*hash, chunk));
    }
    let joined = state
        .runtime
        .blocking(move || -> Option<Vec<u8>> {
            let mut joined = Vec::with_capacity(bytes);
            for (hash, chunk) in &chunks {
                joined.extend_from_slice(&decode_chunk(chunk, hash).ok()?);
            }
            Some(joined)
        })
        .await;
    Ok(joined.map(|bytes| Base {
        hashes,
        bytes: bytes.into(),
    }))
}

/// A chunk as it travels to a device that has the base.
pub(super) async fn patched(
    state: &State,
    base: &Base,
    hash: ChunkHash,
    chunk: EncodedChunk,
) -> Result<Frame, ServiceError> {
    let _turn = memory::acquire(&state.delta_work, 1, WAIT).await?;
    let (hashes, bytes) = (base.hashes.clone(), base.bytes.clone());
    let made = state.runtime.blocking(move || {
        let plaintext = decode_chunk(&chunk, &hash).map_err(|error| damaged(hash, &error))?;
        let whole = ChunkFrame {
            hash,
            is_page: false,
            chunk,
        };
        Ok(shorter(whole, &plaintext, hashes, &bytes))
    });
    made.await
}

/// The patch if it is worth while, else the whole chunk.
fn shorter(whole: ChunkFrame, plaintext: &[u8], base: Vec<ChunkHash>, base_bytes: &[u8]) -> Frame {
    let (hash, is_page) = (whole.hash, whole.is_page);
    let whole = Frame::Chunk(whole);
    let Some(delta) = encode_patch(base_bytes, plaintext) else {
        return whole;
    };
    let patch = Frame::Delta(DeltaFrame {
        hash,
        is_page,
        base,
        delta,
    });
    if patch.wire_len() * 100 <= whole.wire_len() * WORTH {
        patch
    } else {
        whole
    }
}

/// The pages of a manifest that an older content of the same node does not have, each before those below it, and what they
/// are made from.
pub(super) struct NewPages {
    /// In the order of reading.
    pub(super) pages: VecDeque<ChunkHash>,
    gone: Vec<(ChunkHash, Bytes)>,
    /// Which of `gone` lists a chunk or a page.
    listed: BTreeMap<ChunkHash, usize>,
}

impl NewPages {
    /// Compares two contents of a node. All pages are new where the older one is not known.
    pub(super) async fn find(
        state: &State,
        namespace: NamespaceId,
        node: NodeId,
        older: Seq,
        file: &FileContent,
    ) -> Result<Self, ServiceError> {
        let pages = pages_of(state, file).await?;
        let old = match state.metadata.revision(namespace, node, older).await? {
            Some(node) => match &node.content {
                // What is damaged there is no loss here.
                Content::File(old) => pages_of(state, old).await.unwrap_or_default(),
                Content::Directory | Content::Symlink(_) => Vec::new(),
            },
            None => Vec::new(),
        };
        let (new_set, old_set): (BTreeSet<_>, BTreeSet<_>) =
            (pages.iter().copied().collect(), old.iter().copied().collect());
        let mut found = Self {
            pages: pages.into_iter().filter(|page| !old_set.contains(page)).collect(),
            gone: Vec::new(),
            listed: BTreeMap::new(),
        };
        let gone: Vec<_> = old_set.difference(&new_set).copied().collect();
        if gone.len() <= GONE_PAGES {
            for hash in gone {
                found.add_gone(state, hash).await?;
            }
        }
        Ok(found)
    }

    async fn add_gone(&mut self, state: &State, hash: ChunkHash) -> Result<(), ServiceError> {
        let bytes = load_page(state, &hash).await?;
        let index = self.gone.len();
        for name in names_in(&bytes) {
            self.listed.insert(name, index);
        }
        self.gone.push((hash, bytes));
        Ok(())
    }

    /// A page as it travels to a device that has the old ones. At most 53 KB: not worth a trip to the blocking pool.
    pub(super) async fn frame(&self, state: &State, hash: ChunkHash) -> Result<Frame, ServiceError> {
        let page = load_page(state, &hash).await?;
        let whole = ChunkFrame {
            hash,
            is_page: true,
            chunk: encode_chunk(&page),
        };
        let sources: BTreeSet<usize> = names_in(&page)
            .iter()
            .filter_map(|name| self.listed.get(name).copied())
            .take(BASE_CHUNKS * 64)
            .collect();
        if sources.is_empty() {
            return Ok(Frame::Chunk(whole));
        }
        let sources: Vec<_> = sources
            .into_iter()
            .take(BASE_CHUNKS)
            .filter_map(|index| self.gone.get(index))
            .collect();
        let base = sources.iter().map(|(hash, _)| *hash).collect();
        let joined: Vec<u8> = sources.iter().flat_map(|(_, bytes)| bytes).copied().collect();
        Ok(shorter(whole, &page, base, &joined))
    }
}

/// The chunks or pages that a page lists.
fn names_in(page: &[u8]) -> Vec<ChunkHash> {
    match Page::decode(page) {
        Ok(Page::Leaf(entries)) => entries.iter().map(|entry| entry.hash).collect(),
        Ok(Page::Inner { entries, .. }) => entries.iter().map(|entry| entry.hash).collect(),
        Err(_) => Vec::new(),
    }
}
