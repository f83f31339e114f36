//! Files by their paths: what programs and people do that keep no tree of their own.
//!
//! Each use case resolves paths, decides, and commits one group of operations guarded by what it saw. Where somebody
//! else was faster it looks and decides again. Contents go in as those of a device do: cut, kept once, journalled.

mod activity;
mod atomic;
mod changes;
mod delta;
mod each;
mod find;
mod history;
mod ingest;
mod list;
mod media;
mod overlay;
mod past;
mod rdiff;
mod relocate;
mod search;
mod sessions;
mod stream;
mod thumbnail;
mod write;
mod zip;

use std::collections::BTreeMap;
use std::sync::Arc;

use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::ids::{ChunkHash, NamespaceId, NodeId, OpId};
use cairn_core::name::{NameError, NodeName};
use cairn_core::rev::Seq;

pub(crate) use activity::Deed;
pub(crate) use atomic::{Done, Guarded, NotDone, Operation, Side};
pub(crate) use changes::{News, PAGE, Scope, Step};
pub(crate) use delta::{
    BLOCK_MAX_BYTES, BLOCK_MIN_BYTES, DeltaError, Patch, signature, signature_len, usual_block,
};
pub(crate) use each::{Each, MOST_CHUNKS, Single};
pub(crate) use find::{Located, Spot, Target};
pub(crate) use ingest::{Ingest, Ingested};
pub(crate) use list::{Listing, Walk};
pub(crate) use media::{Picture, picture};
pub(crate) use past::{Moment, When};
pub(crate) use relocate::Relocation;
pub(crate) use search::{Among, Found, FoundBy, Ordered, Search, SearchKey};
pub(crate) use stream::content;
pub(crate) use thumbnail::{Fit, Format, Key as ThumbnailKey, ThumbnailError, Wanted, thumbnail};
pub(crate) use write::{Mode, Put};

use super::commit;
use crate::auth::Author;
use crate::error::ServiceError;
use crate::state::State;

/// How often a use case decides anew because somebody else was faster.
const ATTEMPTS: usize = 20;

/// An account's files, for one request.
pub(crate) struct Files<'s> {
    pub(crate) state: &'s Arc<State>,
    pub(crate) namespace: NamespaceId,
    /// The folder that paths begin in: nothing outside it can be reached.
    pub(crate) home: NodeId,
    /// In whose name things are changed.
    pub(crate) author: Author,
}

/// Why something on a path was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Nothing stands there.
    #[error("nothing stands there")]
    NotFound,
    /// It is a folder, and a file is needed.
    #[error("it is no file")]
    NotFile,
    /// It is a file, and a folder is needed.
    #[error("it is no folder")]
    NotFolder,
    /// The path holds a name that none can have.
    #[error("the path holds a name that none can have: {0}")]
    Malformed(NameError),
    /// The path holds a name that is refused.
    #[error("the path holds a name that is refused")]
    DisallowedName,
    /// Something else has the place.
    #[error("something else has the place: {0:?}")]
    Conflict(Obstacle),
    /// The quota does not suffice.
    #[error("the quota does not suffice")]
    NoSpace,
    /// A folder would come to stand in itself.
    #[error("a folder cannot stand in itself")]
    IntoItself,
    /// More files than one change can hold.
    #[error("more files than one change can hold")]
    TooManyFiles,
    /// Others changed the same place again and again.
    #[error("others change the same place all the time")]
    Contended,
    /// The service failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What has a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A file stands where a folder of the path should.
    FileAncestor,
}

impl From<cairn_metadata::MetadataError> for FileError {
    fn from(error: cairn_metadata::MetadataError) -> Self {
        Self::Service(error.into())
    }
}

pub(crate) type FileResult<T> = Result<T, FileError>;

/// What became of an attempt.
enum Attempt {
    /// One position per operation.
    Applied(Vec<Seq>),
    /// What was seen is no longer so.
    Outdated,
}

impl Files<'_> {
    /// Commits one group. `lens` are the chunks that were stored for it.
    async fn commit(&self, ops: Vec<Op>, lens: &BTreeMap<ChunkHash, u32>) -> FileResult<Attempt> {
        match self.commit_group(ops, lens).await? {
            GroupOutcome::Applied { seqs } => Ok(Attempt::Applied(seqs)),
            GroupOutcome::Refused { refusal, .. } => refused(refusal),
        }
    }

    /// Commits one group, as the store answers it.
    async fn commit_group(
        &self,
        ops: Vec<Op>,
        lens: &BTreeMap<ChunkHash, u32>,
    ) -> Result<GroupOutcome, ServiceError> {
        let mut outcomes = self.commit_groups(vec![ops], lens).await?;
        outcomes.pop().ok_or_else(no_answer)
    }

    /// Commits groups, each judged by itself, in one transaction. One answer for each.
    async fn commit_groups(
        &self,
        groups: Vec<Vec<Op>>,
        lens: &BTreeMap<ChunkHash, u32>,
    ) -> Result<Vec<GroupOutcome>, ServiceError> {
        let count = groups.len();
        let mut request_hash = [0; 32];
        self.state.runtime.entropy.fill(&mut request_hash);
        let op_id = OpId::random(self.state.runtime.entropy.as_ref());
        let request = commit::Request {
            namespace: self.namespace,
            op_id,
            request_hash,
            // What is named by number was read by this request.
            known: None,
            groups,
        };
        let reply = commit::run(self.state, self.author.on_behalf(), request, lens).await?;
        match reply.groups.len() == count {
            true => Ok(reply.groups),
            false => Err(no_answer()),
        }
    }
}

fn no_answer() -> ServiceError {
    ServiceError::bad("the commit has no answer")
}

fn refused(refusal: Refusal) -> FileResult<Attempt> {
    match refusal {
        Refusal::QuotaExceeded { .. } => Err(FileError::NoSpace),
        Refusal::Cycle { .. } => Err(FileError::IntoItself),
        Refusal::TooDeep => Err(FileError::Malformed(NameError::TooLong(0))),
        _ => Ok(Attempt::Outdated),
    }
}

/// Names that clients keep to themselves, as Dropbox refuses them.
pub(crate) fn is_refused_name(name: &NodeName) -> bool {
    const REFUSED: [&str; 7] = [
        ".ds_store",
        "desktop.ini",
        "thumbs.db",
        "icon\r",
        ".dropbox",
        ".dropbox.attr",
        ".dropbox.cache",
    ];
    REFUSED.contains(&name.key().as_str())
}
