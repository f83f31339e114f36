//! Accounts and what they may read.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, Incarnation, NamespaceId};
use sqlx::sqlite::SqliteRow;

use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{Account, Email, MetadataError, Result};

/// The role of a namespace's owner, in `member` and `account_namespace`.
const OWNER: i64 = 0;

/// What the namespace's format column holds for contents that the server can read.
const FORMAT_PLAIN: i64 = 0;

fn quota(account: &Account) -> Option<i64> {
    account
        .quota_bytes
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}

pub(super) struct CreateAccount {
    pub(super) account: Account,
    pub(super) incarnation: Incarnation,
}

#[async_trait]
impl Write for CreateAccount {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let account = &self.account;
        let claim = query(
            "INSERT INTO account_email (email, account_id) VALUES ($1, $2) ON CONFLICT (email) DO NOTHING",
        )
        .bind(account.email.as_str().to_owned())
        .bind(account.id.get());
        if session.execute(claim).await? == 0 {
            return Err(MetadataError::EmailTaken);
        }
        let insert = query(
            "INSERT INTO account (account_id, email, password_hash, root_ns_id, is_admin, is_disabled, quota_bytes,
                 created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(account.id.get())
        .bind(account.email.as_str().to_owned())
        .bind(account.password_hash.clone())
        .bind(account.root.get())
        .bind(account.is_admin)
        .bind(account.is_disabled)
        .bind(quota(account))
        .bind(account.created_at.as_millis());
        session.execute(insert).await?;
        self.create_root(session).await
    }
}

impl CreateAccount {
    async fn create_root(&self, session: &mut Session<'_>) -> Result<()> {
        let account = &self.account;
        let namespace = query(
            "INSERT INTO namespace (ns_id, owner_id, format, incarnation, head_seq, chain, last_at, journal_floor,
                 fence_epoch, bytes_used, bytes_granted)
             VALUES ($1, $2, $3, $4, 0, $5, $6, 0, 0, 0, $7)",
        )
        .bind(account.root.get())
        .bind(account.id.get())
        .bind(FORMAT_PLAIN)
        .bind(self.incarnation.as_bytes().to_vec())
        .bind(vec![0_u8; 32])
        .bind(account.created_at.as_millis())
        .bind(quota(account));
        session.execute(namespace).await?;
        let member = query("INSERT INTO member (ns_id, account_id, role) VALUES ($1, $2, $3)")
            .bind(account.root.get())
            .bind(account.id.get())
            .bind(OWNER);
        session.execute(member).await?;
        let readable = query("INSERT INTO account_namespace (account_id, ns_id, role) VALUES ($1, $2, $3)")
            .bind(account.id.get())
            .bind(account.root.get())
            .bind(OWNER);
        session.execute(readable).await?;
        Ok(())
    }
}

pub(super) struct UpdateAccount(pub(super) Account);

#[async_trait]
impl Write for UpdateAccount {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let account = &self.0;
        let update = query(
            "UPDATE account SET password_hash = $2, is_admin = $3, is_disabled = $4, quota_bytes = $5
             WHERE account_id = $1
             RETURNING root_ns_id",
        )
        .bind(account.id.get())
        .bind(account.password_hash.clone())
        .bind(account.is_admin)
        .bind(account.is_disabled)
        .bind(quota(account));
        let Some(row) = session.optional(update).await? else {
            return Err(MetadataError::AccountNotFound(account.id));
        };
        let root = Columns::of(&row).namespace()?;
        let granted = query("UPDATE namespace SET bytes_granted = $2 WHERE ns_id = $1")
            .bind(root.get())
            .bind(quota(account));
        session.execute(granted).await?;
        Ok(())
    }
}

fn account_of(row: &SqliteRow) -> Result<Account> {
    let mut columns = Columns::of(row);
    Ok(Account {
        id: columns.account()?,
        email: Email::new(columns.text()?).ok_or_else(|| corrupt("an account's address is illegal"))?,
        password_hash: columns.text()?.to_owned(),
        root: columns.namespace()?,
        is_admin: columns.get()?,
        is_disabled: columns.get()?,
        quota_bytes: columns.optional()?.and_then(|bytes| u64::try_from(bytes).ok()),
        created_at: columns.timestamp()?,
    })
}

pub(super) async fn account(session: &mut Session<'_>, id: AccountId) -> Result<Option<Account>> {
    let statement = query(
        "SELECT account_id, email, password_hash, root_ns_id, is_admin, is_disabled, quota_bytes, created_at
         FROM account WHERE account_id = $1",
    )
    .bind(id.get());
    session
        .optional(statement)
        .await?
        .as_ref()
        .map(account_of)
        .transpose()
}

pub(super) async fn account_by_email(session: &mut Session<'_>, email: &Email) -> Result<Option<Account>> {
    let statement =
        query("SELECT account_id FROM account_email WHERE email = $1").bind(email.as_str().to_owned());
    match session.optional(statement).await? {
        Some(row) => account(session, Columns::of(&row).account()?).await,
        None => Ok(None),
    }
}

pub(super) async fn accounts(
    session: &mut Session<'_>,
    after: Option<AccountId>,
    limit: usize,
) -> Result<Vec<Account>> {
    let statement = query(
        "SELECT account_id, email, password_hash, root_ns_id, is_admin, is_disabled, quota_bytes, created_at
         FROM account WHERE account_id > $1 /* every shard: for administrators */ ORDER BY account_id LIMIT $2",
    )
    .bind(after.map_or(0, AccountId::get))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    session.all(statement).await?.iter().map(account_of).collect()
}

pub(super) async fn readable_namespaces(
    session: &mut Session<'_>,
    account: AccountId,
) -> Result<Vec<NamespaceId>> {
    let statement =
        query("SELECT ns_id FROM account_namespace WHERE account_id = $1 ORDER BY ns_id").bind(account.get());
    let rows = session.all(statement).await?;
    rows.iter().map(|row| Columns::of(row).namespace()).collect()
}
