//! What OAuth gives out: codes, and the links that they are traded for.
//!
//! *Source:* RFC 6749 (the framework), RFC 7636 (PKCE), RFC 9700 (best current practice).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;
use cairn_metadata::{
    AccessToken, Account, AppKey, AuthCode, Challenge, ChallengeMethod, Device, LinkKind, RefreshToken,
    Scopes, TokenHash,
};
use subtle::ConstantTimeEq;

use super::apps::Client;
use crate::auth::{self, tokens};
use crate::error::ServiceError;
use crate::state::State;

/// How long an app's access token is valid, as with Dropbox.
pub(crate) const ACCESS_LIFETIME: Duration = Duration::from_secs(4 * 3_600);
/// How long a code may be traded. *Source:* RFC 6749, 4.1.2.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// What an app asks a person for.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) client: Client,
    pub(crate) redirect_uri: Option<String>,
    pub(crate) scopes: Scopes,
    pub(crate) challenge: Option<Challenge>,
    /// Whether it wants a refresh token.
    pub(crate) is_offline: bool,
}

/// An app that speaks for itself.
pub(crate) struct Credentials {
    pub(crate) key: AppKey,
    pub(crate) secret: Option<String>,
}

/// A code to be traded.
pub(crate) struct Redemption {
    pub(crate) code: String,
    pub(crate) verifier: Option<String>,
    pub(crate) redirect_uri: Option<String>,
}

/// What an app gets.
pub(crate) struct Granted {
    pub(crate) account: AccountId,
    /// The link.
    pub(crate) device: DeviceId,
    pub(crate) app: AppKey,
    /// Whether the link was made just now.
    pub(crate) is_new: bool,
    pub(crate) access_token: String,
    /// Only with a new link that asked for it.
    pub(crate) refresh_token: Option<String>,
    pub(crate) scopes: Scopes,
}

/// Why an app gets nothing. The names are those of RFC 6749, 5.2.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("the app is not known here, or its secret is wrong")]
    InvalidClient,
    #[error("{0}")]
    InvalidGrant(&'static str),
    #[error("the link does not have these scopes")]
    InvalidScope,
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<cairn_metadata::MetadataError> for GrantError {
    fn from(error: cairn_metadata::MetadataError) -> Self {
        Self::Service(error.into())
    }
}

const BAD_CODE: GrantError = GrantError::InvalidGrant("the code is wrong, was used, or has expired");
const BAD_REFRESH: GrantError =
    GrantError::InvalidGrant("the refresh token is wrong, or the app was unlinked: link it again");

/// Draws a token, with what it is found by.
fn draw(state: &State) -> Result<(String, TokenHash), ServiceError> {
    let token = tokens::new_token(state.runtime.entropy.as_ref());
    let hash = tokens::hash(&token).ok_or(ServiceError::NotAuthenticated)?;
    Ok((token, hash))
}

fn after(now: Timestamp, time: Duration) -> Timestamp {
    now.plus_millis(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))
}

/// Gives out a code for what a person has consented to. Durable when this returns.
pub(crate) async fn issue_code(
    state: &State,
    account: &Account,
    wish: &Wish,
) -> Result<String, ServiceError> {
    let now = state.runtime.clock.now();
    let (code, hash) = draw(state)?;
    let kept = AuthCode {
        hash,
        account: account.id,
        app: wish.client.key().clone(),
        scopes: wish.scopes,
        challenge: wish.challenge.clone(),
        redirect_uri: wish.redirect_uri.clone(),
        is_offline: wish.is_offline,
        expires_at: after(now, CODE_LIFETIME),
    };
    state.metadata.add_code(&kept, now).await?;
    tracing::info!(account.id = %account.id, app.key = %kept.app, "app allowed");
    Ok(code)
}

/// Trades a code for a link. The code is spent when this fails after it was found, too: who has half of what is needed gets
/// one try.
pub(crate) async fn redeem(
    state: &State,
    app: Credentials,
    redemption: Redemption,
) -> Result<Granted, GrantError> {
    let (client, is_proven) = authenticate(state, &app).await?;
    let hash = tokens::hash(&redemption.code).ok_or(BAD_CODE)?;
    let Some(code) = state.metadata.take_code(&hash).await? else {
        end_reused(state, &hash).await?;
        return Err(BAD_CODE);
    };
    let now = state.runtime.clock.now();
    if code.app != app.key || code.expires_at <= now {
        return Err(BAD_CODE);
    }
    if code.redirect_uri != redemption.redirect_uri {
        return Err(GrantError::InvalidGrant(
            "redirect_uri is not the one that was asked with",
        ));
    }
    match (&code.challenge, &redemption.verifier) {
        (Some(challenge), Some(verifier)) if meets(challenge, verifier) => {}
        (None, None) if is_proven || client.needs_no_proof(&code) => {}
        (None, None) => return Err(GrantError::InvalidClient),
        // A verifier where none was asked for is a sign that somebody took the challenge away.
        _ => return Err(GrantError::InvalidGrant("code_verifier is not right")),
    }
    let account = state.metadata.account(code.account).await?;
    let account = account.filter(|account| !account.is_disabled).ok_or(BAD_CODE)?;
    let granted = link(state, &account, &client, &code).await?;
    state
        .auth
        .redeemed
        .insert(code.hash, (granted.account, granted.device));
    Ok(granted)
}

