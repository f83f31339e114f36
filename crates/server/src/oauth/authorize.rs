//! `GET` and `POST /oauth2/authorize`: somebody signs in and says whether an app may.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_metadata::Account;

use super::cookies::{Visitor, form_token};
use super::wish::{self, Asked, Refused};
use super::{AUTHORIZE, answer, pages};
use crate::auth::tokens;
use crate::error::ServiceError;
use crate::forms::{self, Fields};
use crate::html;
use crate::request::Peer;
use crate::service::accounts::{self, grants, second};
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// `GET`: the page for whoever looks at it.
pub(super) async fn ask(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(&parts, &state);
    let query = parts.uri.query().unwrap_or("");
    let page: Result<Response, Refused> = async {
        let asked = wish::read(&state, query).await?;
        if let Some(cookie) = visitor.cookie()
            && let Some(account) = state.auth.browsers.find(&state, cookie).await?
        {
            return Ok(pages::consent(&asked, &account, query, &form_token(cookie)));
        }
        if let Some(cookie) = visitor.cookie()
            && state.auth.browsers.find_half(&state, cookie).await?.is_some()
        {
            return Ok(pages::code_of_authenticator(
                StatusCode::OK,
                query,
                &form_token(cookie),
                "",
            ));
        }
        Ok(sign_in(&state, &visitor, StatusCode::OK, &asked, query, ""))
    }
    .await;
    page.unwrap_or_else(refused)
}

/// `POST`: a form of one of the pages.
pub(super) async fn answer(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let (parts, body) = request.into_parts();
    let head = parts.clone();
    let form: Result<Fields, ServiceError> = async {
        let body = forms::body(&state, Request::from_parts(parts, body)).await?;
        Fields::parse(&body).ok_or(ServiceError::bad("a field comes twice"))
    }
    .await;
    let page = match form {
        Ok(form) => act(&state, peer, &head, &form).await,
        Err(error) => Err(error.into()),
    };
    page.unwrap_or_else(refused)
}

async fn act(state: &State, peer: Peer, head: &Parts, form: &Fields) -> Result<Response, Refused> {
    let query = head.uri.query().unwrap_or("");
    let asked = wish::read(state, query).await?;
    let visitor = Visitor::of(head, state);
    if is_foreign(head) || !visitor.sent(form.get("form_token")) {
        let note = "This page was open for too long, or your browser keeps no cookies. Please sign in again.";
        return Ok(sign_in(
            state,
            &visitor,
            StatusCode::FORBIDDEN,
            &asked,
            query,
            note,
        ));
    }
    match form.get("action") {
        Some("sign-in") => check(state, peer, &visitor, &asked, query, form).await,
        Some("code") => check_code(state, peer, &visitor, &asked, query, form).await,
        Some("sign-out") => {
            state.auth.browsers.sign_out(visitor.cookie().unwrap_or(""));
            Ok(sign_in(state, &visitor, StatusCode::OK, &asked, query, ""))
        }
        Some("deny") => Ok(denied(&asked)),
        Some("allow") => {
            let cookie = visitor.cookie().unwrap_or("");
            let Some(account) = state.auth.browsers.find(state, cookie).await? else {
                let note = "You are not signed in any more.";
                return Ok(sign_in(
                    state,
                    &visitor,
                    StatusCode::FORBIDDEN,
                    &asked,
                    query,
                    note,
                ));
            };
            let code = grants::issue_code(state, &account, &asked.wish).await?;
            let about = About {
                device: None,
                app: Some(asked.wish.client.key().clone()),
            };
            audit::record(state, peer, account.id, Event::AppAllowed, about).await;
            Ok(match &asked.wish.redirect_uri {
                Some(uri) => send(uri, asked.state.as_deref(), &[("code", &code)]),
                None => pages::code(&asked, &code),
            })
        }
        _ => Err(ServiceError::bad("the form has no such button").into()),
    }
}

