//! Puts files and folders in their places, and takes them away.

use std::collections::BTreeMap;

use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, Node, Place};
use cairn_core::rev::{Rev, Seq};
use cairn_core::time::Mtime;

use super::find::{Destination, Tree as _};
use super::{ATTEMPTS, Attempt, FileError, FileResult, Files, Ingested, Located, Obstacle, Spot, Target};

/// How a file is put where another may stand.
#[derive(Debug, Clone)]
pub(crate) struct Put {
    /// What happens to a file that has the name.
    pub(crate) mode: Mode,
    /// Whether another name is taken where this one cannot be had.
    pub(crate) autorename: bool,
    /// Whether a file of the same bytes counts as another.
    pub(crate) strict: bool,
    /// When the content was last modified, in seconds since 1970; `None`: now.
    pub(crate) modified: Option<i64>,
    /// What goes behind the name of the copy when somebody else has edited the file, as "Ada's conflicted copy".
    pub(crate) copy_suffix: String,
}

/// What happens to a file that has the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It stays.
    Add,
    /// It gets the new content.
    Overwrite,
    /// It gets the new content if it is in this state; `None`: one that no file here ever was in.
    Update(Option<Rev>),
}

/// What is to be done.
pub(super) enum Step {
    /// It is there already.
    Keep(Box<Node>),
    /// A new file under this name.
    Create(NodeName),
    /// Another content for this one.
    Edit(Box<Node>),
}

