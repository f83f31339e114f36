//! A server and a disk in memory that carry out steps as strictly as the real ones would.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{FileId, NodeId};
use crate::name::NodeName;
use crate::node::{Attributes, Place};
use crate::planner::{Context, Plan, Step, Wish, plan};
use crate::rev::Seq;
use crate::time::{Date, Timestamp};
use crate::tree::{Entry, Neighbourhood, Substance, Tree, same_state};

/// One device and one server.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) remote: Tree,
    pub(super) local: Tree,
    pub(super) synced: Tree,
    /// Local names that differ from those that travel.
    pub(super) disk_names: BTreeMap<NodeId, NodeName>,
    /// Contents that a step took off the disk; they stay in the trash.
    pub(super) trashed: BTreeSet<FileId>,
    /// Folders of the server that the device does not keep.
    pub(super) excluded: Vec<NodeId>,
    seq: i64,
    next_id: i64,
}

impl Model {
    pub(super) fn new(remote: Tree, local: Tree, synced: Tree) -> Self {
        let seq = remote
            .iter()
            .map(|(_, entry)| entry.place_seq.get().max(entry.content_seq.get()))
            .max();
        Self {
            remote,
            local,
            synced,
            disk_names: BTreeMap::new(),
            trashed: BTreeSet::new(),
            excluded: Vec::new(),
            seq: seq.unwrap_or(0) + 100,
            next_id: 1_000_000,
        }
    }

    /// Plans and carries out rounds until nothing is left to do; the rounds' plans.
    pub(super) fn run(&mut self) -> Vec<Plan> {
        let mut plans = Vec::new();
        for _ in 0..200 {
            let round = self.plan();
            if round.steps.is_empty() {
                assert!(
                    round.waiting.is_empty(),
                    "waits for ever: {:?}\n{}",
                    round.waiting,
                    self.show()
                );
                return plans;
            }
            for step in &round.steps {
                self.carry_out(step);
            }
            plans.push(round);
        }
        panic!(
            "no end after 200 rounds; the last: {:#?}\n{}",
            plans.last(),
            self.show()
        );
    }

    /// Everything that differs, with what surrounds it.
    pub(super) fn hood(&self) -> Neighbourhood {
        Neighbourhood::whole_except(
            self.remote.clone(),
            self.local.clone(),
            self.synced.clone(),
            &self.excluded,
        )
    }

    pub(super) fn plan(&mut self) -> Plan {
        let hood = self.hood();
        let plan = self.plan_round(&hood, false);
        assert!(!plan.held_up, "there is no other round\n{}", self.show());
        plan
    }

    pub(super) fn plan_round(&mut self, hood: &Neighbourhood, make_way: bool) -> Plan {
        let next_id = &mut self.next_id;
        let mut fresh = || {
            *next_id += 1;
            NodeId::new(*next_id).unwrap()
        };
        let today = Date::of(Timestamp::from_millis(1_795_305_600_000));
        plan(
            hood,
            Context {
                device_name: "laptop",
                names_taken: 0,
                make_way,
                today,
                fresh: &mut fresh,
            },
        )
    }

    /// The remote tree without what the device does not keep.
    pub(super) fn kept(&self) -> Tree {
        let mut kept = self.remote.clone();
        for (node, _) in self.remote.iter() {
            if self
                .excluded
                .iter()
                .any(|folder| self.remote.is_within(node, *folder))
            {
                kept.remove(node);
            }
        }
        kept
    }

    fn next_seq(&mut self) -> Seq {
        self.seq += 1;
        Seq::new(self.seq).unwrap()
    }

    fn disk_name(&self, node: NodeId) -> NodeName {
        self.disk_names
            .get(&node)
            .cloned()
            .unwrap_or_else(|| self.local.get(node).unwrap().place.name.clone())
    }

    /// Fails when something on the disk has exactly this name.
    fn expect_free_on_disk(&self, place: &Place, except: NodeId) {
        assert!(
            self.local.contains(place.parent),
            "no folder {} on the disk\n{}",
            place.parent,
            self.show()
        );
        for other in self.local.children(place.parent) {
            assert!(
                other == except || self.disk_name(other) != place.name,
                "{:?} taken\n{}",
                place.name,
                self.show()
            );
        }
    }

