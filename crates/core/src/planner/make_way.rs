//! Names that nodes of other rounds have, and will give up.
//!
//! A ring of nodes that wait for each other's names is settled by the round that has all of it. Where it is longer than a
//! round, or its nodes came to different ones, each round would wait for another for ever. So a node of another round goes by
//! way of a name of its own; its own round brings it to where it belongs.

use super::{Planner, Step, Wish};
use crate::ids::NodeId;
use crate::node::Place;

impl Planner<'_> {
    /// Has those make way on the disk that nodes of this round wait for; says whether any does.
    pub(super) fn make_way_on_disk(&mut self, arriving: &[NodeId]) -> bool {
        let mut is_any = false;
        for node in arriving {
            if let Some(holder) = self.disk_holder_of_another_round(*node) {
                is_any |= self.move_aside_on_disk(holder);
            }
        }
        is_any
    }

    /// Has those make way on the server that nodes of this round wait for; says whether any does.
    pub(super) fn make_way_on_server(&mut self, arriving: &[NodeId]) -> bool {
        let mut is_any = false;
        for node in arriving {
            if let Some(holder) = self.server_holder_of_another_round(*node) {
                is_any |= self.move_aside_on_server(holder);
            }
        }
        is_any
    }

    /// The node that has the name that this one wants on the disk, where it goes from there by itself, in another round.
    pub(super) fn disk_holder_of_another_round(&self, node: NodeId) -> Option<NodeId> {
        let Place { parent, name } = &self.remote.get(node)?.place;
        let holder = self.local.other_child(*parent, name, node)?;
        (self.is_arriving_on_disk(holder) && !self.dirty.contains(&holder)).then_some(holder)
    }

    /// The node that has the name that this one wants on the server, where it goes from there by itself, in another round.
    pub(super) fn server_holder_of_another_round(&self, node: NodeId) -> Option<NodeId> {
        let Place { parent, name } = &self.local.get(node)?.place;
        let holder = self.remote.other_child(*parent, name, node)?;
        (self.is_arriving_on_server(holder) && !self.dirty.contains(&holder)).then_some(holder)
    }

    /// Gives a node of the disk a name by whose way it goes. After a crash it is found under that name, and goes on from there.
    pub(super) fn move_aside_on_disk(&mut self, node: NodeId) -> bool {
        let Some(Place { parent, name }) = self.local.get(node).map(|entry| entry.place.clone()) else {
            return false;
        };
        let place = Place {
            parent,
            name: self.free_name(parent, &name, "moving"),
        };
        self.steps.push(Step::Move {
            node,
            place: place.clone(),
        });
        self.local.set_place(node, place);
        true
    }

    /// Gives a node of the server a name by whose way it goes.
    pub(super) fn move_aside_on_server(&mut self, node: NodeId) -> bool {
        let Some(remote) = self.remote.get(node).cloned() else {
            return false;
        };
        let parent = remote.place.parent;
        let place = Place {
            parent,
            name: self.free_name(parent, &remote.place.name, "moving"),
        };
        self.steps.push(Step::Commit {
            wishes: vec![Wish::Move {
                node,
                place: place.clone(),
            }],
        });
        self.move_on_server(node, place, remote);
        true
    }
}
