//! `POST /sync/1/children`: lists one folder.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{ChildrenRequest, NodesReply};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::browse;
use crate::state::State;

pub(super) async fn children(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<ChildrenRequest>,
) -> Answer<NodesReply> {
    browse::children(&state, &caller, &request).await.map(Reply)
}
