//! Opening and closing the file: SQLite's own settings, migrations, the check for damage. The only place with PRAGMAs.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn_core::name::{NodeName, UNICODE_VERSION};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row};

use super::fault::Fault;
use super::readers::Readers;
use super::{pages, row};
use crate::state::{StateError, StateResult};

/// How long a connection waits for another process's lock, as that of a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections that read. With the writer's 16 MB of pages and 4 MB each, about 24 MB of cache.
const READERS: u32 = 2;
/// Rows that a statement is ahead of its reader at most, who keeps all of them.
const ROWS_AHEAD: usize = 2_000;
/// Contents that may come before those without a node are looked for: about 15 MB of them.
const CONTENTS_BEFORE_SWEEP: i64 = 100_000;
/// A file of fewer pages is not packed: it is small as it is. 16 MB.
const PAGES_WORTH_PACKING: i64 = 4_096;
/// Every schema, oldest first; a released one is never edited. The version is the count.
const MIGRATIONS: [&str; 8] = [
    include_str!("../migrations/0001_trees.sql"),
    include_str!("../migrations/0002_inbox.sql"),
    include_str!("../migrations/0003_excluded.sql"),
    include_str!("../migrations/0004_statistics.sql"),
    include_str!("../migrations/0005_checkpoints.sql"),
    include_str!("../migrations/0006_packed.sql"),
    include_str!("../migrations/0007_pages.sql"),
    include_str!("../migrations/0008_waypoints.sql"),
];

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(128)
        // Rows that wait for who reads them: a full page, so that SQLite's thread need not stop for each few.
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging()
}

/// Opens the writer and the readers.
pub(super) async fn open(path: &Path) -> Result<(SqliteConnection, Readers), Fault> {
    let mut writer = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        // A device reports to the server only what would survive the plug being pulled.
        .synchronous(SqliteSynchronous::Full)
        .pragma("cache_size", "-16384")
        // A checkpoint per 64 MB of log: hashes are random, so that every batch touches pages all over the file.
        .pragma("wal_autocheckpoint", "16384")
        .pragma("journal_size_limit", "67108864")
        .connect()
        .await?;
    migrate(&mut writer).await?;
    check(&mut writer).await?;
    sweep_contents(&mut writer).await?;
    pages::sweep(&mut writer).await?;
    pack(&mut writer, PAGES_WORTH_PACKING).await?;
    let reading = options(path).read_only(true).pragma("cache_size", "-4096");
    let readers = Readers::open(&reading, READERS).await?;
    Ok((writer, readers))
}

/// Closes the writer, the last to go: the log is copied into the file and removed.
pub(super) async fn close(mut writer: SqliteConnection, is_sound: bool) -> Result<(), Fault> {
    sqlx::query("UPDATE meta SET is_closed = $1")
        .bind(is_sound)
        .execute(&mut writer)
        .await?;
    writer.close().await?;
    Ok(())
}

async fn migrate(writer: &mut SqliteConnection) -> Result<(), Fault> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(&mut *writer)
        .await?;
    let found = usize::try_from(version).map_err(|_| Fault::damaged("schema version"))?;
    if found > MIGRATIONS.len() {
        return Err(Fault::Newer);
    }
    for sql in MIGRATIONS.iter().skip(found) {
        let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query(
            "INSERT OR IGNORE INTO meta (only, is_closed, unicode, contents_added) VALUES (1, 1, $1, 0)",
        )
        .bind(unicode())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
    }
    Ok(())
}

fn unicode() -> String {
    let (major, minor, update) = UNICODE_VERSION;
    format!("{major}.{minor}.{update}")
}

/// Looks for damage after an unclean stop, and marks the file as in use.
async fn check(writer: &mut SqliteConnection) -> Result<(), Fault> {
    let meta = sqlx::query("SELECT is_closed, unicode FROM meta")
        .fetch_one(&mut *writer)
        .await?;
    if !meta.try_get::<bool, _>(0)? {
        let found: String = sqlx::query_scalar("PRAGMA quick_check(1)")
            .fetch_one(&mut *writer)
            .await?;
        if found != "ok" {
            return Err(Fault::Damaged(found));
        }
    }
    if meta.try_get::<String, _>(1)? != unicode() {
        fold_again(writer).await?;
    }
    sqlx::query("UPDATE meta SET is_closed = 0")
        .execute(writer)
        .await?;
    Ok(())
}

