//! Steps that bring the disk to what the server says.

use std::collections::HashSet;

use super::{Planner, Step};
use crate::ids::NodeId;
use crate::node::Place;
use crate::tree::Entry;

impl Planner<'_> {
    pub(super) fn plan_disk(&mut self) {
        self.plan_contents();
        let mut arriving: Vec<NodeId> = self
            .open
            .iter()
            .copied()
            .filter(|id| self.is_arriving_on_disk(*id))
            .collect();
        let mut aside = HashSet::new();
        loop {
            let before = arriving.len();
            arriving.retain(|node| !self.arrive_on_disk(*node));
            let removed = self.plan_removals();
            if arriving.is_empty() {
                break;
            }
            let goes_on = arriving.len() < before
                || removed
                || self.step_aside_on_disk(&arriving, &mut aside)
                || (self.context.make_way && self.make_way_on_disk(&arriving));
            if !goes_on {
                break;
            }
        }
        let is_held_up = |node: &NodeId| self.disk_holder_of_another_round(*node).is_some();
        self.held_up |= arriving.iter().any(is_held_up);
    }

    /// New bytes and attributes for files and links that stay where they are or are moved later.
    fn plan_contents(&mut self) {
        for node in self.open.clone() {
            let (Some(remote), Some(local), Some(synced)) = (
                self.remote.get(node).cloned(),
                self.local.get(node).cloned(),
                self.synced.get(node).cloned(),
            ) else {
                continue;
            };
            if self.replaced.contains(&node) || self.is_withheld(node) {
                continue;
            }
            if remote.substance != synced.substance && local.substance == synced.substance {
                self.steps.push(Step::Replace { node, keep: None });
                self.replaced.insert(node);
                let entry = Entry {
                    place: local.place.clone(),
                    ..remote.clone()
                };
                self.local.insert(node, entry);
                let base = Entry {
                    place: synced.place,
                    place_seq: synced.place_seq,
                    ..remote
                };
                self.synced.insert(node, base);
            } else if remote.substance == local.substance
                && !remote.same_attributes(&synced)
                && !remote.same_attributes(&local)
            {
                self.steps.push(Step::SetAttributes { node });
                self.local.insert(
                    node,
                    Entry {
                        attributes: remote.attributes,
                        ..local
                    },
                );
                self.synced.insert(
                    node,
                    Entry {
                        attributes: remote.attributes,
                        ..synced
                    },
                );
            }
        }
    }

    pub(super) fn is_arriving_on_disk(&self, node: NodeId) -> bool {
        let Some(remote) = self.remote.get(node).filter(|_| !self.is_withheld(node)) else {
            return false;
        };
        match self.local.get(node) {
            None => self.synced.get(node).is_none(),
            Some(local) => local.place != remote.place && self.remote_moved(node),
        }
    }

    /// Creates or moves a node on the disk, if its folder is there and its name is free.
    fn arrive_on_disk(&mut self, node: NodeId) -> bool {
        let Some(remote) = self.remote.get(node).cloned() else {
            return true;
        };
        let Place { parent, name } = &remote.place;
        let is_blocked = !Self::is_folder(&self.local, *parent)
            || self.is_leaving_disk(*parent)
            || self.local.other_child(*parent, name, node).is_some()
            || (remote.is_directory() && self.local.contains(node) && self.local.is_within(*parent, node));
        if is_blocked {
            return false;
        }
        if let Some(local) = self.local.get(node).cloned() {
            self.steps.push(Step::Move {
                node,
                place: remote.place.clone(),
            });
            self.local.insert(
                node,
                Entry {
                    place: remote.place.clone(),
                    ..local
                },
            );
            if let Some(synced) = self.synced.get(node).cloned() {
                self.synced.insert(
                    node,
                    Entry {
                        place: remote.place,
                        place_seq: remote.place_seq,
                        ..synced
                    },
                );
            }
        } else {
            self.steps.push(Step::Create { node });
            self.local.insert(node, remote.clone());
            self.synced.insert(node, remote);
        }
        true
    }

    /// Removes what the server deleted or this device does not keep, children before their folders; says whether anything went.
    fn plan_removals(&mut self) -> bool {
        let mut is_any = false;
        let mut leaving: Vec<NodeId> = self
            .open
            .iter()
            .copied()
            .filter(|id| self.is_leaving_disk(*id))
            .collect();
        // Deepest first, as the disk has them.
        leaving.sort_by_cached_key(|id| (std::cmp::Reverse(self.local.depth(*id)), *id));
        for node in leaving {
            let is_empty =
                self.local.children(node).next().is_none() && !self.hood.local_more_below.contains(&node);
            if is_empty {
                self.steps.push(Step::Remove { node });
                self.local.remove(node);
                self.synced.remove(node);
                is_any = true;
            }
        }
        is_any
    }

    /// Breaks a ring of nodes that wait for each other: one of them goes by way of a name of its own.
    fn step_aside_on_disk(&mut self, arriving: &[NodeId], aside: &mut HashSet<NodeId>) -> bool {
        let in_the_way = arriving.iter().find_map(|node| {
            let Place { parent, name } = &self.remote.get(*node)?.place;
            let other = self.local.other_child(*parent, name, *node)?;
            // A folder that goes is in the way for as long as something below it waits, perhaps for this very name. What is
            // not of this round is left to its own, where it goes and frees the name.
            let is_leaving = self.is_leaving_disk(other) && self.open.contains(&other);
            let will_move = arriving.contains(&other) || is_leaving;
            (will_move && !aside.contains(&other)).then_some(other)
        });
        let Some(node) = in_the_way else { return false };
        self.move_aside_on_disk(node) && aside.insert(node)
    }
}
