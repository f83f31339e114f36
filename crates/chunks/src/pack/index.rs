//! The index: where each chunk lies, whether it is condemned, and when it was last seen alive.
//!
//! A SQLite file beside the packs. Except for `state` and `touch_epoch` it only repeats what the packs say, so it is not
//! synced before a chunk is acknowledged, and a lost or damaged one is built again from the packs. Transactions reach
//! the disk in order: what `pack.complete` says holds for the rows that were inserted before it.
//!
//! Lists of hashes go to SQLite as one JSON parameter, so that a batch costs one statement.

mod damage;
mod json;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use cairn_core::ids::ChunkHash;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};

use self::damage::{Damaged, WrongVersion, failed, is_damage, set_aside};
use self::json::{json_hashes, json_rows};
use super::format::PackId;
use super::pending::{Backlog, Entry};
use super::reader::{Location, PackNumber};
use crate::{ChunkError, Result};

const SCHEMA_VERSION: i64 = 1;
/// Rows in one transaction: long enough to pay for it, short enough to let a touch in between.
const ROWS_PER_TRANSACTION: usize = 4_096;
/// Pages of an index that is checked on every start, not only after an unclean stop: 16 MB take some milliseconds.
const ALWAYS_CHECKED_PAGES: i64 = 4_096;
/// Connections for lookups.
const READERS: u32 = 4;

/// `clean`: whether the last process closed the index. `touch_floor`: every chunk counts as touched in that epoch.
///
/// `pack`: the number that rows use for a pack; `complete` once all its chunks have rows.
///
/// `chunk`: one chunk that some pack holds; `state` 0 is live, 1 condemned.
const SCHEMA: &str = "
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pack (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    complete INTEGER NOT NULL
) STRICT;
CREATE TABLE chunk (
    hash BLOB PRIMARY KEY,
    pack INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    len INTEGER NOT NULL,
    state INTEGER NOT NULL,
    touch_epoch INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta (key, value) VALUES ('clean', 0), ('touch_floor', 0);
PRAGMA user_version = 1;
";

/// A row of a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackRow {
    pub(crate) number: PackNumber,
    pub(crate) id: PackId,
    pub(crate) complete: bool,
}

/// What is known of a live chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Live {
    pub(crate) hash: ChunkHash,
    pub(crate) at: Location,
    /// At least the floor.
    pub(crate) touch_epoch: i64,
}

/// How rows meet rows that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Insert {
    /// They were just written because the index knew none, a condemned one, or one that is damaged: they replace it.
    Written,
    /// They were found in a pack: a live row is as good, and a condemned one keeps its state unless it lies elsewhere.
    Found,
}

pub(crate) struct Index {
    path: PathBuf,
    read: SqlitePool,
    write: Mutex<Option<SqliteConnection>>,
    touch_floor: AtomicI64,
    suspect: AtomicBool,
}

impl Index {
    /// Opens the index, building an empty one in place of a missing or damaged one. After an unclean stop every chunk
    /// counts as touched in `epoch`, because touches may be lost.
    pub(crate) async fn open(path: &Path, epoch: i64) -> Result<Self> {
        match Self::try_open(path, epoch).await {
            Ok(index) => Ok(index),
            Err(error) if is_damage(&error) => {
                tracing::error!(%error, "the index of chunks is damaged; it is set aside and built again from the packs");
                set_aside(path)?;
                Self::try_open(path, epoch)
                    .await
                    .map_err(|source| failed("rebuild", path, source))
            }
            Err(source) => Err(failed("open", path, source)),
        }
    }

