//! What must hold in a namespace, checked over all its rows.

use std::collections::{BTreeMap, HashMap, HashSet};

use cairn_core::change::Change;
use cairn_core::ids::{ChainHash, NodeId};
use cairn_core::limits;
use cairn_core::node::NodeKind;
use cairn_core::rev::Seq;

use crate::codec::{chain_after, content_id};
use crate::row::{JournalRow, Ledger, NodeRow, PastContent, PastPlace, trash_key};

/// All rows of a namespace that the invariants are about.
#[derive(Debug)]
pub(crate) struct Dump {
    pub(crate) ledger: Ledger,
    pub(crate) journal_floor: Seq,
    pub(crate) nodes: Vec<NodeRow>,
    /// By node and position.
    pub(crate) past_places: Vec<PastPlace>,
    /// By node and position.
    pub(crate) past_contents: Vec<PastContent>,
    /// By position.
    pub(crate) journal: Vec<JournalRow>,
}

impl Dump {
    pub(crate) fn new(ledger: Ledger, journal_floor: Seq) -> Self {
        Self {
            ledger,
            journal_floor,
            nodes: Vec::new(),
            past_places: Vec::new(),
            past_contents: Vec::new(),
            journal: Vec::new(),
        }
    }
}

/// Names every violation. Names of files do not appear in what it says.
pub(crate) fn violations(dump: &Dump) -> Vec<String> {
    let mut found = Vec::new();
    check_tree(dump, &mut found);
    check_journal(dump, &mut found);
    check_history(dump, &mut found);
    found
}

fn check_tree(dump: &Dump, found: &mut Vec<String>) {
    let nodes: HashMap<NodeId, &NodeRow> = dump.nodes.iter().map(|row| (row.id, row)).collect();
    let mut keys = HashSet::new();
    let mut live_bytes = 0_i128;
    for row in &dump.nodes {
        if row.id.is_reserved() {
            found.push(format!("node {} has a reserved id", row.id));
        }
        if !keys.insert((row.parent, row.key.as_str())) {
            found.push(format!(
                "node {} shares its name in folder {}",
                row.id, row.parent
            ));
        }
        let in_trash = row.parent == NodeId::TRASH;
        let key = if in_trash {
            trash_key(row.id)
        } else {
            row.name.key().as_str().to_owned()
        };
        if row.key != key {
            found.push(format!("node {} has a key that is not its name's", row.id));
        }
        let (mut at, mut depth) = (row.parent, 0_usize);
        while let Some(parent) = nodes.get(&at)
            && depth <= dump.nodes.len()
        {
            if parent.kind() != NodeKind::Directory {
                found.push(format!("node {} lies below {}, which is no folder", row.id, at));
            }
            at = parent.parent;
            depth += 1;
        }
        match at {
            NodeId::ROOT => {
                live_bytes += row.size();
                if depth > limits::TREE_DEPTH {
                    found.push(format!("node {} has {depth} folders above it", row.id));
                }
            }
            NodeId::TRASH => {}
            _ if depth > dump.nodes.len() => found.push(format!("node {} lies below itself", row.id)),
            _ => found.push(format!("node {} is an orphan below {at}", row.id)),
        }
    }
    if live_bytes != i128::from(dump.ledger.bytes_used) {
        found.push(format!(
            "bytes_used is {}, the live files have {live_bytes}",
            dump.ledger.bytes_used
        ));
    }
}

fn check_journal(dump: &Dump, found: &mut Vec<String>) {
    let mut expected = dump
        .journal
        .first()
        .map_or(dump.ledger.head.next(), |row| row.seq);
    // The entry at the floor may be kept for its chain hash.
    if expected > dump.journal_floor.next() {
        found.push(format!("the journal starts at {expected}, above its floor"));
    }
    let mut previous = (expected == Seq::ZERO.next()).then_some(ChainHash::new([0; 32]));
    let mut group_last = expected;
    let mut at = None;
    for row in &dump.journal {
        if row.seq != expected {
            found.push(format!("the journal has {} where {expected} belongs", row.seq));
        }
        expected = row.seq.next();
        if let Some(previous) = previous
            && chain_after(&previous, row) != row.chain
        {
            found.push(format!("the chain breaks at {}", row.seq));
        }
        previous = Some(row.chain);
        let starts_group = row.seq > group_last || row.seq == dump.journal[0].seq;
        if starts_group {
            group_last = row.group_last;
        }
        if row.group_last != group_last || row.seq > row.group_last {
            found.push(format!(
                "entry {} names {} as its group's last",
                row.seq, row.group_last
            ));
        }
        if at > Some(row.at) {
            found.push(format!("entry {} is earlier than the one before", row.seq));
        }
        at = Some(row.at);
    }
    if expected != dump.ledger.head.next() || group_last > dump.ledger.head && !dump.journal.is_empty() {
        found.push(format!(
            "the journal does not end at the head {}",
            dump.ledger.head
        ));
    }
    if let Some(last) = dump.journal.last()
        && last.chain != dump.ledger.chain
    {
        found.push("the head's chain hash is not the last entry's".to_owned());
    }
    if dump.journal_floor == Seq::ZERO {
        let sum: i128 = dump.journal.iter().map(|row| i128::from(row.bytes_delta)).sum();
        if sum != i128::from(dump.ledger.bytes_used) {
            found.push(format!("the journal's deltas add up to {sum}"));
        }
    }
}

/// Every node's places follow one another without gap or overlap, from its creation to its current place, and at each
/// end stands the journal entry that changed it; so do its contents.
fn check_history(dump: &Dump, found: &mut Vec<String>) {
    let mut places: BTreeMap<NodeId, Vec<(Seq, Seq)>> = BTreeMap::new();
    for past in &dump.past_places {
        places.entry(past.node).or_default().push((past.from, past.to));
    }
    let mut contents: BTreeMap<NodeId, Vec<(Seq, Seq)>> = BTreeMap::new();
    for past in &dump.past_contents {
        contents.entry(past.node).or_default().push((past.from, past.to));
    }
    let entries: HashMap<Seq, &JournalRow> = dump.journal.iter().map(|row| (row.seq, row)).collect();
    for row in &dump.nodes {
        for (what, intervals, current) in [
            ("places", places.remove(&row.id), row.place_seq),
            ("contents", contents.remove(&row.id), row.content_seq),
        ] {
            let intervals = intervals.unwrap_or_default();
            let mut expected = row.created_seq;
            for (from, to) in intervals {
                if from != expected || to <= from {
                    found.push(format!("the {what} of node {} break at {from}", row.id));
                }
                expected = to;
            }
            if expected != current {
                found.push(format!(
                    "the {what} of node {} end at {expected}, not at {current}",
                    row.id
                ));
            }
            if current > dump.journal_floor && entries.get(&current).is_none_or(|entry| entry.node != row.id)
            {
                found.push(format!(
                    "the {what} of node {} have no entry at {current}",
                    row.id
                ));
            }
        }
        check_last_entry(row, &entries, found);
    }
    for node in places.keys().chain(contents.keys()) {
        found.push(format!("node {node} has a history and does not exist"));
    }
}

/// The entry that wrote the current content pins that content.
fn check_last_entry(row: &NodeRow, entries: &HashMap<Seq, &JournalRow>, found: &mut Vec<String>) {
    if let Some(entry) = entries.get(&row.content_seq)
        && (entry.content_id != content_id(&row.content)
            || !matches!(entry.change, Change::Created | Change::Edited))
    {
        found.push(format!(
            "node {} does not hold what entry {} wrote",
            row.id, entry.seq
        ));
    }
}
