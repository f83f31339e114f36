//! The server over HTTP: version 2 where the connection agrees on it, else 1.1.

mod body;
mod call;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::{ChunkFrame, Frame};
use cairn_api::sync::{
    CBOR, ChangesReply, ChangesRequest, ChildrenRequest, ChunksReply, CommitReply, CursorReply, CursorReport,
    Devices, Event, FRAMES, Fetch, Have, HaveReply, Hello, Login, LoginReply, NodesReply, NodesRequest,
    PROTOCOL_VERSION, Resolve, ResolveReply, Whoami, from_cbor, to_cbor,
};
use cairn_core::ids::NamespaceId;
use cairn_core::limits::HEARTBEAT_SECONDS;
use futures::stream::{self, BoxStream, StreamExt};
use minicbor::{Decode, Encode};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Body, Client, RequestBuilder, Response, Url};

use self::body::{Activity, Blocks, IncomingFrames};
use self::call::Server;
use self::tls::Rejected;
pub use self::tls::{CertificateFingerprint, ParseFingerprintError, Trust};
use super::{Fetched, Remote, RemoteError, RemoteResult};
use crate::progress::{Progress, Route};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a call may go without a byte moving in either direction. The server may be hashing 8 MiB on a slow disk.
const SILENCE: Duration = Duration::from_secs(60);
/// The same for the event stream, where the server says at least this often that it is there.
const EVENT_SILENCE: Duration = Duration::from_secs(HEARTBEAT_SECONDS + HEARTBEAT_SECONDS / 2);
/// Window of one HTTP/2 stream in bytes: 4 MiB keep 800 Mb/s full at 40 ms.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Window of the connection in bytes: four streams of content.
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// The server of one account, spoken to over one connection.
pub struct HttpRemote {
    caller: Caller,
}

/// An address, a client for it, and the counters.
struct Caller {
    client: Client,
    base: Url,
    server: Server,
    progress: Arc<Progress>,
}

impl HttpRemote {
    /// Prepares to speak to the server at `url`; connects with the first call.
    ///
    /// # Errors
    /// [`RemoteError::BadAddress`] for an address that is none, and for plain HTTP to another machine.
    pub fn new(url: &str, token: &str, trust: Trust, progress: Arc<Progress>) -> RemoteResult<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_invalid| ApiError {
            code: ErrorCode::NotAuthenticated,
            message: "the stored token is damaged; log in again".to_owned(),
            request_id: String::new(),
            retry_after_ms: None,
        })?;
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        Ok(Self {
            caller: Caller::new(url, trust, headers, progress)?,
        })
    }
}

/// Asks who answers at `url`, and checks that it is a Cairn server of this protocol.
///
/// # Errors
/// [`RemoteError::UntrustedCertificate`], [`RemoteError::NotCairn`], and those of the way there.
pub async fn hello(url: &str, trust: Trust) -> RemoteResult<Hello> {
    Caller::new(url, trust, HeaderMap::new(), Progress::new())?
        .hello()
        .await
}

/// Gets a token. Says hello first: no password is sent to what is no Cairn server.
///
/// # Errors
/// As [`hello`]; [`RemoteError::Refused`] when address or password are wrong.
pub async fn login(url: &str, trust: Trust, login: &Login) -> RemoteResult<LoginReply> {
    let caller = Caller::new(url, trust, HeaderMap::new(), Progress::new())?;
    caller.hello().await?;
    caller.ask(Route::Login, login).await
}

