use cairn_core::change::{Change, Op, Refusal};
use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::node::{Attributes, Content, NodeKind};
use cairn_core::rev::Seq;
use cairn_core::time::Mtime;

use super::fixture::{Fixture, Scale, file, place};
use crate::{Account, MetadataError};

const ROOT: NodeId = NodeId::ROOT;
const BYTES: Scale = Scale(100);

pub(super) async fn guards_refuse_what_was_not_seen(at: Fixture) {
    let a = at.file(ROOT, "a", BYTES).await;
    let stale_move = at.move_op(a, ROOT, "b").await;
    let stale_edit = at.edit_op(a, "other", BYTES).await;
    let stale_delete = at.delete_op(a, None).await;
    let seqs = at.apply(vec![stale_edit.clone()]).await;
    let current = seqs[0];
    assert_eq!(
        at.refused(vec![stale_delete]).await,
        (0, Refusal::StaleContent { node: a, current })
    );
    let other = at.edit_op(a, "third", BYTES).await;
    let Op::Edit { content, .. } = other else {
        panic!("an edit")
    };
    let Op::Edit { base_content, .. } = stale_edit else {
        panic!("an edit")
    };
    let again = Op::Edit {
        node: a,
        content,
        attributes: Attributes::default(),
        base_content,
    };
    assert_eq!(
        at.refused(vec![again]).await,
        (0, Refusal::StaleContent { node: a, current })
    );
    // An edit does not disturb a move that did not see it.
    let moved = at.apply(vec![stale_move]).await[0];
    let mut back = at.move_op(a, ROOT, "c").await;
    if let Op::Move { base_place, .. } = &mut back {
        *base_place = Seq::ZERO;
    }
    let stale = Refusal::StalePlace {
        node: a,
        current: moved,
    };
    assert_eq!(at.refused(vec![back]).await, (0, stale));
    at.sound().await;
}

pub(super) async fn names_are_judged_after_the_last_operation(at: Fixture) {
    let a = at.file(ROOT, "a", BYTES).await;
    let b = at.file(ROOT, "b", BYTES).await;
    let swap = vec![at.move_op(a, ROOT, "b").await, at.move_op(b, ROOT, "a").await];
    let before = at.head().await.seq;
    at.apply(swap).await;
    assert_eq!(at.node(a).await.place.name.as_str(), "b");
    assert_eq!(at.names(ROOT, None).await, ["a", "b"]);
    let old = at
        .store
        .children_at(at.namespace, ROOT, Some(before), None, 9)
        .await;
    let old = old.expect("the past is read").nodes;
    assert_eq!([old[0].id, old[1].id], [a, b]);
    // A name that folds to the same key is taken, and is the same node's own.
    let (_, op) = at.new_file(ROOT, "A", BYTES);
    at.grant("A").await;
    assert_eq!(at.refused(vec![op]).await, (0, Refusal::NameTaken { holder: b }));
    let recased = at.move_op(b, ROOT, "A").await;
    at.apply(vec![recased]).await;
    // What is freed within a group may be taken in it, in whichever order.
    let (folder, op) = at.new_folder(ROOT, "a");
    let freed = at.delete_op(b, None).await;
    at.apply(vec![op, freed]).await;
    assert_eq!(at.node(folder).await.content.kind(), NodeKind::Directory);
    // Two nodes of one group cannot share a name.
    let (first, make_first) = at.new_folder(ROOT, "x");
    let (_, make_second) = at.new_folder(ROOT, "X");
    assert_eq!(
        at.refused(vec![make_first, make_second]).await,
        (1, Refusal::NameTaken { holder: first })
    );
    // Two folders may change places, the upper below the lower.
    let upper = at.folder(ROOT, "upper").await;
    let lower = at.folder(upper, "lower").await;
    let turn = vec![
        at.move_op(upper, lower, "upper").await,
        at.move_op(lower, ROOT, "lower").await,
    ];
    at.apply(turn).await;
    assert_eq!(at.names(lower, None).await, ["upper"]);
    at.sound().await;
}

