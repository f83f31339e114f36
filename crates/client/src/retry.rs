//! How long to wait before asking again: the one place that decides it.

use std::sync::Arc;
use std::time::Duration;

use cairn_core::runtime::Entropy;

use crate::remote::RemoteError;

/// Shortest pause: a server that restarts is back within seconds.
const SHORTEST_MS: u64 = 1_000;
/// Longest pause of our own choosing.
const LONGEST_MS: u64 = 5 * 60 * 1_000;
/// Longest pause that a server may ask for; a larger number is a mistake that would look like a dead device.
const LONGEST_ASKED_MS: u64 = 60 * 60 * 1_000;

/// Pauses with decorrelated jitter: each is drawn between the shortest and three times the one before, so that devices
/// that lost a server together do not come back together.
///
/// Pure: it says how long, the caller waits.
///
/// *Source:* Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
pub struct Backoff {
    entropy: Arc<dyn Entropy>,
    previous_ms: u64,
}

impl Backoff {
    /// A series that has not begun.
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            entropy,
            previous_ms: SHORTEST_MS,
        }
    }

    /// The pause after a failure that the server said nothing about.
    pub fn next_pause(&mut self) -> Duration {
        let ceiling = (self.previous_ms * 3).min(LONGEST_MS);
        let pause_ms = self.draw(SHORTEST_MS, ceiling);
        self.previous_ms = pause_ms;
        Duration::from_millis(pause_ms)
    }

    /// The pause after this failure, `None` when asking again is useless. Never shorter than what the server asked for.
    pub fn after(&mut self, error: &RemoteError) -> Option<Duration> {
        if !error.is_transient() {
            return None;
        }
        let own = self.next_pause();
        let RemoteError::Refused(refusal) = error else {
            return Some(own);
        };
        let Some(asked_ms) = refusal.retry_after_ms else {
            return Some(own);
        };
        let asked_ms = u64::from(asked_ms).min(LONGEST_ASKED_MS);
        // The server tells everybody the same number: spread the return over a tenth more.
        let spread = self.draw(asked_ms, asked_ms + asked_ms / 10);
        Some(own.max(Duration::from_millis(spread)))
    }

    /// Begins anew after a success.
    pub const fn reset(&mut self) {
        self.previous_ms = SHORTEST_MS;
    }

    /// Draws a number between two, both included.
    fn draw(&self, least: u64, most: u64) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        least + u64::from_le_bytes(bytes) % (most.saturating_sub(least) + 1)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use cairn_api::error::{ApiError, ErrorCode};

    use super::*;

    /// Steps through numbers that are spread over the whole range.
    struct Steps(AtomicU64);

    impl Entropy for Steps {
        fn fill(&self, buffer: &mut [u8]) {
            let next = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            let bytes = next.to_le_bytes();
            buffer
                .iter_mut()
                .zip(bytes.iter().cycle())
                .for_each(|(to, from)| *to = *from);
        }
    }

    struct Largest;

    impl Entropy for Largest {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0xff);
        }
    }

    fn refused(code: ErrorCode, retry_after_ms: Option<u32>) -> RemoteError {
        RemoteError::Refused(ApiError {
            code,
            message: String::new(),
            request_id: String::new(),
            retry_after_ms,
        })
    }

    #[test]
    fn pauses_stay_between_a_second_and_five_minutes_and_differ() {
        let mut backoff = Backoff::new(Arc::new(Steps(AtomicU64::new(7))));
        let pauses: Vec<_> = (0..1_000).map(|_| backoff.next_pause().as_millis()).collect();
        assert!(pauses.iter().all(|ms| (1_000..=300_000).contains(ms)));
        assert!(pauses[0] <= 3_000, "the first pause is short: {}", pauses[0]);
        assert!(pauses.iter().any(|ms| *ms > 60_000), "pauses grow");
        let mut different = pauses.clone();
        different.sort_unstable();
        different.dedup();
        assert!(different.len() > 900, "{} different pauses", different.len());
    }

    #[test]
    fn a_success_begins_the_series_anew() {
        let mut backoff = Backoff::new(Arc::new(Steps(AtomicU64::new(1))));
        (0..50).for_each(|_| {
            backoff.next_pause();
        });
        backoff.reset();
        assert!(backoff.next_pause() <= Duration::from_secs(3));
    }

    #[test]
    fn what_the_server_asks_for_is_kept() {
        let mut backoff = Backoff::new(Arc::new(Largest));
        let pause = backoff.after(&refused(ErrorCode::RateLimited, Some(90_000)));
        assert!(
            pause.is_some_and(|pause| pause >= Duration::from_secs(90) && pause <= Duration::from_secs(100))
        );
        let pause = backoff.after(&refused(ErrorCode::Unavailable, Some(u32::MAX)));
        assert!(pause.is_some_and(|pause| pause <= Duration::from_secs(4_000)));
    }

    #[test]
    fn what_cannot_get_better_is_not_tried_again() {
        let mut backoff = Backoff::new(Arc::new(Largest));
        assert_eq!(backoff.after(&refused(ErrorCode::Forbidden, Some(1))), None);
        assert!(backoff.after(&refused(ErrorCode::Internal, None)).is_some());
    }
}
