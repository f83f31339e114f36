//! What background jobs read and write.

use async_trait::async_trait;
use cairn_core::ids::{ContentHash, DeviceId, NamespaceId, NodeId};
use cairn_core::node::Content;
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

use super::chunks::fence_epoch;
use super::decode::Columns;
use super::error::corrupt;
use super::flush::{flush, write_ledger};
use super::statement::{Session, query};
use super::tree::Tree;
use super::writer::Write;
use super::{journal, uploads};
use crate::codec::encode_content;
use crate::invariants::Dump;
use crate::row::{Ledger, NodeRow, PastContent, PastPlace};
use crate::rules::{Writer, repair};
use crate::{OP_ID_MS, Result, UnverifiedContent};

pub(super) async fn unverified(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    limit: usize,
) -> Result<Vec<UnverifiedContent>> {
    let statement = query("SELECT node_id FROM unverified WHERE ns_id = $1 ORDER BY content_seq LIMIT $2")
        .bind(namespace.get())
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let mut ids = Vec::new();
    for row in session.all(statement).await? {
        ids.push(Columns::of(&row).node_id()?);
    }
    let mut states = Tree::new(session, namespace, None).states(&ids).await?;
    let found = ids.iter().filter_map(|id| states.remove(id));
    Ok(found
        .map(|row| UnverifiedContent {
            namespace,
            node: row.to_node(),
        })
        .collect())
}

pub(super) struct HashWrite {
    pub(super) namespace: NamespaceId,
    pub(super) node: NodeId,
    pub(super) content_seq: Seq,
    pub(super) computed: ContentHash,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for HashWrite {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let mut tree = Tree::new(session, self.namespace, None);
        let Some(row) = tree.states(&[self.node]).await?.remove(&self.node) else {
            return Ok(());
        };
        let is_live = tree.live(&[self.node]).await?.contains(&self.node);
        let Content::File(file) = &row.content else {
            return Ok(());
        };
        if row.content_seq != self.content_seq {
            return Ok(());
        }
        if file.content_hash != self.computed {
            self.repair(session, &row, is_live).await?;
        }
        let statement = query("DELETE FROM unverified WHERE ns_id = $1 AND content_seq = $2")
            .bind(self.namespace.get())
            .bind(self.content_seq.get());
        session.execute(statement).await?;
        Ok(())
    }
}

impl HashWrite {
    async fn repair(&self, session: &mut Session<'_>, row: &NodeRow, is_live: bool) -> Result<()> {
        let ledger = self.ledger(session).await?;
        let writer = Writer {
            device: DeviceId::SERVER,
            now: self.now,
        };
        let outcome = repair(&ledger, writer, row, self.computed);
        if is_live {
            // The corrected hash is verified: it is not queued.
            let head = outcome.ledger.head;
            flush(session, self.namespace, &outcome.writes, head).await?;
            return write_ledger(session, self.namespace, &outcome.ledger).await;
        }
        // No reader holds a node in the trash: it is corrected where it lies.
        for corrected in outcome.writes.nodes.values() {
            let statement = query("UPDATE node SET content = $3 WHERE ns_id = $1 AND node_id = $2")
                .bind(self.namespace.get())
                .bind(self.node.get())
                .bind(encode_content(&corrected.content));
            session.execute(statement).await?;
        }
        Ok(())
    }

    /// The namespace's ledger.
    async fn ledger(&self, session: &mut Session<'_>) -> Result<Ledger> {
        let statement = query(
            "UPDATE namespace SET head_seq = head_seq WHERE ns_id = $1
             RETURNING head_seq, chain, last_at, bytes_used, bytes_granted, fence_epoch",
        )
        .bind(self.namespace.get());
        let Some(row) = session.optional(statement).await? else {
            return Err(corrupt("a node without its namespace"));
        };
        Columns::of(&row).ledger()
    }
}

/// Removes one namespace's expired grants and operation ids; returns how many grants.
pub(super) struct ExpiryWrite {
    pub(super) namespace: NamespaceId,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for ExpiryWrite {
    type Output = u64;

