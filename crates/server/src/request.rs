//! The layer around every request: its id, its line in the log, its error's form.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use cairn_api::error::ErrorCode;
use cairn_api::sync::{self, CBOR};
use cairn_core::ids::DeviceId;
use tracing::Instrument;

use crate::error::{Failure, ServiceError};
use crate::public;
use crate::state::State;

/// The target of spans: for traces, beside the lines of the log.
pub const SPANS: &str = "cairn::spans";

/// Header that carries the request's id back.
const REQUEST_ID: &str = "x-request-id";

/// The same for clients of the public API.
const DROPBOX_REQUEST_ID: &str = "x-dropbox-request-id";

/// Where a request came from; put in by `serve`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// For requests that came through no socket.
    pub(crate) const UNKNOWN: Self = Self(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
}

/// Whether a request came through TLS; put in by `serve`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encrypted(pub(crate) bool);

/// Filled in by authentication, read by the log.
#[derive(Clone, Default)]
pub(crate) struct Who(pub(crate) Arc<OnceLock<DeviceId>>);

/// Gives the request an id, answers errors in one form and writes one line about it, and one span where traces are sent,
/// without path, name, address or token.
pub(crate) async fn observe(Shared(state): Shared<Arc<State>>, mut request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let request_id = new_request_id(&state);
    let route = route_name(&request);
    let is_public = request.uri().path().starts_with(public::PREFIX);
    let method = method_name(request.method());
    let who = Who::default();
    request.extensions_mut().insert(who.clone());

    let span = tracing::debug_span!(
        target: SPANS,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        request.id = %request_id,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        device.id = tracing::field::Empty,
    );
    let is_preflight = is_public && request.method() == Method::OPTIONS;
    let mut response = match is_preflight {
        true => StatusCode::NO_CONTENT.into_response(),
        false => next.run(request).instrument(span.clone()).await,
    };
    let failure = response.extensions_mut().remove::<Failure>();
    if let Some(Failure(error)) = &failure {
        response = match is_public {
            true => public::failure_response(error, &request_id),
            false => error_response(error, request_id.clone()),
        };
        if response.status().is_server_error() {
            tracing::error!(request.id = %request_id, error = %chain(error), "request failed");
        }
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        if is_public {
            public::allow_other_origins(response.headers_mut());
            response.headers_mut().insert(DROPBOX_REQUEST_ID, value.clone());
        }
        response.headers_mut().insert(REQUEST_ID, value);
    }
    state
        .metrics
        .answered(&route, response.status(), started.elapsed());
    span.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Some(device) = who.0.get() {
        span.record("device.id", tracing::field::display(device));
    }
    tracing::info!(
        request.id = %request_id,
        method = %method,
        route,
        status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis() as u64,
        device.id = who.0.get().map(tracing::field::display),
        "request"
    );
    response
}

fn error_response(error: &ServiceError, request_id: String) -> Response {
    let body = error.to_api(request_id);
    let status = StatusCode::from_u16(body.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, [(header::CONTENT_TYPE, CBOR)], sync::to_cbor(&body)).into_response();
    let headers = response.headers_mut();
    if let Some(wait_ms) = body.retry_after_ms {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1_000)));
    }
    if matches!(body.code, ErrorCode::NotAuthenticated | ErrorCode::TokenExpired) {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// 64 random bits, as hex.
fn new_request_id(state: &State) -> String {
    let mut bytes = [0; 8];
    state.runtime.entropy.fill(&mut bytes);
    format!("{:016x}", u64::from_le_bytes(bytes))
}

/// An error with what caused it.
fn chain(error: &ServiceError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The method in the log. One that HTTP does not know stays out of it: it may be any word.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

/// The route in the log. What is none of ours stays out of it: it may hold anything.
fn route_name(request: &Request) -> String {
    let matched = request.extensions().get::<MatchedPath>();
    matched.map_or("other", MatchedPath::as_str).to_owned()
}
