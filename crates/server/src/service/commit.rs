//! Changes a namespace: what the request claims about contents is checked here, who may and what collides is the
//! metadata store's to say.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cairn_api::sync::{CommitReply, CommitRequest, from_cbor};
use cairn_api::wire::MISSING_CHUNKS_SENT;
use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::ids::{AccountId, ChunkHash, NamespaceId, OpId};
use cairn_core::limits;
use cairn_core::manifest::{ChunkEntry, Manifest, ManifestError, ManifestReader, Step};
use cairn_core::node::{Content, FileContent};
use cairn_core::rev::Cursor;
use cairn_core::time::Timestamp;
use cairn_metadata::{Commit, CommitOutcome, Group, MetadataError};
use minicbor::Decoder;
use tokio::sync::oneshot;

use super::contents::load_page;
use super::upload::{self, Received};
use crate::auth::{Author, Caller};
use crate::error::ServiceError;
use crate::memory;
use crate::state::State;

/// The name of no chunk. A group of which pages are not known carries it, so that the store refuses the group even if the
/// pages arrive between the two looks at them.
const NO_CHUNK: ChunkHash = ChunkHash::new([0; 32]);
/// How long a commit with a long manifest waits for its turn.
const LONG_COMMIT_WAIT: Duration = Duration::from_secs(20);

/// Commits what a body of frames asks for; its chunks are stored already.
pub(crate) async fn commit(
    state: &Arc<State>,
    caller: &Caller,
    mut received: Received,
) -> Result<CommitReply, ServiceError> {
    let message = received
        .message
        .take()
        .ok_or(ServiceError::bad("the message is missing"))?;
    let request = decode(&message)?;
    let request_hash = *blake3::hash(&message).as_bytes();
    drop(message);
    state.check_access(caller, request.namespace).await?;
    upload::grant(state, caller, request.namespace, &received).await?;
    let author = match request.is_on_behalf {
        true => caller.author().on_behalf(),
        false => caller.author(),
    };
    let request = Request {
        namespace: request.namespace,
        op_id: request.op_id,
        request_hash,
        known: request.known,
        groups: request.groups,
    };
    run(state, author, request, &received.chunks).await
}

/// What is to be changed.
pub(crate) struct Request {
    /// The namespace, which the caller may change.
    pub(crate) namespace: NamespaceId,
    /// Names the attempt.
    pub(crate) op_id: OpId,
    /// Hash over what was asked.
    pub(crate) request_hash: [u8; 32],
    /// Where the journal was when it was asked; `None` where no operation names anything by its number.
    pub(crate) known: Option<Cursor>,
    /// The operations.
    pub(crate) groups: Vec<Vec<Op>>,
}

/// Checks what the contents claim and commits. `lens` are the chunks that are known to be there, with their lengths.
pub(crate) async fn run(
    state: &Arc<State>,
    author: Author,
    request: Request,
    lens: &BTreeMap<ChunkHash, u32>,
) -> Result<CommitReply, ServiceError> {
    let long = request.groups.iter().flatten().any(|op| {
        matches!(
            content_of(op),
            Some(FileContent {
                manifest: Manifest::Tree { .. },
                ..
            })
        )
    });
    let _turn = match long {
        true => Some(memory::acquire(&state.long_commits, 1, LONG_COMMIT_WAIT).await?),
        false => None,
    };
    let now = state.runtime.clock.now();
    let mut expansion = Expansion {
        state,
        account: author.account,
        namespace: request.namespace,
        now,
        lens,
        chunks_left: limits::FILE_CHUNKS as u64,
    };
    let mut groups = Vec::with_capacity(request.groups.len());
    let mut withheld = HashMap::new();
    for (index, ops) in request.groups.into_iter().enumerate() {
        let needs = expansion.group(index, &ops).await?;
        if !needs.unknown_pages.is_empty() {
            withheld.insert(index, needs.unknown_pages);
        }
        groups.push(Group {
            ops,
            chunks: needs.chunks.into_iter().collect(),
        });
    }
    let outcome = apply(
        state,
        Commit {
            namespace: request.namespace,
            account: author.account,
            device: author.device,
            op_id: request.op_id,
            request_hash: request.request_hash,
            known: request.known,
            now,
            groups,
        },
    )
    .await?;
    let groups = outcome.groups.into_iter().enumerate();
    let groups = groups
        .map(|(index, outcome)| present(outcome, withheld.remove(&index)))
        .collect();
    Ok(CommitReply {
        groups,
        cursor: outcome.cursor,
        base: outcome.base,
    })
}

