//! `/account`: what is linked to an account, for its owner: devices are unlinked here, and wiped, also by who has no other
//! device at hand.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::get;
use cairn_core::ids::DeviceId;
use cairn_metadata::{Account, Device, LinkKind, Wipe};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::auth::{self, passwords};
use crate::cookies::{Visitor, form_token};
use crate::error::ServiceError;
use crate::forms::{self, Fields};
use crate::html::{escaped, noted, page};
use crate::oidc;
use crate::request::Peer;
use crate::service::accounts::{self, made::NOT_LINKED};
use crate::service::audit::{self, Event};
use crate::sign_in::{self, Door, Known};
use crate::state::State;

/// The page.
pub(crate) const ACCOUNT: &str = "/account";

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new().route(ACCOUNT, get(look).post(act))
}

fn door() -> Door {
    Door {
        address: ACCOUNT.to_owned(),
        why: "Sign in to see what is linked to your account.".to_owned(),
    }
}

async fn look(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(&parts, &state);
    let shown = async {
        Ok(match sign_in::who(&state, &visitor).await? {
            Known::Whole(account) => shown(&state, &visitor, &account, StatusCode::OK, "").await?,
            Known::Half => sign_in::ask_code(&visitor, StatusCode::OK, &door(), ""),
            Known::Not => sign_in::ask(&state, &visitor, StatusCode::OK, &door(), ""),
        })
    };
    shown.await.unwrap_or_else(|error| sign_in::failed(&error))
}

async fn act(Shared(state): Shared<Arc<State>>, peer: Option<Extension<Peer>>, request: Request) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let (parts, body) = request.into_parts();
    let head = parts.clone();
    let done = async {
        let form = forms::read(&state, Request::from_parts(parts, body)).await?;
        press(&state, peer, &head, &form).await
    };
    done.await.unwrap_or_else(|error| sign_in::failed(&error))
}

async fn press(state: &State, peer: Peer, head: &Parts, form: &Fields) -> Result<Response, ServiceError> {
    let visitor = Visitor::of(head, state);
    if !visitor.sent(form.get("form_token")) {
        return Ok(sign_in::stale(state, &visitor, &door()));
    }
    if let Some(page) = sign_in::press(state, peer, &visitor, &door(), form).await? {
        return Ok(page);
    }
    let cookie = visitor.cookie().unwrap_or("");
    let Some(account) = state.auth.browsers.find(state, cookie).await? else {
        let note = "You are not signed in any more.";
        return Ok(sign_in::ask(
            state,
            &visitor,
            StatusCode::FORBIDDEN,
            &door(),
            note,
        ));
    };
    match form.get("action") {
        Some("connect") => return Ok(oidc::begin_link(state, peer, &visitor, &account).await),
        Some("disconnect") => {
            if !oidc::disconnect(state, peer, &account).await? {
                let note = "Set a password first: there would be no way left to sign in to this account.";
                return shown(state, &visitor, &account, StatusCode::CONFLICT, note).await;
            }
            return sign_in::signed_in(state, peer, &visitor, &account, ACCOUNT, true).await;
        }
        Some("password") => {
            let password = form.get("password").unwrap_or("").to_owned();
            let account = accounts::choose_password(state, peer, account, password).await?;
            state.auth.browsers.sign_out(cookie);
            return sign_in::signed_in(state, peer, &visitor, &account, ACCOUNT, true).await;
        }
        _ => {}
    }
    let device = form.get("device").and_then(|text| text.parse::<DeviceId>().ok());
    let device = device.ok_or(NOT_LINKED)?;
    let wipe = match form.get("action") {
        Some("unlink") => None,
        Some("wipe") => Some(Wipe::Synced),
        Some("wipe-everything") => Some(Wipe::Everything),
        _ => return Err(ServiceError::bad("the form has no such button")),
    };
    match wipe {
        Some(wipe) => auth::wipe(state, peer, account.id, device, wipe).await?,
        None if auth::unlink(state, account.id, device).await? => {
            audit::record(state, peer, account.id, Event::Unlinked, device).await;
        }
        None => return Err(NOT_LINKED),
    }
    let note = match wipe {
        Some(_) => "It is unlinked, and deletes what it keeps as soon as it is online.",
        None => "It is unlinked.",
    };
    shown(state, &visitor, &account, StatusCode::OK, note).await
}

