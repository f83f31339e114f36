//! `POST /sync/1/chunks?ns=`: takes chunks in.

use std::sync::Arc;

use axum::extract::{Query, Request, State as Shared};
use cairn_api::sync::ChunksReply;
use serde::Deserialize;

use crate::auth::Caller;
use crate::body::{Answer, Reply};
use crate::error::ServiceError;
use crate::service::upload::{self, Ending};
use crate::state::State;

#[derive(Deserialize)]
pub(super) struct Target {
    ns: String,
}

pub(super) async fn chunks(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    target: Result<Query<Target>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Answer<ChunksReply> {
    let target = target.map_err(|_| ServiceError::bad("the query must name the namespace: ?ns="))?;
    let namespace = target
        .ns
        .parse()
        .map_err(|_| ServiceError::bad("ns is no namespace id: 16 hex digits"))?;
    state.check_access(&caller, namespace).await?;
    let received = upload::receive(&state, &caller, request, Ending::ChunksOnly).await?;
    upload::grant(&state, &caller, namespace, &received).await?;
    Ok(Reply(ChunksReply {
        count: received.frame_count,
    }))
}
