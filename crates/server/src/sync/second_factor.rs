//! `POST /sync/1/second-factor`: the second factor of the account.

use std::sync::Arc;

use axum::Extension;
use axum::extract::State as Shared;
use cairn_api::sync::{SecondFactor, SecondFactorReply, SecondFactorStep};

use crate::auth::Caller;
use crate::body::{Answer, Message, Reply};
use crate::request::Peer;
use crate::service::accounts::{self, second};
use crate::service::audit::{self, Event};
use crate::state::State;

pub(super) async fn second_factor(
    Shared(state): Shared<Arc<State>>,
    caller: Caller,
    peer: Option<Extension<Peer>>,
    Message(request): Message<SecondFactor>,
) -> Answer<SecondFactorReply> {
    let peer = peer.map_or(Peer::UNKNOWN, |Extension(peer)| peer);
    let account = accounts::account_of(&state, caller.account).await?;
    let mut reply = SecondFactorReply {
        is_active: false,
        secret: None,
        uri: None,
        recovery_codes: Vec::new(),
    };
    let code = request.code.as_deref();
    match request.step {
        SecondFactorStep::Look => {}
        SecondFactorStep::Begin => {
            let begun = second::begin(&state, peer, &account, request.password).await?;
            reply.secret = Some(begun.secret);
            reply.uri = Some(begun.uri);
        }
        SecondFactorStep::Confirm => {
            reply.recovery_codes = second::confirm(&state, &account, code.unwrap_or("")).await?;
            audit::record(&state, peer, account.id, Event::SecondFactorOn, caller.device).await;
        }
        SecondFactorStep::TurnOff => {
            second::turn_off(&state, peer, &account, request.password, code).await?;
            audit::record(&state, peer, account.id, Event::SecondFactorOff, caller.device).await;
        }
    }
    reply.is_active = second::is_active(&state, account.id).await?;
    Ok(Reply(reply))
}
