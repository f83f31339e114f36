//! Time, randomness and tasks as arguments.
//!
//! Everything that makes two runs differ enters through these traits. The binary passes the real ones; the simulation
//! passes a seeded generator, a clock that it moves itself and a pool that runs in place.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::time::Timestamp;

/// A boxed future that a spawner can own.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send + 'static>>;

/// Tells the time of day.
pub trait Clock: Send + Sync {
    /// The current wall-clock time. May jump in either direction; nothing may order events by it.
    fn now(&self) -> Timestamp;
}

/// Gives random bytes.
pub trait Entropy: Send + Sync {
    /// Fills the buffer with unpredictable bytes (seeded ones in a simulation).
    fn fill(&self, buffer: &mut [u8]);
}

/// Runs tasks and blocking work.
pub trait Spawner: Send + Sync {
    /// Starts a task. Its name appears in logs; whoever spawns it keeps a way to end it.
    fn spawn(&self, name: &'static str, task: BoxFuture<()>);

    /// Runs CPU or disk work where it blocks nobody else; resolves when it has run.
    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()>;
}

/// The three of them together, as services and daemons carry them.
#[derive(Clone)]
pub struct Runtime {
    /// Time of day.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
    /// Tasks and blocking work.
    pub spawner: Arc<dyn Spawner>,
}

impl Runtime {
    /// Runs `work` on the blocking pool and returns its result.
    ///
    /// # Panics
    /// When the pool drops the work without running it, which is a broken pool.
    pub async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let slot = Arc::new(std::sync::Mutex::new(None));
        let filled = Arc::clone(&slot);
        let run = Box::new(move || {
            let value = work();
            *filled.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(value);
        });
        self.spawner.run_blocking(run).await;
        let value = slot
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .take();
        value.expect("the blocking pool ran the work it was given")
    }
}
