//! `POST /sync/1/revs`: lists the states of a file.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{Revs, RevsReply};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::revs;
use crate::state::State;

pub(super) async fn revs(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Revs>,
) -> Answer<RevsReply> {
    revs::revs(&state, &caller, &request).await.map(Reply)
}
