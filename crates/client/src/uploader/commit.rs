//! Commits: written down before they are sent, so that what became of them is known in the end.

use std::sync::Arc;

use cairn_api::error::ErrorCode;
use cairn_api::sync::{CommitReply, CommitRequest, from_cbor, to_cbor};
use cairn_api::wire::MISSING_CHUNKS_SENT;
use cairn_core::change::{GroupOutcome, Refusal};
use cairn_core::ids::OpId;
use cairn_core::rev::Cursor;

use super::ahead::Ahead;
use super::queue::{Queued, Sent};
use super::{Advance, Batch, CommitResult, Dedup, PieceOutcome, Replayed, UploadError, Uploader};
use crate::remote::RemoteError;
use crate::state::{InFlight, StateBatch};

/// How often a commit is repeated for chunks that the server has lost sight of since it was asked.
const ATTEMPTS: u32 = 5;

impl Uploader {
    /// Sends the commit in flight again as it was, without chunks, to learn what became of it; `None` when there is
    /// none.
    ///
    /// # Errors
    /// [`UploadError`]: it is still in flight then.
    pub async fn replay_in_flight(&self) -> Result<Option<Replayed>, UploadError> {
        let Some(InFlight { op_id, request }) = self.state.in_flight(self.namespace).await? else {
            return Ok(None);
        };
        let groups = match from_cbor::<CommitRequest>(&request) {
            Ok(decoded) => decoded.groups,
            Err(error) => {
                tracing::warn!(%error, "the commit in flight cannot be read and is given up");
                Vec::new()
            }
        };
        let (outcomes, journal) = if groups.is_empty() {
            (Vec::new(), None)
        } else {
            match self.remote.commit(Vec::new(), request).await {
                Ok(reply) => {
                    check_reply(&reply, groups.iter().map(Vec::len))?;
                    let journal = Advance::of(&reply);
                    let outcomes = reply.groups.into_iter().map(outcome).collect();
                    (outcomes, Some(journal))
                }
                Err(RemoteError::Refused(error)) if is_final(error.code) => {
                    let outcomes = groups.iter().map(|_| PieceOutcome::Rejected(error.clone()));
                    (outcomes.collect(), None)
                }
                Err(error) => return Err(error.into()),
            }
        };
        Ok(Some(Replayed {
            op_id,
            groups,
            outcomes,
            journal,
        }))
    }

    /// Commits a batch that has members, of which the chunks may be `ahead`; returns those whose chunks were missing as well.
    pub(super) async fn commit(
        &self,
        mut batch: Batch,
        ahead: Option<Ahead<'_>>,
    ) -> Result<(CommitResult, Vec<Queued>), UploadError> {
        let ahead = match ahead.map(Ahead::still_open).transpose() {
            Ok(ahead) => ahead,
            // Nothing was asked for yet, so nothing is in flight.
            Err(failure) => return rejected(batch, failure, None),
        };
        let op_id = OpId::random(self.runtime.entropy.as_ref());
        let groups = batch
            .members
            .iter_mut()
            .map(|queued| std::mem::take(&mut queued.piece.group));
        let request = CommitRequest {
            namespace: self.namespace,
            op_id,
            groups: groups.collect(),
            known: self.known().await?,
            is_on_behalf: false,
        };
        let encoded = to_cbor(&request);
        for (queued, group) in batch.members.iter_mut().zip(request.groups) {
            queued.piece.group = group;
        }
        let in_flight = StateBatch {
            in_flight: Some(InFlight {
                op_id,
                request: encoded.clone(),
            }),
            ..StateBatch::default()
        };
        self.state.apply(self.namespace, in_flight).await?;
        let answer = match ahead {
            Some(ahead) => ahead.ask(encoded).await.map_err(UploadError::from),
            None => {
                let (chunks, little) = (
                    std::mem::take(&mut batch.chunks),
                    std::mem::take(&mut batch.little),
                );
                self.commit_with(chunks, little, encoded).await
            }
        };
        let reply = match answer {
            Ok(reply) => reply,
            Err(error) => return rejected(batch, error, Some(op_id)),
        };
        check_reply(
            &reply,
            batch.members.iter().map(|queued| queued.piece.group.len()),
        )?;
        let journal = Advance::of(&reply);
        let mut outcomes = batch.failed;
        let again = self.settle(batch.members, reply.groups, &mut outcomes);
        let result = CommitResult {
            op_id: Some(op_id),
            outcomes,
            journal: Some(journal),
        };
        Ok((result, again))
    }

