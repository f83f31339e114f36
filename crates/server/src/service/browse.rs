//! Reads trees and journals.

use std::time::Duration;

use cairn_api::sync::{
    ChangesReply, ChangesRequest, ChildrenRequest, NodesReply, NodesRequest, Resolve, ResolveReply,
    value_to_cbor,
};
use cairn_api::wire::Wire;
use cairn_core::change::JournalEntry;
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::limits;
use cairn_core::rev::Cursor;
use cairn_metadata::{Changes, MetadataError, NamespaceHead, NodePage, ResetReason};
use tokio::time::Instant;

use crate::auth::Caller;
use crate::error::ServiceError;
use crate::state::State;

/// Bytes after which a page ends early: its entries may carry manifests of 9 KB each.
const PAGE_BYTES: usize = 4 << 20;

/// The journal after a cursor, at once or as soon as there is something.
pub(crate) async fn changes(
    state: &State,
    caller: &Caller,
    request: &ChangesRequest,
) -> Result<ChangesReply, ServiceError> {
    let cursor = &request.cursor;
    state.check_access(caller, cursor.namespace).await?;
    let limit = page_limit(request.limit, limits::CHANGES_PAGE);
    let wait = Duration::from_secs(u64::from(request.wait_seconds).min(limits::HEARTBEAT_SECONDS));
    let deadline = Instant::now() + wait;
    // Before the first look, so that nothing falls between the look and the wait.
    let subscription = state.notifier.subscribe(vec![cursor.namespace], caller.device);
    loop {
        let changes = state.metadata.changes(cursor, limit).await?;
        let is_empty =
            matches!(&changes, Changes::Page { entries, has_more: false, .. } if entries.is_empty());
        if !is_empty || wait.is_zero() {
            return Ok(changes_reply(changes));
        }
        tokio::select! {
            biased;
            news = subscription.news() => {
                if news.is_unlinked {
                    return Err(ServiceError::NotAuthenticated);
                }
            }
            () = tokio::time::sleep_until(deadline) => return Ok(changes_reply(changes)),
            () = state.draining.cancelled() => return Ok(changes_reply(changes)),
        }
    }
}

/// A page of a namespace, or of what lies below a folder.
pub(crate) async fn nodes(
    state: &State,
    caller: &Caller,
    request: &NodesRequest,
) -> Result<NodesReply, ServiceError> {
    state.check_access(caller, request.namespace).await?;
    let head = head(state, request.namespace).await?;
    let at = request.at.unwrap_or(head.seq);
    if at > head.seq {
        return Err(ServiceError::bad(
            "that position of the journal does not exist yet",
        ));
    }
    let limit = page_limit(request.limit, limits::LISTING_PAGE);
    let page = match request.folder {
        None => {
            state
                .metadata
                .nodes_at(request.namespace, at, request.after, limit)
                .await?
        }
        Some(folder) => {
            state
                .metadata
                .subtree_at(request.namespace, folder, at, request.after, limit)
                .await?
        }
    };
    Ok(nodes_reply(page))
}

/// A page of one folder.
pub(crate) async fn children(
    state: &State,
    caller: &Caller,
    request: &ChildrenRequest,
) -> Result<NodesReply, ServiceError> {
    state.check_access(caller, request.namespace).await?;
    let limit = page_limit(request.limit, limits::LISTING_PAGE);
    let after = request.after.as_ref().map(|name| name.key());
    let page = state
        .metadata
        .children_at(
            request.namespace,
            request.folder,
            request.at,
            after.as_ref(),
            limit,
        )
        .await?;
    Ok(nodes_reply(page))
}

/// The nodes on a path, as far as it exists.
pub(crate) async fn resolve(
    state: &State,
    caller: &Caller,
    request: &Resolve,
) -> Result<ResolveReply, ServiceError> {
    if request.names.len() > limits::TREE_DEPTH {
        return Err(ServiceError::TooLarge {
            what: "names in a path",
            limit: limits::TREE_DEPTH,
        });
    }
    state.check_access(caller, request.namespace).await?;
    // Read first: what is found may then be newer than what the caller is said to have seen, never older.
    let seq = head(state, request.namespace).await?.seq;
    let mut nodes = Vec::with_capacity(request.names.len());
    let mut parent = NodeId::ROOT;
    for name in &request.names {
        let Some(node) = state
            .metadata
            .child(request.namespace, parent, &name.key())
            .await?
        else {
            break;
        };
        parent = node.id;
        nodes.push(node);
    }
    Ok(ResolveReply { nodes, seq })
}

/// Where a namespace stands.
pub(crate) async fn head(state: &State, namespace: NamespaceId) -> Result<NamespaceHead, ServiceError> {
    let head = state.metadata.head(namespace).await?;
    head.ok_or(ServiceError::Metadata(MetadataError::NamespaceNotFound(
        namespace,
    )))
}

/// What was asked for, at least one and at most `most`.
pub(super) fn page_limit(asked: u32, most: usize) -> usize {
    usize::try_from(asked).unwrap_or(most).clamp(1, most)
}

fn changes_reply(changes: Changes) -> ChangesReply {
    match changes {
        Changes::Page {
            entries,
            cursor,
            has_more,
        } => shorten(entries, cursor, has_more),
        Changes::Reset {
            reason: ResetReason::BelowFloor,
            head,
        } => ChangesReply::BelowFloor { head },
        Changes::Reset {
            reason: ResetReason::NotOnChain,
            head,
        } => ChangesReply::NotOnChain { head },
    }
}

/// Ends a page at the end of the group in which it becomes too long.
fn shorten(mut entries: Vec<JournalEntry>, mut cursor: Cursor, mut has_more: bool) -> ChangesReply {
    let ends_group = |entry: &JournalEntry| entry.seq == entry.group_last;
    if let Some(len) = first_beyond(&entries, ends_group) {
        entries.truncate(len);
        if let Some(last) = entries.last() {
            cursor = Cursor {
                seq: last.seq,
                chain: last.chain,
                ..cursor
            };
        }
        has_more = true;
    }
    ChangesReply::Page {
        entries,
        cursor,
        has_more,
    }
}

fn nodes_reply(mut page: NodePage) -> NodesReply {
    if let Some(len) = first_beyond(&page.nodes, |_| true) {
        page.nodes.truncate(len);
        page.has_more = true;
    }
    NodesReply {
        nodes: page.nodes,
        has_more: page.has_more,
    }
}

/// How many items, up to one where a page may end, reach [`PAGE_BYTES`]; `None` when all of them fit.
fn first_beyond<T: Wire>(items: &[T], may_end: impl Fn(&T) -> bool) -> Option<usize> {
    let mut bytes = 0;
    let (last, others) = items.split_last()?;
    let _ = last;
    for (index, item) in others.iter().enumerate() {
        bytes += value_to_cbor(item).len();
        if bytes >= PAGE_BYTES && may_end(item) {
            return Some(index + 1);
        }
    }
    None
}
