//! `/join` and `/reset`: accounts of people's own making, and passwords that were forgotten.
//!
//! A link is looked at by `GET` and used by `POST` alone: programs that check mail open what is in it.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use cairn_metadata::LinkPurpose;

use crate::config::SignUp;
use crate::forms::{self, Fields};
use crate::html::{escaped, message, noted, page};
use crate::oauth;
use crate::request::Peer;
use crate::service::accounts::invited;
use crate::sign_in::failed;
use crate::state::State;

/// Where an account is made.
pub(crate) const JOIN: &str = "/join";
/// Where a password is reset.
pub(crate) const RESET: &str = "/reset";

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(JOIN, get(look_at_join).post(join))
        .route(RESET, get(look_at_reset).post(reset))
}

/// The secret of the link that a request came by.
fn secret(request: &Request) -> Option<String> {
    let fields = Fields::parse(request.uri().query().unwrap_or("").as_bytes())?;
    fields.get("link").map(str::to_owned)
}

async fn look_at_join(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let secret = secret(&request);
    match &secret {
        None if state.config.sign_up == SignUp::Open => join_form(StatusCode::OK, None, "", ""),
        None => message(
            StatusCode::FORBIDDEN,
            "By invitation",
            "An account on this server is made by invitation. Ask its administrator for one.",
        ),
        Some(secret) => match invited::look(&state, secret).await {
            Ok(LinkPurpose::Invitation { email, .. }) => {
                let email = email.as_ref().map_or("", |email| email.as_str());
                join_form(StatusCode::OK, Some(secret), email, "")
            }
            Ok(LinkPurpose::Reset { .. }) => message(
                StatusCode::BAD_REQUEST,
                "Not possible",
                "This link is for something else.",
            ),
            Err(error) => failed(&error),
        },
    }
}

async fn join(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let secret = secret(&request);
    let form = match forms::read(&state, request).await {
        Ok(form) => form,
        Err(error) => return failed(&error),
    };
    let email = form.get("email").unwrap_or("");
    let password = form.get("password").unwrap_or("").to_owned();
    match invited::join(&state, peer, secret.as_deref(), email, password).await {
        Ok(_) => message(
            StatusCode::OK,
            "Welcome",
            "Your account was made. Link a device with \"cairn login\" and the address of this server.",
        ),
        Err(error) => {
            let status = oauth::broken(&error);
            if status.is_server_error() {
                failed(&error)
            } else {
                join_form(status, secret.as_deref(), email, &error.to_string())
            }
        }
    }
}

async fn look_at_reset(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let Some(secret) = secret(&request) else {
        return match state.mailer.get() {
            Some(_) => ask_form(StatusCode::OK, "", ""),
            None => unmailed(),
        };
    };
    match invited::look(&state, &secret).await {
        Ok(LinkPurpose::Reset { .. }) => reset_form(StatusCode::OK, &secret, ""),
        Ok(LinkPurpose::Invitation { .. }) => message(
            StatusCode::BAD_REQUEST,
            "Not possible",
            "This link is for something else.",
        ),
        Err(error) => failed(&error),
    }
}

async fn reset(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let secret = secret(&request);
    let form = match forms::read(&state, request).await {
        Ok(form) => form,
        Err(error) => return failed(&error),
    };
    let Some(secret) = secret else {
        return ask_for_link(&state, peer, form.get("email").unwrap_or(""));
    };
    let password = form.get("password").unwrap_or("").to_owned();
    let unlink_all = form.get("unlink") == Some("all");
    match invited::reset(&state, peer, &secret, password, unlink_all).await {
        Ok(()) => message(StatusCode::OK, "Done", "You have another password now."),
        Err(error) => {
            let status = oauth::broken(&error);
            if status.is_server_error() {
                failed(&error)
            } else {
                reset_form(status, &secret, &error.to_string())
            }
        }
    }
}

/// Mails a link, to who has the address.
fn ask_for_link(state: &Arc<State>, peer: Peer, email: &str) -> Response {
    if state.mailer.get().is_none() {
        return unmailed();
    }
    match invited::ask_reset(state, peer, email) {
        Ok(()) => message(
            StatusCode::OK,
            "Look into your mail",
            "If an account has that address, a link by which you can choose another password is on its way to it.",
        ),
        Err(error) => ask_form(oauth::broken(&error), email, &error.to_string()),
    }
}

fn unmailed() -> Response {
    message(
        StatusCode::FORBIDDEN,
        "A forgotten password",
        "Ask the server's administrator for a link by which you can choose another password.",
    )
}

fn join_form(status: StatusCode, secret: Option<&str>, email: &str, note: &str) -> Response {
    let query = secret.map_or(String::new(), |secret| format!("?link={}", escaped(secret)));
    let body = format!(
        "{}<form method=\"post\" action=\"{JOIN}{query}\">\n\
         <label>E-mail address <input type=\"email\" name=\"email\" value=\"{}\" autocomplete=\"username\" required></label>\n\
         <label>Password, 8 characters at least \
         <input type=\"password\" name=\"password\" autocomplete=\"new-password\" minlength=\"8\" required></label>\n\
         <button>Make the account</button>\n</form>\n",
        noted(note),
        escaped(email)
    );
    page(status, "Make an account", &body, None)
}

fn ask_form(status: StatusCode, email: &str, note: &str) -> Response {
    let body = format!(
        "{}<form method=\"post\" action=\"{RESET}\">\n\
         <label>E-mail address <input type=\"email\" name=\"email\" value=\"{}\" autocomplete=\"username\" required autofocus></label>\n\
         <button>Mail me a link</button>\n</form>\n",
        noted(note),
        escaped(email)
    );
    page(status, "A forgotten password", &body, None)
}

fn reset_form(status: StatusCode, secret: &str, note: &str) -> Response {
    let body = format!(
        "{}<form method=\"post\" action=\"{RESET}?link={}\">\n\
         <label>New password, 8 characters at least \
         <input type=\"password\" name=\"password\" autocomplete=\"new-password\" minlength=\"8\" required autofocus></label>\n\
         <label><input type=\"checkbox\" name=\"unlink\" value=\"all\"> Unlink all devices and apps too</label>\n\
         <button>Set the password</button>\n</form>\n",
        noted(note),
        escaped(secret)
    );
    page(status, "Choose another password", &body, None)
}
