//! One namespace in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cairn_core::change::{GroupOutcome, JournalEntry};
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, Incarnation, NamespaceId, NodeId, OpId,
};
use cairn_core::name::NodeName;
use cairn_core::node::{Content, NodeKind};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

use crate::invariants::Dump;
use crate::row::{JournalRow, Ledger, NodeRow, PastContent, PastPlace};
use crate::rules::{Below, BelowQuery, Facts, Need, Outcome, Verdict, Writer, judge, repair, went_back};
use crate::{
    Account, Changes, Commit, CommitOutcome, CursorReport, MetadataError, NamespaceHead, ResetReason, Result,
    Written,
};

#[derive(Debug, Clone)]
pub(super) struct Namespace {
    pub(super) id: NamespaceId,
    pub(super) owner: AccountId,
    incarnation: Incarnation,
    pub(super) ledger: Ledger,
    nodes: BTreeMap<NodeId, NodeRow>,
    /// Who has a key in a folder.
    names: BTreeMap<(NodeId, String), NodeId>,
    past_places: BTreeMap<NodeId, Vec<PastPlace>>,
    past_contents: BTreeMap<NodeId, Vec<PastContent>>,
    /// Entry `n` has index `n - 1`.
    journal: Vec<JournalRow>,
    answered: HashMap<(DeviceId, OpId), Answered>,
    pub(super) chunk_refs: HashMap<ChunkHash, Seq>,
    grants: HashMap<(AccountId, ChunkHash), Grant>,
    cursors: HashMap<DeviceId, Cursor>,
    /// Contents whose hash nobody has checked, by the position that wrote them.
    unverified: BTreeMap<Seq, NodeId>,
}

#[derive(Debug, Clone)]
struct Answered {
    request_hash: [u8; 32],
    groups: Vec<GroupOutcome>,
    cursor: Cursor,
    base: ChainHash,
    at: Timestamp,
}

#[derive(Debug, Clone, Copy)]
struct Grant {
    lease: i64,
    expires_at: Timestamp,
}

impl Grant {
    /// Whether it lets its chunk be committed.
    fn counts(&self, fence_epoch: i64, now: Timestamp) -> bool {
        self.expires_at > now && self.lease >= fence_epoch - 1
    }
}

/// A position, or the present.
fn reaches(seq: Seq, at: Option<Seq>) -> bool {
    at.is_none_or(|at| seq <= at)
}

impl Namespace {
    pub(super) fn new(account: &Account, incarnation: Incarnation) -> Self {
        Self {
            id: account.root,
            owner: account.id,
            incarnation,
            ledger: Ledger {
                head: Seq::ZERO,
                chain: ChainHash::new([0; 32]),
                last_at: account.created_at,
                bytes_used: 0,
                bytes_granted: None,
                fence_epoch: 0,
            },
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
            past_places: BTreeMap::new(),
            past_contents: BTreeMap::new(),
            journal: Vec::new(),
            answered: HashMap::new(),
            chunk_refs: HashMap::new(),
            grants: HashMap::new(),
            cursors: HashMap::new(),
            unverified: BTreeMap::new(),
        }
    }

    pub(super) fn head(&self) -> NamespaceHead {
        NamespaceHead {
            id: self.id,
            owner: self.owner,
            incarnation: self.incarnation,
            seq: self.ledger.head,
            chain: self.ledger.chain,
            journal_floor: Seq::ZERO,
            bytes_used: u64::try_from(self.ledger.bytes_used).unwrap_or(0),
            fence_epoch: self.ledger.fence_epoch,
        }
    }

    pub(super) fn origin(&self) -> Cursor {
        Cursor {
            seq: Seq::ZERO,
            chain: ChainHash::new([0; 32]),
            ..self.head().cursor()
        }
    }

    // Trees.

