//! Apps and the codes that make their links.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;
use sqlx::sqlite::SqliteRow;

use super::SqliteMetadata;
use super::decode::Columns;
use super::error::corrupt;
use super::links::{self, AddToken, AskWipe};
use super::statement::{Session, query};
use super::writer::Write;
use crate::{
    AccessStore, AccessToken, App, AppKey, AppLink, AuthCode, CODES_PER_ACCOUNT, Challenge, ChallengeMethod,
    Result, Scopes, TokenHash, Wipe,
};

#[async_trait]
impl AccessStore for SqliteMetadata {
    async fn add_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<bool> {
        self.write(AddToken {
            account,
            device,
            token: token.clone(),
            now,
        })
        .await
    }

    async fn ask_wipe(&self, account: AccountId, device: DeviceId, wipe: Wipe) -> Result<bool> {
        self.write(AskWipe {
            account,
            device,
            wipe,
        })
        .await
    }

    async fn app_link(&self, refresh: &TokenHash) -> Result<Option<AppLink>> {
        links::app_link(&mut self.snapshot().await?.session(), refresh).await
    }

    async fn put_app(&self, app: &App) -> Result<()> {
        self.write(PutApp(app.clone())).await
    }

    async fn app(&self, key: &AppKey) -> Result<Option<App>> {
        let mut reader = self.reader().await?;
        let statement = query(
            "SELECT app_key, name, secret_hash, redirect_uris, folder, created_at FROM app WHERE app_key = $1",
        )
        .bind(key.as_str().to_owned());
        let row = reader.session().optional(statement).await?;
        row.as_ref().map(app_of).transpose()
    }

    async fn apps(&self, after: Option<&AppKey>, limit: usize) -> Result<Vec<App>> {
        let mut reader = self.reader().await?;
        let statement = query(
            "SELECT app_key, name, secret_hash, redirect_uris, folder, created_at FROM app
             WHERE app_key > $1 /* every shard: for administrators */ ORDER BY app_key LIMIT $2",
        )
        .bind(after.map_or(String::new(), |key| key.as_str().to_owned()))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        reader
            .session()
            .all(statement)
            .await?
            .iter()
            .map(app_of)
            .collect()
    }

    async fn remove_app(&self, key: &AppKey) -> Result<bool> {
        self.write(RemoveApp(key.clone())).await
    }

    async fn add_code(&self, code: &AuthCode, now: Timestamp) -> Result<()> {
        self.write(AddCode {
            code: code.clone(),
            now,
        })
        .await
    }

    async fn take_code(&self, hash: &TokenHash) -> Result<Option<AuthCode>> {
        self.write(TakeCode(hash.clone())).await
    }
}

/// URIs have no line breaks, so they are kept one a line.
fn app_of(row: &SqliteRow) -> Result<App> {
    let mut columns = Columns::of(row);
    Ok(App {
        key: columns.app_key()?,
        name: columns.text()?.to_owned(),
        secret: columns.token_hash()?,
        redirect_uris: columns.text()?.lines().map(str::to_owned).collect(),
        folder: columns.optional_text()?.map(str::to_owned),
        created_at: columns.timestamp()?,
    })
}

struct PutApp(App);

#[async_trait]
impl Write for PutApp {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let app = &self.0;
        let upsert = query(
            "INSERT INTO app (app_key, name, secret_hash, redirect_uris, folder, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT (app_key) DO UPDATE SET
                 name = excluded.name, secret_hash = excluded.secret_hash, redirect_uris = excluded.redirect_uris,
                 folder = excluded.folder",
        )
        .bind(app.key.as_str().to_owned())
        .bind(app.name.clone())
        .bind(app.secret.0.to_vec())
        .bind(app.redirect_uris.join("\n"))
        .bind(app.folder.clone())
        .bind(app.created_at.as_millis());
        session.execute(upsert).await?;
        Ok(())
    }
}

struct RemoveApp(AppKey);

#[async_trait]
impl Write for RemoveApp {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let key = self.0.as_str();
        let statement = query("DELETE FROM app WHERE app_key = $1").bind(key.to_owned());
        if session.execute(statement).await? == 0 {
            return Ok(false);
        }
        let statement =
            query("SELECT account_id, device_id FROM app_link WHERE app_key = $1").bind(key.to_owned());
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            links::unlink(session, columns.account()?, columns.device()?).await?;
        }
        Ok(true)
    }
}

