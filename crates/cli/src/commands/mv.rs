//! `cairn mv`: moves or renames on the server.

use cairn_core::change::Op;
use cairn_core::node::Place;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;

/// Options of `cairn mv`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What
    #[arg(value_name = "FROM", value_parser = RemotePath::parse)]
    from: RemotePath,
    /// Where to; into it when it is a folder
    #[arg(value_name = "TO", value_parser = RemotePath::parse)]
    to: RemotePath,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let files = &session.files;
    let Target::Node(node) = remote_path::existing(files, &args.from).await?.target else {
        return Err(CliError::usage("the root cannot be moved"));
    };
    let same = |other: &Target| matches!(other, Target::Node(found) if found.id == node.id);
    let direct = remote_path::look_up(files, &args.to).await?;
    // A new spelling of the same name finds the node itself.
    let (to, target) = if same(&direct.target) {
        (args.to.clone(), direct.target)
    } else {
        let (to, seen) = remote_path::destination(files, &args.to, args.from.name()).await?;
        (to, seen.target)
    };
    let place = match target {
        Target::Free { parent, name } => Place { parent, name },
        Target::Node(found) if found.id == node.id => {
            let name = to.name().cloned().unwrap_or_else(|| node.place.name.clone());
            Place {
                parent: node.place.parent,
                name,
            }
        }
        Target::Node(_) | Target::Root => {
            return Err(CliError::refused(format!("{to} is there already"))
                .next("choose another name, or delete it first"));
        }
        Target::Missing { .. } => return Err(remote_path::no_folder(&to)),
    };
    let group = vec![Op::Move {
        node: node.id,
        place,
        base_place: node.place_seq,
    }];
    remote_path::commit(files, &args.from, group).await?;
    let value = json!({ "from": args.from.to_string(), "to": to.to_string() });
    app.ui.outcome(format!("Moved {} to {to}.", args.from), &value)
}
