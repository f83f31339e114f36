//! Messages and core values.

use std::fmt::Debug;

use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::sync::{
    ChangesReply, CommitReply, CommitRequest, DeviceRow, Event, Fetch, FetchItem, FetchPart, Have, Login,
    NodesReply, Signatures, SignaturesReply, Step, StepContent, from_cbor, to_cbor, value_from_cbor,
    value_to_cbor,
};
use cairn_core::ids::{ChainHash, DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use minicbor::{Decode, Encode};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{any, proptest};
use proptest::sample::Index;

use crate::arbitrary::{cursor, entry, hash, namespace, node, node_id, op, op_id, outcome, seq};

/// What is sent arrives, and nothing else does.
fn arrives<T: Encode<()> + for<'b> Decode<'b, ()> + PartialEq + Debug>(message: &T) {
    let bytes = to_cbor(message);
    assert_eq!(&from_cbor::<T>(&bytes).unwrap(), message);
    assert!(
        from_cbor::<T>(&bytes[..bytes.len() - 1]).is_err(),
        "a cut message"
    );
    let mut longer = bytes;
    longer.push(0);
    assert!(from_cbor::<T>(&longer).is_err(), "bytes behind a message");
}

proptest! {
    #[test]
    fn commits_arrive(
        namespace in namespace(), op_id in op_id(), groups in vec(vec(op(), 0..4), 0..4), known in option::of(cursor()),
        is_on_behalf in any::<bool>(),
    ) {
        let request = CommitRequest { namespace, op_id, groups, known, is_on_behalf };
        arrives(&request);
        // An older device knows three fields: what says nothing of the journal is what it sends, in its own name.
        let fields = match (known, is_on_behalf) {
            (None, false) => 3,
            (Some(_), false) => 4,
            (_, true) => 5,
        };
        assert_eq!(to_cbor(&request)[0], 0x80 + fields);
    }

    #[test]
    fn answers_to_commits_arrive(groups in vec(outcome(), 0..5), cursor in cursor(), before in cursor()) {
        arrives(&CommitReply { groups, cursor, base: before.chain });
    }

    #[test]
    fn pages_of_the_journal_arrive(entries in vec(entry(), 0..4), cursor in cursor(), has_more in any::<bool>()) {
        arrives(&ChangesReply::Page { entries, cursor, has_more });
        arrives(&ChangesReply::BelowFloor { head: cursor });
        arrives(&ChangesReply::NotOnChain { head: cursor });
    }

    #[test]
    fn steps_arrive(entries in vec(entry(), 0..4), from in cursor(), cursor in cursor(), frames in vec(any::<u8>(), 0..50)) {
        let part = FetchPart::Chunks { first: 0, count: 1 };
        let items = entries.iter().map(|entry| FetchItem { node: entry.node, content_seq: entry.seq, part: part.clone() });
        let contents = items.map(|item| StepContent { item, frames: frames.clone().into() }).collect();
        let event = Event::Step(Box::new(Step { from, entries, cursor, contents }));
        assert_eq!(event.head(), Some((cursor.namespace, cursor.seq)));
        arrives(&event);
    }

    #[test]
    fn listings_arrive(nodes in vec(node(), 0..5), has_more in any::<bool>()) {
        arrives(&NodesReply { nodes, has_more });
    }

    #[test]
    fn questions_arrive(
        namespace in namespace(), node in node_id(), content_seq in seq(), hashes in vec(hash(), 0..9),
        first in any::<u64>(), count in any::<u64>(),
    ) {
        let base = FetchPart::ChunksFrom { first, count, base: hashes.clone() };
        let pages = FetchPart::PagesFrom { base: content_seq };
        let items = [FetchPart::Pages, FetchPart::Chunks { first, count }, base, pages]
            .map(|part| FetchItem { node, content_seq, part });
        arrives(&Fetch { namespace, items: items.to_vec() });
        arrives(&Signatures { hashes: hashes.clone() });
        let signatures = hashes.iter().map(|hash| (count % 2 == 0).then(|| hash.as_bytes().to_vec().into()));
        arrives(&SignaturesReply { signatures: signatures.collect() });
        arrives(&Have { namespace, hashes });
        arrives(&Event::Head { namespace, seq: content_seq });
    }

    /// A reader of an older version skips what a newer one appends.
    #[test]
    fn fields_added_at_the_end_are_skipped(node in node(), added in any::<u64>()) {
        let mut bytes = value_to_cbor(&node);
        assert_eq!(bytes[0], 0x87, "an array of seven");
        bytes[0] = 0x88;
        minicbor::encode(added, &mut bytes).unwrap();
        assert_eq!(value_from_cbor::<cairn_core::node::Node>(&bytes).unwrap(), node);
    }

    /// Whatever arrives instead of a message, reading it ends with an error or with a value that is sent the same way.
    #[test]
    fn damage_is_an_error_or_another_legal_value(
        groups in vec(vec(op(), 0..3), 0..3), namespace in namespace(), op_id in op_id(),
        at in any::<Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = to_cbor(&CommitRequest { namespace, op_id, groups, known: None, is_on_behalf: false });
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = from_cbor::<CommitRequest>(&bytes) {
            arrives(&read);
        }
    }

    #[test]
    fn noise_is_never_more_than_an_error(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(read) = from_cbor::<CommitRequest>(&bytes) {
            arrives(&read);
        }
        if let Ok(read) = from_cbor::<ChangesReply>(&bytes) {
            arrives(&read);
        }
        if let Ok(read) = from_cbor::<NodesReply>(&bytes) {
            arrives(&read);
        }
        if let Ok(read) = from_cbor::<ApiError>(&bytes) {
            arrives(&read);
        }
    }
}

#[test]
fn a_length_that_nothing_follows_costs_nothing() {
    // {0: namespace 1, 1: op id, 2: an array of 2^20 - 1 (then 2^63) groups that do not come}
    for head in [
        &[0x9a, 0x00, 0x0f, 0xff, 0xff][..],
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ] {
        let mut bytes = vec![0x83, 0x01, 0x50];
        bytes.extend_from_slice(&[7; 16]);
        bytes.extend_from_slice(head);
        assert!(from_cbor::<CommitRequest>(&bytes).is_err());
    }
}

#[test]
fn every_error_code_has_a_status_that_is_an_error() {
    let error = ApiError {
        code: ErrorCode::RateLimited,
        message: "too many requests; wait 3 s".to_owned(),
        request_id: "abc".to_owned(),
        retry_after_ms: Some(3_000),
    };
    arrives(&error);
    // Codes are numbered without a gap: reading one after another finds them all.
    let codes: Vec<ErrorCode> = (0u8..).map_while(|tag| from_cbor(&[tag]).ok()).collect();
    assert_eq!(codes.len(), 19);
    assert!(codes.iter().all(|code| (400..600).contains(&code.status())));
}

#[test]
fn events_are_the_bytes_that_the_document_says() {
    let namespace = NamespaceId::new(5).unwrap();
    let at = |seq| Cursor {
        namespace,
        incarnation: Incarnation::new([1; 16]),
        seq: Seq::new(seq).unwrap(),
        chain: ChainHash::new([2; 32]),
    };
    let head = Event::Head {
        namespace,
        seq: at(9).seq,
    };
    // As devices know it that do not know steps.
    assert_eq!(to_cbor(&head), [0x82, 0, 0x82, 5, 9]);
    assert_eq!(to_cbor(&Event::Drain { after_ms: 7 }), [0x82, 2, 0x81, 7]);
    let item = FetchItem {
        node: NodeId::new(6).unwrap(),
        content_seq: at(9).seq,
        part: FetchPart::Chunks { first: 0, count: 1 },
    };
    let frames = vec![0xaa, 0xbb].into();
    let step = Step {
        from: at(8),
        entries: Vec::new(),
        cursor: at(9),
        contents: vec![StepContent { item, frames }],
    };
    let cursor = |seq: u8| [&[0x84, 5, 0x50][..], &[1; 16], &[seq, 0x58, 32], &[2; 32]].concat();
    let content = [0x82, 0x83, 6, 9, 0x82, 0, 0x82, 0, 1, 0x42, 0xaa, 0xbb];
    let expected = [
        &[0x82, 3, 0x81, 0x84][..],
        &cursor(8),
        &[0x80],
        &cursor(9),
        &[0x81],
        &content,
    ]
    .concat();
    assert_eq!(to_cbor(&Event::Step(Box::new(step))), expected);
}

#[test]
fn a_login_without_a_code_is_that_of_before() {
    let login = |code: Option<&str>| Login {
        email: "a@example.org".to_owned(),
        password: "correct horse".to_owned(),
        device_name: "a laptop".to_owned(),
        device: DeviceId::new(7).unwrap(),
        code: code.map(str::to_owned),
    };
    // Four fields, as a server of before reads and a device of before sends.
    assert_eq!(to_cbor(&login(None))[0], 0x84);
    arrives(&login(None));
    arrives(&login(Some("123456")));
    let row = |kind: Option<&str>| DeviceRow {
        id: DeviceId::new(7).unwrap(),
        name: "a laptop".to_owned(),
        created_at: Timestamp::from_millis(1),
        last_seen_at: Timestamp::from_millis(1),
        kind: kind.map(str::to_owned),
        is_to_be_wiped: kind.map(|_| true),
    };
    assert_eq!(to_cbor(&row(None))[0], 0x84);
    arrives(&row(Some("app")));
}