    async fn run(&self, session: &mut Session<'_>) -> Result<u64> {
        let grants = query("DELETE FROM grant_ WHERE ns_id = $1 AND expires_at < $2")
            .bind(self.namespace.get())
            .bind(self.now.as_millis());
        let removed = session.execute(grants).await?;
        let ops = query("DELETE FROM op_dedup WHERE ns_id = $1 AND at < $2")
            .bind(self.namespace.get())
            .bind(self.now.plus_millis(-OP_ID_MS).as_millis());
        session.execute(ops).await?;
        if let Some(head) = journal::head(session, self.namespace).await? {
            uploads::forget_expired(session, head.owner, self.now).await?;
        }
        Ok(removed)
    }
}

/// Lists namespaces by id.
pub(super) async fn namespaces(
    session: &mut Session<'_>,
    after: Option<NamespaceId>,
    limit: usize,
) -> Result<Vec<NamespaceId>> {
    let statement = query(
        "SELECT ns_id FROM namespace WHERE ns_id > $1 /* every shard: for jobs */ ORDER BY ns_id LIMIT $2",
    )
    .bind(after.map_or(0, NamespaceId::get))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    let rows = session.all(statement).await?;
    rows.iter().map(|row| Columns::of(row).namespace()).collect()
}

/// Reads all that [`crate::invariants::violations`] checks.
pub(super) async fn dump(session: &mut Session<'_>, namespace: NamespaceId) -> Result<Dump> {
    fence_epoch(session, namespace).await?;
    let statement = query(
        "SELECT head_seq, chain, last_at, bytes_used, bytes_granted, fence_epoch, journal_floor
         FROM namespace WHERE ns_id = $1",
    )
    .bind(namespace.get());
    let Some(row) = session.optional(statement).await? else {
        return Err(corrupt("the namespace vanished"));
    };
    let mut columns = Columns::of(&row);
    let mut dump = Dump::new(columns.ledger()?, columns.seq()?);
    let nodes = query(
        "SELECT node_id, parent_id, name, key, kind, size, content, mtime_s, mtime_ns, executable, place_seq,
             content_seq, attributes_seq, created_seq
         FROM node WHERE ns_id = $1 ORDER BY node_id",
    );
    session
        .each(nodes.bind(namespace.get()), |row| {
            dump.nodes.push(Columns::of(&row).node()?);
            Ok(())
        })
        .await?;
    dump_history(session, namespace, &mut dump).await?;
    let journal = query(
        "SELECT seq, group_last, node_id, change, kind, before_parent_id, before_name, after_parent_id, after_name,
             content_id, mtime_s, mtime_ns, executable, bytes_delta, device_id, at, chain
         FROM journal WHERE ns_id = $1 ORDER BY seq",
    );
    session
        .each(journal.bind(namespace.get()), |row| {
            dump.journal.push(Columns::of(&row).journal()?);
            Ok(())
        })
        .await?;
    Ok(dump)
}

async fn dump_history(session: &mut Session<'_>, namespace: NamespaceId, dump: &mut Dump) -> Result<()> {
    let places = query(
        "SELECT node_id, seq_from, seq_to, parent_id, name, key, kind FROM place_history
         WHERE ns_id = $1 ORDER BY node_id, seq_from",
    );
    session
        .each(places.bind(namespace.get()), |row| {
            let mut columns = Columns::of(&row);
            dump.past_places.push(PastPlace {
                node: columns.node_id()?,
                from: columns.seq()?,
                to: columns.seq()?,
                parent: columns.node_id()?,
                name: columns.name()?,
                key: columns.text()?.to_owned(),
                kind: columns.kind()?,
            });
            Ok(())
        })
        .await?;
    let contents = query(
        "SELECT node_id, seq_from, seq_to, kind, size, content, mtime_s, mtime_ns, executable, attributes_seq
         FROM content_history WHERE ns_id = $1 ORDER BY node_id, seq_from",
    );
    session
        .each(contents.bind(namespace.get()), |row| {
            let mut columns = Columns::of(&row);
            dump.past_contents.push(PastContent {
                node: columns.node_id()?,
                from: columns.seq()?,
                to: columns.seq()?,
                content: columns.content()?,
                attributes: columns.attributes()?,
                attributes_seq: columns.seq()?,
            });
            Ok(())
        })
        .await
}