    /// A node in its state at a position, wherever it stood.
    pub(super) fn state(&self, id: NodeId, at: Option<Seq>) -> Option<NodeRow> {
        let mut row = self.nodes.get(&id)?.clone();
        if !reaches(row.created_seq, at) {
            return None;
        }
        if !reaches(row.place_seq, at) {
            let past = self.past_places.get(&id)?;
            let past = past.iter().rfind(|past| reaches(past.from, at))?;
            row.parent = past.parent;
            row.name = past.name.clone();
            row.key = past.key.clone();
            row.place_seq = past.from;
        }
        if !reaches(row.content_seq, at) {
            let past = self.past_contents.get(&id)?;
            let past = past.iter().rfind(|past| reaches(past.from, at))?;
            put_content(&mut row, past);
        }
        Some(row)
    }

    /// The folders above a node, nearest first; `None` when it did not stand in the tree.
    pub(super) fn ancestors(&self, id: NodeId, at: Option<Seq>) -> Option<Vec<NodeRow>> {
        let mut above = Vec::new();
        if id == NodeId::ROOT {
            return Some(above);
        }
        let mut parent = self.state(id, at)?.parent;
        // Within a group a folder may pass below itself; such a position is no tree.
        while parent != NodeId::ROOT && above.len() <= self.nodes.len() {
            let row = self.state(parent, at)?;
            parent = row.parent;
            above.push(row);
        }
        (parent == NodeId::ROOT).then_some(above)
    }

    /// A node that stood in the tree.
    pub(super) fn live(&self, id: NodeId, at: Option<Seq>) -> Option<NodeRow> {
        self.ancestors(id, at)?;
        self.state(id, at)
    }

    fn is_live_folder(&self, folder: NodeId, at: Option<Seq>) -> bool {
        folder == NodeId::ROOT || self.live(folder, at).is_some()
    }

    pub(super) fn child(&self, parent: NodeId, key: &str) -> Option<NodeRow> {
        let id = self.names.get(&(parent, key.to_owned()))?;
        self.live(*id, None)
    }

    pub(super) fn last_child(&self, parent: NodeId, key: &str) -> Option<NodeRow> {
        let holder = self.names.get(&(parent, key.to_owned())).copied();
        let places = self.past_places.values().flatten();
        let left = places.filter(|past| past.parent == parent && past.key == key);
        let id = holder.or_else(|| left.max_by_key(|past| past.to).map(|past| past.node))?;
        self.nodes.get(&id).cloned()
    }

    /// The names that were given up in a folder until a position and are free there, by key, after `after`.
    pub(super) fn vacated(&self, parent: NodeId, at: Seq, after: &str) -> Vec<NodeName> {
        if !self.is_live_folder(parent, Some(at)) {
            return Vec::new();
        }
        let taken: BTreeSet<String> = self
            .children(parent, Some(at), "")
            .into_iter()
            .map(|row| row.key)
            .collect();
        let mut left: BTreeMap<&str, &PastPlace> = BTreeMap::new();
        let places = self.past_places.values().flatten();
        for past in places.filter(|past| past.parent == parent && past.to <= at) {
            let is_free = past.key.as_str() > after && !taken.contains(&past.key);
            let last = left.get(past.key.as_str());
            if is_free && last.is_none_or(|last| last.to < past.to) {
                left.insert(&past.key, past);
            }
        }
        left.into_values().map(|past| past.name.clone()).collect()
    }

    /// The nodes of a folder, by key, after `after`.
    pub(super) fn children(&self, parent: NodeId, at: Option<Seq>, after: &str) -> Vec<NodeRow> {
        if !self.is_live_folder(parent, at) {
            return Vec::new();
        }
        let all: Vec<NodeRow> = match at {
            None => self.children_now(parent).cloned().collect(),
            Some(_) => {
                let states = self.nodes.keys().filter_map(|id| self.state(*id, at));
                states.filter(|row| row.parent == parent).collect()
            }
        };
        let mut after: Vec<NodeRow> = all.into_iter().filter(|row| row.key.as_str() > after).collect();
        after.sort_by(|a, b| a.key.cmp(&b.key));
        after
    }

    fn children_now(&self, parent: NodeId) -> impl Iterator<Item = &NodeRow> {
        self.names
            .range((parent, String::new())..)
            .take_while(move |((folder, _), _)| *folder == parent)
            .filter_map(|(_, id)| self.nodes.get(id))
    }

