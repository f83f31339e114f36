use cairn_core::ids::NodeId;
use cairn_core::rev::Seq;

use super::fixture::{Fixture, Scale, name, place};

const ROOT: NodeId = NodeId::ROOT;
const BYTES: Scale = Scale(100);

pub(super) async fn listings_page_by_key(at: Fixture) {
    let folder = at.folder(ROOT, "folder").await;
    let mut ops = Vec::new();
    for text in ["é", "B", "a", "C", "\u{10000}", "z", "~"] {
        ops.push(at.new_folder(folder, text).1);
    }
    at.apply(ops).await;
    let mut listed = Vec::new();
    let mut after = None;
    loop {
        let page = at
            .store
            .children_at(at.namespace, folder, None, after.as_ref(), 2)
            .await
            .expect("a page");
        assert!(page.nodes.len() <= 2);
        listed.extend(page.nodes.iter().map(|node| node.place.name.to_string()));
        after = page.nodes.last().map(|node| node.place.name.key());
        if !page.has_more {
            break;
        }
    }
    assert_eq!(listed, ["a", "B", "C", "z", "~", "é", "\u{10000}"]);
    let found = at
        .store
        .child(at.namespace, folder, &name("b").key())
        .await
        .expect("reads");
    assert_eq!(found.map(|node| node.place.name), Some(name("B")));
    let mut by_id = Vec::new();
    let head = at.head().await.seq;
    let mut after = None;
    loop {
        let page = at
            .store
            .nodes_at(at.namespace, head, after, 3)
            .await
            .expect("a page");
        by_id.extend(page.nodes.iter().map(|node| node.id));
        after = page.nodes.last().map(|node| node.id);
        if !page.has_more {
            break;
        }
    }
    assert_eq!(by_id.len(), 8);
    assert!(by_id.is_sorted());
    let below = at
        .store
        .subtree_at(at.namespace, folder, head, None, 9)
        .await
        .expect("reads");
    assert_eq!((below.nodes.len(), below.has_more), (7, false));
    let nobody = at
        .store
        .children_at(at.namespace, at.fresh_node(), None, None, 9)
        .await
        .expect("reads");
    assert!(nobody.nodes.is_empty() && !nobody.has_more);
}

pub(super) async fn names_lead_to_what_had_them_last(at: Fixture) {
    let last = async |parent: NodeId, name: &str| {
        let key = place(parent, name).name.key();
        let found = at
            .store
            .last_child(at.namespace, parent, &key)
            .await
            .expect("an answer");
        found.map(|node| node.id)
    };
    let folder = at.folder(NodeId::ROOT, "a").await;
    let inner = at.folder(folder, "in").await;
    assert_eq!(last(NodeId::ROOT, "A").await, Some(folder));
    assert_eq!(last(NodeId::ROOT, "b").await, None);
    let rename = at.move_op(folder, NodeId::ROOT, "b").await;
    at.apply(vec![rename]).await;
    assert_eq!(last(NodeId::ROOT, "a").await, Some(folder), "it has left");
    let next = at.folder(NodeId::ROOT, "a").await;
    assert_eq!(last(NodeId::ROOT, "a").await, Some(next), "it has it now");
    let delete = at.delete_op(next, None).await;
    at.apply(vec![delete]).await;
    assert_eq!(last(NodeId::ROOT, "a").await, Some(next), "it left later");
    let delete = at.delete_op(folder, None).await;
    at.apply(vec![delete]).await;
    assert_eq!(last(folder, "in").await, Some(inner), "below the trash");
}

pub(super) async fn names_that_were_given_up_are_listed(at: Fixture) {
    let vacated = async |parent: NodeId, seq: Seq, limit: usize| {
        let (mut listed, mut after) = (Vec::new(), None);
        loop {
            let page = at
                .store
                .vacated(at.namespace, parent, seq, after.as_ref(), limit)
                .await
                .expect("an answer");
            assert!(page.len() <= limit + 1);
            listed.extend(page.iter().take(limit).map(ToString::to_string));
            after = page.iter().take(limit).next_back().map(|name| name.key());
            if page.len() <= limit {
                return listed;
            }
        }
    };
    let folder = at.folder(ROOT, "folder").await;
    let mut nodes = Vec::new();
    for text in ["a", "B", "c", "d", "e"] {
        nodes.push(at.folder(folder, text).await);
    }
    let full = at.head().await.seq;
    assert!(vacated(folder, full, 9).await.is_empty());
    for (node, to) in [(nodes[0], "A"), (nodes[1], "x")] {
        let rename = at.move_op(node, folder, to).await;
        at.apply(vec![rename]).await;
    }
    for node in [nodes[2], nodes[3]] {
        let delete = at.delete_op(node, None).await;
        at.apply(vec![delete]).await;
    }
    let less = at.head().await.seq;
    for limit in [1, 2, 3, 9] {
        assert_eq!(vacated(folder, less, limit).await, ["B", "c", "d"]);
    }
    // Taken again, spelled anew and given up again; and moved elsewhere with a folder.
    let next = at.folder(folder, "C").await;
    at.folder(folder, "D").await;
    let away = at.move_op(next, ROOT, "C").await;
    at.apply(vec![away]).await;
    let last = at.head().await.seq;
    assert_eq!(vacated(folder, last, 9).await, ["B", "C"]);
    assert_eq!(vacated(folder, less, 9).await, ["B", "c", "d"], "as it was then");
    assert!(vacated(ROOT, last, 9).await.is_empty());
    let delete = at.delete_op(folder, None).await;
    at.apply(vec![delete]).await;
    let end = at.head().await.seq;
    assert_eq!(vacated(ROOT, end, 9).await, ["folder"]);
    assert!(vacated(folder, end, 9).await.is_empty(), "it is not there");
}

