//! The server over HTTP: version 2 where the connection agrees on it, else 1.1.

mod body;
mod call;
mod network;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cairn_api::error::{ApiError, ErrorCode};
use cairn_api::frame::Frame;
use cairn_api::sync::{
    AskWipe, CBOR, ChangesReply, ChangesRequest, ChildrenRequest, ChunksReply, CommitReply, CursorReply,
    CursorReport, Devices, Event, FRAMES, Fetch, Have, HaveReply, Hello, Login, LoginReply, MakeToken,
    MakeTokenReply, NodesReply, NodesRequest, PROTOCOL_VERSION, Resolve, ResolveReply, Revs, RevsReply,
    SecondFactor, SecondFactorReply, Signatures, SignaturesReply, TreeHashReply, TreeHashRequest, Unlink,
    Whoami, WipeOrder, Wiped, from_cbor, path::STEPS, to_cbor,
};
use cairn_core::ids::{DeviceId, NamespaceId};
use cairn_core::limits::HEARTBEAT_SECONDS;
use futures::channel::oneshot;
use futures::stream::{self, BoxStream, StreamExt};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use minicbor::{Decode, Encode};

use self::body::{Activity, Blocks, IncomingFrames};
use self::call::Server;
use self::network::NetworkTransport;
pub use self::tls::{CertificateFingerprint, ParseFingerprintError, Trust};
use super::limited::Limiter;
use super::steps::Steps;
use super::transport::{Body, Transport, TransportError};
use super::{Fetched, Remote, RemoteError, RemoteResult};
use crate::progress::{Progress, Route};

/// How long a call may go without a byte moving in either direction. The server may be hashing 8 MiB on a slow disk.
const SILENCE: Duration = Duration::from_secs(60);
/// The same for the event stream, where the server says at least this often that it is there.
const EVENT_SILENCE: Duration = Duration::from_secs(HEARTBEAT_SECONDS + HEARTBEAT_SECONDS / 2);

/// The server of one account.
pub struct HttpRemote {
    caller: Caller,
    /// What came with the news: it answers calls that are not made then.
    steps: Arc<Steps>,
}

/// A way to a server, what opens it, and the counters.
struct Caller {
    transport: Arc<dyn Transport>,
    authorization: Option<HeaderValue>,
    server: Server,
    progress: Arc<Progress>,
}

impl HttpRemote {
    /// Prepares to speak to the server at `url` over one connection; connects with the first call.
    ///
    /// # Errors
    /// [`RemoteError::BadAddress`] for an address that is none, and for plain HTTP to another machine.
    pub fn new(url: &str, token: &str, trust: Trust, progress: Arc<Progress>) -> RemoteResult<Self> {
        let transport = Arc::new(NetworkTransport::new(url, trust)?);
        Self::over(transport, url, token, progress)
    }

    /// Prepares to speak to the server at `url` as fast as `limiter` lets it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn limited(
        url: &str,
        token: &str,
        trust: Trust,
        progress: Arc<Progress>,
        limiter: &Limiter,
    ) -> RemoteResult<Self> {
        let transport = Arc::new(NetworkTransport::new(url, trust)?);
        Self::over(limiter.over(transport), url, token, progress)
    }

    /// Speaks over this transport; `server` is the address that messages name.
    ///
    /// # Errors
    /// [`RemoteError::Refused`] for a token that no header can carry.
    pub fn over(
        transport: Arc<dyn Transport>,
        server: &str,
        token: &str,
        progress: Arc<Progress>,
    ) -> RemoteResult<Self> {
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_invalid| ApiError {
            code: ErrorCode::NotAuthenticated,
            message: "the stored token is damaged; log in again".to_owned(),
            request_id: String::new(),
            retry_after_ms: None,
        })?;
        // Printed nowhere, and kept out of every table of headers.
        value.set_sensitive(true);
        Ok(Self {
            caller: Caller {
                transport,
                authorization: Some(value),
                server: Server::at(server),
                progress,
            },
            steps: Arc::default(),
        })
    }
}

/// Asks who answers at `url`, and checks that it is a Cairn server of this protocol.
///
/// # Errors
/// [`RemoteError::UntrustedCertificate`], [`RemoteError::NotCairn`], and those of the way there.
pub async fn hello(url: &str, trust: Trust) -> RemoteResult<Hello> {
    Caller::stranger(url, trust)?.hello().await
}

