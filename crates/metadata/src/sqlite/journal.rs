//! Reading the journal, and how far devices have read it.

use std::collections::HashMap;

use async_trait::async_trait;
use cairn_core::change::JournalEntry;
use cairn_core::ids::{ChainHash, DeviceId, NamespaceId};
use cairn_core::limits;
use cairn_core::rev::{Cursor, Seq};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::decode::Columns;
use super::statement::{Session, lists, query, query_list};
use super::writer::Write;
use crate::codec::decode_content;
use crate::rules::went_back;
use crate::{Changes, CursorReport, MetadataError, NamespaceHead, ResetReason, Result, Written};

pub(super) async fn head(session: &mut Session<'_>, id: NamespaceId) -> Result<Option<NamespaceHead>> {
    let statement = query(
        "SELECT owner_id, incarnation, head_seq, chain, journal_floor, bytes_used, fence_epoch
         FROM namespace WHERE ns_id = $1",
    )
    .bind(id.get());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    Ok(Some(NamespaceHead {
        id,
        owner: columns.account()?,
        incarnation: columns.incarnation()?,
        seq: columns.seq()?,
        chain: columns.chain()?,
        journal_floor: columns.seq()?,
        bytes_used: u64::try_from(columns.i64()?).unwrap_or(0),
        fence_epoch: columns.i64()?,
    }))
}

pub(super) async fn changes(session: &mut Session<'_>, cursor: &Cursor, limit: usize) -> Result<Changes> {
    let Some(head) = head(session, cursor.namespace).await? else {
        return Err(MetadataError::NamespaceNotFound(cursor.namespace));
    };
    let reset = |reason| {
        Ok(Changes::Reset {
            reason,
            head: head.cursor(),
        })
    };
    if cursor.incarnation != head.incarnation || cursor.seq > head.seq {
        return reset(ResetReason::NotOnChain);
    }
    if cursor.seq < head.journal_floor {
        return reset(ResetReason::BelowFloor);
    }
    if chain_at(session, cursor.namespace, cursor.seq).await? != Some(cursor.chain) {
        return reset(ResetReason::NotOnChain);
    }
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let mut entries = read(session, cursor.namespace, cursor.seq, head.seq, limit).await?;
    if let Some(last) = entries.last()
        && last.group_last > last.seq
    {
        let (from, to) = (last.seq, last.group_last);
        entries.extend(read(session, cursor.namespace, from, to, i64::MAX).await?);
    }
    let next = entries.last().map_or(*cursor, |last| Cursor {
        seq: last.seq,
        chain: last.chain,
        ..*cursor
    });
    Ok(Changes::Page {
        has_more: next.seq < head.seq,
        cursor: next,
        entries,
    })
}

pub(super) async fn written(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    seqs: &[Seq],
) -> Result<Vec<Option<Written>>> {
    let mut found = HashMap::with_capacity(seqs.len());
    for list in lists(seqs) {
        let mut statement = query_list(
            "SELECT seq, node_id, device_id, at FROM journal WHERE ns_id = $1 AND seq IN ({list})",
            2,
            list.len(),
        )
        .bind(namespace.get());
        for seq in &list {
            statement = statement.bind(seq.get());
        }
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            let seq = columns.seq()?;
            let written = Written {
                node: columns.node_id()?,
                device: columns.device()?,
                at: columns.timestamp()?,
            };
            found.insert(seq, written);
        }
    }
    Ok(seqs.iter().map(|seq| found.get(seq).copied()).collect())
}

/// The chain hash of an entry; zeros before the first.
pub(super) async fn chain_at(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    seq: Seq,
) -> Result<Option<ChainHash>> {
    if seq == Seq::ZERO {
        return Ok(Some(ChainHash::new([0; 32])));
    }
    let statement = query("SELECT chain FROM journal WHERE ns_id = $1 AND seq = $2")
        .bind(namespace.get())
        .bind(seq.get());
    let row = session.optional(statement).await?;
    row.map(|row| Columns::of(&row).chain()).transpose()
}

async fn read(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    after: Seq,
    up_to: Seq,
    limit: i64,
) -> Result<Vec<JournalEntry>> {
    let statement = query(
        "SELECT j.seq, j.group_last, j.node_id, j.change, j.kind, j.before_parent_id, j.before_name,
             j.after_parent_id, j.after_name, j.content_id, j.mtime_s, j.mtime_ns, j.executable, j.bytes_delta,
             j.device_id, j.at, j.chain, n.size, n.content, h.size, h.content
         FROM journal j
         LEFT JOIN node n ON n.ns_id = $1 AND n.node_id = j.node_id AND n.content_seq = j.seq
         LEFT JOIN content_history h ON h.ns_id = $1 AND h.node_id = j.node_id AND h.seq_from = j.seq
         WHERE j.ns_id = $1 AND j.seq > $2 AND j.seq <= $3
         ORDER BY j.seq LIMIT $4",
    )
    .bind(namespace.get())
    .bind(after.get())
    .bind(up_to.get())
    .bind(limit);
    let rows = session.all(statement).await?;
    rows.iter().map(entry).collect()
}