/// Says whether the certificate at `url` must be confirmed before anything is sent to it: its fingerprint, or `None`
/// when the platform's roots vouch for it or the connection stays on this machine.
///
/// # Errors
/// As [`hello`], without [`RemoteError::UntrustedCertificate`].
pub async fn probe_certificate(url: &str) -> RemoteResult<Option<CertificateFingerprint>> {
    let caller = Caller::new(url, Trust::Platform, HeaderMap::new(), Progress::new())?;
    match caller.hello().await {
        Ok(_) => Ok(None),
        Err(RemoteError::UntrustedCertificate { fingerprint, .. }) => fingerprint
            .parse()
            .map(Some)
            .map_err(|error: ParseFingerprintError| caller.server.malformed(error.to_string())),
        Err(error) => Err(error),
    }
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

impl Caller {
    fn new(url: &str, trust: Trust, headers: HeaderMap, progress: Arc<Progress>) -> RemoteResult<Self> {
        let base = parse_address(url)?;
        let rejected = Arc::new(Rejected::default());
        let server = Server {
            address: url.trim_end_matches('/').into(),
            rejected,
        };
        let setup = |source: Box<dyn std::error::Error + Send + Sync>| RemoteError::Unreachable {
            server: server.address.to_string(),
            source,
        };
        let tls = tls::client_config(trust, &server.rejected).map_err(|error| setup(error.into()))?;
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            .default_headers(headers)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_initial_stream_window_size(STREAM_WINDOW_BYTES)
            .http2_initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .http2_keep_alive_timeout(Duration::from_secs(20))
            .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| setup(error.into()))?;
        Ok(Self {
            client,
            base,
            server,
            progress,
        })
    }

    fn url(&self, route: Route) -> Url {
        let mut url = self.base.clone();
        url.set_path(route.path());
        url
    }

    async fn send(&self, route: Route, request: RequestBuilder, silence: Duration) -> RemoteResult<Response> {
        self.send_active(route, request, &Activity::default(), silence)
            .await
    }

    async fn send_active(
        &self,
        route: Route,
        request: RequestBuilder,
        activity: &Activity,
        silence: Duration,
    ) -> RemoteResult<Response> {
        self.progress.request(route);
        call::send(&self.server, request, activity, silence).await
    }

    async fn get<T: for<'b> Decode<'b, ()>>(&self, route: Route) -> RemoteResult<T> {
        let request = self.client.get(self.url(route)).header(ACCEPT, CBOR);
        let response = self.send(route, request, SILENCE).await?;
        call::message(&self.server, response, SILENCE, &self.progress).await
    }

    fn post_message<M: Encode<()>>(&self, route: Route, message: &M) -> RequestBuilder {
        let body = to_cbor(message);
        self.progress.up.wire(body.len() as u64);
        self.client
            .post(self.url(route))
            .header(CONTENT_TYPE, CBOR)
            .body(body)
    }

    async fn ask<M: Encode<()>, T: for<'b> Decode<'b, ()>>(
        &self,
        route: Route,
        message: &M,
    ) -> RemoteResult<T> {
        self.ask_patiently(route, message, SILENCE).await
    }

    async fn ask_patiently<M: Encode<()>, T: for<'b> Decode<'b, ()>>(
        &self,
        route: Route,
        message: &M,
        silence: Duration,
    ) -> RemoteResult<T> {
        let request = self.post_message(route, message).header(ACCEPT, CBOR);
        let response = self.send(route, request, silence).await?;
        call::message(&self.server, response, SILENCE, &self.progress).await
    }

    /// Posts frames with an end frame behind them.
    async fn post_frames<T: for<'b> Decode<'b, ()>>(
        &self,
        route: Route,
        url: Url,
        mut frames: Vec<Frame>,
    ) -> RemoteResult<T> {
        frames.push(Frame::End);
        let activity = Arc::new(Activity::default());
        let blocks = Blocks::new(frames, Arc::clone(&activity), Arc::clone(&self.progress));
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, FRAMES)
            .header(ACCEPT, CBOR)
            .body(Body::wrap_stream(stream::iter(blocks)));
        let response = self.send_active(route, request, &activity, SILENCE).await?;
        call::message(&self.server, response, SILENCE, &self.progress).await
    }

    async fn hello(&self) -> RemoteResult<Hello> {
        let hello: Hello = match self.get(Route::Hello).await {
            Err(RemoteError::Malformed { what, .. }) => return Err(self.server.not_cairn(what)),
            other => other?,
        };
        if hello.product != "cairn" {
            return Err(self.server.not_cairn("it is another product".to_owned()));
        }
        if hello.protocol != PROTOCOL_VERSION {
            return Err(self.server.not_cairn(format!(
                "it speaks version {} of the protocol, this program version {PROTOCOL_VERSION}; update the older one",
                hello.protocol
            )));
        }
        Ok(hello)
    }

    fn incoming(&self, response: Response, silence: Duration) -> IncomingFrames {
        IncomingFrames::new(self.server.clone(), response, silence, Arc::clone(&self.progress))
    }
}

/// The messages of a body of frames, one by one; ends after the first error.
fn decoded<T: Send + 'static>(
    frames: IncomingFrames,
    server: Server,
    decode: fn(Frame) -> Result<T, String>,
) -> BoxStream<'static, RemoteResult<T>> {
    stream::unfold(Some((frames, server)), move |open| async move {
        let (mut frames, server) = open?;
        match frames.next().await {
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
            Ok(Some(frame)) => match decode(frame) {
                Ok(value) => Some((Ok(value), Some((frames, server)))),
                Err(what) => Some((Err(server.malformed(what)), None)),
            },
        }
    })
    .boxed()
}

