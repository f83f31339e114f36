use cairn_core::change::{Change, GroupOutcome, Op, Refusal};
use cairn_core::ids::{AccountId, ChunkHash, ContentHash, DeviceId, NodeId};
use cairn_core::node::Content;

use super::fixture::{Fixture, LATER, NOW, Scale};

const ROOT: NodeId = NodeId::ROOT;
const BYTES: Scale = Scale(100);

pub(super) async fn only_granted_chunks_are_committed(at: Fixture) {
    let (here, me) = (at.namespace, at.account.id);
    let hash = ChunkHash::of(b"f");
    let (_, op) = at.new_file(ROOT, "f", BYTES);
    let missing = Refusal::MissingChunks { missing: vec![hash] };
    assert_eq!(at.refused(vec![op.clone()]).await, (0, missing.clone()));
    // Expired, another's, or under a lease that is too old: no grant.
    let other = AccountId::new(0x7777).expect("positive");
    at.store.grant(here, me, &[hash], 0, NOW).await.expect("a grant");
    at.store
        .grant(here, other, &[hash], 0, LATER)
        .await
        .expect("a grant");
    at.store
        .grant(here, me, &[hash], -5, NOW.plus_millis(-1))
        .await
        .expect("a grant");
    assert_eq!(
        at.store.have(here, me, &[hash], NOW, NOW).await.expect("reads"),
        [false]
    );
    assert_eq!(at.refused(vec![op.clone()]).await, (0, missing));
    let lost = ChunkHash::of(b"old");
    at.store
        .grant(here, me, &[lost], -2, LATER)
        .await
        .expect("a grant");
    assert_eq!(
        at.store.have(here, me, &[lost], NOW, NOW).await.expect("reads"),
        [false]
    );
    at.grant("f").await;
    let unknown = ChunkHash::of(b"unknown");
    let asked = [unknown, hash, hash];
    assert_eq!(
        at.store.have(here, me, &asked, NOW, NOW).await.expect("reads"),
        [false, true, true]
    );
    assert_eq!(
        at.store.referenced(&[here], &asked).await.expect("reads"),
        [false; 3]
    );
    at.apply(vec![op]).await;
    assert_eq!(
        at.store.referenced(&[here], &asked).await.expect("reads"),
        [false, true, true]
    );
    assert_eq!(
        at.store
            .remove_expired(LATER.plus_millis(1))
            .await
            .expect("a sweep"),
        3
    );
    at.sound().await;
}

pub(super) async fn grants_of_what_is_asked_about_are_extended(at: Fixture) {
    let (here, me) = (at.namespace, at.account.id);
    let [near, far, over] = [b"near", b"far!", b"over"].map(|text| ChunkHash::of(text));
    let day = crate::EXTENSION_MS;
    let grant = async |hash, millis| {
        let granted = at
            .store
            .grant(here, me, &[hash], 0, NOW.plus_millis(millis))
            .await;
        granted.expect("a grant");
    };
    let have = async |millis, extend_to| {
        let (now, extend_to) = (NOW.plus_millis(millis), NOW.plus_millis(extend_to));
        let have = at.store.have(here, me, &[near, far, over], now, extend_to).await;
        have.expect("reads")
    };
    grant(near, 10).await;
    grant(far, day).await;
    grant(over, 0).await;
    assert_eq!(have(0, day + 10).await, [true, true, false], "no day is gained");
    assert_eq!(have(10, day + 10).await, [false, true, false]);
    grant(near, 20).await;
    assert_eq!(have(0, day + 21).await, [true, true, false]);
    assert_eq!(have(day, 0).await, [true, false, false], "one has gained a day");
    assert_eq!(have(day + 20, 3 * day).await, [true, false, false]);
    assert_eq!(have(3 * day - 1, 0).await, [true, false, false]);
    let removed = at.store.remove_expired(NOW.plus_millis(3 * day)).await;
    assert_eq!(removed.expect("a sweep"), 2);
    at.sound().await;
}

pub(super) async fn references_outlive_grants(at: Fixture) {
    at.file(ROOT, "f", BYTES).await;
    let removed = at.store.remove_expired(LATER.plus_millis(1)).await;
    assert_eq!(removed.expect("a sweep"), 1);
    let unknown = ChunkHash::of(b"unknown");
    let (_, again) = at.new_file(ROOT, "f", BYTES);
    let Op::Create { content, .. } = again else {
        panic!("a creation")
    };
    let copy = Op::Create {
        node: at.fresh_node(),
        place: super::fixture::place(ROOT, "copy"),
        content,
        attributes: Default::default(),
    };
    at.apply(vec![copy]).await;
    // What the caller lists must be there too: pages of a tree manifest.
    let (_, op) = at.new_file(ROOT, "g", BYTES);
    at.grant("g").await;
    let mut request = at.request(vec![vec![op]]);
    request.groups[0].chunks = vec![unknown];
    let outcome = at.commit(request).await;
    assert!(matches!(
        &outcome.groups[0],
        GroupOutcome::Refused { refusal: Refusal::MissingChunks { missing }, .. } if *missing == [unknown]
    ));
    at.sound().await;
}

pub(super) async fn a_wrong_content_hash_is_repaired(at: Fixture) {
    let right = at.file(ROOT, "right", BYTES).await;
    let wrong = at.file(ROOT, "wrong", BYTES).await;
    let queue = async || {
        let rows = at.store.unverified_contents(at.namespace, 9).await;
        let rows = rows.expect("reads");
        rows.into_iter().map(|row| row.node).collect::<Vec<_>>()
    };
    let queued = queue().await;
    assert_eq!(
        queued.iter().map(|node| node.id).collect::<Vec<_>>(),
        [right, wrong]
    );
    let Content::File(claimed) = &queued[0].content else {
        panic!("a file")
    };
    let record = async |node: NodeId, seq, hash| {
        at.store
            .record_content_hash(at.namespace, node, seq, hash, NOW)
            .await
            .expect("a hash is recorded");
    };
    let head = at.head().await.seq;
    record(right, queued[0].content_seq, claimed.content_hash).await;
    assert_eq!(at.head().await.seq, head);
    let computed = ContentHash::new([5; 32]);
    record(wrong, queued[1].content_seq, computed).await;
    assert_eq!(queue().await, []);
    let repaired = at.node(wrong).await;
    let Content::File(file) = &repaired.content else {
        panic!("a file")
    };
    assert_eq!(file.content_hash, computed);
    let journal = at.journal().await;
    let last = journal.last().expect("entries");
    assert_eq!((last.change, last.bytes_delta), (Change::Edited, 0));
    assert_eq!(last.content.as_ref(), Some(&repaired.content));
    // Not in the name of the device that wrote it, which would not know of it.
    assert_eq!(last.device, DeviceId::SERVER);
    // What was computed for a content that is gone does nothing.
    record(wrong, queued[1].content_seq, ContentHash::new([6; 32])).await;
    assert_eq!(at.node(wrong).await, repaired);
    // An edit queues the new content in place of the old.
    let edit = at.edit_op(right, "other", BYTES).await;
    at.apply(vec![edit]).await;
    assert_eq!(queue().await, [at.node(right).await]);
    // In the trash the hash is corrected without an entry.
    let delete = at.delete_op(right, None).await;
    let content_seq = at.node(right).await.content_seq;
    at.apply(vec![delete]).await;
    let head = at.head().await.seq;
    record(right, content_seq, computed).await;
    assert_eq!((queue().await, at.head().await.seq), (Vec::new(), head));
    at.sound().await;
}
