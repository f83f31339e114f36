//! `GET /sync/1/events`: tells a device when namespaces move on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use cairn_api::frame::Frame;
use cairn_api::sync::{Event, FRAMES, to_cbor};
use cairn_core::limits;
use futures::stream;

use crate::auth::Caller;
use crate::error::ServiceError;
use crate::notify::Subscription;
use crate::service::browse;
use crate::state::State;

/// Time over which reconnects are spread for each device that waits, so that a stop is no stampede.
const RECONNECT_MS_PER_DEVICE: u64 = 10;
/// Longest time over which they are spread.
const RECONNECT_MS_MAX: u64 = 60_000;

pub(super) async fn events(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<Response, ServiceError> {
    let namespaces = state.metadata.readable_namespaces(caller.account).await?;
    // Before the heads are read, so that no move falls between.
    let subscription = state.notifier.subscribe(namespaces.clone(), caller.device);
    let mut pending = VecDeque::with_capacity(namespaces.len());
    for namespace in namespaces {
        let seq = browse::head(&state, namespace).await?.seq;
        pending.push_back(Event::Head { namespace, seq });
    }
    let lifetime = caller.expires_at.map(|end| {
        let left_ms = end
            .as_millis()
            .saturating_sub(state.runtime.clock.now().as_millis());
        tokio::time::Instant::now() + Duration::from_millis(left_ms.clamp(0, i64::from(i32::MAX)) as u64)
    });
    let stream = EventStream {
        state,
        caller,
        subscription,
        pending,
        lifetime,
        is_over: false,
    };
    let blocks = stream::unfold(stream, |mut stream| async move {
        let block = stream.next().await?;
        Some((Ok::<_, Infallible>(block), stream))
    });
    Ok(([(header::CONTENT_TYPE, FRAMES)], Body::from_stream(blocks)).into_response())
}

struct EventStream {
    state: Arc<State>,
    caller: Caller,
    subscription: Subscription,
    pending: VecDeque<Event>,
    /// When the device's token ends.
    lifetime: Option<tokio::time::Instant>,
    is_over: bool,
}

impl EventStream {
    /// The next frame; `None` when the stream is over. It ends with an end frame when the server says goodbye.
    async fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        while self.pending.is_empty() {
            let heartbeat = tokio::time::sleep(self.heartbeat());
            tokio::select! {
                biased;
                () = self.state.draining.cancelled() => {
                    self.is_over = true;
                    return Some(encode(&[event_frame(Event::Drain { after_ms: self.reconnect_ms() }), Frame::End]));
                }
                () = end_of(self.lifetime) => return None,
                news = self.subscription.news() => {
                    if news.is_unlinked {
                        return None;
                    }
                    let heads = news.heads.into_iter();
                    self.pending.extend(heads.map(|(namespace, seq)| Event::Head { namespace, seq }));
                }
                () = heartbeat => {
                    // An account may have been locked since. A store that does not answer is no reason to go.
                    if !self.caller.is_still_welcome(&self.state).await.unwrap_or(true) {
                        return None;
                    }
                    self.pending.push_back(Event::Heartbeat);
                }
            }
        }
        let frames: Vec<Frame> = self.pending.drain(..).map(event_frame).collect();
        Some(encode(&frames))
    }

    /// 50 s, give or take 10 %, so that streams opened together do not stay together.
    fn heartbeat(&self) -> Duration {
        let tenth_ms = limits::HEARTBEAT_SECONDS * 100;
        Duration::from_millis(limits::HEARTBEAT_SECONDS * 1_000 - tenth_ms + self.random(2 * tenth_ms))
    }

    fn reconnect_ms(&self) -> u32 {
        let spread_ms = RECONNECT_MS_PER_DEVICE * self.state.notifier.waiter_count() as u64;
        let after_ms = 100 + self.random(spread_ms.min(RECONNECT_MS_MAX));
        u32::try_from(after_ms).unwrap_or(u32::MAX)
    }

    /// A random number up to `most`. The small bias of the remainder does not matter here.
    fn random(&self, most: u64) -> u64 {
        let mut bytes = [0; 8];
        self.state.runtime.entropy.fill(&mut bytes);
        u64::from_le_bytes(bytes) % (most + 1)
    }
}

async fn end_of(lifetime: Option<tokio::time::Instant>) {
    match lifetime {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}

fn event_frame(event: Event) -> Frame {
    Frame::Message(to_cbor(&event).into())
}

fn encode(frames: &[Frame]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(frames.iter().map(Frame::wire_len).sum());
    frames.iter().for_each(|frame| frame.encode(&mut bytes));
    bytes.freeze()
}
