//! OAuth 2 as Dropbox speaks it, so that apps written for it can link to this server.
//!
//! `authorize` is for people: plain forms without scripts. `token` is for programs and answers JSON.

mod answer;
mod authorize;
mod pages;
mod token;
mod wish;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use crate::state::State;
pub(crate) use answer::{broken, seconds};

/// Where people are asked.
pub(crate) const AUTHORIZE: &str = "/oauth2/authorize";
/// Where apps trade codes and refresh tokens.
pub(crate) const TOKEN: &str = "/oauth2/token";
/// The same as older clients, rclone among them, call them.
pub(crate) const OLD_AUTHORIZE: &str = "/1/oauth2/authorize";
pub(crate) const OLD_TOKEN: &str = "/1/oauth2/token";

pub(crate) fn routes() -> Router<Arc<State>> {
    let authorize = || get(authorize::ask).post(authorize::answer);
    let token = || post(token::token).options(answer::preflight);
    Router::new()
        .route(AUTHORIZE, authorize())
        .route(OLD_AUTHORIZE, authorize())
        .route(TOKEN, token())
        .route(OLD_TOKEN, token())
}
