//! Tags.

use cairn_core::ids::NodeId;

use super::fixture::Fixture;

pub(super) async fn tags_stay_with_their_node(at: Fixture) {
    let one = at.folder(NodeId::ROOT, "one").await;
    let other = at.folder(NodeId::ROOT, "other").await;
    let add = async |node, tag| {
        let added = at.store.add_tag(at.namespace, node, tag, 2).await;
        added.expect("an answer")
    };
    let remove = async |node, tag| {
        let removed = at.store.remove_tag(at.namespace, node, tag).await;
        removed.expect("an answer")
    };
    let tags = async |nodes: &[NodeId]| at.store.tags(at.namespace, nodes).await.expect("tags");
    assert_eq!(tags(&[one, other]).await, [vec![""; 0], vec![]]);
    assert!(add(one, "b").await && add(one, "a").await);
    assert!(add(one, "b").await, "it has it");
    assert!(!add(one, "c").await, "it has as many as it may");
    assert!(add(other, "c").await);
    assert_eq!(tags(&[other, one]).await, [vec!["c"], vec!["a", "b"]]);
    assert!(!remove(one, "c").await);
    assert!(remove(one, "a").await && add(one, "c").await);
    let delete = at.delete_op(one, None).await;
    at.apply(vec![delete]).await;
    assert_eq!(tags(&[one]).await, [["b", "c"]]);
    let foreign = cairn_core::ids::NamespaceId::new(at.namespace.get() + 1).expect("positive");
    let foreign = at.store.tags(foreign, &[one]).await.expect("tags");
    assert_eq!(foreign, [vec![""; 0]]);
}
