//! Sends what the wishes come to, and records the outcomes in the trees.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use cairn_api::error::ErrorCode;
use cairn_core::change::{Op, Refusal};
use cairn_core::ids::NodeId;
use cairn_core::planner::Wish;
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Neighbourhood, Substance};

use super::report::PassReport;
use super::{Engine, EngineResult};
use crate::fs::DiskPath;
use crate::reason::Reason;
use crate::state::{LocalChange, LocalRow, StateBatch, StateResult, TreeChange};
use crate::uploader::{Advance, Dedup, PieceOutcome};

impl Engine {
    /// Learns what became of a commit that was sent before a cut.
    pub(super) async fn settle_in_flight(&self) -> EngineResult<()> {
        let Some(replayed) = self.uploader.replay_in_flight().await? else {
            self.may_have_lost_writes.store(false, Ordering::Relaxed);
            return Ok(());
        };
        let mut batch = StateBatch {
            settled: Some(replayed.op_id),
            ..StateBatch::default()
        };
        self.follow_journal(&mut batch, replayed.journal).await?;
        for (group, outcome) in replayed.groups.iter().zip(&replayed.outcomes) {
            if let PieceOutcome::Applied { seqs } = outcome {
                self.record_applied(group, seqs, &mut batch).await?;
            }
        }
        if self.may_have_lost_writes.load(Ordering::Relaxed) {
            self.keep_base_of_set_back(&mut batch).await?;
        }
        self.state.apply(self.namespace, batch).await?;
        if self.may_have_lost_writes.swap(false, Ordering::Relaxed) {
            self.forget_taken_back().await?;
        }
        Ok(())
    }

    /// Sends groups of wishes and records what became of them. Without a report only what took effect is recorded. Says
    /// whether all did.
    pub(super) async fn push(
        &self,
        hood: &Neighbourhood,
        groups: &[Vec<Wish>],
        mut report: Option<&mut PassReport>,
    ) -> EngineResult<bool> {
        let seen = self
            .state
            .cursor(self.namespace)
            .await?
            .map_or(Seq::ZERO, |cursor| cursor.seq);
        let mut pieces = Vec::with_capacity(groups.len());
        let mut paths = Vec::with_capacity(groups.len());
        let mut outgoing = self.outgoing(groups).await?;
        for wishes in groups {
            if let Some((piece, path)) = self.piece(&mut outgoing, hood, wishes, seen).await? {
                pieces.push(piece);
                paths.push(path);
            }
        }
        let mut is_done = pieces.len() == groups.len();
        if pieces.is_empty() {
            return Ok(is_done);
        }
        let asked: Vec<Vec<Op>> = pieces.iter().map(|piece| piece.group.clone()).collect();
        let dedup = if seen == Seq::ZERO {
            Dedup::Skip
        } else {
            Dedup::Ask
        };
        let mut sending = self.uploader.send(pieces, dedup);
        while let Some(result) = sending.next().await? {
            let is_applied = |outcome: &PieceOutcome| matches!(outcome, PieceOutcome::Applied { .. });
            is_done &= result.outcomes.iter().all(|(_, outcome)| is_applied(outcome));
            let is_told = report.is_some();
            let outcomes = result
                .outcomes
                .iter()
                .filter(|(_, outcome)| is_told || is_applied(outcome))
                .map(|(index, outcome)| (&asked[*index], outcome, &paths[*index]));
            let mut settled = StateBatch {
                settled: result.op_id,
                ..StateBatch::default()
            };
            self.follow_journal(&mut settled, result.journal).await?;
            let mut unheard = PassReport::default();
            let report = report.as_deref_mut().unwrap_or(&mut unheard);
            self.record_outcomes(&mut settled, outcomes, seen, report).await?;
            self.state.apply(self.namespace, settled).await?;
        }
        Ok(is_done)
    }

    /// Notes where the journal stands after a commit. When the commit came right after what was read, its outcomes are all
    /// that the journal would tell, and it counts as read; else, and while an earlier one waits for that, the journal is
    /// searched for the commit when it is read.
    async fn follow_journal(&self, batch: &mut StateBatch, journal: Option<Advance>) -> StateResult<()> {
        let Some(journal) = journal else {
            return Ok(());
        };
        let known = self.state.cursor(self.namespace).await?;
        let follows = known.is_some_and(|known| journal.follows(&known));
        if follows && self.state.checkpoints(self.namespace).await?.is_empty() {
            batch.cursor = Some(journal.cursor);
        } else {
            batch.checkpoint = Some(journal.cursor);
        }
        Ok(())
    }

