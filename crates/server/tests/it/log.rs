//! What is in the log, and what never is.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::Request;
use cairn_api::sync::{Login, LoginReply, path, to_cbor};
use cairn_server::{SPANS, TextExtractor};
use serde_json::json;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, fmt};

use crate::browser::encoded;
use crate::public::{App, value};
use crate::support::{Device, PASSWORD, Raw, World, body, chunk, chunks_path, login};

/// Stands in whatever a request may hold that is nobody's business.
const MARK: &str = "mark7c41";

/// What our crates say in this process, at every level, in the form in which an operator reads it.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// Begins to listen, once in a process: what runs on other threads is heard too.
    pub(crate) fn listen() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Self::default();
            let ours = Targets::new()
                .with_target("cairn", LevelFilter::TRACE)
                // For traces, which have tests of their own.
                .with_target(SPANS, LevelFilter::OFF);
            let lines = fmt::layer().with_ansi(false).with_writer(log.clone());
            let all = tracing_subscriber::registry().with(lines.with_filter(ours));
            tracing::subscriber::set_global_default(all).unwrap();
            log
        });
        log.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// Checks that no line holds a text, in whatever case.
    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) {
        let all = self.text();
        let found = all.lines().find(|line| line.to_lowercase().contains(text));
        assert_eq!(found, None, "{text}");
    }

    /// The lines about the request that was answered so.
    fn of(&self, raw: &Raw) -> Vec<String> {
        let id = format!(" request.id={} ", raw.headers["x-request-id"].to_str().unwrap());
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains(&id));
        lines.map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Log {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Checks that a request has one line, of these fields alone.
#[track_caller]
fn assert_one_line(log: &Log, raw: &Raw, method: &str, route: &str, who: Option<&Device<'_>>) {
    let lines = log.of(raw);
    let [line] = &lines[..] else {
        panic!("{method} {route}: {lines:?}")
    };
    let (_, said) = line
        .split_once(" INFO cairn_server::request: request request.id=")
        .unwrap();
    let (id, said) = said.split_once(' ').unwrap();
    assert_eq!(id.len(), 16);
    let (said, rest) = said.split_once(" duration_ms=").unwrap();
    let status = raw.status.as_u16();
    assert_eq!(said, format!("method={method} route=\"{route}\" status={status}"));
    let (duration, device) = rest
        .split_once(" device.id=")
        .map_or((rest, None), |(a, b)| (a, Some(b)));
    assert!(duration.bytes().all(|byte| byte.is_ascii_digit()), "{line}");
    let whose = log.text();
    match (device, who) {
        (None, None) => {}
        (Some(device), Some(who)) => {
            let linked = format!("account.id={} device.id={device}\n", who.link.account);
            assert!(whose.contains(&linked), "{line}");
        }
        _ => panic!("{line}"),
    }
}

fn marked(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for name in ["user-agent", "referer", "x-forwarded-for"] {
        request = request.header(name, MARK);
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}

/// A device with the mark in its owner's address, in its password and in its own name.
async fn linked(world: &World) -> Device<'_> {
    let email = format!("{MARK}@example.org");
    world.account(&email).await;
    let login = Login {
        device_name: MARK.to_owned(),
        ..login(&email, PASSWORD)
    };
    let link: LoginReply = world.post(path::LOGIN, None, &login).await.ok();
    world.of(link)
}

/// A request, and what its line says of it.
struct Asked {
    request: Request<Body>,
    route: &'static str,
    /// Whether it is known who asks.
    is_known: bool,
}

fn asked(route: &'static str, request: Request<Body>) -> Asked {
    Asked {
        request,
        route,
        is_known: false,
    }
}

fn of_device(asked: Asked) -> Asked {
    Asked {
        is_known: true,
        ..asked
    }
}

/// As devices and apps ask.
fn of_programs(token: &str) -> Vec<Asked> {
    let bearer = format!("Bearer {token}");
    let unknown = format!("Bearer cairn_{}", MARK.repeat(8));
    let code = Login {
        code: Some(MARK.to_owned()),
        ..login(&format!("{MARK}@example.org"), MARK)
    };
    let argument = json!({ "path": format!("/{MARK}/{MARK}.txt") }).to_string();
    let query = json!({ "query": MARK }).to_string();
    let traded = [
        ("grant_type", "authorization_code"),
        ("code", MARK),
        ("client_secret", MARK),
    ];
    let by_device = ("authorization", bearer.as_str());
    let by_nobody = ("authorization", unknown.as_str());
    let whoami = format!("{}?{MARK}", path::WHOAMI);
    let (upload, search) = ("/2/files/upload", "/2/files/search_v2");
    let uploaded = [by_device, ("dropbox-api-arg", argument.as_str())];
    let searched = [by_device, ("content-type", "application/json")];
    vec![
        of_device(asked(path::WHOAMI, marked("GET", &whoami, &[by_device], ""))),
        asked(path::WHOAMI, marked("GET", path::WHOAMI, &[by_nobody], "")),
        asked(path::LOGIN, marked("POST", path::LOGIN, &[], to_cbor(&code))),
        asked(path::LOGIN, marked("POST", path::LOGIN, &[], MARK)),
        of_device(asked(upload, marked("POST", upload, &uploaded, MARK))),
        of_device(asked(search, marked("POST", search, &searched, query))),
        asked(
            "/oauth2/token",
            marked("POST", "/oauth2/token", &[], encoded(&traded)),
        ),
    ]
}

/// As browsers ask, and who tries whatever there may be.
fn of_people() -> Vec<Asked> {
    let email = format!("{MARK}@x");
    let form = encoded(&[("email", &email), ("password", MARK), ("link", MARK)]);
    let at = |prefix: &str| format!("{prefix}{MARK}");
    let cookie = format!("cairn-session=cairn_{}", MARK.repeat(8));
    let authorize = format!("/oauth2/authorize?client_id=app&state={MARK}&redirect_uri=https://{MARK}");
    let callback = at("/oidc/callback?error_description=");
    let (join, reset) = (at("/join?link="), at("/reset?link="));
    vec![
        asked("other", marked("GET", &at("/a/b?c="), &[], "")),
        asked("/t/{link}", marked("GET", &at("/t/"), &[], "")),
        asked("/oauth2/authorize", marked("GET", &authorize, &[], "")),
        asked("/join", marked("GET", &join, &[], "")),
        asked("/join", marked("POST", &join, &[], form.clone())),
        asked("/reset", marked("POST", &reset, &[], form)),
        asked("/account", marked("GET", "/account", &[("cookie", &cookie)], "")),
        asked("/oidc/callback", marked("GET", &callback, &[], "")),
    ]
}

#[tokio::test]
async fn a_request_leaves_one_line_with_its_route_and_nothing_that_it_holds() {
    let log = Log::listen();
    let world = World::new();
    let device = linked(&world).await;
    for asked in of_programs(&device.token).into_iter().chain(of_people()) {
        let method = asked.request.method().to_string();
        let raw = world.send(asked.request).await;
        assert_one_line(
            &log,
            &raw,
            &method,
            asked.route,
            asked.is_known.then_some(&device),
        );
    }
    // A method may be any word.
    let raw = world.send(marked("MARK7C41", "/healthz", &[], "")).await;
    assert_one_line(&log, &raw, "other", "/healthz", None);
    for secret in [MARK, PASSWORD, &device.token] {
        log.lacks(secret);
    }
}

/// What is broken here is told too, under the request's id, and of the file no more than of any other.
#[tokio::test]
async fn a_failure_is_logged_without_what_it_was_about() {
    let log = Log::listen();
    let world = World::new();
    let device = linked(&world).await;
    world
        .chunks
        .is_full
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let bearer = format!("Bearer {}", device.token);
    let upload = format!("{}&more={MARK}", chunks_path(device.root));
    let sent = body(&[chunk(MARK.as_bytes())]);
    let headers = [("authorization", bearer.as_str())];
    let raw = world.send(marked("POST", &upload, &headers, sent)).await;
    let lines = log.of(&raw);
    assert!(raw.status.is_server_error() && lines.len() == 2, "{lines:?}");
    assert!(
        lines[0].contains(" ERROR cairn_server::request: request failed "),
        "{lines:?}"
    );
    log.lacks(MARK);
}

/// Documents are their own text.
struct Plain;

#[async_trait]
impl TextExtractor for Plain {
    fn is_document(&self, beginning: &[u8]) -> bool {
        beginning.starts_with(b"%PDF")
    }

    async fn text_of(&self, document: Vec<u8>, _: usize) -> Option<String> {
        String::from_utf8(document).ok()
    }
}

#[tokio::test]
async fn queries_and_texts_are_in_no_log() {
    let log = Log::listen();
    let folder = tempfile::tempdir().unwrap();
    let world = World::new();
    world.server.index_texts(folder.path(), Arc::new(Plain)).unwrap();
    let device = linked(&world).await;
    let app = App::of(&world, &device);
    app.put(&format!("/{MARK}.txt"), format!("a {MARK} in a text").as_bytes())
        .await;
    app.put("/document", format!("%PDF {MARK} in a document").as_bytes())
        .await;
    world.server.catch_up_texts().await.unwrap();
    for query in [MARK, "mark7c41 document", "\"mark7c41 in", "mark7c41:*"] {
        let argument = json!({ "query": query, "match_field_options": { "include_highlights": true } });
        let raw = app.raw("files/search_v2", argument).await;
        if query == MARK {
            assert_eq!(value(&raw)["matches"].as_array().unwrap().len(), 2);
        }
        assert_one_line(&log, &raw, "POST", "/2/files/search_v2", Some(&device));
    }
    // An index that is beyond use is told of.
    for entry in walk(folder.path()) {
        std::fs::write(entry, MARK).unwrap();
    }
    app.raw("files/search_v2", json!({ "query": format!("{MARK} again") }))
        .await;
    log.lacks(MARK);
}

/// Every file below a folder.
fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push(path),
        }
    }
    found
}