impl Files<'_> {
    /// Puts a content where a path says, making the folders that are missing.
    pub(crate) async fn put(&self, target: &Target, ingested: &Ingested, how: &Put) -> FileResult<Located> {
        for _ in 0..ATTEMPTS {
            let destination = self.destination(target).await?;
            let step = self.step(&destination, &ingested.content, how).await?;
            let done = match step {
                Step::Keep(node) => Some(*node),
                Step::Create(name) => {
                    let content = Content::File(ingested.content.clone());
                    let attributes = self.attributes(how, false);
                    self.create(&destination, name, content, attributes, &ingested.lens)
                        .await?
                }
                Step::Edit(node) => self.edit(*node, ingested, how).await?,
            };
            if let Some(node) = done {
                return Ok(destination.hold(node));
            }
        }
        Err(FileError::Contended)
    }

    /// Makes a folder, and those above it that are missing.
    pub(crate) async fn make_folder(&self, target: &Target, autorename: bool) -> FileResult<Located> {
        for _ in 0..ATTEMPTS {
            let destination = self.destination(target).await?;
            let name = match &destination.existing {
                None => destination.name.clone(),
                Some(_) if autorename => self.free_name(destination.parent, &destination.name).await?,
                Some(existing) => return Err(FileError::Conflict(obstacle(existing))),
            };
            let attributes = Attributes::default();
            let made = self
                .create(
                    &destination,
                    name,
                    Content::Directory,
                    attributes,
                    &BTreeMap::new(),
                )
                .await?;
            if let Some(node) = made {
                return Ok(destination.hold(node));
            }
        }
        Err(FileError::Contended)
    }

    /// Moves something to the trash; says what it was. `rev`: only a file in this state.
    pub(crate) async fn delete(&self, target: &Target, rev: Option<&Rev>) -> FileResult<Located> {
        for _ in 0..ATTEMPTS {
            let located = match self.find(target).await? {
                Spot::Root(_) => return Err(FileError::Conflict(Obstacle::Folder)),
                Spot::Node(located) => located,
            };
            if let Some(rev) = rev {
                match located.node.content {
                    Content::File(_) if located.node.content_seq == rev.content_seq => {}
                    Content::Directory => return Err(FileError::NotFile),
                    _ => return Err(FileError::Conflict(Obstacle::File)),
                }
            }
            let op = Op::Delete {
                node: located.node.id,
                base_place: located.node.place_seq,
                base_content: located.node.content_seq,
                seen: None,
            };
            if let Attempt::Applied(_) = self.commit(vec![op], &BTreeMap::new()).await? {
                return Ok(located);
            }
        }
        Err(FileError::Contended)
    }

    /// What a put comes to; without `autorename` it asks the store nothing.
    pub(super) async fn step(&self, at: &Destination, content: &FileContent, how: &Put) -> FileResult<Step> {
        let Some(existing) = &at.existing else {
            return match how.mode {
                Mode::Update(_) if how.strict => Err(FileError::Conflict(Obstacle::File)),
                _ => Ok(Step::Create(at.name.clone())),
            };
        };
        let Content::File(file) = &existing.content else {
            return match how.autorename {
                true => Ok(Step::Create(self.free_name(at.parent, &at.name).await?)),
                false => Err(FileError::Conflict(obstacle(existing))),
            };
        };
        let is_same = file.file_id == content.file_id && file.size == content.size;
        let is_allowed = match &how.mode {
            Mode::Add => false,
            Mode::Overwrite => true,
            Mode::Update(rev) => rev.is_some_and(|rev| {
                rev.content_seq == existing.content_seq && rev.namespace == self.namespace
            }),
        };
        if is_same && !how.strict {
            return Ok(Step::Keep(Box::new(existing.clone())));
        }
        if is_allowed {
            return Ok(Step::Edit(Box::new(existing.clone())));
        }
        if !how.autorename {
            return Err(FileError::Conflict(Obstacle::File));
        }
        let name = match &how.mode {
            Mode::Update(_) => self.copy_name(at, &how.copy_suffix).await?,
            _ => self.free_name(at.parent, &at.name).await?,
        };
        Ok(Step::Create(name))
    }

    /// The name of a copy beside a file that somebody else has edited.
    async fn copy_name(&self, at: &Destination, suffix: &str) -> FileResult<NodeName> {
        let name = at.name.with_suffix(&format!(" ({suffix})"));
        let taken = self.child(at.parent, &name).await?;
        match taken {
            None => Ok(name),
            Some(_) => self.free_name(at.parent, &name).await,
        }
    }

    /// What a file that is put has beside its bytes.
    pub(super) fn attributes(&self, how: &Put, executable: bool) -> Attributes {
        let now = self.state.runtime.clock.now().as_millis().div_euclid(1_000);
        Attributes {
            mtime: Mtime {
                seconds: how.modified.unwrap_or(now),
                nanos: 0,
            },
            executable,
        }
    }

    /// Makes a node and the folders above it that are missing; `None` when somebody was faster.
    pub(super) async fn create(
        &self,
        at: &Destination,
        name: NodeName,
        content: Content,
        attributes: Attributes,
        lens: &BTreeMap<cairn_core::ids::ChunkHash, u32>,
    ) -> FileResult<Option<Node>> {
        let (mut ops, parent) = self.missing_folders(at);
        let id = NodeId::random(self.state.runtime.entropy.as_ref());
        let place = Place { parent, name };
        ops.push(Op::Create {
            node: id,
            place: place.clone(),
            content: content.clone(),
            attributes,
        });
        Ok(match self.commit(ops, lens).await? {
            Attempt::Applied(seqs) => {
                let seq = seqs.last().copied().unwrap_or(Seq::ZERO);
                Some(Node {
                    id,
                    place,
                    content,
                    attributes,
                    place_seq: seq,
                    content_seq: seq,
                    attributes_seq: seq,
                })
            }
            Attempt::Outdated => None,
        })
    }

    /// Operations that make the folders that a place lacks, and the id of the last.
    pub(super) fn missing_folders(&self, at: &Destination) -> (Vec<Op>, NodeId) {
        let mut parent = at.parent;
        let mut ops = Vec::with_capacity(at.missing.len() + 1);
        for name in &at.missing {
            let node = NodeId::random(self.state.runtime.entropy.as_ref());
            let place = Place {
                parent,
                name: name.clone(),
            };
            ops.push(Op::Create {
                node,
                place,
                content: Content::Directory,
                attributes: Attributes::default(),
            });
            parent = node;
        }
        (ops, parent)
    }

    async fn edit(&self, mut node: Node, ingested: &Ingested, how: &Put) -> FileResult<Option<Node>> {
        let content = Content::File(ingested.content.clone());
        let attributes = self.attributes(how, node.attributes.executable);
        let op = Op::Edit {
            node: node.id,
            content: content.clone(),
            attributes,
            base_content: node.content_seq,
        };
        Ok(match self.commit(vec![op], &ingested.lens).await? {
            Attempt::Applied(seqs) => {
                let seq = seqs.last().copied().unwrap_or(node.content_seq);
                // The same bytes keep their revision.
                if !node.content.same_as(&content) {
                    node.content_seq = seq;
                }
                node.content = content;
                node.attributes = attributes;
                node.attributes_seq = seq;
                Some(node)
            }
            Attempt::Outdated => None,
        })
    }
}

impl Destination {
    /// What stands there now.
    pub(super) fn hold(self, node: Node) -> Located {
        let mut folders = self.folders;
        folders.extend(self.missing);
        Located {
            node,
            folders: Some(folders),
        }
    }
}

/// What a node is to somebody who wants its place.
pub(super) const fn obstacle(node: &Node) -> Obstacle {
    match node.content {
        Content::Directory => Obstacle::Folder,
        _ => Obstacle::File,
    }
}