    /// Where a node is on the disk, or was on the server; for messages and for reading.
    pub(super) async fn path_of(&self, node: NodeId) -> StateResult<DiskPath> {
        let names = match self.state.disk_path(self.namespace, node).await? {
            Some(names) => names,
            None => self
                .state
                .remote_path(self.namespace, node)
                .await?
                .unwrap_or_default(),
        };
        Ok(DiskPath::from_names(names))
    }

    async fn record_outcomes<'a>(
        &self,
        batch: &mut StateBatch,
        outcomes: impl Iterator<Item = (&'a Vec<Op>, &'a PieceOutcome, &'a DiskPath)>,
        seen: Seq,
        report: &mut PassReport,
    ) -> EngineResult<()> {
        for (group, outcome, path) in outcomes {
            match outcome {
                PieceOutcome::Applied { seqs } => {
                    self.record_applied(group, seqs, batch).await?;
                    report.done += group.len() as u64;
                }
                PieceOutcome::Refused { op_index, refusal } => {
                    self.record_refusal(&group[*op_index], refusal, seen, batch)
                        .await?;
                    match refusal {
                        Refusal::NameTaken { .. } => {
                            self.names_taken.fetch_add(1, Ordering::Relaxed);
                        }
                        Refusal::IdTaken { node } => {
                            report.taken_ids.insert(*node);
                        }
                        _ => {}
                    }
                    note_refusal(refusal, path, report);
                }
                PieceOutcome::FileChanged { path } => {
                    self.distrust(group, path, batch).await?;
                    report.must_look(path.parent().unwrap_or_default());
                }
                PieceOutcome::FileFailed(error) => {
                    report.must_rescan(path.parent().unwrap_or_default());
                    let message = format!("{error}: {}; check its permissions", error.source);
                    report.set_back(&path.to_string(), Reason::Unreadable, message, true);
                }
                PieceOutcome::Rejected(error) if error.code == ErrorCode::NotOnChain => {
                    report.is_stale = true;
                    report.set_back(&path.to_string(), Reason::Stale, error.message.clone(), true);
                }
                PieceOutcome::Rejected(error) => {
                    let is_transient = error.code.is_transient();
                    report.set_back(
                        &path.to_string(),
                        Reason::Rejected,
                        error.message.clone(),
                        is_transient,
                    );
                }
            }
        }
        Ok(())
    }

    /// Has a file of a group read again by the next scan, whatever its times and size say: its bytes were others than
    /// remembered. A loss of power leaves it so. By its node, since a newcomer may stand at its path.
    async fn distrust(&self, group: &[Op], path: &DiskPath, batch: &mut StateBatch) -> StateResult<()> {
        for node in group.iter().map(Op::node) {
            let names = self.state.disk_path(self.namespace, node).await?;
            if names.as_deref() != Some(path.names()) {
                continue;
            }
            let row = self.state.local(self.namespace, node).await?;
            if let Some(row) = row.filter(|row| matches!(row.entry.substance, Substance::File { .. })) {
                batch.local.push(LocalChange::Put(LocalRow {
                    is_unsure: true,
                    ..row
                }));
            }
        }
        Ok(())
    }

    /// Records in the trees what a group did.
    async fn record_applied(&self, group: &[Op], seqs: &[Seq], batch: &mut StateBatch) -> StateResult<()> {
        for (op, seq) in group.iter().zip(seqs.iter().copied()) {
            let node = op.node();
            match op {
                Op::Create {
                    place,
                    content,
                    attributes,
                    ..
                } => {
                    let entry = Entry {
                        place: place.clone(),
                        substance: content.into(),
                        attributes: *attributes,
                        place_seq: seq,
                        content_seq: seq,
                    };
                    batch.remote.push(TreeChange::Put(node, entry.clone()));
                    batch.synced.push(TreeChange::Put(node, entry));
                }
                Op::Move { place, .. } => {
                    self.record_in_both(node, batch, |entry| Entry {
                        place: place.clone(),
                        place_seq: seq,
                        ..entry
                    })
                    .await?;
                }
                Op::Edit {
                    content, attributes, ..
                } => {
                    self.record_in_both(node, batch, |entry| Entry {
                        substance: content.into(),
                        attributes: *attributes,
                        content_seq: seq,
                        ..entry
                    })
                    .await?;
                }
                Op::SetAttributes { attributes, .. } => {
                    self.record_in_both(node, batch, |entry| Entry {
                        attributes: *attributes,
                        ..entry
                    })
                    .await?;
                }
                Op::Delete { .. } => {
                    batch.remote.push(TreeChange::RemoveSubtree(node));
                    batch.synced.push(TreeChange::RemoveSubtree(node));
                }
            }
        }
        Ok(())
    }

