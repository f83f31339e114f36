//! What is linked to accounts: devices, apps and made tokens, and the bearer tokens that speak for them.
//!
//! `device_token` lists the tokens of a link by its account. Of links that are older than this table, `device.token_hash`
//! is the only token.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;

use super::accounts::account;
use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{
    AccessToken, AppKey, AppLink, Device, LinkKind, MetadataError, RefreshToken, Result, Scopes,
    Session as Bearer, TOKENS_PER_LINK, TokenHash, Wipe,
};

/// What `device_token.kind` holds.
const ACCESS: i64 = 0;
const REFRESH: i64 = 1;

const fn number_of(kind: LinkKind) -> i64 {
    match kind {
        LinkKind::Device => 0,
        LinkKind::App => 1,
        LinkKind::Token => 2,
    }
}

const fn number_of_wipe(wipe: Wipe) -> i64 {
    match wipe {
        Wipe::Synced => 1,
        Wipe::Everything => 2,
    }
}

fn wipe_of(number: Option<i64>) -> Result<Option<Wipe>> {
    match number {
        None => Ok(None),
        Some(1) => Ok(Some(Wipe::Synced)),
        Some(2) => Ok(Some(Wipe::Everything)),
        Some(_) => Err(corrupt("what a device is to delete is unknown")),
    }
}

fn kind_of(number: Option<i64>) -> Result<LinkKind> {
    match number {
        None | Some(0) => Ok(LinkKind::Device),
        Some(1) => Ok(LinkKind::App),
        Some(2) => Ok(LinkKind::Token),
        Some(_) => Err(corrupt("a link's kind is unknown")),
    }
}

pub(super) struct LinkDevice {
    pub(super) device: Device,
    pub(super) token: AccessToken,
    pub(super) refresh: Option<RefreshToken>,
}

#[async_trait]
impl Write for LinkDevice {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let device = &self.device;
        if account(session, device.account).await?.is_none() {
            return Err(MetadataError::AccountNotFound(device.account));
        }
        forget_tokens(session, device.account, device.id).await?;
        let upsert = query(
            "INSERT INTO device (account_id, device_id, name, token_hash, created_at, last_seen_at, kind, app_key)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (account_id, device_id) DO UPDATE SET
                 name = excluded.name, token_hash = excluded.token_hash, last_seen_at = excluded.last_seen_at,
                 kind = excluded.kind, app_key = excluded.app_key, wipe = excluded.wipe",
        )
        .bind(device.account.get())
        .bind(device.id.get())
        .bind(device.name.clone())
        .bind(self.token.hash.0.to_vec())
        .bind(device.created_at.as_millis())
        .bind(device.last_seen_at.as_millis())
        .bind(number_of(device.kind))
        .bind(device.app.as_ref().map(|app| app.as_str().to_owned()));
        session.execute(upsert).await?;
        add_access(session, device.account, device.id, &self.token).await?;
        if let Some(app) = &device.app {
            let link = query("INSERT INTO app_link (app_key, account_id, device_id) VALUES ($1, $2, $3)")
                .bind(app.as_str().to_owned())
                .bind(device.account.get())
                .bind(device.id.get());
            session.execute(link).await?;
            if let Some(refresh) = &self.refresh {
                self.add_refresh(session, app, refresh).await?;
            }
        }
        Ok(())
    }
}

