//! Random batches on both kinds of state: they say the same, and what planning gets is what the whole trees say.

use std::collections::HashSet;

use cairn_core::ids::NodeId;
use cairn_core::node::{Node, Place};
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Neighbourhood, Tree};
use proptest::prelude::{ProptestConfig, any, proptest};

use super::subjects;
use super::world::{Dice, at_seq, cursor, file, folder, id, link, listed, ns, row};
use crate::state::{ClientState, LocalChange, Relisted, StateBatch, TreeChange};

/// Nodes of a run. Few, so that they meet. The greatest ids are folders, so that order by id is not that of the tree.
const NODES: i64 = 28;
const FOLDERS: i64 = 10;
const NAMES: [&str; 7] = ["a", "A", "b", "é", "É", "c", "long name.txt"];

/// The trees of a run as they must be.
#[derive(Default)]
struct Model {
    remote: Tree,
    local: Tree,
    synced: Tree,
    excluded: Vec<NodeId>,
}

fn is_folder(n: i64) -> bool {
    n > 10 + NODES - FOLDERS
}

/// A place in the tree where the node can stand: no ring, no name twice.
fn place_in(dice: &mut Dice, tree: &Tree, n: i64) -> Option<Entry> {
    let folders: Vec<i64> = (10..=10 + NODES)
        .filter(|n| is_folder(*n) && tree.contains(id(*n)))
        .chain([1, 1, 1])
        .collect();
    let parent = *dice.pick(&folders);
    let name = *dice.pick(&NAMES);
    let mut entry = if is_folder(n) {
        folder(parent, name)
    } else if n % 5 == 0 {
        link(parent, name, ["x", "y"][dice.roll(2) as usize])
    } else {
        file(parent, name, dice.roll(3))
    };
    entry.attributes.executable = dice.roll(8) == 0;
    let is_taken = tree.other_child(id(parent), &entry.place.name, id(n)).is_some();
    let is_ring = parent != 1 && tree.is_within(id(parent), id(n));
    (!is_taken && !is_ring).then_some(entry)
}

/// Whether an entry can stand where it wants to.
fn fits(tree: &Tree, entry: &Entry, n: i64) -> bool {
    let Place { parent, name } = &entry.place;
    tree.contains(*parent)
        && !tree.is_within(*parent, id(n))
        && tree.other_child(*parent, name, id(n)).is_none()
}

fn remove_below(tree: &mut Tree, node: NodeId) {
    let below: Vec<NodeId> = tree.children(node).collect();
    for child in below {
        remove_below(tree, child);
    }
    tree.remove(node);
}

impl Model {
    fn change(&mut self, dice: &mut Dice, batch: &mut StateBatch) {
        let n = 10 + 1 + dice.roll(NODES as u64) as i64;
        match dice.roll(10) {
            0..=2 => {
                let Some(entry) = place_in(dice, &self.remote, n) else {
                    return;
                };
                let entry = at_seq(entry, dice.roll(50) as i64, dice.roll(50) as i64);
                self.remote.insert(id(n), entry.clone());
                batch.remote.push(TreeChange::Put(id(n), entry));
            }
            3..=5 => {
                let Some(entry) = place_in(dice, &self.local, n) else {
                    return;
                };
                self.local.insert(id(n), entry.clone());
                batch.local.push(LocalChange::Put(row(n, entry)));
            }
            6 => {
                remove_below(&mut self.remote, id(n));
                batch.remote.push(TreeChange::RemoveSubtree(id(n)));
            }
            7 if dice.roll(2) == 0 => {
                // Alone, where nothing is left without a folder.
                if self.synced.children(id(n)).next().is_none() {
                    self.synced.remove(id(n));
                    batch.synced.push(TreeChange::RemoveNode(id(n)));
                }
            }
            7 => {
                remove_below(&mut self.local, id(n));
                batch.local.push(LocalChange::Remove(id(n)));
            }
            _ => self.agree(n, batch),
        }
    }

    /// Brings a node in sync as the server has it, where its folder is.
    fn agree(&mut self, n: i64, batch: &mut StateBatch) {
        let Some(entry) = self.remote.get(id(n)).cloned() else {
            remove_below(&mut self.synced, id(n));
            batch.synced.push(TreeChange::RemoveSubtree(id(n)));
            return;
        };
        if fits(&self.synced, &entry, n) && fits(&self.local, &entry, n) {
            let seen = at_seq(entry.clone(), 0, 0);
            self.synced.insert(id(n), entry.clone());
            batch.synced.push(TreeChange::Put(id(n), entry));
            self.local.insert(id(n), seen.clone());
            batch.local.push(LocalChange::Put(row(n, seen)));
        }
    }