/// Makes the keys of all names anew: other Unicode tables made those in the file. ASCII names fold as they always did.
async fn fold_again(writer: &mut SqliteConnection) -> Result<(), Fault> {
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    let mut after = (0, 0, 0);
    loop {
        let rows = sqlx::query(
            "SELECT ns, node, trees, name
             FROM entry
             WHERE (ns, node, trees) > ($1, $2, $3)
             ORDER BY ns, node, trees
             LIMIT 2000",
        )
        .bind(after.0)
        .bind(after.1)
        .bind(after.2)
        .fetch_all(&mut *transaction)
        .await?;
        if rows.is_empty() {
            break;
        }
        for found in rows {
            after = (
                found.try_get::<i64, _>(0)?,
                found.try_get::<i64, _>(1)?,
                found.try_get::<i64, _>(2)?,
            );
            let name: String = found.try_get(3)?;
            if name.is_ascii() {
                continue;
            }
            let name = NodeName::new(name).map_err(|_| Fault::damaged("name"))?;
            sqlx::query("UPDATE entry SET folded = $4 WHERE ns = $1 AND node = $2 AND trees = $3")
                .bind(after.0)
                .bind(after.1)
                .bind(after.2)
                .bind(row::folded(&name))
                .execute(&mut *transaction)
                .await?;
        }
    }
    sqlx::query("UPDATE meta SET unicode = $1")
        .bind(unicode())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Drops contents that no node has any more, once many came since the last time. Only when opening: later a content may
/// be there for a node that is about to be.
async fn sweep_contents(writer: &mut SqliteConnection) -> Result<(), Fault> {
    let added: i64 = sqlx::query_scalar("SELECT contents_added FROM meta")
        .fetch_one(&mut *writer)
        .await?;
    if added < CONTENTS_BEFORE_SWEEP {
        return Ok(());
    }
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query(
        "DELETE FROM content
         WHERE NOT EXISTS (
                 SELECT 1
                 FROM namespace n CROSS JOIN entry e
                 WHERE e.ns = n.number
                   AND substr(e.file_id, 1, 8) = content.prefix
                   AND e.file_id IS NOT NULL)
           AND NOT EXISTS (SELECT 1 FROM conflict WHERE substr(base_file_id, 1, 8) = content.prefix)
           AND NOT EXISTS (SELECT 1 FROM namespace WHERE listing_seq IS NOT NULL)",
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query("UPDATE meta SET contents_added = 0")
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Rewrites a file that has grown by a quarter since the last time: contents come in the order of nothing, so that
/// pages are up to a third empty. Takes about a second per 100 MB, and as much room again while it lasts; without that
/// room the file stays as it is.
async fn pack(writer: &mut SqliteConnection, least_pages: i64) -> Result<(), Fault> {
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *writer)
        .await?;
    let packed: i64 = sqlx::query_scalar("SELECT packed_pages FROM meta")
        .fetch_one(&mut *writer)
        .await?;
    if pages < least_pages || pages <= packed + packed / 4 {
        return Ok(());
    }
    if let Err(error) = sqlx::query("VACUUM").execute(&mut *writer).await {
        tracing::info!(
            error = &error as &dyn std::error::Error,
            "the state is not packed"
        );
        return Ok(());
    }
    let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
        .fetch_one(&mut *writer)
        .await?;
    sqlx::query("UPDATE meta SET packed_pages = $1")
        .bind(pages)
        .execute(&mut *writer)
        .await?;
    // What the copy left in the log is as long as the file itself.
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .execute(writer)
        .await?;
    Ok(())
}

/// Renames a damaged database to `<name>.damaged-<n>`, with its log, durably; returns the new path. What it said is
/// found again on the server and the disk: merged, nothing deleted.
///
/// # Errors
/// [`StateError::Unavailable`] when it cannot be renamed.
pub fn set_aside(path: &Path) -> StateResult<PathBuf> {
    let moved = (1..)
        .map(|n| with_suffix(path, &format!(".damaged-{n}")))
        .find(|free| !free.exists());
    let moved = moved.unwrap_or_else(|| with_suffix(path, ".damaged"));
    let rename = || -> io::Result<()> {
        // The log first: a log without its file is of no harm, a new file with an old log would be.
        for part in ["-wal", "-shm", ""] {
            match fs::rename(with_suffix(path, part), with_suffix(&moved, part)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                done => done?,
            }
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    };
    match rename() {
        Ok(()) => Ok(moved),
        Err(source) => Err(StateError::Unavailable {
            path: path.display().to_string(),
            source: source.into(),
        }),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_core::ids::ContentHash;
    use cairn_core::manifest::{ChunkEntry, Manifest};
    use cairn_core::node::FileContent;

    use crate::state::ClientState;
    use crate::state::sqlite::{SqliteState, batch};

    fn content(n: u64) -> FileContent {
        let manifest = Manifest::Inline(vec![ChunkEntry::of(&n.to_le_bytes())]);
        FileContent {
            size: 8,
            file_id: manifest.file_id(8),
            manifest,
            content_hash: ContentHash::new([n as u8; 32]),
        }
    }

    async fn pages(writer: &mut SqliteConnection) -> i64 {
        sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(writer)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_grown_file_is_packed_once_and_holds_what_it_held() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("state.db");
        let known: Vec<FileContent> = (0..2_000).map(content).collect();
        let (mut writer, readers) = open(&path).await.unwrap();
        // One at a time, in the order of nothing: pages split in the middle.
        for one in known.chunks(1) {
            batch::put_contents(&mut writer, one).await.unwrap();
        }
        let before = pages(&mut writer).await;
        pack(&mut writer, 0).await.unwrap();
        let after = pages(&mut writer).await;
        assert!(after < before, "{before} pages became {after}");
        pack(&mut writer, 0).await.unwrap();
        assert_eq!(pages(&mut writer).await, after);
        readers.close().await;
        close(writer, true).await.unwrap();
        let state = SqliteState::open(&path).await.unwrap();
        let ids: Vec<_> = known.iter().map(|content| content.file_id).collect();
        let found: Vec<_> = state.contents(&ids).await.unwrap();
        assert_eq!(found, known.into_iter().map(Some).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn contents_whose_ids_begin_alike_are_told_apart() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("state.db");
        let (mut writer, readers) = open(&path).await.unwrap();
        let (one, other) = (content(1), content(2));
        batch::put_contents(&mut writer, std::slice::from_ref(&one))
            .await
            .unwrap();
        sqlx::query("INSERT INTO content (prefix, size, manifest, content_hash) VALUES ($1, 8, $2, $3)")
            .bind(&one.file_id.as_bytes()[..8])
            .bind(other.manifest.encode())
            .bind(&other.content_hash.as_bytes()[..])
            .execute(&mut writer)
            .await
            .unwrap();
        readers.close().await;
        close(writer, true).await.unwrap();
        let state = SqliteState::open(&path).await.unwrap();
        assert_eq!(state.contents(&[one.file_id]).await.unwrap(), [Some(one)]);
    }
}
