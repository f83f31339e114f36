//! The way to the provider and back.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use cairn_metadata::Account;

use super::provider::Provider;
use super::{Refusal, START, identity};
use crate::account::ACCOUNT;
use crate::auth::{self, tokens};
use crate::cookies::Visitor;
use crate::error::ServiceError;
use crate::forms::Fields;
use crate::html::{escaped, message, page};
use crate::oauth::AUTHORIZE;
use crate::request::Peer;
use crate::sign_in;
use crate::state::State;

/// The link below the sign-in form; nothing where no provider is configured.
pub(crate) fn sign_in_link(state: &State, to: &str) -> String {
    let Some(provider) = state.oidc.get() else {
        return String::new();
    };
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("to", to)
        .finish();
    format!(
        "<p><a href=\"{START}?{}\">Sign in with {}</a></p>\n",
        escaped(&query),
        escaped(&provider.config.name)
    )
}

/// What people know the provider by, where one is configured.
pub(crate) fn name(state: &State) -> Option<&str> {
    state.oidc.get().map(|provider| provider.config.name.as_str())
}

/// Where people come back to: one of our own pages that ask for a sign-in, and nothing else.
fn is_ours(to: &str) -> bool {
    to == ACCOUNT
        || to
            .strip_prefix(AUTHORIZE)
            .is_some_and(|rest| rest.starts_with('?'))
}

fn provider_of(state: &State) -> Result<&Provider, Refusal> {
    state.oidc.get().ok_or(Refusal::NotConfigured)
}

/// Each step asks something of the provider; this bounds it for one network.
fn slow_down(state: &State, peer: Peer) -> Result<(), Refusal> {
    let taken = state.auth.token_requests.take(&auth::network(peer.0), 1);
    taken.map_err(|retry_after| ServiceError::RateLimited { retry_after }.into())
}

/// `GET`: sends the browser to the provider.
pub(super) async fn start(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let (parts, _) = request.into_parts();
    let sent = async {
        let provider = provider_of(&state)?;
        slow_down(&state, peer)?;
        let fields = Fields::parse(parts.uri.query().unwrap_or("").as_bytes());
        let to = fields
            .as_ref()
            .and_then(|fields| fields.get("to"))
            .unwrap_or(ACCOUNT);
        if !is_ours(to) {
            return Err(ServiceError::bad("that is no page of this server").into());
        }
        let visitor = Visitor::of(&parts, &state);
        let known = visitor.cookie().map(str::to_owned);
        let cookie = known
            .clone()
            .unwrap_or_else(|| tokens::new_token(state.runtime.entropy.as_ref()));
        let browser = tokens::hash(&cookie).ok_or(Refusal::NotBegun)?;
        let entropy = state.runtime.entropy.as_ref();
        let mut response = sign_in::redirect(&provider.begin(entropy, browser, to, None).await?);
        if known.is_none() {
            sign_in::set_cookie(&mut response, &visitor, &cookie);
        }
        Ok(response)
    };
    sent.await.unwrap_or_else(|refusal| refused(&refusal))
}

/// A page that leads to the provider, for somebody who is signed in and wants to sign in by it from now on.
pub(crate) async fn begin_link(state: &State, peer: Peer, visitor: &Visitor, account: &Account) -> Response {
    let begun = async {
        let provider = provider_of(state)?;
        slow_down(state, peer)?;
        let browser = visitor.cookie().and_then(tokens::hash).ok_or(Refusal::NotBegun)?;
        let entropy = state.runtime.entropy.as_ref();
        let url = provider
            .begin(entropy, browser, ACCOUNT, Some(account.id))
            .await?;
        let name = escaped(&provider.config.name);
        let body = format!(
            "<p>Whoever you are signed in as at {name} can then sign in here as {}.</p>\n\
             <p><a href=\"{}\">Go on to {name}</a></p>\n<p><a href=\"{ACCOUNT}\">Back</a></p>\n",
            escaped(account.email.as_str()),
            escaped(&url)
        );
        Ok::<_, Refusal>(page(StatusCode::OK, "One more step", &body, None))
    };
    begun.await.unwrap_or_else(|refusal| refused(&refusal))
}

/// `GET`: the browser comes back.
pub(super) async fn callback(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    request: Request,
) -> Response {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let (parts, _) = request.into_parts();
    let visitor = Visitor::of(&parts, &state);
    let query = parts.uri.query().unwrap_or("");
    let done = finish(&state, peer, &visitor, query).await;
    done.unwrap_or_else(|refusal| refused(&refusal))
}

async fn finish(state: &State, peer: Peer, visitor: &Visitor, query: &str) -> Result<Response, Refusal> {
    let provider = provider_of(state)?;
    slow_down(state, peer)?;
    let fields = Fields::parse(query.as_bytes()).ok_or(Refusal::NotBegun)?;
    let begun = fields.get("state").and_then(|text| provider.take(text));
    let begun = begun.ok_or(Refusal::NotBegun)?;
    let cookie = visitor.cookie().unwrap_or("");
    // Else somebody could have a browser signed in as themselves.
    if tokens::hash(cookie).as_ref() != Some(&begun.browser) {
        return Err(Refusal::NotBegun);
    }
    let Some(code) = fields.get("code") else {
        return Err(Refusal::Denied(provider.config.name.clone()));
    };
    let claims = provider.redeem(&state.runtime, &begun, code.to_owned()).await?;
    let account = match begun.account {
        None => identity::account_of(state, peer, provider, &claims).await?,
        Some(id) => {
            let account = state.auth.browsers.find(state, cookie).await?;
            let account = account
                .filter(|account| account.id == id)
                .ok_or(Refusal::NotBegun)?;
            identity::connect(state, peer, provider, &claims, &account).await?;
            account
        }
    };
    state.auth.browsers.sign_out(cookie);
    Ok(sign_in::signed_in(state, peer, visitor, &account, &begun.to, true).await?)
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::Service(error) => return sign_in::failed(error),
        Refusal::NotConfigured => StatusCode::NOT_FOUND,
        Refusal::Unreachable(_) => StatusCode::BAD_GATEWAY,
        _ => StatusCode::FORBIDDEN,
    };
    message(status, "That did not work", &refusal.to_string())
}