async fn shown(
    state: &State,
    visitor: &Visitor,
    account: &Account,
    status: StatusCode,
    note: &str,
) -> Result<Response, ServiceError> {
    let form_token = form_token(visitor.cookie().unwrap_or(""));
    let devices = state.metadata.devices(account.id).await?;
    let identities = state.metadata.identities(account.id).await?;
    let list: String = devices.iter().map(|device| row(device, &form_token)).collect();
    let list = match list.is_empty() {
        true => "<p>Nothing is linked yet.</p>\n".to_owned(),
        false => list,
    };
    let body = format!(
        "{}<p>You are signed in as {}.</p>\n{}<h2>What is linked</h2>\n{list}{}\
         <button name=\"action\" value=\"sign-out\">Sign out</button>\n</form>\n",
        noted(note),
        escaped(account.email.as_str()),
        ways_in(state, account, &form_token, identities > 0),
        door().form(&form_token)
    );
    Ok(page(status, "Your account", &body, None))
}

/// Other ways to sign in: by a provider, and with a password where there is none.
fn ways_in(state: &State, account: &Account, form_token: &str, is_connected: bool) -> String {
    let mut ways = String::new();
    if account.password_hash == passwords::NONE {
        ways.push_str(&format!(
            "{}<p>This account has no password yet. With one you can link devices by \"cairn login\".</p>\n\
             <label>Password, 8 characters at least \
             <input type=\"password\" name=\"password\" autocomplete=\"new-password\" minlength=\"8\" required></label>\n\
             <button name=\"action\" value=\"password\">Set the password</button>\n</form>\n",
            door().form(form_token)
        ));
    }
    if let Some(name) = oidc::name(state) {
        ways.push_str(&format!(
            "{}<button name=\"action\" value=\"connect\">Sign in with {} from now on</button>\n</form>\n",
            door().form(form_token),
            escaped(name)
        ));
    }
    if is_connected {
        ways.push_str(&format!(
            "{}<p>This account is connected with yours at {}: who is signed in there gets in here.</p>\n\
             <button name=\"action\" value=\"disconnect\">Sign in with the password alone from now on</button>\n</form>\n",
            door().form(form_token),
            escaped(oidc::name(state).unwrap_or("another provider"))
        ));
    }
    ways
}

/// One thing that is linked, with what can be done about it.
fn row(device: &Device, form_token: &str) -> String {
    let kind = match device.kind {
        LinkKind::Device => "a device",
        LinkKind::App => "an app",
        LinkKind::Token => "a token for scripts",
    };
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]");
    let seen = OffsetDateTime::from_unix_timestamp(device.last_seen_at.as_millis() / 1_000);
    let seen = seen
        .ok()
        .and_then(|seen| seen.format(format).ok())
        .unwrap_or_default();
    let state = match device.wipe {
        None => "",
        Some(_) => " It is unlinked, and deletes what it keeps as soon as it is online.",
    };
    let wipe = match device.kind {
        LinkKind::Device => {
            "<details>\n<summary>Delete what is on it too</summary>\n\
             <p>The device deletes its synced folder as soon as it is online, and then all that it knows of you.</p>\n\
             <button name=\"action\" value=\"wipe\">Unlink, and delete what this server has too</button>\n\
             <button name=\"action\" value=\"wipe-everything\">It was stolen: unlink, and delete everything in the folder</button>\n\
             </details>\n"
        }
        LinkKind::App | LinkKind::Token => "",
    };
    format!(
        "<h3>{}</h3>\n<p>{kind}, last seen {seen} (UTC).{state}</p>\n{}\
         <input type=\"hidden\" name=\"device\" value=\"{}\">\n\
         <button name=\"action\" value=\"unlink\">Unlink</button>\n{wipe}</form>\n",
        escaped(&device.name),
        door().form(form_token),
        device.id
    )
}