    /// All nodes of the tree below a folder, by id, after `after`.
    pub(super) fn below(&self, folder: NodeId, at: Seq, after: Option<NodeId>) -> Vec<NodeRow> {
        if !self.is_live_folder(folder, Some(at)) {
            return Vec::new();
        }
        let is_below = |id: &NodeId| {
            self.ancestors(*id, Some(at))
                .is_some_and(|above| folder == NodeId::ROOT || above.iter().any(|row| row.id == folder))
        };
        let ids = self.nodes.keys().filter(|id| Some(**id) > after);
        ids.filter(|id| is_below(id))
            .filter_map(|id| self.state(*id, Some(at)))
            .collect()
    }

    pub(super) fn trashed(&self, after: Option<NodeId>) -> Vec<NodeRow> {
        let trash = self.children_now(NodeId::TRASH);
        trash.filter(|row| Some(row.id) > after).cloned().collect()
    }

    /// The states of a node's content before a position, newest first.
    pub(super) fn revisions(&self, id: NodeId, before: Option<Seq>) -> Vec<NodeRow> {
        let Some(current) = self.nodes.get(&id) else {
            return Vec::new();
        };
        let past = self.past_contents.get(&id).into_iter().flatten().rev();
        let past = past.map(|past| {
            let mut row = current.clone();
            put_content(&mut row, past);
            row
        });
        std::iter::once(current.clone())
            .chain(past)
            .filter(|row| before.is_none_or(|before| row.content_seq < before))
            .collect()
    }

    // The journal.

    /// Whether the journal was there.
    fn was_at(&self, cursor: &Cursor) -> bool {
        let chain = match cursor.seq.get() {
            0 => Some(ChainHash::new([0; 32])),
            seq => self.journal.get(seq as usize - 1).map(|row| row.chain),
        };
        cursor.incarnation == self.incarnation && chain == Some(cursor.chain)
    }

    pub(super) fn changes(&self, cursor: &Cursor, limit: usize) -> Changes {
        let head = self.head().cursor();
        if !self.was_at(cursor) {
            let reason = ResetReason::NotOnChain;
            return Changes::Reset { reason, head };
        }
        let rest = &self.journal[cursor.seq.get() as usize..];
        let wanted = limit.max(1).min(rest.len());
        let end = match wanted.checked_sub(1).map(|last| rest[last].group_last) {
            Some(group_last) => (group_last.get() - cursor.seq.get()) as usize,
            None => 0,
        };
        let page = &rest[..end];
        Changes::Page {
            entries: page.iter().map(|row| self.entry(row)).collect(),
            cursor: page.last().map_or(*cursor, |last| Cursor {
                seq: last.seq,
                chain: last.chain,
                ..*cursor
            }),
            has_more: end < rest.len(),
        }
    }

    pub(super) fn entries_before(&self, before: Option<Seq>, limit: usize) -> Vec<JournalEntry> {
        let is_before = |row: &&JournalRow| before.is_none_or(|before| row.seq < before);
        let mut entries: Vec<JournalEntry> = Vec::new();
        for row in self.journal.iter().rev().filter(is_before) {
            let continues = entries
                .last()
                .is_some_and(|last| last.group_last == row.group_last);
            if entries.len() >= limit.max(1) && !continues {
                break;
            }
            entries.push(self.entry(row));
        }
        entries
    }

    pub(super) fn written(&self, seq: Seq) -> Option<Written> {
        let index = usize::try_from(seq.get()).ok()?.checked_sub(1)?;
        self.journal.get(index).map(|row| Written {
            node: row.node,
            device: row.device,
            at: row.at,
        })
    }

    fn entry(&self, row: &JournalRow) -> JournalEntry {
        let states = self.revisions(row.node, None);
        let written = states.into_iter().find(|state| state.content_seq == row.seq);
        row.clone().into_entry(written.map(|state| state.content))
    }