/// Whether a browser says that another site sent the form.
fn is_foreign(head: &Parts) -> bool {
    let site = head.headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// Checks address and password; then the page is asked for again, by a browser that is signed in.
async fn check(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    asked: &Asked,
    query: &str,
    form: &Fields,
) -> Result<Response, Refused> {
    let email = form.get("email").unwrap_or("");
    let password = form.get("password").unwrap_or("");
    let again = |status, note: &str| sign_in(state, visitor, status, asked, query, note);
    match accounts::check_password(state, peer, email, password.to_owned()).await {
        Ok(account) => {
            let is_whole = !second::is_active(state, account.id).await?;
            signed_in(state, peer, visitor, &account, query, is_whole).await
        }
        Err(error @ (ServiceError::WrongCredentials | ServiceError::AccountLocked)) => {
            Ok(again(StatusCode::FORBIDDEN, &error.to_string()))
        }
        Err(error @ ServiceError::RateLimited { retry_after }) => {
            let mut response = again(StatusCode::TOO_MANY_REQUESTS, &error.to_string());
            let wait = HeaderValue::from(answer::seconds(retry_after));
            response.headers_mut().insert(header::RETRY_AFTER, wait);
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// Checks a code of the second factor, in a browser in which the password was right.
async fn check_code(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    asked: &Asked,
    query: &str,
    form: &Fields,
) -> Result<Response, Refused> {
    let cookie = visitor.cookie().unwrap_or("");
    let Some(account) = state.auth.browsers.find_half(state, cookie).await? else {
        let note = "Please sign in again.";
        return Ok(sign_in(state, visitor, StatusCode::FORBIDDEN, asked, query, note));
    };
    match second::check(state, peer, &account, form.get("code").or(Some(""))).await {
        Ok(()) => {
            state.auth.browsers.sign_out(cookie);
            signed_in(state, peer, visitor, &account, query, true).await
        }
        Err(error @ (ServiceError::WrongCode | ServiceError::SecondFactorNeeded)) => {
            let note = error.to_string();
            Ok(pages::code_of_authenticator(
                StatusCode::FORBIDDEN,
                query,
                &form_token(cookie),
                &note,
            ))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks for the page again, by a browser that is signed in. It has another cookie than before: one that somebody else may
/// have set is worth nothing.
async fn signed_in(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    account: &Account,
    query: &str,
    is_whole: bool,
) -> Result<Response, Refused> {
    let cookie = state.auth.browsers.sign_in(state, account, is_whole)?;
    let mut response = redirect(&format!("{AUTHORIZE}?{query}"));
    set_cookie(&mut response, visitor, &cookie);
    if is_whole {
        audit::record(state, peer, account.id, Event::SignIn, About::default()).await;
    }
    Ok(response)
}

/// The sign-in page, with a cookie that nobody knows yet where the browser has none.
fn sign_in(
    state: &State,
    visitor: &Visitor,
    status: StatusCode,
    asked: &Asked,
    query: &str,
    note: &str,
) -> Response {
    if let Some(cookie) = visitor.cookie() {
        return pages::sign_in(status, asked, query, &form_token(cookie), note);
    }
    let cookie = tokens::new_token(state.runtime.entropy.as_ref());
    let mut response = pages::sign_in(status, asked, query, &form_token(&cookie), note);
    set_cookie(&mut response, visitor, &cookie);
    response
}

fn set_cookie(response: &mut Response, visitor: &Visitor, cookie: &str) {
    if let Some(value) = visitor.set(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

fn denied(asked: &Asked) -> Response {
    match &asked.wish.redirect_uri {
        Some(uri) => {
            let error = [
                ("error", "access_denied"),
                ("error_description", "The user has said no."),
            ];
            send(uri, asked.state.as_deref(), &error)
        }
        None => html::message(
            StatusCode::OK,
            "Denied",
            "It was not allowed. You can close this page.",
        ),
    }
}

/// Sends the browser to an app with these fields.
fn send(uri: &str, state: Option<&str>, fields: &[(&str, &str)]) -> Response {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(fields);
    if let Some(state) = state {
        query.append_pair("state", state);
    }
    let separator = if uri.contains('?') { '&' } else { '?' };
    redirect(&format!("{uri}{separator}{}", query.finish()))
}

/// `303`: the browser asks by `GET`, and does not carry the form along.
fn redirect(to: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(to) else {
        return html::message(
            StatusCode::BAD_REQUEST,
            "Not possible",
            "The address cannot be gone to.",
        );
    };
    let headers = [
        (header::LOCATION, location),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

fn refused(refused: Refused) -> Response {
    let title = "This app cannot be linked";
    match refused {
        Refused::Shown(what) => html::message(StatusCode::BAD_REQUEST, title, what),
        Refused::Sent {
            redirect_uri,
            state,
            code,
            what,
        } => {
            let error = [("error", code), ("error_description", what)];
            send(&redirect_uri, state.as_deref(), &error)
        }
        Refused::Failed(error) => {
            let status = answer::broken(&error);
            let text = if status.is_server_error() {
                "The server cannot answer now. Please try again later.".to_owned()
            } else {
                error.to_string()
            };
            html::message(status, "That did not work", &text)
        }
    }
}
