//! `/2/auth/token`: the end of a token.

use std::sync::Arc;

use super::error::ApiResult;
use crate::auth::{self, Caller};
use crate::state::State;

/// `auth/token/revoke`: unlinks the app that asks, with all its tokens.
pub(super) async fn revoke(state: Arc<State>, caller: Caller) -> ApiResult<()> {
    auth::unlink_for(&state, &caller, caller.device).await?;
    Ok(())
}
