//! Fetching the facts that the rules judge by: what a commit will surely ask for at once, the rest on demand.

use std::collections::BTreeSet;

use cairn_core::change::Op;
use cairn_core::ids::{AccountId, ChunkHash, NamespaceId, NodeId};
use cairn_core::manifest::Manifest;
use cairn_core::node::{Content, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

use super::chunks::committable;
use super::decode::Columns;
use super::statement::{Session, lists, query, query_list, query_rows_from, runs};
use crate::rules::{Below, BelowQuery, Facts, Need};
use crate::{Commit, Result};

/// Whose grants count, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) namespace: NamespaceId,
    pub(super) account: AccountId,
    pub(super) now: Timestamp,
}

/// Fetches the nodes that a commit names with the folders above them, the holders of its names, and its chunks.
pub(super) async fn prefetch(
    session: &mut Session<'_>,
    asker: Asker,
    facts: &mut Facts,
    commit: &Commit,
) -> Result<()> {
    let mut nodes = BTreeSet::new();
    let mut slots = BTreeSet::new();
    let mut chunks: BTreeSet<ChunkHash> = BTreeSet::new();
    for group in &commit.groups {
        chunks.extend(group.chunks.iter().copied());
        for op in &group.ops {
            nodes.insert(op.node());
            if let Some(place) = destination(op) {
                nodes.insert(place.parent);
                slots.insert((place.parent, place.name.key().as_str().to_owned()));
            }
            if let Op::Create {
                content: Content::File(file),
                ..
            }
            | Op::Edit {
                content: Content::File(file),
                ..
            } = op
            {
                match &file.manifest {
                    Manifest::Inline(entries) => chunks.extend(entries.iter().map(|entry| entry.hash)),
                    Manifest::Tree { root, .. } => {
                        chunks.insert(*root);
                    }
                }
            }
        }
    }
    let nodes: Vec<NodeId> = nodes.into_iter().filter(|node| !node.is_reserved()).collect();
    fetch_nodes(session, asker.namespace, facts, &nodes).await?;
    // A folder that does not exist yet holds nothing.
    slots.retain(|(parent, _)| *parent == NodeId::ROOT || matches!(facts.nodes.get(parent), Some(Some(_))));
    let slots: Vec<_> = slots.into_iter().collect();
    fetch_holders(session, asker.namespace, facts, &slots).await?;
    let chunks: Vec<_> = chunks.into_iter().collect();
    fetch_chunks(session, asker, facts, &chunks).await
}

fn destination(op: &Op) -> Option<&Place> {
    match op {
        Op::Create { place, .. } | Op::Move { place, .. } => Some(place),
        Op::Edit { .. } | Op::SetAttributes { .. } | Op::Delete { .. } => None,
    }
}

/// Fetches one fact that the rules asked for. The database must hold all that was decided so far when it is about
/// what lies below a folder.
pub(super) async fn fetch(
    session: &mut Session<'_>,
    asker: Asker,
    facts: &mut Facts,
    need: Need,
) -> Result<()> {
    match need {
        Need::Node(node) => fetch_nodes(session, asker.namespace, facts, &[node]).await,
        Need::Holder(parent, key) => fetch_holders(session, asker.namespace, facts, &[(parent, key)]).await,
        Need::Chunks(hashes) => fetch_chunks(session, asker, facts, &hashes).await,
        Need::Below(below) => {
            let found = fetch_below(session, asker.namespace, &below).await?;
            facts.below.insert(below, found);
            Ok(())
        }
    }
}

// CROSS JOIN keeps the order in SQLite: left to choose, it read the whole namespace for each commit.
async fn fetch_nodes(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    facts: &mut Facts,
    ids: &[NodeId],
) -> Result<()> {
    for list in lists(ids) {
        let mut statement = query_list(
            "WITH RECURSIVE up (node_id, parent_id) AS (
                 SELECT node_id, parent_id FROM node WHERE ns_id = $1 AND node_id IN ({list})
                 UNION
                 SELECT n.node_id, n.parent_id FROM up CROSS JOIN node n WHERE n.ns_id = $1 AND n.node_id = up.parent_id
             )
             SELECT n.node_id, n.parent_id, n.name, n.key, n.kind, n.size, n.content, n.mtime_s, n.mtime_ns,
                 n.executable, n.place_seq, n.content_seq, n.attributes_seq, n.created_seq
             FROM up CROSS JOIN node n WHERE n.ns_id = $1 AND n.node_id = up.node_id",
            2,
            list.len(),
        )
        .bind(namespace.get());
        for id in &list {
            statement = statement.bind(id.get());
        }
        for row in session.all(statement).await? {
            let row = Columns::of(&row).node()?;
            // What a group decided already is newer than the database.
            facts.nodes.entry(row.id).or_insert(Some(row));
        }
    }
    for id in ids {
        facts.nodes.entry(*id).or_insert(None);
    }
    Ok(())
}

