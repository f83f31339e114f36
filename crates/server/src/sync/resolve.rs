//! `POST /sync/1/resolve`: follows a path.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{Resolve, ResolveReply};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::browse;
use crate::state::State;

pub(super) async fn resolve(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Resolve>,
) -> Answer<ResolveReply> {
    browse::resolve(&state, &caller, &request).await.map(Reply)
}
