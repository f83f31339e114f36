//! A folder with everything below.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use cairn_client::files::ContentSender;
use cairn_client::fs::OWN_FOLDER;
use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::limits::{COMMIT_BATCH_OPS, FRAME_BYTES};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::{Attributes, Content, LinkTarget, Node, NodeKind, Place};

use super::{attributes, in_the_way, local_name, replacement, send_file};
use crate::App;
use crate::commands::mkdir;
use crate::error::{CliError, CliResult};
use crate::remote_path::{self, RemotePath, Target};
use crate::session::Session;

/// Encoded operations of one commit: they travel in one frame.
const OPS_BYTES: usize = FRAME_BYTES / 2;
/// Content of one commit, so that a cut loses little.
const CONTENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of an operation besides its manifest, and of each chunk in it; generous.
const OP_BYTES: usize = 1_024;
const ENTRY_BYTES: usize = 40;

/// A folder that is being sent.
struct Putting<'a> {
    app: &'a App,
    session: &'a Session,
    sender: ContentSender<'a>,
    batch: Vec<(RemotePath, Op)>,
    batch_bytes: usize,
    content_bytes: u64,
    failed: u64,
    first_failure: Option<CliError>,
}

/// A local folder and what it becomes.
struct Folder {
    local: PathBuf,
    remote: RemotePath,
    node: NodeId,
    /// Whether it was there before: its files are replaced, others stay.
    existed: bool,
}

/// Sends a folder. What cannot be sent is said and left out; the command fails at the end then.
pub(super) async fn put_folder(
    app: &App,
    session: &Session,
    local: &Path,
    path: &RemotePath,
) -> CliResult<RemotePath> {
    let name = local_name(local)?;
    let (to, seen) = remote_path::destination(&session.files, path, Some(&name)).await?;
    let mut putting = Putting {
        app,
        session,
        sender: session.files.send(),
        batch: Vec::new(),
        batch_bytes: 0,
        content_bytes: 0,
        failed: 0,
        first_failure: None,
    };
    let folder = |node, existed| Folder {
        local: local.to_owned(),
        remote: to.clone(),
        node,
        existed,
    };
    let top = match seen.target {
        Target::Free { parent, name } => {
            let node = session.files.new_node();
            let op = mkdir::new_folder(node, Place { parent, name }, mkdir::mtime(&session.files));
            putting.push(&to, op).await?;
            folder(node, false)
        }
        Target::Missing { .. } => return Err(remote_path::no_folder(&to)),
        target => folder(target.folder().ok_or_else(|| in_the_way(&to))?, true),
    };
    let mut folders = vec![top];
    while let Some(folder) = folders.pop() {
        putting.folder(&folder, &mut folders).await?;
    }
    putting.flush().await?;
    match putting.first_failure {
        None => Ok(to),
        Some(error) if putting.failed == 1 => Err(error),
        Some(error) => Err(error.about(&format!("{} items were not sent; the first", putting.failed))),
    }
}

