//! What the server in memory keeps: chunks, and the contents of files.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use cairn_api::error::ErrorCode;
use cairn_api::frame::{ChunkFrame, DeltaFrame};
use cairn_api::sync::{CommitReply, FetchItem, FetchPart, FetchStart, FetchStatus};
use cairn_codec::{EncodedChunk, decode_chunk, decode_delta, encode_chunk, encode_patch};
use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::file_hasher::FileHasher;
use cairn_core::ids::{ChunkHash, NodeId, OpId};
use cairn_core::manifest::{ManifestReader, Step};
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::{Cursor, Seq};

use super::{Faults, SeenCommit, refused};
use crate::remote::{Fetched, RemoteResult};

/// What the server knows, and what it is to do wrong.
#[derive(Default)]
pub(super) struct Store {
    pub(super) chunks: HashMap<ChunkHash, EncodedChunk>,
    pub(super) contents: HashMap<(NodeId, Seq), FileContent>,
    /// The last number that was given.
    pub(super) head: i64,
    /// Where the journal ends, as it was said last.
    pub(super) journal: Option<Cursor>,
    /// Requests that were answered, and how.
    pub(super) settled: HashMap<OpId, (Vec<u8>, CommitReply)>,
    pub(super) commits: Vec<SeenCommit>,
    pub(super) faults: Faults,
}

/// A file's chunks and pages, and what names it.
pub(crate) fn chunked(bytes: &[u8]) -> (FileContent, Vec<Vec<u8>>) {
    let mut hasher = FileHasher::new();
    let mut chunks = Vec::new();
    let mut rest = bytes;
    while let Some((_, chunk)) = hasher.next_chunk(&mut rest).unwrap() {
        chunks.push(chunk.to_vec());
    }
    if let Some((_, chunk)) = hasher.last_chunk().unwrap() {
        chunks.push(chunk.to_vec());
    }
    let summary = hasher.finish().unwrap();
    chunks.extend(summary.pages.into_iter().map(|page| page.bytes));
    (summary.content, chunks)
}

impl Store {
    /// The pages and the chunks of a file in order of reading, or the first that is missing.
    pub(super) fn walk(&self, content: &FileContent) -> Result<(Vec<ChunkHash>, Vec<ChunkHash>), ChunkHash> {
        let mut reader = ManifestReader::new(&content.manifest, content.size).unwrap();
        let (mut pages, mut chunks) = (Vec::new(), Vec::new());
        loop {
            match reader.step() {
                Step::Chunk(chunk) => chunks.push(chunk.entry.hash),
                Step::Need(hash) => {
                    let page = self.chunks.get(&hash).ok_or(hash)?;
                    reader.give(&decode_chunk(page, &hash).unwrap()).unwrap();
                    pages.push(hash);
                }
                Step::End => return Ok((pages, chunks)),
            }
        }
    }

    /// Bytes of a delta's base and of what it makes.
    pub(super) fn work(&self, delta: &DeltaFrame) -> usize {
        let base = delta.base.iter().map(|hash| self.chunks[hash].plain_len);
        (base.sum::<u32>() + delta.delta.plain_len) as usize
    }

    /// The chunk that a delta makes of chunks that are here.
    pub(super) fn made(&self, delta: &DeltaFrame) -> RemoteResult<ChunkFrame> {
        let mut base = Vec::new();
        for hash in &delta.base {
            base.extend_from_slice(&decode_chunk(&self.chunks[hash], hash).unwrap());
        }
        match decode_delta(&delta.delta, &base, &delta.hash) {
            Ok(bytes) => Ok(ChunkFrame {
                hash: delta.hash,
                is_page: delta.is_page,
                chunk: encode_chunk(&bytes),
            }),
            Err(_) => Err(refused(ErrorCode::DeltaRefused)),
        }
    }

