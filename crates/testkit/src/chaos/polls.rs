//! What a device said of itself, again and again, and which contents that covers.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use super::lives::Lives;

/// How long a change may be on its way to the daemon: changes are gathered for at most 2 s.
const GATHERED: Duration = Duration::from_secs(3);

/// One answer of `cairn status --json`.
#[derive(Debug, Clone, Copy)]
struct Poll {
    asked: Duration,
    answered: Duration,
    passes: u64,
    /// Whether the last pass reached the server, met no problem and left nothing to do.
    is_clean: bool,
}

/// The answers of one device.
#[derive(Debug, Default)]
pub(super) struct Polls(Mutex<Vec<Poll>>);

impl Polls {
    /// Notes an answer; one that is no status is left out.
    pub(super) fn note(&self, asked: Duration, answered: Duration, status: &Value) {
        let Some(passes) = status["passes"].as_u64() else {
            return;
        };
        // Nothing pending is not enough: a file that is being written is left for the next pass.
        let is_clean = status["in_sync"] == true && status["held_deletes"] == 0;
        let mut polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        polls.push(Poll {
            asked,
            answered,
            passes,
            is_clean,
        });
    }

    /// Whether `device` made a whole pass, from its beginning to a clean end, after it could know of what stands `since`
    /// then and before that was `gone`. So the time that hashing and sending take is not guessed but waited for.
    pub(super) fn cover(&self, device: usize, lives: &Lives, since: Duration, gone: Duration) -> bool {
        let polls = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = polls.partition_point(|poll| poll.asked < since + GATHERED);
        let mut first: Option<(Poll, Duration)> = None;
        for poll in polls[from..].iter().take_while(|poll| poll.answered <= gone) {
            match first {
                // One pass may have been under way; the next one counts.
                Some((earlier, end)) if poll.answered <= end => {
                    if poll.is_clean && poll.passes >= earlier.passes + 2 {
                        return true;
                    }
                }
                _ => first = lives.end_of_life(device, poll.asked).map(|end| (*poll, end)),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pass_covers_what_stood_from_its_beginning_to_its_end() {
        let at = Duration::from_secs;
        let mut lives = Lives::default();
        lives.begin(1, at(0));
        lives.end(1, at(20));
        lives.begin(1, at(21));
        let polls = Polls::default();
        let note = |second: u64, passes: u64, pending: u64| {
            let status = json!({ "passes": passes, "in_sync": pending == 0, "held_deletes": 0 });
            polls.note(at(second), at(second), &status);
        };
        note(5, 1, 0);
        note(6, 2, 0);
        note(8, 3, 1);
        note(10, 4, 0);
        note(22, 0, 0);
        note(24, 2, 0);
        let covers = |since, gone| polls.cover(1, &lives, at(since), at(gone));
        assert!(covers(2, 10), "from 5 to 10");
        assert!(!covers(2, 9), "the pass that ended at 8 left something to do");
        assert!(!covers(4, 10), "at 8 it may have been on its way");
        assert!(!covers(6, 23), "the daemon was killed meanwhile");
        assert!(covers(19, 24));
    }
}
