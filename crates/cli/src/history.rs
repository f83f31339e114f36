//! The states of what stands on a remote path, or stood there last.

use cairn_api::error::ErrorCode;
use cairn_api::sync::{RevState, RevsReply};
use cairn_client::files::RemoteFiles;
use cairn_client::remote::RemoteError;
use cairn_core::node::{Content, Node};
use cairn_core::rev::{Rev, Seq};

use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};

/// At most `limit` states, newest first, of those before `before`.
pub(crate) async fn states(
    files: &RemoteFiles,
    path: &RemotePath,
    before: Option<Seq>,
    limit: u32,
) -> CliResult<RevsReply> {
    if path.name().is_none() {
        return Err(CliError::usage(
            "the root has no earlier states; name what is in it",
        ));
    }
    match files.revs(path.names(), before, limit).await {
        Err(RemoteError::Refused(refusal)) if refusal.code == ErrorCode::NotFound => Err(CliError::failed(
            format!("nothing ever stood at {path} on the server"),
        )
        .next("see \"cairn ls\"")),
        answered => Ok(answered?),
    }
}

/// What stands on the path, or stood there last, as it is now, and where that is.
pub(crate) async fn latest(files: &RemoteFiles, path: &RemotePath) -> CliResult<(Node, RevsReply)> {
    let reply = states(files, path, None, 1).await?;
    match reply.states.first() {
        Some(state) => Ok((state.node.clone(), reply)),
        None => Err(CliError::failed(format!("the server knows no state of {path}"))),
    }
}

/// The state that a revision names.
pub(crate) async fn state(files: &RemoteFiles, path: &RemotePath, rev: Rev) -> CliResult<Node> {
    let unknown = || {
        CliError::failed(format!("{rev} is no revision of {path}"))
            .next(format!("\"cairn revs {path}\" lists them"))
    };
    let after = Seq::new(rev.content_seq.get().saturating_add(1));
    if rev.namespace != files.namespace {
        return Err(unknown());
    }
    let found = states(files, path, after, 1).await?.states.into_iter().next();
    let RevState { node, .. } = found.ok_or_else(unknown)?;
    match node.content {
        Content::Directory => Err(is_folder(path)),
        _ if node.content_seq != rev.content_seq => Err(unknown()),
        Content::File(_) | Content::Symlink(_) => Ok(node),
    }
}

/// What stands on the path, or the state of it that a revision names.
pub(crate) async fn target(files: &RemoteFiles, path: &RemotePath, rev: Option<Rev>) -> CliResult<Target> {
    match rev {
        Some(rev) => Ok(Target::Node(Box::new(state(files, path, rev).await?))),
        None => Ok(remote_path::existing(files, path).await?.target),
    }
}

/// The error for a folder where a file is needed.
pub(crate) fn is_folder(path: &RemotePath) -> CliError {
    CliError::failed(format!("{path} is a folder: only what is in it has revisions")).next("name a file")
}
