//! Hashes folders, so that a device finds where its tree and the server's differ.
//!
//! A walk goes depth first with a page of one folder at a time, so that it needs the same memory for any tree. It works
//! for a bounded time per request and is kept until the request is repeated: it goes on then where it stopped.

mod walk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cairn_api::sync::{HashedChild, HashedContent, TreeHashReply, TreeHashRequest};
use cairn_core::ids::{NamespaceId, NodeId, TreeHash};
use cairn_core::limits;
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::browse;
use crate::auth::Caller;
use crate::error::ServiceError;
use crate::memory::acquire;
use crate::state::State;
use walk::Walk;

/// How long one request may work: well below any client's patience.
const BUDGET: Duration = Duration::from_secs(4);
/// Walks at work at once.
const WALKS_AT_WORK: usize = 2;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(10);
/// Walks that are kept for the next request; each holds at most some megabytes.
const WALKS_KEPT: usize = 8;
/// Hashes that are kept, at about 160 bytes each.
const HASHES_KEPT: u64 = 32_768;
/// Folders with fewer nodes below them are hashed again sooner than remembered.
const NODES_WORTH_KEEPING: u64 = 500;

/// A folder at a position. What it hashes to never changes.
type Key = (NamespaceId, NodeId, Seq);

/// What is known of folders' hashes, and the walks that are under way.
pub(crate) struct TreeHashes {
    done: moka::sync::Cache<Key, TreeHash>,
    /// The one that was touched last stands last.
    walks: Mutex<Vec<(Key, Walk)>>,
    turns: Arc<Semaphore>,
}

impl Default for TreeHashes {
    fn default() -> Self {
        Self {
            done: moka::sync::Cache::new(HASHES_KEPT),
            walks: Mutex::default(),
            turns: Arc::new(Semaphore::new(WALKS_AT_WORK)),
        }
    }
}

impl TreeHashes {
    fn walks(&self) -> MutexGuard<'_, Vec<(Key, Walk)>> {
        self.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, key: Key) -> Walk {
        let mut walks = self.walks();
        match walks.iter().position(|(kept, _)| *kept == key) {
            Some(index) => walks.remove(index).1,
            None => Walk::new(key.1),
        }
    }

    fn keep(&self, key: Key, walk: Walk) {
        let mut walks = self.walks();
        if walks.len() >= WALKS_KEPT {
            walks.remove(0);
        }
        walks.push((key, walk));
    }
}

/// Hashes a folder or lists its children with their hashes.
pub(crate) async fn tree_hash(
    state: &State,
    caller: &Caller,
    request: &TreeHashRequest,
) -> Result<TreeHashReply, ServiceError> {
    let TreeHashRequest {
        namespace,
        folder,
        at,
        ..
    } = *request;
    state.check_access(caller, namespace).await?;
    if at > browse::head(state, namespace).await?.seq {
        return Err(ServiceError::bad(
            "that position of the journal does not exist yet",
        ));
    }
    if folder != NodeId::ROOT
        && state
            .metadata
            .ancestors_at(namespace, folder, Some(at))
            .await?
            .is_none()
    {
        return Err(ServiceError::NotFound("that folder"));
    }
    let _turn = acquire(&state.tree_hashes.turns, 1, TURN).await?;
    let deadline = Instant::now() + BUDGET;
    if request.children {
        return children(state, request, deadline).await;
    }
    Ok(match hash(state, (namespace, folder, at), deadline).await? {
        Progress::Done(hash) => TreeHashReply::Folder { hash },
        Progress::Working(folders) => TreeHashReply::Working { folders },
    })
}

enum Progress {
    Done(TreeHash),
    /// So many folders are hashed.
    Working(u64),
}

/// Goes on with the walk of a folder until it is done or the time is over.
async fn hash(state: &State, key: Key, deadline: Instant) -> Result<Progress, ServiceError> {
    let hashes = &state.tree_hashes;
    if let Some(hash) = hashes.done.get(&key) {
        return Ok(Progress::Done(hash));
    }
    let mut walk = hashes.take(key);
    match walk.go_on(state, key, deadline).await? {
        Some(hash) => Ok(Progress::Done(hash)),
        None => {
            let folders = walk.folders();
            hashes.keep(key, walk);
            Ok(Progress::Working(folders))
        }
    }
}

/// A page of children. Ends early when the time is over, so that each request gets further than the one before.
async fn children(
    state: &State,
    request: &TreeHashRequest,
    deadline: Instant,
) -> Result<TreeHashReply, ServiceError> {
    let limit = browse::page_limit(request.limit, limits::TREE_HASH_PAGE);
    let after = request.after.as_ref().map(|name| name.key());
    let page = state
        .metadata
        .children_at(
            request.namespace,
            request.folder,
            Some(request.at),
            after.as_ref(),
            limit,
        )
        .await?;
    let mut children = Vec::with_capacity(page.nodes.len());
    for node in page.nodes {
        let progress = match node.content {
            Content::Directory => hash(state, (request.namespace, node.id, request.at), deadline).await?,
            _ => Progress::Working(0),
        };
        let content = match (hashed(&node), progress) {
            (Some(content), _) => content,
            (None, Progress::Done(hash)) => HashedContent::Folder { hash },
            (None, Progress::Working(folders)) if children.is_empty() => {
                return Ok(TreeHashReply::Working { folders });
            }
            (None, Progress::Working(_)) => {
                return Ok(TreeHashReply::Children {
                    children,
                    has_more: true,
                });
            }
        };
        children.push(HashedChild {
            node: node.id,
            name: node.place.name,
            content,
        });
    }
    Ok(TreeHashReply::Children {
        children,
        has_more: page.has_more,
    })
}

/// What a file or link goes into the hash as; `None` for a folder.
fn hashed(node: &Node) -> Option<HashedContent> {
    match &node.content {
        Content::Directory => None,
        Content::File(file) => Some(HashedContent::File {
            file_id: file.file_id,
            size: file.size,
            executable: node.attributes.executable,
        }),
        Content::Symlink(target) => Some(HashedContent::Symlink {
            target: target.as_str().to_owned(),
        }),
    }
}
