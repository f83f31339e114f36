//! `/2`, the public API: what Dropbox's clients ask for, answered as Dropbox does. `docs/api.md` lists the routes.
//!
//! A handler takes a [`call::Call`] and its typed argument and returns a value or an [`error::ApiError`]; the three styles
//! of requests (rpc, upload, download) are [`call`]'s. What a route does is a use case of [`crate::service::files`].

mod cairn;
mod call;
mod cursor;
mod error;
mod files;
mod links;
mod metadata;
mod path;
mod range;
mod sealed;
mod stone;
mod unread;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::routing::{any, get};
use cairn_metadata::Scope;

use crate::state::State;
use call::{download, rpc, upload};

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
    let unknown = any(call::unknown_route);
    Router::new()
        .merge(file_routes())
        .merge(session_routes())
        .merge(batch_routes())
        .merge(cairn::routes())
        .merge(account_routes())
        .route("/2/{*route}", unknown)
        .route(links::ROUTE, get(links::open))
}

fn account_routes() -> Router<Arc<State>> {
    Router::new()
        .route("/2/check/user", rpc(Scope::AccountInfoRead, users::check_user))
        .route(
            "/2/users/get_current_account",
            rpc(Scope::AccountInfoRead, users::current_account),
        )
        .route("/2/users/get_account", rpc(Scope::SharingRead, users::account))
        .route(
            "/2/users/get_account_batch",
            rpc(Scope::SharingRead, users::accounts),
        )
        .route(
            "/2/users/get_space_usage",
            rpc(Scope::AccountInfoRead, users::space_usage),
        )
}

fn session_routes() -> Router<Arc<State>> {
    const WRITE: Scope = Scope::FilesContentWrite;
    let route = |name: &str| format!("/2/files/upload_session/{name}");
    Router::new()
        .route(&route("start"), upload(WRITE, files::start))
        .route(&route("append_v2"), upload(WRITE, files::append))
        .route(&route("finish"), upload(WRITE, files::finish))
        .route(&route("start_batch"), rpc(WRITE, files::start_batch))
        .route(&route("append_batch"), upload(WRITE, files::append_batch))
        .route(&route("finish_batch_v2"), rpc(WRITE, files::finish_batch))
        .route(&route("finish_batch"), rpc(WRITE, files::finish_batch_v1))
        .route(&route("finish_batch/check"), rpc(WRITE, files::check))
}

fn batch_routes() -> Router<Arc<State>> {
    const WRITE: Scope = Scope::FilesContentWrite;
    Router::new()
        .route("/2/files/create_folder_batch", rpc(WRITE, files::create_folders))
        .route("/2/files/create_folder_batch/check", rpc(WRITE, files::check))
        .route("/2/files/delete_batch", rpc(WRITE, files::delete_all))
        .route("/2/files/delete_batch/check", rpc(WRITE, files::check))
        .route("/2/files/copy_batch_v2", rpc(WRITE, files::copy_all))
        .route("/2/files/copy_batch/check_v2", rpc(WRITE, files::check))
        .route("/2/files/move_batch_v2", rpc(WRITE, files::move_all))
        .route("/2/files/move_batch/check_v2", rpc(WRITE, files::check))
}

fn file_routes() -> Router<Arc<State>> {
    const SEE: Scope = Scope::FilesMetadataRead;
    const READ: Scope = Scope::FilesContentRead;
    const WRITE: Scope = Scope::FilesContentWrite;
    Router::new()
        .route("/2/files/get_metadata", rpc(SEE, files::get_metadata))
        .route("/2/files/list_folder", rpc(SEE, files::list_folder))
        .route(
            "/2/files/list_folder/continue",
            rpc(SEE, files::list_folder_continue),
        )
        .route(
            "/2/files/list_folder/get_latest_cursor",
            rpc(SEE, files::latest_cursor),
        )
        .route(
            "/2/files/list_folder/longpoll",
            axum::routing::post(files::longpoll),
        )
        .route("/2/files/upload", upload(WRITE, files::upload))
        .route("/2/files/download", download(READ, files::download))
        .route("/2/files/download_zip", download(READ, files::download_zip))
        .route("/2/files/get_thumbnail", download(READ, files::get_thumbnail))
        .route(
            "/2/files/get_thumbnail_v2",
            download(READ, files::get_thumbnail_v2),
        )
        .route("/2/files/get_thumbnail_batch", rpc(READ, files::thumbnail_batch))
        .route("/2/files/search_v2", rpc(SEE, files::search))
        .route("/2/files/search/continue_v2", rpc(SEE, files::search_continue))
        .route("/2/files/get_temporary_link", rpc(READ, files::temporary_link))
        .route("/2/files/create_folder_v2", rpc(WRITE, files::create_folder))
        .route("/2/files/delete_v2", rpc(WRITE, files::delete))
        .route("/2/files/move_v2", rpc(WRITE, files::move_to))
        .route("/2/files/copy_v2", rpc(WRITE, files::copy_to))
        .route("/2/files/list_revisions", rpc(SEE, files::list_revisions))
        .route("/2/files/restore", rpc(WRITE, files::restore))
        .route("/2", get(call::unknown_route))
}
