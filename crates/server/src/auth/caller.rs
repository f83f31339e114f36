//! Turns a request's token into the device that sent it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;
use cairn_metadata::{Scope, Scopes, TokenHash, Wipe};

use super::tokens;
use crate::error::ServiceError;
use crate::request::{Peer, Who};
use crate::state::State;

/// The device that sent a request, known by its token and within its rate.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) account: AccountId,
    pub(crate) device: DeviceId,
    /// When its token ends.
    pub(crate) expires_at: Option<Timestamp>,
    /// What its token may do.
    pub(crate) scopes: Scopes,
    /// Where it asks from.
    pub(crate) peer: Peer,
    token: TokenHash,
}

/// In whose name something is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Author {
    /// The account.
    pub(crate) account: AccountId,
    /// Its device, or the app that it linked.
    pub(crate) device: DeviceId,
}

impl Author {
    /// Somebody else than the device's daemon, in its name.
    pub(crate) const fn on_behalf(self) -> Self {
        Self {
            device: self.device.on_behalf(),
            ..self
        }
    }
}

impl Caller {
    /// In whose name it changes things.
    pub(crate) const fn author(&self) -> Author {
        Author {
            account: self.account,
            device: self.device,
        }
    }

    /// Finds whom a request's token speaks for.
    pub(crate) async fn authenticate(parts: &Parts, state: &State) -> Result<Self, ServiceError> {
        match Self::identify(parts, state).await? {
            (caller, None) => Ok(caller),
            (_, Some(_)) => Err(ServiceError::WipeAsked),
        }
    }

    /// Finds whom a request's token speaks for, and what that device is to delete.
    async fn identify(parts: &Parts, state: &State) -> Result<(Self, Option<Wipe>), ServiceError> {
        let bearer = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let (scheme, token) = bearer
            .and_then(|text| text.split_once(' '))
            .ok_or(ServiceError::NotAuthenticated)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(ServiceError::NotAuthenticated);
        }
        let token = tokens::hash(token.trim()).ok_or(ServiceError::NotAuthenticated)?;
        let session = state.auth.sessions.find(state.metadata.as_ref(), &token).await?;
        let session = session.ok_or(ServiceError::NotAuthenticated)?;
        let now = state.runtime.clock.now();
        // A device is wiped also when its link has expired or its account is locked since.
        let is_leaving = session.wipe.is_some();
        if !is_leaving && session.expires_at.is_some_and(|expires_at| expires_at <= now) {
            return Err(ServiceError::TokenExpired);
        }
        if !is_leaving && session.is_disabled {
            return Err(ServiceError::AccountLocked);
        }
        let caller = Self {
            account: session.account,
            device: session.device,
            expires_at: session.expires_at,
            scopes: session.scopes,
            peer: parts.extensions.get().copied().unwrap_or(Peer::UNKNOWN),
            token,
        };
        if let Some(Who(device)) = parts.extensions.get::<Who>() {
            device.get_or_init(|| caller.device);
        }
        let limited = |retry_after| ServiceError::RateLimited { retry_after };
        state.auth.requests.take(&caller.device, 1).map_err(limited)?;
        touch(state, &caller, now).await;
        Ok((caller, session.wipe))
    }

    /// Refuses a token that may not do this.
    pub(crate) const fn require(&self, scope: Scope) -> Result<(), ServiceError> {
        if self.scopes.has(scope) {
            Ok(())
        } else {
            Err(ServiceError::MissingScope(scope))
        }
    }

    /// Whether the token still speaks for the device. For streams that outlive their request.
    pub(crate) async fn is_still_welcome(&self, state: &State) -> Result<bool, ServiceError> {
        let session = state
            .auth
            .sessions
            .find(state.metadata.as_ref(), &self.token)
            .await?;
        Ok(session.is_some_and(|session| !session.is_disabled && session.wipe.is_none()))
    }
}

/// A device that was unlinked and is to delete what it keeps.
pub(crate) struct Leaver {
    pub(crate) caller: Caller,
    /// What it is to delete.
    pub(crate) wipe: Wipe,
}

/// For the two routes that are left to it.
impl FromRequestParts<Arc<State>> for Leaver {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, ServiceError> {
        let (caller, wipe) = Caller::identify(parts, state).await?;
        caller.require(Scope::Sync)?;
        let wipe = wipe.ok_or(ServiceError::NotFound("an order to delete anything"))?;
        Ok(Self { caller, wipe })
    }
}

/// For the devices' protocol.
impl FromRequestParts<Arc<State>> for Caller {
    type Rejection = ServiceError;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<State>) -> Result<Self, ServiceError> {
        let caller = Self::authenticate(parts, state).await?;
        caller.require(Scope::Sync)?;
        Ok(caller)
    }
}

/// Records, once an hour, that the device was heard of. Failing at it is no reason to refuse the request.
async fn touch(state: &State, caller: &Caller, now: Timestamp) {
    if state.auth.touched.contains_key(&caller.device) {
        return;
    }
    state.auth.touched.insert(caller.device, ());
    if let Err(error) = state
        .metadata
        .touch_device(caller.account, caller.device, now)
        .await
    {
        tracing::warn!(device.id = %caller.device, %error, "cannot record that a device was heard of");
    }
}
