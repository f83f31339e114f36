use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cairn_api::frame::{Frame, FrameReader};
use cairn_api::sync::{
    ChangesReply, ChangesRequest, CommitReply, Event, Hello, LoginReply, from_cbor, path, to_cbor,
};
use cairn_core::change::Change;
use cairn_core::ids::ContentHash;
use cairn_core::node::{Content, FileContent};
use cairn_server::tls::{Fingerprint, Tls};
use cairn_server::{ServeError, ServerConfig, serve};
use futures::StreamExt;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{DEADLINE, PASSWORD, TestFile, World, commit_body, create, login, new_node, soon};

struct Running {
    address: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    async fn start(world: &World, tls: Option<Tls>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(listener, tls, world.server.clone(), shutdown.clone()));
        Self {
            address,
            shutdown,
            serving,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        soon(self.serving).await.unwrap().unwrap();
    }
}

/// The certificate that a folder's server shows, as a trust anchor.
fn certificate(folder: &tempfile::TempDir) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap()
}

fn self_signed(folder: &tempfile::TempDir) -> Tls {
    Tls::self_signed(folder.path(), &["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap()
}

pub(crate) fn client() -> reqwest::ClientBuilder {
    // The process has one provider; whoever comes first installs it.
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap_or_default();
    reqwest::Client::builder().no_proxy().timeout(DEADLINE)
}

#[tokio::test]
async fn the_self_signed_certificate_has_the_printed_fingerprint() {
    let folder = tempfile::tempdir().unwrap();
    let tls = self_signed(&folder);
    let fingerprint = tls.fingerprint();
    let world = World::new();
    let running = Running::start(&world, Some(tls)).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate(&folder)).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let socket = TcpStream::connect(running.address).await.unwrap();
    let stream = soon(connector.connect(ServerName::try_from("localhost").unwrap(), socket))
        .await
        .unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.alpn_protocol(), Some(&b"h2"[..]));
    let shown = ring::digest::digest(&ring::digest::SHA256, &session.peer_certificates().unwrap()[0]);
    assert_eq!(fingerprint, Fingerprint(shown.as_ref().try_into().unwrap()));
    drop(stream);
    running.stop().await;
}

