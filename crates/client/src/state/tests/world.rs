//! Nodes for tests, and random trees that a seed repeats.

use cairn_core::ids::{ChainHash, ContentHash, FileId, Incarnation, NamespaceId, NodeId};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, LinkTarget, Node, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Mtime;
use cairn_core::tree::{Entry, Substance};

use crate::fs::Fingerprint;
use crate::state::{LocalChange, LocalRow, StateBatch, TreeChange};

pub(super) fn ns() -> NamespaceId {
    NamespaceId::new(0x7000_0000_0000_0001).unwrap()
}

pub(super) fn id(n: i64) -> NodeId {
    if n == 1 {
        NodeId::ROOT
    } else {
        NodeId::new(1_000 + n).unwrap()
    }
}

pub(super) fn content(n: u64) -> FileContent {
    let bytes = n.to_le_bytes();
    let manifest = Manifest::Inline(vec![ChunkEntry::of(&bytes)]);
    FileContent {
        size: 8,
        file_id: manifest.file_id(8),
        manifest,
        content_hash: ContentHash::new([n as u8; 32]),
    }
}

pub(super) fn file_id(n: u64) -> FileId {
    content(n).file_id
}

pub(super) fn entry(parent: i64, name: &str, substance: Substance) -> Entry {
    Entry {
        place: Place {
            parent: id(parent),
            name: NodeName::new(name).unwrap(),
        },
        substance,
        attributes: Attributes::default(),
        place_seq: Seq::ZERO,
        content_seq: Seq::ZERO,
    }
}

pub(super) fn folder(parent: i64, name: &str) -> Entry {
    entry(parent, name, Substance::Directory)
}

pub(super) fn file(parent: i64, name: &str, content: u64) -> Entry {
    entry(
        parent,
        name,
        Substance::File {
            file_id: file_id(content),
            size: 8,
        },
    )
}

pub(super) fn link(parent: i64, name: &str, target: &str) -> Entry {
    entry(parent, name, Substance::Symlink(LinkTarget::new(target).unwrap()))
}

pub(super) fn at_seq(mut entry: Entry, place: i64, content: i64) -> Entry {
    entry.place_seq = Seq::new(place).unwrap();
    entry.content_seq = Seq::new(content).unwrap();
    entry
}

pub(super) fn row(n: i64, entry: Entry) -> LocalRow {
    LocalRow {
        node: id(n),
        fingerprint: Fingerprint {
            inode: 0xffff_ffff_0000_0000 + n as u64,
            born_ns: Some(-5),
            size: if entry.is_directory() { 4096 } else { 8 },
            mtime: Mtime {
                seconds: -7,
                nanos: 999_999_999,
            },
            ctime: Mtime {
                seconds: 1_700_000_000,
                nanos: 1,
            },
        },
        entry,
        disk_name: None,
        is_unsure: false,
    }
}

pub(super) fn node(n: i64, entry: &Entry) -> Node {
    listed(id(n), entry)
}

/// A node as the server lists it; its content is one of the first few.
pub(super) fn listed(node: NodeId, entry: &Entry) -> Node {
    let content = match &entry.substance {
        Substance::Directory => Content::Directory,
        Substance::File { file_id, .. } => {
            let known = (0..10).map(content).find(|content| content.file_id == *file_id);
            Content::File(known.unwrap())
        }
        Substance::Symlink(target) => Content::Symlink(target.clone()),
    };
    Node {
        id: node,
        place: entry.place.clone(),
        content,
        attributes: entry.attributes,
        place_seq: entry.place_seq,
        content_seq: entry.content_seq,
        attributes_seq: Seq::ZERO,
    }
}

pub(super) fn cursor(seq: i64) -> Cursor {
    Cursor {
        namespace: ns(),
        incarnation: Incarnation::new([7; 16]),
        seq: Seq::new(seq).unwrap(),
        chain: ChainHash::new([seq as u8; 32]),
    }
}

/// splitmix64: a seed gives a run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }

    pub(super) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len() as u64) as usize]
    }
}

/// A node that all three trees agree on.
pub(super) fn put_all(n: i64, entry: Entry) -> StateBatch {
    StateBatch {
        remote: vec![TreeChange::Put(id(n), entry.clone())],
        local: vec![LocalChange::Put(row(n, entry.clone()))],
        synced: vec![TreeChange::Put(id(n), entry)],
        ..StateBatch::default()
    }
}

/// Several batches as one.
pub(super) fn join(parts: impl IntoIterator<Item = StateBatch>) -> StateBatch {
    let mut all = StateBatch::default();
    for part in parts {
        all.remote.extend(part.remote);
        all.local.extend(part.local);
        all.synced.extend(part.synced);
    }
    all
}
