//! Random operations on both stores: whatever happens, SQLite answers as the specification does.

use std::sync::Arc;

use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::{ChunkHash, ContentHash, NodeId, OpId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Place};
use cairn_core::rev::Seq;
use cairn_core::time::{Mtime, Timestamp};
use cairn_metadata::conformance::{Fixture, Scale};
use cairn_metadata::{Account, Changes, Commit, Group, MemoryMetadata, MetadataStore};
use proptest::prelude::*;

use crate::stores::sqlite;

/// Few nodes and few names, so that operations meet.
const NODES: i64 = 14;
const NAMES: [&str; 6] = ["a", "A", "b", "é", "e\u{301}", "c"];
const TEXTS: [&str; 4] = ["one", "two", "three", "four"];

/// An operation whose guards are filled in when it is sent.
#[derive(Debug, Clone)]
enum Wish {
    Create {
        node: i64,
        parent: i64,
        name: usize,
        text: Option<usize>,
    },
    Move {
        node: i64,
        parent: i64,
        name: usize,
        stale: bool,
    },
    Edit {
        node: i64,
        text: usize,
        mtime: i64,
        stale: bool,
    },
    Attributes {
        node: i64,
        mtime: i64,
    },
    Delete {
        node: i64,
        seen: Option<u8>,
        stale: bool,
    },
    Swap {
        one: i64,
        other: i64,
    },
}

#[derive(Debug, Clone)]
enum Step {
    Commit { groups: Vec<Vec<Wish>>, replay: bool },
    Grant { text: usize, lease: i64 },
    Quota(Option<u64>),
    Hash { index: usize, right: bool },
}

/// The root, the trash, nodes, and one that never exists.
fn node() -> impl Strategy<Value = i64> {
    prop_oneof![20 => 0x100..0x100 + NODES, 1 => Just(0x999_i64)]
}

fn parent() -> impl Strategy<Value = i64> {
    prop_oneof![6 => Just(1_i64), 1 => Just(2_i64), 8 => 0x100..0x105_i64, 3 => node()]
}

fn wish() -> impl Strategy<Value = Wish> {
    let name = || 0..NAMES.len();
    let text = || 0..TEXTS.len();
    let stale = || prop::bool::weighted(0.08);
    prop_oneof![
        6 => (node(), parent(), name(), prop::option::weighted(0.4, text()))
            .prop_map(|(node, parent, name, text)| Wish::Create { node, parent, name, text }),
        6 => (node(), parent(), name(), stale())
            .prop_map(|(node, parent, name, stale)| Wish::Move { node, parent, name, stale }),
        3 => (node(), text(), 0..3_i64, stale())
            .prop_map(|(node, text, mtime, stale)| Wish::Edit { node, text, mtime, stale }),
        1 => (node(), 0..3_i64).prop_map(|(node, mtime)| Wish::Attributes { node, mtime }),
        3 => (node(), prop::option::of(any::<u8>()), stale())
            .prop_map(|(node, seen, stale)| Wish::Delete { node, seen, stale }),
        2 => (node(), node()).prop_map(|(one, other)| Wish::Swap { one, other }),
    ]
}

/// Long groups seldom succeed as a whole.
fn group() -> impl Strategy<Value = Vec<Wish>> {
    prop_oneof![4 => prop::collection::vec(wish(), 1..2), 1 => prop::collection::vec(wish(), 2..5)]
}

/// Folders and files to begin with.
fn planted() -> Vec<Vec<Wish>> {
    let plant = |(node, parent, name, text): (i64, i64, usize, Option<usize>)| {
        vec![Wish::Create {
            node: 0x100 + node,
            parent,
            name,
            text,
        }]
    };
    [
        (0, 1, 0, None),
        (1, 0x100, 0, None),
        (2, 0x101, 0, None),
        (3, 1, 2, None),
        (4, 0x103, 2, None),
        (5, 0x102, 5, Some(0)),
        (6, 0x104, 5, Some(1)),
        (7, 1, 5, Some(0)),
    ]
    .map(plant)
    .to_vec()
}

