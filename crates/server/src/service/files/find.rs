//! From a path, an id or a revision to what stands there.

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node};
use cairn_core::rev::{Rev, Seq};

use super::{FileError, FileResult, Files, Obstacle};

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// Names from the root down; none: the root itself.
    Path(Vec<NodeName>),
    /// A node, or what lies below it.
    Node {
        /// The node.
        node: NodeId,
        /// Names from it down.
        below: Vec<NodeName>,
    },
    /// One state of a file.
    Revision(Rev),
}

/// The folder that paths begin in, or a node with its way from there.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, a few in a request"
)]
pub(crate) enum Spot {
    /// That folder.
    Root(NodeId),
    /// Anything else.
    Node(Located),
}

/// A node and the names of the folders above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Located {
    /// The node.
    pub(crate) node: Node,
    /// From where paths begin down; `None` when it stands in no tree any more.
    pub(crate) folders: Option<Vec<NodeName>>,
}

/// Where something is to be put.
#[derive(Debug)]
pub(super) struct Destination {
    /// The lowest folder that exists.
    pub(super) parent: NodeId,
    /// The names of the folders down to it, from the root.
    pub(super) folders: Vec<NodeName>,
    /// Ids of the folders down to it, from the root.
    pub(super) ids: Vec<NodeId>,
    /// Folders that are to be made below it.
    pub(super) missing: Vec<NodeName>,
    /// The name.
    pub(super) name: NodeName,
    /// What has the name now.
    pub(super) existing: Option<Node>,
}

impl Spot {
    /// The folder's id.
    pub(crate) fn folder(&self) -> FileResult<NodeId> {
        match self {
            Self::Root(home) => Ok(*home),
            Self::Node(located) if located.node.content == Content::Directory => Ok(located.node.id),
            Self::Node(_) => Err(FileError::NotFolder),
        }
    }

    /// The node; the root is none that could be changed.
    pub(crate) fn node(self) -> FileResult<Located> {
        match self {
            Self::Root(_) => Err(FileError::NotFound),
            Self::Node(located) => Ok(located),
        }
    }

    /// The names from the root down to it.
    pub(crate) fn names(&self) -> Vec<NodeName> {
        match self {
            Self::Root(_) => Vec::new(),
            Self::Node(located) => located.names().unwrap_or_default(),
        }
    }
}

impl Located {
    /// The names from the root down to the node itself.
    pub(crate) fn names(&self) -> Option<Vec<NodeName>> {
        let mut names = self.folders.clone()?;
        names.push(self.node.place.name.clone());
        Some(names)
    }
}

/// A tree that paths lead through: as it is in the store, or as operations would leave it.
pub(super) trait Tree {
    /// The folder that paths begin in.
    fn home(&self) -> NodeId;

    /// What has a name in a folder.
    async fn child(&self, parent: NodeId, name: &NodeName) -> FileResult<Option<Node>>;

    /// A node that is there, with its way.
    async fn spot_of(&self, id: NodeId) -> FileResult<Spot>;

    /// The ids of the folders above a node and its own, from the root down.
    async fn ids_down_to(&self, node: &Node) -> FileResult<Vec<NodeId>>;

    /// Goes down from somewhere.
    async fn walk(&self, start: Spot, names: &[NodeName]) -> FileResult<Spot> {
        let mut spot = start;
        for name in names {
            let parent = spot.folder().map_err(|_| FileError::NotFound)?;
            let node = self.child(parent, name).await?.ok_or(FileError::NotFound)?;
            let folders = Some(spot.names());
            spot = Spot::Node(Located { node, folders });
        }
        Ok(spot)
    }

    /// Finds where something is to be put, as far as it is there.
    async fn destination(&self, target: &Target) -> FileResult<Destination> {
        let (mut spot, names) = match target {
            Target::Path(names) => (Spot::Root(self.home()), names.as_slice()),
            Target::Node { node, below } => (self.spot_of(*node).await?, below.as_slice()),
            Target::Revision(_) => return Err(FileError::NotFound),
        };
        let ancestor = |spot: &Spot| {
            spot.folder()
                .map_err(|_| FileError::Conflict(Obstacle::FileAncestor))
        };
        let Some((name, above)) = names.split_last() else {
            return self.over(spot).await;
        };
        let mut ids = match &spot {
            Spot::Root(_) => Vec::new(),
            Spot::Node(located) => self.ids_down_to(&located.node).await?,
        };
        let mut missing = Vec::new();
        for name in above {
            let parent = ancestor(&spot)?;
            let next = match missing.is_empty() {
                true => self.child(parent, name).await?,
                false => None,
            };
            match next {
                None => missing.push(name.clone()),
                Some(node) => {
                    ids.push(node.id);
                    let folders = Some(spot.names());
                    spot = Spot::Node(Located { node, folders });
                }
            }
        }
        let parent = ancestor(&spot)?;
        let existing = match missing.is_empty() {
            true => self.child(parent, name).await?,
            false => None,
        };
        Ok(Destination {
            parent,
            folders: spot.names(),
            ids,
            missing,
            name: name.clone(),
            existing,
        })
    }

