//! Which chunks a namespace references, and which an account may bring in.

use std::collections::HashSet;

use async_trait::async_trait;
use cairn_core::ids::{AccountId, ChunkHash, NamespaceId};
use cairn_core::time::Timestamp;

use super::decode::Columns;
use super::error::corrupt;
use super::prefetch::Asker;
use super::statement::{Query, Session, lists, query, query_list, query_rows, runs};
use super::writer::Write;
use crate::{MetadataError, Result};

pub(super) struct GrantWrite {
    pub(super) namespace: NamespaceId,
    pub(super) account: AccountId,
    pub(super) hashes: Vec<ChunkHash>,
    pub(super) lease: i64,
    pub(super) expires_at: Timestamp,
}

#[async_trait]
impl Write for GrantWrite {
    type Output = ();

    fn weight(&self) -> usize {
        self.hashes.len().max(1)
    }

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        // One statement cannot update a row twice.
        let mut hashes = self.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        for run in runs(&hashes) {
            let mut statement = query_rows(
                "INSERT INTO grant_ (ns_id, account_id, hash, lease, expires_at) VALUES {rows}
                 ON CONFLICT (ns_id, account_id, hash) DO UPDATE SET
                     lease = CASE WHEN excluded.lease > grant_.lease THEN excluded.lease ELSE grant_.lease END,
                     expires_at = CASE WHEN excluded.expires_at > grant_.expires_at
                         THEN excluded.expires_at ELSE grant_.expires_at END",
                5,
                run.len(),
            );
            for hash in run {
                statement = statement
                    .bind(self.namespace.get())
                    .bind(self.account.get())
                    .bind(hash.as_bytes().to_vec())
                    .bind(self.lease)
                    .bind(self.expires_at.as_millis());
            }
            session.execute(statement).await?;
        }
        Ok(())
    }
}

/// Has grants last longer.
pub(super) struct ExtendGrants {
    pub(super) namespace: NamespaceId,
    pub(super) account: AccountId,
    pub(super) hashes: Vec<ChunkHash>,
    pub(super) expires_at: Timestamp,
}

#[async_trait]
impl Write for ExtendGrants {
    type Output = ();

    fn weight(&self) -> usize {
        self.hashes.len().max(1)
    }

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        for list in lists(&self.hashes) {
            let mut statement = query_list(
                "UPDATE grant_ SET expires_at = $3
                 WHERE ns_id = $1 AND account_id = $2 AND +expires_at < $3 AND hash IN ({list})",
                4,
                list.len(),
            )
            .bind(self.namespace.get())
            .bind(self.account.get())
            .bind(self.expires_at.as_millis());
            for hash in list {
                statement = statement.bind(hash.as_bytes().to_vec());
            }
            session.execute(statement).await?;
        }
        Ok(())
    }
}

/// Which chunks may be committed, and by what.
pub(super) struct Committable {
    /// For each hash, whether it may be.
    pub(super) each: Vec<bool>,
    /// Those that are not referenced but granted, with when that ends.
    pub(super) granted: Vec<(ChunkHash, Timestamp)>,
}

/// The epoch of the namespace's fence.
pub(super) async fn fence_epoch(session: &mut Session<'_>, namespace: NamespaceId) -> Result<i64> {
    let statement = query("SELECT fence_epoch FROM namespace WHERE ns_id = $1").bind(namespace.get());
    match session.optional(statement).await? {
        Some(row) => Columns::of(&row).i64(),
        None => Err(MetadataError::NamespaceNotFound(namespace)),
    }
}

/// For each hash, whether it may be committed: referenced, or granted after `now` with a lease fresh enough.
pub(super) async fn committable(
    session: &mut Session<'_>,
    asker: Asker,
    fence: i64,
    hashes: &[ChunkHash],
) -> Result<Committable> {
    let mut found = HashSet::with_capacity(hashes.len());
    let mut granted = Vec::new();
    add_referenced(session, asker.namespace, hashes, &mut found).await?;
    let rest: Vec<_> = hashes
        .iter()
        .filter(|hash| !found.contains(*hash))
        .copied()
        .collect();
    for list in lists(&rest) {
        // The plus keeps SQLite from the index by expiry: it read every grant of the namespace for each commit.
        let mut statement = query_list(
            "SELECT hash, expires_at FROM grant_
             WHERE ns_id = $1 AND account_id = $2 AND +expires_at > $3 AND lease >= $4 AND hash IN ({list})",
            5,
            list.len(),
        )
        .bind(asker.namespace.get())
        .bind(asker.account.get())
        .bind(asker.now.as_millis())
        .bind(fence - 1);
        for hash in &list {
            statement = statement.bind(hash.as_bytes().to_vec());
        }
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            granted.push((chunk_hash(columns.bytes()?)?, columns.timestamp()?));
        }
    }
    found.extend(granted.iter().map(|(hash, _)| *hash));
    let each = hashes.iter().map(|hash| found.contains(hash)).collect();
    Ok(Committable { each, granted })
}

/// Adds those of the hashes that a namespace references.
pub(super) async fn add_referenced(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    hashes: &[ChunkHash],
    found: &mut HashSet<ChunkHash>,
) -> Result<()> {
    for list in lists(hashes) {
        let statement = query_list(
            "SELECT hash FROM chunk_ref WHERE ns_id = $1 AND hash IN ({list})",
            2,
            list.len(),
        )
        .bind(namespace.get());
        add_hashes(session, statement, &list, found).await?;
    }
    Ok(())
}

async fn add_hashes(
    session: &mut Session<'_>,
    mut statement: Query<'_>,
    list: &[ChunkHash],
    found: &mut HashSet<ChunkHash>,
) -> Result<()> {
    for hash in list {
        statement = statement.bind(hash.as_bytes().to_vec());
    }
    for row in session.all(statement).await? {
        found.insert(chunk_hash(Columns::of(&row).bytes()?)?);
    }
    Ok(())
}

fn chunk_hash(bytes: &[u8]) -> Result<ChunkHash> {
    ChunkHash::from_slice(bytes).ok_or_else(|| corrupt("a chunk hash has the wrong length"))
}
