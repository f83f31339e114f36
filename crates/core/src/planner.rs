//! The one place that decides what syncing does: from three trees to steps.
//!
//! [`plan`] is pure and deterministic. It does not have to solve everything at once: what is blocked waits, the steps
//! are carried out, the trees observed anew, and the next plan goes on. Planning ends when the trees are equal.
//!
//! | local | remote | result |
//! |---|---|---|
//! | edit | edit | same bytes: agreed. Else the remote version keeps the name, the local one becomes a conflicted copy |
//! | edit | delete | the edit wins: created again at its place, folders above it too |
//! | delete | edit or move | the remote change wins: downloaded again |
//! | delete | delete, same edit, same create | agreed without a step |
//! | edit | rename or move | both apply: place and content have counters of their own |
//! | move | move elsewhere | the remote place wins, local content stays |
//! | move of a file | delete | the move wins: created again at its new place |
//! | move A into B | move B into A | the remote one wins, the local one is undone |
//! | new file inside | delete of the folder | the folder and the new file stay, its other children go |
//! | create x | create x, other content | remote keeps the name, the local one becomes a conflicted copy |
//! | create x | create X (one key) | remote keeps the name; the local one gets a name of its own on the server, and on this disk only where it cannot hold both |
//! | file | folder, same name | the folder keeps the name, the file becomes a conflicted copy |
//! | create folder | create folder, same name | merged |
//! | attributes | attributes | the remote ones win |
//!
//! A node that this device does not keep ([`Neighbourhood::withheld`]: an excluded folder, and what is below it on the
//! server) never comes to the disk, and never goes from the server because the disk lacks it:
//!
//! | local | remote, not kept here | result |
//! |---|---|---|
//! | unchanged | any | goes from the disk, a folder when it is empty; on the server nothing happens |
//! | edit, attributes, move | unchanged | sent first; then it goes from the disk, unless the move led out of the excluded folder |
//! | edit | edit | as everywhere: the local one becomes a conflicted copy, which is sent before it goes from the disk |
//! | new file inside | any | sent first, then it goes from the disk |
//! | delete | any | forgotten: the server keeps it |
//! | delete of a folder above | any | the folders above come back, without what was not kept here |
//! | new node of its name | any | gets a name beside it, `name (kept here)`, on the disk and on the server |
//! | - | move out of the excluded folder | comes to the disk |
//! | unchanged | move into the excluded folder | goes from the disk |
//!
//! Nothing is ever discarded: a step that would overwrite bytes says where they go.

mod collisions;
mod disk;
mod identity;
mod make_way;
mod server;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use crate::conflict;
use crate::ids::NodeId;
use crate::name::NodeName;
use crate::node::Place;
use crate::time::Date;
use crate::tree::{Entry, Neighbourhood, Tree, agree};

/// What planning needs to know beside the trees.
pub struct Context<'a> {
    /// This device's name, for conflicted copies.
    pub device_name: &'a str,
    /// Today, for conflicted copies.
    pub today: Date,
    /// How often in a row a name that planning made was taken by what its neighbourhood does not hold. Names are numbered
    /// from there on.
    pub names_taken: u32,
    /// Whether a node of another round that has a wanted name, and is to go elsewhere, makes way for one of this round. The rounds
    /// before have shown that it did not go in time.
    pub make_way: bool,
    /// Gives ids for nodes that planning makes.
    pub fresh: &'a mut dyn FnMut() -> NodeId,
}

