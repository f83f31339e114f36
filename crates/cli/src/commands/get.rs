//! `cairn get`: fetches remote files.

use std::fs::{File, FileTimes};
use std::io::{self, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cairn_core::node::{Attributes, Content, Node};
use cairn_core::rev::Rev;
use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::history;
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;
use crate::ui::format;

/// Files under way at once: small ones would else wait for one round trip each.
const FILES_AT_ONCE: usize = 8;

/// Options of `cairn get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A remote file or folder
    #[arg(value_name = "PATH", value_parser = RemotePath::parse)]
    path: RemotePath,
    /// Where it goes; into it when it is a folder [default: here]
    #[arg(value_name = "LOCAL")]
    local: Option<PathBuf>,
    /// A folder with everything below
    #[arg(long, short)]
    recursive: bool,
    /// An earlier state of a file, as "cairn revs" lists them
    #[arg(long, value_name = "REV", conflicts_with = "recursive")]
    rev: Option<Rev>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    let target = history::target(&session.files, &args.path, args.rev).await?;
    let local = args.local.unwrap_or_else(|| PathBuf::from("."));
    let local = match args.path.name() {
        Some(name) if local.is_dir() => local.join(name.as_str()),
        _ => local,
    };
    let work: CliResult<()> = match (&target, target.folder()) {
        (_, Some(_)) if !args.recursive => {
            return Err(CliError::failed(format!("{} is a folder", args.path)).next("fetch it with -r"));
        }
        (_, Some(folder)) => {
            let fetching = get_folder(&session, folder, &args.path, &local);
            session.show_while(app, "fetching", fetching).await
        }
        (Target::Node(node), None) => {
            session.files.progress.down.expect(1, node.content.size());
            session
                .show_while(app, "fetching", get_node(&session, node, &args.path, &local))
                .await
        }
        _ => Err(remote_path::not_found(&args.path)),
    };
    work?;
    let got = session.files.progress.snapshot().down;
    let text = format!(
        "Fetched {}, {}, to {}.",
        format::count(got.files_done, "file"),
        format::bytes(got.bytes_done),
        local.display()
    );
    let value = json!({ "local": local, "files": got.files_done, "bytes": got.bytes_done });
    app.ui.outcome(text, &value)
}

/// Fetches a folder, level by level; files that are there already are replaced, others stay.
async fn get_folder(
    session: &Session,
    folder: cairn_core::ids::NodeId,
    path: &RemotePath,
    local: &Path,
) -> CliResult {
    let mut folders = vec![(folder, path.clone(), local.to_owned())];
    while let Some((folder, path, local)) = folders.pop() {
        make_folder(&local)?;
        let mut leaves = Vec::new();
        for node in remote_path::children(&session.files, folder).await? {
            let (path, local) = (path.join(&node.place.name), local.join(node.place.name.as_str()));
            if node.content == Content::Directory {
                folders.push((node.id, path, local));
            } else {
                session.files.progress.down.expect(1, node.content.size());
                leaves.push((node, path, local));
            }
        }
        stream::iter(leaves)
            .map(async |(node, path, local)| get_node(session, &node, &path, &local).await)
            .buffer_unordered(FILES_AT_ONCE)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

fn make_folder(local: &Path) -> CliResult {
    match std::fs::create_dir(local) {
        // A link to a folder elsewhere is not followed: what is fetched stays below the place that was named.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match std::fs::symlink_metadata(local) {
                Ok(metadata) if metadata.is_dir() => Ok(()),
                _ => Err(CliError::failed(format!(
                    "{} is in the way: it is no folder",
                    local.display()
                ))),
            }
        }
        Err(error) => Err(CliError::io("make", local, error)),
        Ok(()) => Ok(()),
    }
}

/// Fetches a file or link. It appears whole, in place of what was there, when this returns, and is on disk.
async fn get_node(session: &Session, node: &Node, path: &RemotePath, local: &Path) -> CliResult {
    if local.is_dir() {
        return Err(CliError::failed(format!(
            "{} is in the way: it is a folder",
            local.display()
        )));
    }
    let staged = staged_name(local)?;
    let made = make_staged(session, node, path, &staged).await;
    let placed = made.and_then(|()| {
        std::fs::rename(&staged, local).map_err(|error| CliError::io("write", local, error))?;
        sync_parent(local)
    });
    if placed.is_err()
        && let Err(error) = std::fs::remove_file(&staged)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %staged.display(), %error, "an unfinished file could not be removed");
    }
    placed
}

async fn make_staged(session: &Session, node: &Node, path: &RemotePath, staged: &Path) -> CliResult {
    if let Content::Symlink(target) = &node.content {
        return std::os::unix::fs::symlink(target.as_str(), staged)
            .map_err(|error| CliError::io("make the link", staged, error));
    }
    let file = File::options()
        .write(true)
        .create_new(true)
        .open(staged)
        .map_err(|error| CliError::io("write", staged, error))?;
    let fetched = session.files.fetch_content(node, BufWriter::new(file)).await;
    let writer = fetched.map_err(|error| CliError::from(error).about(&path.to_string()))?;
    let attributes = node.attributes;
    let finish = move || -> io::Result<()> {
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        set_attributes(&file, attributes)?;
        file.sync_all()
    };
    let finished = session.files.runtime.blocking(finish).await;
    finished.map_err(|error| CliError::io("write", staged, error))
}

fn set_attributes(file: &File, attributes: Attributes) -> io::Result<()> {
    if attributes.executable {
        let mut permissions = file.metadata()?.permissions();
        let mode = permissions.mode();
        // Whoever may read it may execute it.
        permissions.set_mode(mode | (mode & 0o444) >> 2);
        file.set_permissions(permissions)?;
    }
    match modified(attributes) {
        Some(time) => file.set_times(FileTimes::new().set_modified(time)),
        None => Ok(()),
    }
}

/// `None` for a time that this system cannot hold.
fn modified(attributes: Attributes) -> Option<SystemTime> {
    let seconds = Duration::from_secs(attributes.mtime.seconds.unsigned_abs());
    let whole = if attributes.mtime.seconds < 0 {
        UNIX_EPOCH.checked_sub(seconds)?
    } else {
        UNIX_EPOCH.checked_add(seconds)?
    };
    whole.checked_add(Duration::from_nanos(attributes.mtime.nanos.into()))
}

/// A hidden name beside the file, so that both are on one filesystem.
fn staged_name(local: &Path) -> CliResult<PathBuf> {
    let name = local
        .file_name()
        .ok_or_else(|| CliError::usage(format!("{} is no name for a file", local.display())))?;
    // Names may be as long as the filesystem allows: what is put in front must not make them longer.
    let short: String = name.to_string_lossy().chars().take(40).collect();
    let number = std::process::id();
    Ok(local.with_file_name(format!(".{short}.{number}.cairn-part")))
}

fn sync_parent(local: &Path) -> CliResult {
    let parent = match local.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| CliError::io("write", parent, error))
}