    /// Gives a local node the id of one that is not on the disk.
    fn rebind(&mut self, dice: &mut Dice, batch: &mut StateBatch) {
        let [from, to] = [(); 2].map(|()| 11 + dice.roll(NODES as u64) as i64);
        let Some(entry) = self.local.get(id(from)).cloned() else {
            return;
        };
        if is_folder(from) != is_folder(to) || self.local.contains(id(to)) {
            return;
        }
        let children: Vec<NodeId> = self.local.children(id(from)).collect();
        for child in children {
            let name = self.local.get(child).unwrap().place.name.clone();
            self.local.set_place(child, Place { parent: id(to), name });
        }
        self.local.remove(id(from));
        self.local.insert(id(to), entry);
        batch.rebind.push((id(from), id(to)));
    }

    /// Another remote tree, as a server that was restored would list it.
    fn list_anew(&mut self, dice: &mut Dice) -> Vec<Node> {
        let mut remote = Tree::new();
        let mut nodes = Vec::new();
        for n in (11..=10 + NODES).rev() {
            let entry = match self.remote.get(id(n)) {
                Some(entry) if dice.roll(3) > 0 && fits(&remote, entry, n) => Some(entry.clone()),
                _ => place_in(dice, &remote, n),
            };
            if let Some(entry) = entry.filter(|_| dice.roll(4) > 0) {
                remote.insert(id(n), entry.clone());
                nodes.push((id(n), entry));
            }
        }
        nodes.sort_by_key(|(node, _)| *node);
        self.remote = remote;
        nodes
            .into_iter()
            .map(|(node, entry)| listed(node, &entry))
            .collect()
    }

    /// Leaves agreed on what the listing has as of `shared`, and what is on the disk was built on.
    fn merge(&mut self, shared: Seq) {
        let mut agreed = Tree::new();
        for (node, entry) in self.remote.iter() {
            let is_shared = entry.place_seq <= shared && entry.content_seq <= shared;
            let is_later = |synced: &Entry| {
                synced.place_seq >= entry.place_seq && synced.content_seq >= entry.content_seq
            };
            if is_shared && self.local.contains(node) && self.synced.get(node).is_some_and(is_later) {
                agreed.insert(node, entry.clone());
            }
        }
        self.synced = agreed;
    }

    fn whole(&self) -> Neighbourhood {
        Neighbourhood::whole_except(
            self.remote.clone(),
            self.local.clone(),
            self.synced.clone(),
            &self.excluded,
        )
    }
}

/// What planning may ask of the chosen nodes is as in the whole trees.
fn check_facts(part: &Neighbourhood, whole: &Neighbourhood) {
    for node in &part.dirty {
        for (part, whole) in [
            (&part.remote, &whole.remote),
            (&part.local, &whole.local),
            (&part.synced, &whole.synced),
        ] {
            assert_eq!(part.get(*node), whole.get(*node));
            assert_eq!(part.depth(*node), whole.depth(*node));
        }
        check_places(part, whole, *node);
        assert_eq!(
            part.withheld.contains(node),
            whole.withheld.contains(node),
            "{node}"
        );
        let is_gone = whole.remote.get(*node).is_none() && whole.synced.get(*node).is_some();
        let may_leave = is_gone || whole.withheld.contains(node);
        if may_leave && whole.local.get(*node).is_some_and(Entry::is_directory) {
            let mut loaded: Vec<_> = part.local.children(*node).collect();
            let mut all: Vec<_> = whole.local.children(*node).collect();
            loaded.sort_unstable();
            all.sort_unstable();
            assert_eq!(loaded, all);
        }
        if whole.local.get(*node).is_none()
            && whole.remote.get(*node).is_some()
            && whole.synced.get(*node).is_some()
        {
            assert_eq!(
                part.remote_kept_below.contains(node),
                whole.remote_kept_below.contains(node),
                "{node}"
            );
            assert_eq!(
                part.remote_waiting_below.contains(node),
                whole.remote_waiting_below.contains(node),
                "{node}"
            );
        }
    }
    assert!(part.local_more_below.is_empty());
    assert!(
        part.remote_kept_below
            .is_subset(&part.dirty.iter().copied().collect())
    );
    assert!(
        part.remote_waiting_below
            .is_subset(&part.dirty.iter().copied().collect())
    );
}

fn check_places(part: &Neighbourhood, whole: &Neighbourhood, node: NodeId) {
    let entries: Vec<&Entry> = [&whole.remote, &whole.local, &whole.synced]
        .into_iter()
        .filter_map(|tree| tree.get(node))
        .collect();
    for entry in &entries {
        let parent = entry.place.parent;
        for name in entries.iter().map(|entry| &entry.place.name) {
            for (part, whole) in [
                (&part.remote, &whole.remote),
                (&part.local, &whole.local),
                (&part.synced, &whole.synced),
            ] {
                assert_eq!(part.child(parent, name), whole.child(parent, name));
                assert_eq!(
                    part.other_child(parent, name, node),
                    whole.other_child(parent, name, node)
                );
                assert_eq!(part.contains(parent), whole.contains(parent));
                assert_eq!(part.is_within(parent, node), whole.is_within(parent, node));
            }
            // Who is in the way is known with all its trees.
            for tree in [&whole.remote, &whole.local, &whole.synced] {
                let Some(holder) = tree.child(parent, name) else {
                    continue;
                };
                assert_eq!(part.remote.get(holder), whole.remote.get(holder));
                assert_eq!(part.local.get(holder), whole.local.get(holder));
                assert_eq!(part.synced.get(holder), whole.synced.get(holder));
            }
        }
    }
}

