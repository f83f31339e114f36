//! The store for one machine: SQLite with one writer and a few readers.
//!
//! Every write goes through one task, which runs the waiting requests in one transaction, each in a savepoint, and
//! answers after the COMMIT reached the disk (WAL, `synchronous=FULL`). Reads run on connections of their own; the
//! reads of one call see one state.

mod access;
mod accounts;
mod audit;
mod chunks;
mod commit;
mod connect;
mod credentials;
mod decode;
mod error;
mod flush;
mod jobs;
mod journal;
mod links;
mod prefetch;
mod statement;
mod store;
mod tags;
mod tree;
mod uploads;
mod writer;

pub use error::OpenError;

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqlitePool;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::Result;
use statement::{Counters, Session};
use writer::{Job, Pending, Write, unavailable};

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections that read; each may hold 8 MB of cache.
    pub read_connections: u32,
    /// Write requests that may wait; more wait before the queue.
    pub queue: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            read_connections: 4,
            queue: 256,
        }
    }
}

/// What a store has done since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Transactions that committed.
    pub transactions: u64,
    /// Write requests that those transactions answered.
    pub requests: u64,
    /// Operations of commits, refused ones counted too.
    pub commit_ops: u64,
    /// Statements of requests, reads counted too.
    pub statements: u64,
}

/// Metadata in one SQLite database.
#[derive(Debug)]
pub struct SqliteMetadata {
    readers: SqlitePool,
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    task: Mutex<Option<JoinHandle<()>>>,
    counters: Arc<Counters>,
}

impl SqliteMetadata {
    /// Opens a database, making it where there is none and bringing its schema up to date. The folder must exist, and
    /// its owner must hold the data folder's lock: one process writes.
    ///
    /// # Errors
    /// [`OpenError`] says why the file cannot be used.
    pub async fn open(path: &Path, options: Options) -> std::result::Result<Self, OpenError> {
        let connection = connect::writer(path).await?;
        let readers = connect::readers(path, &options).await?;
        let counters = Arc::new(Counters::default());
        let (sender, receiver) = mpsc::channel(options.queue.max(1));
        let task = tokio::spawn(writer::run(connection, receiver, Arc::clone(&counters)));
        Ok(Self {
            readers,
            queue: Mutex::new(Some(sender)),
            task: Mutex::new(Some(task)),
            counters,
        })
    }

    /// Finishes the writes that wait, then closes the database. Later calls fail with
    /// [`MetadataError::Unavailable`](crate::MetadataError::Unavailable).
    pub async fn close(&self) {
        drop(locked(&self.queue).take());
        let task = locked(&self.task).take();
        self.readers.close().await;
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the metadata writer did not end cleanly");
        }
    }

    /// What was done since the store was opened.
    pub fn stats(&self) -> Stats {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            transactions: read(&self.counters.transactions),
            requests: read(&self.counters.requests),
            commit_ops: read(&self.counters.commit_ops),
            statements: read(&self.counters.statements),
        }
    }

    /// Runs a write in the writer's next transaction; it is on disk when this returns.
    async fn write<W: Write + Sync>(&self, write: W) -> Result<W::Output> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending {
            write,
            result: None,
            reply,
        });
        let queue = locked(&self.queue).clone();
        let queue = queue.ok_or_else(|| unavailable("the store is closed"))?;
        queue
            .send(job)
            .await
            .map_err(|_| unavailable("the writer has ended"))?;
        drop(queue);
        answer
            .await
            .unwrap_or_else(|_| Err(unavailable("the writer has ended")))
    }

    /// A connection for a single statement.
    async fn reader(&self) -> Result<Reader<PoolConnection<Sqlite>>> {
        Ok(Reader {
            connection: self.readers.acquire().await?,
            counters: Arc::clone(&self.counters),
        })
    }

    /// A connection whose statements see one state.
    async fn snapshot(&self) -> Result<Reader<sqlx::Transaction<'static, Sqlite>>> {
        Ok(Reader {
            connection: self.readers.begin().await?,
            counters: Arc::clone(&self.counters),
        })
    }
}

struct Reader<C> {
    connection: C,
    counters: Arc<Counters>,
}

impl<C: std::ops::DerefMut<Target = sqlx::SqliteConnection>> Reader<C> {
    fn session(&mut self) -> Session<'_> {
        Session {
            connection: &mut self.connection,
            counters: &self.counters,
        }
    }
}

fn locked<T>(slot: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