/// Ends the link that a code was traded for when somebody trades it again: one of both has stolen it, and nobody knows
/// which. *Source:* RFC 6749, 4.1.2.
async fn end_reused(state: &State, code: &TokenHash) -> Result<(), ServiceError> {
    if let Some((account, device)) = state.auth.redeemed.remove(code) {
        auth::unlink(state, account, device).await?;
        tracing::warn!(account.id = %account, device.id = %device, "a code was traded twice: its link is ended");
    }
    Ok(())
}

/// Makes the link that a code stands for.
async fn link(
    state: &State,
    account: &Account,
    client: &Client,
    code: &AuthCode,
) -> Result<Granted, GrantError> {
    let now = state.runtime.clock.now();
    let device = Device {
        account: account.id,
        id: DeviceId::random(state.runtime.entropy.as_ref()),
        name: client.name(),
        created_at: now,
        last_seen_at: now,
        kind: LinkKind::App,
        app: Some(code.app.clone()),
        wipe: None,
    };
    let (access_token, hash) = draw(state)?;
    let access = AccessToken {
        hash,
        scopes: code.scopes,
        expires_at: Some(after(now, ACCESS_LIFETIME)),
    };
    let (refresh_token, refresh) = if code.is_offline {
        let (token, hash) = draw(state)?;
        // What was linked by a secret is renewed by it.
        let needs_secret = client.is_registered() && code.challenge.is_none();
        (Some(token), Some(RefreshToken { hash, needs_secret }))
    } else {
        (None, None)
    };
    state
        .metadata
        .link_device(&device, &access, refresh.as_ref())
        .await?;
    tracing::info!(account.id = %account.id, device.id = %device.id, app.key = %code.app, "app linked");
    Ok(Granted {
        account: account.id,
        device: device.id,
        app: code.app.clone(),
        is_new: true,
        access_token,
        refresh_token,
        scopes: code.scopes,
    })
}

/// Gives a link another access token; those that it has stay valid until they expire.
pub(crate) async fn refresh(
    state: &State,
    app: Credentials,
    refresh_token: &str,
    scopes: Option<Scopes>,
) -> Result<Granted, GrantError> {
    let (_, is_proven) = authenticate(state, &app).await?;
    let hash = tokens::hash(refresh_token).ok_or(BAD_REFRESH)?;
    let link = state.metadata.app_link(&hash).await?.ok_or(BAD_REFRESH)?;
    if link.app != app.key || link.is_disabled {
        return Err(BAD_REFRESH);
    }
    if link.needs_secret && !is_proven {
        return Err(GrantError::InvalidClient);
    }
    let scopes = scopes.unwrap_or(link.scopes);
    if scopes.and(link.scopes) != scopes {
        return Err(GrantError::InvalidScope);
    }
    let now = state.runtime.clock.now();
    let (access_token, hash) = draw(state)?;
    let access = AccessToken {
        hash,
        scopes,
        expires_at: Some(after(now, ACCESS_LIFETIME)),
    };
    let is_added = state.metadata.add_token(link.account, link.device, &access, now);
    if !is_added.await? {
        return Err(BAD_REFRESH);
    }
    Ok(Granted {
        account: link.account,
        device: link.device,
        app: link.app,
        is_new: false,
        access_token,
        refresh_token: None,
        scopes,
    })
}

/// Finds an app, and whether it has proven to be that.
async fn authenticate(state: &State, app: &Credentials) -> Result<(Client, bool), GrantError> {
    let client = Client::find(state, &app.key).await?;
    let client = client.ok_or(GrantError::InvalidClient)?;
    let is_proven = client.proves(app.secret.as_deref());
    let is_proven = is_proven.ok_or(GrantError::InvalidClient)?;
    Ok((client, is_proven))
}

impl Client {
    /// Whether its code may be traded by whoever has it.
    fn needs_no_proof(&self, code: &AuthCode) -> bool {
        !self.is_registered() && self.needs_no_challenge(code.redirect_uri.as_deref())
    }
}

/// Whether a text can be a verifier, or the challenge that is made of one. *Source:* RFC 7636, 4.1 and 4.2.
pub(crate) fn is_verifier(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&text.len()) && text.bytes().all(legal)
}

/// Whether a verifier is the one of which the challenge was made, in a time that does not tell how far they agree.
fn meets(challenge: &Challenge, verifier: &str) -> bool {
    if !is_verifier(verifier) {
        return false;
    }
    let made = match challenge.method {
        ChallengeMethod::Plain => Some(verifier.to_owned()),
        ChallengeMethod::S256 => {
            tokens::sha256(verifier.as_bytes()).map(|digest| URL_SAFE_NO_PAD.encode(digest))
        }
    };
    made.is_some_and(|made| made.as_bytes().ct_eq(challenge.value.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7636, appendix B.
    #[test]
    fn a_verifier_meets_its_challenge_alone() {
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let hashed = Challenge {
            method: ChallengeMethod::S256,
            value: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM".to_owned(),
        };
        assert!(meets(&hashed, verifier));
        assert!(!meets(&hashed, &hashed.value));
        let plain = Challenge {
            method: ChallengeMethod::Plain,
            value: verifier.to_owned(),
        };
        assert!(meets(&plain, verifier));
        assert!(!meets(&plain, &hashed.value));
        assert!(!meets(&plain, ""));
    }

    #[test]
    fn verifiers_have_a_form() {
        assert!(is_verifier(&"a".repeat(43)) && is_verifier(&"~".repeat(128)));
        for wrong in [
            &"a".repeat(42),
            &"a".repeat(129),
            &"é".repeat(40),
            &" ".repeat(50),
        ] {
            assert!(!is_verifier(wrong));
        }
    }
}
