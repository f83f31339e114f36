//! `POST /sync/1/have`: which chunks need not be sent. Answers from what the account may commit, never from what the
//! server stores.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{Have, HaveReply};
use cairn_core::limits;

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::error::ServiceError;
use crate::service::upload::grant_end;
use crate::state::State;

pub(super) async fn have(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Have>,
) -> Answer<HaveReply> {
    if request.hashes.len() > limits::HAVE_HASHES {
        return Err(ServiceError::TooLarge {
            what: "hashes in one check",
            limit: limits::HAVE_HASHES,
        });
    }
    state.check_access(&caller, request.namespace).await?;
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state
        .auth
        .have_hashes
        .take(&caller.device, request.hashes.len() as u32)
        .map_err(limited)?;
    let now = state.runtime.clock.now();
    let extend_to = grant_end(now);
    let have = state
        .metadata
        .have(request.namespace, caller.account, &request.hashes, now, extend_to)
        .await;
    Ok(Reply(HaveReply {
        have: have.map_err(ServiceError::from)?,
    }))
}
