//! What happened, line by line: the end of it for people, a hash of all of it to tell whether two runs were the same.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

/// Lines that are kept for printing.
const KEPT_LINES: usize = 400;

/// How often each kind of fault really happened.
pub type Counts = BTreeMap<&'static str, u64>;

/// The running record of one simulation.
#[derive(Debug)]
pub struct Trace {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    hasher: blake3::Hasher,
    lines: VecDeque<String>,
    keeps_all: bool,
    written: u64,
    counts: Counts,
}

impl Trace {
    /// Begins a record at the present virtual time. With `keeps_all` every line can be printed, else the last ones.
    pub fn begin(keeps_all: bool) -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            inner: Mutex::new(Inner {
                hasher: blake3::Hasher::new(),
                lines: VecDeque::new(),
                keeps_all,
                written: 0,
                counts: Counts::new(),
            }),
        })
    }

    /// Enters a line.
    pub fn line(&self, who: &str, what: fmt::Arguments<'_>) {
        self.enter(who, what, true);
    }

    /// Enters a line of which there are many: it is in the hash, and printed only where every line is kept.
    pub fn detail(&self, who: &str, what: fmt::Arguments<'_>) {
        self.enter(who, what, false);
    }

    fn enter(&self, who: &str, what: fmt::Arguments<'_>, is_telling: bool) {
        let ms = self.start.elapsed().as_millis();
        let line = format!("{:>7}.{:03} {who:<7} {what}", ms / 1_000, ms % 1_000);
        let mut inner = self.inner();
        inner.hasher.update(line.as_bytes());
        inner.hasher.update(b"\n");
        inner.written += 1;
        if !inner.keeps_all && !is_telling {
            return;
        }
        if !inner.keeps_all && inner.lines.len() == KEPT_LINES {
            inner.lines.pop_front();
        }
        inner.lines.push_back(line);
    }

    /// Counts a fault that was made.
    pub fn count(&self, what: &'static str) {
        *self.inner().counts.entry(what).or_default() += 1;
    }

    /// The faults that were made so far.
    pub fn counts(&self) -> Counts {
        self.inner().counts.clone()
    }

    /// The hash of all lines so far.
    pub fn hash(&self) -> blake3::Hash {
        self.inner().hasher.finalize()
    }

    /// How many lines there were.
    pub fn len(&self) -> u64 {
        self.inner().written
    }

    /// Whether nothing happened yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The lines that are kept, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.inner().lines.iter().cloned().collect()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
