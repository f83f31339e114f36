//! The judgement of a group as a whole, and the rows that it writes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cairn_core::change::{Change, Refusal};
use cairn_core::ids::{ChunkHash, ContentHash, NodeId};
use cairn_core::limits;
use cairn_core::manifest::Manifest;
use cairn_core::node::{Content, NodeKind};
use cairn_core::rev::Seq;

use super::draft::{Draft, Effect, Standing};
use super::facts::{Need, Outcome, Writes};
use super::{Stop, Writer};
use crate::Group;
use crate::codec::{chain_after, content_id};
use crate::row::{JournalRow, Ledger, NodeRow, PastContent};

/// Chunk hashes that one refusal names.
const MISSING_NAMED: usize = 4_096;

/// No manifest can describe a larger file; keeps every sum of sizes far from the end of i64.
const FILE_BYTES: i128 = (limits::FILE_CHUNKS * limits::CHUNK_MAX_BYTES) as i128;

/// Checks the state after the last operation and turns the draft into rows.
pub(super) fn finish(draft: Draft<'_>, writer: Writer, group: &Group) -> Result<Outcome, Stop> {
    check_places(&draft)?;
    let chunks = needed_chunks(&draft, group);
    check_chunks(&draft, &chunks)?;
    check_quota(&draft)?;
    Ok(rows(draft, writer, chunks))
}

/// Names are free, no folder is below itself, nothing is too deep.
fn check_places(draft: &Draft<'_>) -> Result<(), Stop> {
    // Only the last placing of a node counts: its operation is blamed.
    let mut placed: BTreeMap<NodeId, usize> = BTreeMap::new();
    for effect in &draft.effects {
        if matches!(effect.change, Change::Created | Change::Moved | Change::Restored) {
            placed.insert(effect.node, effect.op_index);
        }
    }
    let mut in_order: Vec<(usize, NodeId)> = placed.iter().map(|(node, op)| (*op, *node)).collect();
    in_order.sort_unstable();
    let mut taken: HashMap<(NodeId, &str), NodeId> = HashMap::new();
    for row in draft.nodes.values().filter(|row| !placed.contains_key(&row.id)) {
        taken.insert((row.parent, &row.key), row.id);
    }
    for (op_index, node) in in_order {
        let refuse = |refusal| Err(Stop::RefuseAt(op_index, refusal));
        let Some(row) = draft.nodes.get(&node) else {
            continue;
        };
        if row.parent == NodeId::TRASH {
            continue;
        }
        if let Some(holder) = taken.insert((row.parent, &row.key), node) {
            return refuse(Refusal::NameTaken { holder });
        }
        if let Some(holder) = untouched_holder(draft, row)? {
            return refuse(Refusal::NameTaken { holder });
        }
        match draft.standing(node)? {
            Standing::Trashed => {}
            Standing::Cyclic => return refuse(Refusal::Cycle { node }),
            Standing::Live { depth } => {
                if depth + height_below(draft, row, depth)? > limits::TREE_DEPTH {
                    return refuse(Refusal::TooDeep);
                }
            }
        }
    }
    Ok(())
}

/// The node that the group did not touch and that has the row's name.
fn untouched_holder(draft: &Draft<'_>, row: &NodeRow) -> Result<Option<NodeId>, Stop> {
    // A folder that the group created is empty but for what the group put there.
    if !row.parent.is_reserved() && draft.node_before(row.parent)?.is_none() {
        return Ok(None);
    }
    let slot = (row.parent, row.key.clone());
    match draft.facts.holders.get(&slot) {
        None => Err(Stop::Need(Need::Holder(slot.0, slot.1))),
        Some(holder) => Ok(holder.filter(|holder| !draft.nodes.contains_key(holder))),
    }
}

/// Levels below a folder that came to stand deeper than before; elsewhere they cannot have become too many.
fn height_below(draft: &Draft<'_>, row: &NodeRow, depth: usize) -> Result<usize, Stop> {
    if row.kind() != NodeKind::Directory || draft.node_before(row.id)?.is_none() {
        return Ok(0);
    }
    match draft.standing_before(row.id)? {
        Standing::Live { depth: before } if depth <= before => Ok(0),
        _ => Ok(draft.untouched_below(row.id)?.height),
    }
}

/// The chunks of the contents that take effect. What the manifests name is added to what the caller listed, so that
/// nobody commits bytes that the list leaves out.
fn needed_chunks(draft: &Draft<'_>, group: &Group) -> BTreeSet<ChunkHash> {
    let mut chunks = BTreeSet::new();
    for effect in &draft.effects {
        if !matches!(effect.change, Change::Created | Change::Edited) {
            continue;
        }
        if let Content::File(file) = &effect.after.content {
            match &file.manifest {
                Manifest::Inline(entries) => chunks.extend(entries.iter().map(|entry| entry.hash)),
                Manifest::Tree { root, .. } => {
                    chunks.insert(*root);
                }
            }
            chunks.extend(group.chunks.iter().copied());
        }
    }
    chunks
}

