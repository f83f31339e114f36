//! One request and its answer: deadlines, errors, bounds.

use std::sync::Arc;
use std::time::Duration;

use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::sync::from_cbor;
use futures::TryStreamExt;
use http::Response;
use minicbor::Decode;

use super::body::Activity;
use crate::progress::Progress;
use crate::remote::transport::{Body, TransportError};
use crate::remote::{RemoteError, RemoteResult};

/// Largest message that is read: a page of listings with manifests of 9 KB each stays far below.
const MESSAGE_BYTES: usize = 64 * 1024 * 1024;
/// Largest body of an error that is read.
const ERROR_BYTES: usize = 64 * 1024;

/// The server as errors name it.
#[derive(Debug, Clone)]
pub(super) struct Server {
    address: Arc<str>,
}

/// Nothing moved for too long.
#[derive(Debug, thiserror::Error)]
#[error("the connection was silent for {seconds} s")]
struct Silent {
    seconds: u64,
}

impl Server {
    /// The server at this address.
    pub(super) fn at(address: &str) -> Self {
        Self {
            address: address.trim_end_matches('/').into(),
        }
    }

    /// The error for a connection that failed. Names the certificate when that was the reason.
    pub(super) fn unreachable(&self, error: TransportError) -> RemoteError {
        let server = self.address.to_string();
        match error.refused_certificate {
            Some(fingerprint) => RemoteError::UntrustedCertificate { server, fingerprint },
            None => RemoteError::Unreachable {
                server,
                source: error.source,
            },
        }
    }

    pub(super) fn malformed(&self, what: String) -> RemoteError {
        RemoteError::Malformed {
            server: self.address.to_string(),
            what,
        }
    }

    pub(super) fn not_cairn(&self, what: String) -> RemoteError {
        RemoteError::NotCairn {
            server: self.address.to_string(),
            what,
        }
    }

    fn silent(&self, silence: Duration) -> RemoteError {
        RemoteError::Unreachable {
            server: self.address.to_string(),
            source: Box::new(Silent {
                seconds: silence.as_secs(),
            }),
        }
    }
}

/// Waits at most so long.
pub(super) async fn idle<T>(
    server: &Server,
    silence: Duration,
    future: impl Future<Output = T>,
) -> RemoteResult<T> {
    tokio::time::timeout(silence, future)
        .await
        .map_err(|_elapsed| server.silent(silence))
}

/// Waits for the head of an answer as long as the body of its request keeps moving.
///
/// A bound on the whole call would fail on a slow line what works on a fast one.
pub(super) async fn answer(
    server: &Server,
    call: impl Future<Output = Result<Response<Body>, TransportError>>,
    activity: &Activity,
    silence: Duration,
) -> RemoteResult<Response<Body>> {
    let mut call = Box::pin(call);
    loop {
        let before = activity.count();
        match tokio::time::timeout(silence, &mut call).await {
            Ok(Ok(response)) if response.status().is_success() => return Ok(response),
            Ok(Ok(response)) => return Err(refusal(server, response, silence).await),
            Ok(Err(error)) => return Err(server.unreachable(error)),
            Err(_elapsed) if activity.count() == before => return Err(server.silent(silence)),
            Err(_elapsed) => {}
        }
    }
}

/// Reads an answer that is one message.
pub(super) async fn message<T: for<'b> Decode<'b, ()>>(
    server: &Server,
    response: Response<Body>,
    silence: Duration,
    progress: &Progress,
) -> RemoteResult<T> {
    let body = read(server, response.into_body(), silence, MESSAGE_BYTES).await?;
    progress.down.wire(body.len() as u64);
    from_cbor(&body).map_err(|error| server.malformed(error.to_string()))
}

/// Reads a body of at most `limit` bytes.
async fn read(server: &Server, mut blocks: Body, silence: Duration, limit: usize) -> RemoteResult<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let block = idle(server, silence, blocks.try_next())
            .await?
            .map_err(|error| server.unreachable(error))?;
        let Some(block) = block else { return Ok(body) };
        if body.len() + block.len() > limit {
            return Err(server.malformed(format!("it is longer than {limit} bytes")));
        }
        body.extend_from_slice(&block);
    }
}

/// What an answer that is not a success says.
async fn refusal(server: &Server, response: Response<Body>, silence: Duration) -> RemoteError {
    let status = response.status();
    let body = match read(server, response.into_body(), silence, ERROR_BYTES).await {
        Ok(body) => body,
        Err(RemoteError::Malformed { .. }) => Vec::new(),
        Err(error) => return error,
    };
    if let Ok(error) = from_cbor::<ApiError>(&body) {
        return RemoteError::Refused(error);
    }
    // Something in between answered: a proxy whose server is away, or another program altogether.
    if status.is_server_error() || matches!(status.as_u16(), 408 | 429) {
        return RemoteError::Refused(ApiError {
            code: ErrorCode::Unavailable,
            message: format!("{} answered {status} in place of the server", server.address),
            request_id: String::new(),
            retry_after_ms: None,
        });
    }
    server.not_cairn(format!("it answered {status}"))
}
