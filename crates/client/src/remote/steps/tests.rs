use bytes::{Bytes, BytesMut};
use cairn_api::frame::ChunkFrame;
use cairn_api::sync::FetchPart;
use cairn_codec::encode_chunk;
use cairn_core::change::Change;
use cairn_core::ids::{ChainHash, ChunkHash, DeviceId, Incarnation, NodeId};
use cairn_core::limits::CHANGES_PAGE;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, NodeKind, Place};
use cairn_core::time::Timestamp;

use super::*;
use crate::remote::fake::noise;

fn seq(seq: u8) -> Seq {
    Seq::new(i64::from(seq)).unwrap()
}

/// The position of a journal whose chain hashes are its numbers.
fn at(position: u8) -> Cursor {
    Cursor {
        namespace: NamespaceId::new(1).unwrap(),
        incarnation: Incarnation::new([7; 16]),
        seq: seq(position),
        chain: ChainHash::new([position; 32]),
    }
}

fn entry(position: u8) -> JournalEntry {
    let place = Place {
        parent: NodeId::ROOT,
        name: NodeName::new(format!("file {position}")).unwrap(),
    };
    JournalEntry {
        seq: seq(position),
        group_last: seq(position),
        node: node(position),
        change: Change::Moved,
        place_before: Some(place.clone()),
        place_after: Some(place),
        kind: NodeKind::File,
        content: None,
        attributes: Attributes::default(),
        bytes_delta: 0,
        device: DeviceId::new(9).unwrap(),
        at: Timestamp::from_millis(1),
        chain: at(position).chain,
    }
}

fn node(position: u8) -> NodeId {
    NodeId::new(1_000 + i64::from(position)).unwrap()
}

fn item(position: u8) -> FetchItem {
    FetchItem {
        node: node(position),
        content_seq: seq(position),
        part: FetchPart::Chunks { first: 0, count: 1 },
    }
}

fn chunk(position: u8, len: usize) -> Frame {
    let plaintext = noise(u64::from(position), len);
    Frame::Chunk(ChunkFrame {
        hash: ChunkHash::of(&plaintext),
        is_page: false,
        chunk: encode_chunk(&plaintext),
    })
}

fn encoded(frames: &[Frame]) -> Bytes {
    let mut bytes = BytesMut::new();
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes.freeze()
}

fn content(position: u8, len: usize) -> StepContent {
    StepContent {
        item: item(position),
        frames: encoded(&[chunk(position, len)]).to_vec().into(),
    }
}

/// A step that writes a file of so many bytes with each of its entries.
fn step(from: u8, to: u8, len: usize) -> Step {
    Step {
        from: at(from),
        entries: (from + 1..=to).map(entry).collect(),
        cursor: at(to),
        contents: (from + 1..=to).map(|position| content(position, len)).collect(),
    }
}

fn put(steps: &Steps, step: Step) {
    let (namespace, seq) = (step.cursor.namespace, step.cursor.seq);
    let event = steps.take_in(Event::Step(Box::new(step)));
    assert_eq!(event, Event::Head { namespace, seq });
}

fn changes(steps: &Steps, cursor: Cursor) -> Option<ChangesReply> {
    steps.changes(&ChangesRequest {
        cursor,
        limit: CHANGES_PAGE as u32,
        wait_seconds: 0,
    })
}

fn page(from: u8, to: u8, has_more: bool) -> Option<ChangesReply> {
    Some(ChangesReply::Page {
        entries: (from + 1..=to).map(entry).collect(),
        cursor: at(to),
        has_more,
    })
}

fn fetch(steps: &Steps, items: &[FetchItem]) -> Option<Vec<Fetched>> {
    steps.fetch(&Fetch {
        namespace: at(0).namespace,
        items: items.to_vec(),
    })
}

#[test]
fn a_page_answers_who_stands_exactly_there() {
    let steps = Steps::default();
    put(&steps, step(3, 5, 10));
    assert_eq!(changes(&steps, at(3)), page(3, 5, false));
    assert_eq!(changes(&steps, at(4)), page(4, 5, false), "on the way of it, too");
    assert_eq!(changes(&steps, at(2)), None);
    let other_chain = Cursor {
        chain: ChainHash::new([99; 32]),
        ..at(3)
    };
    let other_life = Cursor {
        incarnation: Incarnation::new([8; 16]),
        ..at(4)
    };
    let other_namespace = Cursor {
        namespace: NamespaceId::new(2).unwrap(),
        ..at(3)
    };
    for cursor in [other_chain, other_life, other_namespace] {
        assert_eq!(changes(&steps, cursor), None, "{cursor:?}");
    }
    let asked = |limit, wait_seconds| ChangesRequest {
        cursor: at(3),
        limit,
        wait_seconds,
    };
    assert_eq!(
        steps.changes(&asked(2_000, 10)),
        None,
        "who waits asks the server"
    );
    assert_eq!(steps.changes(&asked(2, 0)), None);
    assert_eq!(changes(&steps, at(5)), None, "there is nothing after it");
    assert_eq!(
        changes(&steps, at(3)),
        page(3, 5, false),
        "its contents may be wanted still"
    );
    changes(&steps, at(6));
    assert_eq!(changes(&steps, at(3)), None, "what was passed is dropped");
}