    pub(super) fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Agree { node } => {
                let (remote, local) = (self.remote.get(*node).unwrap(), self.local.get(*node).unwrap());
                assert!(same_state(remote, local) && remote.same_attributes(local));
                self.synced.insert(*node, remote.clone());
            }
            Step::Base { node, entry } => self.synced.insert(*node, entry.clone()),
            Step::Forget { node } => {
                self.synced.remove(*node);
            }
            Step::Adopt { local, remote, entry } => {
                self.rebind(*local, *remote);
                self.synced.insert(*remote, entry.clone());
            }
            Step::Rekey { node, fresh } => {
                self.rebind(*node, *fresh);
                self.synced.remove(*node);
            }
            Step::NameForServer { node, name } => {
                let on_disk = self.disk_name(*node);
                self.disk_names.insert(*node, on_disk);
                let parent = self.local.get(*node).unwrap().place.parent;
                self.local.set_place(
                    *node,
                    Place {
                        parent,
                        name: name.clone(),
                    },
                );
            }
            Step::Commit { wishes } => self.commit(wishes),
            _ => self.carry_out_on_disk(step),
        }
    }

    fn carry_out_on_disk(&mut self, step: &Step) {
        match step {
            Step::RenameAside { node, name } => {
                let parent = self.local.get(*node).unwrap().place.parent;
                let place = Place {
                    parent,
                    name: name.clone(),
                };
                self.expect_free_on_disk(&place, *node);
                self.disk_names.remove(node);
                self.local.set_place(*node, place);
            }
            Step::Create { node } => {
                let remote = self.remote.get(*node).unwrap().clone();
                self.expect_free_on_disk(&remote.place, *node);
                self.local.insert(*node, remote.clone());
                self.synced.insert(*node, remote);
            }
            Step::Replace { node, keep } => self.replace(*node, keep.as_ref()),
            Step::Move { node, place } => {
                self.expect_free_on_disk(place, *node);
                assert!(
                    !self.local.is_within(place.parent, *node),
                    "into itself\n{}",
                    self.show()
                );
                self.disk_names.remove(node);
                self.local.set_place(*node, place.clone());
                if let (Some(remote), Some(synced)) = (self.remote.get(*node), self.synced.get(*node))
                    && remote.place == *place
                {
                    let entry = Entry {
                        place: place.clone(),
                        place_seq: remote.place_seq,
                        ..synced.clone()
                    };
                    self.synced.insert(*node, entry);
                }
            }
            Step::SetAttributes { node } => {
                let attributes = self.remote.get(*node).unwrap().attributes;
                for tree in [&mut self.local, &mut self.synced] {
                    let entry = Entry {
                        attributes,
                        ..tree.get(*node).unwrap().clone()
                    };
                    tree.insert(*node, entry);
                }
            }
            Step::Remove { node } => {
                assert!(
                    self.local.children(*node).next().is_none(),
                    "not empty\n{}",
                    self.show()
                );
                self.disk_names.remove(node);
                let local = self.local.remove(*node).unwrap();
                self.trash(&local);
                self.synced.remove(*node);
            }
            _ => unreachable!("not a step of the disk: {step:?}"),
        }
    }

    fn trash(&mut self, entry: &Entry) {
        if let Substance::File { file_id, .. } = entry.substance {
            self.trashed.insert(file_id);
        }
    }

    fn rebind(&mut self, from: NodeId, to: NodeId) {
        let children: Vec<NodeId> = self.local.children(from).collect();
        for child in children {
            let name = self.local.get(child).unwrap().place.name.clone();
            self.local.set_place(child, Place { parent: to, name });
        }
        let entry = self.local.remove(from).unwrap();
        self.local.insert(to, entry);
        if let Some(name) = self.disk_names.remove(&from) {
            self.disk_names.insert(to, name);
        }
    }

    fn replace(&mut self, node: NodeId, keep: Option<&(NodeId, NodeName)>) {
        let remote = self.remote.get(node).unwrap().clone();
        let local = self.local.get(node).unwrap().clone();
        match keep {
            Some((fresh, name)) => {
                let place = Place {
                    parent: local.place.parent,
                    name: name.clone(),
                };
                self.expect_free_on_disk(&place, node);
                self.local.insert(
                    *fresh,
                    Entry {
                        place,
                        ..local.clone()
                    },
                );
            }
            None => {
                assert_eq!(
                    local.substance,
                    self.synced.get(node).unwrap().substance,
                    "would lose bytes"
                );
                self.trash(&local);
            }
        }
        self.local.insert(
            node,
            Entry {
                place: local.place.clone(),
                ..remote.clone()
            },
        );
        let (place, place_seq) = match self.synced.get(node) {
            Some(synced) => (synced.place.clone(), synced.place_seq),
            None => (local.place, Seq::ZERO),
        };
        self.synced.insert(
            node,
            Entry {
                place,
                place_seq,
                ..remote
            },
        );
    }

    fn commit(&mut self, wishes: &[Wish]) {
        for wish in wishes {
            self.grant(wish);
        }
        let broken = self.remote.check();
        assert!(
            broken.is_empty(),
            "the server refuses {wishes:?}: {broken:?}\n{}",
            self.show()
        );
    }

    fn grant(&mut self, wish: &Wish) {
        let seq = self.next_seq();
        match wish {
            Wish::Create { node } => {
                assert!(self.remote.get(*node).is_none());
                let local = self.local.get(*node).unwrap().clone();
                let entry = Entry {
                    place_seq: seq,
                    content_seq: seq,
                    ..local
                };
                self.remote.insert(*node, entry.clone());
                self.synced.insert(*node, entry);
            }
            Wish::Move { node, place } => {
                self.remote.set_place(*node, place.clone());
                let entry = Entry {
                    place_seq: seq,
                    ..self.remote.get(*node).unwrap().clone()
                };
                self.remote.insert(*node, entry);
                if let Some(synced) = self.synced.get(*node) {
                    let entry = Entry {
                        place: place.clone(),
                        place_seq: seq,
                        ..synced.clone()
                    };
                    self.synced.insert(*node, entry);
                }
            }
            Wish::Edit { node } => {
                let local = self.local.get(*node).unwrap().clone();
                for tree in [&mut self.remote, &mut self.synced] {
                    let old = tree.get(*node).unwrap().clone();
                    let (place, place_seq) = (old.place, old.place_seq);
                    tree.insert(
                        *node,
                        Entry {
                            place,
                            place_seq,
                            content_seq: seq,
                            ..local.clone()
                        },
                    );
                }
            }
            Wish::SetAttributes { node } => {
                let attributes = self.local.get(*node).unwrap().attributes;
                for tree in [&mut self.remote, &mut self.synced] {
                    let entry = Entry {
                        attributes,
                        ..tree.get(*node).unwrap().clone()
                    };
                    tree.insert(*node, entry);
                }
            }
            Wish::Delete { node } => {
                let mut stack = vec![*node];
                while let Some(node) = stack.pop() {
                    stack.extend(self.remote.children(node));
                    self.remote.remove(node);
                    self.synced.remove(node);
                }
            }
        }
    }

    /// The paths of a tree with what they hold, sorted.
    pub(super) fn list(tree: &Tree) -> Vec<String> {
        let mut lines: Vec<String> = tree
            .iter()
            .map(|(id, entry)| {
                let mut names = vec![entry.place.name.to_string()];
                let mut above = entry.place.parent;
                while let Some(parent) = tree.get(above) {
                    names.push(parent.place.name.to_string());
                    above = parent.place.parent;
                }
                names.reverse();
                let path = names.join("/");
                let _ = id;
                match &entry.substance {
                    Substance::Directory => format!("{path}/"),
                    Substance::File { file_id, .. } => {
                        let mark = if entry.attributes.executable { "*" } else { "" };
                        format!("{path}{mark} = {}", char::from(file_id.as_bytes()[0]))
                    }
                    Substance::Symlink(target) => format!("{path} -> {}", target.as_str()),
                }
            })
            .collect();
        lines.sort();
        lines
    }

    pub(super) fn show(&self) -> String {
        let list = |tree: &Tree| {
            let mut lines: Vec<String> = tree
                .iter()
                .map(|(id, entry)| {
                    format!(
                        "  {id} in {} {:?} {:?}",
                        entry.place.parent, entry.place.name, entry.substance
                    )
                })
                .collect();
            lines.sort();
            lines.join("\n")
        };
        format!(
            "remote\n{}\nlocal\n{}\nsynced\n{}",
            list(&self.remote),
            list(&self.local),
            list(&self.synced)
        )
    }
}

/// A file's entry with a content that is one letter.
pub(super) fn file(parent: NodeId, name: &str, letter: char, seq: i64) -> Entry {
    let mut bytes = [0; 32];
    bytes[0] = letter as u8;
    Entry {
        place: Place {
            parent,
            name: NodeName::new(name).unwrap(),
        },
        substance: Substance::File {
            file_id: FileId::new(bytes),
            size: 1,
        },
        attributes: Attributes::default(),
        place_seq: Seq::new(seq).unwrap(),
        content_seq: Seq::new(seq).unwrap(),
    }
}

/// A folder's entry.
pub(super) fn folder(parent: NodeId, name: &str, seq: i64) -> Entry {
    Entry {
        substance: Substance::Directory,
        ..file(parent, name, 'x', seq)
    }
}
