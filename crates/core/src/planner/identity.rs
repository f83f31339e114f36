//! Who is who: nodes that must change their id, bases that must be dropped, contents that conflict.

use std::collections::HashMap;

use super::{Planner, Step};
use crate::ids::NodeId;
use crate::node::Place;
use crate::tree::{Entry, same_state};

impl Planner<'_> {
    pub(super) fn settle_identities(&mut self) {
        for node in self.open.clone() {
            let remote = self.remote.get(node).cloned();
            let local = self.local.get(node).cloned();
            let synced = self.synced.get(node).cloned();
            match (remote, local, synced) {
                (None, None, Some(_)) => self.forget(node),
                (Some(remote), None, Some(synced)) => {
                    let is_kept = self.hood.remote_kept_below.contains(&node);
                    if is_kept || self.is_withheld(node) || !same_state(&remote, &synced) {
                        self.forget(node);
                    }
                }
                (Some(remote), Some(local), None) => self.meet(node, &remote, &local),
                (Some(remote), Some(local), Some(synced)) => {
                    let both_edited =
                        remote.substance != synced.substance && local.substance != synced.substance;
                    if both_edited && remote.substance != local.substance {
                        self.keep_both(node, &remote, &local);
                    }
                }
                _ => {}
            }
        }
        self.settle_deleted_on_server();
    }

    fn forget(&mut self, node: NodeId) {
        self.synced.remove(node);
        self.steps.push(Step::Forget { node });
    }

    /// One node that both sides have and never agreed on: after a lost reply, or after a restore of either side.
    fn meet(&mut self, node: NodeId, remote: &Entry, local: &Entry) {
        if remote.substance == local.substance {
            // The server's place and attributes win; the disk's are taken as the base from which they are a change.
            let entry = Entry {
                place: local.place.clone(),
                attributes: local.attributes,
                place_seq: Default::default(),
                ..remote.clone()
            };
            self.synced.insert(node, entry.clone());
            self.steps.push(Step::Base { node, entry });
        } else {
            self.keep_both(node, remote, local);
        }
    }

    /// Two versions of one node: the server's takes the place, the local one becomes a conflicted copy beside it.
    fn keep_both(&mut self, node: NodeId, remote: &Entry, local: &Entry) {
        let parent = local.place.parent;
        let name = self.conflict_name(parent, &local.place.name);
        let fresh = (self.context.fresh)();
        self.steps.push(Step::Replace {
            node,
            keep: Some((fresh, name.clone())),
        });
        let copy = Entry {
            place: Place { parent, name },
            ..local.clone()
        };
        self.local.insert(fresh, copy);
        let here = Entry {
            substance: remote.substance.clone(),
            attributes: remote.attributes,
            ..local.clone()
        };
        self.local.insert(node, here);
        let base = Entry {
            place: local.place.clone(),
            ..remote.clone()
        };
        self.synced.insert(node, base);
        self.replaced.insert(node);
        self.open.push(fresh);
    }

    /// Nodes that the server deleted and the disk has: those that must live on get a fresh id.
    fn settle_deleted_on_server(&mut self) {
        let mut known = HashMap::new();
        let gone: Vec<NodeId> = self
            .open
            .iter()
            .copied()
            .filter(|id| self.is_gone_from_server(*id))
            .collect();
        let living: Vec<NodeId> = gone
            .into_iter()
            .filter(|id| self.lives_on(*id, &mut known, 0))
            .collect();
        for node in living {
            self.rekey(node);
        }
    }

    /// Whether a node that the server deleted must stay on the disk: it was edited or (a file) moved there, or it is a
    /// folder that holds such a node or a new one.
    fn lives_on(&self, node: NodeId, known: &mut HashMap<NodeId, bool>, depth: usize) -> bool {
        if let Some(answer) = known.get(&node) {
            return *answer;
        }
        let answer = match (self.local.get(node), self.synced.get(node)) {
            (Some(local), Some(synced)) if local.is_directory() => {
                let _ = synced;
                depth < crate::limits::TREE_DEPTH
                    && self
                        .local
                        .children(node)
                        .any(|child| self.holds_folder(child, node, known, depth + 1))
            }
            (Some(local), Some(synced)) => !same_state(local, synced),
            _ => false,
        };
        known.insert(node, answer);
        answer
    }

    /// Whether a child keeps its folder alive.
    fn holds_folder(
        &self,
        child: NodeId,
        folder: NodeId,
        known: &mut HashMap<NodeId, bool>,
        depth: usize,
    ) -> bool {
        if self.synced.get(child).is_none() {
            return true;
        }
        match self.remote.get(child) {
            None => self.lives_on(child, known, depth),
            // It exists on the server: it stays in here unless the server has moved it elsewhere.
            Some(remote) => !self.remote_moved(child) || remote.place.parent == folder,
        }
    }

    fn rekey(&mut self, node: NodeId) {
        let fresh = (self.context.fresh)();
        self.steps.push(Step::Rekey { node, fresh });
        self.rebind(node, fresh);
        self.synced.remove(node);
        self.open.push(fresh);
    }

    /// Gives a local node another id, its children with it.
    pub(super) fn rebind(&mut self, from: NodeId, to: NodeId) {
        let children: Vec<NodeId> = self.local.children(from).collect();
        for child in children {
            if let Some(entry) = self.local.get(child) {
                let place = Place {
                    parent: to,
                    name: entry.place.name.clone(),
                };
                self.local.set_place(child, place);
            }
        }
        if let Some(entry) = self.local.remove(from) {
            self.local.insert(to, entry);
        }
    }
}
