//! A transport that sends and receives no faster than it may.
//!
//! One lane for each direction. Bodies are cut into pieces; each piece reserves its time on the lane and waits for it, in
//! the order in which they ask. Bodies that move at once take turns so, piece by piece, and a small message waits for a
//! piece of each of the others and no more. Heads are not counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::transport::{Body, Transport, TransportError};

/// The lowest limit in bytes a second. With less, bodies that share it would look as if the connection hung.
pub const LEAST_RATE: u64 = 10 * 1024;
/// How long a piece takes at the limit: the grain in which bodies take turns.
const PIECE_MS: u64 = 50;
/// Fewest and most bytes of a piece.
const PIECE_BYTES: (u64, u64) = (2 * 1024, 64 * 1024);
/// For how long an idle lane saves up.
const SAVED: Duration = Duration::from_millis(250);

/// What a device may send and receive, in bytes a second; `None` is as fast as it goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rates {
    /// Sent.
    pub up: Option<u64>,
    /// Received.
    pub down: Option<u64>,
}

/// A limit is too low to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rate} bytes a second are too few: at least {LEAST_RATE} are needed, or connections look broken")]
pub struct TooSlow {
    /// The limit.
    pub rate: u64,
}

/// The limits of a device, changed while bodies move. Clones are the same limits.
#[derive(Debug, Clone, Default)]
pub struct Limiter {
    up: Arc<Lane>,
    down: Arc<Lane>,
}

impl Limiter {
    /// Sets the limits; what waits already goes on by the new ones.
    ///
    /// # Errors
    /// [`TooSlow`] below [`LEAST_RATE`]; nothing has changed then.
    pub fn set(&self, rates: Rates) -> Result<(), TooSlow> {
        for rate in [rates.up, rates.down].into_iter().flatten() {
            if rate < LEAST_RATE {
                return Err(TooSlow { rate });
            }
        }
        self.up.set(rates.up);
        self.down.set(rates.down);
        Ok(())
    }

    /// The limits.
    pub fn rates(&self) -> Rates {
        Rates {
            up: *self.up.rate.borrow(),
            down: *self.down.rate.borrow(),
        }
    }

    /// A transport that keeps the limits.
    pub fn over(&self, transport: Arc<dyn Transport>) -> Arc<dyn Transport> {
        Arc::new(Limited {
            transport,
            limiter: self.clone(),
        })
    }
}

struct Limited {
    transport: Arc<dyn Transport>,
    limiter: Limiter,
}

#[async_trait]
impl Transport for Limited {
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
        let request = request.map(|body| paced(body, Arc::clone(&self.limiter.up)));
        let response = self.transport.send(request).await?;
        Ok(response.map(|body| paced(body, Arc::clone(&self.limiter.down))))
    }
}

/// A body that moves as the lane lets it.
fn paced(body: Body, lane: Arc<Lane>) -> Body {
    stream::unfold(
        (body, Bytes::new(), lane),
        |(mut body, mut rest, lane)| async move {
            while rest.is_empty() {
                match body.next().await? {
                    Ok(block) => rest = block,
                    Err(error) => return Some((Err(error), (body, rest, lane))),
                }
            }
            let piece = lane.pass(&mut rest).await;
            Some((Ok(piece), (body, rest, lane)))
        },
    )
    .boxed()
}

/// One direction.
#[derive(Debug)]
struct Lane {
    rate: watch::Sender<Option<u64>>,
    /// When the lane is free again, of everything that has reserved; `None` before the first.
    free: Mutex<Option<Instant>>,
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            rate: watch::Sender::new(None),
            free: Mutex::new(None),
        }
    }
}

impl Lane {
    fn set(&self, rate: Option<u64>) {
        // Reservations at the old rate are void: those who wait reserve anew.
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.rate.send_replace(rate);
    }

    /// Cuts a piece off and waits until it may pass; everything when there is no limit.
    async fn pass(&self, rest: &mut Bytes) -> Bytes {
        let mut changes = self.rate.subscribe();
        loop {
            let Some(rate) = *changes.borrow_and_update() else {
                return std::mem::take(rest);
            };
            let most = (rate * PIECE_MS / 1_000).clamp(PIECE_BYTES.0, PIECE_BYTES.1);
            let len = rest.len().min(most as usize);
            let turn = self.reserve(len, rate);
            tokio::select! {
                biased;
                changed = changes.changed() => if changed.is_err() {
                    return std::mem::take(rest);
                },
                () = sleep_until(turn) => return rest.split_to(len),
            }
        }
    }

