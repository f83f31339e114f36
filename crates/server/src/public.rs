//! `/2`, the public API: what Dropbox's clients ask for, answered as Dropbox does. `docs/api.md` lists the routes.
//!
//! [`table`] is the one list of routes: the router is made of it, and so is the document that [`openapi`] gives and
//! [`manual`] shows. A handler takes a [`call::Call`] and its typed argument and returns a typed result or an
//! [`error::ApiError`]; the three styles of requests (rpc, upload, download) are [`call`]'s. What a route does is a use case of
//! [`crate::service::files`].

mod cairn;
mod call;
mod cursor;
mod error;
mod files;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod links;
mod manual;
mod media;
mod metadata;
mod openapi;
mod path;
mod range;
mod routes;
mod sealed;
mod stone;
mod table;
mod token;
mod unions;
mod unread;
mod upload_links;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::{any, get, post};

use crate::state::State;

pub(crate) use error::failure_response;
pub(crate) use unread::read_to_the_end;

/// Where the public API begins.
pub(crate) const PREFIX: &str = "/2/";

/// Lets pages of other origins call, and read what they get: they bring a token of their own, cookies count for nothing here.
pub(crate) fn allow_other_origins(headers: &mut HeaderMap) {
    const ALLOWED: &str =
        "authorization, content-type, dropbox-api-arg, dropbox-api-path-root, dropbox-api-select-user, range";
    const EXPOSED: &str = "Dropbox-API-Result, X-Dropbox-Request-Id, Retry-After, Content-Range, ETag";
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED),
        (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

pub(crate) fn routes() -> Router<Arc<State>> {
    let routes = table::all().into_iter();
    routes
        .fold(Router::new(), |router, route| {
            router.route(&route.address(), route.serve)
        })
        .route("/2", any(call::unknown_route))
        .route("/2/{*route}", any(call::unknown_route))
        .route(links::ROUTE, get(links::open))
        .route(upload_links::ROUTE, post(upload_links::open))
        .route(manual::ROUTE, get(manual::page))
}
