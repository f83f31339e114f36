//! Accounts and the devices linked to them.

pub mod apps;
pub(crate) mod grants;
pub mod invited;
pub mod made;
pub mod second;

use cairn_core::ids::{AccountId, DeviceId, Incarnation, NamespaceId};
use cairn_core::limits;
use cairn_core::runtime::Runtime;
use cairn_metadata::{AccessToken, Account, Device, Email, LinkKind, MetadataError, MetadataStore, Scopes};
use std::time::Duration;

use cairn_api::sync::{Login, LoginReply};

use crate::auth::{passwords, tokens};
use crate::error::ServiceError;
use crate::memory;
use crate::request::Peer;
use crate::service::audit::{self, About, Event};
use crate::state::State;

/// How long a login waits for its turn to be hashed.
const HASHING_WAIT: Duration = Duration::from_secs(10);
/// Accounts in one page of a listing.
const ACCOUNTS_PAGE: usize = 500;

/// An account to be made.
pub struct NewAccount {
    /// Its e-mail address, as typed.
    pub email: String,
    /// Its password, 8 to 1,024 bytes.
    pub password: String,
    /// Whether it may administer the server.
    pub is_admin: bool,
    /// Live bytes that it may keep; `None` for no bound.
    pub quota_bytes: Option<u64>,
}

/// Makes an account with an empty root namespace. Durable when this returns.
///
/// # Errors
/// [`ServiceError::BadRequest`] for an address or password that cannot be one; [`MetadataError::EmailTaken`].
pub async fn create_account(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    new: NewAccount,
) -> Result<Account, ServiceError> {
    let email = parse_email(&new.email)?;
    passwords::check_new(&new.password)?;
    let entropy = runtime.entropy.as_ref();
    let account = Account {
        id: AccountId::random(entropy),
        email,
        password_hash: passwords::hash(runtime, new.password).await?,
        root: NamespaceId::random(entropy),
        is_admin: new.is_admin,
        is_disabled: false,
        quota_bytes: new.quota_bytes,
        created_at: runtime.clock.now(),
    };
    metadata
        .create_account(&account, Incarnation::random(entropy))
        .await?;
    tracing::info!(account.id = %account.id, "account made");
    Ok(account)
}

/// Lists every account, by id.
///
/// # Errors
/// Those of the store.
pub async fn list_accounts(metadata: &dyn MetadataStore) -> Result<Vec<Account>, ServiceError> {
    let mut accounts: Vec<Account> = Vec::new();
    loop {
        let after = accounts.last().map(|account| account.id);
        let page = metadata.accounts(after, ACCOUNTS_PAGE).await?;
        let is_last = page.len() < ACCOUNTS_PAGE;
        accounts.extend(page);
        if is_last {
            return Ok(accounts);
        }
    }
}

/// Gives an account another password. Its linked devices stay linked.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address; as [`create_account`] for the password.
pub async fn set_password(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    email: &str,
    password: String,
) -> Result<(), ServiceError> {
    passwords::check_new(&password)?;
    let mut account = find(metadata, email).await?;
    account.password_hash = passwords::hash(runtime, password).await?;
    Ok(metadata.update_account(&account).await?)
}

/// Locks an account out, or lets it in again. On a running server call [`crate::Server::forget_sessions`] afterwards.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address.
pub async fn set_disabled(
    metadata: &dyn MetadataStore,
    email: &str,
    is_disabled: bool,
) -> Result<(), ServiceError> {
    let mut account = find(metadata, email).await?;
    account.is_disabled = is_disabled;
    Ok(metadata.update_account(&account).await?)
}

/// Changes how many live bytes an account may keep; `None` for no bound.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address.
pub async fn set_quota(
    metadata: &dyn MetadataStore,
    email: &str,
    quota_bytes: Option<u64>,
) -> Result<(), ServiceError> {
    let mut account = find(metadata, email).await?;
    account.quota_bytes = quota_bytes;
    Ok(metadata.update_account(&account).await?)
}

/// Links a device without a password, for whoever holds the data folder. Durable when this returns; on a running server
/// call [`crate::Server::forget_sessions`] afterwards.
///
/// # Errors
/// [`ServiceError::BadRequest`] for a name that no device can have; those of the store.
pub async fn link_device(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    account: &Account,
    device: DeviceId,
    name: &str,
) -> Result<LoginReply, ServiceError> {
    link(metadata, runtime, account, device, device_name(name)?, None).await
}

/// Gives a device a new token, in place of the one that it may have.
async fn link(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    account: &Account,
    device: DeviceId,
    name: String,
    lifetime: Option<Duration>,
) -> Result<LoginReply, ServiceError> {
    let now = runtime.clock.now();
    let device = Device {
        account: account.id,
        id: device,
        name,
        created_at: now,
        last_seen_at: now,
        kind: LinkKind::Device,
        app: None,
        wipe: None,
    };
    let expires_at =
        lifetime.map(|lifetime| now.plus_millis(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX)));
    let token = tokens::new_token(runtime.entropy.as_ref());
    let hash = tokens::hash(&token).ok_or(ServiceError::NotAuthenticated)?;
    let access = AccessToken {
        hash,
        scopes: Scopes::ALL,
        expires_at,
    };
    metadata.link_device(&device, &access, None).await?;
    let origin = metadata.origin(account.root).await?;
    tracing::info!(account.id = %account.id, device.id = %device.id, "device linked");
    Ok(LoginReply {
        token,
        account: account.id,
        root: account.root,
        origin,
    })
}

