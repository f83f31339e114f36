//! How requests reach the server: over a network, or as a simulation pleases.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

/// A body, block by block. Ends early with an error when the connection breaks.
pub type Body = BoxStream<'static, Result<Bytes, TransportError>>;

/// The connection broke, or could not be made. What was asked may or may not have happened.
#[derive(Debug, thiserror::Error)]
#[error("the connection failed")]
pub struct TransportError {
    /// SHA-256 of the certificate that was refused, hexadecimal, when that was the reason.
    pub refused_certificate: Option<String>,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Sends requests of HTTP to one server. Requests carry a path and its query; where the server is, is the transport's
/// business. A request that tells its `content-length` has a body of so many bytes, which is in memory already; the body
/// of any other is made while it is sent.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends one request; resolves with the head of the answer.
    ///
    /// # Errors
    /// [`TransportError`].
    async fn send(&self, request: http::Request<Body>) -> Result<http::Response<Body>, TransportError>;
}
