//! Wishes that bring the server to what the disk says.

use std::collections::HashSet;

use super::{Planner, Step, Wish};
use crate::ids::NodeId;
use crate::node::Place;
use crate::tree::{Entry, same_state};

impl Planner<'_> {
    pub(super) fn plan_server(&mut self) {
        let mut arriving: Vec<NodeId> = self
            .open
            .iter()
            .copied()
            .filter(|id| self.is_arriving_on_server(*id))
            .collect();
        loop {
            let before = arriving.len();
            arriving.retain(|node| !self.arrive_on_server(*node));
            if arriving.is_empty() {
                break;
            }
            let goes_on = arriving.len() < before
                || self.plan_deletions()
                || self.settle_ring(&mut arriving)
                || (self.context.make_way && self.make_way_on_server(&arriving));
            if !goes_on {
                self.step_aside(&arriving);
                break;
            }
        }
        let is_held_up = |node: &NodeId| self.server_holder_of_another_round(*node).is_some();
        self.held_up |= arriving.iter().any(is_held_up);
        self.plan_deletions();
        self.plan_edits();
    }

    pub(super) fn is_arriving_on_server(&self, node: NodeId) -> bool {
        let Some(local) = self.local.get(node) else {
            return false;
        };
        match self.remote.get(node) {
            None => self.synced.get(node).is_none(),
            Some(remote) => local.place != remote.place && self.local_moved(node) && !self.remote_moved(node),
        }
    }

    /// Creates or moves a node on the server, if its folder is there and its name is free.
    fn arrive_on_server(&mut self, node: NodeId) -> bool {
        let Some(local) = self.local.get(node).cloned() else {
            return true;
        };
        let Place { parent, name } = &local.place;
        if self
            .remote
            .get(node)
            .is_some_and(|remote| remote.place == local.place)
        {
            // Its move was undone for the sake of another one.
            return true;
        }
        if !Self::is_folder(&self.remote, *parent) || self.is_leaving_server(*parent) {
            return false;
        }
        if local.is_directory() && self.remote.contains(node) && self.remote.is_within(*parent, node) {
            // A ring made on the disk alone is only a matter of order; one that the server had a part in is undone.
            return self.server_moved_between(*parent, node)
                && self.undo_local_move(node, &mut HashSet::new());
        }
        if self.remote.other_child(*parent, name, node).is_some() {
            return false;
        }
        if let Some(remote) = self.remote.get(node).cloned() {
            self.steps.push(Step::Commit {
                wishes: vec![Wish::Move {
                    node,
                    place: local.place.clone(),
                }],
            });
            self.move_on_server(node, local.place, remote);
        } else {
            self.steps.push(Step::Commit {
                wishes: vec![Wish::Create { node }],
            });
            self.remote.insert(node, local.clone());
            self.synced.insert(node, local);
        }
        true
    }

    pub(super) fn move_on_server(&mut self, node: NodeId, place: Place, remote: Entry) {
        self.remote.insert(
            node,
            Entry {
                place: place.clone(),
                ..remote
            },
        );
        if let Some(synced) = self.synced.get(node).cloned() {
            self.synced.insert(node, Entry { place, ..synced });
        }
    }

    /// Both sides moved folders into each other: the server's tree stands, the disk follows. Where the folder to which this one
    /// goes back lies in it on the disk, that one goes back first; `undone` are those for whose sake it is done.
    fn undo_local_move(&mut self, node: NodeId, undone: &mut HashSet<NodeId>) -> bool {
        let (Some(remote), Some(local)) = (self.remote.get(node).cloned(), self.local.get(node).cloned())
        else {
            return true;
        };
        if !undone.insert(node) {
            return false;
        }
        if self.is_withheld(node) {
            // It goes from the disk: where it stands there is taken for where it was agreed to be.
            let base = self.synced.get(node).cloned();
            if let Some(entry) = base.map(|base| Entry {
                place: local.place.clone(),
                ..base
            }) {
                self.synced.insert(node, entry.clone());
                self.steps.push(Step::Base { node, entry });
            }
            return true;
        }
        let Place { parent, name } = &remote.place;
        if let Some(holder) = self
            .local
            .other_child(*parent, name, node)
            .filter(|id| self.is_new_place(*id))
        {
            let aside = self.conflict_name(*parent, name);
            self.rename_aside(holder, aside);
        }
        if self.local.is_within(*parent, node)
            && let Some(between) = self.moved_between(*parent, node)
        {
            self.undo_local_move(between, undone);
        }
        let is_possible = Self::is_folder(&self.local, *parent)
            && self.local.other_child(*parent, name, node).is_none()
            && !self.local.is_within(*parent, node);
        if is_possible {
            self.steps.push(Step::Move {
                node,
                place: remote.place.clone(),
            });
            self.local.insert(
                node,
                Entry {
                    place: remote.place,
                    ..local
                },
            );
        }
        is_possible
    }

    /// The highest folder on the disk, from `from` up to below `to`, that was moved there and nowhere else.
    fn moved_between(&self, from: NodeId, to: NodeId) -> Option<NodeId> {
        let mut highest = None;
        let mut current = from;
        for _ in 0..crate::limits::TREE_DEPTH {
            if current == to {
                break;
            }
            if self.local_moved(current) && !self.remote_moved(current) {
                highest = Some(current);
            }
            current = self.local.get(current)?.place.parent;
        }
        highest
    }

    /// Whether one of the folders from `from` up to below `to` stands where the server has moved it.
    fn server_moved_between(&self, from: NodeId, to: NodeId) -> bool {
        let mut current = from;
        for _ in 0..crate::limits::TREE_DEPTH {
            if current == to {
                return false;
            }
            if self.remote_moved(current) || self.synced.get(current).is_none() {
                return true;
            }
            match self.remote.get(current) {
                Some(entry) => current = entry.place.parent,
                None => return false,
            }
        }
        false
    }

    /// Deletes on the server what vanished from the disk: one wish for a folder and all that is below it.
    fn plan_deletions(&mut self) -> bool {
        let leaving: Vec<NodeId> = self
            .open
            .iter()
            .copied()
            .filter(|id| self.is_leaving_server(*id) && !self.hood.remote_waiting_below.contains(id))
            .filter(|id| !self.hood.remote_kept_below.contains(id))
            .collect();
        let all: HashSet<NodeId> = leaving.iter().copied().collect();
        let mut is_any = false;
        for node in leaving {
            let Some(remote) = self.remote.get(node).cloned() else {
                continue;
            };
            let is_unchanged = self
                .synced
                .get(node)
                .is_some_and(|synced| same_state(synced, &remote));
            if !is_unchanged || self.is_covered(remote.place.parent, &all) {
                continue;
            }
            self.steps.push(Step::Commit {
                wishes: vec![Wish::Delete { node }],
            });
            self.remove_below(node);
            is_any = true;
        }
        is_any
    }

    /// Whether a folder above goes as well.
    fn is_covered(&self, folder: NodeId, leaving: &HashSet<NodeId>) -> bool {
        let mut current = folder;
        for _ in 0..crate::limits::TREE_DEPTH {
            if leaving.contains(&current) {
                return true;
            }
            match self.remote.get(current) {
                Some(entry) => current = entry.place.parent,
                None => return false,
            }
        }
        false
    }

    fn remove_below(&mut self, node: NodeId) {
        let mut stack = vec![node];
        while let Some(node) = stack.pop() {
            stack.extend(self.remote.children(node));
            self.remote.remove(node);
            self.synced.remove(node);
        }
    }

    /// Moves and creations that wait for each other go to the server as one atomic group, which is judged by its end.
    fn settle_ring(&mut self, arriving: &mut Vec<NodeId>) -> bool {
        let Some(mut ring) = arriving.iter().find_map(|start| self.ring_from(*start, arriving)) else {
            return false;
        };
        // New folders come before what goes into them.
        ring.sort_by_cached_key(|node| (self.remote.contains(*node), self.local.depth(*node), *node));
        let mut wishes = Vec::new();
        for node in &ring {
            let Some(local) = self.local.get(*node).cloned() else {
                continue;
            };
            if let Some(remote) = self.remote.get(*node).cloned() {
                wishes.push(Wish::Move {
                    node: *node,
                    place: local.place.clone(),
                });
                self.move_on_server(*node, local.place, remote);
            } else {
                wishes.push(Wish::Create { node: *node });
                self.remote.insert(*node, local.clone());
                self.synced.insert(*node, local);
            }
        }
        self.steps.push(Step::Commit { wishes });
        arriving.retain(|node| !ring.contains(node));
        true
    }

    /// A vanished folder whose name is wanted, and below which something waits, gives the name up before it goes.
    fn step_aside(&mut self, arriving: &[NodeId]) {
        for node in arriving {
            let Some(Place { parent, name }) = self.local.get(*node).map(|local| local.place.clone()) else {
                continue;
            };
            let Some(holder) = self.remote.other_child(parent, &name, *node) else {
                continue;
            };
            if self.is_leaving_server(holder) {
                self.move_aside_on_server(holder);
            }
        }
    }

    /// The nodes that wait for each other, from one of them round to itself.
    fn ring_from(&self, start: NodeId, arriving: &[NodeId]) -> Option<Vec<NodeId>> {
        let mut ring = vec![start];
        let mut current = start;
        loop {
            let Place { parent, name } = &self.local.get(current)?.place;
            let next = if !Self::is_folder(&self.remote, *parent) {
                *parent
            } else if self.remote.contains(current) && self.remote.is_within(*parent, current) {
                self.first_arriving(*parent, current, arriving)?
            } else {
                self.remote.other_child(*parent, name, current)?
            };
            if next == start {
                return Some(ring);
            }
            if !arriving.contains(&next) || ring.contains(&next) {
                return None;
            }
            ring.push(next);
            current = next;
        }
    }

    /// The nearest folder from `from` upwards, below `to`, that is on its way elsewhere.
    fn first_arriving(&self, from: NodeId, to: NodeId, arriving: &[NodeId]) -> Option<NodeId> {
        let mut current = from;
        for _ in 0..crate::limits::TREE_DEPTH {
            if current == to {
                return None;
            }
            if arriving.contains(&current) {
                return Some(current);
            }
            current = self.remote.get(current)?.place.parent;
        }
        None
    }

    /// New bytes and attributes of files and links.
    fn plan_edits(&mut self) {
        for node in self.open.clone() {
            let (Some(remote), Some(local), Some(synced)) = (
                self.remote.get(node).cloned(),
                self.local.get(node).cloned(),
                self.synced.get(node).cloned(),
            ) else {
                continue;
            };
            let wish = if local.substance != synced.substance && remote.substance == synced.substance {
                Wish::Edit { node }
            } else if local.substance == remote.substance
                && !local.same_attributes(&synced)
                && remote.same_attributes(&synced)
            {
                Wish::SetAttributes { node }
            } else {
                continue;
            };
            self.steps.push(Step::Commit { wishes: vec![wish] });
            let entry = Entry {
                place: remote.place,
                ..local
            };
            self.remote.insert(node, entry.clone());
            self.synced.insert(
                node,
                Entry {
                    place: synced.place,
                    ..entry
                },
            );
        }
    }
}
