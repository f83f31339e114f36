//! The one task that writes: every waiting request in its own savepoint, one COMMIT for all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::error::{is_disk_failure, is_full};
use super::statement::{Counters, Session, query};
use crate::{MetadataError, Result};

/// Operations after which a transaction takes no further request: bounds the wait of those that it answers.
const TRANSACTION_WEIGHT: usize = 10_000;

/// A request that writes. Its statements run in a savepoint of their own.
#[async_trait]
pub(super) trait Write: Send + 'static {
    type Output: Send + 'static;

    /// Rows that it writes, roughly.
    fn weight(&self) -> usize {
        1
    }

    async fn run(&self, session: &mut Session<'_>) -> Result<Self::Output>;
}

/// A request with its answer's way back.
#[async_trait]
pub(super) trait Job: Send {
    fn weight(&self) -> usize;
    /// Runs it; false when it failed and its savepoint must be undone.
    async fn run(&mut self, session: &mut Session<'_>) -> bool;
    /// Answers; `failed` says why the transaction as a whole did not commit.
    fn answer(self: Box<Self>, failed: Option<&Failure>);
}

/// Why a transaction did not commit.
pub(super) struct Failure {
    reason: String,
    is_full: bool,
}

pub(super) struct Pending<W: Write> {
    pub(super) write: W,
    pub(super) result: Option<Result<W::Output>>,
    pub(super) reply: oneshot::Sender<Result<W::Output>>,
}

#[async_trait]
impl<W: Write + Sync> Job for Pending<W> {
    fn weight(&self) -> usize {
        self.write.weight()
    }

    async fn run(&mut self, session: &mut Session<'_>) -> bool {
        let result = self.write.run(session).await;
        let succeeded = result.is_ok();
        self.result = Some(result);
        succeeded
    }

    fn answer(self: Box<Self>, failed: Option<&Failure>) {
        let result = match (self.result, failed) {
            // A refusal stands, whatever became of the others.
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(output)), None) => Ok(output),
            (_, Some(Failure { is_full: true, .. })) => Err(MetadataError::Full),
            (_, Some(failure)) => Err(unavailable(&failure.reason)),
            (None, None) => Err(unavailable("the request was not run")),
        };
        // Whoever asked may have gone; the write stands all the same.
        let _ = self.reply.send(result);
    }
}

pub(super) fn unavailable(reason: &str) -> MetadataError {
    MetadataError::Unavailable(reason.into())
}

/// Runs until every sender is gone and the queue is empty.
pub(super) async fn run(
    mut connection: SqliteConnection,
    mut queue: mpsc::Receiver<Box<dyn Job>>,
    counters: Arc<Counters>,
) {
    let mut broken: Option<Failure> = None;
    while let Some(first) = queue.recv().await {
        let mut weight = first.weight();
        let mut batch = vec![first];
        while weight < TRANSACTION_WEIGHT
            && let Ok(next) = queue.try_recv()
        {
            weight += next.weight();
            batch.push(next);
        }
        if broken.is_none() {
            broken = transact(&mut connection, &mut batch, &counters).await;
        } else {
            batch.drain(..).for_each(|job| job.answer(broken.as_ref()));
        }
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database was not closed cleanly; the next start recovers it");
    }
}

/// Runs one transaction and answers its requests; the reason when nothing may be written any more.
async fn transact(
    connection: &mut SqliteConnection,
    batch: &mut Vec<Box<dyn Job>>,
    counters: &Counters,
) -> Option<Failure> {
    let outcome = attempt(connection, batch, counters).await;
    let failed = outcome.as_ref().err().map(|error| Failure {
        reason: error.to_string(),
        is_full: is_full(error),
    });
    let mut broken = None;
    if let Err(error) = outcome {
        tracing::error!(%error, "a metadata transaction failed");
        let undone = query("ROLLBACK").execute(&mut *connection).await;
        // After a failed write or sync the state of the disk is unknown: nothing is retried on this connection.
        if is_disk_failure(&error) {
            broken = Some(Failure {
                reason: format!("the disk failed, a restart is needed: {error}"),
                is_full: false,
            });
        } else if let Err(error) = undone {
            tracing::debug!(%error, "there was no transaction to undo");
        }
    }
    batch.drain(..).for_each(|job| job.answer(failed.as_ref()));
    broken
}

async fn attempt(
    connection: &mut SqliteConnection,
    batch: &mut [Box<dyn Job>],
    counters: &Counters,
) -> std::result::Result<(), sqlx::Error> {
    query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    for job in batch.iter_mut() {
        query("SAVEPOINT request").execute(&mut *connection).await?;
        let mut session = Session {
            connection: &mut *connection,
            counters,
        };
        if !job.run(&mut session).await {
            query("ROLLBACK TO request").execute(&mut *connection).await?;
        }
        query("RELEASE request").execute(&mut *connection).await?;
    }
    query("COMMIT").execute(&mut *connection).await?;
    counters.transactions.fetch_add(1, Ordering::Relaxed);
    counters.requests.fetch_add(batch.len() as u64, Ordering::Relaxed);
    Ok(())
}