/// One thing to do. Steps are carried out in order; each checks before it acts that the world still is as planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Trees only: remote and local say the same; the synced tree says it too from now on.
    Agree {
        /// The node.
        node: NodeId,
    },
    /// Trees only: the synced tree takes this entry, as the base of what follows.
    Base {
        /// The node.
        node: NodeId,
        /// The entry.
        entry: Entry,
    },
    /// Trees only: the synced tree forgets the node.
    Forget {
        /// The node.
        node: NodeId,
    },
    /// Trees only: a local node is the same thing as a remote one and gets its id; the synced tree takes the entry.
    Adopt {
        /// The local node's id until now.
        local: NodeId,
        /// The remote node.
        remote: NodeId,
        /// What both agree on.
        entry: Entry,
    },
    /// Trees only: a local node gets a fresh id, because its old one is gone from the server.
    Rekey {
        /// The old id.
        node: NodeId,
        /// The new one.
        fresh: NodeId,
    },
    /// Trees only: a local node travels under another name than it has on this disk.
    NameForServer {
        /// The node.
        node: NodeId,
        /// The name that travels.
        name: NodeName,
    },
    /// Disk: renames a node within its folder, to make room for what has its name on the server.
    RenameAside {
        /// The node.
        node: NodeId,
        /// Its new name, here and on the server.
        name: NodeName,
    },
    /// Disk: makes the remote node.
    Create {
        /// The node.
        node: NodeId,
    },
    /// Disk: gives the remote content to the local file or link.
    Replace {
        /// The node.
        node: NodeId,
        /// A local version that must be kept: as this new node, under this name in the same folder.
        keep: Option<(NodeId, NodeName)>,
    },
    /// Disk: moves or renames the local node.
    Move {
        /// The node.
        node: NodeId,
        /// Where it goes.
        place: Place,
    },
    /// Disk: gives the remote attributes to the local file.
    SetAttributes {
        /// The node.
        node: NodeId,
    },
    /// Disk: removes the local node; a folder only when it is empty.
    Remove {
        /// The node.
        node: NodeId,
    },
    /// Server: one atomic group of changes.
    Commit {
        /// In order.
        wishes: Vec<Wish>,
    },
}

/// One change of the server's tree, to be made of what the local tree says of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Create the local node.
    Create {
        /// The node.
        node: NodeId,
    },
    /// Give the remote node another place.
    Move {
        /// The node.
        node: NodeId,
        /// Where it goes.
        place: Place,
    },
    /// Give the remote node the local content and attributes.
    Edit {
        /// The node.
        node: NodeId,
    },
    /// Give the remote node the local attributes.
    SetAttributes {
        /// The node.
        node: NodeId,
    },
    /// Delete the remote node, with all that is below it.
    Delete {
        /// The node.
        node: NodeId,
    },
}

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Nodes that must wait for others.
    pub waiting: Vec<NodeId>,
    /// Whether one of them waits for a name that a node of another round has and will give up.
    pub held_up: bool,
}

/// Plans one round for the dirty nodes of a neighbourhood. O(n log n) in its size; pure.
pub fn plan<'a>(hood: &'a Neighbourhood, context: Context<'a>) -> Plan {
    let mut planner = Planner {
        hood,
        remote: hood.remote.clone(),
        local: hood.local.clone(),
        synced: hood.synced.clone(),
        open: hood.dirty.clone(),
        dirty: hood.dirty.iter().copied().collect(),
        replaced: HashSet::new(),
        context,
        steps: Vec::new(),
        held_up: false,
    };
    planner.sort_open();
    planner.settle_identities();
    planner.settle_collisions();
    planner.plan_disk();
    planner.plan_server();
    planner.agree_on_what_is_equal();
    planner.finish()
}

/// The trees as they will be after the steps so far.
struct Planner<'a> {
    hood: &'a Neighbourhood,
    remote: Tree,
    local: Tree,
    synced: Tree,
    /// The nodes to look at, folders before what is below them.
    open: Vec<NodeId>,
    /// The nodes of this round as they were given.
    dirty: HashSet<NodeId>,
    /// Nodes whose content this plan brings to the disk.
    replaced: HashSet<NodeId>,
    context: Context<'a>,
    steps: Vec<Step>,
    /// Whether a node of this round waits for a name that one of another round has and will give up.
    held_up: bool,
}

