//! Moves and copies.

use std::collections::{BTreeMap, HashMap};

use cairn_core::change::Op;
use cairn_core::ids::{NodeId, NodeIdRun};
use cairn_core::limits;
use cairn_core::node::{Content, Node, Place};
use cairn_core::rev::Seq;

use super::find::Tree as _;
use super::write::obstacle;
use super::{ATTEMPTS, Attempt, FileError, FileResult, Files, Located, Target};
use crate::service::browse;

/// From where to where.
#[derive(Debug, Clone)]
pub(crate) struct Relocation {
    /// What is moved or copied.
    pub(crate) from: Target,
    /// Where it goes.
    pub(crate) to: Target,
    /// Whether another name is taken where this one cannot be had.
    pub(crate) autorename: bool,
}

impl Files<'_> {
    /// What is to be moved or copied.
    pub(crate) async fn source(&self, wanted: &Relocation) -> FileResult<Located> {
        self.find(&wanted.from).await?.node()
    }

    /// Gives something another folder or name. Ids stay. Nothing is ever replaced.
    pub(crate) async fn move_to(&self, source: Located, wanted: &Relocation) -> FileResult<Located> {
        let mut source = source;
        for _ in 0..ATTEMPTS {
            let at = self.destination(&wanted.to).await?;
            if at.ids.contains(&source.node.id) {
                return Err(FileError::IntoItself);
            }
            let is_itself = at.existing.as_ref().is_some_and(|node| node.id == source.node.id);
            // Another spelling of its own name is a rename; the same one changes nothing.
            let is_respelled = is_itself && source.node.place.name != at.name;
            let name = match &at.existing {
                None => at.name.clone(),
                Some(_) if is_respelled => at.name.clone(),
                Some(_) if wanted.autorename => self.free_name(at.parent, &at.name).await?,
                Some(existing) => return Err(FileError::Conflict(obstacle(existing))),
            };
            let (mut ops, parent) = self.missing_folders(&at);
            let place = Place { parent, name };
            ops.push(Op::Move {
                node: source.node.id,
                place: place.clone(),
                base_place: source.node.place_seq,
            });
            match self.commit(ops, &BTreeMap::new()).await? {
                Attempt::Applied(seqs) => {
                    let mut node = source.node;
                    node.place = place;
                    node.place_seq = seqs.last().copied().unwrap_or(node.place_seq);
                    return Ok(at.hold(node));
                }
                Attempt::Outdated => source = self.source(wanted).await?,
            }
        }
        Err(FileError::Contended)
    }

    /// Makes a copy, with all that is below a folder. The copy has ids of its own.
    pub(crate) async fn copy_to(&self, source: Located, wanted: &Relocation) -> FileResult<Located> {
        let mut source = source;
        for _ in 0..ATTEMPTS {
            let at = self.destination(&wanted.to).await?;
            if at.ids.contains(&source.node.id) {
                return Err(FileError::IntoItself);
            }
            let name = match &at.existing {
                None => at.name.clone(),
                Some(_) if wanted.autorename => self.free_name(at.parent, &at.name).await?,
                Some(existing) => return Err(FileError::Conflict(obstacle(existing))),
            };
            let (mut ops, parent) = self.missing_folders(&at);
            let index = ops.len();
            let place = Place { parent, name };
            self.copies(&source.node, &place, &mut ops).await?;
            let Some(id) = ops.get(index).map(Op::node) else {
                return Err(FileError::NotFound);
            };
            match self.commit(ops, &BTreeMap::new()).await? {
                Attempt::Applied(seqs) => {
                    let seq = seqs.get(index).copied().unwrap_or(Seq::ZERO);
                    return Ok(at.hold(copy_of(source.node, id, place, seq)));
                }
                Attempt::Outdated => source = self.source(wanted).await?,
            }
        }
        Err(FileError::Contended)
    }

    /// Operations that make a copy of a node and of what is below it, folders before what they hold.
    async fn copies(&self, node: &Node, place: &Place, ops: &mut Vec<Op>) -> FileResult<()> {
        let mut ids = NodeIdRun::default();
        let entropy = self.state.runtime.entropy.as_ref();
        let new_id = ids.take(entropy);
        ops.push(create(node, new_id, place.clone()));
        if node.content != Content::Directory {
            return Ok(());
        }
        let mut children = self.below(node.id, ops.len()).await?;
        let mut folders = vec![(node.id, new_id)];
        while let Some((old, new)) = folders.pop() {
            for child in children.remove(&old).unwrap_or_default() {
                let id = ids.take(entropy);
                if child.content == Content::Directory {
                    folders.push((child.id, id));
                }
                let place = Place {
                    parent: new,
                    name: child.place.name.clone(),
                };
                ops.push(create(&child, id, place));
            }
        }
        Ok(())
    }

    /// All that is below a folder, by parent.
    async fn below(&self, folder: NodeId, already: usize) -> FileResult<HashMap<NodeId, Vec<Node>>> {
        let at = browse::head(self.state, self.namespace).await?.seq;
        let mut children: HashMap<NodeId, Vec<Node>> = HashMap::new();
        let (mut after, mut count) = (None, already);
        loop {
            let page = self
                .state
                .metadata
                .subtree_at(self.namespace, folder, at, after, limits::LISTING_PAGE)
                .await?;
            after = page.nodes.last().map(|node| node.id);
            count += page.nodes.len();
            if count > limits::COMMIT_OPS {
                return Err(FileError::TooManyFiles);
            }
            for node in page.nodes {
                children.entry(node.place.parent).or_default().push(node);
            }
            if !page.has_more {
                return Ok(children);
            }
        }
    }
}

fn create(node: &Node, id: NodeId, place: Place) -> Op {
    Op::Create {
        node: id,
        place,
        content: node.content.clone(),
        attributes: node.attributes,
    }
}

fn copy_of(node: Node, id: NodeId, place: Place, seq: Seq) -> Node {
    Node {
        id,
        place,
        place_seq: seq,
        content_seq: seq,
        attributes_seq: seq,
        ..node
    }
}