    async fn try_open(path: &Path, epoch: i64) -> sqlx::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut write = SqliteConnection::connect_with(&options).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut write)
            .await?;
        if version == 0 {
            // One transaction, so that a crash leaves no half of a schema.
            let mut transaction = write.begin().await?;
            sqlx::raw_sql(SCHEMA).execute(&mut *transaction).await?;
            transaction.commit().await?;
        } else if version != SCHEMA_VERSION {
            return Err(sqlx::Error::Configuration(Box::new(WrongVersion {
                found: version,
            })));
        }
        let clean: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'clean'")
            .fetch_one(&mut write)
            .await?;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut write)
            .await?;
        if clean == 0 || pages <= ALWAYS_CHECKED_PAGES {
            let check: String = sqlx::query_scalar("PRAGMA quick_check(1)")
                .fetch_one(&mut write)
                .await?;
            if check != "ok" {
                return Err(sqlx::Error::Configuration(Box::new(Damaged { check })));
            }
        }
        if clean == 0 {
            sqlx::query("UPDATE meta SET value = max(value, ?1) WHERE key = 'touch_floor'")
                .bind(epoch)
                .execute(&mut write)
                .await?;
        }
        // On disk before the first write to a pack: from here on, a stop is unclean until `close`.
        sqlx::query("UPDATE meta SET value = 0 WHERE key = 'clean'")
            .execute(&mut write)
            .await?;
        sqlx::raw_sql("PRAGMA synchronous = NORMAL")
            .execute(&mut write)
            .await?;
        let touch_floor: i64 = sqlx::query_scalar("SELECT value FROM meta WHERE key = 'touch_floor'")
            .fetch_one(&mut write)
            .await?;
        let read = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(
                options
                    .create_if_missing(false)
                    .synchronous(SqliteSynchronous::Normal),
            );
        Ok(Self {
            path: path.to_owned(),
            read,
            write: Mutex::new(Some(write)),
            touch_floor: AtomicI64::new(touch_floor),
            suspect: AtomicBool::new(false),
        })
    }

    pub(crate) async fn packs(&self) -> Result<Vec<PackRow>> {
        let rows: Vec<(i64, Vec<u8>, bool)> = sqlx::query_as("SELECT number, id, complete FROM pack")
            .fetch_all(&self.read)
            .await
            .map_err(|error| self.failed("read", error))?;
        let row = |(number, id, complete): (i64, Vec<u8>, bool)| {
            let id = id.try_into().map(PackId::new).ok()?;
            Some(PackRow {
                number: PackNumber(number),
                id,
                complete,
            })
        };
        Ok(rows.into_iter().filter_map(row).collect())
    }

    /// Forgets a pack that is not there, and its chunks.
    pub(crate) async fn drop_pack(&self, number: PackNumber) -> Result<()> {
        let mut guard = self.writer().await;
        let write = self.connection(&mut guard)?;
        let run = async {
            let mut transaction = write.begin().await?;
            sqlx::query("DELETE FROM chunk WHERE pack = ?1")
                .bind(number.0)
                .execute(&mut *transaction)
                .await?;
            sqlx::query("DELETE FROM pack WHERE number = ?1")
                .bind(number.0)
                .execute(&mut *transaction)
                .await?;
            transaction.commit().await
        };
        run.await.map_err(|error| self.failed("write", error))
    }

    /// Inserts the chunks that were found in a complete pack.
    pub(crate) async fn adopt(&self, pack: PackRow, mut chunks: Vec<(ChunkHash, Entry)>) -> Result<()> {
        chunks.sort_unstable_by_key(|(hash, _)| *hash);
        let backlog = Backlog {
            chunks,
            created: vec![(pack.number, pack.id)],
            sealed: vec![pack.number],
        };
        self.insert(&backlog, Insert::Found).await
    }

    /// Inserts chunks that were written, sorted by hash.
    pub(crate) async fn learn(&self, backlog: &Backlog) -> Result<()> {
        self.insert(backlog, Insert::Written).await
    }

    async fn insert(&self, backlog: &Backlog, insert: Insert) -> Result<()> {
        for (number, id) in &backlog.created {
            let mut guard = self.writer().await;
            sqlx::query("INSERT INTO pack (number, id, complete) VALUES (?1, ?2, 0) ON CONFLICT DO NOTHING")
                .bind(number.0)
                .bind(&id.as_bytes()[..])
                .execute(self.connection(&mut guard)?)
                .await
                .map_err(|error| self.failed("write", error))?;
        }
        for chunks in backlog.chunks.chunks(ROWS_PER_TRANSACTION) {
            let statement = match insert {
                Insert::Written => INSERT_WRITTEN,
                Insert::Found => INSERT_FOUND,
            };
            let rows = json_rows(chunks);
            let mut guard = self.writer().await;
            sqlx::query(statement)
                .bind(rows)
                .execute(self.connection(&mut guard)?)
                .await
                .map_err(|error| self.failed("write", error))?;
        }
        for number in &backlog.sealed {
            let mut guard = self.writer().await;
            sqlx::query("UPDATE pack SET complete = 1 WHERE number = ?1")
                .bind(number.0)
                .execute(self.connection(&mut guard)?)
                .await
                .map_err(|error| self.failed("write", error))?;
        }
        Ok(())
    }

    /// The live ones among `hashes`, in no order.
    pub(crate) async fn find(&self, hashes: &[ChunkHash]) -> Result<Vec<Live>> {
        let floor = self.touch_floor.load(Ordering::SeqCst);
        let rows: Vec<(Vec<u8>, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT hash, pack, offset, len, touch_epoch FROM chunk
             WHERE hash IN (SELECT unhex(value) FROM json_each(?1)) AND state = 0",
        )
        .bind(json_hashes(hashes))
        .fetch_all(&self.read)
        .await
        .map_err(|error| self.failed("read", error))?;
        let live = |(hash, pack, offset, len, touch): (Vec<u8>, i64, i64, i64, i64)| {
            Some(Live {
                hash: ChunkHash::from_slice(&hash)?,
                at: Location {
                    pack: PackNumber(pack),
                    offset: u64::try_from(offset).ok()?,
                    len: u32::try_from(len).ok()?,
                },
                touch_epoch: touch.max(floor),
            })
        };
        Ok(rows.into_iter().filter_map(live).collect())
    }

    /// Keeps chunks alive under `epoch`; returns those that were live at that moment.
    pub(crate) async fn touch(&self, hashes: &[ChunkHash], epoch: i64) -> Result<HashSet<ChunkHash>> {
        let mut guard = self.writer().await;
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "UPDATE chunk SET touch_epoch = max(touch_epoch, ?2)
             WHERE hash IN (SELECT unhex(value) FROM json_each(?1)) AND state = 0
             RETURNING hash",
        )
        .bind(json_hashes(hashes))
        .bind(epoch)
        .fetch_all(self.connection(&mut guard)?)
        .await
        .map_err(|error| self.failed("write", error))?;
        Ok(rows
            .iter()
            .filter_map(|hash| ChunkHash::from_slice(hash))
            .collect())
    }

    /// Condemns those that were not touched since the epoch before `round`; returns those that are condemned now.
    pub(crate) async fn condemn(&self, hashes: &[ChunkHash], round: i64) -> Result<HashSet<ChunkHash>> {
        let floor = self.touch_floor.load(Ordering::SeqCst);
        let mut guard = self.writer().await;
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "UPDATE chunk SET state = 1
             WHERE hash IN (SELECT unhex(value) FROM json_each(?1))
               AND (state = 1 OR max(touch_epoch, ?3) < ?2 - 1)
             RETURNING hash",
        )
        .bind(json_hashes(hashes))
        .bind(round)
        .bind(floor)
        .fetch_all(self.connection(&mut guard)?)
        .await
        .map_err(|error| self.failed("write", error))?;
        Ok(rows
            .iter()
            .filter_map(|hash| ChunkHash::from_slice(hash))
            .collect())
    }

    /// The live chunks after `after`, by hash.
    pub(crate) async fn list(&self, after: Option<&ChunkHash>, limit: usize) -> Result<Vec<ChunkHash>> {
        let rows: Vec<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM chunk WHERE hash > ?1 AND state = 0 ORDER BY hash LIMIT ?2")
                .bind(after.map_or(&[][..], |hash| &hash.as_bytes()[..]))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .fetch_all(&self.read)
                .await
                .map_err(|error| self.failed("read", error))?;
        Ok(rows
            .iter()
            .filter_map(|hash| ChunkHash::from_slice(hash))
            .collect())
    }

    /// Closes the index; with `complete`, the next start may trust it.
    pub(crate) async fn close(&self, complete: bool) -> Result<()> {
        self.read.close().await;
        let Some(mut write) = self.writer().await.take() else {
            return Ok(());
        };
        if complete && !self.suspect.load(Ordering::SeqCst) {
            let mark = sqlx::raw_sql(
                "PRAGMA synchronous = FULL;
                 UPDATE meta SET value = 1 WHERE key = 'clean';
                 PRAGMA wal_checkpoint(TRUNCATE);",
            );
            mark.execute(&mut write)
                .await
                .map_err(|error| self.failed("close", error))?;
        }
        write.close().await.map_err(|error| self.failed("close", error))
    }

    async fn writer(&self) -> MutexGuard<'_, Option<SqliteConnection>> {
        self.write.lock().await
    }

    fn connection<'a>(&self, guard: &'a mut Option<SqliteConnection>) -> Result<&'a mut SqliteConnection> {
        guard.as_mut().ok_or_else(|| ChunkError::Closed {
            reason: "it was closed".to_owned(),
        })
    }

    fn failed(&self, action: &'static str, source: sqlx::Error) -> ChunkError {
        if is_damage(&source) {
            self.suspect.store(true, Ordering::SeqCst);
        }
        failed(action, &self.path, source)
    }
}

const INSERT_WRITTEN: &str = "
INSERT INTO chunk (hash, pack, offset, len, state, touch_epoch)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, 0, value ->> 4 FROM json_each(?1)
WHERE TRUE
ON CONFLICT (hash) DO UPDATE SET
    pack = excluded.pack,
    offset = excluded.offset,
    len = excluded.len,
    state = 0,
    touch_epoch = max(touch_epoch, excluded.touch_epoch)";

const INSERT_FOUND: &str = "
INSERT INTO chunk (hash, pack, offset, len, state, touch_epoch)
SELECT unhex(value ->> 0), value ->> 1, value ->> 2, value ->> 3, 0, value ->> 4 FROM json_each(?1)
WHERE TRUE
ON CONFLICT (hash) DO UPDATE SET
    pack = excluded.pack,
    offset = excluded.offset,
    len = excluded.len,
    state = 0
WHERE state = 1 AND (pack <> excluded.pack OR offset <> excluded.offset)";