fn decode_fetched(frame: Frame) -> Result<Fetched, String> {
    match frame {
        Frame::Chunk(chunk) => Ok(Fetched::Chunk(chunk)),
        Frame::Message(bytes) => from_cbor(&bytes)
            .map(Fetched::Start)
            .map_err(|error| error.to_string()),
        Frame::End => Err("an end frame came where none is".to_owned()),
    }
}

fn decode_event(frame: Frame) -> Result<Event, String> {
    match frame {
        Frame::Message(bytes) => from_cbor(&bytes).map_err(|error| error.to_string()),
        Frame::Chunk(_) | Frame::End => Err("the event stream holds something else than events".to_owned()),
    }
}

#[async_trait]
impl Remote for HttpRemote {
    async fn whoami(&self) -> RemoteResult<Whoami> {
        self.caller.get(Route::Whoami).await
    }

    async fn devices(&self) -> RemoteResult<Devices> {
        self.caller.get(Route::Devices).await
    }

    async fn logout(&self) -> RemoteResult<()> {
        let request = self.caller.client.post(self.caller.url(Route::Logout));
        self.caller.send(Route::Logout, request, SILENCE).await?;
        Ok(())
    }

    async fn have(&self, request: Have) -> RemoteResult<Vec<bool>> {
        let asked = request.hashes.len();
        let reply: HaveReply = self.caller.ask(Route::Have, &request).await?;
        if reply.have.len() == asked {
            return Ok(reply.have);
        }
        let what = format!("asked about {asked} chunks, it speaks of {}", reply.have.len());
        Err(self.caller.server.malformed(what))
    }

    async fn put_chunks(&self, namespace: NamespaceId, chunks: Vec<ChunkFrame>) -> RemoteResult<()> {
        let mut url = self.caller.url(Route::Chunks);
        url.set_query(Some(&format!("ns={namespace}")));
        let sent = chunks.len();
        let frames = chunks.into_iter().map(Frame::Chunk).collect();
        let reply: ChunksReply = self.caller.post_frames(Route::Chunks, url, frames).await?;
        if reply.count as usize == sent {
            return Ok(());
        }
        let what = format!("sent {sent} chunks, it took {}", reply.count);
        Err(self.caller.server.malformed(what))
    }

    async fn commit(&self, chunks: Vec<ChunkFrame>, request: Vec<u8>) -> RemoteResult<CommitReply> {
        let mut frames: Vec<_> = chunks.into_iter().map(Frame::Chunk).collect();
        frames.push(Frame::Message(request.into()));
        let url = self.caller.url(Route::Commit);
        self.caller.post_frames(Route::Commit, url, frames).await
    }

    async fn changes(&self, request: ChangesRequest) -> RemoteResult<ChangesReply> {
        let silence = SILENCE + Duration::from_secs(u64::from(request.wait_seconds));
        self.caller.ask_patiently(Route::Changes, &request, silence).await
    }

    async fn nodes(&self, request: NodesRequest) -> RemoteResult<NodesReply> {
        self.caller.ask(Route::Nodes, &request).await
    }

    async fn children(&self, request: ChildrenRequest) -> RemoteResult<NodesReply> {
        self.caller.ask(Route::Children, &request).await
    }

    async fn resolve(&self, request: Resolve) -> RemoteResult<ResolveReply> {
        self.caller.ask(Route::Resolve, &request).await
    }

    async fn fetch(&self, request: Fetch) -> RemoteResult<BoxStream<'static, RemoteResult<Fetched>>> {
        let request = self
            .caller
            .post_message(Route::Fetch, &request)
            .header(ACCEPT, FRAMES);
        let response = self.caller.send(Route::Fetch, request, SILENCE).await?;
        let frames = self.caller.incoming(response, SILENCE);
        Ok(decoded(frames, self.caller.server.clone(), decode_fetched))
    }

    async fn report_cursor(&self, report: CursorReport) -> RemoteResult<CursorReply> {
        self.caller.ask(Route::Cursor, &report).await
    }

    async fn events(&self) -> RemoteResult<BoxStream<'static, RemoteResult<Event>>> {
        let request = self
            .caller
            .client
            .get(self.caller.url(Route::Events))
            .header(ACCEPT, FRAMES);
        let response = self.caller.send(Route::Events, request, SILENCE).await?;
        let frames = self.caller.incoming(response, EVENT_SILENCE);
        Ok(decoded(frames, self.caller.server.clone(), decode_event))
    }
}

#[cfg(test)]
mod tests;
