//! `POST /sync/1/tree-hash`: the hash of a folder, or of its children.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{TreeHashReply, TreeHashRequest};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::tree_hash;
use crate::state::State;

pub(super) async fn tree_hash(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<TreeHashRequest>,
) -> Answer<TreeHashReply> {
    tree_hash::tree_hash(&state, &caller, &request).await.map(Reply)
}
