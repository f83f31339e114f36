//! `cairn rm`: deletes on the server.

use cairn_core::change::Op;
use cairn_core::node::Content;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;

/// Options of `cairn rm`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What
    #[arg(value_name = "PATH", required = true, value_parser = RemotePath::parse)]
    paths: Vec<RemotePath>,
    /// A folder with everything below
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    for path in &args.paths {
        remove(&session, path, args.recursive).await?;
    }
    let paths: Vec<_> = args.paths.iter().map(ToString::to_string).collect();
    app.ui.outcome(
        format!("Deleted {}.", paths.join(", ")),
        &json!({ "paths": paths }),
    )
}

/// Deletes what was looked at; refused when somebody changed it since.
async fn remove(session: &Session, path: &RemotePath, recursive: bool) -> CliResult {
    let seen = remote_path::existing(&session.files, path).await?;
    let Target::Node(node) = seen.target else {
        return Err(CliError::usage("the root cannot be deleted"));
    };
    let is_folder = node.content == Content::Directory;
    if is_folder && !recursive {
        let (below, _) = session.files.children(node.id, None).await?;
        if !below.is_empty() {
            return Err(
                CliError::failed(format!("{path} is a folder with something in it"))
                    .next("delete it with -r"),
            );
        }
    }
    let group = vec![Op::Delete {
        node: node.id,
        base_place: node.place_seq,
        base_content: node.content_seq,
        seen: Some(seen.seq),
    }];
    remote_path::commit(&session.files, path, group).await
}
