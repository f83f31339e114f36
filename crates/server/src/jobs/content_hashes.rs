//! Checks the content hashes that devices claimed: reads each new content once, in the background.
//!
//! What the server computed is recorded even where the claim was wrong; the metadata store repairs it. A content whose
//! chunks cannot be read, or are not as long as its manifest says, stays unverified and is named in the log.

use std::collections::HashSet;
use std::sync::Arc;

use cairn_codec::{EncodedChunk, decode_chunk};
use cairn_core::content_hash::ContentHasher;
use cairn_core::ids::{ContentHash, NamespaceId, NodeId};
use cairn_core::manifest::ChunkEntry;
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::Seq;
use tokio::time::Instant;

use crate::error::ServiceError;
use crate::service::contents::{ChunkWalk, damaged};
use crate::state::State;

/// Contents that are looked up at once.
const CONTENTS_PAGE: usize = 256;
/// Chunks that are read and hashed at once: 4 MiB at most.
const BATCH_CHUNKS: usize = 16;
/// Namespaces in one page of a full round.
const NAMESPACES_PAGE: usize = 500;

/// Follows commits, with a full round at the start and now and then.
pub(super) async fn run(state: Arc<State>) {
    loop {
        if let Err(error) = full_round(&state).await {
            tracing::warn!(%error, "cannot list what is unverified; the next round tries again");
        }
        let round = Instant::now();
        while let Some(namespaces) = super::before_next_round(&state, &state.dirty, round).await {
            for namespace in namespaces {
                check(&state, namespace).await;
            }
        }
    }
}

async fn full_round(state: &State) -> Result<(), ServiceError> {
    let mut after = None;
    loop {
        let page = state.metadata.namespaces(after, NAMESPACES_PAGE).await?;
        for namespace in &page {
            check(state, *namespace).await;
        }
        after = page.last().copied();
        if page.len() < NAMESPACES_PAGE {
            return Ok(());
        }
    }
}

async fn check(state: &State, namespace: NamespaceId) {
    if let Err(error) = check_namespace(state, namespace).await {
        tracing::warn!(namespace.id = %namespace, %error, "cannot check content hashes; the next round tries again");
    }
}

/// Checks contents until none is left but those that failed.
async fn check_namespace(state: &State, namespace: NamespaceId) -> Result<(), ServiceError> {
    let mut failed: HashSet<(NodeId, Seq)> = HashSet::new();
    loop {
        let page = state
            .metadata
            .unverified_contents(namespace, CONTENTS_PAGE)
            .await?;
        let mut verified = Vec::new();
        for unverified in page {
            let node = unverified.node;
            let Content::File(file) = &node.content else {
                continue;
            };
            if failed.contains(&(node.id, node.content_seq)) {
                continue;
            }
            match content_hash_of(state, file).await {
                Ok(computed) => verified.push(Verified {
                    node: node.id,
                    content_seq: node.content_seq,
                    computed,
                    is_as_claimed: computed == file.content_hash,
                }),
                Err(error) => {
                    tracing::error!(namespace.id = %namespace, node.id = %node.id, %error, "a content cannot be verified");
                    failed.insert((node.id, node.content_seq));
                }
            }
        }
        if verified.is_empty() {
            return Ok(());
        }
        record(state, namespace, &verified).await?;
    }
}

/// A content that was read.
struct Verified {
    node: NodeId,
    content_seq: Seq,
    computed: ContentHash,
    is_as_claimed: bool,
}

/// Records a page of hashes at once, so that the store answers them with few transactions.
async fn record(state: &State, namespace: NamespaceId, verified: &[Verified]) -> Result<(), ServiceError> {
    let now = state.runtime.clock.now();
    let records = verified.iter().map(|content| {
        let Verified {
            node,
            content_seq,
            computed,
            ..
        } = *content;
        state
            .metadata
            .record_content_hash(namespace, node, content_seq, computed, now)
    });
    futures::future::try_join_all(records).await?;
    for content in verified.iter().filter(|content| !content.is_as_claimed) {
        tracing::warn!(namespace.id = %namespace, node.id = %content.node, "a device claimed a wrong content hash");
        let head = crate::service::browse::head(state, namespace).await?;
        state.notifier.head(namespace, head.seq);
    }
    Ok(())
}

async fn content_hash_of(state: &State, file: &FileContent) -> Result<ContentHash, ServiceError> {
    let mut walk = ChunkWalk::from_chunk(file, 0).map_err(|error| ServiceError::bad(error.to_string()))?;
    let mut hasher = ContentHasher::new();
    loop {
        let mut batch: Vec<(ChunkEntry, EncodedChunk)> = Vec::with_capacity(BATCH_CHUNKS);
        while batch.len() < BATCH_CHUNKS {
            let Some(entry) = walk.next(state).await? else {
                break;
            };
            let chunk = state.chunks.get(&entry.hash).await?;
            batch.push((
                entry,
                chunk.ok_or_else(|| damaged(entry.hash, &"it is not in the chunk store"))?,
            ));
        }
        if batch.is_empty() {
            return Ok(hasher.finish());
        }
        hasher = state.runtime.blocking(move || add(hasher, &batch)).await?;
    }
}

fn add(
    mut hasher: ContentHasher,
    batch: &[(ChunkEntry, EncodedChunk)],
) -> Result<ContentHasher, ServiceError> {
    for (entry, chunk) in batch {
        let plaintext = decode_chunk(chunk, &entry.hash).map_err(|error| damaged(entry.hash, &error))?;
        if plaintext.len() != entry.len as usize {
            return Err(damaged(entry.hash, &"it is not as long as the manifest says"));
        }
        hasher.update(&plaintext);
    }
    Ok(hasher)
}
