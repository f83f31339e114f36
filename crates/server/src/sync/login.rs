//! `POST /sync/1/login`: links a device.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State as Shared;
use cairn_api::sync::{Login, LoginReply};

use crate::body::{Answer, Message, Reply};
use crate::request::Peer;
use crate::service::accounts;
use crate::state::State;

pub(super) async fn login(
    Shared(state): Shared<Arc<State>>,
    peer: Option<Extension<Peer>>,
    Message(login): Message<Login>,
) -> Answer<LoginReply> {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    accounts::log_in(&state, peer, login).await.map(Reply)
}
