//! The real clock, the system's randomness and tokio's tasks: the one place where they enter.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;

/// The three together. Must be called within tokio's runtime only when tasks are spawned.
pub(crate) fn system() -> Runtime {
    Runtime {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        spawner: Arc::new(TokioSpawner),
    }
}

struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else is given"
    )]
    fn now(&self) -> Timestamp {
        let now = SystemTime::now();
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(match now.duration_since(UNIX_EPOCH) {
            Ok(after) => ms(after),
            Err(before) => -ms(before.duration()),
        })
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // Keys and tokens are made of it: going on without would be worse than ending here.
        getrandom::fill(buffer).expect("the operating system gives random bytes");
    }
}

struct TokioSpawner;

impl Spawner for TokioSpawner {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        use tracing::Instrument;
        drop(tokio::spawn(task.instrument(tracing::debug_span!("task", name))));
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let running = tokio::task::spawn_blocking(work);
        Box::pin(async move {
            match running.await {
                Ok(()) => {}
                // The work's own panic goes on where its result is waited for.
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(error) => tracing::debug!(%error, "work was dropped while the process ends"),
            }
        })
    }
}
