//! `cairn mkdir`: makes a remote folder.

use cairn_client::files::RemoteFiles;
use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::node::{Attributes, Content, Place};
use cairn_core::time::Mtime;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;

/// Options of `cairn mkdir`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// With the folders above it; no error when it is there
    #[arg(long, short)]
    parents: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    make(&session.files, &args.path, args.parents).await?;
    app.ui.outcome(
        format!("Made {}.", args.path),
        &json!({ "path": args.path.to_string() }),
    )
}

/// Makes a folder, and with `parents` those above it, in one commit.
pub(crate) async fn make(files: &RemoteFiles, path: &RemotePath, parents: bool) -> CliResult<NodeId> {
    let (folder, group) = plan(files, path, parents).await?;
    if !group.is_empty() {
        remote_path::commit(files, path, group).await?;
    }
    Ok(folder)
}

/// The operations that make a folder, and with `parents` those above it. With `parents` there are none for one that is there.
pub(crate) async fn plan(
    files: &RemoteFiles,
    path: &RemotePath,
    parents: bool,
) -> CliResult<(NodeId, Vec<Op>)> {
    let seen = remote_path::look_up(files, path).await?;
    let (mut parent, missing) = match seen.target {
        Target::Free { parent, .. } => (parent, &path.names()[path.names().len() - 1..]),
        Target::Missing { found, last } if parents => match last {
            Some(node) if node.content != Content::Directory => {
                return Err(CliError::failed(format!(
                    "{} on the way to {path} is no folder",
                    node.place.name
                )));
            }
            last => (last.map_or(NodeId::ROOT, |node| node.id), &path.names()[found..]),
        },
        Target::Missing { .. } => return Err(remote_path::no_folder(path)),
        Target::Root if parents => return Ok((NodeId::ROOT, Vec::new())),
        Target::Node(node) if parents && node.content == Content::Directory => {
            return Ok((node.id, Vec::new()));
        }
        Target::Root | Target::Node(_) => {
            return Err(CliError::refused(format!("{path} is there already")));
        }
    };
    let now = mtime(files);
    let mut group = Vec::new();
    for name in missing {
        let node = files.new_node();
        group.push(new_folder(
            node,
            Place {
                parent,
                name: name.clone(),
            },
            now,
        ));
        parent = node;
    }
    Ok((parent, group))
}

/// The operation that makes a folder.
pub(crate) fn new_folder(node: NodeId, place: Place, mtime: Mtime) -> Op {
    let attributes = Attributes {
        mtime,
        executable: false,
    };
    Op::Create {
        node,
        place,
        content: Content::Directory,
        attributes,
    }
}

/// The time of day, as a modification time.
pub(crate) fn mtime(files: &RemoteFiles) -> Mtime {
    let ms = files.runtime.clock.now().as_millis();
    let nanos = u32::try_from(ms.rem_euclid(1_000)).unwrap_or(0) * 1_000_000;
    Mtime::new(ms.div_euclid(1_000), nanos).unwrap_or_default()
}
