//! Links that work once: invitations, and password resets.

use std::sync::Arc;
use std::time::Duration;

use cairn_core::runtime::Runtime;
use cairn_metadata::{Account, Email, LinkPurpose, MetadataError, MetadataStore, OneTimeLink, TokenHash};

use super::{HASHING_WAIT, NewAccount, create_account, find, parse_email};
use crate::auth::{self, passwords, tokens};
use crate::config::SignUp;
use crate::error::ServiceError;
use crate::mail::{self, Letter, MailError};
use crate::memory;
use crate::request::Peer;
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// How long a password can be reset by a link.
const RESET_LIFETIME: Duration = Duration::from_secs(3_600);

/// An invitation to be made.
pub struct NewInvitation {
    /// The address that the account must have; `None` for any.
    pub email: Option<String>,
    /// Live bytes that it may keep; `None` for no bound.
    pub quota_bytes: Option<u64>,
    /// How long it is good.
    pub lifetime: Duration,
}

const USED: ServiceError = ServiceError::BadRequest(std::borrow::Cow::Borrowed(
    "this link was used already, or it has expired: ask for another one",
));

/// Keeps a link; its secret.
async fn keep(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    purpose: LinkPurpose,
    lifetime: Duration,
) -> Result<String, ServiceError> {
    let secret = tokens::new_token(runtime.entropy.as_ref());
    let link = OneTimeLink {
        hash: tokens::hash(&secret).ok_or(ServiceError::NotAuthenticated)?,
        purpose,
        expires_at: runtime
            .clock
            .now()
            .plus_millis(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)),
    };
    metadata.add_link(&link).await?;
    Ok(secret)
}

/// Makes an invitation; the path under which it is accepted, to be put behind the server's address. Whoever has it can make
/// an account, once.
///
/// # Errors
/// [`ServiceError::BadRequest`] for an address that cannot be one; [`MetadataError::EmailTaken`].
pub async fn invite(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    new: NewInvitation,
) -> Result<String, ServiceError> {
    let email = new.email.as_deref().map(parse_email).transpose()?;
    if let Some(email) = &email
        && metadata.account_by_email(email).await?.is_some()
    {
        return Err(MetadataError::EmailTaken.into());
    }
    let purpose = LinkPurpose::Invitation {
        email,
        quota_bytes: new.quota_bytes,
    };
    let secret = keep(metadata, runtime, purpose, new.lifetime).await?;
    tracing::info!("invitation made");
    Ok(format!("/join?link={secret}"))
}

/// Makes a link by which an account gets another password, within an hour; its path, as of [`invite`].
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address.
pub async fn reset_link(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    email: &str,
) -> Result<String, ServiceError> {
    let account = find(metadata, email).await?;
    let purpose = LinkPurpose::Reset {
        account: account.id,
        password_digest: digest(&account),
    };
    let secret = keep(metadata, runtime, purpose, RESET_LIFETIME).await?;
    tracing::info!(account.id = %account.id, "password reset begun");
    Ok(format!("/reset?link={secret}"))
}

fn digest(account: &Account) -> [u8; 32] {
    tokens::sha256(account.password_hash.as_bytes()).unwrap_or_default()
}

fn hash_of(secret: &str) -> Result<TokenHash, ServiceError> {
    tokens::hash(secret).ok_or(USED)
}

/// What a link is for, if it can still be used. Looking does not use it.
pub(crate) async fn look(state: &State, secret: &str) -> Result<LinkPurpose, ServiceError> {
    let link = state.metadata.link(&hash_of(secret)?).await?;
    check(state, link)
}

fn check(state: &State, link: Option<OneTimeLink>) -> Result<LinkPurpose, ServiceError> {
    let now = state.runtime.clock.now();
    let link = link.filter(|link| link.expires_at > now);
    link.map(|link| link.purpose).ok_or(USED)
}

