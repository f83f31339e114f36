//! What a connection may ask for, and how many there may be.

use std::net::SocketAddr;
use std::time::Duration;

use cairn_server::tls::Tls;
use cairn_server::{ServerConfig, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::serve::client;
use crate::support::{World, soon};

/// How a client of HTTP/2 begins: the preface, and settings that set nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// Longer than the server waits for anything of a connection.
const LONG: Duration = Duration::from_secs(600);

/// Serves until the test is over.
async fn serving(config: ServerConfig, tls: Option<Tls>) -> SocketAddr {
    let world = World::with(config);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { serve(listener, tls, world.server.clone(), CancellationToken::new()).await });
    address
}

async fn plain() -> SocketAddr {
    serving(ServerConfig::default(), None).await
}

async fn get(socket: &mut TcpStream, headers: &str) {
    let request = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
}

/// The status of the next answer, which has a short body.
async fn status(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nok\n") && soon(socket.read_buf(&mut answer)).await.unwrap() > 0 {}
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn ten_thousand_connections_are_open_at_once_and_others_wait() {
    let usual = ServerConfig::default();
    assert_eq!(usual.max_connections, 10_000);
    let few = ServerConfig {
        max_connections: 2,
        ..usual
    };
    let address = serving(few, None).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut socket = TcpStream::connect(address).await.unwrap();
        get(&mut socket, "").await;
        open.push(socket);
    }
    let [first, second, third] = &mut open[..] else {
        panic!("three")
    };
    assert_eq!(status(first).await, "HTTP/1.1 200 OK");
    // While the others are served again and again the third is not.
    for _ in 0..20 {
        get(first, "").await;
        assert_eq!(status(first).await, "HTTP/1.1 200 OK");
    }
    let nothing = third.try_read(&mut [0]).unwrap_err();
    assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
    // It has its turn once one of them goes.
    second.shutdown().await.unwrap();
    assert_eq!(status(third).await, "HTTP/1.1 200 OK");
}

#[tokio::test(start_paused = true)]
async fn who_asks_nothing_keeps_a_place_for_twenty_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls::self_signed(folder.path(), &["localhost".to_owned()]).unwrap();
    let (plain, encrypted) = (plain().await, serving(ServerConfig::default(), Some(tls)).await);
    // A handshake of TLS that does not go on, a beginning of HTTP/2, the beginning of a request, and nothing at all.
    let beginnings: [(SocketAddr, &[u8]); 5] = [
        (plain, b""),
        (plain, PREFACE),
        (plain, b"GET /healthz HTTP/1.1\r\nhost: x\r\n"),
        (encrypted, b""),
        (encrypted, b"\x16\x03\x01"),
    ];
    for (address, beginning) in beginnings {
        let mut socket = TcpStream::connect(address).await.unwrap();
        socket.write_all(beginning).await.unwrap();
        let (started, mut said) = (Instant::now(), Vec::new());
        // Either a clean end or a reset: what counts is that it ends.
        let ended = tokio::time::timeout(LONG, socket.read_to_end(&mut said)).await;
        assert!(ended.is_ok(), "{beginning:?}");
        let waited = started.elapsed();
        assert!(waited.as_secs() == 20, "{beginning:?}: {waited:?}");
    }
    // Who has asked something stays longer.
    let mut socket = TcpStream::connect(plain).await.unwrap();
    get(&mut socket, "").await;
    assert_eq!(status(&mut socket).await, "HTTP/1.1 200 OK");
    let started = Instant::now();
    let ended = tokio::time::timeout(LONG, socket.read_to_end(&mut Vec::new())).await;
    assert!(ended.is_ok() && started.elapsed() > Duration::from_secs(60));
}

#[tokio::test]
async fn a_request_has_at_most_so_many_headers() {
    let address = plain().await;
    for (headers, expected) in [
        ("a: b\r\n".repeat(62), "HTTP/1.1 200 OK"),
        (
            "a: b\r\n".repeat(64),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
        (format!("a: {}\r\n", "b".repeat(60 << 10)), "HTTP/1.1 200 OK"),
        (
            format!("a: {}\r\n", "b".repeat(70 << 10)),
            "HTTP/1.1 431 Request Header Fields Too Large",
        ),
    ] {
        let mut socket = TcpStream::connect(address).await.unwrap();
        get(&mut socket, &headers).await;
        assert_eq!(status(&mut socket).await, expected, "{} bytes", headers.len());
    }
}

/// What a server says of itself when HTTP/2 begins, by the number of the setting (RFC 9113, 6.5).
async fn settings(socket: &mut TcpStream) -> Vec<(u16, u32)> {
    socket.write_all(PREFACE).await.unwrap();
    let mut head = [0; 9];
    soon(socket.read_exact(&mut head)).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is of settings");
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    soon(socket.read_exact(&mut payload)).await.unwrap();
    let setting = |six: &[u8]| {
        let (number, value) = six.split_at(2);
        (
            u16::from_be_bytes(number.try_into().unwrap()),
            u32::from_be_bytes(value.try_into().unwrap()),
        )
    };
    payload.chunks(6).map(setting).collect()
}

#[tokio::test]
async fn a_connection_of_http2_has_at_most_so_many_streams_and_so_long_headers() {
    let address = plain().await;
    let mut socket = TcpStream::connect(address).await.unwrap();
    let told = settings(&mut socket).await;
    // SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_MAX_HEADER_LIST_SIZE.
    for setting in [(3, 64), (6, 16 << 10)] {
        assert!(told.contains(&setting), "{told:?}");
    }
    // And what it says, it holds.
    let client = client().http2_prior_knowledge().build().unwrap();
    for (length, expected) in [(15 << 10, 200), (17 << 10, 431)] {
        let request = client.get(format!("http://{address}/healthz"));
        let answer = soon(request.header("a", "b".repeat(length)).send())
            .await
            .unwrap();
        assert_eq!(answer.status(), expected, "{length}");
    }
}
