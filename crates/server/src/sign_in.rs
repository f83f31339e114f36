//! How somebody signs in with a browser, whatever page it is for.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cairn_metadata::Account;

use crate::auth::tokens;
use crate::cookies::{Visitor, form_token};
use crate::error::ServiceError;
use crate::forms::Fields;
use crate::html::{self, escaped, noted, page};
use crate::oauth;
use crate::oidc;
use crate::request::Peer;
use crate::service::accounts::{self, second};
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// The page that somebody signs in for.
pub(crate) struct Door {
    /// Its address on this server: forms are sent there, and who has signed in comes back there.
    pub(crate) address: String,
    /// What is said above the form.
    pub(crate) why: String,
}

impl Door {
    /// The start of a form that comes back here.
    pub(crate) fn form(&self, form_token: &str) -> String {
        format!(
            "<form method=\"post\" action=\"{}\">\n\
             <input type=\"hidden\" name=\"form_token\" value=\"{}\">\n",
            escaped(&self.address),
            escaped(form_token)
        )
    }
}

/// Who somebody in front of a door is.
pub(crate) enum Known {
    /// Signed in.
    Whole(Account),
    /// The password was right; a code is waited for.
    Half,
    /// Nobody.
    Not,
}

/// Finds out who is there.
pub(crate) async fn who(state: &State, visitor: &Visitor) -> Result<Known, ServiceError> {
    let Some(cookie) = visitor.cookie() else {
        return Ok(Known::Not);
    };
    if let Some(account) = state.auth.browsers.find(state, cookie).await? {
        return Ok(Known::Whole(account));
    }
    Ok(match state.auth.browsers.find_half(state, cookie).await? {
        Some(_) => Known::Half,
        None => Known::Not,
    })
}

/// The sign-in page, with a cookie that nobody knows yet where the browser has none.
pub(crate) fn ask(state: &State, visitor: &Visitor, status: StatusCode, door: &Door, note: &str) -> Response {
    let other = oidc::sign_in_link(state, &door.address);
    if let Some(cookie) = visitor.cookie() {
        return password_page(status, door, &form_token(cookie), note, &other);
    }
    let cookie = tokens::new_token(state.runtime.entropy.as_ref());
    let mut response = password_page(status, door, &form_token(&cookie), note, &other);
    set_cookie(&mut response, visitor, &cookie);
    response
}

/// Asks for a code, after the password was right.
pub(crate) fn ask_code(visitor: &Visitor, status: StatusCode, door: &Door, note: &str) -> Response {
    let form_token = form_token(visitor.cookie().unwrap_or(""));
    let body = format!(
        "{}{}<label>Code of your authenticator, or a recovery code \
         <input name=\"code\" autocomplete=\"one-time-code\" required autofocus></label>\n\
         <button name=\"action\" value=\"code\">Sign in</button>\n</form>\n",
        noted(note),
        door.form(&form_token)
    );
    page(status, "One more step", &body, None)
}

fn password_page(status: StatusCode, door: &Door, form_token: &str, note: &str, other: &str) -> Response {
    let body = format!(
        "<p>{}</p>\n{}{}\
         <label>E-mail address <input type=\"email\" name=\"email\" autocomplete=\"username\" required autofocus></label>\n\
         <label>Password <input type=\"password\" name=\"password\" autocomplete=\"current-password\" required></label>\n\
         <button name=\"action\" value=\"sign-in\">Sign in</button>\n</form>\n{other}",
        escaped(&door.why),
        noted(note),
        door.form(form_token)
    );
    page(status, "Sign in", &body, None)
}

/// The page for a form that did not come from one of ours.
pub(crate) fn stale(state: &State, visitor: &Visitor, door: &Door) -> Response {
    let note = "This page was open for too long, or your browser keeps no cookies. Please sign in again.";
    ask(state, visitor, StatusCode::FORBIDDEN, door, note)
}

