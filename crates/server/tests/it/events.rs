use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use cairn_api::frame::{Frame, FrameReader};
use cairn_api::sync::{Event, from_cbor, path};
use cairn_core::rev::Seq;
use cairn_server::service::accounts::set_disabled;
use futures::StreamExt;
use tower::ServiceExt;

use crate::support::{Device, TestFile, World, request, soon};

pub(crate) struct Events {
    blocks: BodyDataStream,
    reader: FrameReader,
}

impl Events {
    async fn open(world: &World, device: &Device<'_>) -> Self {
        Self::at(world, device, path::EVENTS).await
    }

    pub(crate) async fn at(world: &World, device: &Device<'_>, path: &str) -> Self {
        let request = request("GET", path, Some(&device.token), Body::empty());
        let answer = world.router.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        Self {
            blocks: answer.into_body().into_data_stream(),
            reader: FrameReader::new(),
        }
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            match self.reader.next_frame().unwrap() {
                Some(Frame::Message(message)) => return Some(from_cbor(&message).unwrap()),
                Some(Frame::End) => return None,
                Some(other) => panic!("{other:?}"),
                None => self.reader.push(&self.blocks.next().await?.unwrap()),
            }
        }
    }
}

#[tokio::test]
async fn a_stream_begins_with_the_heads_and_follows_them() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    device.put("a", &TestFile::new(b"a")).await;
    let head = |seq| {
        Some(Event::Head {
            namespace: device.root,
            seq: Seq::new(seq).unwrap(),
        })
    };
    let mut events = Events::open(&world, &other).await;
    assert_eq!(soon(events.next()).await, head(1));
    device.put("b", &TestFile::new(b"b")).await;
    assert_eq!(soon(events.next()).await, head(2));
    // Two commits before the next look are one event.
    device.put("c", &TestFile::new(b"c")).await;
    device.put("d", &TestFile::new(b"d")).await;
    assert_eq!(soon(events.next()).await, head(4));
}

#[tokio::test]
async fn nobody_hears_of_a_foreign_namespace() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    let mut events = Events::open(&world, &eve).await;
    soon(events.next()).await;
    ada.put("a", &TestFile::new(b"a")).await;
    eve.put("b", &TestFile::new(b"b")).await;
    let heard = soon(events.next()).await;
    assert!(
        matches!(heard, Some(Event::Head { namespace, .. }) if namespace == eve.root),
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_beats() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let mut events = Events::open(&world, &device).await;
    events.next().await;
    for _ in 0..3 {
        let before = tokio::time::Instant::now();
        assert_eq!(events.next().await, Some(Event::Heartbeat));
        let waited = before.elapsed();
        assert!(
            (Duration::from_secs(45)..=Duration::from_millis(55_010)).contains(&waited),
            "{waited:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_devices_link() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let other = world.link("ada@example.org").await;
    let mut events = Events::open(&world, &device).await;
    let mut others = Events::open(&world, &other).await;
    soon(events.next()).await;
    soon(others.next()).await;
    device.bytes(path::LOGOUT, bytes::Bytes::new()).await;
    assert_eq!(soon(events.next()).await, None);
    other.put("a", &TestFile::new(b"a")).await;
    assert!(
        soon(others.next()).await.is_some(),
        "another device's stream goes on"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_a_locked_account_ends_at_the_next_beat() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let mut events = Events::open(&world, &device).await;
    events.next().await;
    set_disabled(world.metadata.as_ref(), "ada@example.org", true)
        .await
        .unwrap();
    world.server.forget_sessions();
    assert_eq!(events.next().await, None);
}
