//! What a device remembers beside the trees: the copies that conflicts left, and files that were replaced a moment ago.

use cairn_core::ids::{FileId, NodeId};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

/// Rows of one kind that a verb returns at most.
pub const INBOX_ROWS: usize = 10_000;

/// Why there are two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConflictReason {
    /// Both sides edited the file.
    BothEdited,
    /// Both sides made something of one name.
    BothCreated,
    /// One side made a file, the other a folder of the same name.
    FileAndFolder,
    /// The names differ in case or normalisation only.
    Case,
    /// A program wrote to a version that had been replaced.
    LateWrite,
}

impl ConflictReason {
    /// Every reason with its number in the database and its word for programs. Numbers are never given anew.
    const ALL: [(Self, i64, &'static str); 5] = [
        (Self::BothEdited, 0, "edit-edit"),
        (Self::BothCreated, 1, "create-create"),
        (Self::FileAndFolder, 2, "file-folder"),
        (Self::Case, 3, "case"),
        (Self::LateWrite, 4, "late-write"),
    ];

    /// A stable word for programs.
    pub fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(reason, ..)| *reason == self)
            .map_or("", |(_, _, word)| word)
    }

    pub(super) fn number(self) -> i64 {
        Self::ALL
            .iter()
            .find(|(reason, ..)| *reason == self)
            .map_or(0, |(_, number, _)| *number)
    }

    pub(super) fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known, _)| *known == number)
            .map(|(reason, ..)| *reason)
    }
}

/// The version on which both sides agreed last. The server has it in its history as (node, `content_seq`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgreedVersion {
    /// The revision.
    pub content_seq: Seq,
    /// Its bytes.
    pub file_id: FileId,
    /// Their number.
    pub size: u64,
}

/// A conflicted copy that this device made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConflictRow {
    /// The copy.
    pub copy: NodeId,
    /// What it is a copy of.
    pub original: NodeId,
    /// What both sides had agreed on, when they had.
    pub base: Option<AgreedVersion>,
    /// When it was made.
    pub at: Timestamp,
    /// Why.
    pub reason: ConflictReason,
}

/// A file that was replaced or removed and lies in the stage until it is looked at again: a program that had it open may
/// still write to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// The staged name; unique.
    pub staged: String,
    /// When it was displaced.
    pub since: Timestamp,
    /// Its length in bytes.
    pub size: u64,
    /// What it was and where, encoded by the applier.
    pub note: Vec<u8>,
}

/// What lies in the stage for a second look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DisplacedTotal {
    /// How many files.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
}
