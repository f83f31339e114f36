//! Files, folders and links as the tree knows them.

use crate::ids::{ContentHash, FileId, NodeId};
use crate::limits;
use crate::manifest::Manifest;
use crate::name::NodeName;
use crate::rev::Seq;
use crate::time::Mtime;

/// Where a node stands: its folder and its name there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The folder that holds the node.
    pub parent: NodeId,
    /// The name as it was typed.
    pub name: NodeName,
}

/// The raw target of a symbolic link, kept as it was and never followed. 1 to 4,096 bytes of UTF-8 without NUL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LinkTarget(String);

/// A link target that cannot be kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a link's target must have 1 to {} bytes and no NUL",
    limits::LINK_TARGET_BYTES
)]
pub struct LinkTargetError;

impl LinkTarget {
    /// Checks and wraps a target.
    ///
    /// # Errors
    /// [`LinkTargetError`] when it is empty, too long or holds a NUL.
    pub fn new(target: impl Into<String>) -> Result<Self, LinkTargetError> {
        let target = target.into();
        if target.is_empty() || target.len() > limits::LINK_TARGET_BYTES || target.contains('\0') {
            return Err(LinkTargetError);
        }
        Ok(Self(target))
    }

    /// The target as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A regular file's bytes, by reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent {
    /// Length in bytes.
    pub size: u64,
    /// Identity of the bytes: equal ids mean equal content.
    pub file_id: FileId,
    /// The chunks, in order.
    pub manifest: Manifest,
    /// Dropbox's hash, as the writer claims it until the server has verified it.
    pub content_hash: ContentHash,
}

/// What a node is and holds. A node never changes its kind: a file replaced by a folder is another node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A folder.
    Directory,
    /// A regular file.
    File(FileContent),
    /// A symbolic link.
    Symlink(LinkTarget),
}

/// A node's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NodeKind {
    /// A folder.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
}

impl Content {
    /// The kind of node that holds this content.
    pub const fn kind(&self) -> NodeKind {
        match self {
            Self::Directory => NodeKind::Directory,
            Self::File(_) => NodeKind::File,
            Self::Symlink(_) => NodeKind::Symlink,
        }
    }

    /// Bytes that count against a quota: a file's size, else 0.
    pub const fn size(&self) -> u64 {
        match self {
            Self::File(file) => file.size,
            Self::Directory | Self::Symlink(_) => 0,
        }
    }

    /// Whether both hold the same bytes or the same target; two folders always do.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory, Self::Directory) => true,
            (Self::File(a), Self::File(b)) => a.file_id == b.file_id && a.size == b.size,
            (Self::Symlink(a), Self::Symlink(b)) => a == b,
            _ => false,
        }
    }
}

/// What may change without a new revision: the last writer wins, no conflict is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Attributes {
    /// When the content was last modified, as the writing filesystem said. Meaningless for folders.
    pub mtime: Mtime,
    /// Whether the owner may execute the file.
    pub executable: bool,
}

/// One node in one state, with the three counters that guard its changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node.
    pub id: NodeId,
    /// Where it stands.
    pub place: Place,
    /// What it holds.
    pub content: Content,
    /// Its attributes.
    pub attributes: Attributes,
    /// Journal entry that last changed the place.
    pub place_seq: Seq,
    /// Journal entry that last changed the content.
    pub content_seq: Seq,
    /// Journal entry that last changed the attributes.
    pub attributes_seq: Seq,
}