/// Entries before a position, newest first, to the beginning of the last group.
pub(super) async fn before(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    before: Option<Seq>,
    limit: usize,
) -> Result<Vec<JournalEntry>> {
    let before = before.map_or(i64::MAX, Seq::get);
    let limit = i64::try_from(limit.max(1)).unwrap_or(i64::MAX);
    let mut entries = read_back(session, namespace, before, (0, i64::MAX), limit).await?;
    if let Some(last) = entries.last() {
        let (from, group) = (last.seq.get(), last.group_last.get());
        let rest = read_back(
            session,
            namespace,
            from,
            (group, group),
            limits::COMMIT_OPS as i64,
        )
        .await?;
        entries.extend(rest);
    }
    Ok(entries)
}

/// Entries before a position, newest first, of groups whose last position lies in `groups`.
async fn read_back(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    before: i64,
    groups: (i64, i64),
    limit: i64,
) -> Result<Vec<JournalEntry>> {
    // No group has more operations than a commit: none of its entries lies further back.
    let earliest = groups.0 - limits::COMMIT_OPS as i64;
    let statement = query(
        "SELECT j.seq, j.group_last, j.node_id, j.change, j.kind, j.before_parent_id, j.before_name,
             j.after_parent_id, j.after_name, j.content_id, j.mtime_s, j.mtime_ns, j.executable, j.bytes_delta,
             j.device_id, j.at, j.chain, n.size, n.content, h.size, h.content
         FROM journal j
         LEFT JOIN node n ON n.ns_id = $1 AND n.node_id = j.node_id AND n.content_seq = j.seq
         LEFT JOIN content_history h ON h.ns_id = $1 AND h.node_id = j.node_id AND h.seq_from = j.seq
         WHERE j.ns_id = $1 AND j.seq < $2 AND j.seq > $3 AND j.group_last >= $4 AND j.group_last <= $5
         ORDER BY j.seq DESC LIMIT $6",
    )
    .bind(namespace.get())
    .bind(before)
    .bind(earliest)
    .bind(groups.0)
    .bind(groups.1)
    .bind(limit);
    let rows = session.all(statement).await?;
    rows.iter().map(entry).collect()
}

fn entry(row: &SqliteRow) -> Result<JournalEntry> {
    let journal = Columns::of(row).journal()?;
    let mut content = None;
    if journal.writes_content() {
        for first in [17, 19] {
            let size: Option<i64> = row.try_get(first)?;
            let bytes: Option<&[u8]> = row.try_get(first + 1)?;
            if let (Some(size), Some(bytes)) = (size, bytes) {
                content = Some(decode_content(journal.kind, size, bytes)?);
                break;
            }
        }
    }
    Ok(journal.into_entry(content))
}

pub(super) struct CursorWrite {
    pub(super) cursor: Cursor,
    pub(super) device: DeviceId,
}

#[async_trait]
impl Write for CursorWrite {
    type Output = CursorReport;

    async fn run(&self, session: &mut Session<'_>) -> Result<CursorReport> {
        let cursor = &self.cursor;
        let Some(head) = head(session, cursor.namespace).await? else {
            return Err(MetadataError::NamespaceNotFound(cursor.namespace));
        };
        let earlier =
            query("SELECT acked_seq, incarnation FROM device_cursor WHERE ns_id = $1 AND device_id = $2")
                .bind(cursor.namespace.get())
                .bind(self.device.get());
        if let Some(row) = session.optional(earlier).await? {
            let mut columns = Columns::of(&row);
            let acked = columns.seq()?;
            // A position in another life of the journal says nothing about the device.
            let earlier = (columns.incarnation()? == cursor.incarnation).then_some(acked);
            if went_back(earlier, cursor.seq, head.seq) {
                return Ok(CursorReport::DeviceRestored);
            }
        }
        let statement = query(
            "INSERT INTO device_cursor (ns_id, device_id, incarnation, acked_seq) VALUES ($1, $2, $3, $4)
             ON CONFLICT (ns_id, device_id) DO UPDATE SET
                 incarnation = excluded.incarnation, acked_seq = excluded.acked_seq",
        )
        .bind(cursor.namespace.get())
        .bind(self.device.get())
        .bind(cursor.incarnation.as_bytes().to_vec())
        .bind(cursor.seq.min(head.seq).get());
        session.execute(statement).await?;
        Ok(CursorReport::Accepted)
    }
}