/// Applies a commit and tells of it, even if whoever asked has gone meanwhile.
async fn apply(state: &Arc<State>, commit: Commit) -> Result<CommitOutcome, ServiceError> {
    let (sender, outcome) = oneshot::channel();
    let owner = Arc::clone(state);
    state.spawn("commit", async move {
        let namespace = commit.namespace;
        let outcome = owner.metadata.commit(commit).await;
        if let Ok(outcome) = &outcome {
            owner.notifier.head(namespace, outcome.cursor.seq);
            owner.dirty.add(namespace);
            if let Some(texts) = owner.texts.get() {
                texts.dirty.add(namespace);
            }
        }
        // Nobody may be listening any more.
        drop(sender.send(outcome));
    });
    let outcome = outcome.await.map_err(|_| ServiceError::Busy {
        retry_after: Duration::from_secs(1),
    })?;
    Ok(outcome?)
}

/// Decodes a request after counting its operations, so that a short message cannot become a long list.
fn decode(message: &Bytes) -> Result<CommitRequest, ServiceError> {
    let unreadable =
        |error: minicbor::decode::Error| ServiceError::bad(format!("the message cannot be read: {error}"));
    let count = count_ops(message).map_err(unreadable)?;
    if count > limits::COMMIT_OPS as u64 {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        return Err(MetadataError::TooManyOps {
            count,
            limit: limits::COMMIT_OPS,
        }
        .into());
    }
    from_cbor(message).map_err(unreadable)
}

/// Groups and operations in an encoded [`CommitRequest`]. An empty group counts as one operation.
fn count_ops(message: &[u8]) -> Result<u64, minicbor::decode::Error> {
    let indefinite = || minicbor::decode::Error::message("an array must have a definite length");
    let mut decoder = Decoder::new(message);
    decoder.array()?.ok_or_else(indefinite)?;
    decoder.skip()?;
    decoder.skip()?;
    let group_count = decoder.array()?.ok_or_else(indefinite)?;
    let mut op_count = 0u64;
    for _ in 0..group_count {
        let count = decoder.array()?.ok_or_else(indefinite)?;
        op_count = op_count.saturating_add(count.max(1));
        if op_count > limits::COMMIT_OPS as u64 {
            return Ok(op_count);
        }
        for _ in 0..count {
            decoder.skip()?;
        }
    }
    Ok(op_count)
}

const fn content_of(op: &Op) -> Option<&FileContent> {
    match op {
        Op::Create {
            content: Content::File(file),
            ..
        }
        | Op::Edit {
            content: Content::File(file),
            ..
        } => Some(file),
        _ => None,
    }
}

/// What the contents of one group are made of.
#[derive(Default)]
struct Needs {
    chunks: BTreeSet<ChunkHash>,
    /// Pages that the caller may not commit or that are damaged, so that what is below them is not known.
    unknown_pages: Vec<ChunkHash>,
}

/// Finds and checks the chunks behind a commit's contents.
struct Expansion<'a> {
    state: &'a State,
    account: AccountId,
    namespace: NamespaceId,
    now: Timestamp,
    /// Lengths of the chunks that came with the request.
    lens: &'a BTreeMap<ChunkHash, u32>,
    chunks_left: u64,
}