impl LinkDevice {
    async fn add_refresh(
        &self,
        session: &mut Session<'_>,
        app: &AppKey,
        refresh: &RefreshToken,
    ) -> Result<()> {
        let (account, device) = (self.device.account, self.device.id);
        let token = query(
            "INSERT INTO refresh_token (token_hash, account_id, device_id, app_key, scopes, needs_secret)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(refresh.hash.0.to_vec())
        .bind(account.get())
        .bind(device.get())
        .bind(app.as_str().to_owned())
        .bind(self.token.scopes.to_bits())
        .bind(refresh.needs_secret);
        session.execute(token).await?;
        list_token(session, (account, device), REFRESH, &refresh.hash, None).await
    }
}

/// Enters a token of a link where it is found by its account.
async fn list_token(
    session: &mut Session<'_>,
    (account, device): (AccountId, DeviceId),
    kind: i64,
    hash: &TokenHash,
    expires_at: Option<Timestamp>,
) -> Result<()> {
    let statement = query(
        "INSERT INTO device_token (account_id, device_id, token_hash, kind, expires_at)
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(account.get())
    .bind(device.get())
    .bind(hash.0.to_vec())
    .bind(kind)
    .bind(expires_at.map(Timestamp::as_millis));
    session.execute(statement).await?;
    Ok(())
}

async fn add_access(
    session: &mut Session<'_>,
    account: AccountId,
    device: DeviceId,
    token: &AccessToken,
) -> Result<()> {
    let statement = query(
        "INSERT INTO token (token_hash, account_id, device_id, expires_at, scopes) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (token_hash) DO UPDATE SET
             account_id = excluded.account_id, device_id = excluded.device_id, expires_at = excluded.expires_at,
             scopes = excluded.scopes",
    )
    .bind(token.hash.0.to_vec())
    .bind(account.get())
    .bind(device.get())
    .bind(token.expires_at.map(Timestamp::as_millis))
    .bind(token.scopes.to_bits());
    session.execute(statement).await?;
    list_token(session, (account, device), ACCESS, &token.hash, token.expires_at).await
}

async fn forget_access(session: &mut Session<'_>, hash: &[u8]) -> Result<()> {
    let statement = query("DELETE FROM token WHERE token_hash = $1").bind(hash.to_vec());
    session.execute(statement).await?;
    Ok(())
}

/// Forgets every token of a link, and that an app has it.
async fn forget_tokens(session: &mut Session<'_>, account: AccountId, device: DeviceId) -> Result<()> {
    let statement = query("SELECT token_hash, app_key FROM device WHERE account_id = $1 AND device_id = $2")
        .bind(account.get())
        .bind(device.get());
    let Some(row) = session.optional(statement).await? else {
        return Ok(());
    };
    let mut columns = Columns::of(&row);
    forget_access(session, columns.bytes()?).await?;
    if let Some(app) = columns.optional_text()? {
        let statement =
            query("DELETE FROM app_link WHERE app_key = $1 AND account_id = $2 AND device_id = $3")
                .bind(app.to_owned())
                .bind(account.get())
                .bind(device.get());
        session.execute(statement).await?;
    }
    let statement =
        query("SELECT token_hash, kind FROM device_token WHERE account_id = $1 AND device_id = $2")
            .bind(account.get())
            .bind(device.get());
    for row in session.all(statement).await? {
        let mut columns = Columns::of(&row);
        let hash = columns.bytes()?;
        if columns.i64()? == REFRESH {
            let statement = query("DELETE FROM refresh_token WHERE token_hash = $1").bind(hash.to_vec());
            session.execute(statement).await?;
        } else {
            forget_access(session, hash).await?;
        }
    }
    let statement = query("DELETE FROM device_token WHERE account_id = $1 AND device_id = $2")
        .bind(account.get())
        .bind(device.get());
    session.execute(statement).await?;
    Ok(())
}

/// Forgets a link and its tokens; false when there was none.
pub(super) async fn unlink(session: &mut Session<'_>, account: AccountId, device: DeviceId) -> Result<bool> {
    forget_tokens(session, account, device).await?;
    let statement = query("DELETE FROM device WHERE account_id = $1 AND device_id = $2")
        .bind(account.get())
        .bind(device.get());
    Ok(session.execute(statement).await? > 0)
}

pub(super) struct UnlinkDevice {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
}

#[async_trait]
impl Write for UnlinkDevice {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        unlink(session, self.account, self.device).await
    }
}

pub(super) struct AskWipe {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) wipe: Wipe,
}

#[async_trait]
impl Write for AskWipe {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let statement = query(
            "UPDATE device SET wipe = $3
             WHERE account_id = $1 AND device_id = $2 AND (kind IS NULL OR kind = 0)",
        )
        .bind(self.account.get())
        .bind(self.device.get())
        .bind(number_of_wipe(self.wipe));
        Ok(session.execute(statement).await? > 0)
    }
}

pub(super) struct AddToken {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) token: AccessToken,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for AddToken {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let statement = query("SELECT device_id FROM device WHERE account_id = $1 AND device_id = $2")
            .bind(self.account.get())
            .bind(self.device.get());
        if session.optional(statement).await?.is_none() {
            return Ok(false);
        }
        self.make_room(session).await?;
        add_access(session, self.account, self.device, &self.token).await?;
        Ok(true)
    }
}