impl Planner<'_> {
    /// Orders the open nodes by depth, then id: the same input gives the same plan.
    fn sort_open(&mut self) {
        let depth = |id: &NodeId| {
            let deepest = [&self.remote, &self.local]
                .into_iter()
                .filter_map(|tree| tree.depth(*id))
                .max();
            (deepest.unwrap_or(usize::MAX), *id)
        };
        self.open.sort_by_cached_key(depth);
        self.open.dedup();
    }

    /// A name in a folder that neither tree has yet, made of `name` and `suffix`.
    fn free_name(&self, parent: NodeId, name: &NodeName, suffix: &str) -> NodeName {
        let is_free = |candidate: &NodeName| {
            [&self.remote, &self.local, &self.hood.remote, &self.hood.local]
                .into_iter()
                .all(|tree| tree.child(parent, candidate).is_none())
        };
        let first = name.with_suffix(&format!(" ({suffix})"));
        if self.context.names_taken == 0 && is_free(&first) {
            return first;
        }
        // A folder with this many copies of one name on one day is not reached by people; the last is taken as it is
        // and the next round settles the collision.
        (2 + self.context.names_taken..10_000)
            .map(|number| name.with_suffix(&format!(" ({suffix} {number})")))
            .find(is_free)
            .unwrap_or(first)
    }

    /// The name of a conflicted copy.
    fn conflict_name(&self, parent: NodeId, name: &NodeName) -> NodeName {
        let label = conflict::label(self.context.device_name, self.context.today);
        self.free_name(parent, &conflict::original(name), &label)
    }

    /// Whether a folder is there, or will be, for others to be put in.
    fn is_folder(tree: &Tree, node: NodeId) -> bool {
        node == NodeId::ROOT || tree.get(node).is_some_and(Entry::is_directory)
    }

    /// Whether the place was changed on the server since both sides agreed.
    fn remote_moved(&self, node: NodeId) -> bool {
        match (self.remote.get(node), self.synced.get(node)) {
            (Some(remote), Some(synced)) => remote.place != synced.place,
            _ => false,
        }
    }

    /// Whether the place was changed on the disk since both sides agreed.
    fn local_moved(&self, node: NodeId) -> bool {
        match (self.local.get(node), self.synced.get(node)) {
            (Some(local), Some(synced)) => local.place != synced.place,
            _ => false,
        }
    }

    /// Whether the server has no such node any more, and both had agreed on it.
    fn is_gone_from_server(&self, node: NodeId) -> bool {
        self.remote.get(node).is_none() && self.local.get(node).is_some() && self.synced.get(node).is_some()
    }

    /// Whether the local node is to go from the disk: the server has none, and both had agreed on it; or it is not kept
    /// here, and the server has all that the disk has of it.
    fn is_leaving_disk(&self, node: NodeId) -> bool {
        self.is_gone_from_server(node) || (self.is_withheld(node) && self.is_sent(node))
    }

    /// Whether the server has the node and this device does not keep it.
    fn is_withheld(&self, node: NodeId) -> bool {
        self.hood.withheld.contains(&node) && self.remote.get(node).is_some()
    }

    /// Whether nothing of a local node waits for being sent.
    fn is_sent(&self, node: NodeId) -> bool {
        let (Some(remote), Some(local), Some(synced)) =
            (self.remote.get(node), self.local.get(node), self.synced.get(node))
        else {
            return false;
        };
        let is_sent = |same_here: bool, same_there: bool| same_here || !same_there;
        local.substance == synced.substance
            && is_sent(local.place == synced.place, remote.place == synced.place)
            && is_sent(
                local.same_attributes(synced),
                // Attributes come with a content: beside a newer one the local ones are not sent.
                remote.same_attributes(synced) && remote.substance == synced.substance,
            )
    }

    /// Whether the remote node is to go from the server: it vanished from the disk, and nothing happened to it since.
    fn is_leaving_server(&self, node: NodeId) -> bool {
        self.local.get(node).is_none()
            && self.synced.get(node).is_some()
            && self.remote.get(node).is_some()
            && !self.is_withheld(node)
    }

    fn agree_on_what_is_equal(&mut self) {
        for node in self.open.clone() {
            // Only what was equal before the steps: the steps themselves record what they achieve.
            let (Some(remote), Some(local)) = (self.hood.remote.get(node), self.hood.local.get(node)) else {
                continue;
            };
            let is_settled = self.synced.get(node).is_some_and(|synced| synced == remote);
            let is_equal = agree(Some(remote), Some(local), Some(remote));
            if is_equal
                && !is_settled
                && self.remote.get(node) == Some(remote)
                && self.local.get(node) == Some(local)
            {
                self.steps.push(Step::Agree { node });
                self.synced.insert(node, remote.clone());
            }
        }
    }

    fn finish(self) -> Plan {
        let waiting = self
            .open
            .iter()
            .copied()
            .filter(|id| !(self.is_withheld(*id) && self.local.get(*id).is_none()))
            .filter(|id| !agree_in_effect(self.remote.get(*id), self.local.get(*id)))
            .collect();
        Plan {
            steps: self.steps,
            waiting,
            held_up: self.held_up,
        }
    }
}

/// Whether server and disk say the same of a node, whatever the counters.
fn agree_in_effect(remote: Option<&Entry>, local: Option<&Entry>) -> bool {
    match (remote, local) {
        (None, None) => true,
        (Some(remote), Some(local)) => {
            remote.place == local.place
                && remote.substance == local.substance
                && remote.same_attributes(local)
        }
        _ => false,
    }
}