pub(super) async fn places_are_checked(at: Fixture) {
    let a = at.folder(ROOT, "a").await;
    let b = at.folder(a, "b").await;
    let f = at.file(b, "f", BYTES).await;
    let cycle = at.move_op(a, b, "a").await;
    assert_eq!(at.refused(vec![cycle]).await, (0, Refusal::Cycle { node: a }));
    let into_itself = at.move_op(a, a, "a").await;
    assert_eq!(
        at.refused(vec![into_itself]).await,
        (0, Refusal::Cycle { node: a })
    );
    let (_, below_file) = at.new_folder(f, "x");
    assert_eq!(
        at.refused(vec![below_file]).await,
        (0, Refusal::ParentNotDirectory { parent: f })
    );
    let nowhere = at.fresh_node();
    for parent in [nowhere, NodeId::TRASH, NodeId::STAGING] {
        let (_, op) = at.new_folder(parent, "x");
        assert_eq!(
            at.refused(vec![op]).await,
            (0, Refusal::ParentNotFound { parent })
        );
    }
    // A later group sees what an earlier one left; a refused one leaves nothing.
    let delete_a = at.delete_op(a, None).await;
    let (_, orphan) = at.new_folder(b, "x");
    let (kept, create) = at.new_folder(ROOT, "kept");
    let outcome = at
        .commit(at.request(vec![vec![delete_a], vec![orphan, create.clone()], vec![create]]))
        .await;
    assert!(matches!(
        outcome.groups[1],
        cairn_core::change::GroupOutcome::Refused { op_index: 0, refusal: Refusal::ParentNotFound { parent } } if parent == b
    ));
    assert_eq!(at.node(kept).await.place.name.as_str(), "kept");
    at.sound().await;
}

pub(super) async fn operations_fit_their_node(at: Fixture) {
    let kept = at.folder(ROOT, "kept").await;
    let f = at.file(ROOT, "f", BYTES).await;
    let delete = at.delete_op(f, None).await;
    at.apply(vec![delete]).await;
    for (op, refusal) in [
        (
            Op::SetAttributes {
                node: f,
                attributes: Attributes::default(),
            },
            Refusal::NodeNotFound { node: f },
        ),
        (
            Op::Edit {
                node: kept,
                content: Content::Directory,
                attributes: Attributes::default(),
                base_content: Seq::ZERO,
            },
            Refusal::WrongKind {
                node: kept,
                kind: NodeKind::Directory,
            },
        ),
        (
            Op::Delete {
                node: ROOT,
                base_place: Seq::ZERO,
                base_content: Seq::ZERO,
                seen: None,
            },
            Refusal::NodeNotFound { node: ROOT },
        ),
        (
            Op::Create {
                node: f,
                place: place(ROOT, "f"),
                content: Content::Directory,
                attributes: Attributes::default(),
            },
            Refusal::IdTaken { node: f },
        ),
    ] {
        assert_eq!(at.refused(vec![op]).await, (0, refusal));
    }
    let (_, one) = at.new_folder(ROOT, "x");
    let many = vec![vec![one; limits::COMMIT_OPS + 1]];
    assert!(matches!(
        at.store.commit(at.request(many)).await,
        Err(MetadataError::TooManyOps { .. })
    ));
    at.sound().await;
}

