//! One random tree, changed twice in different ways: both sides must meet, and nothing may be lost.

use std::collections::BTreeSet;

use proptest::prelude::{Just, Strategy, any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::model::{Model, file, folder};
use crate::ids::{FileId, NodeId};
use crate::name::NodeName;
use crate::node::Place;
use crate::tree::{Substance, Tree};

const NAMES: [&str; 6] = ["a", "b", "c", "A", "d", "B"];

/// One random change; numbers pick among what is there.
#[derive(Debug, Clone)]
enum Mutation {
    NewFile(usize, usize),
    NewFolder(usize, usize),
    Edit(usize),
    Move(usize, usize, usize),
    Delete(usize),
    Chmod(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let n = || any::<prop::sample::Index>().prop_map(|index| index.index(1_000));
    proptest::prop_oneof![
        (n(), n()).prop_map(|(parent, name)| Mutation::NewFile(parent, name)),
        (n(), n()).prop_map(|(parent, name)| Mutation::NewFolder(parent, name)),
        n().prop_map(Mutation::Edit),
        (n(), n(), n()).prop_map(|(node, parent, name)| Mutation::Move(node, parent, name)),
        n().prop_map(Mutation::Delete),
        n().prop_map(Mutation::Chmod),
    ]
}

struct Author {
    next_id: i64,
    letter: u8,
    seq: i64,
}

impl Author {
    fn apply(&mut self, tree: &mut Tree, mutation: &Mutation) {
        let mut ids: Vec<NodeId> = tree.iter().map(|(id, _)| id).collect();
        ids.sort_unstable();
        let mut folders: Vec<NodeId> = ids
            .iter()
            .copied()
            .filter(|id| tree.get(*id).unwrap().is_directory())
            .collect();
        folders.insert(0, NodeId::ROOT);
        self.seq += 1;
        match mutation {
            Mutation::NewFile(parent, name) | Mutation::NewFolder(parent, name) => {
                let parent = folders[parent % folders.len()];
                let name = NAMES[name % NAMES.len()];
                if tree.child(parent, &NodeName::new(name).unwrap()).is_some() {
                    return;
                }
                self.next_id += 1;
                let node = NodeId::new(self.next_id).unwrap();
                if matches!(mutation, Mutation::NewFolder(..)) {
                    tree.insert(node, folder(parent, name, self.seq));
                } else {
                    self.letter = self.letter.wrapping_add(1);
                    tree.insert(node, file(parent, name, char::from(self.letter), self.seq));
                }
            }
            Mutation::Edit(index) if !ids.is_empty() => {
                let node = ids[index % ids.len()];
                let mut entry = tree.get(node).unwrap().clone();
                if !entry.is_directory() {
                    self.letter = self.letter.wrapping_add(1);
                    entry.substance = file(NodeId::ROOT, "x", char::from(self.letter), 1).substance;
                    entry.content_seq = crate::rev::Seq::new(self.seq).unwrap();
                    tree.insert(node, entry);
                }
            }
            Mutation::Move(index, parent, name) if !ids.is_empty() => {
                let node = ids[index % ids.len()];
                let parent = folders[parent % folders.len()];
                let name = NodeName::new(NAMES[name % NAMES.len()]).unwrap();
                let is_taken = tree.other_child(parent, &name, node).is_some();
                let place = Place { parent, name };
                if is_taken || tree.is_within(parent, node) || tree.get(node).unwrap().place == place {
                    return;
                }
                tree.set_place(node, place);
                let mut entry = tree.get(node).unwrap().clone();
                entry.place_seq = crate::rev::Seq::new(self.seq).unwrap();
                tree.insert(node, entry);
            }
            Mutation::Delete(index) if !ids.is_empty() => {
                let mut stack = vec![ids[index % ids.len()]];
                while let Some(node) = stack.pop() {
                    stack.extend(tree.children(node));
                    tree.remove(node);
                }
            }
            Mutation::Chmod(index) if !ids.is_empty() => {
                let node = ids[index % ids.len()];
                let mut entry = tree.get(node).unwrap().clone();
                entry.attributes.executable = !entry.attributes.executable;
                tree.insert(node, entry);
            }
            _ => {}
        }
    }
}

fn contents(tree: &Tree) -> BTreeSet<FileId> {
    tree.iter()
        .filter_map(|(_, entry)| match entry.substance {
            Substance::File { file_id, .. } => Some(file_id),
            _ => None,
        })
        .collect()
}

/// Contents that one side wrote since the base: these must survive under some name.
fn written(tree: &Tree, base: &Tree) -> BTreeSet<FileId> {
    contents(tree).difference(&contents(base)).copied().collect()
}

/// Two sides that have gone apart since they were one, and the contents that must survive.
fn apart(common: &[Mutation], remotely: &[Mutation], locally: &[Mutation]) -> (Model, BTreeSet<FileId>) {
    let mut author = Author {
        next_id: 1_000,
        letter: 32,
        seq: 0,
    };
    let mut base = Tree::new();
    for mutation in common {
        author.apply(&mut base, mutation);
    }
    let (mut remote, mut local) = (base.clone(), base.clone());
    for mutation in remotely {
        author.apply(&mut remote, mutation);
    }
    author.seq = 0;
    for mutation in locally {
        author.apply(&mut local, mutation);
    }
    let mut must_survive = written(&remote, &base);
    must_survive.extend(written(&local, &base));
    (Model::new(remote, local, base), must_survive)
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 2_000, ..Default::default() })]

    #[test]
    fn both_sides_meet_and_nothing_is_lost(
        common in prop::collection::vec(mutation(), 0..25),
        remotely in prop::collection::vec(mutation(), 0..12),
        locally in prop::collection::vec(mutation(), 0..12),
    ) {
        let (mut model, must_survive) = apart(&common, &remotely, &locally);
        model.run();
        prop_assert_eq!(Model::list(&model.remote), Model::list(&model.local), "{}", model.show());
        prop_assert!(model.remote.check().is_empty());
        let kept = contents(&model.remote);
        let lost: Vec<_> = must_survive.difference(&kept).collect();
        prop_assert!(lost.is_empty(), "lost {:?}\n{}", lost, model.show());
        prop_assert!(model.plan().steps.is_empty());
    }

    #[test]
    fn both_sides_meet_in_rounds_however_small(
        common in prop::collection::vec(mutation(), 0..25),
        remotely in prop::collection::vec(mutation(), 0..12),
        locally in prop::collection::vec(mutation(), 0..12),
        at_once in 1_usize..6,
    ) {
        let (mut model, must_survive) = apart(&common, &remotely, &locally);
        model.run_in_rounds(at_once);
        prop_assert_eq!(Model::list(&model.remote), Model::list(&model.local), "{}", model.show());
        prop_assert!(model.remote.check().is_empty());
        let kept = contents(&model.remote);
        let lost: Vec<_> = must_survive.difference(&kept).collect();
        prop_assert!(lost.is_empty(), "lost {:?}\n{}", lost, model.show());
    }

    #[test]
    fn names_that_are_dealt_anew_arrive_in_rounds_however_small(
        remotely in Just((0..12).collect::<Vec<i64>>()).prop_shuffle(),
        locally in Just((0..12).collect::<Vec<i64>>()).prop_shuffle(),
        is_local in any::<bool>(),
        is_remote in any::<bool>(),
        at_once in 1_usize..6,
    ) {
        let dealt = |names: &[i64], seq| {
            let mut tree = Tree::new();
            for (node, name) in (1..).zip(names) {
                let letter = char::from(b'A' + node as u8);
                let mut entry = file(NodeId::ROOT, &name.to_string(), letter, 1);
                entry.place_seq = crate::rev::Seq::new(seq).unwrap();
                tree.insert(NodeId::new(1_000 + node).unwrap(), entry);
            }
            tree
        };
        let base: Vec<i64> = (0..12).collect();
        let remote = dealt(if is_remote { &remotely } else { &base }, 1 + i64::from(is_remote));
        let local = dealt(if is_local { &locally } else { &base }, 1);
        let expected = Model::list(if is_remote { &remote } else { &local });
        let mut model = Model::new(remote, local, dealt(&base, 1));
        model.run_in_rounds(at_once);
        prop_assert_eq!(Model::list(&model.local), Model::list(&model.remote));
        if !(is_remote && is_local) {
            prop_assert_eq!(Model::list(&model.remote), expected);
        }
    }

    #[test]
    fn folders_that_are_moved_about_on_both_sides_meet(
        parents in prop::collection::vec(0_usize..1_000, 6),
        remotely in prop::collection::vec((0_usize..1_000, 0_usize..1_000), 1..5),
        locally in prop::collection::vec((0_usize..1_000, 0_usize..1_000), 1..5),
    ) {
        let mut author = Author { next_id: 1_000, letter: 32, seq: 0 };
        let mut base = Tree::new();
        for (name, parent) in parents.into_iter().enumerate() {
            author.apply(&mut base, &Mutation::NewFolder(parent, name));
        }
        let moved = |moves: &[(usize, usize)]| {
            let mut author = Author { next_id: 2_000, letter: 32, seq: 50 };
            let mut tree = base.clone();
            for (node, parent) in moves {
                author.apply(&mut tree, &Mutation::Move(*node, *parent, *node));
            }
            tree
        };
        let mut model = Model::new(moved(&remotely), moved(&locally), base.clone());
        model.run();
        prop_assert_eq!(Model::list(&model.remote), Model::list(&model.local), "{}", model.show());
        prop_assert!(model.remote.check().is_empty());
    }

    #[test]
    fn excluded_folders_stay_on_the_server_and_nothing_is_lost(
        common in prop::collection::vec(mutation(), 1..25),
        remotely in prop::collection::vec(mutation(), 0..12),
        locally in prop::collection::vec(mutation(), 0..12),
        chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..3),
        was_excluded_before in any::<bool>(),
    ) {
        let mut author = Author { next_id: 1_000, letter: 32, seq: 0 };
        let mut base = Tree::new();
        for mutation in &common {
            author.apply(&mut base, mutation);
        }
        let mut folders: Vec<NodeId> =
            base.iter().filter(|(_, entry)| entry.is_directory()).map(|(id, _)| id).collect();
        folders.sort_unstable();
        let mut model = Model::new(base.clone(), base.clone(), base);
        if !folders.is_empty() {
            model.excluded = chosen.iter().map(|index| *index.get(&folders)).collect();
        }
        if was_excluded_before {
            model.run();
        }
        let (remote_before, local_before) = (model.remote.clone(), model.local.clone());
        author.seq = 50;
        for mutation in &remotely {
            author.apply(&mut model.remote, mutation);
        }
        author.seq = 50;
        for mutation in &locally {
            author.apply(&mut model.local, mutation);
        }
        let mut must_survive = written(&model.remote, &remote_before);
        must_survive.extend(written(&model.local, &local_before));
        let kept = model.kept();
        let withheld: Vec<NodeId> =
            model.remote.iter().map(|(id, _)| id).filter(|id| kept.get(*id).is_none()).collect();
        model.run();
        prop_assert_eq!(Model::list(&model.kept()), Model::list(&model.local), "{}", model.show());
        prop_assert_eq!(Model::list(&model.synced), Model::list(&model.local), "{}", model.show());
        prop_assert!(model.remote.check().is_empty());
        for node in withheld {
            prop_assert!(model.remote.contains(node), "{} was deleted\n{}", node, model.show());
        }
        let there = contents(&model.remote);
        let lost: Vec<_> = must_survive.difference(&there).collect();
        prop_assert!(lost.is_empty(), "lost {:?}\n{}", lost, model.show());
        model.excluded.clear();
        model.run();
        prop_assert_eq!(Model::list(&model.remote), Model::list(&model.local), "{}", model.show());
        prop_assert_eq!(there, contents(&model.remote));
    }
}