/// The buttons of the two pages, and the one by which somebody leaves; `None` for any other.
pub(crate) async fn press(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    door: &Door,
    form: &Fields,
) -> Result<Option<Response>, ServiceError> {
    Ok(Some(match form.get("action") {
        Some("sign-in") => check(state, peer, visitor, door, form).await?,
        Some("code") => check_code(state, peer, visitor, door, form).await?,
        Some("sign-out") => {
            state.auth.browsers.sign_out(visitor.cookie().unwrap_or(""));
            ask(state, visitor, StatusCode::OK, door, "")
        }
        _ => return Ok(None),
    }))
}

/// Checks address and password; then the page is asked for again, by a browser that is signed in.
async fn check(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    door: &Door,
    form: &Fields,
) -> Result<Response, ServiceError> {
    let email = form.get("email").unwrap_or("");
    let password = form.get("password").unwrap_or("");
    match accounts::check_password(state, peer, email, password.to_owned()).await {
        Ok(account) => {
            let is_whole = !second::is_active(state, account.id).await?;
            signed_in(state, peer, visitor, &account, &door.address, is_whole).await
        }
        Err(error @ (ServiceError::WrongCredentials | ServiceError::AccountLocked)) => Ok(ask(
            state,
            visitor,
            StatusCode::FORBIDDEN,
            door,
            &error.to_string(),
        )),
        Err(error @ ServiceError::RateLimited { retry_after }) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let page = ask(state, visitor, status, door, &error.to_string());
            Ok(later(page, retry_after))
        }
        Err(error) => Err(error),
    }
}

/// Checks a code of the second factor, in a browser in which the password was right.
async fn check_code(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    door: &Door,
    form: &Fields,
) -> Result<Response, ServiceError> {
    let cookie = visitor.cookie().unwrap_or("");
    let Some(account) = state.auth.browsers.find_half(state, cookie).await? else {
        let note = "Please sign in again.";
        return Ok(ask(state, visitor, StatusCode::FORBIDDEN, door, note));
    };
    match second::check(state, peer, &account, form.get("code").or(Some(""))).await {
        Ok(()) => {
            state.auth.browsers.sign_out(cookie);
            signed_in(state, peer, visitor, &account, &door.address, true).await
        }
        Err(error @ (ServiceError::WrongCode | ServiceError::SecondFactorNeeded)) => {
            Ok(ask_code(visitor, StatusCode::FORBIDDEN, door, &error.to_string()))
        }
        Err(error @ ServiceError::RateLimited { retry_after }) => {
            let status = StatusCode::TOO_MANY_REQUESTS;
            let page = ask_code(visitor, status, door, &error.to_string());
            Ok(later(page, retry_after))
        }
        Err(error) => Err(error),
    }
}

/// A page with the time after which it is worth to try again.
fn later(mut page: Response, retry_after: Duration) -> Response {
    let wait = HeaderValue::from(oauth::seconds(retry_after));
    page.headers_mut().insert(header::RETRY_AFTER, wait);
    page
}

/// Asks for the page again, by a browser that is signed in. It has another cookie than before: one that somebody else may
/// have set is worth nothing.
pub(crate) async fn signed_in(
    state: &State,
    peer: Peer,
    visitor: &Visitor,
    account: &Account,
    address: &str,
    is_whole: bool,
) -> Result<Response, ServiceError> {
    let cookie = state.auth.browsers.sign_in(state, account, is_whole)?;
    let mut response = redirect(address);
    set_cookie(&mut response, visitor, &cookie);
    if is_whole {
        audit::record(state, peer, account.id, Event::SignIn, About::default()).await;
    }
    Ok(response)
}

pub(crate) fn set_cookie(response: &mut Response, visitor: &Visitor, cookie: &str) {
    if let Some(value) = visitor.set(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
}

/// `303`: the browser asks by `GET`, and does not carry the form along.
pub(crate) fn redirect(to: &str) -> Response {
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

/// The page for what failed.
pub(crate) fn failed(error: &ServiceError) -> Response {
    let status = oauth::broken(error);
    let text = if status.is_server_error() {
        "The server cannot answer now. Please try again later.".to_owned()
    } else {
        error.to_string()
    };
    html::message(status, "That did not work", &text)
}