fn step() -> impl Strategy<Value = Step> {
    let groups = prop::collection::vec(group(), 1..6);
    prop_oneof![
        12 => (groups, prop::bool::weighted(0.1)).prop_map(|(groups, replay)| Step::Commit { groups, replay }),
        2 => (0..TEXTS.len(), -3..2_i64).prop_map(|(text, lease)| Step::Grant { text, lease }),
        1 => prop::option::of(0..2_000_u64).prop_map(Step::Quota),
        1 => (0..4_usize, any::<bool>()).prop_map(|(index, right)| Step::Hash { index, right }),
    ]
}

fn id(number: i64) -> NodeId {
    NodeId::new(number).unwrap()
}

fn place(parent: i64, name: usize) -> Place {
    Place {
        parent: id(parent),
        name: NodeName::new(NAMES[name]).unwrap(),
    }
}

fn content(at: &Fixture, text: usize) -> Content {
    let (_, op) = at.new_file(NodeId::ROOT, TEXTS[text], Scale(100 * (text as u32 + 1)));
    match op {
        Op::Create { content, .. } => content,
        _ => unreachable!("a creation"),
    }
}

/// What the writer sees of a node: in the tree or in the trash.
async fn seen(at: &Fixture, node: i64) -> (Seq, Seq, Option<Place>) {
    let page = at.store.revisions(at.namespace, id(node), None, 1).await.unwrap();
    match page.nodes.first() {
        Some(node) => (node.place_seq, node.content_seq, Some(node.place.clone())),
        None => (Seq::ZERO, Seq::ZERO, None),
    }
}

async fn ops(at: &Fixture, wish: &Wish) -> Vec<Op> {
    let guard = |seq: Seq, stale: bool| if stale { Seq::ZERO } else { seq };
    match *wish {
        Wish::Create {
            node,
            parent,
            name,
            text,
        } => vec![Op::Create {
            node: id(node),
            place: place(parent, name),
            content: text.map_or(Content::Directory, |text| content(at, text)),
            attributes: Attributes::default(),
        }],
        Wish::Move {
            node,
            parent,
            name,
            stale,
        } => vec![Op::Move {
            node: id(node),
            place: place(parent, name),
            base_place: guard(seen(at, node).await.0, stale),
        }],
        Wish::Edit {
            node,
            text,
            mtime,
            stale,
        } => vec![Op::Edit {
            node: id(node),
            content: content(at, text),
            attributes: attributes(mtime),
            base_content: guard(seen(at, node).await.1, stale),
        }],
        Wish::Attributes { node, mtime } => {
            vec![Op::SetAttributes {
                node: id(node),
                attributes: attributes(mtime),
            }]
        }
        Wish::Delete {
            node,
            seen: back,
            stale,
        } => vec![delete(at, node, back, stale).await],
        Wish::Swap { one, other } => swap(at, one, other).await,
    }
}

async fn delete(at: &Fixture, node: i64, back: Option<u8>, stale: bool) -> Op {
    let (base_place, base_content, _) = seen(at, node).await;
    let head = at.store.head(at.namespace).await.unwrap().unwrap().seq.get();
    Op::Delete {
        node: id(node),
        base_place: if stale { Seq::ZERO } else { base_place },
        base_content,
        seen: back.map(|back| Seq::new((head - i64::from(back) % 8).max(0)).unwrap()),
    }
}

async fn swap(at: &Fixture, one: i64, other: i64) -> Vec<Op> {
    let (first, second) = (seen(at, one).await, seen(at, other).await);
    let (Some(here), Some(there)) = (first.2, second.2) else {
        return Vec::new();
    };
    vec![
        Op::Move {
            node: id(one),
            place: there,
            base_place: first.0,
        },
        Op::Move {
            node: id(other),
            place: here,
            base_place: second.0,
        },
    ]
}

fn attributes(mtime: i64) -> Attributes {
    Attributes {
        mtime: Mtime {
            seconds: mtime,
            nanos: 1,
        },
        executable: mtime == 2,
    }
}

struct Pair {
    memory: Fixture,
    sqlite: Arc<dyn MetadataStore>,
    sent: Vec<Commit>,
    refused: usize,
    applied: usize,
}

