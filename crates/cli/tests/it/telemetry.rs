//! Traces, as a collector on loopback gets them.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::support::World;

/// No test waits longer for anything.
const DEADLINE: Duration = Duration::from_secs(60);

/// A server that runs until the test is over, and its address.
struct Serving {
    process: Child,
    address: String,
}

impl Serving {
    fn start(world: &World, config: &str, environment: &[(&str, &str)]) -> Self {
        let path = world.path().join("server.toml");
        fs::write(&path, config).expect("a configuration");
        let mut process = Command::new(env!("CARGO_BIN_EXE_cairn"))
            .args(["serve", "--listen", "127.0.0.1:0", "--config"])
            .arg(&path)
            .arg("--data")
            .arg(world.path().join("data"))
            .env("CAIRN_HOME", world.path().join("home"))
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(world.path().join("log")).expect("a log"))
            .spawn()
            .expect("the server starts");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .rsplit("http://")
            .next()
            .expect("an address")
            .to_owned();
        assert!(line.starts_with("Serving"), "{line}");
        Self { process, address }
    }

    /// Asks for a path; the status line and the request's id.
    fn get(&self, path: &str) -> (String, String) {
        self.get_within(path, DEADLINE)
    }

    fn get_within(&self, path: &str, deadline: Duration) -> (String, String) {
        let mut socket = TcpStream::connect(&self.address).expect("a connection");
        socket.set_read_timeout(Some(deadline)).expect("a deadline");
        let request = format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).expect("a request");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer");
        // The body may be no text.
        let answer = String::from_utf8_lossy(&answer);
        let id = answer.split("x-request-id: ").nth(1).expect("an id");
        let id = id.lines().next().expect("a line").to_owned();
        (answer.lines().next().expect("a status").to_owned(), id)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Takes what is posted, with the path that it is posted to.
fn collect(listener: TcpListener) -> Receiver<(String, Vec<u8>)> {
    let (sender, posts) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((socket, _)) = listener.accept() {
            let Ok(post) = read_post(socket) else { continue };
            if sender.send(post).is_err() {
                return;
            }
        }
    });
    posts
}

fn read_post(socket: TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut reader = BufReader::new(socket.try_clone()?);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().expect("a number");
        }
        if let Some(kind) = line.strip_prefix("content-type: ") {
            assert_eq!(kind, "application/x-protobuf");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    (&socket).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    Ok((first.trim().to_owned(), body))
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found
        .and_then(|found| found.value.clone())
        .and_then(|any| any.value);
    match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// The span of a request, and what the server calls itself.
fn span_of(posts: &Receiver<(String, Vec<u8>)>, id: &str) -> (Span, String) {
    loop {
        let (first, body) = posts.recv_timeout(DEADLINE).expect("a batch of spans");
        assert_eq!(first, "POST /v1/traces HTTP/1.1");
        assert!(
            !String::from_utf8_lossy(&body).contains("secret"),
            "no path travels"
        );
        let batch = ExportTraceServiceRequest::decode(body.as_slice()).expect("a batch");
        for resource in batch.resource_spans {
            let attributes = resource.resource.expect("a resource").attributes;
            let name = attributes
                .iter()
                .find(|attribute| attribute.key == "service.name");
            let name = format!("{:?}", name.expect("a name").value);
            let mut spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            if let Some(span) = spans.find(|span| attribute(span, "request.id") == id) {
                return (span, name);
            }
        }
    }
}

#[test]
fn a_request_leaves_a_span_without_a_name_in_it() {
    for is_in_environment in [false, true] {
        let world = World::new();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let posts = collect(listener);
        let config = format!("[telemetry]\notlp_endpoint = \"{url}/\"\nservice_name = \"files\"\n");
        let soon = ("OTEL_BSP_SCHEDULE_DELAY", "100");
        let serving = match is_in_environment {
            false => Serving::start(&world, &config, &[soon]),
            true => {
                let environment = [
                    soon,
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
                    ("OTEL_SERVICE_NAME", "files"),
                ];
                Serving::start(&world, "", &environment)
            }
        };
        let (status, id) = serving.get("/sync/1/whoami?secret=1");
        assert_eq!(status, "HTTP/1.1 401 Unauthorized");
        let (span, service) = span_of(&posts, &id);
        assert!(service.contains("\"files\""), "{service}");
        assert_eq!(span.name, "GET /sync/1/whoami");
        assert_eq!(attribute(&span, "http.route"), "/sync/1/whoami");
        assert_eq!(attribute(&span, "http.response.status_code"), "401");
        let (_, id) = serving.get("/secret/file");
        assert_eq!(span_of(&posts, &id).0.name, "GET other");
        let log = fs::read_to_string(world.path().join("log")).expect("a log");
        assert!(!log.contains("cairn::spans") && log.contains(&id), "{log}");
    }
}

#[test]
fn a_collector_that_does_not_answer_keeps_nobody_waiting() {
    let world = World::new();
    // Takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_BSP_SCHEDULE_DELAY", "1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "2"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1"),
    ];
    let serving = Serving::start(&world, "", &environment);
    for _ in 0..100 {
        // One export alone waits for ten seconds.
        let (status, _) = serving.get_within("/healthz", Duration::from_secs(9));
        assert_eq!(status, "HTTP/1.1 200 OK");
    }
    drop(listener);
}

#[test]
fn what_cannot_be_an_address_is_said_at_the_start() {
    let world = World::new();
    let path = world.path().join("server.toml");
    fs::write(&path, "[telemetry]\notlp_endpoint = \"not an address\"\n").expect("a configuration");
    let said = world.run(&["serve", "--data", "data", "--config", "server.toml"]);
    assert!(
        said.contains("exit 2") && said.contains("traces cannot be sent"),
        "{said}"
    );
}
