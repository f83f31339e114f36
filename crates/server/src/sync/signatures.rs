//! `POST /sync/1/signatures`: what to make deltas against. Answers from what the account can read, never from what the server
//! stores.

use std::sync::Arc;

use axum::extract::State as Shared;
use cairn_api::sync::{Signatures, SignaturesReply};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::service::deltas;
use crate::state::State;

pub(super) async fn signatures(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    Message(request): Message<Signatures>,
) -> Answer<SignaturesReply> {
    let signatures = deltas::signatures(&state, &caller, &request.hashes).await?;
    let signatures = signatures
        .into_iter()
        .map(|signature| signature.map(|bytes| bytes.to_vec().into()));
    Ok(Reply(SignaturesReply {
        signatures: signatures.collect(),
    }))
}
