//! Answers for programs: JSON, as Dropbox gives it.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_api::error::ErrorCode;
use serde_json::{Value, json};

use crate::error::ServiceError;

/// A JSON answer. The type has no parameters: Dropbox's SDK for Python compares it whole.
pub(super) fn json(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Nothing here goes by a cookie, so any page may ask; what it must know is in the request.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (status, headers, body.to_string()).into_response()
}

/// An error of RFC 6749, 5.2.
pub(super) fn oauth_error(status: StatusCode, code: &str, what: &str) -> Response {
    json(status, &json!({"error": code, "error_description": what}))
}

/// An error of the API: one tag.
pub(super) fn api_error(status: StatusCode, tag: &str) -> Response {
    let body = json!({"error_summary": format!("{tag}/.."), "error": {".tag": tag}});
    json(status, &body)
}

/// Whole seconds to wait, at least one.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + 1
}

/// Says to come later.
pub(super) fn rate_limited(wait: Duration) -> Response {
    let wait = seconds(wait);
    let body = json!({
        "error_summary": "too_many_requests/..",
        "error": {"reason": {".tag": "too_many_requests"}, "retry_after": wait},
    });
    let mut response = json(StatusCode::TOO_MANY_REQUESTS, &body);
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from(wait));
    response
}

/// An error of a service, as the API tells it.
pub(super) fn service_error(error: &ServiceError) -> Response {
    match error {
        ServiceError::NotAuthenticated => api_error(StatusCode::UNAUTHORIZED, "invalid_access_token"),
        ServiceError::TokenExpired => api_error(StatusCode::UNAUTHORIZED, "expired_access_token"),
        ServiceError::AccountLocked => api_error(StatusCode::UNAUTHORIZED, "user_suspended"),
        ServiceError::RateLimited { retry_after } => rate_limited(*retry_after),
        error => {
            let status = broken(error);
            oauth_error(status, "server_error", "the server cannot answer now")
        }
    }
}

/// Writes down what is broken here; the status to answer.
pub(crate) fn broken(error: &ServiceError) -> StatusCode {
    let code = error.code();
    match code {
        ErrorCode::Internal => tracing::error!(%error, "a sign-in or link failed"),
        _ => tracing::debug!(%error, "a sign-in or link was refused"),
    }
    StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// `OPTIONS`: pages of any origin may ask; see [`json()`].
pub(super) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "authorization, content-type",
        ),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
