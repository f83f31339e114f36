//! `cairn ls`: remote files.

use cairn_core::node::{Content, Node};
use cairn_core::rev::Rev;
use cairn_core::time::Timestamp;
use serde_json::{Value, json};

use crate::App;
use crate::error::CliResult;
use crate::remote_path::{self, RemotePath, Target, kind_word};
use crate::session::Session;
use crate::ui::format;

/// Options of `cairn ls`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A remote folder or file
    #[arg(value_name = "PATH", default_value = "/", value_parser = RemotePath::parse, hide_default_value = true)]
    path: RemotePath,
    /// With size and time
    #[arg(long, short)]
    long: bool,
    /// With everything below
    #[arg(long, short = 'R')]
    recursive: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let seen = remote_path::existing(&session.files, &args.path).await?;
    let mut rows = Vec::new();
    match (&seen.target, seen.target.folder()) {
        (_, Some(folder)) => {
            let mut folders = vec![(folder, RemotePath::default(), args.path.clone())];
            while let Some((folder, shown, path)) = folders.pop() {
                let nodes = remote_path::children(&session.files, folder).await?;
                let mut below = Vec::new();
                for node in nodes {
                    let name = &node.place.name;
                    let (shown, path) = (shown.join(name), path.join(name));
                    if args.recursive && node.content == Content::Directory {
                        below.push((node.id, shown.clone(), path.clone()));
                    }
                    print(app, &session, &args, (&shown, &path), &node, &mut rows)?;
                }
                folders.extend(below.into_iter().rev());
            }
        }
        (Target::Node(node), None) => print(app, &session, &args, (&args.path, &args.path), node, &mut rows)?,
        _ => {}
    }
    if app.ui.json { app.ui.json(&rows) } else { Ok(()) }
}

fn print(
    app: &App,
    session: &Session,
    args: &Args,
    (shown, path): (&RemotePath, &RemotePath),
    node: &Node,
    rows: &mut Vec<Value>,
) -> CliResult {
    if app.ui.json {
        rows.push(row(session, path, node));
        return Ok(());
    }
    let suffix = match &node.content {
        Content::Directory => "/".to_owned(),
        Content::File(_) => String::new(),
        Content::Symlink(target) if args.long => format!(" -> {}", target.as_str()),
        Content::Symlink(_) => "@".to_owned(),
    };
    // Below the folder that was asked for: without its slash in front.
    let name = shown.to_string().trim_start_matches('/').to_owned();
    if !args.long {
        return app.ui.line(format!("{name}{suffix}"));
    }
    let (size, time) = match &node.content {
        Content::File(file) => {
            let ms = node.attributes.mtime.seconds.saturating_mul(1_000);
            (format::bytes(file.size), format::time(Timestamp::from_millis(ms)))
        }
        // Folders and links have no time of their own.
        Content::Directory | Content::Symlink(_) => ("-".to_owned(), "-".to_owned()),
    };
    app.ui.line(format!("{size:>9}  {time:<20}  {name}{suffix}"))
}

/// A node as `--json` shows it.
fn row(session: &Session, path: &RemotePath, node: &Node) -> Value {
    let mut row = json!({
        "path": path.to_string(),
        "name": node.place.name.as_str(),
        "kind": kind_word(node.content.kind()),
        "id": node.id.to_string(),
        "mtime": { "seconds": node.attributes.mtime.seconds, "nanos": node.attributes.mtime.nanos },
    });
    match &node.content {
        Content::File(file) => {
            row["size_bytes"] = json!(file.size);
            row["content_hash"] = json!(file.content_hash.to_string());
            row["executable"] = json!(node.attributes.executable);
            let rev = Rev {
                namespace: session.files.namespace,
                content_seq: node.content_seq,
            };
            row["rev"] = json!(rev.to_string());
        }
        Content::Symlink(target) => row["target"] = json!(target.as_str()),
        Content::Directory => {}
    }
    row
}