#[test]
fn a_page_is_not_the_last_when_the_server_has_said_more() {
    let steps = Steps::default();
    put(&steps, step(3, 5, 10));
    // Such as the answer to a commit of this device's own, which overtook the news of it.
    steps.note(&at(7));
    assert_eq!(changes(&steps, at(3)), page(3, 5, true));
    put(&steps, step(5, 7, 10));
    assert_eq!(changes(&steps, at(3)), page(3, 5, true));
    assert_eq!(changes(&steps, at(5)), page(5, 7, false));
    steps.note(&at(2));
    assert_eq!(changes(&steps, at(5)), page(5, 7, false));
}

#[test]
fn a_content_answers_once_who_asks_for_exactly_that() {
    let steps = Steps::default();
    put(&steps, step(3, 5, 100));
    let other_part = FetchItem {
        part: FetchPart::Pages,
        ..item(4)
    };
    assert_eq!(fetch(&steps, std::slice::from_ref(&other_part)), None);
    assert_eq!(
        fetch(&steps, &[item(4), other_part]),
        None,
        "all of it or nothing"
    );
    assert_eq!(fetch(&steps, &[]), None);
    let elsewhere = Fetch {
        namespace: NamespaceId::new(2).unwrap(),
        items: vec![item(4)],
    };
    assert_eq!(steps.fetch(&elsewhere), None);
    let start = |item| {
        Fetched::Start(FetchStart {
            item,
            status: FetchStatus::Found,
            frames: 1,
        })
    };
    let fetched = |position| match chunk(position, 100) {
        Frame::Chunk(chunk) => Fetched::Chunk(chunk),
        other => panic!("{other:?}"),
    };
    let expected = vec![start(0), fetched(5), start(1), fetched(4)];
    assert_eq!(fetch(&steps, &[item(5), item(4)]), Some(expected));
    assert_eq!(fetch(&steps, &[item(4)]), None, "it is not kept for another time");
}

#[test]
fn what_is_no_step_is_not_kept() {
    let hole = Step {
        from: at(2),
        ..step(3, 5, 10)
    };
    let longer = Step {
        cursor: at(6),
        ..step(3, 5, 10)
    };
    let other_end = Step {
        cursor: Cursor {
            chain: ChainHash::new([99; 32]),
            ..at(5)
        },
        ..step(3, 5, 10)
    };
    let other_journal = Step {
        from: Cursor {
            incarnation: Incarnation::new([8; 16]),
            ..at(3)
        },
        ..step(3, 5, 10)
    };
    let empty = Step {
        entries: Vec::new(),
        cursor: at(3),
        ..step(3, 5, 10)
    };
    let too_large = step(3, 5, STEP_BYTES);
    for step in [hole, longer, other_end, other_journal, empty, too_large] {
        let steps = Steps::default();
        let from = step.from;
        put(&steps, step);
        assert_eq!(changes(&steps, from), None);
        assert_eq!(fetch(&steps, &[item(4)]), None);
    }
    // Frames that are none leave the question to the server.
    let cut = encoded(&[chunk(4, 100)]);
    for bytes in [
        &cut[..cut.len() - 1],
        &encoded(&[Frame::End, chunk(4, 100)]),
        b"no frame",
    ] {
        let steps = Steps::default();
        let mut step = step(3, 4, 10);
        step.contents[0].frames = bytes.to_vec().into();
        put(&steps, step);
        assert_eq!(fetch(&steps, &[item(4)]), None);
        assert_eq!(changes(&steps, at(3)), page(3, 4, false));
    }
}

#[test]
fn the_oldest_give_way_and_a_new_stream_forgets_all() {
    let steps = Steps::default();
    for from in 0..60 {
        put(&steps, step(from, from + 1, 30_000));
    }
    {
        let kept = steps.kept();
        assert!(kept.bytes <= KEPT_BYTES);
        assert_eq!(
            kept.bytes,
            kept.steps.iter().map(|(_, bytes)| bytes).sum::<usize>()
        );
    }
    assert_eq!(fetch(&steps, &[item(1)]), None);
    assert!(fetch(&steps, &[item(60)]).is_some());
    let bytes: usize = steps.kept().steps.iter().map(|(_, bytes)| bytes).sum();
    assert_eq!(steps.kept().bytes, bytes);
    steps.begin();
    assert_eq!(changes(&steps, at(59)), None);
    assert_eq!(steps.kept().bytes, 0);
}

#[test]
fn of_more_namespaces_than_an_account_has_nothing_is_believed() {
    let steps = Steps::default();
    for id in 2..200 {
        let namespace = NamespaceId::new(id).unwrap();
        steps.take_in(Event::Head {
            namespace,
            seq: seq(1),
        });
    }
    put(&steps, step(3, 5, 10));
    assert_eq!(changes(&steps, at(3)), None);
    assert_eq!(steps.kept().heads.len(), NAMESPACES);
}
