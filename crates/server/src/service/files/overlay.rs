//! A namespace's tree as several operations would leave it, none of which is done yet.
//!
//! Each operation sees what those before it have changed. At the end there is one operation of the journal for each
//! state that differs: what was changed twice is written once, guarded by what was seen before the first change.

use std::collections::{BTreeMap, HashMap};

use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::{Attributes, Content, Node, Place};
use cairn_core::rev::Seq;

use super::find::{Destination, Tree};
use super::{FileError, FileResult, Files, Located, Spot, Target};

/// What became of a node.
struct Touched {
    /// As it is in the store; `None` for one that is new.
    before: Option<Node>,
    /// As it would be; `None` when it would be gone. A content that is new has the position zero.
    after: Option<Node>,
    /// The operation that gave it its place or took it away.
    placed_by: usize,
    /// The operation that wrote its content.
    written_by: usize,
}

/// One operation of the journal, and the one of the request that it comes from.
pub(super) struct Derived {
    pub(super) op: Op,
    pub(super) index: usize,
}

/// The tree.
pub(super) struct Overlay<'f> {
    files: &'f Files<'f>,
    /// Folders are listed as of this position.
    at: Seq,
    touched: BTreeMap<NodeId, Touched>,
    /// Names that were given or taken away.
    names: HashMap<(NodeId, NameKey), Option<NodeId>>,
    has_changed_twice: bool,
    chunks: u64,
}

impl Tree for Overlay<'_> {
    fn home(&self) -> NodeId {
        self.files.home
    }

    async fn child(&self, parent: NodeId, name: &NodeName) -> FileResult<Option<Node>> {
        let key = name.key();
        match self.names.get(&(parent, key.clone())) {
            Some(Some(id)) => return self.node(*id).await,
            Some(None) => return Ok(None),
            None => {}
        }
        let metadata = &self.files.state.metadata;
        let child = metadata.child(self.files.namespace, parent, &key).await?;
        Ok(match child {
            Some(child) => match self.touched.get(&child.id) {
                // It has another name, or none any more.
                Some(touched) => touched
                    .after
                    .clone()
                    .filter(|after| after.place.parent == parent && after.place.name.key() == key),
                None => Some(child),
            },
            None => None,
        })
    }

    async fn spot_of(&self, id: NodeId) -> FileResult<Spot> {
        self.located(id).await
    }

    async fn ids_down_to(&self, node: &Node) -> FileResult<Vec<NodeId>> {
        let above = self.above(node).await?.unwrap_or_default();
        let mut ids: Vec<NodeId> = above.iter().rev().map(|folder| folder.id).collect();
        ids.push(node.id);
        Ok(ids)
    }
}

impl<'f> Overlay<'f> {
    pub(super) fn new(files: &'f Files<'f>, at: Seq) -> Self {
        Self {
            files,
            at,
            touched: BTreeMap::new(),
            names: HashMap::new(),
            has_changed_twice: false,
            chunks: 0,
        }
    }

    /// How many nodes differ from the store's.
    pub(super) fn len(&self) -> usize {
        self.touched.len()
    }

    /// Whether one operation has changed, or found as it wants it, what another one had made or changed.
    pub(super) const fn has_changed_twice(&self) -> bool {
        self.has_changed_twice
    }

    /// Chunks of all contents that are written.
    pub(super) const fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Leaves a node as it is.
    pub(super) fn keep(&mut self, node: &Node) {
        self.has_changed_twice |= self.touched.contains_key(&node.id);
    }

    /// Gives a node the positions at which it was written.
    pub(super) fn settle(&self, node: &mut Node) {
        let touched = self.touched.get(&node.id);
        if let Some(after) = touched.and_then(|touched| touched.after.as_ref()) {
            node.clone_from(after);
        }
    }

    /// Finds what a path, an id or a revision names.
    pub(super) async fn find(&self, target: &Target) -> FileResult<Spot> {
        match target {
            Target::Path(names) => self.walk(Spot::Root(self.files.home), names).await,
            Target::Node { node, below } => {
                let start = self.located(*node).await?;
                self.walk(start, below).await
            }
            Target::Revision(rev) => {
                let state = self.files.revision(rev).await?.node;
                let spot = self.located(state.id).await?;
                match &spot {
                    // What is to be changed is what stands there, and that is another state.
                    Spot::Node(located) if located.node.content_seq == rev.content_seq => Ok(spot),
                    _ => Err(FileError::NotFound),
                }
            }
        }
    }

    async fn node(&self, id: NodeId) -> FileResult<Option<Node>> {
        if let Some(touched) = self.touched.get(&id) {
            return Ok(touched.after.clone());
        }
        let metadata = &self.files.state.metadata;
        let nodes = metadata.nodes(self.files.namespace, &[id]).await?;
        Ok(nodes.into_iter().next().flatten())
    }

