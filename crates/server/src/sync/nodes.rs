//! `POST /sync/1/nodes`: lists a namespace, or what lies below a folder.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{NodesReply, NodesRequest};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::browse;
use crate::state::State;

pub(super) async fn nodes(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<NodesRequest>,
) -> Answer<NodesReply> {
    browse::nodes(&state, &caller, &request).await.map(Reply)
}
