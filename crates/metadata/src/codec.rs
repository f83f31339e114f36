//! The bytes of encoded columns and of what the chain hashes. Tables: `docs/data-model.md`.

use cairn_core::change::{Change, GroupOutcome, Refusal};
use cairn_core::ids::{ChainHash, ChunkHash, ContentHash, FileId, NodeId};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::node::{Content, FileContent, LinkTarget, NodeKind, Place};
use cairn_core::rev::Seq;

use crate::row::JournalRow;

/// Bytes that this version did not write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an encoded {what} cannot be read")]
pub(crate) struct DecodeError {
    pub(crate) what: &'static str,
}

const VERSION: u8 = 1;

pub(crate) const fn kind_code(kind: NodeKind) -> i64 {
    match kind {
        NodeKind::Directory => 0,
        NodeKind::File => 1,
        NodeKind::Symlink => 2,
    }
}

pub(crate) const fn kind_of(code: i64) -> Option<NodeKind> {
    match code {
        0 => Some(NodeKind::Directory),
        1 => Some(NodeKind::File),
        2 => Some(NodeKind::Symlink),
        _ => None,
    }
}

pub(crate) const fn change_code(change: Change) -> i64 {
    match change {
        Change::Created => 0,
        Change::Moved => 1,
        Change::Edited => 2,
        Change::AttributesSet => 3,
        Change::Deleted => 4,
        Change::Restored => 5,
    }
}

pub(crate) const fn change_of(code: i64) -> Option<Change> {
    match code {
        0 => Some(Change::Created),
        1 => Some(Change::Moved),
        2 => Some(Change::Edited),
        3 => Some(Change::AttributesSet),
        4 => Some(Change::Deleted),
        5 => Some(Change::Restored),
        _ => None,
    }
}

/// Encodes what a node holds; its kind and size have columns of their own.
pub(crate) fn encode_content(content: &Content) -> Vec<u8> {
    let file = match content {
        Content::Directory => return Vec::new(),
        Content::Symlink(target) => return target.as_str().as_bytes().to_vec(),
        Content::File(file) => file,
    };
    let mut out = Vec::with_capacity(110);
    out.push(VERSION);
    out.extend_from_slice(file.file_id.as_bytes());
    out.extend_from_slice(file.content_hash.as_bytes());
    match &file.manifest {
        Manifest::Inline(chunks) => {
            out.push(0);
            for chunk in chunks {
                out.extend_from_slice(chunk.hash.as_bytes());
                out.extend_from_slice(&chunk.len.to_le_bytes());
            }
        }
        Manifest::Tree {
            root,
            levels,
            chunk_count,
        } => {
            out.push(1);
            out.extend_from_slice(root.as_bytes());
            out.push(*levels);
            out.extend_from_slice(&chunk_count.to_le_bytes());
        }
    }
    out
}

/// Reads what [`encode_content`] wrote.
pub(crate) fn decode_content(kind: NodeKind, size: i64, bytes: &[u8]) -> Result<Content, DecodeError> {
    const WRONG: DecodeError = DecodeError { what: "content" };
    match kind {
        NodeKind::Directory => Ok(Content::Directory),
        NodeKind::Symlink => {
            let target = std::str::from_utf8(bytes).map_err(|_| WRONG)?;
            Ok(Content::Symlink(LinkTarget::new(target).map_err(|_| WRONG)?))
        }
        NodeKind::File => {
            let mut reader = Reader {
                bytes,
                what: "content",
            };
            reader.version()?;
            let file_id = FileId::new(reader.array()?);
            let content_hash = ContentHash::new(reader.array()?);
            let manifest = match reader.u8()? {
                0 => {
                    let mut chunks = Vec::with_capacity(reader.bytes.len() / 36);
                    while !reader.bytes.is_empty() {
                        chunks.push(ChunkEntry {
                            hash: ChunkHash::new(reader.array()?),
                            len: u32::from_le_bytes(reader.array()?),
                        });
                    }
                    Manifest::Inline(chunks)
                }
                1 => Manifest::Tree {
                    root: ChunkHash::new(reader.array()?),
                    levels: reader.u8()?,
                    chunk_count: u64::from_le_bytes(reader.array()?),
                },
                _ => return Err(WRONG),
            };
            reader.end()?;
            Ok(Content::File(FileContent {
                size: u64::try_from(size).map_err(|_| WRONG)?,
                file_id,
                manifest,
                content_hash,
            }))
        }
    }
}

