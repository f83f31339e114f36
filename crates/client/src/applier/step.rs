//! Intents as they are kept.

use cairn_core::ids::{FileId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, LinkTarget, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Mtime;
use cairn_core::tree::{Entry, Substance};
use minicbor::{Decode, Encode};

use crate::fs::{DiskPath, Fingerprint};

/// What was about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub(super) enum Action {
    /// Staged files go where nothing is.
    #[n(0)]
    Place,
    /// A staged file is swapped with the one at the path.
    #[n(1)]
    Replace,
    /// What is at the path goes to the trash.
    #[n(2)]
    Remove,
    /// As the user decided, something staged is swapped with the file at the path.
    #[n(3)]
    Swap,
    /// As the user decided, the file at the path is taken away.
    #[n(4)]
    TakeAway,
    /// What is at one path goes to another where nothing is.
    #[n(5)]
    Move,
}

/// A step with all that finishing or undoing it needs.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct Step {
    #[n(0)]
    pub(super) action: Action,
    #[n(1)]
    pub(super) items: Vec<Item>,
}

/// One file of a step.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct Item {
    #[n(0)]
    pub(super) staged: String,
    #[n(1)]
    node: i64,
    #[n(2)]
    path: Vec<String>,
    /// The staged file's state before it was placed.
    #[n(3)]
    incoming: Option<Mark>,
    /// The state in which the file at the path must be.
    #[n(4)]
    expected: Option<Mark>,
    #[n(5)]
    entry: Option<Row>,
    #[n(6)]
    keep: Option<(i64, String)>,
    /// The staged name under which what is displaced waits for a second look.
    #[n(7)]
    held: Option<String>,
    /// The path from which the staged file was taken, or that of what is moved.
    #[n(8)]
    back: Option<Vec<String>>,
    /// The staged name that the staged file had before this step.
    #[n(9)]
    was: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub(super) struct Mark {
    #[n(0)]
    inode: u64,
    #[n(1)]
    born: Option<(i64, u32)>,
    #[n(2)]
    size: u64,
    #[n(3)]
    mtime: (i64, u32),
    #[n(4)]
    ctime: (i64, u32),
}

#[derive(Debug, Clone, PartialEq, Encode, Decode)]
struct Row {
    #[n(0)]
    parent: i64,
    #[n(1)]
    name: String,
    #[n(2)]
    file: Option<(minicbor::bytes::ByteArray<32>, u64)>,
    #[n(3)]
    target: Option<String>,
    #[n(4)]
    mtime: (i64, u32),
    #[n(5)]
    executable: bool,
    #[n(6)]
    place_seq: i64,
    #[n(7)]
    content_seq: i64,
}

impl Step {
    pub(super) fn encode(&self) -> Vec<u8> {
        minicbor::to_vec(self).expect("a vector takes every byte")
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        minicbor::decode(bytes).ok()
    }
}

impl Item {
    pub(super) fn new(staged: &str, node: NodeId, path: &DiskPath) -> Self {
        Self {
            staged: staged.to_owned(),
            node: node.get(),
            path: path.names().to_vec(),
            incoming: None,
            expected: None,
            entry: None,
            keep: None,
            held: None,
            back: None,
            was: None,
        }
    }

    pub(super) fn with_incoming(mut self, fingerprint: &Fingerprint, entry: &Entry) -> Self {
        self.incoming = Some(fingerprint.into());
        self.entry = Some(entry.into());
        self
    }

    pub(super) fn with_expected(mut self, fingerprint: &Fingerprint) -> Self {
        self.expected = Some(fingerprint.into());
        self
    }

    pub(super) fn with_keep(mut self, keep: Option<&super::Keep>) -> Self {
        self.keep = keep.map(|(node, name)| (node.get(), name.as_str().to_owned()));
        self
    }

    pub(super) fn with_held(mut self, staged: String) -> Self {
        self.held = Some(staged);
        self
    }

    pub(super) fn with_incoming_state(mut self, fingerprint: &Fingerprint) -> Self {
        self.incoming = Some(fingerprint.into());
        self
    }

    pub(super) fn with_entry(mut self, entry: &Entry) -> Self {
        self.entry = Some(entry.into());
        self
    }