impl Pair {
    async fn run(&mut self, number: usize, step: &Step) {
        let (memory, sqlite) = (&self.memory.store, &self.sqlite);
        let (namespace, account) = (self.memory.namespace, &self.memory.account);
        match step {
            Step::Commit { groups, replay } => {
                let commit = match self.sent.last() {
                    Some(last) if *replay => last.clone(),
                    _ => self.commit(number, groups).await,
                };
                let expected = memory.commit(commit.clone()).await.unwrap();
                let found = sqlite.commit(commit.clone()).await.unwrap();
                assert_eq!(expected, found, "{commit:#?}");
                let applied = |group: &&GroupOutcome| matches!(group, GroupOutcome::Applied { .. });
                let applied = expected.groups.iter().filter(applied).count();
                self.applied += applied;
                self.refused += expected.groups.len() - applied;
                self.sent.push(commit);
            }
            Step::Grant { text, lease } => {
                let hashes = [ChunkHash::of(TEXTS[*text].as_bytes())];
                for store in [memory, sqlite] {
                    let expires_at = Timestamp::from_millis(1_000_000_000);
                    store
                        .grant(namespace, account.id, &hashes, *lease, expires_at)
                        .await
                        .unwrap();
                }
            }
            Step::Quota(quota_bytes) => {
                let account = Account {
                    quota_bytes: *quota_bytes,
                    ..account.clone()
                };
                memory.update_account(&account).await.unwrap();
                sqlite.update_account(&account).await.unwrap();
            }
            Step::Hash { index, right } => {
                let queue = memory.unverified_contents(namespace, 9).await.unwrap();
                assert_eq!(queue, sqlite.unverified_contents(namespace, 9).await.unwrap());
                let Some(row) = queue.get(*index) else { return };
                let Content::File(file) = &row.node.content else {
                    panic!("only files have hashes")
                };
                let computed = if *right {
                    file.content_hash
                } else {
                    ContentHash::new([9; 32])
                };
                for store in [memory, sqlite] {
                    let now = Timestamp::from_millis(number as i64);
                    let seq = row.node.content_seq;
                    store
                        .record_content_hash(namespace, row.node.id, seq, computed, now)
                        .await
                        .unwrap();
                }
            }
        }
    }

    async fn commit(&self, number: usize, groups: &[Vec<Wish>]) -> Commit {
        let mut request = self.memory.request(Vec::new());
        request.op_id = OpId::new((number as u128).to_le_bytes());
        request.now = Timestamp::from_millis(1_000 + number as i64 * 7 % 50);
        for wishes in groups {
            let mut group = Group {
                ops: Vec::new(),
                chunks: Vec::new(),
            };
            for wish in wishes {
                group.ops.extend(ops(&self.memory, wish).await);
            }
            request.groups.push(group);
        }
        request
    }

    /// Every reading verb answers alike, now and at every position.
    async fn compare(&self) {
        let (memory, sqlite) = (&self.memory.store, &self.sqlite);
        let namespace = self.memory.namespace;
        let head = memory.head(namespace).await.unwrap().unwrap();
        assert_eq!(Some(&head), sqlite.head(namespace).await.unwrap().as_ref());
        for store in [memory, sqlite] {
            assert_eq!(store.check(namespace).await.unwrap(), Vec::<String>::new());
        }
        let mut cursor = memory.origin(namespace).await.unwrap();
        let mut ends = std::collections::BTreeSet::new();
        for limit in [1, 2, 3].into_iter().cycle() {
            let page = memory.changes(&cursor, limit).await.unwrap();
            assert_eq!(page, sqlite.changes(&cursor, limit).await.unwrap());
            let Changes::Page {
                entries,
                cursor: next,
                has_more,
            } = page
            else {
                panic!("a page")
            };
            ends.extend(entries.iter().map(|entry| entry.group_last));
            cursor = next;
            if !has_more {
                break;
            }
        }
        assert_eq!(cursor, head.cursor());
        let mut before = None;
        for limit in [1, 2, 3].into_iter().cycle() {
            let page = memory.entries_before(namespace, before, limit).await.unwrap();
            assert_eq!(
                page,
                sqlite.entries_before(namespace, before, limit).await.unwrap()
            );
            let Some(last) = page.last() else { break };
            before = Some(last.seq);
        }
        let ids: Vec<NodeId> = (0x100..0x100 + NODES).map(id).collect();
        assert_eq!(
            memory.nodes(namespace, &ids).await.unwrap(),
            sqlite.nodes(namespace, &ids).await.unwrap()
        );
        assert_eq!(
            memory.trashed(namespace, Some(ids[2]), 3).await.unwrap(),
            sqlite.trashed(namespace, Some(ids[2]), 3).await.unwrap()
        );
        // Positions within a group are no trees: two nodes may share a name there.
        let mut ends: Vec<Seq> = ends.into_iter().collect();
        ends.push(Seq::ZERO);
        let stride = (ends.len() / 6).max(1);
        for at in ends.into_iter().step_by(stride) {
            self.compare_at(at, &ids).await;
        }
    }

