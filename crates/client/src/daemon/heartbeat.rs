//! The last moment at which the machine is known to have been running, written down now and then.
//!
//! What was written to a disk shortly before a loss of power may never have come to it, although times and size did. After
//! a start, files that were touched shortly before the moment written down, or later, are therefore read again. A moment
//! that is too early costs reading; one that is too late would hide damage, so in doubt the earlier one stays.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_core::time::Timestamp;
use tokio::time::Instant;

/// How long what was written may not be on the disk: Linux writes it after 30 seconds, and begins to within 5.
pub(super) const UNWRITTEN_FOR: Duration = Duration::from_secs(120);
/// How often the moment is written down at most.
const EVERY: Duration = Duration::from_secs(30);
/// How far the clock may be from where it should be before it counts as set anew.
const JUMP_MS: u64 = 5_000;

/// When the clock was looked at, and what was written down.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Mutex<Option<Beat>>);

#[derive(Debug, Clone, Copy)]
struct Beat {
    seen: Timestamp,
    seen_at: Instant,
    written: Timestamp,
    /// Before this nothing later is written down.
    next: Instant,
}

impl Heartbeat {
    /// The moment to write down now, if any.
    pub(super) fn beat(&self, now: Timestamp, at: Instant) -> Option<Timestamp> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(beat) = held.as_mut() else {
            *held = Some(Beat {
                seen: now,
                seen_at: at,
                written: now,
                next: at + EVERY,
            });
            return Some(now);
        };
        let passed = at.duration_since(beat.seen_at).as_millis() as i64;
        let is_jump = beat
            .seen
            .plus_millis(passed)
            .as_millis()
            .abs_diff(now.as_millis())
            > JUMP_MS;
        (beat.seen, beat.seen_at) = (now, at);
        if is_jump {
            // Files may carry times of both clocks: the earlier one counts until those of the old one are written out.
            beat.next = at + UNWRITTEN_FOR;
            let is_back = now < beat.written;
            beat.written = beat.written.min(now);
            return is_back.then_some(now);
        }
        if at < beat.next {
            return None;
        }
        (beat.written, beat.next) = (now, at + EVERY);
        Some(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_written_now_and_then() {
        let (heartbeat, start) = (Heartbeat::default(), Instant::now());
        let beat = |ms: i64, seconds: u64| {
            let said = heartbeat.beat(Timestamp::from_millis(ms), start + Duration::from_secs(seconds));
            said.map(Timestamp::as_millis)
        };
        assert_eq!(beat(1_000_000, 0), Some(1_000_000));
        assert_eq!(beat(1_010_000, 10), None);
        assert_eq!(beat(1_031_000, 31), Some(1_031_000));
        assert_eq!(beat(1_032_000, 32), None);
    }

    #[test]
    fn a_clock_that_is_set_leaves_the_earlier_moment_for_a_while() {
        let (heartbeat, start) = (Heartbeat::default(), Instant::now());
        let beat = |ms: i64, seconds: u64| {
            let said = heartbeat.beat(Timestamp::from_millis(ms), start + Duration::from_secs(seconds));
            said.map(Timestamp::as_millis)
        };
        assert_eq!(beat(1_000_000, 0), Some(1_000_000));
        assert_eq!(
            beat(9_000_000, 60),
            None,
            "files from before may not be written out"
        );
        assert_eq!(beat(9_100_000, 160), None);
        assert_eq!(beat(9_121_000, 181), Some(9_121_000));
        assert_eq!(
            beat(2_000_000, 182),
            Some(2_000_000),
            "files get earlier times at once"
        );
        assert_eq!(beat(2_100_000, 282), None);
        assert_eq!(beat(2_121_000, 303), Some(2_121_000));
    }
}
