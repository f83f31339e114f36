//! Lists folders as they were at one position of the journal, page by page, with what is below them if that is wanted.
//!
//! A walk lists a folder whole before it goes into those below it, so that parents come before children; where it is, is one
//! folder and one name. A page costs the same however many came before.

use std::collections::HashMap;

use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;

use super::{FileError, FileResult, Files, Located, News};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The folder.
    pub(crate) folder: NodeId,
    /// Whether what is below its folders is listed too.
    pub(crate) recursive: bool,
    /// Whether the names of what has gone from a folder are listed behind what is there.
    pub(crate) deleted: bool,
    /// As of this position.
    pub(crate) at: Seq,
}

/// Where a walk goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Walk {
    /// In this folder,
    pub(crate) folder: NodeId,
    /// behind this name,
    pub(crate) after: Option<NodeName>,
    /// among what has gone from it.
    pub(crate) deleted: bool,
}

impl Walk {
    /// From the beginning of a folder.
    pub(crate) const fn of(folder: NodeId) -> Self {
        Self {
            folder,
            after: None,
            deleted: false,
        }
    }
}

impl Files<'_> {
    /// As [`Files::list_all`], of what is there.
    pub(crate) async fn list(
        &self,
        listing: &Listing,
        walk: Walk,
        limit: usize,
    ) -> FileResult<(Vec<Located>, Option<Walk>)> {
        let (news, next) = self.list_all(listing, walk, limit).await?;
        let here = news.into_iter().filter_map(|news| match news {
            News::Here(located) => Some(located),
            News::Gone(_) => None,
        });
        Ok((here.collect(), next))
    }

    /// The next part of a listing, at least `limit` entries if there are as many, and where it goes on.
    pub(crate) async fn list_all(
        &self,
        listing: &Listing,
        walk: Walk,
        limit: usize,
    ) -> FileResult<(Vec<News>, Option<Walk>)> {
        let mut found = Vec::new();
        let mut ways = Ways::new(self.home, listing.at);
        let mut walk = walk;
        loop {
            let way = ways.of(self, walk.folder).await?;
            let key = walk.after.as_ref().map(NodeName::key);
            let wanted = (limit - found.len()).clamp(1, limits::LISTING_PAGE);
            let last = match walk.deleted {
                false => {
                    let (nodes, has_more) = self
                        .children(walk.folder, listing.at, key.as_ref(), wanted)
                        .await?;
                    let last = nodes.last().map(|node| node.place.name.clone());
                    found.extend(nodes.into_iter().map(|node| {
                        News::Here(Located {
                            node,
                            folders: Some(way.clone()),
                        })
                    }));
                    last.filter(|_| has_more)
                }
                true => {
                    let metadata = &self.state.metadata;
                    let mut names = metadata
                        .vacated(self.namespace, walk.folder, listing.at, key.as_ref(), wanted)
                        .await?;
                    let has_more = names.len() > wanted;
                    names.truncate(wanted);
                    let last = names.last().cloned();
                    found.extend(names.into_iter().map(|name| {
                        let mut path = way.clone();
                        path.push(name);
                        News::Gone(path)
                    }));
                    last.filter(|_| has_more)
                }
            };
            let next = match last {
                Some(last) => Some(Walk {
                    after: Some(last),
                    ..walk
                }),
                None if listing.deleted && !walk.deleted => Some(Walk {
                    deleted: true,
                    ..Walk::of(walk.folder)
                }),
                None if listing.recursive => self.next_folder(listing, walk.folder).await?.map(Walk::of),
                None => None,
            };
            match next {
                Some(next) if found.len() < limit => walk = next,
                next => return Ok((found, next)),
            }
        }
    }

    /// The folder that a walk comes to after `folder`: the first within it, or the next beside it or beside one above it.
    async fn next_folder(&self, listing: &Listing, folder: NodeId) -> FileResult<Option<NodeId>> {
        if let Some(inner) = self.first_folder(folder, listing.at, None).await? {
            return Ok(Some(inner));
        }
        let mut below = folder;
        while below != listing.folder {
            let node = self
                .node_at(below, listing.at)
                .await?
                .ok_or(FileError::NotFound)?;
            let key = node.place.name.key();
            if let Some(next) = self
                .first_folder(node.place.parent, listing.at, Some(key))
                .await?
            {
                return Ok(Some(next));
            }
            below = node.place.parent;
        }
        Ok(None)
    }

    async fn first_folder(
        &self,
        parent: NodeId,
        at: Seq,
        after: Option<NameKey>,
    ) -> FileResult<Option<NodeId>> {
        let mut after = after;
        loop {
            let (nodes, has_more) = self
                .children(parent, at, after.as_ref(), limits::LISTING_PAGE)
                .await?;
            if let Some(folder) = nodes.iter().find(|node| node.content == Content::Directory) {
                return Ok(Some(folder.id));
            }
            match nodes.last() {
                Some(last) if has_more => after = Some(last.place.name.key()),
                _ => return Ok(None),
            }
        }
    }

    async fn children(
        &self,
        parent: NodeId,
        at: Seq,
        after: Option<&NameKey>,
        limit: usize,
    ) -> FileResult<(Vec<Node>, bool)> {
        let metadata = &self.state.metadata;
        let page = metadata
            .children_at(self.namespace, parent, Some(at), after, limit)
            .await?;
        Ok((page.nodes, page.has_more))
    }

    /// A node as it was.
    pub(super) async fn node_at(&self, id: NodeId, at: Seq) -> FileResult<Option<Node>> {
        // The listing by id that begins just before it.
        let before = NodeId::new(id.get() - 1).ok();
        let metadata = &self.state.metadata;
        let page = metadata.nodes_at(self.namespace, at, before, 1).await?;
        Ok(page.nodes.into_iter().find(|node| node.id == id))
    }
}

/// The names from where paths begin down to folders, and those of the folders themselves, at one position.
pub(super) struct Ways {
    at: Seq,
    known: HashMap<NodeId, Option<Vec<NodeName>>>,
}

impl Ways {
    /// `home`: where paths begin.
    pub(super) fn new(home: NodeId, at: Seq) -> Self {
        Self {
            at,
            known: HashMap::from([(home, Some(Vec::new()))]),
        }
    }

    /// The names from the root down to a folder; an error when it was not there.
    pub(super) async fn of(&mut self, files: &Files<'_>, folder: NodeId) -> FileResult<Vec<NodeName>> {
        self.find(files, folder).await?.ok_or(FileError::NotFound)
    }

    /// The names from the root down to a folder; `None` when it was not there.
    pub(super) async fn find(
        &mut self,
        files: &Files<'_>,
        folder: NodeId,
    ) -> FileResult<Option<Vec<NodeName>>> {
        if let Some(way) = self.known.get(&folder) {
            return Ok(way.clone());
        }
        let mut way = None;
        if let Some(node) = files.node_at(folder, self.at).await?
            && let Some(mut names) = files.folders_above(&node, Some(self.at)).await?
        {
            names.push(node.place.name);
            way = Some(names);
        }
        self.known.insert(folder, way.clone());
        Ok(way)
    }
}