impl Putting<'_> {
    /// Sends what is in one folder; folders below are left in `below`.
    async fn folder(&mut self, folder: &Folder, below: &mut Vec<Folder>) -> CliResult {
        let mut existing: HashMap<NameKey, Node> = HashMap::new();
        if folder.existed {
            let nodes = remote_path::children(&self.session.files, folder.node).await?;
            existing.extend(nodes.into_iter().map(|node| (node.place.name.key(), node)));
        }
        for local in entries(&folder.local)? {
            match self.entry(folder, &local, &existing).await {
                Ok(None) => {}
                Ok(Some(found)) => below.push(found),
                // One file that cannot be read must not keep the others here; a server that is gone ends it all.
                Err(error) if error.exit == crate::error::Exit::Network => return Err(error),
                Err(error) => self.fail(error),
            }
        }
        Ok(())
    }

    async fn entry(
        &mut self,
        folder: &Folder,
        local: &Path,
        existing: &HashMap<NameKey, Node>,
    ) -> CliResult<Option<Folder>> {
        let metadata =
            std::fs::symlink_metadata(local).map_err(|error| CliError::io("read", local, error))?;
        let name = local_name(local)?;
        if metadata.is_dir() && name.as_str() == OWN_FOLDER {
            return Ok(None);
        }
        let remote = folder.remote.join(&name);
        let there = existing.get(&name.key());
        if metadata.is_dir() {
            return self
                .subfolder(folder, local, &remote, name, there)
                .await
                .map(Some);
        }
        let (content, attributes) = if metadata.is_symlink() {
            (link(local)?, attributes(&metadata))
        } else if metadata.is_file() {
            check_kind(&remote, there, NodeKind::File)?;
            let (content, attributes) = send_file(self.session, &mut self.sender, local).await?;
            (Content::File(content), attributes)
        } else {
            return Err(CliError::failed(format!(
                "{} is neither a file nor a folder nor a link",
                local.display()
            )));
        };
        let op = self.op(folder, &remote, name, there, content, attributes)?;
        self.push(&remote, op).await?;
        Ok(None)
    }

    async fn subfolder(
        &mut self,
        folder: &Folder,
        local: &Path,
        remote: &RemotePath,
        name: NodeName,
        there: Option<&Node>,
    ) -> CliResult<Folder> {
        let (local, remote) = (local.to_owned(), remote.clone());
        if let Some(node) = there {
            check_kind(&remote, there, NodeKind::Directory)?;
            return Ok(Folder {
                local,
                remote,
                node: node.id,
                existed: true,
            });
        }
        let node = self.session.files.new_node();
        let op = mkdir::new_folder(
            node,
            Place {
                parent: folder.node,
                name,
            },
            mkdir::mtime(&self.session.files),
        );
        self.push(&remote, op).await?;
        Ok(Folder {
            local,
            remote,
            node,
            existed: false,
        })
    }

    fn op(
        &self,
        folder: &Folder,
        remote: &RemotePath,
        name: NodeName,
        there: Option<&Node>,
        content: Content,
        attributes: Attributes,
    ) -> CliResult<Op> {
        check_kind(remote, there, content.kind())?;
        Ok(match there {
            Some(node) => replacement(node, content, attributes),
            None => {
                let place = Place {
                    parent: folder.node,
                    name,
                };
                Op::Create {
                    node: self.session.files.new_node(),
                    place,
                    content,
                    attributes,
                }
            }
        })
    }

    async fn push(&mut self, remote: &RemotePath, op: Op) -> CliResult {
        if let Op::Create {
            content: Content::File(content),
            ..
        }
        | Op::Edit {
            content: Content::File(content),
            ..
        } = &op
        {
            // A tree manifest names its root alone.
            self.batch_bytes +=
                ENTRY_BYTES * usize::try_from(content.manifest.chunk_count().min(256)).unwrap_or(0);
            self.content_bytes += content.size;
        }
        self.batch_bytes += OP_BYTES + remote.to_string().len();
        self.batch.push((remote.clone(), op));
        let is_full = self.batch.len() >= COMMIT_BATCH_OPS
            || self.batch_bytes >= OPS_BYTES
            || self.content_bytes >= CONTENT_BYTES;
        if is_full { self.flush().await } else { Ok(()) }
    }

    /// Commits what was sent, each item for itself.
    async fn flush(&mut self) -> CliResult {
        if self.batch.is_empty() {
            return Ok(());
        }
        self.sender.finish().await?;
        (self.batch_bytes, self.content_bytes) = (0, 0);
        let (paths, groups): (Vec<_>, Vec<_>) = std::mem::take(&mut self.batch)
            .into_iter()
            .map(|(path, op)| (path, vec![op]))
            .unzip();
        let outcomes = self.session.files.commit(groups).await?;
        for (path, refusal) in paths.iter().zip(outcomes) {
            if let Some(refusal) = refusal {
                self.fail(remote_path::refused(path, &refusal));
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: CliError) {
        self.failed += 1;
        self.app.ui.note(format!("cairn: {error}"));
        self.first_failure.get_or_insert(error);
    }
}

/// What is in a local folder, by name.
fn entries(local: &Path) -> CliResult<Vec<PathBuf>> {
    let failed = |error| CliError::io("list", local, error);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(local).map_err(failed)? {
        entries.push(entry.map_err(failed)?.path());
    }
    entries.sort_unstable();
    Ok(entries)
}

fn link(local: &Path) -> CliResult<Content> {
    let target = std::fs::read_link(local).map_err(|error| CliError::io("read the link", local, error))?;
    let text = target.to_str().unwrap_or_default();
    LinkTarget::new(text).map(Content::Symlink).map_err(|error| {
        CliError::failed(format!("the link {} cannot be sent", local.display())).because(error)
    })
}

fn check_kind(remote: &RemotePath, there: Option<&Node>, kind: NodeKind) -> CliResult {
    match there {
        Some(node) if node.content.kind() != kind => Err(CliError::refused(format!(
            "{remote} is a {} on the server and a {} here",
            remote_path::kind_word(node.content.kind()),
            remote_path::kind_word(kind)
        ))
        .next("rename one of them")),
        _ => Ok(()),
    }
}
