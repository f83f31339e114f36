//! Opening the database: SQLite's own settings, and migrations. The only file that knows PRAGMAs.

use std::path::Path;
use std::time::Duration;

use cairn_core::name::UNICODE_VERSION;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteLockingMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Row};

use super::Options;
use super::error::OpenError;
use crate::MetadataError;

/// How long a connection waits for another's lock before it reports the store unavailable.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Rows that a statement may be ahead of its reader: a list's, so that SQLite's thread need not stop for each few.
const ROWS_AHEAD: usize = 512;
/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 256;

/// Every migration with its timestamp, oldest first. A released one is never edited.
const MIGRATIONS: [(i64, &str); 10] = [
    (
        20_261_122_000_000,
        include_str!("../../migrations/20261122000000_initial.sql"),
    ),
    (
        20_261_126_000_000,
        include_str!("../../migrations/20261126000000_access.sql"),
    ),
    (
        20_261_126_050_000,
        include_str!("../../migrations/20261126050000_uploads.sql"),
    ),
    (
        20_261_126_100_000,
        include_str!("../../migrations/20261126100000_second_factor.sql"),
    ),
    (
        20_261_126_200_000,
        include_str!("../../migrations/20261126200000_one_time_links.sql"),
    ),
    (
        20_261_126_300_000,
        include_str!("../../migrations/20261126300000_audit.sql"),
    ),
    (
        20_261_126_400_000,
        include_str!("../../migrations/20261126400000_wipe.sql"),
    ),
    (
        20_261_126_500_000,
        include_str!("../../migrations/20261126500000_identity.sql"),
    ),
    (
        20_261_126_600_000,
        include_str!("../../migrations/20261126600000_tags.sql"),
    ),
    (
        20_261_126_700_000,
        include_str!("../../migrations/20261126700000_account_identity.sql"),
    ),
];

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(STATEMENTS)
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Opens the writer's connection, making the file if there is none, and brings its schema up to date.
pub(super) async fn writer(path: &Path) -> Result<SqliteConnection, OpenError> {
    let io = |source: sqlx::Error| OpenError::Io {
        path: path.to_owned(),
        source: MetadataError::from(source),
    };
    let mut connection = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .locking_mode(SqliteLockingMode::Normal)
        .pragma("cache_size", "-16384")
        .pragma("temp_store", "memory")
        // 16 MB of log: a checkpoint then writes each hot page once for many commits.
        .pragma("wal_autocheckpoint", "4096")
        .pragma("journal_size_limit", "67108864")
        .connect()
        .await
        .map_err(io)?;
    migrate(&mut connection, path).await?;
    Ok(connection)
}

/// Opens the connections that read.
pub(super) async fn readers(path: &Path, settings: &Options) -> Result<SqlitePool, OpenError> {
    SqlitePoolOptions::new()
        .max_connections(settings.read_connections)
        // A connection to a file does not die: asking it first would be a change of threads more for every read.
        .test_before_acquire(false)
        .connect_with(options(path).read_only(true).pragma("cache_size", "-8192"))
        .await
        .map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source: MetadataError::from(source),
        })
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let io = |source: sqlx::Error| OpenError::Io {
        path: path.to_owned(),
        source: MetadataError::from(source),
    };
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_version
             (version BIGINT NOT NULL, unicode TEXT NOT NULL, PRIMARY KEY (version))",
    )
    .execute(&mut *connection)
    .await
    .map_err(io)?;
    let newest = sqlx::query("SELECT version, unicode FROM schema_version ORDER BY version DESC LIMIT 1")
        .fetch_optional(&mut *connection)
        .await
        .map_err(io)?;
    let (major, minor, update) = UNICODE_VERSION;
    let unicode = format!("{major}.{minor}.{update}");
    let mut found = 0;
    if let Some(row) = newest {
        found = row.try_get(0).map_err(io)?;
        check(path, found, row.try_get(1).map_err(io)?, &unicode)?;
    }
    for (version, sql) in MIGRATIONS.into_iter().filter(|(version, _)| *version > found) {
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut *connection)
            .await
            .map_err(io)?;
        sqlx::raw_sql(sql).execute(&mut *connection).await.map_err(io)?;
        sqlx::query("INSERT INTO schema_version (version, unicode) VALUES ($1, $2)")
            .bind(version)
            .bind(&unicode)
            .execute(&mut *connection)
            .await
            .map_err(io)?;
        sqlx::query("COMMIT")
            .execute(&mut *connection)
            .await
            .map_err(io)?;
    }
    Ok(())
}

fn check(path: &Path, found: i64, found_unicode: String, unicode: &str) -> Result<(), OpenError> {
    let known = MIGRATIONS.last().map_or(0, |(version, _)| *version);
    if found > known {
        return Err(OpenError::NewerSchema {
            path: path.to_owned(),
            found,
            known,
        });
    }
    if found_unicode != unicode {
        return Err(OpenError::UnicodeTables {
            path: path.to_owned(),
            found: found_unicode,
            known: unicode.to_owned(),
        });
    }
    Ok(())
}
