//! The second factor: an authenticator's codes, and recovery codes for when it is lost.

use cairn_core::ids::AccountId;
use cairn_core::runtime::Entropy;
use cairn_metadata::{Account, MetadataStore, SecondFactor, TokenHash};

use super::{check_password, find};
use crate::auth::{tokens, totp};
use crate::error::ServiceError;
use crate::request::Peer;
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// Recovery codes of an account.
const RECOVERY_CODES: usize = 10;
/// Letters of a recovery code: 16 of 5 bits.
const RECOVERY_BYTES: usize = 10;

/// A second factor that was begun: what the authenticator must be told.
pub(crate) struct Begun {
    /// The secret in base32, to be typed.
    pub(crate) secret: String,
    /// The same as an address, to be shown as a QR code.
    pub(crate) uri: String,
}

/// Asks for the second factor where an account has one. Attempts are counted before any work.
pub(crate) async fn check(
    state: &State,
    peer: Peer,
    account: &Account,
    code: Option<&str>,
) -> Result<(), ServiceError> {
    let factor = state.metadata.second_factor(account.id).await?;
    let Some(factor) = factor.filter(|factor| factor.is_active) else {
        return Ok(());
    };
    let code = code.map(str::trim).filter(|code| !code.is_empty());
    let code = code.ok_or(ServiceError::SecondFactorNeeded)?;
    let accepted = accept(state, account.id, &factor, code).await;
    if let Err(ServiceError::WrongCode) = accepted {
        audit::record(state, peer, account.id, Event::WrongCode, About::default()).await;
    }
    accepted
}

/// Whether an account asks for a second factor.
pub(crate) async fn is_active(state: &State, account: AccountId) -> Result<bool, ServiceError> {
    let factor = state.metadata.second_factor(account).await?;
    Ok(factor.is_some_and(|factor| factor.is_active))
}

/// Takes a code of the authenticator, or a recovery code; each counts once.
async fn accept(
    state: &State,
    account: AccountId,
    factor: &SecondFactor,
    code: &str,
) -> Result<(), ServiceError> {
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state.auth.second_factors.take(&account, 1).map_err(limited)?;
    let now = state.runtime.clock.now();
    let is_right = match totp::step_with(&factor.secret, code, now) {
        Some(step) => state.metadata.use_step(account, step).await?,
        None => {
            let hash = recovery_hash(code).ok_or(ServiceError::WrongCode)?;
            state.metadata.use_recovery_code(account, &hash).await?
        }
    };
    if is_right {
        Ok(())
    } else {
        Err(ServiceError::WrongCode)
    }
}

/// Draws a secret for an account that proves its password. It is not asked for before it is confirmed.
pub(crate) async fn begin(
    state: &State,
    peer: Peer,
    account: &Account,
    password: String,
) -> Result<Begun, ServiceError> {
    prove(state, peer, account, password).await?;
    if is_active(state, account.id).await? {
        return Err(ServiceError::bad(
            "a second factor is asked for already: turn it off first",
        ));
    }
    let mut secret = [0; totp::SECRET_BYTES];
    state.runtime.entropy.fill(&mut secret);
    let factor = SecondFactor {
        secret: secret.to_vec(),
        is_active: false,
        last_step: 0,
    };
    state
        .metadata
        .set_second_factor(account.id, Some(&factor), &[])
        .await?;
    let secret = totp::base32(&secret);
    let label: String = form_urlencoded::byte_serialize(account.email.as_str().as_bytes()).collect();
    let uri = format!("otpauth://totp/Cairn:{label}?secret={secret}&issuer=Cairn");
    Ok(Begun { secret, uri })
}

/// Confirms the secret by a first code: from now on one is asked for. Answers the recovery codes, which are not kept.
pub(crate) async fn confirm(
    state: &State,
    account: &Account,
    code: &str,
) -> Result<Vec<String>, ServiceError> {
    let factor = state.metadata.second_factor(account.id).await?;
    let factor = factor.filter(|factor| !factor.is_active);
    let mut factor = factor.ok_or(ServiceError::bad("no second factor was begun"))?;
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state.auth.second_factors.take(&account.id, 1).map_err(limited)?;
    let step = totp::step_with(&factor.secret, code.trim(), state.runtime.clock.now());
    factor.last_step = step.ok_or(ServiceError::WrongCode)?;
    factor.is_active = true;
    let codes: Vec<String> = (0..RECOVERY_CODES)
        .map(|_| draw_recovery(state.runtime.entropy.as_ref()))
        .collect();
    let hashes: Vec<TokenHash> = codes.iter().filter_map(|code| recovery_hash(code)).collect();
    state
        .metadata
        .set_second_factor(account.id, Some(&factor), &hashes)
        .await?;
    tracing::info!(account.id = %account.id, "second factor turned on");
    Ok(codes)
}

/// Turns the second factor off, for who proves both factors.
pub(crate) async fn turn_off(
    state: &State,
    peer: Peer,
    account: &Account,
    password: String,
    code: Option<&str>,
) -> Result<(), ServiceError> {
    prove(state, peer, account, password).await?;
    check(state, peer, account, code).await?;
    forget(state.metadata.as_ref(), account.id).await
}

async fn forget(metadata: &dyn MetadataStore, account: AccountId) -> Result<(), ServiceError> {
    metadata.set_second_factor(account, None, &[]).await?;
    tracing::info!(account.id = %account, "second factor turned off");
    Ok(())
}

/// Turns the second factor of an account off, for whoever holds the data folder.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address.
pub async fn remove_second_factor(metadata: &dyn MetadataStore, email: &str) -> Result<(), ServiceError> {
    let account = find(metadata, email).await?;
    forget(metadata, account.id).await
}

/// Checks the password of an account that a token speaks for: a device that was stolen does not have it.
async fn prove(state: &State, peer: Peer, account: &Account, password: String) -> Result<(), ServiceError> {
    check_password(state, peer, account.email.as_str(), password)
        .await
        .map(drop)
}

fn draw_recovery(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; RECOVERY_BYTES];
    entropy.fill(&mut bytes);
    let text = totp::base32(&bytes).to_lowercase();
    let groups: Vec<&str> = (0..text.len())
        .step_by(4)
        .filter_map(|at| text.get(at..at + 4))
        .collect();
    groups.join("-")
}

/// What a recovery code is found by, however it was typed; `None` for text that is none. 80 random bits need no slow hash.
fn recovery_hash(code: &str) -> Option<TokenHash> {
    let plain: String = code.chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.len() != RECOVERY_BYTES * 8 / 5 {
        return None;
    }
    let text = format!("cairn recovery code {}", plain.to_lowercase());
    tokens::sha256(text.as_bytes()).map(TokenHash)
}
