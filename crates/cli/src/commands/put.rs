//! `cairn put`: sends files. What it says is sent is durable on the server.

mod tree;

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cairn_client::files::ContentSender;
use cairn_core::change::Op;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, Node, Place};
use cairn_core::time::Mtime;
use serde_json::json;

use crate::App;
use crate::commands::mkdir;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;
use crate::ui::format;

/// Options of `cairn put`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file or folder here; "-" reads the content from stdin
    #[arg(value_name = "LOCAL")]
    local: PathBuf,
    /// Where it goes on the server; into it when it is a folder
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// A folder with everything below
    #[arg(long, short)]
    recursive: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let label = "sending";
    let to = if args.local.as_os_str() == "-" {
        session
            .show_while(app, label, put_stdin(&session, &args.path))
            .await?
    } else {
        let metadata =
            std::fs::metadata(&args.local).map_err(|error| CliError::io("read", &args.local, error))?;
        if metadata.is_dir() && !args.recursive {
            return Err(
                CliError::failed(format!("{} is a folder", args.local.display())).next("send it with -r")
            );
        }
        if metadata.is_dir() {
            let sending = tree::put_folder(app, &session, &args.local, &args.path);
            session.show_while(app, label, sending).await?
        } else {
            session
                .show_while(app, label, put_file(&session, &args.local, &args.path))
                .await?
        }
    };
    let sent = session.files.progress.snapshot().up;
    let text = format!(
        "Sent {}, {}, to {to}.",
        format::count(sent.files_done, "file"),
        format::bytes(sent.bytes_done)
    );
    let value = json!({ "path": to.to_string(), "files": sent.files_done, "bytes": sent.bytes_done });
    app.ui.outcome(text, &value)
}

async fn put_stdin(session: &Session, path: &RemotePath) -> CliResult<RemotePath> {
    let (to, seen) = remote_path::destination(&session.files, path, None).await?;
    check_replaceable(&to, &seen.target)?;
    let mut sender = session.files.send();
    let content = sender
        .content(Box::new(std::io::stdin()))
        .await
        .map_err(CliError::from)?;
    sender.finish().await?;
    let attributes = Attributes {
        mtime: mkdir::mtime(&session.files),
        executable: false,
    };
    let op = operation(session, &to, seen.target, Content::File(content), attributes)?;
    remote_path::commit(&session.files, &to, vec![op]).await?;
    Ok(to)
}

async fn put_file(session: &Session, local: &Path, path: &RemotePath) -> CliResult<RemotePath> {
    let name = local_name(local)?;
    let (to, seen) = remote_path::destination(&session.files, path, Some(&name)).await?;
    check_replaceable(&to, &seen.target)?;
    let mut sender = session.files.send();
    let (content, attributes) = send_file(session, &mut sender, local).await?;
    sender.finish().await?;
    let op = operation(session, &to, seen.target, Content::File(content), attributes)?;
    remote_path::commit(&session.files, &to, vec![op]).await?;
    Ok(to)
}

/// Sends a file's content, and makes sure that it did not change while it was read.
async fn send_file(
    session: &Session,
    sender: &mut ContentSender<'_>,
    local: &Path,
) -> CliResult<(FileContent, Attributes)> {
    let failed = |error| CliError::io("read", local, error);
    let file = File::open(local).map_err(failed)?;
    let before = file.metadata().map_err(failed)?;
    if !before.is_file() {
        return Err(CliError::failed(format!("{} is no file", local.display())));
    }
    session.files.progress.up.expect(1, before.len());
    let source: Box<dyn Read + Send> = Box::new(file.try_clone().map_err(failed)?);
    let content = sender
        .content(source)
        .await
        .map_err(|error| CliError::from(error).about(&local.display().to_string()))?;
    let after = file.metadata().map_err(failed)?;
    if stamp(&before) != stamp(&after) || content.size != after.len() {
        return Err(
            CliError::failed(format!("{} changed while it was read", local.display()))
                .next("run the command again when it is finished"),
        );
    }
    Ok((content, attributes(&after)))
}

/// What differs when a file was written meanwhile.
fn stamp(metadata: &Metadata) -> [i64; 4] {
    [
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ]
}

fn attributes(metadata: &Metadata) -> Attributes {
    let nanos = u32::try_from(metadata.mtime_nsec()).unwrap_or(0);
    let mtime = Mtime::new(metadata.mtime(), nanos).unwrap_or_default();
    Attributes {
        mtime,
        executable: metadata.permissions().mode() & 0o100 != 0,
    }
}

/// The name that a local file would have on the server.
fn local_name(local: &Path) -> CliResult<NodeName> {
    // The name of "." and of what ends in ".." is that of the folder it stands for.
    let named = match local.file_name() {
        Some(_) => local.to_owned(),
        None => local
            .canonicalize()
            .map_err(|error| CliError::io("find", local, error))?,
    };
    let name = named.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        CliError::failed(format!("the name of {} is not UTF-8", local.display())).next("rename it first")
    })?;
    NodeName::new(name).map_err(|error| CliError::failed(format!("{name} cannot be a name")).because(error))
}

/// Refuses before anything is sent what could not be replaced by a file.
fn check_replaceable(to: &RemotePath, target: &Target) -> CliResult {
    match target {
        Target::Free { .. } => Ok(()),
        Target::Missing { .. } => Err(remote_path::no_folder(to)),
        Target::Node(node) if matches!(node.content, Content::File(_)) => Ok(()),
        Target::Node(_) | Target::Root => Err(in_the_way(to)),
    }
}

fn in_the_way(to: &RemotePath) -> CliError {
    CliError::refused(format!("{to} is there already and is no file"))
        .next("choose another name, or delete it first")
}

/// What makes the content stand at the path: a new file, or an edit of the one that was seen before it was sent.
fn operation(
    session: &Session,
    to: &RemotePath,
    target: Target,
    content: Content,
    attributes: Attributes,
) -> CliResult<Op> {
    match target {
        Target::Free { parent, name } => {
            let node = session.files.new_node();
            Ok(Op::Create {
                node,
                place: Place { parent, name },
                content,
                attributes,
            })
        }
        Target::Node(node) => Ok(replacement(&node, content, attributes)),
        Target::Root | Target::Missing { .. } => Err(in_the_way(to)),
    }
}

/// An edit; only the attributes when the content is the same: no new version of nothing.
fn replacement(node: &Node, content: Content, attributes: Attributes) -> Op {
    if node.content.same_as(&content) {
        Op::SetAttributes {
            node: node.id,
            attributes,
        }
    } else {
        Op::Edit {
            node: node.id,
            content,
            attributes,
            base_content: node.content_seq,
        }
    }
}
