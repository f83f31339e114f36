//! Single files sent and fetched without a synced folder: what `cairn put` and `cairn get` are made of.
//!
//! Content streams: a few windows of chunks are in memory, however long a file is. A request that the connection lost is
//! asked again for a while, content going on where it was.

mod receive;
mod send;

pub use send::ContentSender;

use std::io;
use std::sync::Arc;

use cairn_api::sync::{ChildrenRequest, CommitRequest, Resolve, ResolveReply, Revs, RevsReply, to_cbor};
use cairn_core::change::{GroupOutcome, Op, Refusal};
use cairn_core::ids::{NamespaceId, NodeId, OpId};
use cairn_core::limits::LISTING_PAGE;
use cairn_core::manifest::ManifestError;
use cairn_core::name::NodeName;
use cairn_core::node::Node;
use cairn_core::rev::Seq;
use cairn_core::runtime::Runtime;

use crate::progress::Progress;
use crate::remote::{Remote, RemoteError};
use crate::retry::Backoff;

/// How often a request is asked at most, when the connection fails.
const ATTEMPTS: u32 = 5;

/// Why a file cannot be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The server could not be asked, or did not answer well.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The content cannot be read from where it comes from.
    #[error("cannot read the content")]
    Read(#[source] io::Error),
    /// The content cannot be written where it is to go.
    #[error("cannot write the content")]
    Write(#[source] io::Error),
    /// The file has more chunks than any may have.
    #[error("the file is too long")]
    TooLong(#[from] ManifestError),
    /// The server does not have that content any more: the file was changed meanwhile.
    #[error("the server does not keep this version any more: the file was changed meanwhile")]
    NotFound,
    /// The content is damaged on the server.
    #[error("this version is damaged on the server")]
    Damaged,
    /// What arrived is not the file that was asked for.
    #[error("what the server sent is not this file")]
    OtherContent,
}

/// The files of one account, by path.
#[derive(Clone)]
pub struct RemoteFiles {
    /// The server.
    pub remote: Arc<dyn Remote>,
    /// Where the files are.
    pub namespace: NamespaceId,
    /// Randomness and threads.
    pub runtime: Runtime,
    /// What is counted.
    pub progress: Arc<Progress>,
}

impl RemoteFiles {
    /// Follows a path from the root as far as it exists.
    ///
    /// # Errors
    /// Those of the way to the server.
    pub async fn resolve(&self, names: &[NodeName]) -> Result<ResolveReply, RemoteError> {
        let request = Resolve {
            namespace: self.namespace,
            names: names.to_vec(),
        };
        self.remote.resolve(request).await
    }

    /// A page of a folder's nodes by name, after `after`, and whether there is more.
    ///
    /// # Errors
    /// Those of the way to the server.
    pub async fn children(
        &self,
        folder: NodeId,
        after: Option<&NodeName>,
    ) -> Result<(Vec<Node>, bool), RemoteError> {
        let reply = self
            .patiently(|| {
                self.remote.children(ChildrenRequest {
                    namespace: self.namespace,
                    folder,
                    at: None,
                    after: after.cloned(),
                    limit: u32::try_from(LISTING_PAGE).unwrap_or(u32::MAX),
                })
            })
            .await?;
        Ok((reply.nodes, reply.has_more))
    }

    /// The states of what stands on a path, or stood there last, newest first: at most `limit` of those before `before`.
    ///
    /// # Errors
    /// Those of the way to the server; [`RemoteError::Refused`] where nothing ever stood there.
    pub async fn revs(
        &self,
        names: &[NodeName],
        before: Option<Seq>,
        limit: u32,
    ) -> Result<RevsReply, RemoteError> {
        self.patiently(|| {
            self.remote.revs(Revs {
                namespace: self.namespace,
                names: names.to_vec(),
                before,
                limit,
            })
        })
        .await
    }

    /// Applies groups of operations, each whole or not at all; durable on the server when this returns. Says for each
    /// group why it was refused, if it was.
    ///
    /// # Errors
    /// Those of the way to the server; what was asked for may have happened then.
    pub async fn commit(&self, groups: Vec<Vec<Op>>) -> Result<Vec<Option<Refusal>>, RemoteError> {
        let op_id = OpId::random(self.runtime.entropy.as_ref());
        let request = to_cbor(&CommitRequest {
            namespace: self.namespace,
            op_id,
            groups,
            known: None,
            is_on_behalf: true,
        });
        // The same operation id: it is applied once, however often it is sent.
        let reply = self
            .patiently(|| self.remote.commit(Vec::new(), request.clone()))
            .await?;
        let outcomes = reply.groups.into_iter().map(|outcome| match outcome {
            GroupOutcome::Applied { .. } => None,
            GroupOutcome::Refused { refusal, .. } => Some(refusal),
        });
        Ok(outcomes.collect())
    }

    /// A fresh id for a node that is about to be made.
    pub fn new_node(&self) -> NodeId {
        NodeId::random(self.runtime.entropy.as_ref())
    }

    /// Asks until it is answered, a few times at most.
    async fn patiently<T, F: Future<Output = Result<T, RemoteError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, RemoteError> {
        let mut attempts = Attempts::new(&self.runtime);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => attempts.pause(error).await?,
            }
        }
    }
}

/// Counts failures in a row and waits between them.
struct Attempts {
    backoff: Backoff,
    left: u32,
}

impl Attempts {
    fn new(runtime: &Runtime) -> Self {
        Self {
            backoff: Backoff::new(Arc::clone(&runtime.entropy)),
            left: ATTEMPTS,
        }
    }

    /// Waits before the next attempt, or gives the error back when there is none.
    async fn pause(&mut self, error: RemoteError) -> Result<(), RemoteError> {
        self.left = self.left.saturating_sub(1);
        let pause = self.backoff.after(&error).filter(|_| self.left > 0);
        let Some(pause) = pause else {
            return Err(error);
        };
        tracing::debug!(%error, pause_ms = pause.as_millis(), "asking again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Begins anew after progress.
    fn reset(&mut self) {
        self.left = ATTEMPTS;
        self.backoff.reset();
    }
}
