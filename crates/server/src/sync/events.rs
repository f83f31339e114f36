//! `GET /sync/1/events`: tells a device when namespaces move on, and how where that is little.

mod told;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State as Shared;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use cairn_api::frame::Frame;
use cairn_api::sync::{Event, FRAMES, path, to_cbor};
use cairn_core::ids::NamespaceId;
use cairn_core::limits;
use cairn_core::rev::Seq;
use futures::stream;

use crate::auth::Caller;
use crate::error::ServiceError;
use crate::notify::Subscription;
use crate::service::{browse, steps};
use crate::state::State;
use told::Told;

/// Time over which reconnects are spread for each device that waits, so that a stop is no stampede.
const RECONNECT_MS_PER_DEVICE: u64 = 10;
/// Longest time over which they are spread.
const RECONNECT_MS_MAX: u64 = 60_000;
/// How long the news of a step waits for what goes along with it.
const STEP_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn events(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, ServiceError> {
    let wants_steps = uri
        .query()
        .is_some_and(|query| query.split('&').any(|part| part == path::STEPS));
    let namespaces = state.metadata.readable_namespaces(caller.account).await?;
    // Before the heads are read, so that no move falls between.
    let subscription = state.notifier.subscribe(namespaces.clone(), caller.device);
    let mut pending = VecDeque::with_capacity(namespaces.len());
    let mut told = HashMap::new();
    for namespace in namespaces {
        let head = browse::head(&state, namespace).await?;
        if wants_steps {
            told.insert(namespace, Told::at(head.cursor()));
        }
        let seq = head.seq;
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
        told,
        lifetime,
        is_over: false,
    };
    let blocks = stream::unfold(stream, |mut stream| async move {
        let block = stream.next().await?;
        Some((Ok::<_, Infallible>(block), stream))
    });
    Ok(([(header::CONTENT_TYPE, FRAMES)], Body::from_stream(blocks)).into_response())
}

/// What becomes of the news of a namespace.
enum Moved {
    /// This is said.
    Say(Event),
    /// Nothing: it was said before, or is nothing to the device.
    Known,
    /// The stream ends.
    Unwelcome,
}

struct EventStream {
    state: Arc<State>,
    caller: Caller,
    subscription: Subscription,
    pending: VecDeque<Event>,
    /// Where namespaces stand as far as the device was told; none where it wants no steps.
    told: HashMap<NamespaceId, Told>,
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
                    for (namespace, seq) in news.heads {
                        match self.moved(namespace, seq).await {
                            Moved::Say(event) => self.pending.push_back(event),
                            Moved::Known => {}
                            Moved::Unwelcome => return None,
                        }
                    }
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

    /// What to say of a namespace that has moved on.
    async fn moved(&mut self, namespace: NamespaceId, seq: Seq) -> Moved {
        let Some(mut told) = self.told.remove(&namespace) else {
            return Moved::Say(Event::Head { namespace, seq });
        };
        let moved = match seq <= told.cursor.seq {
            true => Moved::Known,
            false => self.news(&mut told, seq).await,
        };
        self.told.insert(namespace, told);
        moved
    }

    /// What to say of a namespace that is further than what was told.
    async fn news(&self, told: &mut Told, seq: Seq) -> Moved {
        let namespace = told.cursor.namespace;
        told.is_read_to(self.subscription.read_to(namespace));
        let step = match told.may_take_more() {
            true => self.step(told, seq).await,
            false => Ok(steps::Told::Large),
        };
        match step {
            Ok(steps::Told::Step(step)) => match self.caller.is_still_welcome(&self.state).await {
                Ok(true) => {
                    told.cursor = step.cursor;
                    return Moved::Say(told.note(Event::Step(step)));
                }
                Ok(false) => return Moved::Unwelcome,
                Err(_) => {}
            },
            Ok(steps::Told::Own(cursor)) => {
                told.cursor = cursor;
                let seq = cursor.seq;
                return Moved::Say(Event::Head { namespace, seq });
            }
            Ok(steps::Told::Large) => {}
            // To whom may not read it any more it does not exist.
            Err(ServiceError::NotFound(_)) => return Moved::Known,
            Err(error) => tracing::debug!(namespace.id = %namespace, %error, "a step does not go along"),
        }
        Moved::Say(self.head(told, seq).await)
    }

    /// The step that follows on what was told; a large one when the server stops or it takes too long.
    async fn step(&self, told: &Told, seq: Seq) -> Result<steps::Told, ServiceError> {
        tokio::select! {
            biased;
            () = self.state.draining.cancelled() => Ok(steps::Told::Large),
            step = steps::step(&self.state, &self.caller, &told.cursor, seq) => step,
            () = tokio::time::sleep(STEP_WAIT) => Ok(steps::Told::Large),
        }
    }

    /// The bare head. It may be further than the news: then that is where the next step begins.
    async fn head(&self, told: &mut Told, seq: Seq) -> Event {
        let namespace = told.cursor.namespace;
        // Without an answer the next step begins where this one would have.
        let Ok(head) = browse::head(&self.state, namespace).await else {
            return Event::Head { namespace, seq };
        };
        told.cursor = head.cursor();
        let seq = head.seq;
        Event::Head { namespace, seq }
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
