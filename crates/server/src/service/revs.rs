//! The states that a file went through, for devices.

use std::sync::Arc;

use cairn_api::sync::{RevState, Revs, RevsReply, Whereabouts};
use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::node::{Content, Node};

use super::browse::page_limit;
use super::files::{FileError, FileResult, Files, Spot, Target};
use crate::auth::Caller;
use crate::error::ServiceError;
use crate::state::State;

/// The states of what stands on a path, or stood there last, newest first.
pub(crate) async fn revs(
    state: &Arc<State>,
    caller: &Caller,
    request: &Revs,
) -> Result<RevsReply, ServiceError> {
    if request.names.len() > limits::TREE_DEPTH {
        return Err(ServiceError::TooLarge {
            what: "names in a path",
            limit: limits::TREE_DEPTH,
        });
    }
    state.check_access(caller, request.namespace).await?;
    let files = Files {
        state,
        namespace: request.namespace,
        home: NodeId::ROOT,
        author: caller.author(),
    };
    list(&files, request).await.map_err(|error| match error {
        FileError::Service(error) => error,
        FileError::NotFound => ServiceError::NotFound("what stood on this path"),
        other => ServiceError::bad(other.to_string()),
    })
}

async fn list(files: &Files<'_>, request: &Revs) -> FileResult<RevsReply> {
    let (node, whereabouts) = find(files, &Target::Path(request.names.clone())).await?;
    let (nodes, has_more) = match node.content {
        Content::Directory => {
            let is_before = request.before.is_none_or(|before| node.content_seq < before);
            (is_before.then_some(node).into_iter().collect(), false)
        }
        Content::File(_) | Content::Symlink(_) => {
            let limit = page_limit(request.limit, limits::LISTING_PAGE);
            files.revisions(node.id, request.before, limit).await?
        }
    };
    let seqs: Vec<_> = nodes.iter().map(|node| node.content_seq).collect();
    let written = files.state.metadata.written(files.namespace, &seqs).await?;
    let states = nodes.into_iter().zip(written).map(|(node, written)| RevState {
        node,
        at: written.map(|written| written.at),
        device: written.map(|written| written.device),
    });
    Ok(RevsReply {
        states: states.collect(),
        whereabouts,
        has_more,
    })
}

/// What stands on a path, or stood there last, and where it is now.
async fn find(files: &Files<'_>, target: &Target) -> FileResult<(Node, Whereabouts)> {
    match files.find(target).await {
        Ok(Spot::Node(located)) => Ok((located.node, Whereabouts::There)),
        Ok(Spot::Root(_)) => Err(FileError::NotFile),
        Err(FileError::NotFound) => {
            let node = files.find_last(target).await?;
            let whereabouts = match files.folders_above(&node, None).await? {
                Some(_) => Whereabouts::Elsewhere,
                None => Whereabouts::Deleted,
            };
            Ok((node, whereabouts))
        }
        Err(error) => Err(error),
    }
}
