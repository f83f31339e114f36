//! Token buckets, one per key.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

/// Keys that one limiter remembers. More appear only in an attack; then new keys wait until old ones are refilled.
const MAX_KEYS: usize = 100_000;
/// Keys above which refilled buckets are dropped on the way, and again each time that there are twice as many as were left.
const TIDY_KEYS: usize = 10_000;

/// Monotonic time that stands still and jumps with the runtime's, as everything that waits does.
#[derive(Debug, Clone, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        tokio::time::Instant::now().into_std()
    }
}

/// A token bucket per key, in bounded memory.
pub(crate) struct Limiter<K: Hash + Eq + Clone> {
    buckets: RateLimiter<K, HashMapStateStore<K>, RuntimeClock, NoOpMiddleware<std::time::Instant>>,
    /// Keys above which it is worth a look whether buckets are full again: each look is at all of them.
    tidy_above: AtomicUsize,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub(crate) fn new(quota: Quota) -> Self {
        Self {
            buckets: RateLimiter::hashmap_with_clock(quota, RuntimeClock),
            tidy_above: AtomicUsize::new(TIDY_KEYS),
        }
    }

    /// A bucket that gets so many a second, and holds those of `seconds`.
    pub(crate) fn per_second(rate: u32, seconds: u32) -> Self {
        let rate = NonZeroU32::new(rate).unwrap_or(NonZeroU32::MIN);
        let burst = rate.saturating_mul(NonZeroU32::new(seconds).unwrap_or(NonZeroU32::MIN));
        Self::new(Quota::per_second(rate).allow_burst(burst))
    }

    /// A bucket that holds `burst` and gets one back every `interval`.
    pub(crate) fn with_interval(burst: u32, interval: Duration) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(interval).unwrap_or(Quota::per_second(burst));
        Self::new(quota.allow_burst(burst))
    }

    /// Takes `count` from the key's bucket, or says how long to wait for them.
    pub(crate) fn take(&self, key: &K, count: u32) -> Result<(), Duration> {
        let Some(count) = NonZeroU32::new(count) else {
            return Ok(());
        };
        let keys = self.buckets.len();
        if keys > MAX_KEYS || keys > self.tidy_above.load(Ordering::Relaxed) {
            self.tidy();
            if self.buckets.len() > MAX_KEYS {
                return Err(Duration::from_secs(10));
            }
        }
        match self.buckets.check_key_n(key, count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(RuntimeClock.now())),
            // More than the bucket holds: no waiting helps, but no caller asks for that much.
            Err(_) => Err(Duration::from_secs(60)),
        }
    }

    /// Forgets the buckets that are full again.
    pub(crate) fn tidy(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
        let next = self.buckets.len().saturating_mul(2).max(TIDY_KEYS);
        self.tidy_above.store(next, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_empties_and_fills_again() {
        let limiter = Limiter::with_interval(2, Duration::from_secs(10));
        assert_eq!(limiter.take(&1, 1), Ok(()));
        assert_eq!(limiter.take(&1, 1), Ok(()));
        let wait = limiter.take(&1, 1).unwrap_err();
        assert!(wait <= Duration::from_secs(10), "{wait:?}");
        assert_eq!(limiter.take(&2, 1), Ok(()), "keys do not share a bucket");
        tokio::time::advance(wait + Duration::from_millis(1)).await;
        assert_eq!(limiter.take(&1, 1), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn keys_are_forgotten_and_never_too_many() {
        let limiter = Limiter::with_interval(2, Duration::from_secs(10));
        for key in 0..=MAX_KEYS {
            assert_eq!(limiter.take(&key, 1), Ok(()));
        }
        assert_eq!(
            limiter.take(&usize::MAX, 1),
            Err(Duration::from_secs(10)),
            "there is no room"
        );
        tokio::time::advance(Duration::from_secs(21)).await;
        assert_eq!(limiter.take(&usize::MAX, 1), Ok(()), "the others are full again");
        assert!(limiter.buckets.len() < 3);
    }
}