    /// A node's own place, for requests that name it by its id.
    async fn over(&self, spot: Spot) -> FileResult<Destination> {
        let Spot::Node(located) = spot else {
            return Err(FileError::Conflict(Obstacle::Folder));
        };
        let mut ids = self.ids_down_to(&located.node).await?;
        ids.pop();
        Ok(Destination {
            parent: located.node.place.parent,
            folders: located.folders.unwrap_or_default(),
            ids,
            missing: Vec::new(),
            name: located.node.place.name.clone(),
            existing: Some(located.node),
        })
    }
}

impl Tree for Files<'_> {
    fn home(&self) -> NodeId {
        self.home
    }

    async fn child(&self, parent: NodeId, name: &NodeName) -> FileResult<Option<Node>> {
        let metadata = &self.state.metadata;
        Ok(metadata.child(self.namespace, parent, &name.key()).await?)
    }

    async fn spot_of(&self, id: NodeId) -> FileResult<Spot> {
        self.located(id).await
    }

    async fn ids_down_to(&self, node: &Node) -> FileResult<Vec<NodeId>> {
        let metadata = &self.state.metadata;
        let above = metadata.ancestors_at(self.namespace, node.id, None).await?;
        let above = above.unwrap_or_default();
        let mut ids: Vec<NodeId> = above.iter().rev().map(|folder| folder.id).collect();
        ids.push(node.id);
        Ok(ids)
    }
}

impl Files<'_> {
    /// Finds what a request is about.
    pub(crate) async fn find(&self, target: &Target) -> FileResult<Spot> {
        match target {
            Target::Path(names) => self.walk(Spot::Root(self.home), names).await,
            Target::Node { node, below } => {
                let start = self.located(*node).await?;
                self.walk(start, below).await
            }
            Target::Revision(rev) => self.revision(rev).await.map(Spot::Node),
        }
    }

    /// A node that is there now, with its way.
    pub(crate) async fn located(&self, id: NodeId) -> FileResult<Spot> {
        if id == self.home {
            return Ok(Spot::Root(id));
        }
        let metadata = &self.state.metadata;
        let nodes = metadata.nodes(self.namespace, &[id]).await?;
        let node = nodes.into_iter().next().flatten().ok_or(FileError::NotFound)?;
        let folders = self.folders_above(&node, None).await?;
        match folders {
            // It stands where the caller may not look.
            None => Err(FileError::NotFound),
            Some(_) => Ok(Spot::Node(Located { node, folders })),
        }
    }

    /// The names of the folders above a node at some time, from where paths begin down; `None` when it did not stand there.
    pub(crate) async fn folders_above(
        &self,
        node: &Node,
        at: Option<Seq>,
    ) -> FileResult<Option<Vec<NodeName>>> {
        let metadata = &self.state.metadata;
        let Some(above) = metadata.ancestors_at(self.namespace, node.id, at).await? else {
            return Ok(None);
        };
        let inner = match above.iter().position(|folder| folder.id == self.home) {
            Some(home) => &above[..home],
            None if self.home == NodeId::ROOT => &above[..],
            None => return Ok(None),
        };
        let names = inner.iter().rev().map(|folder| folder.place.name.clone());
        Ok(Some(names.collect()))
    }

    /// A file in one of its states. It may be deleted since.
    pub(crate) async fn revision(&self, rev: &Rev) -> FileResult<Located> {
        if rev.namespace != self.namespace {
            return Err(FileError::NotFound);
        }
        let metadata = &self.state.metadata;
        let written = metadata.written(self.namespace, &[rev.content_seq]).await?;
        let written = written.into_iter().next().flatten().ok_or(FileError::NotFound)?;
        let node = metadata
            .revision(self.namespace, written.node, rev.content_seq)
            .await?
            .filter(|node| matches!(node.content, Content::File(_)))
            .ok_or(FileError::NotFound)?;
        let folders = self.folders_above(&node, None).await?;
        if folders.is_none() && self.home != NodeId::ROOT {
            // What was deleted stood in the caller's folder or not: nobody knows.
            return Err(FileError::NotFound);
        }
        Ok(Located { node, folders })
    }

    /// A name like `name` that nothing has in a folder: ` (1)` and so on are put before the extension.
    pub(super) async fn free_name(&self, parent: NodeId, name: &NodeName) -> FileResult<NodeName> {
        for number in 1..=MOST_NUMBERED {
            let candidate = name.with_suffix(&format!(" ({number})"));
            if self.child(parent, &candidate).await?.is_none() {
                return Ok(candidate);
            }
        }
        Err(FileError::Contended)
    }
}

/// Names that are tried for one that is taken.
const MOST_NUMBERED: usize = 1_000;
