//! Reads request bodies, never faster than memory allows and never slower than patience allows.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use cairn_api::sync::{CBOR, from_cbor, path, to_cbor};
use http_body_util::BodyExt;
use minicbor::{Decode, Encode};
use tokio::time::Instant;

use crate::error::ServiceError;
use crate::state::State;

/// Bytes of a body that is one message: the longest is a path of 256 names, or 4,096 hashes.
pub(crate) const MESSAGE_BYTES: usize = 256 << 10;
/// Bytes of a login: an address, a password and two names at their longest.
const LOGIN_BYTES: usize = 4 << 10;
/// How long the rest of a refused body is read, so that a client that only listens afterwards hears the refusal.
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// A body that is read block by block.
pub(crate) struct BodyReader {
    body: Body,
    read_bytes: u64,
    limit_bytes: usize,
    idle_timeout: Duration,
    least_bytes_per_second: u64,
    started: Instant,
    /// Whether nothing more comes: a body is not asked again then.
    is_over: bool,
}

impl BodyReader {
    /// Prepares to read at most `limit_bytes`. Refuses at once a body that says it is longer.
    pub(crate) fn new(request: Request, limit_bytes: usize, state: &State) -> Result<Self, ServiceError> {
        if announced_bytes(&request).is_some_and(|bytes| bytes > limit_bytes as u64) {
            return Err(too_large(limit_bytes));
        }
        Ok(Self {
            body: request.into_body(),
            read_bytes: 0,
            limit_bytes,
            idle_timeout: state.config.body_idle_timeout,
            least_bytes_per_second: state.config.body_least_bytes_per_second,
            started: Instant::now(),
            is_over: false,
        })
    }

    /// The next block; `None` at the end, and after the connection broke. It is no loss to drop the future.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ServiceError> {
        while !self.is_over {
            let frame = match tokio::time::timeout(self.idle_timeout, self.body.frame()).await {
                Err(_) => return Err(ServiceError::Timeout),
                Ok(frame) => frame.transpose(),
            };
            self.is_over = !matches!(&frame, Ok(Some(_)));
            let Some(frame) = frame.map_err(ServiceError::Disconnected)? else {
                break;
            };
            // Trailers say nothing to us.
            let Ok(block) = frame.into_data() else { continue };
            self.read_bytes += block.len() as u64;
            if self.read_bytes > self.limit_bytes as u64 {
                return Err(too_large(self.limit_bytes));
            }
            let measured = self.started.elapsed().saturating_sub(self.idle_timeout);
            if self.read_bytes < measured.as_secs() * self.least_bytes_per_second {
                return Err(ServiceError::Timeout);
            }
            return Ok(Some(block));
        }
        Ok(None)
    }

    /// Reads and drops what is left, within the limit and for a short time.
    pub(crate) async fn discard(&mut self) {
        let rest = async { while let Ok(Some(_)) = self.next().await {} };
        // A client that is slower than this finds out when its connection closes.
        tokio::time::timeout(DISCARD_TIME, rest).await.unwrap_or_default();
    }
}

/// What the request says of its body's length.
fn announced_bytes(request: &Request) -> Option<u64> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn too_large(limit: usize) -> ServiceError {
    ServiceError::TooLarge {
        what: "bytes in this body",
        limit,
    }
}

/// A body that is one CBOR message.
pub(crate) struct Message<T>(pub(crate) T);

impl<T: for<'b> Decode<'b, ()>> FromRequest<Arc<State>> for Message<T> {
    type Rejection = ServiceError;

    async fn from_request(request: Request, state: &Arc<State>) -> Result<Self, ServiceError> {
        // Who has no token yet cannot make us keep much.
        let limit_bytes = if request.uri().path() == path::LOGIN {
            LOGIN_BYTES
        } else {
            MESSAGE_BYTES
        };
        let mut body = BodyReader::new(request, limit_bytes, state)?;
        let mut memory = state.body_memory.begin();
        let mut bytes = BytesMut::new();
        while let Some(block) = body.next().await? {
            memory.grow_to(bytes.len() + block.len()).await?;
            bytes.extend_from_slice(&block);
        }
        from_cbor(&bytes)
            .map(Self)
            .map_err(|error| ServiceError::bad(format!("the message cannot be read: {error}")))
    }
}

/// An answer that is one CBOR message.
pub(crate) struct Reply<T>(pub(crate) T);

impl<T: Encode<()>> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        ([(header::CONTENT_TYPE, CBOR)], to_cbor(&self.0)).into_response()
    }
}

/// What a handler of a CBOR route returns.
pub(crate) type Answer<T> = Result<Reply<T>, ServiceError>;

#[cfg(test)]
mod tests {
    use std::io;

    use futures::stream;

    use super::*;

    fn reader(blocks: Vec<io::Result<Bytes>>) -> BodyReader {
        // A stream of this kind panics when it is asked after its end.
        let blocks = stream::unfold(Some(blocks.into_iter()), |blocks| async {
            let mut blocks = blocks?;
            let block = blocks.next()?;
            let rest = block.is_ok().then_some(blocks);
            Some((block, rest))
        });
        BodyReader {
            body: Body::from_stream(blocks),
            read_bytes: 0,
            limit_bytes: 100,
            idle_timeout: Duration::from_secs(60),
            least_bytes_per_second: 0,
            started: Instant::now(),
            is_over: false,
        }
    }

    #[tokio::test]
    async fn a_body_is_not_asked_after_its_end() {
        let mut body = reader(vec![Ok(Bytes::from_static(b"all"))]);
        assert_eq!(body.next().await.unwrap().unwrap(), "all");
        assert!(body.next().await.unwrap().is_none());
        assert!(body.next().await.unwrap().is_none());
        body.discard().await;
    }

    #[tokio::test]
    async fn a_body_is_not_asked_after_its_connection_broke() {
        let mut body = reader(vec![Err(io::Error::other("cut"))]);
        assert!(body.next().await.is_err());
        body.discard().await;
    }
}