    /// The furthest that this device knows the journal.
    async fn known(&self) -> Result<Option<Cursor>, UploadError> {
        let Some(cursor) = self.state.cursor(self.namespace).await? else {
            return Ok(None);
        };
        let own = self.state.checkpoints(self.namespace).await?.pop();
        Ok(Some(match own {
            Some((seq, chain)) if seq > cursor.seq => Cursor { seq, chain, ..cursor },
            _ => cursor,
        }))
    }

    /// Sorts what became of each piece; returns those that are to be sent again.
    fn settle(
        &self,
        members: Vec<Queued>,
        groups: Vec<GroupOutcome>,
        outcomes: &mut Vec<(usize, PieceOutcome)>,
    ) -> Vec<Queued> {
        let mut again = Vec::new();
        for (mut queued, group) in members.into_iter().zip(groups) {
            match group {
                GroupOutcome::Refused {
                    refusal: Refusal::MissingChunks { missing },
                    ..
                } if queued.attempts + 1 < ATTEMPTS => {
                    queued.attempts += 1;
                    queued.dedup = Dedup::Ask;
                    // A full list is not the whole list, nor is that of a file of which nothing was sent: it names one page
                    // alone. Then the server is asked about everything.
                    let is_whole = missing.len() < MISSING_CHUNKS_SENT && !queued.is_presumed;
                    queued.missing = if is_whole {
                        Sent::AllBut(Arc::new(missing.into_iter().collect()))
                    } else {
                        Sent::Unknown
                    };
                    again.push(queued);
                }
                group => {
                    if matches!(group, GroupOutcome::Applied { .. }) {
                        self.progress.up.files(queued.piece.files.len() as u64);
                        // Large ones were counted window by window.
                        if !queued.is_large() {
                            self.progress.up.bytes(queued.piece.size());
                        }
                    }
                    outcomes.push((queued.index, outcome(group)));
                }
            }
        }
        again
    }
}

/// What became of a batch whose commit was turned down for good.
///
/// # Errors
/// The error itself, where it does not say that.
fn rejected(
    batch: Batch,
    error: UploadError,
    op_id: Option<OpId>,
) -> Result<(CommitResult, Vec<Queued>), UploadError> {
    let refusal = match error {
        UploadError::Remote(RemoteError::Refused(refusal)) if is_final(refusal.code) => refusal,
        other => return Err(other),
    };
    let mut outcomes = batch.failed;
    let members = batch.members.iter();
    outcomes.extend(members.map(|queued| (queued.index, PieceOutcome::Rejected(refusal.clone()))));
    let result = CommitResult {
        op_id,
        outcomes,
        journal: None,
    };
    Ok((result, Vec::new()))
}

fn outcome(group: GroupOutcome) -> PieceOutcome {
    match group {
        GroupOutcome::Applied { seqs } => PieceOutcome::Applied { seqs },
        GroupOutcome::Refused { op_index, refusal } => PieceOutcome::Refused { op_index, refusal },
    }
}

/// Whether the refusal of a whole commit says for good that nothing of it was applied. After any other it stays in
/// flight: the same request may be answered later.
const fn is_final(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadRequest
            | ErrorCode::Forbidden
            | ErrorCode::NotFound
            | ErrorCode::TooLarge
            | ErrorCode::OpIdReused
            | ErrorCode::HashMismatch
            | ErrorCode::NotOnChain
    )
}

/// Checks that an answer speaks of the groups that were sent.
fn check_reply(reply: &CommitReply, groups: impl ExactSizeIterator<Item = usize>) -> Result<(), RemoteError> {
    let fits = reply.groups.len() == groups.len()
        && reply
            .groups
            .iter()
            .zip(groups)
            .all(|(outcome, ops)| match outcome {
                GroupOutcome::Applied { seqs } => seqs.len() == ops,
                GroupOutcome::Refused { op_index, .. } => *op_index < ops,
            });
    if fits {
        Ok(())
    } else {
        Err(RemoteError::Malformed {
            server: "the server".to_owned(),
            what: "it does not fit the commit that was sent".to_owned(),
        })
    }
}
