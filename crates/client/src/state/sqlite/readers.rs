//! The connections that read.
//!
//! A pool of sqlx asks a connection whether it lives each time it gives it out, and takes it back in a task of its own:
//! two changes of threads more for every read. A connection to a file needs neither.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A few connections, each lent to one reader at a time.
#[derive(Debug)]
pub(super) struct Readers {
    count: u32,
    free: Mutex<Vec<SqliteConnection>>,
    /// As many as connections are free.
    permits: Semaphore,
}

/// A connection that was lent. What was under way when it is given back ends by itself, before what comes next.
#[derive(Debug)]
pub(super) struct Reader<'r> {
    readers: &'r Readers,
    connection: Option<SqliteConnection>,
    _permit: SemaphorePermit<'r>,
}

impl Readers {
    /// Opens `count` connections.
    pub(super) async fn open(options: &SqliteConnectOptions, count: u32) -> Result<Self, sqlx::Error> {
        let mut free = Vec::new();
        for _ in 0..count {
            free.push(options.connect().await?);
        }
        Ok(Self {
            count,
            permits: Semaphore::new(free.len()),
            free: Mutex::new(free),
        })
    }

    /// Waits for a connection.
    pub(super) async fn acquire(&self) -> Result<Reader<'_>, sqlx::Error> {
        let closed = || sqlx::Error::PoolClosed;
        let permit = self.permits.acquire().await.map_err(|_| closed())?;
        let connection = self.take().ok_or_else(closed)?;
        Ok(Reader {
            readers: self,
            connection: Some(connection),
            _permit: permit,
        })
    }

    /// Waits for every reader, and closes the connections.
    pub(super) async fn close(&self) {
        let Ok(_all) = self.permits.acquire_many(self.count).await else {
            return;
        };
        self.permits.close();
        while let Some(connection) = self.take() {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a connection that read was not closed");
            }
        }
    }

    fn take(&self) -> Option<SqliteConnection> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Deref for Reader<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        self.connection
            .as_ref()
            .expect("it is given back when this is dropped")
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        self.connection
            .as_mut()
            .expect("it is given back when this is dropped")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut free = self.readers.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.extend(self.connection.take());
    }
}
