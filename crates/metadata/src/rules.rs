//! The one place that decides whether a group of operations may happen, and what it writes.
//!
//! [`judge`] is pure: it sees a namespace through [`Facts`] that the store fetched before. When a fact is absent it
//! names it ([`Verdict::Needs`]); the store fetches it and asks again. What counts for names, cycles and depth is the
//! state after the last operation; guards, kinds and parents are judged operation by operation.

mod draft;
mod facts;
mod finish;
mod ops;

pub(crate) use facts::{Below, BelowQuery, Facts, Need, Outcome, Writes};

use cairn_core::change::Refusal;
use cairn_core::ids::{ContentHash, DeviceId};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

use crate::Group;
use crate::row::{Ledger, NodeRow};
use draft::Draft;

/// Who writes, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer {
    pub(crate) device: DeviceId,
    pub(crate) now: Timestamp,
}

/// The judgement of one group.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It may happen; this is what it writes.
    Applied(Box<Outcome>),
    /// It may not.
    Refused { op_index: usize, refusal: Refusal },
    /// A fact must be fetched first.
    Needs(Need),
}

/// Why judging stopped.
#[derive(Debug)]
enum Stop {
    Need(Need),
    Refuse(Refusal),
    /// A refusal found when the whole group was looked at, with the operation that it is blamed on.
    RefuseAt(usize, Refusal),
}

/// Whether a device that reported `earlier` in this life of the journal, and reports `now`, was restored from a backup. What is beyond
/// the head it reported to a server that was restored since: once it has listed the tree it is there, and no further.
pub(crate) fn went_back(earlier: Option<Seq>, now: Seq, head: Seq) -> bool {
    earlier.is_some_and(|earlier| earlier.min(head) > now)
}

/// Judges a group on the state that `facts` describes.
pub(crate) fn judge(facts: &Facts, writer: Writer, group: &Group) -> Verdict {
    let mut draft = Draft::new(facts);
    for (op_index, op) in group.ops.iter().enumerate() {
        if let Err(stop) = ops::apply(&mut draft, op_index, op) {
            return stopped(stop, op_index);
        }
    }
    match finish::finish(draft, writer, group) {
        Ok(outcome) => Verdict::Applied(Box::new(outcome)),
        Err(stop) => stopped(stop, 0),
    }
}

fn stopped(stop: Stop, op_index: usize) -> Verdict {
    match stop {
        Stop::Need(need) => Verdict::Needs(need),
        Stop::Refuse(refusal) => Verdict::Refused { op_index, refusal },
        Stop::RefuseAt(op_index, refusal) => Verdict::Refused { op_index, refusal },
    }
}

/// What corrects a file's claimed content hash: an entry that rewrites the content with the hash that was computed.
pub(crate) fn repair(ledger: &Ledger, writer: Writer, row: &NodeRow, computed: ContentHash) -> Outcome {
    finish::repair(ledger, writer, row, computed)
}
