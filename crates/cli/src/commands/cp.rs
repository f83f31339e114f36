//! `cairn cp`: copies on the server. The copy has the same chunks: no content travels.

use cairn_client::files::RemoteFiles;
use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::limits::COMMIT_BATCH_OPS;
use cairn_core::node::{Content, Node, Place};
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;
use crate::ui::format;

/// Options of `cairn cp`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What
    #[arg(value_name = "FROM", value_parser = RemotePath::parse)]
    from: RemotePath,
    /// Where to; into it when it is a folder
    #[arg(value_name = "TO", value_parser = RemotePath::parse)]
    to: RemotePath,
    /// A folder with everything below
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let files = &session.files;
    let Target::Node(node) = remote_path::existing(files, &args.from).await?.target else {
        return Err(CliError::usage("the root cannot be copied"));
    };
    if node.content == Content::Directory && !args.recursive {
        return Err(CliError::failed(format!("{} is a folder", args.from)).next("copy it with -r"));
    }
    let (to, seen) = remote_path::destination(files, &args.to, args.from.name()).await?;
    let place = match seen.target {
        Target::Free { parent, name } => Place { parent, name },
        Target::Node(_) | Target::Root => {
            return Err(CliError::refused(format!("{to} is there already"))
                .next("choose another name, or delete it first"));
        }
        Target::Missing { .. } => return Err(remote_path::no_folder(&to)),
    };
    if to.names().starts_with(args.from.names()) {
        return Err(CliError::refused("a folder cannot be copied into itself"));
    }
    let copied = copy(files, &node, place, &to).await?;
    let value = json!({ "from": args.from.to_string(), "to": to.to_string(), "items": copied });
    app.ui.outcome(
        format!("Copied {} to {to}, {}.", args.from, format::count(copied, "item")),
        &value,
    )
}

/// Copies a node and everything below, folders before what is in them, in commits of bounded size.
async fn copy(files: &RemoteFiles, node: &Node, place: Place, to: &RemotePath) -> CliResult<u64> {
    let mut copied = 0;
    let mut group = Vec::new();
    let mut folders: Vec<(NodeId, NodeId)> = Vec::new();
    let new = create(files, node, place, &mut group);
    if node.content == Content::Directory {
        folders.push((node.id, new));
    }
    while let Some((folder, new_folder)) = folders.pop() {
        for child in remote_path::children(files, folder).await? {
            let place = Place {
                parent: new_folder,
                name: child.place.name.clone(),
            };
            let new = create(files, &child, place, &mut group);
            if child.content == Content::Directory {
                folders.push((child.id, new));
            }
            if group.len() >= COMMIT_BATCH_OPS {
                copied += group.len() as u64;
                remote_path::commit(files, to, std::mem::take(&mut group)).await?;
            }
        }
    }
    copied += group.len() as u64;
    if !group.is_empty() {
        remote_path::commit(files, to, group).await?;
    }
    Ok(copied)
}

fn create(files: &RemoteFiles, node: &Node, place: Place, group: &mut Vec<Op>) -> NodeId {
    let new = files.new_node();
    group.push(Op::Create {
        node: new,
        place,
        content: node.content.clone(),
        attributes: node.attributes,
    });
    new
}
