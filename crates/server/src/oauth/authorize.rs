//! `GET` and `POST /oauth2/authorize`: somebody signs in and says whether an app may.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;

use super::wish::{self, Asked, Refused};
use super::{AUTHORIZE, pages};
use crate::cookies::{Visitor, form_token};
use crate::error::ServiceError;
use crate::forms::{self, Fields};
use crate::html;
use crate::request::Peer;
use crate::service::accounts::grants;
use crate::service::audit::{self, About, Event};
use crate::sign_in::{self, Door, Known, redirect};
use crate::state::State;

/// `GET`: the page for whoever looks at it.
pub(super) async fn ask(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(&parts, &state);
    let query = parts.uri.query().unwrap_or("");
    let page: Result<Response, Refused> = async {
        let asked = wish::read(&state, query).await?;
        let door = door(&asked, query);
        Ok(match sign_in::who(&state, &visitor).await? {
            Known::Whole(account) => {
                let form_token = form_token(visitor.cookie().unwrap_or(""));
                pages::consent(&asked, &account, &door, &form_token)
            }
            Known::Half => sign_in::ask_code(&visitor, StatusCode::OK, &door, ""),
            Known::Not => sign_in::ask(&state, &visitor, StatusCode::OK, &door, ""),
        })
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
    let page = match forms::read(&state, Request::from_parts(parts, body)).await {
        Ok(form) => act(&state, peer, &head, &form).await,
        Err(error) => Err(error.into()),
    };
    page.unwrap_or_else(refused)
}

fn door(asked: &Asked, query: &str) -> Door {
    Door {
        address: format!("{AUTHORIZE}?{query}"),
        why: format!(
            "{} wants to use your files. Sign in to see what it asks for.",
            asked.wish.client.name()
        ),
    }
}

async fn act(state: &State, peer: Peer, head: &Parts, form: &Fields) -> Result<Response, Refused> {
    let query = head.uri.query().unwrap_or("");
    let asked = wish::read(state, query).await?;
    let door = door(&asked, query);
    let visitor = Visitor::of(head, state);
    if !visitor.sent(form.get("form_token")) {
        return Ok(sign_in::stale(state, &visitor, &door));
    }
    if let Some(page) = sign_in::press(state, peer, &visitor, &door, form).await? {
        return Ok(page);
    }
    match form.get("action") {
        Some("deny") => Ok(denied(&asked)),
        Some("allow") => {
            let cookie = visitor.cookie().unwrap_or("");
            let Some(account) = state.auth.browsers.find(state, cookie).await? else {
                let note = "You are not signed in any more.";
                return Ok(sign_in::ask(state, &visitor, StatusCode::FORBIDDEN, &door, note));
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

fn refused(refused: Refused) -> Response {
    match refused {
        Refused::Shown(what) => html::message(StatusCode::BAD_REQUEST, "This app cannot be linked", what),
        Refused::Sent {
            redirect_uri,
            state,
            code,
            what,
        } => {
            let error = [("error", code), ("error_description", what)];
            send(&redirect_uri, state.as_deref(), &error)
        }
        Refused::Failed(error) => sign_in::failed(&error),
    }
}
