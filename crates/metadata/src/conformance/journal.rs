use cairn_core::change::{Change, GroupOutcome};
use cairn_core::ids::{ChainHash, DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

use super::fixture::{Fixture, NOW, Scale, place};
use crate::{Changes, CursorReport, MetadataError, ResetReason};

const ROOT: NodeId = NodeId::ROOT;

pub(super) async fn a_repeated_request_is_applied_once(at: Fixture) {
    let (_, first) = at.new_folder(ROOT, "a");
    let (_, clash) = at.new_folder(ROOT, "A");
    let request = at.request(vec![vec![first], vec![clash]]);
    let outcome = at.commit(request.clone()).await;
    assert!(matches!(outcome.groups[0], GroupOutcome::Applied { .. }));
    assert!(matches!(outcome.groups[1], GroupOutcome::Refused { .. }));
    at.folder(ROOT, "b").await;
    assert_eq!(at.commit(request.clone()).await, outcome);
    assert_eq!(at.head().await.seq.get(), 2);
    let mut other = request.clone();
    other.request_hash = [9; 32];
    assert!(matches!(
        at.store.commit(other).await,
        Err(MetadataError::OpIdReused(id)) if id == request.op_id
    ));
    // One that applied nothing does not do so later either, when what it lacked is there.
    let (_, file) = at.new_file(ROOT, "f", Scale(1));
    let request = at.request(vec![vec![file.clone()]]);
    let refused = at.commit(request.clone()).await;
    assert!(matches!(refused.groups[0], GroupOutcome::Refused { .. }));
    at.grant("f").await;
    assert_eq!(at.commit(request).await, refused);
    let anew = at.request(vec![vec![file]]);
    let applied = at.commit(anew).await;
    assert!(matches!(applied.groups[0], GroupOutcome::Applied { .. }));
    let mut foreign = at.request(Vec::new());
    foreign.namespace = NamespaceId::new(0x7777).expect("positive");
    assert!(matches!(
        at.store.commit(foreign).await,
        Err(MetadataError::NamespaceNotFound(_))
    ));
    at.sound().await;
}

pub(super) async fn a_commit_of_another_history_is_refused(at: Fixture) {
    let origin = at.store.origin(at.namespace).await.expect("an origin");
    at.folder(ROOT, "a").await;
    let middle = at.head().await.cursor();
    at.folder(ROOT, "b").await;
    let head = at.head().await.cursor();
    let of_restored = Cursor {
        chain: ChainHash::new([3; 32]),
        ..head
    };
    let of_restored_earlier = Cursor {
        chain: ChainHash::new([3; 32]),
        ..middle
    };
    let of_another_server = Cursor {
        incarnation: Incarnation::new([8; 16]),
        ..head
    };
    let of_another_namespace = Cursor {
        namespace: NamespaceId::new(0x7777).expect("positive"),
        ..head
    };
    let beyond = Cursor {
        seq: Seq::new(99).expect("positive"),
        ..head
    };
    let strangers = [
        of_restored,
        of_restored_earlier,
        of_another_server,
        of_another_namespace,
        beyond,
    ];
    for (index, known) in strangers.into_iter().enumerate() {
        let mut request = at.request(vec![vec![at.new_folder(ROOT, &format!("no {index}")).1]]);
        request.known = Some(known);
        let answer = at.store.commit(request).await;
        assert!(
            matches!(answer, Err(MetadataError::NotOnChain(id)) if id == at.namespace),
            "{known:?}"
        );
    }
    assert_eq!(at.head().await.cursor(), head, "nothing was applied");
    for (index, known) in [origin, middle, head].into_iter().enumerate() {
        let mut request = at.request(vec![vec![at.new_folder(ROOT, &format!("yes {index}")).1]]);
        request.known = Some(known);
        let outcome = at.commit(request.clone()).await;
        assert!(matches!(outcome.groups[0], GroupOutcome::Applied { .. }));
        // What was answered once is answered so again, wherever it is said to come from.
        request.known = Some(of_restored);
        assert_eq!(at.commit(request).await, outcome);
    }
    at.sound().await;
}

pub(super) async fn an_answer_says_what_it_came_after(at: Fixture) {
    let origin = at.store.origin(at.namespace).await.expect("an origin");
    let (_, a) = at.new_folder(ROOT, "a");
    let (_, b) = at.new_folder(ROOT, "b");
    let request = at.request(vec![vec![a], vec![b]]);
    let first = at.commit(request.clone()).await;
    assert_eq!(first.base, origin.chain);
    assert_eq!(first.cursor, at.head().await.cursor());
    let (_, c) = at.new_folder(ROOT, "c");
    let second = at.commit(at.request(vec![vec![c]])).await;
    assert_eq!(second.base, first.cursor.chain);
    assert_eq!(at.commit(request).await, first, "also when it is given again");
    let (_, clash) = at.new_folder(ROOT, "C");
    let refused = at.commit(at.request(vec![vec![clash]])).await;
    assert_eq!(
        (refused.base, refused.cursor),
        (second.cursor.chain, second.cursor)
    );
}

pub(super) async fn positions_say_what_was_written_when(at: Fixture) {
    let (a, make_a) = at.new_folder(ROOT, "a");
    let (b, make_b) = at.new_folder(ROOT, "b");
    let first = at.apply(vec![make_a, make_b]).await;
    let rename = at.move_op(a, ROOT, "c").await;
    let second = at.apply(vec![rename]).await;
    let beyond = Seq::new(99).expect("positive");
    let asked = [second[0], beyond, first[1], Seq::ZERO, second[0]];
    let written = at.store.written(at.namespace, &asked).await.expect("an answer");
    let nodes: Vec<_> = written
        .iter()
        .map(|found| found.map(|found| found.node))
        .collect();
    assert_eq!(nodes, [Some(a), None, Some(b), None, Some(a)]);
    let cursor = at.store.origin(at.namespace).await.expect("an origin");
    let Changes::Page { entries, .. } = at.store.changes(&cursor, 10).await.expect("a page") else {
        panic!("the journal is whole");
    };
    for (entry, found) in entries.iter().zip([None, written[2], written[0]]) {
        if let Some(found) = found {
            assert_eq!((found.device, found.at), (entry.device, entry.at));
        }
    }
    let foreign = NamespaceId::new(0x7777).expect("positive");
    assert_eq!(
        at.store.written(foreign, &asked[..1]).await.expect("an answer"),
        [None]
    );
}

pub(super) async fn pages_end_with_their_group(at: Fixture) {
    let (a, make_a) = at.new_folder(ROOT, "a");
    let (_, make_b) = at.new_folder(a, "b");
    let (_, make_c) = at.new_folder(a, "c");
    let seqs = at.apply(vec![make_a, make_b, make_c]).await;
    assert_eq!(seqs.iter().map(|seq| seq.get()).collect::<Vec<_>>(), [1, 2, 3]);
    let rename = at.move_op(a, ROOT, "a2").await;
    at.apply(vec![rename]).await;
    let delete = at.delete_op(a, None).await;
    at.apply(vec![delete]).await;
    let mut cursor = at.store.origin(at.namespace).await.expect("an origin");
    let mut lengths = Vec::new();
    let mut changes = Vec::new();
    loop {
        let page = at.store.changes(&cursor, 1).await.expect("a page");
        let Changes::Page {
            entries,
            cursor: next,
            has_more,
        } = page
        else {
            panic!("a page");
        };
        lengths.push(entries.len());
        changes.extend(entries.iter().map(|entry| entry.change));
        cursor = next;
        if !has_more {
            break;
        }
    }
    assert_eq!(lengths, [3, 1, 1]);
    assert_eq!(
        changes,
        [
            Change::Created,
            Change::Created,
            Change::Created,
            Change::Moved,
            Change::Deleted
        ]
    );
    assert_eq!(cursor, at.head().await.cursor());
    let end = at.store.changes(&cursor, 9).await.expect("a page");
    assert!(matches!(end, Changes::Page { entries, has_more: false, .. } if entries.is_empty()));
    let journal = at.journal().await;
    assert_eq!(journal[0].group_last.get(), 3);
    assert_eq!(journal[0].place_before, None);
    assert_eq!(journal[3].place_before, Some(place(ROOT, "a")));
    assert_eq!(journal[3].place_after, Some(place(ROOT, "a2")));
    assert_eq!(journal[4].place_before, Some(place(ROOT, "a2")));
    assert_eq!(journal[4].place_after, None);
}

pub(super) async fn it_is_read_backwards_by_groups(at: Fixture) {
    let (a, make_a) = at.new_folder(ROOT, "a");
    let (_, make_b) = at.new_folder(a, "b");
    let (_, make_c) = at.new_folder(a, "c");
    at.apply(vec![make_a, make_b, make_c]).await;
    let rename = at.move_op(a, ROOT, "a2").await;
    at.apply(vec![rename]).await;
    at.file(a, "f", Scale(1)).await;
    let forward = at.journal().await;
    let mut backward = Vec::new();
    let (mut before, mut lengths) = (None, Vec::new());
    loop {
        let page = at.store.entries_before(at.namespace, before, 1).await;
        let page = page.expect("a page");
        let Some(last) = page.last() else { break };
        before = Some(last.seq);
        lengths.push(page.len());
        backward.extend(page);
    }
    assert_eq!(lengths, [1, 1, 3]);
    backward.reverse();
    assert_eq!(backward, forward);
    let whole = at.store.entries_before(at.namespace, None, 2).await;
    assert_eq!(whole.expect("a page").len(), 2);
    let foreign = NamespaceId::new(0x7777).expect("positive");
    let nothing = at.store.entries_before(foreign, None, 9).await;
    assert!(nothing.expect("a page").is_empty());
}

pub(super) async fn foreign_cursors_are_reset(at: Fixture) {
    at.folder(ROOT, "a").await;
    at.folder(ROOT, "b").await;
    let head = at.head().await.cursor();
    let origin = at.store.origin(at.namespace).await.expect("an origin");
    let wrong_incarnation = Cursor {
        incarnation: Incarnation::new([8; 16]),
        ..head
    };
    let future = Cursor {
        seq: Seq::new(99).expect("positive"),
        ..head
    };
    let off_chain = Cursor {
        chain: ChainHash::new([3; 32]),
        ..head
    };
    let off_origin = Cursor {
        chain: ChainHash::new([3; 32]),
        ..origin
    };
    for cursor in [wrong_incarnation, future, off_chain, off_origin] {
        let answer = at.store.changes(&cursor, 9).await.expect("an answer");
        let reason = ResetReason::NotOnChain;
        assert_eq!(answer, Changes::Reset { reason, head });
    }
    let unknown = Cursor {
        namespace: NamespaceId::new(0x7777).expect("positive"),
        ..head
    };
    assert!(matches!(
        at.store.changes(&unknown, 9).await,
        Err(MetadataError::NamespaceNotFound(_))
    ));
    assert!(matches!(
        at.store.origin(unknown.namespace).await,
        Err(MetadataError::NamespaceNotFound(_))
    ));
}

pub(super) async fn a_device_that_went_back_is_told(at: Fixture) {
    at.folder(ROOT, "a").await;
    let early = at.head().await.cursor();
    at.folder(ROOT, "b").await;
    let late = at.head().await.cursor();
    let report =
        async |cursor: Cursor, device| at.store.report_cursor(&cursor, device).await.expect("a report");
    let other = DeviceId::new(0x2001).expect("positive");
    assert_eq!(report(early, at.device).await, CursorReport::Accepted);
    assert_eq!(report(late, at.device).await, CursorReport::Accepted);
    assert_eq!(report(late, at.device).await, CursorReport::Accepted);
    assert_eq!(report(early, other).await, CursorReport::Accepted);
    // It may not have heard it, or not have come to merge: it is told until it is where it was.
    assert_eq!(report(early, at.device).await, CursorReport::DeviceRestored);
    assert_eq!(report(early, at.device).await, CursorReport::DeviceRestored);
    assert_eq!(report(late, at.device).await, CursorReport::Accepted);
    assert_eq!(report(early, at.device).await, CursorReport::DeviceRestored);
    at.folder(ROOT, "c").await;
    let merged = at.head().await.cursor();
    assert_eq!(report(merged, at.device).await, CursorReport::Accepted);
    assert_eq!(report(late, at.device).await, CursorReport::DeviceRestored);
}

pub(super) async fn a_device_that_was_ahead_of_the_server_did_not_go_back(at: Fixture) {
    at.folder(ROOT, "a").await;
    let head = at.head().await.cursor();
    let report =
        async |cursor: Cursor, device| at.store.report_cursor(&cursor, device).await.expect("a report");
    // The server was restored from a backup.
    let lost = Cursor {
        seq: Seq::new(99).expect("positive"),
        chain: ChainHash::new([3; 32]),
        ..head
    };
    assert_eq!(report(lost, at.device).await, CursorReport::Accepted);
    assert_eq!(report(head, at.device).await, CursorReport::Accepted);
    assert_eq!(report(lost, at.device).await, CursorReport::Accepted);
    for name in ["b", "c"] {
        at.folder(ROOT, name).await;
    }
    assert_eq!(report(head, at.device).await, CursorReport::Accepted);
    // The numbers of another life are none of this one.
    let of_another_server = Cursor {
        incarnation: Incarnation::new([8; 16]),
        ..at.head().await.cursor()
    };
    assert_eq!(report(of_another_server, at.device).await, CursorReport::Accepted);
    assert_eq!(report(head, at.device).await, CursorReport::Accepted);
}

pub(super) async fn time_does_not_run_back(at: Fixture) {
    at.folder(ROOT, "a").await;
    let (_, op) = at.new_folder(ROOT, "b");
    let mut request = at.request(vec![vec![op]]);
    request.now = Timestamp::from_millis(5);
    at.commit(request).await;
    let journal = at.journal().await;
    assert_eq!([journal[0].at, journal[1].at], [NOW, NOW]);
    at.sound().await;
}