/// What the chain keeps of a content: the id of a file's bytes, the hash of a link's target, nothing of a folder.
pub(crate) fn content_id(content: &Content) -> Option<[u8; 32]> {
    match content {
        Content::Directory => None,
        Content::File(file) => Some(*file.file_id.as_bytes()),
        Content::Symlink(target) => Some(*blake3::hash(target.as_str().as_bytes()).as_bytes()),
    }
}

/// The chain hash of an entry: BLAKE3 over the link before it and the entry's canonical bytes.
pub(crate) fn chain_after(previous: &ChainHash, row: &JournalRow) -> ChainHash {
    let mut out = Vec::with_capacity(256);
    out.push(VERSION);
    out.extend_from_slice(&row.seq.get().to_le_bytes());
    out.extend_from_slice(&row.group_last.get().to_le_bytes());
    out.extend_from_slice(&row.node.get().to_le_bytes());
    out.push(change_code(row.change) as u8);
    out.push(kind_code(row.kind) as u8);
    put_place(&mut out, row.place_before.as_ref());
    put_place(&mut out, row.place_after.as_ref());
    match &row.content_id {
        None => out.push(0),
        Some(id) => {
            out.push(1);
            out.extend_from_slice(id);
        }
    }
    out.extend_from_slice(&row.attributes.mtime.seconds.to_le_bytes());
    out.extend_from_slice(&row.attributes.mtime.nanos.to_le_bytes());
    out.push(u8::from(row.attributes.executable));
    out.extend_from_slice(&row.bytes_delta.to_le_bytes());
    out.extend_from_slice(&row.device.get().to_le_bytes());
    out.extend_from_slice(&row.at.as_millis().to_le_bytes());
    let mut hasher = blake3::Hasher::new();
    hasher.update(previous.as_bytes());
    hasher.update(&out);
    ChainHash::new(*hasher.finalize().as_bytes())
}