    /// Takes the next free time for so many bytes; returns when they may pass.
    fn reserve(&self, len: usize, rate: u64) -> Instant {
        let now = Instant::now();
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = now.checked_sub(SAVED).unwrap_or(now);
        let start = free.unwrap_or(now).max(earliest);
        let takes = Duration::from_nanos((len as u64).saturating_mul(1_000_000_000) / rate.max(1));
        *free = Some(start + takes);
        start + takes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers every request with its own body.
    struct Echo;

    #[async_trait]
    impl Transport for Echo {
        async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError> {
            Ok(http::Response::new(request.into_body()))
        }
    }

    fn body(len: usize) -> Body {
        stream::iter([Ok(Bytes::from(vec![7; len]))]).boxed()
    }

    /// Sends a body, reads the answer, and says how long the longest piece took and the whole.
    async fn echo(transport: &dyn Transport, len: usize) -> (Duration, Duration) {
        let start = Instant::now();
        let response = transport.send(http::Request::new(body(len))).await.unwrap();
        let mut pieces = response.into_body();
        let (mut longest, mut last, mut read) = (Duration::ZERO, start, 0);
        while let Some(piece) = pieces.next().await {
            read += piece.unwrap().len();
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        assert_eq!(read, len);
        (longest, start.elapsed())
    }

    fn limited(up: Option<u64>, down: Option<u64>) -> (Limiter, Arc<dyn Transport>) {
        let limiter = Limiter::default();
        limiter.set(Rates { up, down }).unwrap();
        let transport = limiter.over(Arc::new(Echo));
        (limiter, transport)
    }

    #[tokio::test(start_paused = true)]
    async fn both_directions_keep_their_limit() {
        for (up, down) in [(Some(100 * 1024), None), (None, Some(100 * 1024))] {
            let (_, transport) = limited(up, down);
            let (_, took) = echo(&*transport, 1024 * 1024).await;
            let seconds = took.as_secs_f64();
            assert!((9.5..=10.5).contains(&seconds), "{seconds}");
        }
        let (_, transport) = limited(None, None);
        assert_eq!(echo(&*transport, 64 << 20).await.1, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_share_the_least_rate_all_keep_moving() {
        let (_, transport) = limited(Some(LEAST_RATE), None);
        let one = || echo(&*transport, 256 * 1024);
        let all = futures::future::join_all((0..8).map(|_| one())).await;
        for (longest, took) in all {
            assert!(longest < Duration::from_secs(5), "{longest:?}");
            assert!(took < Duration::from_secs(210), "{took:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_message_waits_for_one_piece_of_the_others() {
        let (_, transport) = limited(Some(100 * 1024), None);
        let large = echo(&*transport, 10 << 20);
        let small = async {
            // tidy: sleep because time is paused: nothing waits.
            tokio::time::sleep(Duration::from_secs(5)).await;
            echo(&*transport, 100).await.1
        };
        let ((_, long), short) = tokio::join!(large, small);
        assert!(short < Duration::from_millis(120), "{short:?}");
        assert!(long > Duration::from_secs(100), "{long:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_limit_holds_for_what_is_under_way() {
        let (limiter, transport) = limited(Some(LEAST_RATE), None);
        let release = async {
            // tidy: sleep because time is paused: nothing waits.
            tokio::time::sleep(Duration::from_secs(10)).await;
            limiter.set(Rates::default()).unwrap();
        };
        let ((_, took), ()) = tokio::join!(echo(&*transport, 10 << 20), release);
        assert!(took < Duration::from_secs(11), "{took:?}");
    }

    #[test]
    fn limits_that_look_like_a_broken_line_are_refused() {
        let limiter = Limiter::default();
        let slow = Rates {
            up: Some(LEAST_RATE - 1),
            down: None,
        };
        assert_eq!(limiter.set(slow), Err(TooSlow { rate: LEAST_RATE - 1 }));
        assert_eq!(limiter.rates(), Rates::default());
    }
}
