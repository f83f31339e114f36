//! `POST /sync/1/commit`: takes chunks in and changes a namespace, in one request.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use cairn_api::sync::CommitReply;

use crate::auth::Caller;
use crate::body::{Answer, Reply};
use crate::service::commit;
use crate::service::upload::{self, Ending};
use crate::state::State;

pub(super) async fn commit(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    request: Request,
) -> Answer<CommitReply> {
    let received = upload::receive(&state, &caller, request, Ending::Message).await?;
    commit::commit(&state, &caller, received).await.map(Reply)
}