    pub(super) fn with_back(mut self, path: &DiskPath) -> Self {
        self.back = Some(path.names().to_vec());
        self
    }

    pub(super) fn with_name_before(mut self, staged: &str) -> Self {
        self.was = Some(staged.to_owned());
        self
    }

    pub(super) fn was(&self) -> Option<&str> {
        self.was.as_deref()
    }

    pub(super) fn back(&self) -> Option<DiskPath> {
        self.back.clone().map(DiskPath::from_names)
    }

    pub(super) fn held(&self) -> Option<&str> {
        self.held.as_deref()
    }

    pub(super) fn node(&self) -> Option<NodeId> {
        NodeId::new(self.node).ok()
    }

    pub(super) fn path(&self) -> DiskPath {
        DiskPath::from_names(self.path.clone())
    }

    pub(super) fn incoming(&self) -> Option<Fingerprint> {
        self.incoming.as_ref().map(Into::into)
    }

    pub(super) fn expected(&self) -> Option<Fingerprint> {
        self.expected.as_ref().map(Into::into)
    }

    pub(super) fn entry(&self) -> Option<Entry> {
        self.entry.as_ref()?.entry()
    }

    pub(super) fn keep(&self) -> Option<(NodeId, NodeName)> {
        let (node, name) = self.keep.as_ref()?;
        Some((NodeId::new(*node).ok()?, NodeName::new(name.as_str()).ok()?))
    }
}

impl From<&Fingerprint> for Mark {
    fn from(fingerprint: &Fingerprint) -> Self {
        let split = |ns: i128| {
            Some((
                i64::try_from(ns.div_euclid(1_000_000_000)).ok()?,
                ns.rem_euclid(1_000_000_000) as u32,
            ))
        };
        Self {
            inode: fingerprint.inode,
            born: fingerprint.born_ns.and_then(split),
            size: fingerprint.size,
            mtime: (fingerprint.mtime.seconds, fingerprint.mtime.nanos),
            ctime: (fingerprint.ctime.seconds, fingerprint.ctime.nanos),
        }
    }
}

impl From<&Mark> for Fingerprint {
    fn from(mark: &Mark) -> Self {
        Self {
            inode: mark.inode,
            born_ns: mark
                .born
                .map(|(seconds, nanos)| i128::from(seconds) * 1_000_000_000 + i128::from(nanos)),
            size: mark.size,
            mtime: Mtime {
                seconds: mark.mtime.0,
                nanos: mark.mtime.1,
            },
            ctime: Mtime {
                seconds: mark.ctime.0,
                nanos: mark.ctime.1,
            },
        }
    }
}

impl From<&Entry> for Row {
    fn from(entry: &Entry) -> Self {
        let (file, target) = match &entry.substance {
            Substance::Directory => (None, None),
            Substance::File { file_id, size } => (Some(((*file_id.as_bytes()).into(), *size)), None),
            Substance::Symlink(target) => (None, Some(target.as_str().to_owned())),
        };
        Self {
            parent: entry.place.parent.get(),
            name: entry.place.name.as_str().to_owned(),
            file,
            target,
            mtime: (entry.attributes.mtime.seconds, entry.attributes.mtime.nanos),
            executable: entry.attributes.executable,
            place_seq: entry.place_seq.get(),
            content_seq: entry.content_seq.get(),
        }
    }
}

impl Row {
    fn entry(&self) -> Option<Entry> {
        let substance = match (&self.file, &self.target) {
            (Some((file_id, size)), None) => Substance::File {
                file_id: FileId::new(**file_id),
                size: *size,
            },
            (None, Some(target)) => Substance::Symlink(LinkTarget::new(target.as_str()).ok()?),
            _ => Substance::Directory,
        };
        Some(Entry {
            place: Place {
                parent: NodeId::new(self.parent).ok()?,
                name: NodeName::new(self.name.as_str()).ok()?,
            },
            substance,
            attributes: Attributes {
                mtime: Mtime::new(self.mtime.0, self.mtime.1)?,
                executable: self.executable,
            },
            place_seq: Seq::new(self.place_seq)?,
            content_seq: Seq::new(self.content_seq)?,
        })
    }
}
