//! The commit: judged by the rules, written in one savepoint.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use cairn_core::change::GroupOutcome;
use cairn_core::ids::{ChainHash, Incarnation, NamespaceId};
use cairn_core::rev::{Cursor, Seq};

use super::decode::Columns;
use super::flush::{flush, write_ledger};
use super::journal::chain_at;
use super::prefetch::{Asker, fetch, prefetch};
use super::statement::{Session, query};
use super::writer::Write;
use crate::codec::{StoredOutcome, decode_outcome, encode_outcome};
use crate::row::Ledger;
use crate::rules::{Facts, Need, Verdict, Writer, Writes, judge};
use crate::{Commit, CommitOutcome, Group, MetadataError, Result};

pub(super) struct CommitWrite(pub(super) Commit);

#[async_trait]
impl Write for CommitWrite {
    type Output = CommitOutcome;

    fn weight(&self) -> usize {
        self.0
            .groups
            .iter()
            .map(|group| group.ops.len())
            .sum::<usize>()
            .max(1)
    }

    async fn run(&self, session: &mut Session<'_>) -> Result<CommitOutcome> {
        let commit = &self.0;
        let (ledger, incarnation) = lock(session, commit).await?;
        if let Some(earlier) = answered_before(session, commit, incarnation).await? {
            return Ok(earlier);
        }
        if let Some(known) = &commit.known
            && !was_at(session, commit.namespace, known, incarnation, &ledger).await?
        {
            return Err(MetadataError::NotOnChain(commit.namespace));
        }
        let base = ledger.chain;
        let asker = Asker {
            namespace: commit.namespace,
            account: commit.account,
            now: commit.now,
        };
        let mut attempt = Attempt {
            asker,
            writer: Writer {
                device: commit.device,
                now: commit.now,
            },
            flushed: ledger.head,
            facts: Facts::new(ledger),
            pending: Writes::default(),
        };
        prefetch(session, asker, &mut attempt.facts, commit).await?;
        let mut groups = Vec::with_capacity(commit.groups.len());
        for group in &commit.groups {
            groups.push(attempt.apply(session, group).await?);
        }
        attempt.flush(session).await?;
        let ledger = attempt.facts.ledger;
        if groups
            .iter()
            .any(|group| matches!(group, GroupOutcome::Applied { .. }))
        {
            write_ledger(session, commit.namespace, &ledger).await?;
        }
        // Also where nothing was applied: a repetition may be answered before the first request arrives, which must not take
        // effect when nobody expects it any more.
        remember(session, commit, &groups, &ledger, base).await?;
        session
            .counters
            .commit_ops
            .fetch_add(self.weight() as u64, Ordering::Relaxed);
        Ok(CommitOutcome {
            groups,
            cursor: cursor(commit, incarnation, &ledger),
            base,
        })
    }
}

fn cursor(commit: &Commit, incarnation: Incarnation, ledger: &Ledger) -> Cursor {
    Cursor {
        namespace: commit.namespace,
        incarnation,
        seq: ledger.head,
        chain: ledger.chain,
    }
}

/// A commit under way.
struct Attempt {
    asker: Asker,
    writer: Writer,
    facts: Facts,
    /// Decided and not written yet.
    pending: Writes,
    /// The head up to which the database holds what was decided.
    flushed: Seq,
}

impl Attempt {
    async fn apply(&mut self, session: &mut Session<'_>, group: &Group) -> Result<GroupOutcome> {
        loop {
            match judge(&self.facts, self.writer, group) {
                Verdict::Refused { op_index, refusal } => {
                    return Ok(GroupOutcome::Refused { op_index, refusal });
                }
                Verdict::Applied(outcome) => {
                    self.facts.absorb(&outcome);
                    self.pending.append(outcome.writes);
                    return Ok(GroupOutcome::Applied { seqs: outcome.seqs });
                }
                Verdict::Needs(need) => {
                    if matches!(need, Need::Below(_)) {
                        self.flush(session).await?;
                    }
                    fetch(session, self.asker, &mut self.facts, need).await?;
                }
            }
        }
    }

    async fn flush(&mut self, session: &mut Session<'_>) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let writes = std::mem::take(&mut self.pending);
        flush(session, self.asker.namespace, &writes, self.flushed).await?;
        self.flushed = self.facts.ledger.head;
        Ok(())
    }
}

/// Locks the namespace's row, as the first statement, and reads it.
async fn lock(session: &mut Session<'_>, commit: &Commit) -> Result<(Ledger, Incarnation)> {
    let statement = query(
        "UPDATE namespace SET head_seq = head_seq WHERE ns_id = $1
         RETURNING head_seq, chain, last_at, bytes_used, bytes_granted, fence_epoch, incarnation",
    )
    .bind(commit.namespace.get());
    let Some(row) = session.optional(statement).await? else {
        return Err(MetadataError::NamespaceNotFound(commit.namespace));
    };
    let mut columns = Columns::of(&row);
    Ok((columns.ledger()?, columns.incarnation()?))
}

/// Whether the journal was where a device says that it stood.
async fn was_at(
    session: &mut Session<'_>,
    namespace: NamespaceId,
    known: &Cursor,
    incarnation: Incarnation,
    ledger: &Ledger,
) -> Result<bool> {
    if (known.namespace, known.incarnation) != (namespace, incarnation) || known.seq > ledger.head {
        return Ok(false);
    }
    let chain = match known.seq == ledger.head {
        true => Some(ledger.chain),
        false => chain_at(session, namespace, known.seq).await?,
    };
    Ok(chain == Some(known.chain))
}

async fn answered_before(
    session: &mut Session<'_>,
    commit: &Commit,
    incarnation: Incarnation,
) -> Result<Option<CommitOutcome>> {
    let statement =
        query("SELECT request_hash, result FROM op_dedup WHERE ns_id = $1 AND device_id = $2 AND op_id = $3")
            .bind(commit.namespace.get())
            .bind(commit.device.get())
            .bind(commit.op_id.as_bytes().to_vec());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    if columns.bytes()? != commit.request_hash {
        return Err(MetadataError::OpIdReused(commit.op_id));
    }
    let stored = decode_outcome(columns.bytes()?)?;
    Ok(Some(CommitOutcome {
        groups: stored.groups,
        cursor: Cursor {
            namespace: commit.namespace,
            incarnation,
            seq: stored.head,
            chain: stored.chain,
        },
        base: stored.base,
    }))
}

async fn remember(
    session: &mut Session<'_>,
    commit: &Commit,
    groups: &[GroupOutcome],
    ledger: &Ledger,
    base: ChainHash,
) -> Result<()> {
    let outcome = StoredOutcome {
        groups: groups.to_vec(),
        head: ledger.head,
        chain: ledger.chain,
        base,
    };
    let statement = query(
        "INSERT INTO op_dedup (ns_id, device_id, op_id, request_hash, result, at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(commit.namespace.get())
    .bind(commit.device.get())
    .bind(commit.op_id.as_bytes().to_vec())
    .bind(commit.request_hash.to_vec())
    .bind(encode_outcome(&outcome))
    .bind(ledger.last_at.max(commit.now).as_millis());
    session.execute(statement).await?;
    Ok(())
}