struct AddCode {
    code: AuthCode,
    now: Timestamp,
}

#[async_trait]
impl Write for AddCode {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        self.make_room(session).await?;
        let code = &self.code;
        let challenge = code.challenge.as_ref();
        let insert = query(
            "INSERT INTO auth_code (code_hash, account_id, app_key, scopes, challenge, challenge_method,
                 redirect_uri, is_offline, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(code.hash.0.to_vec())
        .bind(code.account.get())
        .bind(code.app.as_str().to_owned())
        .bind(code.scopes.to_bits())
        .bind(challenge.map(|challenge| challenge.value.clone()))
        .bind(challenge.map(|challenge| number_of(challenge.method)))
        .bind(code.redirect_uri.clone())
        .bind(code.is_offline)
        .bind(code.expires_at.as_millis());
        session.execute(insert).await?;
        let listed =
            query("INSERT INTO account_code (account_id, code_hash, expires_at) VALUES ($1, $2, $3)")
                .bind(code.account.get())
                .bind(code.hash.0.to_vec())
                .bind(code.expires_at.as_millis());
        session.execute(listed).await?;
        Ok(())
    }
}

impl AddCode {
    /// Removes what has expired and, of too many, what expires first.
    async fn make_room(&self, session: &mut Session<'_>) -> Result<()> {
        let account = self.code.account;
        let statement =
            query("SELECT code_hash, expires_at FROM account_code WHERE account_id = $1").bind(account.get());
        let mut known = Vec::new();
        for row in session.all(statement).await? {
            let mut columns = Columns::of(&row);
            let hash = columns.token_hash()?;
            known.push((columns.timestamp()?, hash));
        }
        known.sort_by_key(|(expires_at, _)| *expires_at);
        let expired = known.partition_point(|(expires_at, _)| *expires_at < self.now);
        let surplus = (known.len() + 1).saturating_sub(CODES_PER_ACCOUNT);
        for (_, hash) in known.drain(..expired.max(surplus)) {
            forget_code(session, account, &hash).await?;
        }
        Ok(())
    }
}

async fn forget_code(session: &mut Session<'_>, account: AccountId, hash: &TokenHash) -> Result<()> {
    let statement = query("DELETE FROM auth_code WHERE code_hash = $1").bind(hash.0.to_vec());
    session.execute(statement).await?;
    let statement = query("DELETE FROM account_code WHERE account_id = $1 AND code_hash = $2")
        .bind(account.get())
        .bind(hash.0.to_vec());
    session.execute(statement).await?;
    Ok(())
}

const fn number_of(method: ChallengeMethod) -> i64 {
    match method {
        ChallengeMethod::Plain => 0,
        ChallengeMethod::S256 => 1,
    }
}

struct TakeCode(TokenHash);

#[async_trait]
impl Write for TakeCode {
    type Output = Option<AuthCode>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Option<AuthCode>> {
        let statement = query(
            "SELECT account_id, app_key, scopes, challenge, challenge_method, redirect_uri, is_offline, expires_at
             FROM auth_code WHERE code_hash = $1",
        )
        .bind(self.0.0.to_vec());
        let Some(row) = session.optional(statement).await? else {
            return Ok(None);
        };
        let code = code_of(&row, &self.0)?;
        forget_code(session, code.account, &self.0).await?;
        Ok(Some(code))
    }
}

fn code_of(row: &SqliteRow, hash: &TokenHash) -> Result<AuthCode> {
    let mut columns = Columns::of(row);
    let account = columns.account()?;
    let app = columns.app_key()?;
    let scopes = Scopes::from_bits(columns.i64()?);
    let value = columns.optional_text()?.map(str::to_owned);
    let method = match columns.optional()? {
        None => None,
        Some(0) => Some(ChallengeMethod::Plain),
        Some(1) => Some(ChallengeMethod::S256),
        Some(_) => return Err(corrupt("a challenge's method is unknown")),
    };
    let challenge = match (method, value) {
        (Some(method), Some(value)) => Some(Challenge { method, value }),
        (None, None) => None,
        // A code that lost half of its challenge must not be redeemed without one.
        _ => return Err(corrupt("a challenge is not whole")),
    };
    Ok(AuthCode {
        hash: hash.clone(),
        account,
        app,
        scopes,
        challenge,
        redirect_uri: columns.optional_text()?.map(str::to_owned),
        is_offline: columns.get()?,
        expires_at: columns.timestamp()?,
    })
}
