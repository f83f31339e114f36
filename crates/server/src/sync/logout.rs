//! `POST /sync/1/logout`: unlinks the device that asks.

use std::sync::Arc;

use axum::extract::State as Shared;
use axum::http::StatusCode;

use crate::auth::{self, Caller};
use crate::error::ServiceError;
use crate::state::State;

pub(super) async fn logout(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
) -> Result<StatusCode, ServiceError> {
    auth::unlink_for(&state, &caller, caller.device).await?;
    Ok(StatusCode::NO_CONTENT)
}
