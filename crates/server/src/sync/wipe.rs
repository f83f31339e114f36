//! `/sync/1/wipe` and `/sync/1/wiped`: a device is unlinked, deletes what it keeps, and says so.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use cairn_api::sync::{AskWipe, WipeOrder, Wiped};
use cairn_metadata::Wipe;

use crate::auth::{self, Caller, Leaver};
use crate::body::{Answer, Message, Reply};
use crate::error::ServiceError;
use crate::state::State;

pub(super) async fn ask(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<AskWipe>,
) -> Result<StatusCode, ServiceError> {
    if request.device == caller.device {
        return Err(ServiceError::bad("a device cannot ask this of itself"));
    }
    let wipe = if request.everything {
        Wipe::Everything
    } else {
        Wipe::Synced
    };
    auth::wipe(&state, caller.peer, caller.account, request.device, wipe).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn order(leaver: Leaver) -> Answer<WipeOrder> {
    Ok(Reply(WipeOrder {
        everything: leaver.wipe == Wipe::Everything,
    }))
}

pub(super) async fn wiped(
    Shared(state): Shared<Arc<State>>,
    leaver: Leaver,
    Message(done): Message<Wiped>,
) -> Result<StatusCode, ServiceError> {
    auth::wiped(&state, &leaver.caller, done).await?;
    Ok(StatusCode::NO_CONTENT)
}