fn put_place(out: &mut Vec<u8>, place: Option<&Place>) {
    let Some(place) = place else {
        out.push(0);
        return;
    };
    out.push(1);
    out.extend_from_slice(&place.parent.get().to_le_bytes());
    let name = place.name.as_str().as_bytes();
    // 255 UTF-16 units are at most 765 bytes.
    out.extend_from_slice(&(name.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
}

/// The outcome of a commit, to be answered again when the request is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredOutcome {
    pub(crate) groups: Vec<GroupOutcome>,
    pub(crate) head: Seq,
    pub(crate) chain: ChainHash,
    /// The chain before the commit.
    pub(crate) base: ChainHash,
}

/// Encodes the outcome of a commit.
pub(crate) fn encode_outcome(outcome: &StoredOutcome) -> Vec<u8> {
    let StoredOutcome {
        groups,
        head,
        chain,
        base,
    } = outcome;
    let mut out = Vec::with_capacity(96 + groups.len() * 8);
    out.push(VERSION);
    put_number(&mut out, head.get());
    out.extend_from_slice(chain.as_bytes());
    put_number(&mut out, groups.len() as i64);
    for group in groups {
        match group {
            GroupOutcome::Applied { seqs } => {
                out.push(0);
                put_number(&mut out, seqs.len() as i64);
                seqs.iter().for_each(|seq| put_number(&mut out, seq.get()));
            }
            GroupOutcome::Refused { op_index, refusal } => {
                out.push(1);
                put_number(&mut out, *op_index as i64);
                put_refusal(&mut out, refusal);
            }
        }
    }
    out.extend_from_slice(base.as_bytes());
    out
}

/// Reads what [`encode_outcome`] wrote. Answers that were stored without a base get their own chain for one: it tells nobody
/// that he has read everything who has not.
pub(crate) fn decode_outcome(bytes: &[u8]) -> Result<StoredOutcome, DecodeError> {
    let mut reader = Reader {
        bytes,
        what: "outcome",
    };
    reader.version()?;
    let head = reader.seq()?;
    let chain = ChainHash::new(reader.array()?);
    let count = reader.length()?;
    let mut groups = Vec::with_capacity(count);
    for _ in 0..count {
        groups.push(match reader.u8()? {
            0 => {
                let seqs = (0..reader.length()?)
                    .map(|_| reader.seq())
                    .collect::<Result<_, _>>()?;
                GroupOutcome::Applied { seqs }
            }
            1 => GroupOutcome::Refused {
                op_index: reader.length_of_anything()?,
                refusal: read_refusal(&mut reader)?,
            },
            _ => return Err(reader.wrong()),
        });
    }
    let base = match reader.bytes {
        [] => chain,
        _ => ChainHash::new(reader.array()?),
    };
    reader.end()?;
    Ok(StoredOutcome {
        groups,
        head,
        chain,
        base,
    })
}

fn put_refusal(out: &mut Vec<u8>, refusal: &Refusal) {
    let mut tagged = |tag: u8, numbers: &[i64]| {
        out.push(tag);
        numbers.iter().for_each(|number| put_number(out, *number));
    };
    match refusal {
        Refusal::NodeNotFound { node } => tagged(0, &[node.get()]),
        Refusal::ParentNotFound { parent } => tagged(1, &[parent.get()]),
        Refusal::ParentNotDirectory { parent } => tagged(2, &[parent.get()]),
        Refusal::NameTaken { holder } => tagged(3, &[holder.get()]),
        Refusal::StalePlace { node, current } => tagged(4, &[node.get(), current.get()]),
        Refusal::StaleContent { node, current } => tagged(5, &[node.get(), current.get()]),
        Refusal::NewerBelow { node } => tagged(6, &[node.get()]),
        Refusal::Cycle { node } => tagged(7, &[node.get()]),
        Refusal::TooDeep => tagged(8, &[]),
        Refusal::IdTaken { node } => tagged(9, &[node.get()]),
        Refusal::WrongKind { node, kind } => tagged(10, &[node.get(), kind_code(*kind)]),
        Refusal::QuotaExceeded { needed, available } => tagged(12, &[*needed as i64, *available as i64]),
        Refusal::MissingChunks { missing } => {
            tagged(11, &[missing.len() as i64]);
            missing
                .iter()
                .for_each(|hash| out.extend_from_slice(hash.as_bytes()));
        }
    }
}

fn read_refusal(reader: &mut Reader<'_>) -> Result<Refusal, DecodeError> {
    Ok(match reader.u8()? {
        0 => Refusal::NodeNotFound { node: reader.node()? },
        1 => Refusal::ParentNotFound {
            parent: reader.node()?,
        },
        2 => Refusal::ParentNotDirectory {
            parent: reader.node()?,
        },
        3 => Refusal::NameTaken {
            holder: reader.node()?,
        },
        4 => Refusal::StalePlace {
            node: reader.node()?,
            current: reader.seq()?,
        },
        5 => Refusal::StaleContent {
            node: reader.node()?,
            current: reader.seq()?,
        },
        6 => Refusal::NewerBelow { node: reader.node()? },
        7 => Refusal::Cycle { node: reader.node()? },
        8 => Refusal::TooDeep,
        9 => Refusal::IdTaken { node: reader.node()? },
        10 => Refusal::WrongKind {
            node: reader.node()?,
            kind: kind_of(reader.number()?).ok_or(reader.wrong())?,
        },
        11 => {
            let missing = (0..reader.length()?)
                .map(|_| Ok(ChunkHash::new(reader.array()?)))
                .collect::<Result<_, DecodeError>>()?;
            Refusal::MissingChunks { missing }
        }
        12 => Refusal::QuotaExceeded {
            needed: reader.number()? as u64,
            available: reader.number()? as u64,
        },
        _ => return Err(reader.wrong()),
    })
}

/// LEB128 of the number's 64 bits.
fn put_number(out: &mut Vec<u8>, number: i64) {
    let mut rest = number as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl Reader<'_> {
    const fn wrong(&self) -> DecodeError {
        DecodeError { what: self.what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.bytes.split_first_chunk::<N>().ok_or(self.wrong())?;
        self.bytes = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    fn version(&mut self) -> Result<(), DecodeError> {
        if self.u8()? == VERSION {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn number(&mut self) -> Result<i64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value as i64);
            }
        }
        Err(self.wrong())
    }

    /// A count of things that take at least one byte each, so that a wrong one reserves no memory.
    fn length(&mut self) -> Result<usize, DecodeError> {
        let length = self.length_of_anything()?;
        if length <= self.bytes.len() {
            Ok(length)
        } else {
            Err(self.wrong())
        }
    }

    fn length_of_anything(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.number()?).map_err(|_| self.wrong())
    }

    fn seq(&mut self) -> Result<Seq, DecodeError> {
        Seq::new(self.number()?).ok_or(self.wrong())
    }

    fn node(&mut self) -> Result<NodeId, DecodeError> {
        NodeId::new(self.number()?).map_err(|_| self.wrong())
    }

    fn end(&self) -> Result<(), DecodeError> {
        if self.bytes.is_empty() {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }
}
