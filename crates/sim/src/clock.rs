//! Time and randomness of one machine.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cairn_core::runtime::{Clock, Entropy};
use cairn_core::time::Timestamp;
use tokio::time::Instant;

/// The wall-clock time at which simulations begin: 2026-11-22T00:00:00Z, in milliseconds.
pub const BEGINNING_MS: i64 = 1_795_305_600_000;

/// A machine's wall clock: it runs with virtual time and can jump either way.
#[derive(Debug)]
pub struct SimClock {
    start: Instant,
    offset_ns: AtomicI64,
}

impl SimClock {
    /// A clock that shows [`BEGINNING_MS`] and `ahead_ms` now.
    pub fn new(ahead_ms: i64) -> Self {
        Self {
            start: Instant::now(),
            offset_ns: AtomicI64::new((BEGINNING_MS + ahead_ms) * 1_000_000),
        }
    }

    /// What it shows, in nanoseconds since the Unix epoch.
    pub fn now_ns(&self) -> i64 {
        let elapsed_ns = i64::try_from(self.start.elapsed().as_nanos()).unwrap_or(i64::MAX / 2);
        self.offset_ns.load(Ordering::Relaxed) + elapsed_ns
    }

    /// Sets it forward, or back with a negative number.
    pub fn jump_ms(&self, by_ms: i64) {
        self.offset_ns.fetch_add(by_ms * 1_000_000, Ordering::Relaxed);
    }

    /// Virtual time since the clock was made, which never jumps.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now_ns().div_euclid(1_000_000))
    }
}

/// The random bytes of one machine in one life.
#[derive(Debug)]
pub struct SimEntropy {
    stream: Mutex<blake3::OutputReader>,
}

impl SimEntropy {
    /// The stream of a machine's n-th life under a seed.
    pub fn new(seed: u64, machine: &str, life: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(&life.to_le_bytes());
        hasher.update(machine.as_bytes());
        Self {
            stream: Mutex::new(hasher.finalize_xof()),
        }
    }
}

impl Entropy for SimEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        self.stream
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(buffer);
    }
}
