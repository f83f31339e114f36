//! `cairn restore`: brings back what was deleted, or an earlier state of a file.

use cairn_api::sync::Whereabouts;
use cairn_client::files::RemoteFiles;
use cairn_core::change::Op;
use cairn_core::node::{Content, Node, Place};
use cairn_core::rev::Rev;
use serde_json::json;

use super::mkdir;
use crate::App;
use crate::error::{CliError, CliResult};
use crate::history;
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;

/// Options of `cairn restore`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A remote path; of a deleted folder everything that was in it comes back
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// Which state of a file, as "cairn revs" lists them [default: the last of what was deleted]
    #[arg(long, value_name = "REV")]
    rev: Option<Rev>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let (files, path) = (&session.files, &args.path);
    let (now, reply) = history::latest(files, path).await?;
    let wanted = match args.rev {
        Some(rev) => history::state(files, path, rev).await?,
        None => now.clone(),
    };
    let group = match reply.whereabouts {
        Whereabouts::There if args.rev.is_none() => {
            return Err(CliError::refused(format!("{path} was not deleted")).next(format!(
                "name the state with --rev; \"cairn revs {path}\" lists them"
            )));
        }
        Whereabouts::There => edit(&now, &wanted),
        Whereabouts::Deleted => {
            let (place, mut group) = destination(files, path).await?;
            group.push(Op::Move {
                node: now.id,
                place,
                base_place: now.place_seq,
            });
            group.extend(edit(&now, &wanted));
            group
        }
        Whereabouts::Elsewhere => copy(files, path, &wanted).await?,
    };
    let text = match group.is_empty() {
        true => format!("{path} is at that revision."),
        false => {
            remote_path::commit(files, path, group).await?;
            format!("Restored {path}.")
        }
    };
    app.ui.outcome(text, &json!({ "path": path.to_string() }))
}

/// Gives a file the content that it had; nothing where it has that.
fn edit(now: &Node, wanted: &Node) -> Vec<Op> {
    if now.content_seq == wanted.content_seq {
        return Vec::new();
    }
    vec![Op::Edit {
        node: now.id,
        content: wanted.content.clone(),
        attributes: wanted.attributes,
        base_content: now.content_seq,
    }]
}

/// What stands elsewhere now stays there.
async fn copy(files: &RemoteFiles, path: &RemotePath, wanted: &Node) -> CliResult<Vec<Op>> {
    if wanted.content == Content::Directory {
        return Err(
            CliError::refused(format!("the folder {path} was moved, not deleted"))
                .next("move it back with \"cairn mv\""),
        );
    }
    let (place, mut group) = destination(files, path).await?;
    group.push(Op::Create {
        node: files.new_node(),
        place,
        content: wanted.content.clone(),
        attributes: wanted.attributes,
    });
    Ok(group)
}

/// The place of what comes back, and the operations that make the folders above it.
async fn destination(files: &RemoteFiles, path: &RemotePath) -> CliResult<(Place, Vec<Op>)> {
    match remote_path::look_up(files, path).await?.target {
        Target::Free { parent, name } => Ok((Place { parent, name }, Vec::new())),
        Target::Missing { .. } => {
            let (parent, group) = mkdir::plan(files, &path.parent(), true).await?;
            let name = path.name().cloned();
            let name = name.ok_or_else(|| CliError::usage("the root cannot be restored"))?;
            Ok((Place { parent, name }, group))
        }
        Target::Root | Target::Node(_) => {
            Err(CliError::refused(format!("{path} is there now")).next("look again, then repeat the command"))
        }
    }
}
