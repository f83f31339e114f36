//! What goes out with the news of a small step.

use cairn_api::frame::Frame;
use cairn_api::sync::{
    ChangesReply, ChangesRequest, ChunksReply, CommitReply, CursorReply, CursorReport, Event, Fetch,
    FetchPart, Step, path, to_cbor,
};
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::NodeId;
use cairn_core::limits::STEP_BYTES;
use cairn_core::node::{Attributes, Content};
use cairn_core::rev::{Cursor, Seq};
use cairn_server::service::accounts::set_disabled;

use crate::events::Events;
use crate::support::{Device, TestFile, World, body, create, frames, hash_of, new_node, soon};

/// Opens a stream that wants steps, and reads the head with which it begins.
async fn follow(world: &World, device: &Device<'_>) -> Events {
    let mut events = Events::at(world, device, &format!("{}?{}", path::EVENTS, path::STEPS)).await;
    let first = soon(events.next()).await;
    assert!(matches!(first, Some(Event::Head { .. })), "{first:?}");
    events
}

async fn next_step(events: &mut Events) -> Step {
    match soon(events.next()).await {
        Some(Event::Step(step)) => *step,
        other => panic!("{other:?}"),
    }
}

fn head(device: &Device<'_>, seq: i64) -> Option<Event> {
    let seq = Seq::new(seq).unwrap();
    Some(Event::Head {
        namespace: device.root,
        seq,
    })
}

/// Changes a file to another content.
async fn edit(device: &Device<'_>, node: NodeId, base_content: Seq, new: &TestFile, sent: &[Frame]) -> Seq {
    let op = Op::Edit {
        node,
        content: Content::File(new.content.clone()),
        attributes: Attributes::default(),
        base_content,
    };
    let reply: CommitReply = device.commit(sent, &device.request(vec![vec![op]])).await.ok();
    match &reply.groups[..] {
        [GroupOutcome::Applied { seqs }] => seqs[0],
        other => panic!("{other:?}"),
    }
}

/// Checks that a step is what its device would be answered, and returns the parts of its contents.
async fn is_as_asked(device: &Device<'_>, step: &Step) -> Vec<FetchPart> {
    let request = ChangesRequest {
        cursor: step.from,
        limit: 2_000,
        wait_seconds: 0,
    };
    let page: ChangesReply = device.post(path::CHANGES, &request).await.ok();
    let expected = ChangesReply::Page {
        entries: step.entries.clone(),
        cursor: step.cursor,
        has_more: false,
    };
    assert_eq!(page, expected);
    for content in &step.contents {
        let request = Fetch {
            namespace: device.root,
            items: vec![content.item.clone()],
        };
        let answer = frames(&device.post(path::FETCH, &request).await.body);
        let bare = &answer[1..answer.len() - 1];
        assert!(!bare.is_empty());
        let sent = frames(&[&content.frames[..], &body(&[])].concat());
        assert_eq!(sent[..sent.len() - 1], *bare);
    }
    let whole = to_cbor(&Event::Step(Box::new(step.clone())));
    assert!(whole.len() <= STEP_BYTES, "{}", whole.len());
    step.contents
        .iter()
        .map(|content| content.item.part.clone())
        .collect()
}

#[tokio::test]
async fn a_small_file_goes_along_with_the_news_of_it() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut events = follow(&world, &other).await;
    let mut own = follow(&world, &ada).await;
    let mut old = Events::at(&world, &other, path::EVENTS).await;
    soon(old.next()).await;
    let (node, seq) = ada.put("note", &TestFile::random("a note", 20_000)).await;
    let step = next_step(&mut events).await;
    assert_eq!(step.from, ada.link.origin);
    let parts = is_as_asked(&other, &step).await;
    assert_eq!(parts, [FetchPart::Chunks { first: 0, count: 1 }]);
    assert_eq!(
        (step.contents[0].item.node, step.contents[0].item.content_seq),
        (node, seq)
    );
    assert_eq!(
        soon(own.next()).await,
        head(&ada, 1),
        "nobody reads back what it wrote"
    );
    assert_eq!(
        soon(old.next()).await,
        head(&ada, 1),
        "who does not ask for steps gets none"
    );
    // And the other way round: each step begins where the stream stands.
    other.put("answer", &TestFile::new(b"yes")).await;
    let step = next_step(&mut own).await;
    assert_eq!(step.from.seq, seq);
    is_as_asked(&ada, &step).await;
    assert_eq!(soon(events.next()).await, head(&ada, 2));
}

#[tokio::test]
async fn an_edit_goes_along_as_what_is_new() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut bytes = vec![0; 400_000];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let first = TestFile::new(&bytes);
    let (node, seq) = ada.put("draft", &first).await;
    let mut events = follow(&world, &other).await;
    bytes[200_000] ^= 1;
    let second = TestFile::new(&bytes);
    let seq = edit(&ada, node, seq, &second, &second.chunks).await;
    let step = next_step(&mut events).await;
    let parts = is_as_asked(&other, &step).await;
    assert!(
        matches!(&parts[..], [FetchPart::ChunksFrom { count: 1, base, .. }] if !base.is_empty()),
        "{parts:?}"
    );
    assert!(
        step.contents[0].frames.len() < 200,
        "{}",
        step.contents[0].frames.len()
    );
    // Two edits before the next look are one step, against what was before both.
    bytes[300_000] ^= 1;
    let third = TestFile::new(&bytes);
    let seq = edit(&ada, node, seq, &third, &third.chunks).await;
    bytes[100_000] ^= 1;
    let fourth = TestFile::new(&bytes);
    let last = edit(&ada, node, seq, &fourth, &fourth.chunks).await;
    let step = next_step(&mut events).await;
    assert_eq!(step.entries.len(), 2);
    let parts = is_as_asked(&other, &step).await;
    assert_eq!(parts.len(), 2, "{parts:?}");
    assert!(
        step.contents
            .iter()
            .all(|content| content.item.content_seq == last)
    );
}

