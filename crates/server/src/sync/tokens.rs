//! `POST /sync/1/tokens`: makes a token for scripts.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use cairn_api::sync::{MakeToken, MakeTokenReply};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::accounts::made::{self, NewToken};
use crate::service::audit::{self, Event};
use crate::state::State;

pub(super) async fn tokens(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<MakeToken>,
) -> Answer<MakeTokenReply> {
    let days = |days: u32| Duration::from_secs(u64::from(days) * 86_400);
    let new = NewToken {
        name: request.name,
        scopes: request.scopes,
        lifetime: request.days.map(days),
    };
    let made = made::make(state.metadata.as_ref(), &state.runtime, caller.account, new).await?;
    audit::record(&state, caller.peer, caller.account, Event::TokenMade, made.0).await;
    Ok(Reply(MakeTokenReply {
        id: made.0,
        token: made.1,
    }))
}
