//! What a stream has told of one namespace.

use std::collections::VecDeque;

use cairn_api::sync::{Event, to_cbor};
use cairn_core::limits::STEP_BYTES;
use cairn_core::rev::{Cursor, Seq};

/// Bytes of steps that the device has not said it has read, from which on it gets heads only: one that is paused, slow or busy is
/// sent no more than this and one step.
const UNREAD_BYTES: usize = STEP_BYTES;

/// Where a namespace stands as far as the device was told, and the steps that it may not have read.
pub(super) struct Told {
    pub(super) cursor: Cursor,
    /// Where each ends, and its bytes.
    unread: VecDeque<(Seq, usize)>,
}

impl Told {
    pub(super) const fn at(cursor: Cursor) -> Self {
        Self {
            cursor,
            unread: VecDeque::new(),
        }
    }

    /// Notes how far the device has read.
    pub(super) fn is_read_to(&mut self, read: Option<Seq>) {
        while self.unread.front().is_some_and(|(end, _)| Some(*end) <= read) {
            self.unread.pop_front();
        }
    }

    /// Whether another step may be sent.
    pub(super) fn may_take_more(&self) -> bool {
        self.unread.iter().map(|(_, bytes)| bytes).sum::<usize>() < UNREAD_BYTES
    }

    /// Notes a step that is sent.
    pub(super) fn note(&mut self, step: Event) -> Event {
        self.unread.push_back((self.cursor.seq, to_cbor(&step).len()));
        step
    }
}

#[cfg(test)]
mod tests {
    use cairn_core::ids::{ChainHash, Incarnation, NamespaceId};

    use super::*;

    #[test]
    fn a_device_that_does_not_read_is_sent_no_more_after_a_while() {
        let seq = |seq| Seq::new(seq).unwrap();
        let mut told = Told::at(Cursor {
            namespace: NamespaceId::new(1).unwrap(),
            incarnation: Incarnation::new([0; 16]),
            seq: seq(0),
            chain: ChainHash::new([0; 32]),
        });
        let mut sent = 0;
        while told.may_take_more() {
            sent += 1;
            assert!(sent <= UNREAD_BYTES, "every step has some bytes");
            told.cursor.seq = seq(sent as i64);
            told.note(Event::Heartbeat);
        }
        told.is_read_to(None);
        assert!(!told.may_take_more());
        told.is_read_to(Some(seq(1)));
        assert!(told.may_take_more());
        told.is_read_to(Some(told.cursor.seq));
        assert!(told.unread.is_empty());
    }
}
