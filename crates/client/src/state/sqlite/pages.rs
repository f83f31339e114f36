//! Pages of long manifests.

use std::collections::HashMap;

use cairn_core::ids::ChunkHash;
use cairn_core::manifest::{EncodedPage, Manifest, Page};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use super::fault::Fault;

/// Pages that may come before those without a content are looked for: about 200 MB of them.
const PAGES_BEFORE_SWEEP: i64 = 20_000;
/// Pages read with one statement: about 1 MB.
const PAGES_AT_ONCE: usize = 100;

/// Remembers pages.
pub(super) async fn keep(connection: &mut SqliteConnection, pages: &[EncodedPage]) -> Result<(), Fault> {
    let mut added = 0;
    for page in pages {
        let done = sqlx::query("INSERT OR IGNORE INTO page (hash, bytes) VALUES ($1, $2)")
            .bind(&page.hash.as_bytes()[..])
            .bind(&page.bytes)
            .execute(&mut *connection)
            .await?;
        added += done.rows_affected();
    }
    sqlx::query("UPDATE meta SET pages_added = pages_added + $1")
        .bind(i64::try_from(added).unwrap_or(i64::MAX))
        .execute(connection)
        .await?;
    Ok(())
}

/// Reads pages, in the order asked.
pub(super) async fn read(
    connection: &mut SqliteConnection,
    hashes: &[ChunkHash],
) -> Result<Vec<Option<Vec<u8>>>, Fault> {
    let mut found: HashMap<ChunkHash, Vec<u8>> = HashMap::new();
    for some in hashes.chunks(PAGES_AT_ONCE) {
        let names: serde_json::Value = some.iter().map(ToString::to_string).collect();
        let rows = sqlx::query(
            "SELECT p.hash, p.bytes
             FROM json_each($1) j CROSS JOIN page p ON p.hash = unhex(j.value)",
        )
        .bind(names.to_string())
        .fetch_all(&mut *connection)
        .await?;
        for row in rows {
            let hash = ChunkHash::from_slice(row.try_get(0)?).ok_or_else(|| Fault::damaged("page"))?;
            found.insert(hash, row.try_get(1)?);
        }
    }
    Ok(hashes.iter().map(|hash| found.get(hash).cloned()).collect())
}

/// Drops pages that no content has any more, once many came since the last time. Only when opening, after contents were
/// swept.
pub(super) async fn sweep(writer: &mut SqliteConnection) -> Result<(), Fault> {
    let added: i64 = sqlx::query_scalar("SELECT pages_added FROM meta")
        .fetch_one(&mut *writer)
        .await?;
    if added < PAGES_BEFORE_SWEEP {
        return Ok(());
    }
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::raw_sql("CREATE TEMP TABLE needed (hash BLOB NOT NULL PRIMARY KEY) WITHOUT ROWID")
        .execute(&mut *transaction)
        .await?;
    let mut after: (Vec<u8>, i64, Vec<u8>) = (Vec::new(), 0, Vec::new());
    loop {
        // The fourth byte of a manifest is its form, and 2 the form that has pages.
        let rows = sqlx::query(
            "SELECT prefix, size, manifest
             FROM content
             WHERE (prefix, size, manifest) > ($1, $2, $3) AND substr(manifest, 4, 1) = x'02'
             ORDER BY prefix, size, manifest
             LIMIT 1000",
        )
        .bind(&after.0)
        .bind(after.1)
        .bind(&after.2)
        .fetch_all(&mut *transaction)
        .await?;
        let Some(last) = rows.last() else { break };
        after = (last.try_get(0)?, last.try_get(1)?, last.try_get(2)?);
        for row in &rows {
            if let Ok(Manifest::Tree { root, .. }) = Manifest::decode(row.try_get(2)?) {
                need(&mut transaction, root).await?;
            }
        }
    }
    sqlx::raw_sql(
        "DELETE FROM page WHERE hash NOT IN (SELECT hash FROM needed);
         DROP TABLE needed;
         UPDATE meta SET pages_added = 0",
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Notes a page and all below it as needed.
async fn need(connection: &mut SqliteConnection, root: ChunkHash) -> Result<(), Fault> {
    let mut open = vec![root];
    while let Some(hash) = open.pop() {
        let is_new = sqlx::query("INSERT OR IGNORE INTO needed (hash) VALUES ($1)")
            .bind(&hash.as_bytes()[..])
            .execute(&mut *connection)
            .await?
            .rows_affected();
        if is_new == 0 {
            continue;
        }
        if let Some(Some(bytes)) = read(&mut *connection, &[hash]).await?.pop()
            && let Ok(Page::Inner { entries, .. }) = Page::decode(&bytes)
        {
            open.extend(entries.into_iter().map(|entry| entry.hash));
        }
    }
    Ok(())
}
