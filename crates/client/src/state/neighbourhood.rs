//! Chooses dirty nodes and gathers what planning them needs, whatever the nodes are kept in.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use cairn_core::ids::NodeId;
use cairn_core::name::NameKey;
use cairn_core::tree::{Entry, Neighbourhood, Tree};

use super::triple::{Below, TreeName, Triple};

/// Children of a folder that is to go from the disk which are looked at together with it.
const CHILDREN_BELOW: usize = 64;
/// The same of all such folders of one page together: where many go they share it, so that a page has a bound.
const CHILDREN_AT_ONCE: usize = 8_192;

/// Where nodes are kept: one namespace, seen at one moment.
#[async_trait]
pub(super) trait Source: Send {
    /// Why it cannot be read.
    type Fault: Send;

    /// Dirty nodes above an id, in order.
    async fn dirty_after(&mut self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, Self::Fault>;

    /// The nodes that any tree has, of those asked for.
    async fn triples(&mut self, nodes: &[NodeId]) -> Result<Vec<(NodeId, Triple)>, Self::Fault>;

    /// The nodes that have these keys in these folders, in any tree.
    async fn holders(&mut self, places: &[(NodeId, NameKey)]) -> Result<Vec<NodeId>, Self::Fault>;

    /// Nodes in a folder of the local tree.
    async fn local_children(&mut self, folder: NodeId, limit: usize) -> Result<Vec<NodeId>, Self::Fault>;

    /// How many there are.
    async fn local_children_count(&mut self, folder: NodeId) -> Result<usize, Self::Fault>;

    /// Whether there is such a node somewhere below a folder of the remote tree.
    async fn is_below(&mut self, folder: NodeId, what: Below) -> Result<bool, Self::Fault>;
}

/// The neighbourhood of at most `limit` dirty nodes; more only when a single node has more dirty folders above it.
pub(super) async fn gather<S: Source>(
    source: &mut S,
    after: Option<NodeId>,
    limit: usize,
) -> Result<Neighbourhood, S::Fault> {
    let mut gathering = Gathering {
        source,
        loaded: HashMap::new(),
    };
    let chosen = gathering.choose(after, limit).await?;
    gathering.load_holders(&chosen).await?;
    let crowded = gathering.load_children(&chosen).await?;
    let remote_kept_below = gathering.vanished_with(&chosen, Below::Kept).await?;
    let remote_waiting_below = gathering.vanished_with(&chosen, Below::Waiting).await?;
    let mut hood = Neighbourhood {
        dirty: chosen,
        remote_kept_below,
        remote_waiting_below,
        ..Neighbourhood::default()
    };
    for (node, triple) in gathering.loaded {
        let put = |tree: &mut Tree, name| {
            if let Some(entry) = triple.entry(name) {
                tree.insert(node, entry.clone());
            }
        };
        put(&mut hood.remote, TreeName::Remote);
        put(&mut hood.local, TreeName::Local);
        put(&mut hood.synced, TreeName::Synced);
        if triple.is_withheld {
            hood.withheld.insert(node);
        }
    }
    for (folder, count) in crowded {
        if hood.local.children(folder).count() < count {
            hood.local_more_below.insert(folder);
        }
    }
    Ok(hood)
}

/// Whether it is a folder of the disk that the server has no more, or that this device does not keep. One that the server
/// never had stays whatever is in it: in a first sync that is every folder.
fn may_leave_disk(triple: &Triple) -> bool {
    let is_folder = triple.local.as_ref().is_some_and(|row| row.entry.is_directory());
    let is_gone = triple.remote.is_none() && triple.synced.is_some();
    is_folder && (is_gone || triple.is_withheld)
}

struct Gathering<'s, S> {
    source: &'s mut S,
    /// Every node that was asked for, also where no tree has it.
    loaded: HashMap<NodeId, Triple>,
}