/// Gets a token. Says hello first: no password is sent to what is no Cairn server.
///
/// # Errors
/// As [`hello`]; [`RemoteError::Refused`] when address or password are wrong.
pub async fn login(url: &str, trust: Trust, login: &Login) -> RemoteResult<LoginReply> {
    let caller = Caller::stranger(url, trust)?;
    caller.hello().await?;
    caller.ask(Route::Login, login).await
}

/// Says whether the certificate at `url` must be confirmed before anything is sent to it: its fingerprint, or `None`
/// when the platform's roots vouch for it or the connection stays on this machine.
///
/// # Errors
/// As [`hello`], without [`RemoteError::UntrustedCertificate`].
pub async fn probe_certificate(url: &str) -> RemoteResult<Option<CertificateFingerprint>> {
    let caller = Caller::stranger(url, Trust::Platform)?;
    match caller.hello().await {
        Ok(_) => Ok(None),
        Err(RemoteError::UntrustedCertificate { fingerprint, .. }) => fingerprint
            .parse()
            .map(Some)
            .map_err(|error: ParseFingerprintError| caller.server.malformed(error.to_string())),
        Err(error) => Err(error),
    }
}

impl Caller {
    /// One that has no token yet.
    fn stranger(url: &str, trust: Trust) -> RemoteResult<Self> {
        Ok(Self {
            transport: Arc::new(NetworkTransport::new(url, trust)?),
            authorization: None,
            server: Server::at(url),
            progress: Progress::new(),
        })
    }

    /// A request with what all of them carry.
    fn request(&self, method: Method, path_and_query: &str) -> http::request::Builder {
        let request = Request::builder().method(method).uri(path_and_query);
        match &self.authorization {
            Some(value) => request.header(AUTHORIZATION, value),
            None => request,
        }
    }

    /// Adds a body that is in memory; its length is told, so that it may be sent twice.
    fn whole(request: http::request::Builder, body: Vec<u8>) -> Request<Body> {
        let length = body.len();
        let blocks = (length > 0).then(|| Ok(Bytes::from(body)));
        built(
            request.header(CONTENT_LENGTH, length),
            stream::iter(blocks).boxed(),
        )
    }

    async fn send(
        &self,
        route: Route,
        request: Request<Body>,
        silence: Duration,
    ) -> RemoteResult<Response<Body>> {
        self.send_active(route, request, &Activity::default(), silence)
            .await
    }

    async fn send_active(
        &self,
        route: Route,
        request: Request<Body>,
        activity: &Activity,
        silence: Duration,
    ) -> RemoteResult<Response<Body>> {
        self.progress.request(route);
        let call = self.transport.send(request);
        call::answer(&self.server, call, activity, silence).await
    }

    async fn get<T: for<'b> Decode<'b, ()>>(&self, route: Route) -> RemoteResult<T> {
        let request = self.request(Method::GET, route.path()).header(ACCEPT, CBOR);
        let request = Self::whole(request, Vec::new());
        let response = self.send(route, request, SILENCE).await?;
        call::message(&self.server, response, SILENCE, &self.progress).await
    }

    /// Posts a message; the answer comes as `accept`.
    async fn post_message<M: Encode<()>>(
        &self,
        route: Route,
        message: &M,
        accept: &'static str,
        silence: Duration,
    ) -> RemoteResult<Response<Body>> {
        let body = to_cbor(message);
        self.progress.up.wire(body.len() as u64);
        let request = self
            .request(Method::POST, route.path())
            .header(CONTENT_TYPE, CBOR)
            .header(ACCEPT, accept);
        self.send(route, Self::whole(request, body), silence).await
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
        let response = self.post_message(route, message, CBOR, silence).await?;
        call::message(&self.server, response, SILENCE, &self.progress).await
    }

    /// Posts a message that is answered by nothing.
    async fn tell<M: Encode<()>>(&self, route: Route, message: &M) -> RemoteResult<()> {
        self.post_message(route, message, CBOR, SILENCE).await.map(drop)
    }

