//! What runs for a daemon beside it: counted, so that its end can be waited for.

use std::sync::Arc;

use cairn_core::runtime::{BoxFuture, Spawner};
use tokio_util::task::TaskTracker;

use super::parts::Guard;

/// A spawner that knows what it has started. Each task and each piece of work holds the guards: a pass that is dropped
/// leaves work on its way to the disk, and nobody else may come to the folder before it has ended.
pub(super) struct Jobs {
    spawner: Arc<dyn Spawner>,
    guards: Arc<Vec<Guard>>,
    under_way: TaskTracker,
    /// Those of them that are on the blocking pool.
    on_disk: TaskTracker,
}

impl Jobs {
    pub(super) fn new(spawner: Arc<dyn Spawner>, guards: Vec<Guard>) -> Self {
        let (under_way, on_disk) = (TaskTracker::new(), TaskTracker::new());
        // Closed means that it may be waited for; what starts later is counted all the same.
        under_way.close();
        on_disk.close();
        Self {
            spawner,
            guards: Arc::new(guards),
            under_way,
            on_disk,
        }
    }

    /// Waits until nothing runs.
    pub(super) async fn ended(&self) {
        self.under_way.wait().await;
    }

    /// Waits until nothing runs on the blocking pool.
    pub(super) async fn rested(&self) {
        self.on_disk.wait().await;
    }
}

impl Spawner for Jobs {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) {
        let (token, guards) = (self.under_way.token(), Arc::clone(&self.guards));
        let task = async move {
            task.await;
            drop((guards, token));
        };
        self.spawner.spawn(name, Box::pin(task));
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        let tokens = (self.under_way.token(), self.on_disk.token());
        let guards = Arc::clone(&self.guards);
        let counted = move || {
            work();
            drop((guards, tokens));
        };
        self.spawner.run_blocking(Box::new(counted))
    }
}