/// Checks a password, and a code where one is asked for, and links a device; see [`check_password`].
pub(crate) async fn log_in(state: &State, peer: Peer, login: Login) -> Result<LoginReply, ServiceError> {
    let name = device_name(&login.device_name)?;
    let account = check_password(state, peer, &login.email, login.password).await?;
    second::check(state, peer, &account, login.code.as_deref()).await?;
    let metadata = state.metadata.as_ref();
    let lifetime = state.config.token_lifetime;
    let reply = link(metadata, &state.runtime, &account, login.device, name, lifetime).await?;
    // The device's former token is void from now on.
    state.auth.sessions.forget_all();
    audit::record(state, peer, account.id, Event::Login, login.device).await;
    Ok(reply)
}

/// Gives an account a password that has none: its owner has signed in by a provider.
pub(crate) async fn choose_password(
    state: &State,
    peer: Peer,
    mut account: Account,
    password: String,
) -> Result<Account, ServiceError> {
    if account.password_hash != passwords::NONE {
        return Err(ServiceError::bad("this account has a password already"));
    }
    passwords::check_new(&password)?;
    state.auth.throttle.attempt(peer, &account.email)?;
    let turn = memory::acquire(&state.auth.hashing, 1, HASHING_WAIT).await?;
    account.password_hash = passwords::hash(&state.runtime, password).await?;
    drop(turn);
    state.metadata.update_account(&account).await?;
    audit::record(state, peer, account.id, Event::PasswordChosen, About::default()).await;
    Ok(account)
}

/// Finds the account that an address and a password are of. An address that no account has, a wrong password and a wrong
/// password of a locked account cannot be told apart, neither by the answer nor by its time.
pub(crate) async fn check_password(
    state: &State,
    peer: Peer,
    email: &str,
    password: String,
) -> Result<Account, ServiceError> {
    let email = Email::new(email).ok_or(ServiceError::WrongCredentials)?;
    if password.len() > limits::PASSWORD_BYTES {
        return Err(ServiceError::WrongCredentials);
    }
    state.auth.throttle.attempt(peer, &email)?;
    let account = state.metadata.account_by_email(&email).await?;
    let turn = memory::acquire(&state.auth.hashing, 1, HASHING_WAIT).await?;
    let stored = account.as_ref().map(|account| account.password_hash.clone());
    let is_right = passwords::verify(&state.runtime, password, stored).await?;
    drop(turn);
    // Attempts at addresses that no account has are not written down: anybody could fill the log with them.
    let account = account.ok_or(ServiceError::WrongCredentials)?;
    if !is_right {
        audit::record(state, peer, account.id, Event::WrongPassword, About::default()).await;
        return Err(ServiceError::WrongCredentials);
    }
    if account.is_disabled {
        return Err(ServiceError::AccountLocked);
    }
    Ok(account)
}

/// The account's id as apps written for Dropbox know it: of exactly 40 characters, `dbid:` and the id in hexadecimal digits
/// behind zeros.
pub(crate) fn dropbox_id(account: AccountId) -> String {
    format!("dbid:{:0>35}", account.to_string())
}

/// The account that a caller speaks for.
pub(crate) async fn account_of(state: &State, id: AccountId) -> Result<Account, ServiceError> {
    state
        .metadata
        .account(id)
        .await?
        .ok_or(ServiceError::Metadata(MetadataError::AccountNotFound(id)))
}

fn parse_email(text: &str) -> Result<Email, ServiceError> {
    Email::new(text).ok_or(ServiceError::BadRequest("that is not an e-mail address".into()))
}

async fn find(metadata: &dyn MetadataStore, email: &str) -> Result<Account, ServiceError> {
    let account = metadata.account_by_email(&parse_email(email)?).await?;
    account.ok_or(ServiceError::NotFound("an account with that address"))
}

fn device_name(text: &str) -> Result<String, ServiceError> {
    let name = text.trim();
    let len = name.chars().count();
    if len == 0 || len > limits::DEVICE_NAME_CHARS || name.chars().any(char::is_control) {
        let most = limits::DEVICE_NAME_CHARS;
        return Err(ServiceError::bad(format!(
            "a device's name must have 1 to {most} printable characters"
        )));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_for_apps_has_forty_characters() {
        let id = dropbox_id(AccountId::new(0x1a2b).unwrap());
        assert_eq!(id, format!("dbid:{}1a2b", "0".repeat(31)));
        assert_eq!(id.len(), 40);
        assert_eq!(dropbox_id(AccountId::new(i64::MAX).unwrap()).len(), 40);
    }
}