pub(super) async fn the_tree_has_a_depth(at: Fixture) {
    let chain = |count: usize, top: &'static str| {
        let (mut ids, mut ops, mut parent) = (Vec::new(), Vec::new(), ROOT);
        for level in 0..count {
            let (id, op) = at.new_folder(parent, if level == 0 { top } else { "d" });
            ids.push(id);
            ops.push(op);
            parent = id;
        }
        (ids, ops)
    };
    let (deep, ops) = chain(limits::TREE_DEPTH + 1, "deep");
    at.apply(ops).await;
    let deepest = deep[limits::TREE_DEPTH];
    let (_, too_deep) = at.new_folder(deepest, "x");
    assert_eq!(at.refused(vec![too_deep]).await, (0, Refusal::TooDeep));
    let (short, ops) = chain(3, "short");
    at.apply(ops).await;
    let fits = at.move_op(short[0], deep[limits::TREE_DEPTH - 3], "short").await;
    let exceeds = at.move_op(short[0], deep[limits::TREE_DEPTH - 2], "short").await;
    assert_eq!(at.refused(vec![exceeds]).await, (0, Refusal::TooDeep));
    at.apply(vec![fits]).await;
    let above = at.store.ancestors_at(at.namespace, short[2], None).await;
    let above = above.expect("reads").expect("the node is there");
    assert_eq!(above.len(), limits::TREE_DEPTH);
    assert_eq!(above[0].id, short[1]);
    at.sound().await;
}

pub(super) async fn nothing_new_is_lost_with_a_folder(at: Fixture) {
    let a = at.folder(ROOT, "a").await;
    let b = at.folder(a, "b").await;
    let seen = at.head().await.seq;
    let f = at.file(b, "f", BYTES).await;
    let blind = at.delete_op(a, Some(seen)).await;
    assert_eq!(
        at.refused(vec![blind]).await,
        (0, Refusal::NewerBelow { node: f })
    );
    // What the same group takes out of the folder does not count.
    let out = at.move_op(f, ROOT, "f").await;
    let delete = at.delete_op(a, Some(seen)).await;
    at.apply(vec![out, delete]).await;
    assert_eq!(at.names(ROOT, None).await, ["f"]);
    // Nor does what an earlier group of the commit did elsewhere hide what is below.
    let c = at.folder(ROOT, "c").await;
    let seen = at.head().await.seq;
    let into = at.move_op(f, c, "f").await;
    let delete = at.delete_op(c, Some(seen)).await;
    let outcome = at.commit(at.request(vec![vec![into], vec![delete]])).await;
    assert!(matches!(
        outcome.groups[1],
        cairn_core::change::GroupOutcome::Refused { refusal: Refusal::NewerBelow { node }, .. } if node == f
    ));
    let everything = at.delete_op(c, None).await;
    at.apply(vec![everything]).await;
    assert_eq!(at.head().await.bytes_used, 0);
    at.sound().await;
}

pub(super) async fn what_changes_nothing_writes_nothing(at: Fixture) {
    let a = at.file(ROOT, "a", BYTES).await;
    at.folder(ROOT, "later").await;
    let head = at.head().await;
    let known = at.node(a).await;
    assert!(known.content_seq < head.seq);
    let attributes = Attributes::default();
    let content = file("a", BYTES);
    let seqs = at
        .apply(vec![
            Op::SetAttributes { node: a, attributes },
            Op::Move {
                node: a,
                place: place(ROOT, "a"),
                base_place: Seq::ZERO,
            },
            Op::Edit {
                node: a,
                content: content.clone(),
                attributes,
                base_content: Seq::ZERO,
            },
        ])
        .await;
    assert_eq!(seqs, [head.seq, known.place_seq, known.content_seq]);
    assert_eq!(at.head().await, head);
    // The same bytes with other attributes are no new revision.
    let attributes = Attributes {
        mtime: Mtime {
            seconds: -5,
            nanos: 999_999_999,
        },
        executable: true,
    };
    let seqs = at
        .apply(vec![Op::Edit {
            node: a,
            content,
            attributes,
            base_content: Seq::ZERO,
        }])
        .await;
    let node = at.node(a).await;
    assert_eq!(node.attributes, attributes);
    assert_eq!(seqs, [known.content_seq]);
    assert_eq!(
        (node.content_seq, node.attributes_seq),
        (known.content_seq, head.seq.next())
    );
    let journal = at.journal().await;
    let last = journal.last().expect("entries");
    assert_eq!(last.change, Change::AttributesSet);
    assert_eq!(last.place_before, last.place_after);
    assert_eq!(last.content, None);
    at.sound().await;
}