    /// A chunk or a page as a delta against others.
    fn patch(&self, hash: ChunkHash, is_page: bool, base: &[ChunkHash]) -> DeltaFrame {
        let plain = |hash: &ChunkHash| decode_chunk(&self.chunks[hash], hash).unwrap();
        let joined: Vec<u8> = base.iter().flat_map(plain).collect();
        let mut delta = encode_patch(&joined, &plain(&hash)).unwrap();
        if self.faults.spoils_deltas {
            delta.bytes = Bytes::from_static(b"no zstd");
        }
        DeltaFrame {
            hash,
            is_page,
            base: base.to_vec(),
            delta,
        }
    }

    /// Applies a group of a commit whole, or refuses it for the chunks that are not here.
    pub(super) fn apply(&mut self, group: &[Op]) -> GroupOutcome {
        let mut missing = HashSet::new();
        for op in group {
            if let Op::Create {
                content: Content::File(file),
                ..
            }
            | Op::Edit {
                content: Content::File(file),
                ..
            } = op
            {
                assert_eq!(file.manifest.file_id(file.size), file.file_id);
                match self.walk(file) {
                    Ok((_, chunks)) => {
                        missing.extend(chunks.into_iter().filter(|hash| !self.chunks.contains_key(hash)));
                    }
                    Err(page) => {
                        missing.insert(page);
                    }
                }
            }
        }
        if !missing.is_empty() {
            return GroupOutcome::Refused {
                op_index: 0,
                refusal: Refusal::MissingChunks {
                    missing: missing.into_iter().collect(),
                },
            };
        }
        let mut seqs = Vec::new();
        for op in group {
            self.head += 1;
            let seq = Seq::new(self.head).unwrap();
            if let Op::Create {
                content: Content::File(file),
                ..
            }
            | Op::Edit {
                content: Content::File(file),
                ..
            } = op
            {
                self.contents.insert((op.node(), seq), file.clone());
            }
            seqs.push(seq);
        }
        GroupOutcome::Applied { seqs }
    }

    /// What is answered to one item of a fetch.
    pub(super) fn frames_of(&mut self, index: usize, item: &FetchItem) -> Vec<RemoteResult<Fetched>> {
        let start = |status, frames| {
            Ok(Fetched::Start(FetchStart {
                item: index as u32,
                status,
                frames,
            }))
        };
        let Some(content) = self.contents.get(&(item.node, item.content_seq)).cloned() else {
            return vec![start(FetchStatus::NotFound, 0)];
        };
        let (pages, chunks) = self.walk(&content).unwrap();
        let mut base = Vec::new();
        let (hashes, is_page) = match item.part.clone() {
            FetchPart::Pages => (pages, true),
            FetchPart::PagesFrom { base: seq } => {
                let old = self.contents.get(&(item.node, seq));
                let old = old.map_or_else(Vec::new, |old| self.walk(old).unwrap().0);
                base = old.iter().filter(|page| !pages.contains(page)).copied().collect();
                (
                    pages.into_iter().filter(|page| !old.contains(page)).collect(),
                    true,
                )
            }
            FetchPart::ChunksFrom {
                first,
                count,
                base: from,
            } => {
                base = from;
                let first = (first as usize).min(chunks.len());
                let last = (first + count as usize).min(chunks.len());
                (chunks[first..last].to_vec(), false)
            }
            FetchPart::Chunks { first, count } => {
                let first = (first as usize).min(chunks.len());
                let last = (first + count as usize).min(chunks.len());
                (chunks[first..last].to_vec(), false)
            }
        };
        if hashes.iter().any(|hash| !self.chunks.contains_key(hash)) {
            return vec![start(FetchStatus::Damaged, 0)];
        }
        let mut frames = vec![start(FetchStatus::Found, hashes.len() as u64)];
        for hash in hashes {
            let mut chunk = self.chunks[&hash].clone();
            if self.faults.damages.take_if(|damaged| *damaged == hash).is_some() {
                let mut bytes = chunk.bytes.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                chunk.bytes = Bytes::from(bytes);
            }
            let whole = ChunkFrame { hash, is_page, chunk };
            if base.is_empty() {
                frames.push(Ok(Fetched::Chunk(whole)));
                continue;
            }
            frames.push(Ok(Fetched::Delta(self.patch(hash, is_page, &base))));
        }
        frames
    }
}
