//! The network: TLS, one connection, no proxy.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use http::header::CONTENT_LENGTH;
use http::{Request, Response};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::tls::{self, Rejected, Trust};
use crate::remote::transport::{Body, Transport, TransportError};
use crate::remote::{RemoteError, RemoteResult};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// Window of one HTTP/2 stream in bytes: 4 MiB keep 800 Mb/s full at 40 ms.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Window of the connection in bytes: four streams of content.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
/// Bytes of a frame of HTTP/2: with the 16 KiB that are usual every chunk is handled five times.
const FRAME_BYTES: u32 = 64 * 1024;

/// Requests over the network to the server at one address.
pub(super) struct NetworkTransport {
    client: Client,
    base: Url,
    rejected: Arc<Rejected>,
}

/// Reads an address; plain HTTP is for this machine alone.
fn parse_address(url: &str) -> RemoteResult<Url> {
    let bad = |what: &str| RemoteError::BadAddress {
        server: url.to_owned(),
        what: what.to_owned(),
    };
    let base = Url::parse(url).map_err(|error| bad(&error.to_string()))?;
    let Some(host) = base.host_str() else {
        return Err(bad("it names no host"));
    };
    let is_loopback = host == "localhost"
        || host
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match base.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => {
            return Err(bad(
                "http:// would send the password unprotected over the network; use https://",
            ));
        }
        _ => return Err(bad("it must begin with https:// (or http:// on this machine)")),
    }
    if base.path() != "/"
        || base.query().is_some()
        || base.fragment().is_some()
        || !base.username().is_empty()
    {
        return Err(bad(
            "it must be scheme, host and port only, as https://cairn.example:8443",
        ));
    }
    Ok(base)
}

impl NetworkTransport {
    /// Prepares to speak to the server at `url`; connects with the first request.
    ///
    /// # Errors
    /// [`RemoteError::BadAddress`] for an address that is none, and for plain HTTP to another machine.
    pub(super) fn new(url: &str, trust: Trust) -> RemoteResult<Self> {
        let base = parse_address(url)?;
        let rejected = Arc::new(Rejected::default());
        let setup = |source: Box<dyn std::error::Error + Send + Sync>| RemoteError::Unreachable {
            server: url.trim_end_matches('/').to_owned(),
            source,
        };
        let tls = tls::client_config(trust, &rejected).map_err(|error| setup(error.into()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_max_frame_size(FRAME_BYTES)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(20))
            .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| setup(error.into()))?;
        Ok(Self {
            client,
            base,
            rejected,
        })
    }

    /// What failed. Names the certificate when that was the reason.
    fn failed(&self, error: reqwest::Error) -> TransportError {
        let refused = self.rejected.take().filter(|_| error.is_connect());
        TransportError {
            refused_certificate: refused.map(|fingerprint| fingerprint.to_string()),
            source: Box::new(error.without_url()),
        }
    }

    /// The address of what a request asks for.
    fn url(&self, uri: &http::Uri) -> Url {
        let mut url = self.base.clone();
        url.set_path(uri.path());
        url.set_query(uri.query());
        url
    }
}

/// The body as the connection takes it. One whose length is told is in memory already: given whole, it can be sent again
/// when the server closes an idle connection just then.
async fn outgoing(is_whole: bool, body: Body) -> Result<reqwest::Body, TransportError> {
    if !is_whole {
        return Ok(reqwest::Body::wrap_stream(body));
    }
    let mut blocks: Vec<_> = body.try_collect().await?;
    Ok(match blocks.pop() {
        Some(only) if blocks.is_empty() => only.into(),
        Some(last) => {
            blocks.push(last);
            blocks.concat().into()
        }
        None => reqwest::Body::default(),
    })
}

#[async_trait]
impl Transport for NetworkTransport {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        let (mut head, body) = request.into_parts();
        let length = head.headers.remove(CONTENT_LENGTH);
        let mut call = self
            .client
            .request(head.method, self.url(&head.uri))
            .headers(head.headers);
        if length.as_ref().is_none_or(|length| length != "0") {
            call = call.body(outgoing(length.is_some(), body).await?);
        }
        let answer = call.send().await.map_err(|error| self.failed(error))?;
        let mut response = Response::new(());
        *response.status_mut() = answer.status();
        *response.version_mut() = answer.version();
        response.headers_mut().clone_from(answer.headers());
        let body = answer.bytes_stream().map_err(|error| TransportError {
            refused_certificate: None,
            source: Box::new(error.without_url()),
        });
        Ok(response.map(|()| body.boxed()))
    }
}
