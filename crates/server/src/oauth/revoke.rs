//! `POST /2/auth/token/revoke`: unlinks the app that asks, with all its tokens.

use std::sync::Arc;

use axum::extract::{Request, State as Shared};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::answer;
use crate::auth::{self, Caller};
use crate::error::ServiceError;
use crate::state::State;

pub(super) async fn revoke(Shared(state): Shared<Arc<State>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let done: Result<(), ServiceError> = async {
        let caller = Caller::authenticate(&parts, &state).await?;
        auth::unlink_for(&state, &caller, caller.device).await?;
        Ok(())
    }
    .await;
    match done {
        Ok(()) => answer::json(StatusCode::OK, &Value::Null),
        Err(error) => answer::service_error(&error),
    }
}
