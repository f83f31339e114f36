//! From who somebody is elsewhere to an account here.

use cairn_core::ids::{AccountId, Incarnation, NamespaceId};
use cairn_metadata::{Account, Email, IdentityHash};
use ring::digest;

use super::Refusal;
use super::provider::{Claims, Provider};
use crate::auth::passwords;
use crate::config::SignUp;
use crate::error::ServiceError;
use crate::request::Peer;
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// The two parts are told apart by the first one's length.
fn hash_of(claims: &Claims) -> IdentityHash {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"cairn identity");
    context.update(&(claims.issuer.len() as u64).to_le_bytes());
    context.update(claims.issuer.as_bytes());
    context.update(claims.subject.as_bytes());
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    IdentityHash(hash)
}

/// Connects an account with who its owner is elsewhere.
pub(super) async fn connect(
    state: &State,
    peer: Peer,
    provider: &Provider,
    claims: &Claims,
    account: &Account,
) -> Result<(), Refusal> {
    if !state.metadata.link_identity(&hash_of(claims), account.id).await? {
        return Err(Refusal::Others(provider.config.name.clone()));
    }
    audit::record(state, peer, account.id, Event::IdentityLinked, About::default()).await;
    Ok(())
}

/// Lets nobody sign in to an account by a provider any more, and signs out who has; false, and nothing is done, when there would be
/// no other way in. A password that was chosen is never taken away again.
pub(crate) async fn disconnect(state: &State, peer: Peer, account: &Account) -> Result<bool, ServiceError> {
    if account.password_hash == passwords::NONE {
        return Ok(false);
    }
    if state.metadata.unlink_identities(account.id).await? > 0 {
        audit::record(state, peer, account.id, Event::IdentityUnlinked, About::default()).await;
    }
    // Who was signed in by it stays no longer.
    state.auth.browsers.sign_out_all(account.id);
    Ok(true)
}

/// The account of somebody, which is made or connected on the first visit where the configuration allows that.
pub(super) async fn account_of(
    state: &State,
    peer: Peer,
    provider: &Provider,
    claims: &Claims,
) -> Result<Account, Refusal> {
    let identity = hash_of(claims);
    let known = state.metadata.identity(&identity).await?;
    let account = match known {
        Some(id) => {
            // Connected by a version that did not write down what an account is connected with.
            if state.metadata.identities(id).await? == 0 {
                state.metadata.link_identity(&identity, id).await?;
            }
            state.metadata.account(id).await?
        }
        None => None,
    };
    let account = match account {
        Some(account) => account,
        None => first_visit(state, peer, provider, claims).await?,
    };
    if account.is_disabled {
        return Err(ServiceError::AccountLocked.into());
    }
    Ok(account)
}

async fn first_visit(
    state: &State,
    peer: Peer,
    provider: &Provider,
    claims: &Claims,
) -> Result<Account, Refusal> {
    let name = || provider.config.name.clone();
    // Before anything is said about an address it must be that of who asks.
    let email = claims.verified_email.as_deref().and_then(Email::new);
    let email = email.ok_or_else(|| Refusal::Unverified(name()))?;
    if let Some(account) = state.metadata.account_by_email(&email).await? {
        if !provider.config.link_by_verified_email {
            return Err(Refusal::Taken(name()));
        }
        if !account.is_disabled {
            connect(state, peer, provider, claims, &account).await?;
        }
        return Ok(account);
    }
    if state.config.sign_up != SignUp::Open {
        return Err(Refusal::ByInvitation);
    }
    let entropy = state.runtime.entropy.as_ref();
    let account = Account {
        id: AccountId::random(entropy),
        email,
        password_hash: passwords::NONE.to_owned(),
        root: NamespaceId::random(entropy),
        is_admin: false,
        is_disabled: false,
        quota_bytes: None,
        created_at: state.runtime.clock.now(),
    };
    let incarnation = Incarnation::random(entropy);
    let is_made = state
        .metadata
        .create_account_of(&hash_of(claims), &account, incarnation)
        .await?;
    if !is_made {
        return Err(Refusal::Others(name()));
    }
    tracing::info!(account.id = %account.id, "account made");
    audit::record(state, peer, account.id, Event::Joined, About::default()).await;
    Ok(account)
}