    /// Posts frames with an end frame behind them.
    async fn post_frames<T: for<'b> Decode<'b, ()>>(
        &self,
        route: Route,
        path_and_query: &str,
        mut frames: Vec<Frame>,
    ) -> RemoteResult<T> {
        frames.push(Frame::End);
        let activity = Arc::new(Activity::default());
        let body = blocks(frames, &activity, &self.progress);
        self.post_body(route, path_and_query, body, &activity).await
    }

    async fn post_body<T: for<'b> Decode<'b, ()>>(
        &self,
        route: Route,
        path_and_query: &str,
        body: Body,
        activity: &Activity,
    ) -> RemoteResult<T> {
        let request = self
            .request(Method::POST, path_and_query)
            .header(CONTENT_TYPE, FRAMES)
            .header(ACCEPT, CBOR);
        let request = built(request, body);
        let response = self.send_active(route, request, activity, SILENCE).await?;
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

    fn incoming(&self, response: Response<Body>, silence: Duration) -> IncomingFrames {
        let body = response.into_body();
        IncomingFrames::new(self.server.clone(), body, silence, Arc::clone(&self.progress))
    }
}

/// A body of frames, made while it is sent.
fn blocks(frames: Vec<Frame>, activity: &Arc<Activity>, progress: &Arc<Progress>) -> Body {
    let blocks = Blocks::new(frames, Arc::clone(activity), Arc::clone(progress));
    stream::iter(blocks.map(Ok)).boxed()
}

/// Ends a body for which no message comes any more.
fn given_up() -> TransportError {
    TransportError {
        refused_certificate: None,
        source: "what was begun is not asked for any more".into(),
    }
}

/// The request that was put together.
fn built(request: http::request::Builder, body: Body) -> Request<Body> {
    request
        .body(body)
        .expect("paths of routes and numbers of namespaces make addresses")
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
        Frame::Delta(delta) => Ok(Fetched::Delta(delta)),
        Frame::End => Err("an end frame came where none is".to_owned()),
    }
}