impl<S: Source> Gathering<'_, S> {
    /// Dirty nodes by id, each after the dirty folders above it in any tree, so that what is chosen can be done without
    /// waiting for what is not. The last one always has a greater id than `after`.
    async fn choose(&mut self, after: Option<NodeId>, limit: usize) -> Result<Vec<NodeId>, S::Fault> {
        let mut chosen = Vec::new();
        let mut known = HashSet::new();
        let mut from = after;
        while chosen.len() < limit {
            let seeds = self.source.dirty_after(from, limit - chosen.len()).await?;
            let Some(last) = seeds.last().copied() else { break };
            self.load(seeds.clone()).await?;
            for seed in seeds {
                let family = self.dirty_family(seed, &known);
                if !chosen.is_empty() && chosen.len() + family.len() > limit {
                    return Ok(chosen);
                }
                known.extend(family.iter().copied());
                chosen.extend(family);
            }
            from = Some(last);
        }
        Ok(chosen)
    }

    /// The node and the dirty folders above it that are not known yet, from the top down.
    fn dirty_family(&self, seed: NodeId, known: &HashSet<NodeId>) -> Vec<NodeId> {
        let mut family = Vec::new();
        if known.contains(&seed) {
            return family;
        }
        let mut visited = HashSet::from([seed]);
        let mut next = vec![seed];
        while !next.is_empty() {
            let mut above = Vec::new();
            for node in next {
                let Some(triple) = self.loaded.get(&node) else {
                    continue;
                };
                if triple.is_dirty() && !known.contains(&node) {
                    family.push(node);
                }
                above.extend(triple.parents().filter(|parent| visited.insert(*parent)));
            }
            next = above;
        }
        family.reverse();
        family
    }

    /// Loads nodes and everything above them in any tree.
    async fn load(&mut self, nodes: Vec<NodeId>) -> Result<(), S::Fault> {
        let mut wanted = nodes;
        loop {
            wanted.sort_unstable();
            wanted.dedup();
            wanted.retain(|node| *node != NodeId::ROOT && !self.loaded.contains_key(node));
            if wanted.is_empty() {
                return Ok(());
            }
            for node in &wanted {
                self.loaded.insert(*node, Triple::default());
            }
            let found = self.source.triples(&wanted).await?;
            wanted = found.iter().flat_map(|(_, triple)| triple.parents()).collect();
            self.loaded.extend(found);
        }
    }

    /// Loads whoever has the names that the chosen nodes have or want.
    async fn load_holders(&mut self, chosen: &[NodeId]) -> Result<(), S::Fault> {
        let mut places: Vec<_> = chosen
            .iter()
            .filter_map(|node| self.loaded.get(node))
            .flat_map(Triple::places)
            .collect();
        places.sort_unstable();
        places.dedup();
        let holders = self.source.holders(&places).await?;
        self.load(holders).await
    }

    /// Loads the first children of folders that are to go from the disk; returns those folders that have more of them, with
    /// how many.
    async fn load_children(&mut self, chosen: &[NodeId]) -> Result<Vec<(NodeId, usize)>, S::Fault> {
        let folders: Vec<NodeId> = chosen
            .iter()
            .copied()
            .filter(|node| self.loaded.get(node).is_some_and(may_leave_disk))
            .collect();
        let most = (CHILDREN_AT_ONCE / folders.len().max(1)).clamp(1, CHILDREN_BELOW);
        let mut crowded = Vec::new();
        let mut children = Vec::new();
        for node in folders {
            let mut below = self.source.local_children(node, most + 1).await?;
            if below.len() > most {
                below.truncate(most);
                crowded.push((node, self.source.local_children_count(node).await?));
            }
            children.extend(below);
        }
        self.load(children).await?;
        Ok(crowded)
    }

    /// The chosen folders that vanished from the disk and have such a node below them on the server.
    async fn vanished_with(&mut self, chosen: &[NodeId], what: Below) -> Result<HashSet<NodeId>, S::Fault> {
        let mut answers: HashMap<NodeId, bool> = HashMap::new();
        for node in self.vanished_top_down(chosen) {
            // What is not below a folder is not below the folders in it: a folder that goes whole is walked once.
            let above = self
                .loaded
                .get(&node)
                .and_then(|triple| triple.remote.as_ref())
                .map(|entry| entry.place.parent);
            let is_ruled_out = above
                .and_then(|above| answers.get(&above))
                .is_some_and(|answer| !answer);
            let answer = !is_ruled_out && self.source.is_below(node, what).await?;
            answers.insert(node, answer);
        }
        Ok(answers
            .into_iter()
            .filter_map(|(node, answer)| answer.then_some(node))
            .collect())
    }

    fn vanished_top_down(&self, chosen: &[NodeId]) -> Vec<NodeId> {
        // A folder that never was on the disk did not vanish: what is below it is not looked at, which in a first sync
        // would be everything, for every page.
        let is_vanished = |node: &NodeId| {
            self.loaded.get(node).is_some_and(|triple| {
                let is_folder = triple.remote.as_ref().is_some_and(Entry::is_directory);
                is_folder && triple.local.is_none() && triple.synced.is_some()
            })
        };
        let mut vanished: Vec<NodeId> = chosen.iter().copied().filter(is_vanished).collect();
        vanished.sort_by_cached_key(|node| (self.remote_depth(*node), *node));
        vanished
    }

    fn remote_depth(&self, node: NodeId) -> usize {
        let mut depth = 0;
        let mut current = node;
        while depth < cairn_core::limits::TREE_DEPTH {
            let Some(entry) = self
                .loaded
                .get(&current)
                .and_then(|triple| triple.remote.as_ref())
            else {
                break;
            };
            current = entry.place.parent;
            depth += 1;
        }
        depth
    }
}
