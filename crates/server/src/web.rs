//! What is not part of an API: a page for people, answers for monitors, answers to wrong addresses.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::ServiceError;
use crate::metrics;
use crate::state::State;

const PAGE: &str = include_str!("web/index.html");
/// The page needs nothing but its own style.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route("/", get(index))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route(metrics::ROUTE, get(metrics::metrics))
}

async fn index() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, PAGE).into_response()
}

/// Whether the process runs.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether requests can be served: both stores answer and no stop was asked for.
async fn readyz(Shared(state): Shared<Arc<State>>) -> Response {
    if state.draining.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if let Err(error) = state.metadata.namespaces(None, 1).await {
        tracing::error!(%error, "the metadata store does not answer");
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the metadata store does not answer\n",
        )
            .into_response();
    }
    if let Err(error) = state.chunks.touch(&[]).await {
        tracing::error!(%error, "the chunk store does not answer");
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "the chunk store does not answer\n",
        )
            .into_response();
    }
    "ready\n".into_response()
}

pub(crate) async fn not_found(request: Request) -> ServiceError {
    let path = request.uri().path();
    if path.starts_with("/sync/") && !path.starts_with("/sync/1/") {
        return ServiceError::UnsupportedVersion;
    }
    ServiceError::NotFound("that address")
}

pub(crate) async fn method_not_allowed() -> ServiceError {
    ServiceError::bad("this route takes another method: see docs/protocol.md")
}