fn decode_event(frame: Frame) -> Result<Event, String> {
    match frame {
        Frame::Message(bytes) => from_cbor(&bytes).map_err(|error| error.to_string()),
        Frame::Chunk(_) | Frame::Delta(_) | Frame::End => {
            Err("the event stream holds something else than events".to_owned())
        }
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

    async fn unlink(&self, device: DeviceId) -> RemoteResult<()> {
        self.caller.tell(Route::Unlink, &Unlink { device }).await
    }

    async fn ask_wipe(&self, request: AskWipe) -> RemoteResult<()> {
        self.caller.tell(Route::Wipe, &request).await
    }

    async fn wipe_order(&self) -> RemoteResult<WipeOrder> {
        self.caller.get(Route::Wipe).await
    }

    async fn wiped(&self, done: Wiped) -> RemoteResult<()> {
        self.caller.tell(Route::Wiped, &done).await
    }

    async fn make_token(&self, request: MakeToken) -> RemoteResult<MakeTokenReply> {
        self.caller.ask(Route::Tokens, &request).await
    }

    async fn second_factor(&self, request: SecondFactor) -> RemoteResult<SecondFactorReply> {
        self.caller.ask(Route::SecondFactor, &request).await
    }

    async fn logout(&self) -> RemoteResult<()> {
        let request = self.caller.request(Method::POST, Route::Logout.path());
        let request = Caller::whole(request, Vec::new());
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

    async fn signatures(&self, request: Signatures) -> RemoteResult<Vec<Option<Vec<u8>>>> {
        let asked = request.hashes.len();
        let reply: SignaturesReply = self.caller.ask(Route::Signatures, &request).await?;
        if reply.signatures.len() == asked {
            let signatures = reply.signatures.into_iter();
            return Ok(signatures.map(|signature| signature.map(Into::into)).collect());
        }
        let what = format!("asked for {asked} signatures, it gave {}", reply.signatures.len());
        Err(self.caller.server.malformed(what))
    }

    async fn put_frames(&self, namespace: NamespaceId, frames: Vec<Frame>) -> RemoteResult<()> {
        let path = format!("{}?ns={namespace}", Route::Chunks.path());
        let sent = frames.len();
        let reply: ChunksReply = self.caller.post_frames(Route::Chunks, &path, frames).await?;
        if reply.count as usize == sent {
            return Ok(());
        }
        let what = format!("sent {sent} chunks, it took {}", reply.count);
        Err(self.caller.server.malformed(what))
    }

    async fn commit(&self, mut frames: Vec<Frame>, request: Vec<u8>) -> RemoteResult<CommitReply> {
        frames.push(Frame::Message(request.into()));
        let path = Route::Commit.path();
        let reply: CommitReply = self.caller.post_frames(Route::Commit, path, frames).await?;
        self.steps.note(&reply.cursor);
        Ok(reply)
    }

    async fn commit_later(
        &self,
        chunks: Vec<Frame>,
        request: oneshot::Receiver<Vec<u8>>,
    ) -> RemoteResult<CommitReply> {
        let activity = Arc::new(Activity::default());
        let body = blocks(chunks, &activity, &self.caller.progress);
        let (moving, progress) = (Arc::clone(&activity), Arc::clone(&self.caller.progress));
        let last = async move {
            match request.await {
                Ok(request) => {
                    let frames = vec![Frame::Message(request.into()), Frame::End];
                    blocks(frames, &moving, &progress)
                }
                Err(oneshot::Canceled) => stream::once(async { Err(given_up()) }).boxed(),
            }
        };
        let body = body.chain(stream::once(last).flatten()).boxed();
        let path = Route::Commit.path();
        let reply = self.caller.post_body(Route::Commit, path, body, &activity);
        let reply: CommitReply = reply.await?;
        self.steps.note(&reply.cursor);
        Ok(reply)
    }

    async fn changes(&self, request: ChangesRequest) -> RemoteResult<ChangesReply> {
        if let Some(reply) = self.steps.changes(&request) {
            self.caller.progress.spared(Route::Changes);
            return Ok(reply);
        }
        let silence = SILENCE + Duration::from_secs(u64::from(request.wait_seconds));
        let reply: ChangesReply = self
            .caller
            .ask_patiently(Route::Changes, &request, silence)
            .await?;
        let (ChangesReply::Page { cursor, .. }
        | ChangesReply::BelowFloor { head: cursor }
        | ChangesReply::NotOnChain { head: cursor }) = &reply;
        self.steps.note(cursor);
        Ok(reply)
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

    async fn revs(&self, request: Revs) -> RemoteResult<RevsReply> {
        self.caller.ask(Route::Revs, &request).await
    }

    async fn tree_hash(&self, request: TreeHashRequest) -> RemoteResult<TreeHashReply> {
        self.caller.ask(Route::TreeHash, &request).await
    }

    async fn fetch(&self, request: Fetch) -> RemoteResult<BoxStream<'static, RemoteResult<Fetched>>> {
        if let Some(fetched) = self.steps.fetch(&request) {
            self.caller.progress.spared(Route::Fetch);
            return Ok(stream::iter(fetched.into_iter().map(Ok)).boxed());
        }
        let response = self
            .caller
            .post_message(Route::Fetch, &request, FRAMES, SILENCE)
            .await?;
        let frames = self.caller.incoming(response, SILENCE);
        Ok(decoded(frames, self.caller.server.clone(), decode_fetched))
    }

    async fn report_cursor(&self, report: CursorReport) -> RemoteResult<CursorReply> {
        self.caller.ask(Route::Cursor, &report).await
    }

    async fn events(&self) -> RemoteResult<BoxStream<'static, RemoteResult<Event>>> {
        // Before it is asked for: what is committed from here on the first heads may not know.
        self.steps.begin();
        let request = self
            .caller
            .request(Method::GET, &format!("{}?{STEPS}", Route::Events.path()))
            .header(ACCEPT, FRAMES);
        let request = Caller::whole(request, Vec::new());
        let response = self.caller.send(Route::Events, request, SILENCE).await?;
        let frames = self.caller.incoming(response, EVENT_SILENCE);
        let steps = Arc::clone(&self.steps);
        let events = decoded(frames, self.caller.server.clone(), decode_event);
        Ok(events.map(move |event| Ok(steps.take_in(event?))).boxed())
    }
}

#[cfg(test)]
mod tests;
