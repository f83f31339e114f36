//! Against a real socket: certificates, versions of HTTP, bodies in both directions, errors.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use cairn_api::frame::{ChunkFrame, FrameReader};
use cairn_api::sync::{FetchStart, FetchStatus};
use cairn_codec::encode_chunk;
use cairn_core::ids::{ChunkHash, DeviceId};
use futures::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame as BodyFrame, Incoming};
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::PrivateKeyDer;
use rustls::{HandshakeKind, ServerConfig};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;

type Answer = Response<BoxBody<Bytes, Infallible>>;

/// What the server saw.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<(String, Version)>>,
    body_bytes: Mutex<usize>,
    handshakes: Mutex<Vec<HandshakeKind>>,
    /// Ends every connection.
    hang_up: Notify,
}

/// A server that ends when it is dropped.
struct TestServer {
    address: SocketAddr,
    fingerprint: Option<CertificateFingerprint>,
    seen: Arc<Seen>,
    _tasks: JoinSet<()>,
}

impl TestServer {
    async fn start(is_tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let (acceptor, fingerprint) = if is_tls {
            let (config, fingerprint) = certificate();
            (Some(tokio_rustls::TlsAcceptor::from(config)), Some(fingerprint))
        } else {
            (None, None)
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, acceptor, Arc::clone(&seen)));
        Self {
            address,
            fingerprint,
            seen,
            _tasks: tasks,
        }
    }

    fn url(&self) -> String {
        let scheme = if self.fingerprint.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    fn trust(&self) -> Trust {
        self.fingerprint.map_or(Trust::Platform, Trust::Pinned)
    }

    fn remote(&self) -> HttpRemote {
        HttpRemote::new(&self.url(), "good", self.trust(), Progress::new()).unwrap()
    }

    fn requests(&self) -> Vec<(String, Version)> {
        self.seen.requests.lock().unwrap().clone()
    }
}

fn certificate() -> (Arc<ServerConfig>, CertificateFingerprint) {
    let made = rcgen::generate_simple_self_signed(vec!["cairn.test".to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let fingerprint = CertificateFingerprint::of(&certificate);
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(config), fingerprint)
}

async fn accept(listener: TcpListener, acceptor: Option<tokio_rustls::TlsAcceptor>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
        let hung_up = Arc::clone(&seen);
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&seen)));
            let server = auto::Builder::new(TokioExecutor::new());
            // A client that goes away in the middle is not this server's failure.
            match acceptor {
                None => drop(server.serve_connection(TokioIo::new(socket), service).await),
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(socket).await {
                        let kind = stream.get_ref().1.handshake_kind();
                        hung_up.handshakes.lock().unwrap().extend(kind);
                        let served = server.serve_connection(TokioIo::new(stream), service);
                        tokio::select! {
                            _ = served => {}
                            () = hung_up.hang_up.notified() => {}
                        }
                    }
                }
            }
        });
    }
}

fn cbor<T: Encode<()>>(status: u16, message: &T) -> Answer {
    bytes(status, to_cbor(message))
}

fn bytes(status: u16, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .body(Full::new(body.into()).boxed())
        .unwrap()
}

fn api_error(code: ErrorCode) -> Answer {
    let error = ApiError {
        code,
        message: "no".to_owned(),
        request_id: "r1".to_owned(),
        retry_after_ms: Some(7),
    };
    cbor(code.status(), &error)
}

/// An answer of frames; it goes on for ever unless it ends.
fn frames(frames: Vec<Frame>, is_endless: bool) -> Answer {
    let blocks = stream::iter(frames).map(|frame| {
        let mut out = BytesMut::new();
        frame.encode(&mut out);
        Ok(BodyFrame::data(out.freeze()))
    });
    let tail = if is_endless {
        stream::pending().left_stream()
    } else {
        stream::empty().right_stream()
    };
    Response::new(BodyExt::boxed(StreamBody::new(blocks.chain(tail))))
}

