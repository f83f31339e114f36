//! Errors in the shape that Dropbox's clients read.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_api::error::ErrorCode;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::stone::{self, tag};
use crate::error::ServiceError;
use crate::service::files::{FileError, Obstacle};

/// Why a call was refused.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// One of the route's own errors: a union.
    Route(Value),
    /// The request makes no sense: a text for programmers.
    BadInput(String),
    /// `Dropbox-API-Path-Root` names another root.
    PathRoot(Value),
    /// The service failed.
    Service(ServiceError),
}

pub(crate) type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// A failure of the service as a `WriteError`, if it is one: a disk that is full.
    pub(crate) fn of_write(self, member: &str) -> Self {
        match self {
            Self::Service(error) => write(member, error.into()),
            other => other,
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

impl From<cairn_metadata::MetadataError> for ApiError {
    fn from(error: cairn_metadata::MetadataError) -> Self {
        Self::Service(error.into())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        match self {
            Self::Route(error) => shaped(StatusCode::CONFLICT, &error),
            Self::PathRoot(error) => shaped(StatusCode::UNPROCESSABLE_ENTITY, &error),
            Self::BadInput(text) => text_response(StatusCode::BAD_REQUEST, text),
            // The layer around the request logs it and calls `failure_response`.
            Self::Service(error) => error.into_response(),
        }
    }
}

/// A value as `application/json`: clients compare the type by letters.
pub(crate) fn json_response(status: StatusCode, value: &impl Serialize) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json")];
    // Nothing that is answered has keys that are no texts.
    let text = serde_json::to_string(value).unwrap_or_default();
    (status, headers, text).into_response()
}

fn shaped(status: StatusCode, error: &Value) -> Response {
    let body = json!({ "error_summary": stone::summary(error), "error": error });
    json_response(status, &body)
}

fn text_response(status: StatusCode, text: String) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        text,
    )
        .into_response()
}

/// How a failure of the service looks to a client of the public API.
pub(crate) fn failure_response(error: &ServiceError, request_id: &str) -> Response {
    let api = error.to_api(request_id.to_owned());
    let mut response = match error {
        ServiceError::NotAuthenticated | ServiceError::WipeAsked => {
            shaped(StatusCode::UNAUTHORIZED, &tag("invalid_access_token"))
        }
        ServiceError::TokenExpired => shaped(StatusCode::UNAUTHORIZED, &tag("expired_access_token")),
        ServiceError::AccountLocked => shaped(StatusCode::UNAUTHORIZED, &tag("user_suspended")),
        ServiceError::MissingScope(scope) => shaped(
            StatusCode::UNAUTHORIZED,
            &json!({ ".tag": "missing_scope", "required_scope": scope.name() }),
        ),
        ServiceError::RateLimited { .. } => limited(seconds_of(api.retry_after_ms.unwrap_or_default())),
        _ => {
            let status = match api.code {
                ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                // Where the route has a tag for it, `write_error` has told it.
                ErrorCode::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
                ErrorCode::Internal => StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::Timeout => StatusCode::REQUEST_TIMEOUT,
                _ => StatusCode::BAD_REQUEST,
            };
            text_response(status, format!("{} (request {request_id})", api.message))
        }
    };
    if let Some(wait_ms) = api.retry_after_ms {
        let seconds = HeaderValue::from(seconds_of(wait_ms));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// Whole seconds after which it is worth to come again.
fn seconds_of(wait_ms: u32) -> u32 {
    (wait_ms / 1_000).saturating_add(1)
}

fn limited(seconds: u32) -> Response {
    let reason = tag("too_many_requests");
    let body = json!({
        "error_summary": "too_many_requests/..",
        "error": { "reason": reason, "retry_after": seconds },
    });
    json_response(StatusCode::TOO_MANY_REQUESTS, &body)
}

/// A `LookupError` under a member of the route's union.
pub(crate) fn lookup(member: &str, error: FileError) -> ApiError {
    match lookup_error(error) {
        Ok(inner) => ApiError::Route(stone::nested(member, inner)),
        Err(error) => error,
    }
}

/// A `WriteError` under a member of the route's union.
pub(crate) fn write(member: &str, error: FileError) -> ApiError {
    match write_error(error) {
        Ok(inner) => ApiError::Route(stone::nested(member, inner)),
        Err(error) => error,
    }
}

/// A `LookupError`.
pub(crate) fn lookup_error(error: FileError) -> Result<Value, ApiError> {
    Ok(match error {
        FileError::NotFile => tag("not_file"),
        FileError::NotFolder => tag("not_folder"),
        FileError::Malformed(_) => tag("malformed_path"),
        FileError::Service(error) => return Err(error.into()),
        _ => tag("not_found"),
    })
}

/// A `WriteError`.
pub(crate) fn write_error(error: FileError) -> Result<Value, ApiError> {
    Ok(match error {
        FileError::Conflict(obstacle) => stone::nested(
            "conflict",
            tag(match obstacle {
                Obstacle::File => "file",
                Obstacle::Folder => "folder",
                Obstacle::FileAncestor => "file_ancestor",
            }),
        ),
        FileError::NoSpace => tag("insufficient_space"),
        FileError::Service(error) if error.code() == ErrorCode::StorageFull => tag("insufficient_space"),
        FileError::DisallowedName => tag("disallowed_name"),
        FileError::Contended | FileError::TooManyFiles => tag("too_many_write_operations"),
        FileError::Service(error) => return Err(error.into()),
        _ => tag("malformed_path"),
    })
}

/// The members of `error`, for unions that carry a struct's fields beside their tag.
pub(crate) fn flattened(name: &str, fields: Map<String, Value>) -> Value {
    let mut value = fields;
    value.insert(".tag".into(), name.into());
    Value::Object(value)
}