async fn fetch_holders(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    facts: &mut Facts,
    slots: &[(NodeId, String)],
) -> Result<()> {
    for run in runs(slots) {
        let mut statement = query_rows_from(
            "WITH slot (parent_id, key) AS (VALUES {rows})
             SELECT n.node_id, n.parent_id, n.key
             FROM slot CROSS JOIN node n WHERE n.ns_id = $1 AND n.parent_id = slot.parent_id AND n.key = slot.key",
            2,
            2,
            run.len(),
        )
        .bind(namespace.get());
        for (parent, key) in run {
            statement = statement.bind(parent.get()).bind(key.clone());
        }
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            let holder = columns.node_id()?;
            let slot = (columns.node_id()?, columns.text()?.to_owned());
            facts.holders.entry(slot).or_insert(Some(holder));
        }
    }
    for slot in slots {
        facts.holders.entry(slot.clone()).or_insert(None);
    }
    Ok(())
}

async fn fetch_chunks(
    session: &mut Session<'_>,
    asker: Asker,
    facts: &mut Facts,
    hashes: &[ChunkHash],
) -> Result<()> {
    let fence = facts.ledger.fence_epoch;
    let allowed = committable(session, asker, fence, hashes).await?;
    for (hash, allowed) in hashes.iter().zip(allowed.each) {
        facts.chunks.entry(*hash).or_insert(allowed);
    }
    Ok(())
}

async fn fetch_below(session: &mut Session<'_>, namespace: NamespaceId, below: &BelowQuery) -> Result<Below> {
    // No node has the id 0: an empty list would not be legal SQL everywhere.
    let mut excluded: Vec<i64> = below.excluded.iter().map(|id| id.get()).collect();
    excluded.resize(excluded.len().max(1).next_power_of_two(), 0);
    let mut statement = query_list(
        "WITH RECURSIVE below (node_id, size, newest, height) AS (
             SELECT node_id, size, CASE WHEN place_seq > content_seq THEN place_seq ELSE content_seq END, 1
             FROM node WHERE ns_id = $1 AND parent_id = $2 AND node_id NOT IN ({list})
             UNION ALL
             SELECT n.node_id, n.size,
                 CASE WHEN n.place_seq > n.content_seq THEN n.place_seq ELSE n.content_seq END, b.height + 1
             FROM below b CROSS JOIN node n
             WHERE n.ns_id = $1 AND n.parent_id = b.node_id AND n.node_id NOT IN ({list})
         )
         SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT), CAST(COALESCE(MAX(height), 0) AS BIGINT), MAX(newest)
         FROM below",
        3,
        excluded.len(),
    )
    .bind(namespace.get())
    .bind(below.folder.get());
    for id in excluded {
        statement = statement.bind(id);
    }
    let Some(row) = session.optional(statement).await? else {
        return Ok(Below::default());
    };
    let mut columns = Columns::of(&row);
    let bytes = i128::from(columns.i64()?);
    let height = usize::try_from(columns.i64()?).unwrap_or(usize::MAX);
    let newest = match columns.optional()?.and_then(Seq::new) {
        None => None,
        Some(seq) => node_written_at(session, namespace, seq)
            .await?
            .map(|node| (seq, node)),
    };
    Ok(Below {
        bytes,
        height,
        newest,
    })
}

async fn node_written_at(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    seq: Seq,
) -> Result<Option<NodeId>> {
    let statement = query("SELECT node_id FROM journal WHERE ns_id = $1 AND seq = $2")
        .bind(namespace.get())
        .bind(seq.get());
    let row = session.optional(statement).await?;
    row.map(|row| Columns::of(&row).node_id()).transpose()
}
