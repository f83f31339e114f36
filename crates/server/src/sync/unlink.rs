//! `POST /sync/1/unlink`: forgets another device, an app's link or a token.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use cairn_api::sync::Unlink;

use crate::auth::{self, Caller};
use crate::body::Message;
use crate::error::ServiceError;
use crate::service::accounts::made::NOT_LINKED;
use crate::state::State;

pub(super) async fn unlink(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Unlink>,
) -> Result<StatusCode, ServiceError> {
    if auth::unlink_for(&state, &caller, request.device).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(NOT_LINKED)
    }
}
