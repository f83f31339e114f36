//! Signing in by an OpenID provider: who somebody is, another service says.
//!
//! The authorization code flow with PKCE, a state and a nonce. What was begun is kept in memory, bound to the browser by its
//! cookie. Nothing is asked of any address but the configured one and those that its discovery document names.
//!
//! *Source:* OpenID Connect Core 1.0, 3.1; RFC 9700 (best current practice).

mod http;
mod identity;
mod kinds;
mod pages;
mod provider;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::state::State;
pub(crate) use identity::disconnect;
pub(crate) use pages::{begin_link, name, sign_in_link};
pub(crate) use provider::Provider;

/// Where a sign-in begins.
pub(crate) const START: &str = "/oidc/start";
/// Where the provider sends people back to.
pub(crate) const CALLBACK: &str = "/oidc/callback";

/// An OpenID provider.
#[derive(Clone)]
pub struct OidcConfig {
    /// What people know it by.
    pub name: String,
    /// Its address, as its tokens name it.
    pub issuer: String,
    /// What this server is registered as there.
    pub client_id: String,
    /// What this server proves that with, unless it is a public client.
    pub client_secret: Option<String>,
    /// This server's address as people reach it; they are sent back to `/oidc/callback` below it.
    pub public_url: String,
    /// Whether who comes with a verified address for the first time is signed in to the account that has it.
    pub link_by_verified_email: bool,
    /// Certificates, as PEM, that vouch for it beside those of the system.
    pub authority: Option<Vec<u8>>,
}

/// Settings that make no sense.
#[derive(Debug, thiserror::Error)]
#[error("nobody can sign in by {name}: {what}")]
pub struct OidcError {
    /// The provider's name.
    name: String,
    /// What is wrong.
    what: String,
}

/// Why somebody was not signed in, as people are told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("Nobody signs in here but with a password.")]
    NotConfigured,
    #[error("This sign-in was not begun in this browser, or it took too long. Please begin again.")]
    NotBegun,
    #[error("{0} did not sign you in.")]
    Denied(String),
    #[error("{0} cannot be asked now. Please try again later.")]
    Unreachable(String),
    #[error("What {0} said cannot be trusted, so you were not signed in.")]
    Untrusted(String),
    #[error("{0} does not say that an e-mail address is yours, and an account here needs one.")]
    Unverified(String),
    #[error("An account on this server is made by invitation. Ask its administrator for one.")]
    ByInvitation,
    #[error(
        "An account here has your e-mail address already. Sign in with its password, and connect it with {0} on the page of your account."
    )]
    Taken(String),
    #[error("Another account here is connected with your account at {0} already.")]
    Others(String),
    #[error(transparent)]
    Service(#[from] crate::error::ServiceError),
}

impl From<cairn_metadata::MetadataError> for Refusal {
    fn from(error: cairn_metadata::MetadataError) -> Self {
        Self::Service(error.into())
    }
}

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(START, get(pages::start))
        .route(CALLBACK, get(pages::callback))
}