    /// A node that would be there, with its way.
    pub(super) async fn located(&self, id: NodeId) -> FileResult<Spot> {
        if id == self.files.home {
            return Ok(Spot::Root(id));
        }
        let node = self.node(id).await?.ok_or(FileError::NotFound)?;
        let above = self.above(&node).await?.ok_or(FileError::NotFound)?;
        let names = above.into_iter().rev().map(|folder| folder.place.name);
        let folders = Some(names.collect());
        Ok(Spot::Node(Located { node, folders }))
    }

    /// The folders above a node, nearest first, up to where paths begin; `None` when it would not stand there.
    async fn above(&self, node: &Node) -> FileResult<Option<Vec<Node>>> {
        let mut above = Vec::new();
        let mut parent = node.place.parent;
        while parent != self.files.home {
            // A tree that is too deep is refused when it is committed.
            if parent.is_reserved() || above.len() > 2 * limits::TREE_DEPTH {
                return Ok(None);
            }
            let Some(folder) = self.node(parent).await? else {
                return Ok(None);
            };
            parent = folder.place.parent;
            above.push(folder);
        }
        Ok(Some(above))
    }

    /// What stands in a folder.
    async fn children(&self, folder: NodeId) -> FileResult<Vec<Node>> {
        // A folder that is new has nothing in the store.
        let is_new = matches!(self.touched.get(&folder), Some(touched) if touched.before.is_none());
        let mut children = match is_new {
            true => Vec::new(),
            false => self.untouched_children(folder).await?,
        };
        let touched = self.touched.values().filter_map(|touched| touched.after.as_ref());
        children.extend(touched.filter(|node| node.place.parent == folder).cloned());
        Ok(children)
    }

    async fn untouched_children(&self, folder: NodeId) -> FileResult<Vec<Node>> {
        let metadata = &self.files.state.metadata;
        let namespace = self.files.namespace;
        let (mut children, mut after) = (Vec::new(), None);
        loop {
            let page = metadata
                .children_at(
                    namespace,
                    folder,
                    Some(self.at),
                    after.as_ref(),
                    limits::LISTING_PAGE,
                )
                .await?;
            after = page.nodes.last().map(|node| node.place.name.key());
            let untouched = page.nodes.into_iter();
            children.extend(untouched.filter(|node| !self.touched.contains_key(&node.id)));
            if children.len() > limits::COMMIT_OPS {
                return Err(FileError::TooManyFiles);
            }
            if !page.has_more {
                return Ok(children);
            }
        }
    }

    /// Adds a node.
    pub(super) fn create(
        &mut self,
        place: Place,
        content: Content,
        attributes: Attributes,
        by: usize,
    ) -> Node {
        let node = Node {
            id: NodeId::random(self.files.state.runtime.entropy.as_ref()),
            place,
            content,
            attributes,
            place_seq: Seq::ZERO,
            content_seq: Seq::ZERO,
            attributes_seq: Seq::ZERO,
        };
        self.chunks += chunks(&node.content);
        self.name(&node.place, Some(node.id));
        let touched = Touched {
            before: None,
            after: Some(node.clone()),
            placed_by: by,
            written_by: by,
        };
        self.touched.insert(node.id, touched);
        node
    }

    /// Adds the folders that a place lacks; returns the last one, or the one that is there.
    pub(super) fn make_missing(&mut self, at: &Destination, by: usize) -> NodeId {
        at.missing.iter().fold(at.parent, |parent, name| {
            let place = Place {
                parent,
                name: name.clone(),
            };
            self.create(place, Content::Directory, Attributes::default(), by)
                .id
        })
    }

    /// Gives a node another content.
    pub(super) fn edit(&mut self, node: &Node, content: Content, attributes: Attributes, by: usize) -> Node {
        self.chunks += chunks(&content);
        let touched = self.touch(node);
        touched.written_by = by;
        let mut after = node.clone();
        // The same bytes keep their revision.
        if !after.content.same_as(&content) {
            after.content_seq = Seq::ZERO;
        }
        after.content = content;
        after.attributes = attributes;
        after.attributes_seq = Seq::ZERO;
        touched.after = Some(after.clone());
        after
    }

    /// Gives a node another place.
    pub(super) fn relocate(&mut self, node: &Node, place: Place, by: usize) -> Node {
        self.name(&node.place, None);
        self.name(&place, Some(node.id));
        let touched = self.touch(node);
        touched.placed_by = by;
        let mut after = node.clone();
        after.place = place;
        after.place_seq = Seq::ZERO;
        touched.after = Some(after.clone());
        after
    }

    /// Takes a node away, with what is below it.
    pub(super) fn delete(&mut self, node: &Node, by: usize) {
        let mut going = vec![node.clone()];
        while let Some(node) = going.pop() {
            self.name(&node.place, None);
            let touched = self.touch(&node);
            touched.placed_by = by;
            touched.after = None;
            if touched.before.is_some() {
                // What is below it goes along with it.
                continue;
            }
            // A folder that is never made holds nothing.
            let below = self.touched.values().filter_map(|touched| touched.after.as_ref());
            going.extend(below.filter(|below| below.place.parent == node.id).cloned());
        }
    }

