//! `POST /sync/1/changes`: the journal after a cursor, with a wait if wanted.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{ChangesReply, ChangesRequest};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::browse;
use crate::state::State;

pub(super) async fn changes(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<ChangesRequest>,
) -> Answer<ChangesReply> {
    browse::changes(&state, &caller, &request).await.map(Reply)
}