/// Makes an account for who was invited, or for anybody where that is configured. The invitation is used up by an account
/// that is made, and by nothing else.
pub(crate) async fn join(
    state: &State,
    peer: Peer,
    secret: Option<&str>,
    email: &str,
    password: String,
) -> Result<Account, ServiceError> {
    let email = parse_email(email)?;
    passwords::check_new(&password)?;
    state.auth.throttle.attempt(peer, &email)?;
    let quota_bytes = match secret {
        None if state.config.sign_up == SignUp::Open => None,
        None => return Err(ServiceError::bad("an account is made by invitation only")),
        Some(secret) => match look(state, secret).await? {
            LinkPurpose::Invitation {
                email: Some(invited), ..
            } if invited != email => {
                return Err(ServiceError::bad("the invitation is for another address"));
            }
            LinkPurpose::Invitation { quota_bytes, .. } => quota_bytes,
            LinkPurpose::Reset { .. } => return Err(USED),
        },
    };
    let metadata = state.metadata.as_ref();
    if metadata.account_by_email(&email).await?.is_some() {
        return Err(MetadataError::EmailTaken.into());
    }
    let turn = memory::acquire(&state.auth.hashing, 1, HASHING_WAIT).await?;
    // From here on the invitation is taken: two who have the same one make one account.
    let taken = match secret {
        Some(secret) => Some(metadata.take_link(&hash_of(secret)?).await?.ok_or(USED)?),
        None => None,
    };
    let new = NewAccount {
        email: email.as_str().to_owned(),
        password,
        is_admin: false,
        quota_bytes,
    };
    let made = create_account(metadata, &state.runtime, new).await;
    drop(turn);
    if let (Err(_), Some(link)) = (&made, &taken) {
        metadata.add_link(link).await?;
    }
    let made = made?;
    audit::record(state, peer, made.id, Event::Joined, About::default()).await;
    Ok(made)
}

/// Mails a link by which a password can be reset, to who has the address: whether anybody has is not told, neither by the answer
/// nor by how long it takes.
pub(crate) fn ask_reset(state: &Arc<State>, peer: Peer, email: &str) -> Result<(), ServiceError> {
    let email = parse_email(email)?;
    state.auth.throttle.attempt(peer, &email)?;
    let mailing = Arc::clone(state);
    state.spawn("letter", async move {
        if let Err(error) = mail_reset(&mailing, peer, &email).await {
            tracing::warn!(%error, "a link cannot be mailed");
        }
    });
    Ok(())
}

/// Why a link was not mailed.
#[derive(Debug, thiserror::Error)]
enum NotMailed {
    #[error(transparent)]
    Service(#[from] ServiceError),
    #[error(transparent)]
    Mail(#[from] MailError),
}

async fn mail_reset(state: &State, peer: Peer, email: &Email) -> Result<(), NotMailed> {
    let account = state.metadata.account_by_email(email).await;
    let account = account.map_err(ServiceError::from)?;
    let Some(account) = account.filter(|account| !account.is_disabled) else {
        return Ok(());
    };
    let limited = |retry_after| ServiceError::RateLimited { retry_after };
    state.auth.letters.take(&account.id, 1).map_err(limited)?;
    let path = reset_link(state.metadata.as_ref(), &state.runtime, email.as_str()).await?;
    mail::send(state, email, &Letter::Reset { path }).await?;
    audit::record(state, peer, account.id, Event::ResetAsked, About::default()).await;
    Ok(())
}

/// Gives an account another password by a link; on demand unlinks everything that is linked to it.
pub(crate) async fn reset(
    state: &State,
    peer: Peer,
    secret: &str,
    password: String,
    unlink_all: bool,
) -> Result<(), ServiceError> {
    passwords::check_new(&password)?;
    let mut account = resettable(state, look(state, secret).await?).await?;
    state.auth.throttle.attempt(peer, &account.email)?;
    let turn = memory::acquire(&state.auth.hashing, 1, HASHING_WAIT).await?;
    let hash = passwords::hash(&state.runtime, password).await?;
    drop(turn);
    let taken = state.metadata.take_link(&hash_of(secret)?).await?;
    resettable(state, check(state, taken)?).await?;
    account.password_hash = hash;
    state.metadata.update_account(&account).await?;
    tracing::info!(account.id = %account.id, "password reset");
    audit::record(state, peer, account.id, Event::PasswordReset, About::default()).await;
    if unlink_all {
        for device in state.metadata.devices(account.id).await? {
            auth::unlink(state, account.id, device.id).await?;
        }
    }
    Ok(())
}

/// The account that a link may give another password: it still has the one that it had when the link was made.
async fn resettable(state: &State, purpose: LinkPurpose) -> Result<Account, ServiceError> {
    let LinkPurpose::Reset {
        account,
        password_digest,
    } = purpose
    else {
        return Err(USED);
    };
    let account = state.metadata.account(account).await?;
    let same = |account: &Account| digest(account) == password_digest && !account.is_disabled;
    account.filter(same).ok_or(USED)
}