async fn check_state(state: &dyn ClientState, model: &Model, dice: &mut Dice) {
    let whole = model.whole();
    let counts = state.counts(ns()).await.unwrap();
    assert_eq!(counts.dirty, whole.dirty.len() as u64);
    assert_eq!(counts.local_nodes, model.local.len() as u64);
    assert_eq!(counts.remote_nodes, model.remote.len() as u64);
    let all = state.neighbourhood(ns(), None, 1_000).await.unwrap();
    let mut dirty = all.dirty.clone();
    dirty.sort_unstable();
    assert_eq!(dirty, whole.dirty);
    check_facts(&all, &whole);
    let limit = 1 + dice.roll(9) as usize;
    let mut after = None;
    let mut met = HashSet::new();
    loop {
        let page = state.neighbourhood(ns(), after, limit).await.unwrap();
        let Some(last) = page.dirty.last().copied() else {
            break;
        };
        assert!(after.is_none_or(|after| last > after));
        assert_eq!(page.dirty.iter().collect::<HashSet<_>>().len(), page.dirty.len());
        check_facts(&page, &whole);
        let chosen: HashSet<NodeId> = page.dirty.iter().copied().collect();
        for tree in [&whole.remote, &whole.local, &whole.synced] {
            for node in page.dirty.iter().filter_map(|node| tree.get(*node)) {
                let parent = node.place.parent;
                assert!(
                    chosen.contains(&parent) || !whole.dirty.contains(&parent),
                    "its folder comes along"
                );
            }
        }
        met.extend(page.dirty);
        after = Some(last);
    }
    assert_eq!(met.len(), whole.dirty.len());
    for n in 10..=10 + NODES {
        let node = id(n);
        assert_eq!(
            state.remote(ns(), node).await.unwrap().as_ref(),
            model.remote.get(node)
        );
        assert_eq!(
            state.synced(ns(), node).await.unwrap().as_ref(),
            model.synced.get(node)
        );
        assert_eq!(
            state.is_withheld(ns(), node).await.unwrap(),
            whole.withheld.contains(&node)
        );
        let local = state.local(ns(), node).await.unwrap();
        assert_eq!(local.as_ref().map(|row| &row.entry), model.local.get(node));
        let depth = model.local.depth(node);
        assert_eq!(
            state.disk_path(ns(), node).await.unwrap().map(|path| path.len()),
            depth
        );
    }
}

async fn run(seed: u64) {
    let mut dice = Dice(seed);
    let subjects = subjects().await;
    let mut model = Model::default();
    let mut seen = Seq::ZERO;
    for round in 0..12 {
        let mut batch = StateBatch::default();
        model.rebind(&mut dice, &mut batch);
        for _ in 0..=dice.roll(14) {
            model.change(&mut dice, &mut batch);
        }
        for change in batch.remote.iter().chain(&batch.synced) {
            if let TreeChange::Put(_, entry) = change {
                seen = seen.max(entry.place_seq).max(entry.content_seq);
            }
        }
        if dice.roll(3) == 0 {
            let folder = id(11 + NODES - FOLDERS + dice.roll(FOLDERS as u64) as i64);
            let was_excluded = model.excluded.contains(&folder);
            model.excluded.retain(|node| *node != folder);
            if !was_excluded {
                model.excluded.push(folder);
            }
            for subject in &subjects {
                let path = (!was_excluded).then_some("a path");
                subject.state.exclude(ns(), folder, path).await.unwrap();
            }
        }
        let at = dice.0;
        for subject in &subjects {
            subject.state.apply(ns(), batch.clone()).await.unwrap();
            check_state(&*subject.state, &model, &mut Dice(at)).await;
            assert_eq!(subject.state.seen(ns()).await.unwrap(), seen);
        }
        if dice.roll(4) > 0 {
            continue;
        }
        let kind = match dice.roll(3) {
            0 => Relisted::Ahead,
            _ => Relisted::Merge {
                shared: Seq::new(dice.roll(50) as i64).unwrap(),
            },
        };
        let nodes = model.list_anew(&mut dice);
        if let Relisted::Merge { shared } = kind {
            model.merge(shared);
        }
        seen = nodes
            .iter()
            .map(|node| node.place_seq.max(node.content_seq))
            .chain([seen])
            .max()
            .unwrap();
        let at = dice.0;
        for subject in &subjects {
            subject.state.begin_listing(ns(), cursor(round)).await.unwrap();
            for page in nodes.chunks(5) {
                subject.state.add_to_listing(ns(), page).await.unwrap();
            }
            subject.state.finish_listing(ns(), kind).await.unwrap();
            check_state(&*subject.state, &model, &mut Dice(at)).await;
        }
        seen = seen.max(Seq::new(round).unwrap());
    }
    for subject in subjects {
        subject.state.close().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn both_kinds_follow_the_trees(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(seed));
    }
}