pub(super) async fn names_lead_to_what_had_them_then(at: Fixture) {
    let child = async |parent: NodeId, name: &str, seq: Seq| {
        let key = place(parent, name).name.key();
        let found = at.store.child_at(at.namespace, parent, &key, seq).await;
        found
            .expect("an answer")
            .map(|node| (node.id, node.content.size()))
    };
    let a = at.folder(ROOT, "a").await;
    let f = at.file(a, "f", BYTES).await;
    let first = at.head().await.seq;
    let edit = at.edit_op(f, "f2", Scale(7)).await;
    let rename = at.move_op(a, ROOT, "b").await;
    at.apply(vec![edit, rename]).await;
    let second = at.head().await.seq;
    let next = at.folder(ROOT, "A").await;
    let third = at.head().await.seq;
    let delete = at.delete_op(a, None).await;
    at.apply(vec![delete]).await;
    let fourth = at.head().await.seq;
    assert_eq!(child(ROOT, "a", Seq::ZERO).await, None);
    for (seq, expected) in [(first, Some(a)), (second, None), (third, Some(next))] {
        let found = child(ROOT, "A", seq).await;
        assert_eq!(found.map(|(id, _)| id), expected, "at {seq}");
    }
    assert_eq!(child(ROOT, "b", third).await, Some((a, 0)));
    assert_eq!(child(ROOT, "b", fourth).await, None, "it has gone");
    assert_eq!(child(a, "F", first).await, Some((f, 100)), "as it was");
    assert_eq!(child(a, "f", third).await, Some((f, 7)));
    assert_eq!(child(a, "f", fourth).await, None, "below the trash");
}

pub(super) async fn the_past_can_be_listed(at: Fixture) {
    let a = at.folder(ROOT, "a").await;
    let f = at.file(a, "f", BYTES).await;
    let g = at.file(a, "g", BYTES).await;
    let first = at.head().await.seq;
    let edit = at.edit_op(f, "f2", Scale(7)).await;
    at.apply(vec![edit]).await;
    let rename = at.move_op(f, ROOT, "moved").await;
    at.apply(vec![rename]).await;
    let second = at.head().await.seq;
    let delete = at.delete_op(a, None).await;
    at.apply(vec![delete]).await;
    let third = at.head().await.seq;

    assert_eq!(at.names(a, Some(first)).await, ["f", "g"]);
    assert_eq!(at.names(ROOT, Some(first)).await, ["a"]);
    assert_eq!(at.names(a, Some(second)).await, ["g"]);
    assert_eq!(at.names(ROOT, Some(second)).await, ["a", "moved"]);
    assert_eq!(at.names(ROOT, Some(third)).await, ["moved"]);
    assert_eq!(at.names(ROOT, Some(Seq::ZERO)).await, Vec::<String>::new());
    let page = at.store.children_at(at.namespace, a, Some(first), None, 1).await;
    let page = page.expect("reads");
    assert!(page.has_more);
    assert_eq!(page.nodes[0].content.size(), 100);
    assert_eq!(page.nodes[0].place_seq, page.nodes[0].content_seq);
    let ids = async |folder, seq| {
        let page = at.store.subtree_at(at.namespace, folder, seq, None, 9).await;
        let nodes = page.expect("reads").nodes;
        nodes.iter().map(|node| node.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(a, first).await, [f, g]);
    assert_eq!(ids(a, second).await, [g]);
    assert_eq!(ids(a, third).await, []);
    assert_eq!(ids(ROOT, first).await, [a, f, g]);
    assert_eq!(ids(ROOT, third).await, [f]);
    let above = at.store.ancestors_at(at.namespace, f, Some(first)).await;
    let above = above.expect("reads").expect("it was there");
    assert_eq!(above.iter().map(|node| node.id).collect::<Vec<_>>(), [a]);
    at.sound().await;
}

pub(super) async fn revisions_are_kept(at: Fixture) {
    let f = at.file(ROOT, "one", BYTES).await;
    let mut written = vec![at.node(f).await.content_seq];
    for text in ["two", "three"] {
        let edit = at.edit_op(f, text, BYTES).await;
        at.apply(vec![edit]).await;
        written.insert(0, at.node(f).await.content_seq);
    }
    let delete = at.delete_op(f, None).await;
    at.apply(vec![delete]).await;
    let page = at.store.revisions(at.namespace, f, None, 2).await.expect("reads");
    assert!(page.has_more);
    let seqs: Vec<_> = page.nodes.iter().map(|node| node.content_seq).collect();
    assert_eq!(seqs, written[..2]);
    let rest = at.store.revisions(at.namespace, f, Some(written[1]), 2).await;
    let rest = rest.expect("reads");
    assert!(!rest.has_more);
    assert_eq!(rest.nodes[0].content_seq, written[2]);
    assert_eq!(rest.nodes[0].content, super::fixture::file("one", BYTES));
    let one = at
        .store
        .revision(at.namespace, f, written[1])
        .await
        .expect("reads");
    let one = one.expect("the revision is there");
    assert_eq!(one.content, super::fixture::file("two", BYTES));
    let none = at.store.revision(at.namespace, f, at.head().await.seq).await;
    assert_eq!(none.expect("reads"), None);
}
