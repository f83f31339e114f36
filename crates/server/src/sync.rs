//! `/sync/1`, the devices' protocol: one file per route. `docs/protocol.md` has their requests, replies and limits.

mod changes;
mod children;
mod chunks;
mod commit;
mod cursor;
mod devices;
mod events;
mod fetch;
mod have;
mod hello;
mod login;
mod logout;
mod nodes;
mod resolve;
mod revs;
mod second_factor;
mod signatures;
mod tokens;
mod tree_hash;
mod unlink;
mod whoami;
mod wipe;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use cairn_api::sync::path;

use crate::state::State;

pub(crate) fn routes() -> Router<Arc<State>> {
    Router::new()
        .route(path::HELLO, get(hello::hello))
        .route(path::LOGIN, post(login::login))
        .route(path::LOGOUT, post(logout::logout))
        .route(path::WHOAMI, get(whoami::whoami))
        .route(path::DEVICES, get(devices::devices))
        .route(path::UNLINK, post(unlink::unlink))
        .route(path::WIPE, post(wipe::ask).get(wipe::order))
        .route(path::WIPED, post(wipe::wiped))
        .route(path::TOKENS, post(tokens::tokens))
        .route(path::SECOND_FACTOR, post(second_factor::second_factor))
        .route(path::HAVE, post(have::have))
        .route(path::SIGNATURES, post(signatures::signatures))
        .route(path::CHUNKS, post(chunks::chunks))
        .route(path::COMMIT, post(commit::commit))
        .route(path::CHANGES, post(changes::changes))
        .route(path::NODES, post(nodes::nodes))
        .route(path::CHILDREN, post(children::children))
        .route(path::RESOLVE, post(resolve::resolve))
        .route(path::REVS, post(revs::revs))
        .route(path::TREE_HASH, post(tree_hash::tree_hash))
        .route(path::FETCH, post(fetch::fetch))
        .route(path::CURSOR, post(cursor::cursor))
        .route(path::EVENTS, get(events::events))
}
