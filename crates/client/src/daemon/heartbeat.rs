//! The last moment at which the machine is known to have been running, written down now and then.
//!
//! What was written to a disk shortly before a loss of power may never have come to it, although times and size did. After
//! a start, files that were touched shortly before the moment written down, or later, are therefore read again. A moment
//! that is too early costs reading; one that is too late would hide damage, so in doubt the earlier one stays: for a while
//! after the clock was set, and after a start of which nobody knows how the clock has come to what it shows.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_core::time::{Mtime, Timestamp};
use tokio::time::Instant;

/// How long what was written may not be on the disk: Linux writes it after 30 seconds, and begins to within 5.
pub(super) const UNWRITTEN_FOR: Duration = Duration::from_secs(120);
/// How often the moment is written down at most.
pub(super) const EVERY: Duration = Duration::from_secs(30);
/// How far the clock may be from where it should be before it counts as set anew.
const JUMP_MS: u64 = 5_000;
/// How far the clock may have gone on since the last life of the program before it counts as set anew. Less than
/// [`UNWRITTEN_FOR`] by more than Linux leaves bytes unwritten.
const ABSENCE_MS: i64 = 60_000;

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beat {
    /// The moment. No file whose bytes may not be on the disk has a time of more than [`UNWRITTEN_FOR`] before it.
    pub(super) moment: Timestamp,
    /// What the clock showed.
    seen: Timestamp,
    /// Before the clock shows this no later moment is written down.
    until: Timestamp,
}

impl Beat {
    /// Since when what was written may not be on the disk.
    pub(super) const fn unwritten_since(&self) -> Timestamp {
        self.moment.plus_millis(-(UNWRITTEN_FOR.as_millis() as i64))
    }

    /// The latest time that a disk may have given to a file while the machine ran. A file that has a later one has it from
    /// before the clock was set back, so what came to the disk after it may look older.
    pub(super) const fn shown_until(&self) -> Timestamp {
        self.seen.plus_millis(UNWRITTEN_FOR.as_millis() as i64)
    }

    /// Whether a disk may have given this time to a file while the machine ran.
    pub(super) const fn may_have_given(&self, time: Mtime) -> bool {
        time.seconds <= self.shown_until().as_millis().div_euclid(1_000)
    }

    /// Nothing is known of the time before `now`: any file may be one whose bytes are not on the disk.
    fn first(now: Timestamp) -> Self {
        Self {
            moment: Timestamp::from_millis(0),
            seen: now,
            until: now,
        }
        .after_jump(now)
    }

    /// The clock shows `now`, and files may carry times of what it showed before: the earlier one counts until those are
    /// written out.
    fn after_jump(self, now: Timestamp) -> Self {
        Self {
            moment: self.moment.min(now),
            seen: now,
            until: now.plus_millis(UNWRITTEN_FOR.as_millis() as i64),
        }
    }

    fn next(self, now: Timestamp, is_jump: bool) -> Self {
        if is_jump {
            return self.after_jump(now);
        }
        Self {
            moment: if now < self.until { self.moment } else { now },
            seen: now,
            until: self.until,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut numbers = text
            .split(' ')
            .map(|word| word.parse().ok().map(Timestamp::from_millis));
        let moment = numbers.next()??;
        let mut or_moment = || numbers.next().unwrap_or(Some(moment));
        Some(Self {
            moment,
            seen: or_moment()?,
            until: or_moment()?,
        })
    }
}

impl fmt::Display for Beat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [moment, seen, until] = [self.moment, self.seen, self.until].map(Timestamp::as_millis);
        write!(f, "{moment} {seen} {until}")
    }
}

/// What the clock showed, and when that was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) clock: Timestamp,
    pub(super) at: Instant,
}

impl Moment {
    /// Whether the clock was set between this and a later moment.
    pub(super) fn was_clock_set(&self, later: &Self) -> bool {
        let passed = later.at.duration_since(self.at).as_millis() as i64;
        let expected = self.clock.plus_millis(passed).as_millis();
        expected.abs_diff(later.clock.as_millis()) > JUMP_MS
    }
}

/// When the clock was looked at, and what was written down.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Mutex<Option<Life>>);

#[derive(Debug, Clone, Copy)]
struct Life {
    beat: Beat,
    seen_at: Instant,
    /// Before this nothing is written down that can wait.
    next: Instant,
}

