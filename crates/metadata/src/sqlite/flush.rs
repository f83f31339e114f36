//! Writing what the rules decided.

use cairn_core::change::Change;
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::node::{Content, NodeKind, Place};
use cairn_core::rev::Seq;

use super::statement::{Query, Session, lists, query, query_list, query_rows, runs};
use crate::Result;
use crate::codec::{change_code, encode_content, kind_code};
use crate::row::{JournalRow, Ledger, NodeRow, PastContent, PastPlace};
use crate::rules::Writes;

/// Writes the rows of one or more groups. Contents newer than `verified_up_to` are queued for verification.
pub(super) async fn flush(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    writes: &Writes,
    verified_up_to: Seq,
) -> Result<()> {
    park(session, namespace, writes).await?;
    write_nodes(session, namespace, writes).await?;
    write_past_places(session, namespace, &writes.past_places).await?;
    write_past_contents(session, namespace, &writes.past_contents).await?;
    write_journal(session, namespace, &writes.journal).await?;
    write_chunk_refs(session, namespace, writes).await?;
    queue_unverified(session, namespace, writes, verified_up_to).await
}

/// Frees the names of all nodes that move, so that they can be placed in any order: names may be swapped.
async fn park(session: &mut Session<'_>, namespace: NamespaceId, writes: &Writes) -> Result<()> {
    if writes.nodes.len() < 2 {
        return Ok(());
    }
    let mut moved: Vec<NodeId> = writes.past_places.iter().map(|past| past.node).collect();
    moved.sort_unstable();
    moved.dedup();
    for list in lists(&moved) {
        let mut statement = query_list(
            "UPDATE node SET parent_id = 3, key = '/' || CAST(node_id AS TEXT)
             WHERE ns_id = $1 AND node_id IN ({list})",
            2,
            list.len(),
        )
        .bind(namespace.get());
        for id in list {
            statement = statement.bind(id.get());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

async fn write_nodes(session: &mut Session<'_>, namespace: NamespaceId, writes: &Writes) -> Result<()> {
    let rows: Vec<&NodeRow> = writes.nodes.values().collect();
    for run in runs(&rows) {
        let mut statement = query_rows(
            "INSERT INTO node (ns_id, node_id, parent_id, name, key, kind, size, content, mtime_s, mtime_ns, executable,
                 place_seq, content_seq, attributes_seq, created_seq)
             VALUES {rows}
             ON CONFLICT (ns_id, node_id) DO UPDATE SET
                 parent_id = excluded.parent_id, name = excluded.name, key = excluded.key, size = excluded.size,
                 content = excluded.content, mtime_s = excluded.mtime_s, mtime_ns = excluded.mtime_ns,
                 executable = excluded.executable, place_seq = excluded.place_seq,
                 content_seq = excluded.content_seq, attributes_seq = excluded.attributes_seq",
            15,
            run.len(),
        );
        for row in run {
            statement = statement
                .bind(namespace.get())
                .bind(row.id.get())
                .bind(row.parent.get())
                .bind(row.name.as_str().to_owned())
                .bind(row.key.clone());
            statement = bind_content(statement, &row.content);
            statement = statement
                .bind(row.attributes.mtime.seconds)
                .bind(i64::from(row.attributes.mtime.nanos))
                .bind(row.attributes.executable)
                .bind(row.place_seq.get())
                .bind(row.content_seq.get())
                .bind(row.attributes_seq.get())
                .bind(row.created_seq.get());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

fn bind_content<'q>(statement: Query<'q>, content: &Content) -> Query<'q> {
    statement
        .bind(kind_code(content.kind()))
        // The rules refuse files that large.
        .bind(i64::try_from(content.size()).unwrap_or(i64::MAX))
        .bind(encode_content(content))
}

async fn write_past_places(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    rows: &[PastPlace],
) -> Result<()> {
    for run in runs(rows) {
        let mut statement = query_rows(
            "INSERT INTO place_history (ns_id, node_id, seq_from, seq_to, parent_id, name, key, kind) VALUES {rows}",
            8,
            run.len(),
        );
        for row in run {
            statement = statement
                .bind(namespace.get())
                .bind(row.node.get())
                .bind(row.from.get())
                .bind(row.to.get())
                .bind(row.parent.get())
                .bind(row.name.as_str().to_owned())
                .bind(row.key.clone())
                .bind(kind_code(row.kind));
        }
        session.execute(statement).await?;
    }
    Ok(())
}

async fn write_past_contents(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    rows: &[PastContent],
) -> Result<()> {
    for run in runs(rows) {
        let mut statement = query_rows(
            "INSERT INTO content_history (ns_id, node_id, seq_from, seq_to, kind, size, content, mtime_s, mtime_ns,
                 executable, attributes_seq)
             VALUES {rows}",
            11,
            run.len(),
        );
        for row in run {
            statement = statement
                .bind(namespace.get())
                .bind(row.node.get())
                .bind(row.from.get())
                .bind(row.to.get());
            statement = bind_content(statement, &row.content)
                .bind(row.attributes.mtime.seconds)
                .bind(i64::from(row.attributes.mtime.nanos))
                .bind(row.attributes.executable)
                .bind(row.attributes_seq.get());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

async fn write_journal(session: &mut Session<'_>, namespace: NamespaceId, rows: &[JournalRow]) -> Result<()> {
    for run in runs(rows) {
        let mut statement = query_rows(
            "INSERT INTO journal (ns_id, seq, group_last, node_id, change, kind, before_parent_id, before_name,
                 after_parent_id, after_name, content_id, mtime_s, mtime_ns, executable, bytes_delta, device_id, at,
                 chain)
             VALUES {rows}",
            18,
            run.len(),
        );
        for row in run {
            let unmoved = matches!(row.change, Change::Edited | Change::AttributesSet);
            statement = statement
                .bind(namespace.get())
                .bind(row.seq.get())
                .bind(row.group_last.get())
                .bind(row.node.get())
                .bind(change_code(row.change))
                .bind(kind_code(row.kind));
            statement = bind_place(statement, row.place_before.as_ref().filter(|_| !unmoved));
            statement = bind_place(statement, row.place_after.as_ref())
                .bind(row.content_id.map(|id| id.to_vec()))
                .bind(row.attributes.mtime.seconds)
                .bind(i64::from(row.attributes.mtime.nanos))
                .bind(row.attributes.executable)
                .bind(row.bytes_delta)
                .bind(row.device.get())
                .bind(row.at.as_millis())
                .bind(row.chain.as_bytes().to_vec());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

fn bind_place<'q>(statement: Query<'q>, place: Option<&Place>) -> Query<'q> {
    statement
        .bind(place.map(|place| place.parent.get()))
        .bind(place.map(|place| place.name.as_str().to_owned()))
}

async fn write_chunk_refs(session: &mut Session<'_>, namespace: NamespaceId, writes: &Writes) -> Result<()> {
    let refs: Vec<_> = writes.chunk_refs.iter().collect();
    for run in runs(&refs) {
        let mut statement = query_rows(
            "INSERT INTO chunk_ref (ns_id, hash, last_seq) VALUES {rows}
             ON CONFLICT (ns_id, hash) DO UPDATE SET last_seq = excluded.last_seq",
            3,
            run.len(),
        );
        for (hash, last) in run {
            statement = statement
                .bind(namespace.get())
                .bind(hash.as_bytes().to_vec())
                .bind(last.get());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

async fn queue_unverified(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    writes: &Writes,
    verified_up_to: Seq,
) -> Result<()> {
    let superseded: Vec<Seq> = writes
        .past_contents
        .iter()
        .filter(|past| past.content.kind() == NodeKind::File)
        .map(|past| past.from)
        .collect();
    for list in lists(&superseded) {
        let mut statement = query_list(
            "DELETE FROM unverified WHERE ns_id = $1 AND content_seq IN ({list})",
            2,
            list.len(),
        )
        .bind(namespace.get());
        for seq in list {
            statement = statement.bind(seq.get());
        }
        session.execute(statement).await?;
    }
    let claimed: Vec<&NodeRow> = writes
        .nodes
        .values()
        .filter(|row| row.kind() == NodeKind::File && row.content_seq > verified_up_to)
        .collect();
    for run in runs(&claimed) {
        let mut statement = query_rows(
            "INSERT INTO unverified (ns_id, content_seq, node_id) VALUES {rows}",
            3,
            run.len(),
        );
        for row in run {
            statement = statement
                .bind(namespace.get())
                .bind(row.content_seq.get())
                .bind(row.id.get());
        }
        session.execute(statement).await?;
    }
    Ok(())
}

/// Records where the namespace's journal stands after a flush.
pub(super) async fn write_ledger(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    ledger: &Ledger,
) -> Result<()> {
    let statement = query(
        "UPDATE namespace SET head_seq = $2, chain = $3, last_at = $4, bytes_used = $5
         WHERE ns_id = $1",
    )
    .bind(namespace.get())
    .bind(ledger.head.get())
    .bind(ledger.chain.as_bytes().to_vec())
    .bind(ledger.last_at.as_millis())
    .bind(ledger.bytes_used);
    session.execute(statement).await?;
    Ok(())
}