impl Expansion<'_> {
    async fn group(&mut self, group: usize, ops: &[Op]) -> Result<Needs, ServiceError> {
        let mut needs = Needs::default();
        for (index, op) in ops.iter().enumerate() {
            let Some(file) = content_of(op) else { continue };
            let count = file.manifest.chunk_count();
            self.chunks_left = self
                .chunks_left
                .checked_sub(count)
                .ok_or(ServiceError::TooLarge {
                    what: "chunks in one commit",
                    limit: limits::FILE_CHUNKS,
                })?;
            self.file(file, &mut needs).await.map_err(|wrong| match wrong {
                Wrong::Service(error) => error,
                Wrong::Claim(what) => {
                    ServiceError::bad(format!("operation {index} of group {group}: {what}"))
                }
            })?;
        }
        if !needs.unknown_pages.is_empty() {
            needs.chunks.insert(NO_CHUNK);
        }
        Ok(needs)
    }

    /// Adds a file's chunks and pages, checking that they are what the file claims.
    async fn file(&self, file: &FileContent, needs: &mut Needs) -> Result<(), Wrong> {
        if file.manifest.file_id(file.size) != file.file_id {
            return Err(Wrong::Claim(
                "the file id does not belong to the manifest and the size".into(),
            ));
        }
        let mut reader = ManifestReader::new(&file.manifest, file.size)?;
        loop {
            match reader.step() {
                Step::End => return Ok(()),
                Step::Chunk(chunk) => {
                    self.check_len(&chunk.entry)?;
                    needs.chunks.insert(chunk.entry.hash);
                }
                Step::Need(page) => {
                    needs.chunks.insert(page);
                    let Some(bytes) = self.page(page).await? else {
                        // Chunks behind it cannot be named: the device sends the pages and asks again.
                        needs.unknown_pages.push(page);
                        return Ok(());
                    };
                    reader.give(&bytes)?;
                }
            }
        }
    }

    /// A page that the caller may commit. One that is damaged in the chunk store is as good as unknown: the device has its bytes,
    /// and the store takes them anew.
    async fn page(&self, hash: ChunkHash) -> Result<Option<Bytes>, ServiceError> {
        if !self.may_commit(hash).await? {
            return Ok(None);
        }
        match load_page(self.state, &hash).await {
            Err(error) if error.is_damage() => {
                tracing::error!(chunk.hash = %hash, %error, "a page of a manifest is damaged: its device is asked for it");
                Ok(None)
            }
            loaded => loaded.map(Some),
        }
    }

    /// Of chunks that came along the length is known: a wrong one would make a file that cannot be read.
    fn check_len(&self, entry: &ChunkEntry) -> Result<(), Wrong> {
        match self.lens.get(&entry.hash) {
            Some(len) if *len != entry.len => Err(Wrong::Claim(format!(
                "chunk {} has {len} bytes, not {}",
                entry.hash, entry.len
            ))),
            _ => Ok(()),
        }
    }

    async fn may_commit(&self, page: ChunkHash) -> Result<bool, ServiceError> {
        if self.lens.contains_key(&page) {
            return Ok(true);
        }
        let have = self
            .state
            .metadata
            .have(self.namespace, self.account, &[page], self.now, self.now)
            .await?;
        Ok(have.first() == Some(&true))
    }
}

/// Why a content is not taken.
enum Wrong {
    Claim(String),
    Service(ServiceError),
}

impl From<ServiceError> for Wrong {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<ManifestError> for Wrong {
    fn from(error: ManifestError) -> Self {
        Self::Claim(error.to_string())
    }
}

/// Takes [`NO_CHUNK`] out of a refusal and bounds its list.
fn present(outcome: GroupOutcome, withheld: Option<Vec<ChunkHash>>) -> GroupOutcome {
    match outcome {
        GroupOutcome::Refused {
            op_index,
            refusal: Refusal::MissingChunks { mut missing },
        } => {
            missing.retain(|hash| *hash != NO_CHUNK);
            if missing.is_empty() {
                missing = withheld.unwrap_or_default();
            }
            missing.truncate(MISSING_CHUNKS_SENT);
            GroupOutcome::Refused {
                op_index,
                refusal: Refusal::MissingChunks { missing },
            }
        }
        other => other,
    }
}
