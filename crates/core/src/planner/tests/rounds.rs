//! What differs is planned in rounds of a few nodes, as an engine does with many.

use std::collections::BTreeSet;

use super::model::Model;
use super::table::{ascending, tree};
use crate::ids::NodeId;
use crate::node::Place;
use crate::planner::{Step, Wish};
use crate::tree::Neighbourhood;

/// Passes over everything that differs, until nothing does.
const PASSES: usize = 40;

impl Model {
    /// Plans and carries out in rounds of so many nodes until nothing is left to do. The names by whose way nodes went, on
    /// the disk and on the server.
    pub(super) fn run_in_rounds(&mut self, at_once: usize) -> [usize; 2] {
        let mut aside = [0, 0];
        let mut make_way = false;
        for _ in 0..PASSES {
            let (mut step_count, mut held_up, mut waiting) = (0, false, Vec::new());
            let mut after = None;
            while let Some(hood) = self.round(after, at_once) {
                after = hood.dirty.last().copied().max(after);
                let plan = self.plan_round(&hood, make_way);
                for step in &plan.steps {
                    self.carry_out(step);
                    count_aside(step, &mut aside);
                }
                step_count += plan.steps.len();
                held_up |= plan.held_up;
                waiting.extend(plan.waiting);
            }
            if step_count == 0 && (make_way || !held_up) {
                assert!(waiting.is_empty(), "{waiting:?} wait for ever\n{}", self.show());
                return aside;
            }
            make_way = held_up;
        }
        panic!("no end after {PASSES} passes\n{}", self.show());
    }

    /// The next nodes that differ, each after the folders above it that do; the last has a greater id than `after`.
    fn round(&self, after: Option<NodeId>, at_once: usize) -> Option<Neighbourhood> {
        let mut hood = self.hood();
        let dirty: BTreeSet<NodeId> = hood.dirty.drain(..).collect();
        for seed in dirty.iter().filter(|node| Some(**node) > after) {
            if hood.dirty.contains(seed) {
                continue;
            }
            let mut family: Vec<NodeId> = self.above(*seed).into_iter().collect();
            family.retain(|node| node != seed && dirty.contains(node) && !hood.dirty.contains(node));
            family.push(*seed);
            if !hood.dirty.is_empty() && hood.dirty.len() + family.len() > at_once {
                break;
            }
            hood.dirty.extend(family);
        }
        (!hood.dirty.is_empty()).then_some(hood)
    }

    /// The node and the folders above it, in any tree.
    fn above(&self, node: NodeId) -> BTreeSet<NodeId> {
        let mut above = BTreeSet::new();
        let mut next = vec![node];
        while let Some(node) = next.pop() {
            if above.insert(node) {
                let entries = [&self.remote, &self.local, &self.synced].map(|tree| tree.get(node));
                next.extend(entries.into_iter().flatten().map(|entry| entry.place.parent));
            }
        }
        above
    }
}

fn count_aside(step: &Step, aside: &mut [usize; 2]) {
    let is_aside = |place: &Place| place.name.as_str().contains("(moving");
    match step {
        Step::Move { place, .. } if is_aside(place) => aside[0] += 1,
        Step::Commit { wishes } => {
            let moved = |wish: &&Wish| matches!(wish, Wish::Move { place, .. } if is_aside(place));
            aside[1] += wishes.iter().filter(moved).count();
        }
        _ => {}
    }
}

/// Files of which number `n` gets the name that `names` says, on the disk or on the server: in rounds of so many nodes.
/// How many went by way of another name, there.
#[track_caller]
fn renamed(names: &[i64], at_once: usize) -> [usize; 2] {
    let text = |name: &dyn Fn(usize) -> i64| -> String {
        let line = |index: usize| {
            format!(
                "{} f{:02} = {}\n",
                index + 1,
                name(index),
                char::from(b'A' + index as u8)
            )
        };
        (0..names.len()).map(line).collect()
    };
    let synced = tree(&text(&|index| index as i64 + 1), None, ascending);
    let now = tree(&text(&|index| names[index]), Some(&synced), ascending);
    let expected = Model::list(&now);
    let mut here = Model::new(synced.clone(), now.clone(), synced.clone());
    let [none, on_server] = here.run_in_rounds(at_once);
    assert_eq!(none, 0, "the disk is as it is to be");
    let mut elsewhere = Model::new(now, synced.clone(), synced);
    let [on_disk, none] = elsewhere.run_in_rounds(at_once);
    assert_eq!(none, 0, "the server is as it is to be");
    for tree in [&here.remote, &here.local, &elsewhere.remote, &elsewhere.local] {
        assert_eq!(Model::list(tree), expected);
    }
    [on_disk, on_server]
}

#[test]
fn names_that_are_swapped_between_rounds_arrive() {
    assert_eq!(renamed(&[6, 5, 4, 3, 2, 1], 3), [3, 3]);
    assert_eq!(renamed(&[2, 1], 1), [1, 1]);
}

#[test]
fn a_ring_that_is_longer_than_a_round_is_broken_at_one_place() {
    assert_eq!(renamed(&[2, 3, 4, 5, 6, 7, 8, 1], 4)[1], 1);
}

#[test]
fn a_ring_that_a_round_has_whole_needs_no_other_name_on_the_server() {
    assert_eq!(renamed(&[2, 3, 4, 1, 6, 7, 8, 5], 4)[1], 0);
}

#[test]
fn a_name_that_becomes_free_in_a_later_round_is_waited_for() {
    assert_eq!(renamed(&[2, 9], 1), [0, 0]);
}
