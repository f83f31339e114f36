//! Accepts connections, speaks HTTP/1.1 and HTTP/2 on them, and stops without cutting anyone off.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use cairn_core::runtime::Spawner;
use hyper::Request;
use hyper::body::Incoming;
use hyper::rt::{Executor, Read, Write};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::Server;
use crate::jobs;
use crate::request::{Encrypted, Peer};
use crate::state::State;
use crate::tls::Tls;

/// HTTP/2 flow control: what one upload may have on its way, and what all of a connection may.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
/// Bytes of a frame of HTTP/2: with the 16 KiB that are usual every chunk is handled five times.
const FRAME_BYTES: u32 = 64 << 10;
/// Bytes that a response may have waiting in a connection: one chunk.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// HTTP/1.1 read buffer; grows with use, so an idle connection has little.
const BUFFER_BYTES: usize = 64 << 10;
/// Requests of one connection at once: an event stream, uploads, downloads, and room.
const CONCURRENT_STREAMS: u32 = 64;
const HEADERS: usize = 64;
const HEADER_LIST_BYTES: u32 = 16 << 10;
/// How long a client may take for a handshake and until its first request.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long an HTTP/1.1 connection may be silent between requests, and take for the headers of one.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(75);
/// How often a silent HTTP/2 connection is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(45);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// How long to wait when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why a server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener's address is unknown.
    #[error("cannot tell the address that is listened on")]
    Listener(#[source] io::Error),
    /// Passwords would cross a network in the clear.
    #[error("{address} can be reached from other machines: use TLS, or listen on 127.0.0.1")]
    PlainOnNetwork {
        /// The address.
        address: SocketAddr,
    },
}

/// Serves until `shutdown` is cancelled; then takes no more connections, tells event streams to reconnect, lets running
/// requests finish for a while and returns when everything has ended. Also runs the jobs. A server is served once; the
/// stores are the caller's to close.
///
/// # Errors
/// [`ServeError`], before anything is served.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    server: Server,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listener)?;
    let state = Arc::clone(&server.state);
    if tls.is_none() && !address.ip().is_loopback() && !state.config.allow_plain_http {
        return Err(ServeError::PlainOnNetwork { address });
    }
    jobs::start(&state);
    let acceptor = tls.map(|tls| TlsAcceptor::from(tls.config));
    let router = server.router();
    tracing::info!(%address, tls = acceptor.is_some(), "listening");
    shutdown
        .run_until_cancelled(accept_all(&listener, acceptor, &router, &state))
        .await;
    drop(listener);
    drain(&state).await;
    Ok(())
}

async fn accept_all(
    listener: &TcpListener,
    acceptor: Option<TlsAcceptor>,
    router: &Router,
    state: &Arc<State>,
) {
    let places = Arc::new(Semaphore::new(
        state.config.max_connections.clamp(1, Semaphore::MAX_PERMITS),
    ));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connection = Connection {
            router: router.clone(),
            peer: Peer(peer.ip()),
            draining: state.draining.clone(),
            spawner: Arc::clone(&state.runtime.spawner),
        };
        let acceptor = acceptor.clone();
        state.spawn("connection", async move {
            connection.run(socket, acceptor).await;
            drop(place);
        });
    }
}

/// Ends what is under way: asks first, cuts later.
async fn drain(state: &State) {
    state.draining.cancel();
    state.tasks.close();
    let timeout = state.config.drain_timeout;
    if tokio::time::timeout(timeout, state.tasks.wait()).await.is_err() {
        tracing::warn!(
            count = state.tasks.len(),
            "requests did not finish in time and are cut"
        );
        state.killed.cancel();
        state.tasks.wait().await;
    }
    tracing::info!("stopped");
}

struct Connection {
    router: Router,
    peer: Peer,
    draining: CancellationToken,
    spawner: Arc<dyn Spawner>,
}

impl Connection {
    async fn run(self, socket: TcpStream, acceptor: Option<TlsAcceptor>) {
        if let Err(error) = socket.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let Some(acceptor) = acceptor else {
            return self.http(TokioIo::new(socket), Encrypted(false)).await;
        };
        match tokio::time::timeout(PATIENCE, acceptor.accept(socket)).await {
            Ok(Ok(stream)) => self.http(TokioIo::new(stream), Encrypted(true)).await,
            Ok(Err(error)) => tracing::debug!(%error, "no TLS"),
            Err(_) => tracing::debug!("the TLS handshake took too long"),
        }
    }

    async fn http(self, io: impl Read + Write + Unpin + Send + 'static, encrypted: Encrypted) {
        let builder = self.builder();
        let has_begun = Arc::new(AtomicBool::new(false));
        let service = service_fn(|mut request: Request<Incoming>| {
            has_begun.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(self.peer);
            request.extensions_mut().insert(encrypted);
            let router = self.router.clone();
            router.oneshot(request.map(Body::new))
        });
        let connection = builder.serve_connection(io, service);
        tokio::pin!(connection);
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        let mut is_patient = true;
        let mut is_draining = false;
        loop {
            tokio::select! {
                end = connection.as_mut() => {
                    if let Err(error) = end {
                        tracing::debug!(%error, "a connection broke");
                    }
                    return;
                }
                () = &mut patience, if is_patient => {
                    // Who connects and asks nothing only takes a place.
                    if !has_begun.load(Ordering::Relaxed) {
                        return;
                    }
                    is_patient = false;
                }
                () = self.draining.cancelled(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
            }
        }
    }

    fn builder(&self) -> auto::Builder<Tasks> {
        let mut builder = auto::Builder::new(Tasks(Arc::clone(&self.spawner)));
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .max_headers(HEADERS)
            .max_buf_size(BUFFER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .max_concurrent_streams(CONCURRENT_STREAMS)
            .max_header_list_size(HEADER_LIST_BYTES)
            .max_send_buf_size(SEND_BUFFER_BYTES)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT);
        builder
    }
}

/// Runs the streams of an HTTP/2 connection. They end with their connection.
#[derive(Clone)]
struct Tasks(Arc<dyn Spawner>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.spawn("stream", Box::pin(task));
    }
}
