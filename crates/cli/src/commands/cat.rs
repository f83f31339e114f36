//! `cairn cat`: prints a remote file.

use std::io::Write;

use cairn_core::node::Content;
use cairn_core::rev::Rev;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::history;
use crate::remote_path::{RemotePath, Target};
use crate::session::Session;

/// Options of `cairn cat`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A remote file
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// An earlier state of it, as "cairn revs" lists them
    #[arg(long, value_name = "REV")]
    rev: Option<Rev>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let target = history::target(&session.files, &args.path, args.rev).await?;
    let Target::Node(node) = target else {
        return Err(CliError::failed(format!("{} is a folder", args.path)).next("list it with \"cairn ls\""));
    };
    match &node.content {
        Content::File(_) => {}
        Content::Directory => {
            return Err(
                CliError::failed(format!("{} is a folder", args.path)).next("list it with \"cairn ls\"")
            );
        }
        Content::Symlink(target) => {
            return Err(CliError::failed(format!(
                "{} is a link to {}",
                args.path,
                target.as_str()
            )));
        }
    }
    let fetched = session.files.fetch_content(&node, std::io::stdout()).await;
    let mut out = fetched.map_err(|error| CliError::from(error).about(&args.path.to_string()))?;
    out.flush()
        .map_err(|error| CliError::failed("cannot write the output").because(error))
}
