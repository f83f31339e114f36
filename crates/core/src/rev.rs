//! Positions in a namespace's journal and the names derived from them.

use std::fmt;
use std::str::FromStr;

use crate::ids::{ChainHash, Incarnation, NamespaceId};

/// A position in a namespace's journal. Dense: the first entry is 1; 0 stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(i64);

impl Seq {
    /// Before the first entry.
    pub const ZERO: Self = Self(0);

    /// Wraps a position; `None` when negative.
    pub const fn new(value: i64) -> Option<Self> {
        if value < 0 { None } else { Some(Self(value)) }
    }

    /// The number, at least 0.
    pub const fn get(self) -> i64 {
        self.0
    }

    /// The position after this one.
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One state of a file's content, printed as fixed-width hex of (namespace, content seq) so that it finds its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rev {
    /// The namespace in whose journal the content was written.
    pub namespace: NamespaceId,
    /// The journal entry that wrote it.
    pub content_seq: Seq,
}

impl fmt::Display for Rev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", self.namespace, self.content_seq.0)
    }
}

/// Text that is not a rev.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a revision: it is 32 hexadecimal digits, as `cairn revs` prints them")]
pub struct ParseRevError;

impl FromStr for Rev {
    type Err = ParseRevError;

    fn from_str(text: &str) -> Result<Self, ParseRevError> {
        let (namespace, seq) = text.split_at_checked(16).ok_or(ParseRevError)?;
        let namespace = namespace.parse().map_err(|_| ParseRevError)?;
        if seq.len() != 16 || !seq.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ParseRevError);
        }
        let seq = i64::from_str_radix(seq, 16).map_err(|_| ParseRevError)?;
        Ok(Self {
            namespace,
            content_seq: Seq::new(seq).ok_or(ParseRevError)?,
        })
    }
}

/// How far a reader has followed a namespace's journal.
///
/// The chain hash pins the history up to `seq`: on a server that was restored from a backup, or on a forked one, the
/// pair (seq, chain) is not found, and the reader merges instead of believing deletions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The life of the journal in which the position was taken.
    pub incarnation: Incarnation,
    /// The last entry that the reader has.
    pub seq: Seq,
    /// The chain hash of that entry.
    pub chain: ChainHash,
}