fn check_chunks(draft: &Draft<'_>, chunks: &BTreeSet<ChunkHash>) -> Result<(), Stop> {
    let known = &draft.facts.chunks;
    let unknown: Vec<_> = chunks
        .iter()
        .filter(|hash| !known.contains_key(*hash))
        .copied()
        .collect();
    if !unknown.is_empty() {
        return Err(Stop::Need(Need::Chunks(unknown)));
    }
    let missing: Vec<_> = chunks
        .iter()
        .filter(|hash| !known[*hash])
        .take(MISSING_NAMED)
        .copied()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let blamed = draft
        .effects
        .iter()
        .find(|effect| matches!(effect.after.content, Content::File(_)));
    let op_index = blamed.map_or(0, |effect| effect.op_index);
    Err(Stop::RefuseAt(op_index, Refusal::MissingChunks { missing }))
}

fn check_quota(draft: &Draft<'_>) -> Result<(), Stop> {
    let ledger = &draft.facts.ledger;
    let bound = ledger.bytes_granted.unwrap_or(i64::MAX);
    let available = i128::from(bound) - i128::from(ledger.bytes_used);
    if let Some(huge) = draft
        .effects
        .iter()
        .find(|effect| effect.after.size() > FILE_BYTES)
    {
        let refusal = Refusal::QuotaExceeded {
            needed: huge.after.content.size(),
            available: u64::try_from(available.min(FILE_BYTES)).unwrap_or(0),
        };
        return Err(Stop::RefuseAt(huge.op_index, refusal));
    }
    let needed: i128 = draft.effects.iter().map(|effect| effect.bytes_delta).sum();
    if needed <= 0 || needed <= available {
        return Ok(());
    }
    let mut running = 0;
    let blamed = draft.effects.iter().find(|effect| {
        running += effect.bytes_delta;
        running > available
    });
    let refusal = Refusal::QuotaExceeded {
        needed: u64::try_from(needed).unwrap_or(u64::MAX),
        available: u64::try_from(available).unwrap_or(0),
    };
    Err(Stop::RefuseAt(
        blamed.map_or(0, |effect| effect.op_index),
        refusal,
    ))
}

fn rows(draft: Draft<'_>, writer: Writer, chunks: BTreeSet<ChunkHash>) -> Outcome {
    let mut ledger = draft.facts.ledger.clone();
    let group_last = draft.head();
    let journal = draft
        .effects
        .into_iter()
        .map(|effect| entry(&mut ledger, writer, group_last, effect))
        .collect();
    Outcome {
        seqs: draft.seqs,
        writes: Writes {
            nodes: draft.nodes,
            past_places: draft.past_places,
            past_contents: draft.past_contents,
            journal,
            chunk_refs: chunks.into_iter().map(|hash| (hash, group_last)).collect(),
        },
        ledger,
    }
}

/// Writes one effect into the journal and moves the ledger on.
fn entry(ledger: &mut Ledger, writer: Writer, group_last: Seq, effect: Effect) -> JournalRow {
    let writes_content = matches!(effect.change, Change::Created | Change::Edited);
    ledger.last_at = ledger.last_at.max(writer.now);
    let mut row = JournalRow {
        seq: effect.seq,
        group_last,
        node: effect.node,
        change: effect.change,
        kind: effect.after.kind(),
        place_before: effect.place_before,
        place_after: (effect.change != Change::Deleted).then(|| effect.after.place()),
        content_id: if writes_content {
            content_id(&effect.after.content)
        } else {
            None
        },
        attributes: effect.after.attributes,
        // The quota check bounds every file, so that no sum of a group's sizes leaves i64.
        bytes_delta: effect.bytes_delta as i64,
        device: writer.device,
        at: ledger.last_at,
        chain: ledger.chain,
    };
    row.chain = chain_after(&ledger.chain, &row);
    ledger.chain = row.chain;
    ledger.head = row.seq;
    ledger.bytes_used += row.bytes_delta;
    row
}

pub(super) fn repair(ledger: &Ledger, writer: Writer, row: &NodeRow, computed: ContentHash) -> Outcome {
    let seq = ledger.head.next();
    let mut after = row.clone();
    after.content_seq = seq;
    if let Content::File(file) = &mut after.content {
        file.content_hash = computed;
    }
    let effect = Effect {
        op_index: 0,
        seq,
        node: row.id,
        change: Change::Edited,
        place_before: Some(row.place()),
        bytes_delta: 0,
        after: after.clone(),
    };
    let mut ledger = ledger.clone();
    let journal = vec![entry(&mut ledger, writer, seq, effect)];
    Outcome {
        seqs: vec![seq],
        writes: Writes {
            nodes: BTreeMap::from([(row.id, after)]),
            past_contents: vec![PastContent {
                node: row.id,
                from: row.content_seq,
                to: seq,
                content: row.content.clone(),
                attributes: row.attributes,
                attributes_seq: row.attributes_seq,
            }],
            journal,
            ..Writes::default()
        },
        ledger,
    }
}