#[tokio::test]
async fn both_versions_of_http_are_spoken_with_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let (plain_world, tls_world) = (World::new(), World::new());
    let plain = Running::start(&plain_world, None).await;
    let tls = Running::start(&tls_world, Some(self_signed(&folder))).await;
    let root = reqwest::Certificate::from_der(&certificate(&folder)).unwrap();
    let https = format!("https://{}{}", tls.address, path::HELLO);
    let http = plain.url(path::HELLO);
    let trusting = || client().tls_certs_only([root.clone()]);
    for (client, url, version) in [
        (
            client().http1_only().build().unwrap(),
            &http,
            reqwest::Version::HTTP_11,
        ),
        (
            client().http2_prior_knowledge().build().unwrap(),
            &http,
            reqwest::Version::HTTP_2,
        ),
        (
            trusting().http1_only().build().unwrap(),
            &https,
            reqwest::Version::HTTP_11,
        ),
        (trusting().build().unwrap(), &https, reqwest::Version::HTTP_2),
    ] {
        let answer = client.get(url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        let hello: Hello = from_cbor(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!(hello.product, "cairn");
    }
    plain.stop().await;
    tls.stop().await;
}

#[tokio::test]
async fn plain_http_is_not_offered_to_a_network() {
    let world = World::new();
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let refused = serve(listener, None, world.server.clone(), CancellationToken::new()).await;
    assert!(
        matches!(refused, Err(ServeError::PlainOnNetwork { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_stopping_server_says_goodbye_and_finishes() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let running = Running::start(&world, None).await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let events = client
        .get(running.url(path::EVENTS))
        .bearer_auth(&device.token)
        .send()
        .await
        .unwrap();
    let mut blocks = events.bytes_stream();
    let mut reader = FrameReader::new();
    reader.push(&soon(blocks.next()).await.unwrap().unwrap());
    let changes = ChangesRequest {
        cursor: device.link.origin,
        limit: 10,
        wait_seconds: 50,
    };
    let waiting = client
        .post(running.url(path::CHANGES))
        .bearer_auth(&device.token)
        .body(to_cbor(&changes));
    let waiting = tokio::spawn(waiting.send());
    // The long poll has begun when it is seen to wait; the stream alone is one waiter.
    soon(async {
        while world.server.waiting_devices() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    running.stop().await;

    while let Some(block) = soon(blocks.next()).await {
        reader.push(&block.unwrap());
    }
    let mut messages = Vec::new();
    while let Some(frame) = reader.next_frame().unwrap() {
        if let Frame::Message(message) = frame {
            messages.push(from_cbor::<Event>(&message).unwrap());
        }
    }
    reader.finish().unwrap();
    assert!(
        matches!(messages[..], [Event::Head { .. }, Event::Drain { .. }]),
        "{messages:?}"
    );
    let answer = soon(waiting).await.unwrap().unwrap().bytes().await.unwrap();
    let reply: ChangesReply = from_cbor(&answer).unwrap();
    assert!(matches!(reply, ChangesReply::Page { entries, .. } if entries.is_empty()));
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_when_the_time_is_over() {
    let config = ServerConfig {
        drain_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let world = World::with(config);
    let device = world.device("ada@example.org").await;
    let running = Running::start(&world, None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    let head = format!(
        "POST {}?ns={} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n",
        path::CHUNKS,
        device.root,
        device.token
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut hello = TcpStream::connect(running.address).await.unwrap();
    hello
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    soon(hello.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    running.stop().await;
    let mut rest = Vec::new();
    // Either a clean end or a reset: what counts is that it ends.
    soon(socket.read_to_end(&mut rest)).await.unwrap_or_default();
}

#[tokio::test]
async fn a_refusal_of_the_public_api_leaves_the_connection_usable() {
    let world = World::new();
    let running = Running::start(&world, None).await;
    for route in [
        "files/upload",
        "files/list_folder",
        "no/such/route",
        "auth/token/revoke",
    ] {
        let mut socket = TcpStream::connect(running.address).await.unwrap();
        let head = format!("POST /2/{route} HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        // By now the server has seen the head, and could have answered and hung up.
        client()
            .build()
            .unwrap()
            .get(running.url("/healthz"))
            .send()
            .await
            .unwrap();
        let rest = b"helloGET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        socket.write_all(rest).await.unwrap();
        let mut answers = String::new();
        soon(socket.read_to_string(&mut answers)).await.unwrap();
        assert!(answers.starts_with("HTTP/1.1 40"), "{route}: {answers}");
        assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "{route}: {answers}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_refusal_that_is_sent_before_all_was_read_says_that_the_connection_closes() {
    let world = World::new();
    let running = Running::start(&world, None).await;
    let mut socket = TcpStream::connect(running.address).await.unwrap();
    // The rest never comes.
    let head = b"POST /2/files/upload HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhell";
    socket.write_all(head).await.unwrap();
    let mut answer = String::new();
    soon(socket.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    running.stop().await;
}

#[tokio::test]
async fn a_real_upload_with_a_wrong_content_hash_is_repaired_in_the_journal() {
    let world = World::with(ServerConfig {
        content_hash_delay: Duration::from_millis(10),
        ..ServerConfig::default()
    });
    world.account("ada@example.org").await;
    let running = Running::start(&world, None).await;
    let client = client().http2_prior_knowledge().build().unwrap();
    let login = client
        .post(running.url(path::LOGIN))
        .body(to_cbor(&login("ada@example.org", PASSWORD)));
    let link: LoginReply = from_cbor(&login.send().await.unwrap().bytes().await.unwrap()).unwrap();

    let file = TestFile::random("wrong hash", 1_000_000);
    let content = FileContent {
        content_hash: ContentHash::new([1; 32]),
        ..file.content.clone()
    };
    let node = new_node();
    let request = cairn_api::sync::CommitRequest {
        namespace: link.root,
        op_id: cairn_core::ids::OpId::new([5; 16]),
        groups: vec![vec![create(node, "a", Content::File(content))]],
        known: None,
        is_on_behalf: false,
    };
    let commit = client.post(running.url(path::COMMIT)).bearer_auth(&link.token);
    let commit = commit
        .body(commit_body(&file.chunks, &request))
        .send()
        .await
        .unwrap();
    let committed: CommitReply = from_cbor(&commit.bytes().await.unwrap()).unwrap();

    let changes = ChangesRequest {
        cursor: committed.cursor,
        limit: 10,
        wait_seconds: 20,
    };
    let changes = client
        .post(running.url(path::CHANGES))
        .bearer_auth(&link.token)
        .body(to_cbor(&changes));
    let reply: ChangesReply = from_cbor(&changes.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let ChangesReply::Page { entries, .. } = reply else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (entries.len(), entries[0].node, entries[0].change),
        (1, node, Change::Edited)
    );
    assert_eq!(entries[0].content, Some(Content::File(file.content)));
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn contents_are_checked_when_no_commit_has_come_for_a_while() {
    let world = World::with(ServerConfig {
        content_hash_delay: Duration::from_secs(10),
        ..ServerConfig::default()
    });
    let device = world.device("ada@example.org").await;
    world.server.start_jobs();
    let wrong = |seed: &str| {
        let mut file = TestFile::random(seed, 100_000);
        file.content.content_hash = ContentHash::new([1; 32]);
        file
    };
    device.put("first", &wrong("first")).await;
    // tidy: sleep because the clock stands still and is moved on by this alone
    tokio::time::sleep(Duration::from_secs(9)).await;
    let (node, _) = device.put("second", &wrong("second")).await;
    // tidy: sleep because the clock stands still and is moved on by this alone
    tokio::time::sleep(Duration::from_secs(9)).await;
    let unverified = || async {
        let contents = world.metadata.unverified_contents(device.root, 10).await;
        contents.unwrap().len()
    };
    assert_eq!(unverified().await, 2, "the second put the check off");
    // tidy: sleep because of the same
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(unverified().await, 0);
    let known = world
        .metadata
        .nodes(device.root, &[node])
        .await
        .unwrap()
        .pop()
        .flatten();
    let Some(Content::File(content)) = known.map(|node| node.content) else {
        panic!("a file")
    };
    assert_eq!(
        content.content_hash,
        TestFile::random("second", 100_000).content.content_hash
    );
}

#[tokio::test]
async fn monitors_on_this_machine_get_figures_without_names() {
    let world = World::new();
    let running = Running::start(&world, None).await;
    let client = client().build().unwrap();
    let secret = client
        .post(running.url("/2/files/upload?arg=secret-name"))
        .send()
        .await
        .unwrap();
    assert_eq!(secret.status(), 401);
    client.get(running.url("/secret-name")).send().await.unwrap();
    let figures = client.get(running.url("/metrics")).send().await.unwrap();
    assert!(
        figures.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("application/openmetrics-text")
    );
    let text = figures.text().await.unwrap();
    assert!(
        text.contains("cairn_requests_total{route=\"/2/files/upload\",status=\"401\"} 1"),
        "{text}"
    );
    assert!(
        text.contains("cairn_request_seconds_count{route=\"other\"} 1"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n") && !text.contains("secret"), "{text}");
    running.stop().await;
    // A request that came through no socket is of nobody on this machine.
    let raw = world
        .send(crate::support::request(
            "GET",
            "/metrics",
            None,
            axum::body::Body::empty(),
        ))
        .await;
    assert_eq!(raw.status, 403);
}