async fn answer(request: Request<Incoming>, seen: Arc<Seen>) -> Result<Answer, Infallible> {
    let path = request.uri().path().to_owned();
    seen.requests
        .lock()
        .unwrap()
        .push((path.clone(), request.version()));
    let is_known = request
        .headers()
        .get("authorization")
        .is_some_and(|value| value == "Bearer good");
    let query = request.uri().query().unwrap_or_default().to_owned();
    let body = request
        .into_body()
        .collect()
        .await
        .map_or_else(|_| Bytes::new(), |body| body.to_bytes());
    *seen.body_bytes.lock().unwrap() += body.len();
    use cairn_api::sync::path as route;
    let hello = Hello {
        product: "cairn".to_owned(),
        protocol: PROTOCOL_VERSION,
        version: "1".to_owned(),
    };
    Ok(match path.as_str() {
        route::HELLO => cbor(200, &hello),
        route::LOGIN => api_error(ErrorCode::WrongCredentials),
        _ if !is_known => api_error(ErrorCode::NotAuthenticated),
        route::CHUNKS => {
            assert_eq!(query, format!("ns={}", NamespaceId::new(77).unwrap()));
            cbor(
                200,
                &ChunksReply {
                    count: whole_chunks(&body),
                },
            )
        }
        route::FETCH => frames(fetched(), false),
        route::EVENTS => frames(vec![Frame::Message(to_cbor(&Event::Heartbeat).into())], true),
        route::CHANGES => bytes(502, "<html>the proxy</html>"),
        route::NODES => bytes(404, "<html>another server</html>"),
        route::DEVICES => bytes(200, "not CBOR"),
        route::RESOLVE => frames(Vec::new(), true),
        _ => api_error(ErrorCode::RateLimited),
    })
}

fn whole_chunks(body: &[u8]) -> u32 {
    let mut reader = FrameReader::new();
    reader.push(body);
    let mut count = 0;
    while let Some(frame) = reader.next_frame().unwrap() {
        count += u32::from(matches!(frame, Frame::Chunk(_)));
    }
    reader.finish().unwrap();
    count
}

fn chunk(seed: u64, len: usize) -> ChunkFrame {
    let plaintext = crate::remote::fake::noise(seed, len);
    ChunkFrame {
        hash: ChunkHash::of(&plaintext),
        is_page: false,
        chunk: encode_chunk(&plaintext),
    }
}

/// A reply that lacks its end frame.
fn fetched() -> Vec<Frame> {
    let start = FetchStart {
        item: 0,
        status: FetchStatus::Found,
        frames: 2,
    };
    vec![
        Frame::Message(to_cbor(&start).into()),
        Frame::Chunk(chunk(1, 200_000)),
        Frame::Chunk(chunk(2, 200_000)),
    ]
}

fn fetch() -> Fetch {
    Fetch {
        namespace: NamespaceId::new(77).unwrap(),
        items: Vec::new(),
    }
}

#[tokio::test]
async fn a_confirmed_certificate_is_believed_and_http_2_is_spoken() {
    let server = TestServer::start(true).await;
    assert_eq!(hello(&server.url(), server.trust()).await.unwrap().version, "1");
    assert_eq!(
        server.requests(),
        [(Route::Hello.path().to_owned(), Version::HTTP_2)]
    );
}

