//! How large the next commit of small files may be: little at first, so that others soon have something to fetch, and more while
//! one commit follows another quickly.

use std::sync::{Mutex, PoisonError};

use cairn_core::limits::BODY_BYTES;
use cairn_core::time::Timestamp;

/// The first body after a pause.
const FIRST_BYTES: usize = 2 * 1024 * 1024;
/// How soon a body must follow the one before to be larger. On a link that takes longer for one they stay small, too: what a cut
/// connection loses is little then.
const SOON_MS: i64 = 2_000;

/// Bytes of the bodies, as they grow.
#[derive(Debug, Default)]
pub struct Pace {
    last: Mutex<Option<Last>>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    at: Timestamp,
    bytes: usize,
}

impl Pace {
    /// Bytes of the body that is filled now, [`BODY_BYTES`] at most.
    pub(super) fn next(&self, now: Timestamp) -> usize {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match *last {
            // A clock that was set back says nothing.
            Some(Last { at, bytes })
                if (0..=SOON_MS).contains(&now.as_millis().saturating_sub(at.as_millis())) =>
            {
                bytes.saturating_mul(2).min(BODY_BYTES)
            }
            _ => FIRST_BYTES,
        };
        *last = Some(Last { at: now, bytes });
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_grow_while_they_follow_one_another() {
        let pace = Pace::default();
        let at = |millis| pace.next(Timestamp::from_millis(millis)) >> 20;
        assert_eq!([0, 500, 2_500, 2_600].map(at), [2, 4, 8, 8]);
    }

    #[test]
    fn after_a_pause_or_on_a_slow_link_they_are_small() {
        let pace = Pace::default();
        let at = |millis| pace.next(Timestamp::from_millis(millis)) >> 20;
        assert_eq!([0, 2_001, 9_000, 9_100].map(at), [2, 2, 2, 4]);
    }

    #[test]
    fn a_clock_that_is_set_back_is_a_pause() {
        let pace = Pace::default();
        let at = |millis| pace.next(Timestamp::from_millis(millis)) >> 20;
        assert_eq!([5_000, 5_001, 4_000, i64::MIN / 2].map(at), [2, 4, 2, 2]);
    }
}