    /// Copies a node, with what is below it, to a place.
    pub(super) async fn copy(&mut self, node: &Node, place: Place, by: usize) -> FileResult<Node> {
        let below = match node.content {
            Content::Directory => self.subtree(node.id).await?,
            _ => Vec::new(),
        };
        let copy = self.create(place, node.content.clone(), node.attributes, by);
        let mut copies = HashMap::from([(node.id, copy.id)]);
        for original in below {
            let Some(parent) = copies.get(&original.place.parent).copied() else {
                continue;
            };
            let place = Place {
                parent,
                name: original.place.name.clone(),
            };
            let made = self.create(place, original.content, original.attributes, by);
            copies.insert(original.id, made.id);
        }
        Ok(copy)
    }

    /// All that is below a folder, folders before what they hold.
    async fn subtree(&self, folder: NodeId) -> FileResult<Vec<Node>> {
        let mut found = Vec::new();
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            for child in self.children(folder).await? {
                if child.content == Content::Directory {
                    folders.push(child.id);
                }
                found.push(child);
            }
            if found.len() + self.len() > limits::COMMIT_OPS {
                return Err(FileError::TooManyFiles);
            }
        }
        Ok(found)
    }

    fn touch(&mut self, node: &Node) -> &mut Touched {
        self.has_changed_twice |= self.touched.contains_key(&node.id);
        self.touched.entry(node.id).or_insert_with(|| Touched {
            before: Some(node.clone()),
            after: None,
            placed_by: 0,
            written_by: 0,
        })
    }

    fn name(&mut self, place: &Place, holder: Option<NodeId>) {
        self.names.insert((place.parent, place.name.key()), holder);
    }

    /// The operations that lead from the store's tree to this one: what is new, parents first, then moves, contents, and what
    /// goes. A name that one of them takes may be freed by a later one: what counts is the state after the last.
    pub(super) fn operations(&self) -> Vec<Derived> {
        let (mut new, mut moves, mut edits, mut deletes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for touched in self.touched.values() {
            let placed = |op| Derived {
                op,
                index: touched.placed_by,
            };
            match (&touched.before, &touched.after) {
                (None, None) => {}
                (None, Some(after)) => new.push((self.depth(after), placed(create(after)))),
                (Some(before), None) => deletes.push(placed(Op::Delete {
                    node: before.id,
                    base_place: before.place_seq,
                    base_content: before.content_seq,
                    seen: None,
                })),
                (Some(before), Some(after)) => {
                    if before.place != after.place {
                        moves.push(placed(Op::Move {
                            node: after.id,
                            place: after.place.clone(),
                            base_place: before.place_seq,
                        }));
                    }
                    if before.content != after.content || before.attributes != after.attributes {
                        let op = Op::Edit {
                            node: after.id,
                            content: after.content.clone(),
                            attributes: after.attributes,
                            base_content: before.content_seq,
                        };
                        let index = touched.written_by;
                        edits.push(Derived { op, index });
                    }
                }
            }
        }
        new.sort_by_key(|(depth, derived)| (*depth, derived.index));
        let new = new.into_iter().map(|(_, derived)| derived);
        new.chain(moves).chain(edits).chain(deletes).collect()
    }

    /// How many of the folders above a new node are new as well.
    fn depth(&self, node: &Node) -> usize {
        let mut depth = 0;
        let mut parent = node.place.parent;
        while let Some(Touched {
            before: None,
            after: Some(folder),
            ..
        }) = self.touched.get(&parent)
        {
            depth += 1;
            parent = folder.place.parent;
        }
        depth
    }

    /// Takes over the positions at which the operations were applied.
    pub(super) fn applied(&mut self, derived: &[Derived], seqs: &[Seq]) {
        for (Derived { op, .. }, seq) in derived.iter().zip(seqs) {
            let touched = self.touched.get_mut(&op.node());
            let Some(node) = touched.and_then(|touched| touched.after.as_mut()) else {
                continue;
            };
            match op {
                Op::Create { .. } => {
                    (node.place_seq, node.content_seq, node.attributes_seq) = (*seq, *seq, *seq);
                }
                Op::Move { .. } => node.place_seq = *seq,
                Op::Edit { .. } => {
                    node.attributes_seq = *seq;
                    if node.content_seq == Seq::ZERO {
                        node.content_seq = *seq;
                    }
                }
                Op::SetAttributes { .. } | Op::Delete { .. } => {}
            }
        }
    }
}

fn chunks(content: &Content) -> u64 {
    match content {
        Content::File(file) => file.manifest.chunk_count(),
        _ => 0,
    }
}

fn create(node: &Node) -> Op {
    Op::Create {
        node: node.id,
        place: node.place.clone(),
        content: node.content.clone(),
        attributes: node.attributes,
    }
}
