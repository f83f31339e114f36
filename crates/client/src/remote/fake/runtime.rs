//! A runtime for tests: time stands still, chance repeats itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;

/// Numbers that never repeat within a test, tasks and threads of the test's runtime.
struct TestParts(AtomicU64);

impl Clock for TestParts {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_795_305_600_000)
    }
}

impl Entropy for TestParts {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::SeqCst);
        blake3::Hasher::new()
            .update(&count.to_le_bytes())
            .finalize_xof()
            .fill(buffer);
    }
}

impl Spawner for TestParts {
    fn spawn(&self, _: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        Box::pin(async move { tokio::task::spawn_blocking(work).await.unwrap() })
    }
}

/// Counts the changes of threads, each of which costs more than the work on a small file.
pub(crate) struct CountedThreads {
    inner: Arc<dyn Spawner>,
    blocking: AtomicU64,
}

impl CountedThreads {
    /// Has a runtime count them from now on.
    pub(crate) fn of(runtime: &mut Runtime) -> Arc<Self> {
        let counted = Arc::new(Self {
            inner: Arc::clone(&runtime.spawner),
            blocking: AtomicU64::new(0),
        });
        runtime.spawner = counted.clone();
        counted
    }

    pub(crate) fn count(&self) -> u64 {
        self.blocking.load(Ordering::SeqCst)
    }
}

impl Spawner for CountedThreads {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        self.inner.spawn(name, task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        self.blocking.fetch_add(1, Ordering::SeqCst);
        self.inner.run_blocking(work)
    }
}

/// A runtime on top of tokio's.
pub(crate) fn test_runtime() -> Runtime {
    let parts = Arc::new(TestParts(AtomicU64::new(1)));
    Runtime {
        clock: parts.clone(),
        entropy: parts.clone(),
        spawner: parts,
    }
}

/// Bytes that do not compress, different for each seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&seed.to_le_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes
}
