//! What the server keeps: its tree, its history, its bytes, its journal.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cairn_chunks::ChunkStore;
use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::NodeId;
use cairn_core::manifest::Manifest;
use cairn_core::node::{Content, FileContent, Node};
use cairn_core::rev::Seq;
use cairn_metadata::{Changes, MetadataStore};

use super::{Checked, Contents, none};
use crate::actions::ns_of;
use crate::run::{Failure, Stage};
use crate::tree::{Item, Tree};

/// More than there is of anything in a simulation.
const ALL: usize = 1 << 40;

/// What the server keeps.
pub(super) struct Kept {
    pub(super) tree: Tree,
    /// Every content that it ever took and can give, superseded and trashed ones too.
    pub(super) history: Contents,
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::new("the server answers", error.to_string())
}

/// Reads everything, and checks that the metadata is sound and every byte is there.
pub(super) async fn read(stage: &Stage) -> Checked<Kept> {
    let metadata = stage.world.server().metadata();
    let namespace = stage.world.server().namespace();
    let violations = metadata.check(namespace).await.map_err(broken)?;
    none("the journal is dense, chained, and a tree", "server", &violations)?;
    let head = metadata.head(namespace).await.map_err(broken)?;
    let head = head.ok_or_else(|| broken("there is no namespace"))?;
    let nodes = metadata
        .nodes_at(namespace, head.seq, None, ALL)
        .await
        .map_err(broken)?
        .nodes;
    let tree = tree_of(&nodes);
    let ids: BTreeSet<NodeId> = journal(stage).await?.iter().map(|entry| entry.node).collect();
    let mut history = Contents::new();
    for id in ids {
        let states = metadata
            .revisions(namespace, id, None, ALL)
            .await
            .map_err(broken)?;
        for state in states.nodes {
            if let Content::File(file) = &state.content {
                bytes_are_there(stage, file).await?;
                history.insert(file.file_id);
            }
        }
    }
    Ok(Kept { tree, history })
}

/// I7 and I8.
async fn bytes_are_there(stage: &Stage, file: &FileContent) -> Checked {
    const INVARIANT: &str = "every byte that is referred to is there";
    let Manifest::Inline(chunks) = &file.manifest else {
        return Err(Failure::new(INVARIANT, "a file of a simulation is too long"));
    };
    let store = stage.world.server().chunks();
    for entry in chunks {
        let chunk = store.get(&entry.hash).await.map_err(broken)?;
        let Some(chunk) = chunk else {
            return Err(Failure::new(
                INVARIANT,
                format!("chunk {} is missing", entry.hash),
            ));
        };
        cairn_codec::decode_chunk(&chunk, &entry.hash)
            .map_err(|error| Failure::new(INVARIANT, format!("chunk {}: {error}", entry.hash)))?;
    }
    Ok(())
}

fn tree_of(nodes: &[Node]) -> Tree {
    let by_id: HashMap<NodeId, &Node> = nodes.iter().map(|node| (node.id, node)).collect();
    let path = |node: &Node| {
        let mut names = vec![node.place.name.as_str()];
        let mut parent = node.place.parent;
        while let Some(above) = by_id.get(&parent) {
            names.push(above.place.name.as_str());
            parent = above.place.parent;
        }
        names.reverse();
        names.join("/")
    };
    Tree(nodes.iter().map(|node| (path(node), item_of(node))).collect())
}

fn item_of(node: &Node) -> Item {
    match &node.content {
        Content::Directory => Item::Folder,
        Content::Symlink(target) => Item::Link(target.as_str().to_owned()),
        Content::File(file) => Item::File {
            content: file.file_id,
            size: file.size,
            executable: Some(node.attributes.executable),
            mtime_ns: ns_of(node.attributes.mtime),
        },
    }
}

/// The whole journal.
async fn journal(stage: &Stage) -> Checked<Vec<JournalEntry>> {
    let metadata = stage.world.server().metadata();
    let origin = metadata
        .origin(stage.world.server().namespace())
        .await
        .map_err(broken)?;
    match metadata.changes(&origin, ALL).await.map_err(broken)? {
        Changes::Page { entries, .. } => Ok(entries),
        Changes::Reset { reason, .. } => Err(broken(format!("the journal cannot be read: {reason:?}"))),
    }
}

/// I3 and I4: who follows the journal has the tree.
pub(super) async fn journal_tells_the_tree(stage: &Stage) -> Checked {
    const INVARIANT: &str = "the journal tells the tree";
    let metadata = stage.world.server().metadata();
    let namespace = stage.world.server().namespace();
    let mut places: BTreeMap<NodeId, (NodeId, String)> = BTreeMap::new();
    let mut expected = Seq::ZERO;
    for entry in journal(stage).await? {
        expected = expected.next();
        if entry.seq != expected {
            return Err(Failure::new(
                INVARIANT,
                format!("{} stands where {expected} belongs", entry.seq),
            ));
        }
        // What is deleted goes with all that is below it, and comes back with that: a device that has not seen the deletion may
        // move a folder out of what was deleted.
        let place = match (entry.change, &entry.place_after) {
            (Change::Deleted, _) | (_, None) => (NodeId::TRASH, String::new()),
            (_, Some(place)) => (place.parent, place.name.as_str().to_owned()),
        };
        places.insert(entry.node, place);
    }
    let trashed: BTreeSet<NodeId> = places
        .keys()
        .copied()
        .filter(|node| !is_live(&places, *node))
        .collect();
    places.retain(|node, _| !trashed.contains(node));
    let head = metadata
        .nodes_at(namespace, expected, None, ALL)
        .await
        .map_err(broken)?;
    let standing: BTreeMap<NodeId, (NodeId, String)> = head
        .nodes
        .iter()
        .map(|node| (node.id, (node.place.parent, node.place.name.as_str().to_owned())))
        .collect();
    if places == standing {
        return Ok(());
    }
    let differing: Vec<String> = places
        .keys()
        .chain(standing.keys())
        .filter(|id| places.get(id) != standing.get(id))
        .map(|id| format!("{id}: {:?} | {:?}", places.get(id), standing.get(id)))
        .collect();
    none(INVARIANT, "journal (left) and tree", &differing)
}

/// Whether a node stands below the root and not in the trash.
fn is_live(places: &BTreeMap<NodeId, (NodeId, String)>, node: NodeId) -> bool {
    let mut above = Some(node);
    // A cycle, which no journal may make, is longer than all there is.
    for _ in 0..=places.len() {
        match above {
            Some(NodeId::ROOT) => return true,
            Some(node) => above = places.get(&node).map(|(parent, _)| *parent),
            None => return false,
        }
    }
    false
}
