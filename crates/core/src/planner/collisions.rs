//! Two nodes that want one name.

use super::{Planner, Step, Wish};
use crate::ids::NodeId;
use crate::node::Place;
use crate::tree::Entry;

impl Planner<'_> {
    /// Settles who gets a name, so that the steps after this meet no node that will not go away by itself.
    ///
    /// All arrivals on the disk come before any on the server: two newcomers of one name are one thing or give way to
    /// each other as the server's side decides, whichever of them has the lower id.
    pub(super) fn settle_collisions(&mut self) {
        self.sort_open();
        let mut index = 0;
        while index < self.open.len() {
            let node = self.open[index];
            self.settle_arrival_on_disk(node);
            self.settle_names_on_disk(node);
            index += 1;
        }
        let mut index = 0;
        while index < self.open.len() {
            let node = self.open[index];
            self.settle_arrival_on_server(node);
            index += 1;
        }
        self.sort_open();
    }

    /// A node of the server on its way to the disk, and who stands in its place there.
    fn settle_arrival_on_disk(&mut self, node: NodeId) {
        let Some(remote) = self.remote.get(node).filter(|_| !self.is_withheld(node)).cloned() else {
            return;
        };
        let is_new = self.local.get(node).is_none() && self.synced.get(node).is_none();
        let is_moving = self
            .local
            .get(node)
            .is_some_and(|local| local.place != remote.place)
            && self.remote_moved(node);
        if !is_new && !is_moving {
            return;
        }
        let Place { parent, name } = &remote.place;
        let Some(holder) = self.local.other_child(*parent, name, node) else {
            return;
        };
        if self.is_leaving_disk(holder) || self.remote_moved(holder) {
            return;
        }
        let Some(held) = self.local.get(holder).cloned() else {
            return;
        };
        let holder_is_new = self.synced.get(holder).is_none() && self.remote.get(holder).is_none();
        if holder_is_new && is_new && held.substance == remote.substance {
            self.adopt(holder, node, &held, &remote);
        } else if held.is_directory() && !remote.is_directory() {
            self.give_way_on_server(node, &remote);
        } else if held.place.name != remote.place.name {
            // The names differ in case or normalisation only: this disk can hold both as they are.
            let name = self.free_name(*parent, &held.place.name, "case conflict");
            self.name_for_server(holder, name);
        } else {
            let name = self.conflict_name(*parent, &held.place.name);
            self.rename_aside(holder, name);
        }
    }

    /// The same thing appeared on both sides.
    fn adopt(&mut self, local: NodeId, node: NodeId, held: &Entry, remote: &Entry) {
        let entry = Entry {
            place: held.place.clone(),
            attributes: held.attributes,
            place_seq: if held.place == remote.place {
                remote.place_seq
            } else {
                Default::default()
            },
            ..remote.clone()
        };
        self.steps.push(Step::Adopt {
            local,
            remote: node,
            entry: entry.clone(),
        });
        self.rebind(local, node);
        self.synced.insert(node, entry);
        // What is in the folder on this disk meets what is in it on the server.
        let met: Vec<NodeId> = self
            .remote
            .children(node)
            .chain(self.local.children(node))
            .collect();
        self.open
            .extend(met.into_iter().filter(|id| self.dirty.contains(id)));
    }

    /// A file of the server gives way to a folder of this disk.
    fn give_way_on_server(&mut self, node: NodeId, remote: &Entry) {
        let parent = remote.place.parent;
        let place = Place {
            parent,
            name: self.conflict_name(parent, &remote.place.name),
        };
        self.steps.push(Step::Commit {
            wishes: vec![Wish::Move {
                node,
                place: place.clone(),
            }],
        });
        self.remote.set_place(node, place);
    }

    /// Two nodes of this disk whose names have one key: the one that was there first keeps its name.
    fn settle_names_on_disk(&mut self, node: NodeId) {
        let Some(local) = self.local.get(node).cloned() else {
            return;
        };
        let is_arriving = self
            .synced
            .get(node)
            .is_none_or(|synced| synced.place != local.place);
        if !is_arriving || self.remote_moved(node) {
            return;
        }
        let Place { parent, name } = &local.place;
        let Some(other) = self.local.other_child(*parent, name, node) else {
            return;
        };
        if self.is_leaving_disk(other) || self.remote_moved(other) {
            return;
        }
        let other_is_arriving = self.is_new_place(other);
        // Of two newcomers, the one whose name sorts later gives way; the server's nodes are never newcomers.
        let other_name = self.local.get(other).map(|entry| entry.place.name.clone());
        if other_is_arriving && other_name.is_some_and(|other_name| other_name > *name) {
            return;
        }
        let name = self.free_name(*parent, name, "case conflict");
        self.name_for_server(node, name);
    }

    pub(super) fn is_new_place(&self, node: NodeId) -> bool {
        match (self.local.get(node), self.synced.get(node)) {
            (Some(local), Some(synced)) => local.place != synced.place,
            (Some(_), None) => true,
            _ => false,
        }
    }

    /// A node of this disk on its way to the server, and who stands in its place there.
    fn settle_arrival_on_server(&mut self, node: NodeId) {
        let Some(local) = self.local.get(node).cloned() else {
            return;
        };
        let is_new = self.remote.get(node).is_none() && self.synced.get(node).is_none();
        let is_moving = self.local_moved(node) && !self.remote_moved(node) && self.remote.get(node).is_some();
        if !is_new && !is_moving {
            return;
        }
        let Place { parent, name } = &local.place;
        let Some(holder) = self.remote.other_child(*parent, name, node) else {
            return;
        };
        let goes_by_itself =
            self.is_leaving_server(holder) || (self.local_moved(holder) && !self.remote_moved(holder));
        // A newcomer of the server was settled from its own side, or is not part of this round.
        let is_newcomer = self.local.get(holder).is_none() && self.synced.get(holder).is_none();
        let is_coming = self.remote_moved(holder);
        if goes_by_itself {
            return;
        }
        let is_withheld = self.is_withheld(holder);
        if !is_withheld && (is_newcomer || is_coming) && !self.dirty.contains(&holder) {
            return;
        }
        if self.local.other_child(*parent, name, node).is_some() {
            // Both stand on this disk: the names differ in case only, and that was settled above.
            return;
        }
        let name = if is_withheld {
            self.free_name(*parent, name, "kept here")
        } else {
            self.conflict_name(*parent, name)
        };
        self.rename_aside(node, name);
    }

    pub(super) fn rename_aside(&mut self, node: NodeId, name: crate::name::NodeName) {
        if let Some(entry) = self.local.get(node) {
            let parent = entry.place.parent;
            self.steps.push(Step::RenameAside {
                node,
                name: name.clone(),
            });
            self.local.set_place(node, Place { parent, name });
            self.open.push(node);
        }
    }

    fn name_for_server(&mut self, node: NodeId, name: crate::name::NodeName) {
        if let Some(entry) = self.local.get(node) {
            let parent = entry.place.parent;
            self.steps.push(Step::NameForServer {
                node,
                name: name.clone(),
            });
            self.local.set_place(node, Place { parent, name });
        }
    }
}