impl Heartbeat {
    /// What to write down now, if anything. `last` is what the last life of the program has written.
    pub(super) fn beat(&self, last: Option<Beat>, now: Timestamp, at: Instant) -> Option<Beat> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (beat, is_due) = match (held.as_ref(), last) {
            (Some(life), _) => {
                let before = Moment {
                    clock: life.beat.seen,
                    at: life.seen_at,
                };
                let is_jump = before.was_clock_set(&Moment { clock: now, at });
                (life.beat.next(now, is_jump), is_jump || life.next <= at)
            }
            (None, Some(last)) => {
                let passed = now.as_millis().saturating_sub(last.seen.as_millis());
                (last.next(now, !(0..=ABSENCE_MS).contains(&passed)), true)
            }
            (None, None) => (Beat::first(now), true),
        };
        let next = match held.as_ref() {
            Some(life) if !is_due => life.next,
            _ => at + EVERY,
        };
        *held = Some(Life {
            beat,
            seen_at: at,
            next,
        });
        is_due.then_some(beat)
    }

    /// What to write down at the start of a life that is over before a clock that was set would be seen.
    pub(super) fn beat_once(now: Timestamp) -> Beat {
        Beat {
            moment: now,
            seen: now,
            until: now,
        }
    }

    /// Whether there was a beat in this life.
    pub(super) fn has_begun(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beats of one life: what the clock shows, and the seconds since its start, give the moment that is written down.
    struct Lives {
        heartbeat: Heartbeat,
        start: Instant,
        last: Option<Beat>,
    }

    impl Lives {
        fn new(last: Option<&str>) -> Self {
            Self {
                heartbeat: Heartbeat::default(),
                start: Instant::now(),
                last: last.map(|text| Beat::parse(text).unwrap()),
            }
        }

        fn beat(&mut self, ms: i64, seconds: u64) -> Option<i64> {
            let at = self.start + Duration::from_secs(seconds);
            let said = self.heartbeat.beat(self.last, Timestamp::from_millis(ms), at);
            if let Some(beat) = said {
                assert_eq!(Beat::parse(&beat.to_string()), Some(beat));
                self.last = Some(beat);
            }
            said.map(|beat| beat.moment.as_millis())
        }

        fn start_again(&mut self) {
            (self.heartbeat, self.start) = (Heartbeat::default(), Instant::now());
        }
    }

    #[test]
    fn a_clock_that_was_set_is_told_from_one_that_went_on() {
        let start = Instant::now();
        let moment = |ms, seconds| Moment {
            clock: Timestamp::from_millis(ms),
            at: start + Duration::from_secs(seconds),
        };
        let begun = moment(1_000_000, 0);
        assert!(!begun.was_clock_set(&moment(4_600_000, 3_600)));
        assert!(begun.was_clock_set(&moment(8_200_000, 3_600)));
        assert!(begun.was_clock_set(&moment(1_000_000, 3_600)));
    }

    #[test]
    fn the_moment_is_written_now_and_then() {
        let mut lives = Lives::new(Some("990000 990000 990000"));
        assert_eq!(lives.beat(1_000_000, 0), Some(1_000_000));
        assert_eq!(lives.beat(1_010_000, 10), None);
        assert_eq!(lives.beat(1_031_000, 31), Some(1_031_000));
        assert_eq!(lives.beat(1_032_000, 32), None);
    }

    #[test]
    fn a_clock_that_is_set_leaves_the_earlier_moment_for_a_while() {
        let mut lives = Lives::new(Some("990000"));
        assert_eq!(lives.beat(1_000_000, 0), Some(1_000_000));
        assert_eq!(
            lives.beat(9_000_000, 60),
            Some(1_000_000),
            "files from before may not be written out"
        );
        assert_eq!(lives.beat(9_100_000, 160), Some(1_000_000));
        assert_eq!(lives.beat(9_131_000, 191), Some(9_131_000));
        assert_eq!(
            lives.beat(2_000_000, 192),
            Some(2_000_000),
            "files get earlier times at once"
        );
        assert_eq!(lives.beat(2_010_000, 202), None);
        assert_eq!(lives.beat(2_100_000, 292), Some(2_000_000));
        assert_eq!(lives.beat(2_131_000, 323), Some(2_131_000));
    }

    #[test]
    fn a_start_does_not_hide_that_the_clock_was_set() {
        let mut lives = Lives::new(Some("1000000"));
        assert_eq!(
            lives.beat(4_600_000, 0),
            Some(1_000_000),
            "the clock was set, or the machine was off"
        );
        lives.start_again();
        assert_eq!(lives.beat(4_601_000, 0), Some(1_000_000));
        assert_eq!(lives.beat(4_640_000, 39), Some(1_000_000));
        for second in 41..121 {
            // However often the program starts, what was written before is on the disk some day.
            lives.start_again();
            let moment = lives.beat(4_600_000 + second * 1_000, 0);
            assert_eq!(moment, Some(if second < 120 { 1_000_000 } else { 4_720_000 }));
        }
    }

    #[test]
    fn of_the_time_before_the_first_start_nothing_is_known() {
        let mut lives = Lives::new(None);
        assert_eq!(lives.beat(1_000_000, 0), Some(0));
        assert_eq!(lives.beat(1_119_000, 119), Some(0));
        assert_eq!(lives.beat(1_150_000, 150), Some(1_150_000));
    }
}