    /// Changes a node in the remote tree, and in the synced one when it is there, on top of what this batch has changed.
    async fn record_in_both(
        &self,
        node: NodeId,
        batch: &mut StateBatch,
        change: impl Fn(Entry) -> Entry,
    ) -> StateResult<()> {
        let pending = |changes: &[TreeChange]| {
            changes.iter().rev().find_map(|change| match change {
                TreeChange::Put(id, entry) if *id == node => Some(entry.clone()),
                _ => None,
            })
        };
        let remote = match pending(&batch.remote) {
            Some(entry) => Some(entry),
            None => self.state.remote(self.namespace, node).await?,
        };
        if let Some(entry) = remote {
            batch.remote.push(TreeChange::Put(node, change(entry)));
        }
        let synced = match pending(&batch.synced) {
            Some(entry) => Some(entry),
            None => self.state.synced(self.namespace, node).await?,
        };
        if let Some(entry) = synced {
            batch.synced.push(TreeChange::Put(node, change(entry)));
        }
        Ok(())
    }

    /// Gives nodes another id where the server still has none of theirs after it was read anew: it has had such a node, which
    /// was deleted since, and the id is used up.
    pub(super) async fn replace_taken_ids(&self, nodes: BTreeSet<NodeId>) -> EngineResult<()> {
        let mut batch = StateBatch::default();
        for node in nodes {
            let is_unknown = self.state.remote(self.namespace, node).await?.is_none()
                && self.state.synced(self.namespace, node).await?.is_none();
            if is_unknown {
                let fresh = NodeId::random(self.runtime.entropy.as_ref());
                batch.rebind.push((node, fresh));
            }
        }
        Ok(self.state.apply(self.namespace, batch).await?)
    }

    /// Takes over a counter that the server named and the journal will not tell: it is not newer than what was read.
    async fn record_refusal(
        &self,
        op: &Op,
        refusal: &Refusal,
        seen: Seq,
        batch: &mut StateBatch,
    ) -> StateResult<()> {
        let node = op.node();
        match refusal {
            Refusal::StalePlace { node: stale, current } if *stale == node && *current <= seen => {
                self.record_in_both(node, batch, |entry| Entry {
                    place_seq: *current,
                    ..entry
                })
                .await
            }
            Refusal::StaleContent { node: stale, current } if *stale == node && *current <= seen => {
                self.record_in_both(node, batch, |entry| Entry {
                    content_seq: *current,
                    ..entry
                })
                .await
            }
            _ => Ok(()),
        }
    }
}

/// Most refusals mean that the trees are behind: they are read again and planned anew. The others are told.
fn note_refusal(refusal: &Refusal, path: &DiskPath, report: &mut PassReport) {
    let shown = path.to_string();
    match refusal {
        Refusal::QuotaExceeded { .. } => {
            let message = format!("{refusal}; free space on the server or ask for a larger quota");
            report.set_back(&shown, Reason::OverQuota, message, true);
        }
        Refusal::TooDeep => {
            report.set_back(
                &shown,
                Reason::TooDeep,
                format!("{refusal}; move it further up"),
                false,
            );
        }
        Refusal::MissingChunks { .. } => {
            report.set_back(
                &shown,
                Reason::MissingChunks,
                format!("{refusal}; it is sent again"),
                true,
            );
        }
        _ => {
            report.is_stale = true;
            report.set_back(
                &shown,
                Reason::Stale,
                format!("the server has moved on: {refusal}"),
                true,
            );
        }
    }
}