#[tokio::test]
async fn of_a_long_file_the_pages_go_along_too() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut bytes = vec![0; 25 << 20];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let first = TestFile::new(&bytes);
    for part in first.chunks.chunks(60) {
        ada.upload(ada.root, part).await.ok::<ChunksReply>();
    }
    let (node, seq) = ada.put_with_pages("film", &first).await;
    let mut events = follow(&world, &other).await;
    bytes[12 << 20] ^= 1;
    let second = TestFile::new(&bytes);
    let had: Vec<_> = first.all().iter().map(hash_of).collect();
    let sent: Vec<_> = second
        .all()
        .into_iter()
        .filter(|frame| !had.contains(&hash_of(frame)))
        .collect();
    edit(&ada, node, seq, &second, &sent).await;
    let step = next_step(&mut events).await;
    let parts = is_as_asked(&other, &step).await;
    assert_eq!(parts[0], FetchPart::PagesFrom { base: seq });
    assert!(matches!(&parts[1..], [FetchPart::ChunksFrom { .. }]), "{parts:?}");
}

#[tokio::test]
async fn what_is_much_is_left_to_be_asked_for() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut events = follow(&world, &other).await;
    // What is asked for together comes together or not at all, whichever does not fit.
    for len in [100_000, 600_000] {
        ada.put(&format!("{len}"), &TestFile::random("large", len)).await;
        ada.put(&format!("beside {len}"), &TestFile::random("small", 1_000))
            .await;
        let step = next_step(&mut events).await;
        is_as_asked(&other, &step).await;
        assert_eq!((step.entries.len(), step.contents.len()), (2, 0));
    }
    // A long file is asked for by itself.
    ada.put("long", &TestFile::new(&vec![7; 2 << 20])).await;
    let (small, _) = ada.put("small", &TestFile::random("small", 1_000)).await;
    let step = next_step(&mut events).await;
    let sent: Vec<_> = step.contents.iter().map(|content| content.item.node).collect();
    assert_eq!(sent, [small]);
    // What compresses well fits.
    ada.put("text", &TestFile::new(&b"over and over again ".repeat(5_000)))
        .await;
    assert_eq!(next_step(&mut events).await.contents.len(), 1);
    // Many entries are no small step, and the next one begins behind them.
    let folders = (0..65).map(|number| {
        vec![create(
            new_node(),
            &format!("folder {number}"),
            Content::Directory,
        )]
    });
    ada.commit(&[], &ada.request(folders.collect()))
        .await
        .ok::<CommitReply>();
    assert_eq!(soon(events.next()).await, head(&ada, 72));
    ada.put("last", &TestFile::new(b"last")).await;
    let step = next_step(&mut events).await;
    assert_eq!(step.from.seq, Seq::new(72).unwrap());
    is_as_asked(&other, &step).await;
}

#[tokio::test]
async fn a_device_that_does_not_say_that_it_reads_gets_heads() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut events = follow(&world, &other).await;
    let mut last: Option<Cursor> = None;
    let mut sent = 0;
    for number in 0..8 {
        let name = format!("file {number}");
        ada.put(&name, &TestFile::random(&name, 20_000)).await;
        match soon(events.next()).await {
            Some(Event::Step(step)) => {
                assert_eq!(sent, number, "after a bare head nothing goes along");
                last = Some(step.cursor);
                sent += 1;
            }
            other => assert_eq!(other, head(&ada, number + 1)),
        }
    }
    assert_eq!(sent, 2);
    let report = |cursor| CursorReport { cursor };
    let reply: CursorReply = other.post(path::CURSOR, &report(last.unwrap())).await.ok();
    assert_eq!(reply, CursorReply::Accepted);
    ada.put("one more", &TestFile::new(b"more")).await;
    let step = next_step(&mut events).await;
    assert_eq!(step.from.seq, Seq::new(8).unwrap());
    is_as_asked(&other, &step).await;
}

#[tokio::test]
async fn who_is_not_welcome_any_more_is_told_nothing() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let mut events = follow(&world, &other).await;
    let mut foreign = follow(&world, &eve).await;
    ada.put("secret", &TestFile::new(b"secret")).await;
    set_disabled(world.metadata.as_ref(), "ada@example.org", true)
        .await
        .unwrap();
    world.server.forget_sessions();
    assert_eq!(soon(events.next()).await, None);
    // Nor whoever it does not concern.
    eve.put("own", &TestFile::new(b"own")).await;
    assert_eq!(soon(foreign.next()).await, head(&eve, 1));
}

#[tokio::test]
async fn damage_does_not_go_along() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut events = follow(&world, &other).await;
    let file = TestFile::random("rotten", 3_000);
    world
        .chunks
        .rotten
        .lock()
        .unwrap()
        .insert(hash_of(&file.chunks[0]));
    ada.put("rotten", &file).await;
    let step = next_step(&mut events).await;
    assert_eq!((step.entries.len(), step.contents.len()), (1, 0));
}