    pub(super) fn commit(&mut self, commit: &Commit) -> Result<CommitOutcome> {
        let attempt = (commit.device, commit.op_id);
        if let Some(earlier) = self.answered.get(&attempt) {
            if earlier.request_hash != commit.request_hash {
                return Err(MetadataError::OpIdReused(commit.op_id));
            }
            return Ok(CommitOutcome {
                groups: earlier.groups.clone(),
                cursor: earlier.cursor,
                base: earlier.base,
            });
        }
        if commit
            .known
            .is_some_and(|known| known.namespace != commit.namespace || !self.was_at(&known))
        {
            return Err(MetadataError::NotOnChain(commit.namespace));
        }
        let base = self.ledger.chain;
        let writer = Writer {
            device: commit.device,
            now: commit.now,
        };
        let mut groups = Vec::with_capacity(commit.groups.len());
        for group in &commit.groups {
            let mut facts = Facts::new(self.ledger.clone());
            groups.push(loop {
                match judge(&facts, writer, group) {
                    Verdict::Needs(need) => self.fetch(&mut facts, commit, need),
                    Verdict::Refused { op_index, refusal } => {
                        break GroupOutcome::Refused { op_index, refusal };
                    }
                    Verdict::Applied(outcome) => {
                        let seqs = outcome.seqs.clone();
                        self.apply(*outcome);
                        break GroupOutcome::Applied { seqs };
                    }
                }
            });
        }
        let cursor = self.head().cursor();
        // Also where nothing was applied: a repetition may be answered before the first request arrives, which must not take
        // effect when nobody expects it any more.
        let answered = Answered {
            request_hash: commit.request_hash,
            groups: groups.clone(),
            cursor,
            base,
            at: self.ledger.last_at.max(commit.now),
        };
        self.answered.insert(attempt, answered);
        Ok(CommitOutcome { groups, cursor, base })
    }

    fn fetch(&self, facts: &mut Facts, commit: &Commit, need: Need) {
        match need {
            Need::Node(id) => {
                let row = self.nodes.get(&id).cloned();
                facts.nodes.insert(id, row);
            }
            Need::Holder(parent, key) => {
                let holder = self.names.get(&(parent, key.clone())).copied();
                facts.holders.insert((parent, key), holder);
            }
            Need::Below(query) => {
                let below = self.sum_below(&query, query.folder);
                facts.below.insert(query, below);
            }
            Need::Chunks(hashes) => {
                let have = self.have(commit.account, &hashes, commit.now);
                facts.chunks.extend(hashes.into_iter().zip(have));
            }
        }
    }

    fn sum_below(&self, query: &BelowQuery, folder: NodeId) -> Below {
        let mut sum = Below::default();
        for child in self.children_now(folder) {
            if query.excluded.contains(&child.id) {
                continue;
            }
            let deeper = self.sum_below(query, child.id);
            sum.bytes += child.size() + deeper.bytes;
            sum.height = sum.height.max(1 + deeper.height);
            let written = child.place_seq.max(child.content_seq);
            sum.newest = sum.newest.max(Some((written, child.id))).max(deeper.newest);
        }
        sum
    }

    fn apply(&mut self, outcome: Outcome) {
        let head = self.ledger.head;
        self.ledger = outcome.ledger;
        let writes = outcome.writes;
        for row in writes.nodes.values() {
            if let Some(old) = self.nodes.get(&row.id) {
                self.names.remove(&(old.parent, old.key.clone()));
            }
        }
        for (id, row) in writes.nodes {
            self.names.insert((row.parent, row.key.clone()), id);
            if row.kind() == NodeKind::File && row.content_seq > head {
                self.unverified.insert(row.content_seq, id);
            }
            self.nodes.insert(id, row);
        }
        for past in writes.past_places {
            self.past_places.entry(past.node).or_default().push(past);
        }
        for past in writes.past_contents {
            self.unverified.remove(&past.from);
            self.past_contents.entry(past.node).or_default().push(past);
        }
        self.journal.extend(writes.journal);
        self.chunk_refs.extend(writes.chunk_refs);
    }