pub(super) async fn the_trash_gives_back(at: Fixture) {
    let a = at.folder(ROOT, "a").await;
    let b = at.folder(a, "b").await;
    let f = at.file(b, "f", BYTES).await;
    let before = at.head().await.seq;
    let delete = at.delete_op(a, Some(before)).await;
    at.apply(vec![delete]).await;
    assert_eq!(at.names(ROOT, None).await, Vec::<String>::new());
    assert_eq!(at.names(b, None).await, Vec::<String>::new());
    assert_eq!(at.names(b, Some(before)).await, ["f"]);
    let gone = at.store.nodes(at.namespace, &[a, f]).await.expect("reads");
    assert_eq!(gone, [None, None]);
    assert_eq!(
        at.store.ancestors_at(at.namespace, f, None).await.expect("reads"),
        None
    );
    let trash = at.store.trashed(at.namespace, None, 9).await.expect("reads");
    assert_eq!(trash.nodes.len(), 1);
    assert_eq!(trash.nodes[0].place, place(NodeId::TRASH, "a"));
    let again = Op::Delete {
        node: a,
        base_place: trash.nodes[0].place_seq,
        base_content: trash.nodes[0].content_seq,
        seen: None,
    };
    assert_eq!(
        at.refused(vec![again]).await,
        (0, Refusal::NodeNotFound { node: a })
    );
    // A folder comes back with what is below it, under another name if it must.
    at.folder(ROOT, "A").await;
    let restore = |text| Op::Move {
        node: a,
        place: place(ROOT, text),
        base_place: trash.nodes[0].place_seq,
    };
    assert!(matches!(
        at.refused(vec![restore("a")]).await,
        (0, Refusal::NameTaken { .. })
    ));
    at.apply(vec![restore("a2")]).await;
    assert_eq!(at.names(b, None).await, ["f"]);
    let journal = at.journal().await;
    let last = journal.last().expect("entries");
    assert_eq!((last.change, last.bytes_delta), (Change::Restored, 100));
    assert_eq!(last.place_before, Some(place(NodeId::TRASH, "a")));
    assert_eq!(at.head().await.bytes_used, 100);
    // One file may be taken out of a folder that stays in the trash.
    let delete = at.delete_op(a, None).await;
    let place_seq = at.node(f).await.place_seq;
    at.apply(vec![delete]).await;
    at.apply(vec![Op::Move {
        node: f,
        place: place(ROOT, "f"),
        base_place: place_seq,
    }])
    .await;
    assert_eq!(at.head().await.bytes_used, 100);
    at.sound().await;
}

pub(super) async fn the_quota_counts_live_bytes(at: Fixture) {
    let bounded = Account {
        quota_bytes: Some(250),
        ..at.account.clone()
    };
    at.store.update_account(&bounded).await.expect("an update");
    let a = at.file(ROOT, "a", BYTES).await;
    let b = at.file(ROOT, "b", BYTES).await;
    at.grant("c").await;
    let (_, c) = at.new_file(ROOT, "c", BYTES);
    let refusal = Refusal::QuotaExceeded {
        needed: 100,
        available: 50,
    };
    assert_eq!(at.refused(vec![c.clone()]).await, (0, refusal));
    // The group's sum counts; what is deleted no longer does.
    let delete = at.delete_op(a, None).await;
    at.apply(vec![c, delete]).await;
    let larger = at.edit_op(b, "larger", Scale(151)).await;
    assert!(matches!(
        at.refused(vec![larger]).await,
        (
            0,
            Refusal::QuotaExceeded {
                needed: 51,
                available: 50
            }
        )
    ));
    let trash = at.store.trashed(at.namespace, None, 9).await.expect("reads");
    let restore = Op::Move {
        node: a,
        place: place(ROOT, "a"),
        base_place: trash.nodes[0].place_seq,
    };
    assert!(matches!(
        at.refused(vec![restore]).await,
        (0, Refusal::QuotaExceeded { .. })
    ));
    assert_eq!(at.head().await.bytes_used, 200);
    at.sound().await;
}
