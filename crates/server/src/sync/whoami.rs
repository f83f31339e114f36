//! `GET /sync/1/whoami`: whom the token speaks for.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::Whoami;

use crate::auth::Caller;
use crate::body::{Answer, Reply};
use crate::service::{accounts, browse};
use crate::state::State;

pub(super) async fn whoami(Shared(state): Shared<Arc<State>>, caller: Caller) -> Answer<Whoami> {
    let account = accounts::account_of(&state, caller.account).await?;
    let head = browse::head(&state, account.root).await?;
    Ok(Reply(Whoami {
        account: account.id,
        email: account.email.as_str().to_owned(),
        device: caller.device,
        root: account.root,
        bytes_used: head.bytes_used,
        quota_bytes: account.quota_bytes,
    }))
}