impl AddToken {
    /// Removes what has expired and, of too many, what expires first.
    async fn make_room(&self, session: &mut Session<'_>) -> Result<()> {
        let statement = query(
            "SELECT token_hash, kind, expires_at FROM device_token WHERE account_id = $1 AND device_id = $2",
        )
        .bind(self.account.get())
        .bind(self.device.get());
        let mut known = Vec::new();
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            let hash = columns.token_hash()?;
            if columns.i64()? == ACCESS {
                known.push((columns.optional()?.unwrap_or(i64::MAX), hash));
            }
        }
        known.sort_by_key(|(expires_at, _)| *expires_at);
        let expired = known.partition_point(|(expires_at, _)| *expires_at < self.now.as_millis());
        let surplus = (known.len() + 1).saturating_sub(TOKENS_PER_LINK);
        for (_, hash) in known.drain(..expired.max(surplus)) {
            forget_access(session, &hash.0).await?;
            let statement = query(
                "DELETE FROM device_token WHERE account_id = $1 AND device_id = $2 AND token_hash = $3",
            )
            .bind(self.account.get())
            .bind(self.device.get())
            .bind(hash.0.to_vec());
            session.execute(statement).await?;
        }
        Ok(())
    }
}

pub(super) struct TouchDevice {
    pub(super) account: AccountId,
    pub(super) device: DeviceId,
    pub(super) seen_at: Timestamp,
}

#[async_trait]
impl Write for TouchDevice {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let statement = query(
            "UPDATE device SET last_seen_at = $3
             WHERE account_id = $1 AND device_id = $2 AND last_seen_at < $3",
        )
        .bind(self.account.get())
        .bind(self.device.get())
        .bind(self.seen_at.as_millis());
        session.execute(statement).await?;
        Ok(())
    }
}

pub(super) async fn devices(session: &mut Session<'_>, account: AccountId) -> Result<Vec<Device>> {
    let statement = query(
        "SELECT account_id, device_id, name, created_at, last_seen_at, kind, app_key, wipe FROM device
         WHERE account_id = $1 ORDER BY device_id",
    )
    .bind(account.get());
    let rows = session.all(statement).await?;
    rows.iter()
        .map(|row| {
            let mut columns = Columns::of(row);
            Ok(Device {
                account: columns.account()?,
                id: columns.device()?,
                name: columns.text()?.to_owned(),
                created_at: columns.timestamp()?,
                last_seen_at: columns.timestamp()?,
                kind: kind_of(columns.optional()?)?,
                app: columns.optional_text()?.and_then(AppKey::new),
                wipe: wipe_of(columns.optional()?)?,
            })
        })
        .collect()
}

/// Whether an account is locked out; `None` when there is none.
async fn is_disabled(session: &mut Session<'_>, account: AccountId) -> Result<Option<bool>> {
    let statement = query("SELECT is_disabled FROM account WHERE account_id = $1").bind(account.get());
    match session.optional(statement).await? {
        Some(row) => Columns::of(&row).get().map(Some),
        None => Ok(None),
    }
}

pub(super) async fn bearer(session: &mut Session<'_>, token: &TokenHash) -> Result<Option<Bearer>> {
    let statement =
        query("SELECT account_id, device_id, expires_at, scopes FROM token WHERE token_hash = $1")
            .bind(token.0.to_vec());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    let owner = columns.account()?;
    let device = columns.device()?;
    let expires_at = columns.optional()?.map(Timestamp::from_millis);
    let scopes = columns.optional()?.map_or(Scopes::ALL, Scopes::from_bits);
    let Some(is_disabled) = is_disabled(session, owner).await? else {
        return Ok(None);
    };
    let statement = query("SELECT wipe FROM device WHERE account_id = $1 AND device_id = $2")
        .bind(owner.get())
        .bind(device.get());
    let wipe = match session.optional(statement).await? {
        Some(row) => wipe_of(Columns::of(&row).optional()?)?,
        None => None,
    };
    Ok(Some(Bearer {
        account: owner,
        device,
        expires_at,
        is_disabled,
        scopes,
        wipe,
    }))
}

pub(super) async fn app_link(session: &mut Session<'_>, refresh: &TokenHash) -> Result<Option<AppLink>> {
    let statement = query(
        "SELECT account_id, device_id, app_key, scopes, needs_secret FROM refresh_token WHERE token_hash = $1",
    )
    .bind(refresh.0.to_vec());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    let account = columns.account()?;
    let device = columns.device()?;
    let app = columns.app_key()?;
    let scopes = Scopes::from_bits(columns.i64()?);
    let needs_secret = columns.get()?;
    Ok(is_disabled(session, account).await?.map(|is_disabled| AppLink {
        account,
        device,
        app,
        scopes,
        needs_secret,
        is_disabled,
    }))
}