    pub(super) fn report_cursor(&mut self, cursor: &Cursor, device: DeviceId) -> CursorReport {
        let head = self.ledger.head;
        let earlier = self.cursors.get(&device);
        let earlier = earlier.filter(|earlier| earlier.incarnation == cursor.incarnation);
        if went_back(earlier.map(|earlier| earlier.seq), cursor.seq, head) {
            return CursorReport::DeviceRestored;
        }
        let seq = cursor.seq.min(head);
        self.cursors.insert(device, Cursor { seq, ..*cursor });
        CursorReport::Accepted
    }

    // Chunks.

    pub(super) fn grant(
        &mut self,
        account: AccountId,
        hashes: &[ChunkHash],
        lease: i64,
        expires_at: Timestamp,
    ) {
        for hash in hashes {
            let grant = self
                .grants
                .entry((account, *hash))
                .or_insert(Grant { lease, expires_at });
            grant.lease = grant.lease.max(lease);
            grant.expires_at = grant.expires_at.max(expires_at);
        }
    }

    pub(super) fn have(&self, account: AccountId, hashes: &[ChunkHash], now: Timestamp) -> Vec<bool> {
        let fence = self.ledger.fence_epoch;
        let may = |hash: &ChunkHash| {
            let grant = self.grants.get(&(account, *hash));
            self.chunk_refs.contains_key(hash) || grant.is_some_and(|grant| grant.counts(fence, now))
        };
        hashes.iter().map(may).collect()
    }

    pub(super) fn extend_grants(
        &mut self,
        account: AccountId,
        hashes: &[ChunkHash],
        now: Timestamp,
        extend_to: Timestamp,
    ) {
        let due = extend_to.plus_millis(-crate::EXTENSION_MS);
        for hash in hashes {
            if let Some(grant) = self.grants.get_mut(&(account, *hash))
                && grant.counts(self.ledger.fence_epoch, now)
                && grant.expires_at < due
                && !self.chunk_refs.contains_key(hash)
            {
                grant.expires_at = extend_to;
            }
        }
    }

    // Jobs.

    pub(super) fn unverified(&self) -> impl Iterator<Item = &NodeRow> {
        self.unverified.values().filter_map(|id| self.nodes.get(id))
    }

    pub(super) fn record_hash(
        &mut self,
        node: NodeId,
        content_seq: Seq,
        computed: ContentHash,
        now: Timestamp,
    ) {
        let is_live = self.live(node, None).is_some();
        let Some(row) = self.nodes.get_mut(&node) else {
            return;
        };
        let Content::File(file) = &mut row.content else {
            return;
        };
        if row.content_seq != content_seq {
            return;
        }
        if file.content_hash != computed {
            if is_live {
                let device = DeviceId::SERVER;
                let outcome = repair(&self.ledger, Writer { device, now }, row, computed);
                let corrected = outcome.ledger.head;
                self.apply(outcome);
                self.unverified.remove(&corrected);
            } else {
                // No reader holds a node in the trash: it is corrected where it lies.
                file.content_hash = computed;
            }
        }
        self.unverified.remove(&content_seq);
    }

    pub(super) fn remove_expired(&mut self, now: Timestamp) -> u64 {
        let before = self.grants.len();
        self.grants.retain(|_, grant| grant.expires_at >= now);
        let oldest = now.plus_millis(-crate::OP_ID_MS);
        self.answered.retain(|_, answered| answered.at >= oldest);
        (before - self.grants.len()) as u64
    }

    pub(super) fn dump(&self) -> Dump {
        let mut dump = Dump::new(self.ledger.clone(), Seq::ZERO);
        dump.nodes = self.nodes.values().cloned().collect();
        dump.past_places = self.past_places.values().flatten().cloned().collect();
        dump.past_contents = self.past_contents.values().flatten().cloned().collect();
        dump.journal = self.journal.clone();
        dump
    }
}

fn put_content(row: &mut NodeRow, past: &PastContent) {
    row.content = past.content.clone();
    row.attributes = past.attributes;
    row.content_seq = past.from;
    row.attributes_seq = past.attributes_seq;
}
