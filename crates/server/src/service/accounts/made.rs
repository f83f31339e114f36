//! Tokens that people make by hand, for scripts and programs that know no OAuth.

use std::time::Duration;

use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::runtime::Runtime;
use cairn_metadata::{AccessToken, Device, LinkKind, MetadataStore, Scopes};

use super::{device_name, find};
use crate::auth::tokens;
use crate::error::ServiceError;

/// Tokens that an account may have made.
const TOKENS: usize = 100;

/// A token to be made.
pub struct NewToken {
    /// What its owner calls it.
    pub name: String,
    /// What it may do, as names with spaces between them; all but `sync` when empty.
    pub scopes: String,
    /// How long it is valid; `None` until it is revoked.
    pub lifetime: Option<Duration>,
}

/// Makes a token. Durable when this returns; the token itself is not kept.
///
/// # Errors
/// [`ServiceError::BadRequest`] for a name or scopes that cannot be, or one token too many.
pub(crate) async fn make(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    account: AccountId,
    new: NewToken,
) -> Result<(DeviceId, String), ServiceError> {
    let name = device_name(&new.name)?;
    let scopes = scopes(&new.scopes)?;
    let links = metadata.devices(account).await?;
    if links.iter().filter(|link| link.kind == LinkKind::Token).count() >= TOKENS {
        return Err(ServiceError::bad(format!(
            "an account may have {TOKENS} tokens: revoke one first"
        )));
    }
    let now = runtime.clock.now();
    let device = Device {
        account,
        id: DeviceId::random(runtime.entropy.as_ref()),
        name,
        created_at: now,
        last_seen_at: now,
        kind: LinkKind::Token,
        app: None,
        wipe: None,
    };
    let token = tokens::new_token(runtime.entropy.as_ref());
    let access = AccessToken {
        hash: tokens::hash(&token).ok_or(ServiceError::NotAuthenticated)?,
        scopes,
        expires_at: new
            .lifetime
            .map(|lifetime| now.plus_millis(i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX))),
    };
    metadata.link_device(&device, &access, None).await?;
    tracing::info!(account.id = %account, device.id = %device.id, "token made");
    Ok((device.id, token))
}

fn scopes(text: &str) -> Result<Scopes, ServiceError> {
    if text.trim().is_empty() {
        return Ok(Scopes::APP);
    }
    let scopes = Scopes::parse(text);
    let scopes = scopes.map_err(|word| ServiceError::bad(format!("there is no scope {word:?}")))?;
    if scopes.and(Scopes::APP) != scopes {
        return Err(ServiceError::bad(
            "only a device that is linked can have the scope \"sync\"",
        ));
    }
    Ok(scopes.with_implied())
}

/// Makes a token for an account, for whoever holds the data folder; see [`NewToken`].
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address; [`ServiceError::BadRequest`] for a name or scopes that
/// cannot be, or one token too many.
pub async fn make_token(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    email: &str,
    new: NewToken,
) -> Result<(DeviceId, String), ServiceError> {
    let account = find(metadata, email).await?;
    make(metadata, runtime, account.id, new).await
}

/// Lists what is linked to an account: devices, apps and tokens.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address.
pub async fn list_links(metadata: &dyn MetadataStore, email: &str) -> Result<Vec<Device>, ServiceError> {
    let account = find(metadata, email).await?;
    Ok(metadata.devices(account.id).await?)
}

/// Forgets a device, an app's link or a token. On a running server call [`crate::Server::forget_sessions`] afterwards.
///
/// # Errors
/// [`ServiceError::NotFound`] when no account has the address, or nothing of it the id.
pub async fn remove_link(
    metadata: &dyn MetadataStore,
    email: &str,
    id: DeviceId,
) -> Result<(), ServiceError> {
    let account = find(metadata, email).await?;
    if metadata.unlink_device(account.id, id).await? {
        Ok(())
    } else {
        Err(NOT_LINKED)
    }
}

/// What is said of an id that nothing has.
pub(crate) const NOT_LINKED: ServiceError = ServiceError::NotFound("a link with that id");
