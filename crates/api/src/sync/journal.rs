//! The journal: what it holds, how far devices have followed it, and the hints that it has moved.

use cairn_core::change::JournalEntry;
use cairn_core::ids::NamespaceId;
use cairn_core::rev::{Cursor, Seq};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use super::fetch::FetchItem;

/// Asks for the journal after a cursor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ChangesRequest {
    /// What the device has durably.
    #[cbor(n(0), with = "crate::wire")]
    pub cursor: Cursor,
    /// At most this many entries, then on to the end of the last group; bounded by
    /// [`cairn_core::limits::CHANGES_PAGE`].
    #[n(1)]
    pub limit: u32,
    /// How long to wait for a first entry, in seconds; at most [`cairn_core::limits::HEARTBEAT_SECONDS`]. 0 answers at once.
    #[n(2)]
    pub wait_seconds: u32,
}

/// A page of the journal, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ChangesReply {
    /// Entries after the cursor.
    #[n(0)]
    Page {
        /// In order.
        #[cbor(n(0), with = "crate::wire")]
        entries: Vec<JournalEntry>,
        /// The next cursor.
        #[cbor(n(1), with = "crate::wire")]
        cursor: Cursor,
        /// Whether there is more.
        #[n(2)]
        has_more: bool,
    },
    /// The entries after the cursor are gone: list the tree at `head`; what is absent there was deleted.
    #[n(1)]
    BelowFloor {
        /// Where to list and go on.
        #[cbor(n(0), with = "crate::wire")]
        head: Cursor,
    },
    /// The cursor is not of this journal: the server was restored or replaced. List the tree at `head` and merge;
    /// delete nothing.
    #[n(2)]
    NotOnChain {
        /// Where to list and go on.
        #[cbor(n(0), with = "crate::wire")]
        head: Cursor,
    },
}

/// Reports how far a device has durably followed a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CursorReport {
    /// The cursor.
    #[cbor(n(0), with = "crate::wire")]
    pub cursor: Cursor,
}

/// The answer to [`CursorReport`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CursorReply {
    /// It is where the device was last, or further.
    #[n(0)]
    Accepted,
    /// It is behind what this device reported before: its state was restored from a backup. Merge, delete nothing.
    #[n(1)]
    DeviceRestored,
}

/// A hint on the event stream. Losing one is harmless: cursors tell the truth.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// A namespace has moved on to this position (also sent for each namespace when the stream opens).
    #[n(0)]
    Head {
        /// The namespace.
        #[cbor(n(0), with = "crate::wire")]
        namespace: NamespaceId,
        /// Its head.
        #[cbor(n(1), with = "crate::wire")]
        seq: Seq,
    },
    /// Nothing happened for [`cairn_core::limits::HEARTBEAT_SECONDS`].
    #[n(1)]
    Heartbeat,
    /// The server is about to stop: reconnect after this many milliseconds.
    #[n(2)]
    Drain {
        /// Milliseconds.
        #[n(0)]
        after_ms: u32,
    },
    /// As [`Self::Head`], with what a device that stood at `from` would ask for next. Only where [`super::path::STEPS`] asked for it.
    #[n(3)]
    Step(#[n(0)] Box<Step>),
}

impl Event {
    /// The namespace that moved on, and where to.
    pub fn head(&self) -> Option<(NamespaceId, Seq)> {
        match self {
            Self::Head { namespace, seq } => Some((*namespace, *seq)),
            Self::Step(step) => Some((step.cursor.namespace, step.cursor.seq)),
            Self::Heartbeat | Self::Drain { .. } => None,
        }
    }
}

/// A small step of a namespace: at most [`cairn_core::limits::STEP_BYTES`] as it is encoded.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Step {
    /// Where it begins: the head that the stream told before.
    #[cbor(n(0), with = "crate::wire")]
    pub from: Cursor,
    /// What [`ChangesReply::Page`] would hold.
    #[cbor(n(1), with = "crate::wire")]
    pub entries: Vec<JournalEntry>,
    /// Where it ends.
    #[cbor(n(2), with = "crate::wire")]
    pub cursor: Cursor,
    /// Contents that are likely to be asked for. What is not here has to be fetched.
    #[n(3)]
    pub contents: Vec<StepContent>,
}

/// What [`super::Fetch`] would answer to one item.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StepContent {
    /// The item.
    #[n(0)]
    pub item: FetchItem,
    /// The frames of its chunks or pages, one behind the other, without a [`super::FetchStart`] and without an end frame.
    #[n(1)]
    pub frames: ByteVec,
}