    async fn compare_at(&self, at: Seq, ids: &[NodeId]) {
        let (memory, sqlite) = (&self.memory.store, &self.sqlite);
        let namespace = self.memory.namespace;
        let mut after = None;
        loop {
            let page = memory.nodes_at(namespace, at, after, 3).await.unwrap();
            assert_eq!(
                page,
                sqlite.nodes_at(namespace, at, after, 3).await.unwrap(),
                "at {at} after {after:?}"
            );
            after = page.nodes.last().map(|node| node.id);
            if !page.has_more {
                break;
            }
        }
        for folder in ids.iter().copied().chain([NodeId::ROOT, NodeId::TRASH]) {
            let key = NodeName::new("a").unwrap().key();
            for (at, after) in [(None, None), (Some(at), None), (Some(at), Some(&key))] {
                assert_eq!(
                    memory.children_at(namespace, folder, at, after, 2).await.unwrap(),
                    sqlite.children_at(namespace, folder, at, after, 2).await.unwrap(),
                    "{folder} at {at:?}"
                );
            }
            for name in NAMES {
                let key = NodeName::new(name).unwrap().key();
                assert_eq!(
                    memory.child_at(namespace, folder, &key, at).await.unwrap(),
                    sqlite.child_at(namespace, folder, &key, at).await.unwrap(),
                    "{name} in {folder} at {at}"
                );
            }
            assert_eq!(
                memory.subtree_at(namespace, folder, at, None, 4).await.unwrap(),
                sqlite.subtree_at(namespace, folder, at, None, 4).await.unwrap(),
                "below {folder} at {at}"
            );
            assert_eq!(
                memory.ancestors_at(namespace, folder, Some(at)).await.unwrap(),
                sqlite.ancestors_at(namespace, folder, Some(at)).await.unwrap()
            );
            assert_eq!(
                memory.revisions(namespace, folder, Some(at), 2).await.unwrap(),
                sqlite.revisions(namespace, folder, Some(at), 2).await.unwrap()
            );
        }
    }
}

#[test]
fn sqlite_answers_as_the_specification_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        cases: 16,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let totals = std::sync::Mutex::new((0, 0));
    let steps = prop::collection::vec(step(), 10..40);
    let outcome = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let store = Arc::new(sqlite(folder.path()).await);
            Fixture::new(store.clone()).await;
            let memory = Fixture::new(Arc::new(MemoryMetadata::new())).await;
            let mut pair = Pair {
                memory,
                sqlite: store.clone(),
                sent: Vec::new(),
                refused: 0,
                applied: 0,
            };
            for text in [0, 1] {
                pair.run(0, &Step::Grant { text, lease: 0 }).await;
            }
            pair.run(
                0,
                &Step::Commit {
                    groups: planted(),
                    replay: false,
                },
            )
            .await;
            for (number, step) in steps.iter().enumerate() {
                pair.run(number + 1, step).await;
            }
            pair.compare().await;
            store.close().await;
            let mut totals = totals.lock().unwrap();
            totals.0 += pair.refused;
            totals.1 += pair.applied;
        });
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let (refused, applied) = totals.into_inner().unwrap();
    // A generator whose operations never or always succeed would compare nothing.
    assert!(
        applied > 200 && refused > 200,
        "{applied} applied, {refused} refused"
    );
}
