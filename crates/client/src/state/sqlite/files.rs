//! Going through the files of the local tree.

use cairn_core::ids::NodeId;
use cairn_core::time::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::Number;
use super::fault::Fault;
use super::row::{local_row, select_entries};
use crate::state::LocalRow;

pub(super) async fn local_files(
    connection: &mut SqliteConnection,
    number: Number,
    since: Option<Timestamp>,
    after: Option<NodeId>,
    limit: usize,
) -> Result<Vec<LocalRow>, Fault> {
    let since = since.map_or(i64::MIN, |since| since.as_millis().div_euclid(1_000));
    let found = sqlx::query(select_entries!(
        "observed i CROSS JOIN entry e ON e.ns = i.ns AND e.node = i.node AND e.trees & 2",
        "WHERE i.ns = $1 AND i.node > $2 AND e.kind = 1
         AND max(coalesce(i.mtime_s, e.mtime_s), i.ctime_s) >= $3 ORDER BY i.node LIMIT $4"
    ))
    .bind(number)
    .bind(after.map_or(i64::MIN, NodeId::get))
    .bind(since)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    found.iter().map(local_row).collect()
}
