//! `POST /oauth2/token`: trades a code, or a refresh token, for an access token.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cairn_metadata::{AppKey, Scopes};
use serde_json::json;

use super::answer::{self, oauth_error};
use crate::auth;
use crate::error::ServiceError;
use crate::forms::{self, Fields};
use crate::request::Peer;
use crate::service::accounts;
use crate::service::accounts::grants::{self, Credentials, GrantError, Granted, Redemption};
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// Why a request makes no sense: code and description.
type Refusal = (&'static str, &'static str);

pub(super) async fn token(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    if let Err(wait) = state.auth.token_requests.take(&auth::network(peer.0), 1) {
        return answer::rate_limited(wait);
    }
    let (parts, body) = request.into_parts();
    let head = parts.clone();
    let body = match forms::body(&state, Request::from_parts(parts, body)).await {
        Ok(body) => body,
        Err(ServiceError::TooLarge { .. }) => {
            return refused(("invalid_request", "the body is too long"));
        }
        Err(error) => return answer::service_error(&error),
    };
    match grant(&state, &head, &body).await {
        Ok(Ok(granted)) => {
            if granted.is_new {
                let about = About {
                    device: Some(granted.device),
                    app: Some(granted.app.clone()),
                };
                audit::record(&state, peer, granted.account, Event::AppLinked, about).await;
            }
            answer::json(StatusCode::OK, &granted_json(&granted))
        }
        Ok(Err(error)) => grant_error(&error, has_basic(&head)),
        Err(refusal) => refused(refusal),
    }
}

fn refused((code, what): Refusal) -> Response {
    oauth_error(StatusCode::BAD_REQUEST, code, what)
}

/// Does what is asked. The outer error is that nothing sensible is.
async fn grant(state: &State, head: &Parts, body: &[u8]) -> Result<Result<Granted, GrantError>, Refusal> {
    // Dropbox's SDK for JavaScript sends the query, an empty body and a type that fits neither.
    let source = if body.is_empty() {
        head.uri.query().unwrap_or("").as_bytes()
    } else {
        body
    };
    let twice = ("invalid_request", "a field comes twice");
    let fields = Fields::parse(source).ok_or(twice)?;
    let app = credentials(head, &fields)?;
    let missing = |what| ("invalid_request", what);
    match fields.get("grant_type") {
        Some("authorization_code") => {
            let redemption = Redemption {
                code: fields.get("code").ok_or(missing("code is missing"))?.to_owned(),
                verifier: fields.get("code_verifier").map(str::to_owned),
                redirect_uri: fields.get("redirect_uri").map(str::to_owned),
            };
            Ok(grants::redeem(state, app, redemption).await)
        }
        Some("refresh_token") => {
            let token = fields.get("refresh_token");
            let token = token.ok_or(missing("refresh_token is missing"))?;
            let scopes = fields.get("scope").map(Scopes::parse).transpose();
            let scopes = scopes.map_err(|_| ("invalid_scope", "a scope is not known"))?;
            let scopes = scopes.map(Scopes::with_implied);
            Ok(grants::refresh(state, app, token, scopes).await)
        }
        Some(_) => Err((
            "unsupported_grant_type",
            "grant_type must be authorization_code or refresh_token",
        )),
        None => Err(missing("grant_type is missing")),
    }
}

/// The app's key and secret: by HTTP Basic, or among the fields.
fn credentials(head: &Parts, fields: &Fields) -> Result<Credentials, Refusal> {
    let wrong = ("invalid_request", "client_id is missing or cannot be one");
    let key = |text: &str| AppKey::new(text).ok_or(wrong);
    let field_key = fields.get("client_id").map(key).transpose()?;
    if !has_basic(head) {
        return Ok(Credentials {
            key: field_key.ok_or(wrong)?,
            secret: fields.get("client_secret").map(str::to_owned),
        });
    }
    let (basic_key, secret) = basic(head).ok_or(wrong)?;
    let basic_key = key(&basic_key)?;
    if field_key.is_some_and(|field_key| field_key != basic_key) {
        return Err(("invalid_request", "two different client_ids"));
    }
    Ok(Credentials {
        key: basic_key,
        secret: Some(secret).filter(|secret| !secret.is_empty()),
    })
}

fn authorization(head: &Parts) -> Option<(&str, &str)> {
    let value = head.headers.get(header::AUTHORIZATION)?;
    value.to_str().ok()?.split_once(' ')
}

fn has_basic(head: &Parts) -> bool {
    authorization(head).is_some_and(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
}

/// Key and secret, each form-encoded before they were joined. *Source:* RFC 6749, 2.3.1.
fn basic(head: &Parts) -> Option<(String, String)> {
    let (_, encoded) = authorization(head)?;
    let joined = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (key, secret) = joined.split_once(':')?;
    let decoded = |text: &str| {
        let field = format!("x={text}");
        let mut pairs = form_urlencoded::parse(field.as_bytes());
        pairs.next().map(|(_, value)| value.into_owned())
    };
    Some((decoded(key)?, decoded(secret)?))
}

fn granted_json(granted: &Granted) -> serde_json::Value {
    let mut body = json!({
        "access_token": granted.access_token,
        "token_type": "bearer",
        "expires_in": grants::ACCESS_LIFETIME.as_secs(),
        "scope": granted.scopes.to_string(),
        "uid": granted.account.get().to_string(),
        "account_id": accounts::dropbox_id(granted.account),
    });
    if let Some(token) = &granted.refresh_token {
        body["refresh_token"] = json!(token);
    }
    body
}

fn grant_error(error: &GrantError, by_basic: bool) -> Response {
    let what = error.to_string();
    match error {
        GrantError::InvalidClient if by_basic => {
            let mut response = oauth_error(StatusCode::UNAUTHORIZED, "invalid_client", &what);
            let challenge = HeaderValue::from_static("Basic realm=\"cairn\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            response
        }
        GrantError::InvalidClient => oauth_error(StatusCode::BAD_REQUEST, "invalid_client", &what),
        GrantError::InvalidGrant(_) => oauth_error(StatusCode::BAD_REQUEST, "invalid_grant", &what),
        GrantError::InvalidScope => oauth_error(StatusCode::BAD_REQUEST, "invalid_scope", &what),
        GrantError::Service(error) => answer::service_error(error),
    }
}