#[tokio::test]
async fn a_connection_that_was_cut_is_resumed_without_a_new_proof() {
    let server = TestServer::start(true).await;
    let remote = server.remote();
    let count = || server.seen.handshakes.lock().unwrap().len();
    let refused = |error| matches!(error, RemoteError::Refused(_));
    assert!(refused(remote.whoami().await.unwrap_err()));
    server.seen.hang_up.notify_waiters();
    let again = async {
        // The first request may still go out over the connection that ends.
        while count() < 2 {
            drop(remote.whoami().await);
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
    assert_eq!(
        *server.seen.handshakes.lock().unwrap(),
        [HandshakeKind::Full, HandshakeKind::Resumed]
    );
}

#[tokio::test]
async fn another_certificate_is_named_and_nothing_is_sent_to_it() {
    let server = TestServer::start(true).await;
    let fingerprint = server.fingerprint.unwrap();
    let other = Trust::Pinned(CertificateFingerprint::of(b"other"));
    for trust in [other, Trust::Platform] {
        let error = hello(&server.url(), trust).await.unwrap_err();
        let RemoteError::UntrustedCertificate {
            fingerprint: found, ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(*found, fingerprint.to_string());
        assert!(!error.is_transient());
    }
    assert_eq!(probe_certificate(&server.url()).await.unwrap(), Some(fingerprint));
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn plain_http_is_for_this_machine() {
    let server = TestServer::start(false).await;
    assert_eq!(probe_certificate(&server.url()).await.unwrap(), None);
    assert_eq!(server.requests()[0].1, Version::HTTP_11);
    for url in [
        "http://cairn.example",
        "http://192.0.2.1:80",
        "ftp://127.0.0.1",
        "cairn.example",
        "https://cairn.example/path",
        "https://me@cairn.example",
        "http://127.0.0.1.example",
        "",
    ] {
        let error = hello(url, Trust::Platform).await.unwrap_err();
        assert!(
            matches!(error, RemoteError::BadAddress { .. }),
            "{url}: {error:?}"
        );
    }
    for url in ["http://localhost:1", "http://[::1]:1", "http://127.9.9.9:1"] {
        let error = hello(url, Trust::Platform).await.unwrap_err();
        assert!(
            matches!(error, RemoteError::Unreachable { .. }),
            "{url}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_login_that_fails_says_why() {
    let server = TestServer::start(true).await;
    let message = Login {
        email: "a@example.org".to_owned(),
        password: "secret".to_owned(),
        device_name: "here".to_owned(),
        device: DeviceId::new(1).unwrap(),
        code: None,
    };
    let error = login(&server.url(), server.trust(), &message).await.unwrap_err();
    assert!(matches!(error, RemoteError::Refused(error) if error.code == ErrorCode::WrongCredentials));
}

#[tokio::test]
async fn errors_are_told_apart() {
    let server = TestServer::start(true).await;
    let remote = server.remote();
    let error = remote.whoami().await.unwrap_err();
    assert!(matches!(&error, RemoteError::Refused(error)
        if error.code == ErrorCode::RateLimited && error.retry_after_ms == Some(7) && error.request_id == "r1"));
    let error = remote.devices().await.unwrap_err();
    assert!(matches!(error, RemoteError::Malformed { .. }), "{error:?}");
    let cursor = cairn_core::rev::Cursor {
        namespace: NamespaceId::new(77).unwrap(),
        incarnation: cairn_core::ids::Incarnation::new([0; 16]),
        seq: cairn_core::rev::Seq::ZERO,
        chain: cairn_core::ids::ChainHash::new([0; 32]),
    };
    let error = remote
        .changes(ChangesRequest {
            cursor,
            limit: 1,
            wait_seconds: 0,
        })
        .await
        .unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    let nodes = NodesRequest {
        namespace: cursor.namespace,
        at: None,
        folder: None,
        after: None,
        limit: 1,
    };
    let error = remote.nodes(nodes).await.unwrap_err();
    assert!(matches!(error, RemoteError::NotCairn { .. }), "{error:?}");
    let stranger = HttpRemote::new(&server.url(), "bad", server.trust(), Progress::new()).unwrap();
    let error = stranger.whoami().await.unwrap_err();
    assert!(matches!(error, RemoteError::Refused(error) if error.code == ErrorCode::NotAuthenticated));
    assert!(HttpRemote::new(&server.url(), "line\nbreak", server.trust(), Progress::new()).is_err());
}

#[tokio::test]
async fn bodies_of_chunks_arrive_whole_over_both_versions() {
    for is_tls in [true, false] {
        let server = TestServer::start(is_tls).await;
        let progress = Progress::new();
        let remote = HttpRemote::new(&server.url(), "good", server.trust(), Arc::clone(&progress)).unwrap();
        let chunks: Vec<_> = (0..30).map(|seed| chunk(seed, 250_000)).collect();
        remote
            .put_chunks(NamespaceId::new(77).unwrap(), chunks)
            .await
            .unwrap();
        let sent = *server.seen.body_bytes.lock().unwrap() as u64;
        assert!(sent > 7_500_000);
        assert_eq!(progress.snapshot().up.wire_bytes, sent);
        assert_eq!(progress.requests_of(Route::Chunks), 1);
    }
}

/// Keeps the body of a request, and never answers.
#[derive(Default)]
struct Kept(Mutex<Option<Body>>);

#[async_trait]
impl Transport for Kept {
    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, TransportError> {
        *self.0.lock().unwrap() = Some(request.into_body());
        futures::future::pending().await
    }
}

/// What travels of a commit before it says what it asks for, and the rest of the body.
async fn begun(request: oneshot::Receiver<Vec<u8>>) -> (Bytes, Body) {
    let kept = Arc::new(Kept::default());
    let remote = HttpRemote::over(kept.clone(), "server", "good", Progress::new()).unwrap();
    let chunks = vec![Frame::Chunk(chunk(1, 40_000))];
    let call = remote.commit_later(chunks, request);
    assert!(futures::poll!(call).is_pending());
    let mut body = kept.0.lock().unwrap().take().unwrap();
    let first = body.next().await.unwrap().unwrap();
    (first, body)
}

#[tokio::test]
async fn the_chunks_of_a_commit_travel_before_it_says_what_it_asks_for() {
    let (sender, receiver) = oneshot::channel();
    let (first, mut body) = begun(receiver).await;
    let mut reader = FrameReader::new();
    reader.push(&first);
    assert_eq!(reader.next_frame().unwrap(), Some(Frame::Chunk(chunk(1, 40_000))));
    assert!(futures::poll!(body.next()).is_pending());
    sender.send(b"a request".to_vec()).unwrap();
    reader.push(&body.next().await.unwrap().unwrap());
    assert_eq!(
        reader.next_frame().unwrap(),
        Some(Frame::Message(Bytes::from_static(b"a request")))
    );
    assert_eq!(reader.next_frame().unwrap(), Some(Frame::End));
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn a_commit_that_is_given_up_has_no_end() {
    let (sender, receiver) = oneshot::channel();
    let (_, mut body) = begun(receiver).await;
    drop(sender);
    assert!(body.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_fetch_without_its_end_is_cut() {
    let server = TestServer::start(true).await;
    let mut stream = server.remote().fetch(fetch()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(Fetched::Start(start))) if start.frames == 2));
    for seed in [1, 2] {
        assert_eq!(
            stream.next().await.unwrap().unwrap(),
            Fetched::Chunk(chunk(seed, 200_000))
        );
    }
    assert!(matches!(
        stream.next().await,
        Some(Err(RemoteError::Malformed { .. }))
    ));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn events_come_as_they_happen() {
    let server = TestServer::start(true).await;
    let mut events = server.remote().events().await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Heartbeat);
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let server = TestServer::start(true).await;
    let remote = server.remote();
    let caller = &remote.caller;
    let request = caller.request(Method::GET, Route::Resolve.path());
    let request = Caller::whole(request, Vec::new());
    let response = caller.send(Route::Resolve, request, SILENCE).await.unwrap();
    let mut frames = caller.incoming(response, Duration::from_millis(50));
    let error = frames.next().await.unwrap_err();
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error:?}");
}

#[tokio::test]
async fn nobody_at_the_address_is_no_mystery() {
    let address = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let error = hello(&format!("http://{address}"), Trust::Platform)
        .await
        .unwrap_err();
    assert!(matches!(error, RemoteError::Unreachable { .. }));
    assert_eq!(error.to_string(), format!("cannot reach http://{address}"));
}
