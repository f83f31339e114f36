//! Second factors and links that work once.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, Incarnation};
use cairn_core::time::Timestamp;

use super::SqliteMetadata;
use super::accounts::{self, CreateAccount};
use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{
    Account, CredentialStore, Email, IdentityHash, LinkPurpose, MetadataError, OneTimeLink, Result,
    SecondFactor, TokenHash,
};

#[async_trait]
impl CredentialStore for SqliteMetadata {
    async fn second_factor(&self, account: AccountId) -> Result<Option<SecondFactor>> {
        let mut reader = self.reader().await?;
        let statement = query("SELECT secret, is_active, last_step FROM second_factor WHERE account_id = $1")
            .bind(account.get());
        let Some(row) = reader.session().optional(statement).await? else {
            return Ok(None);
        };
        let mut columns = Columns::of(&row);
        Ok(Some(SecondFactor {
            secret: columns.bytes()?.to_vec(),
            is_active: columns.get()?,
            last_step: columns.i64()?,
        }))
    }

    async fn set_second_factor(
        &self,
        account: AccountId,
        factor: Option<&SecondFactor>,
        recovery: &[TokenHash],
    ) -> Result<()> {
        self.write(SetFactor {
            account,
            factor: factor.cloned(),
            recovery: recovery.to_vec(),
        })
        .await
    }

    async fn use_step(&self, account: AccountId, step: i64) -> Result<bool> {
        self.write(UseStep { account, step }).await
    }

    async fn use_recovery_code(&self, account: AccountId, code: &TokenHash) -> Result<bool> {
        self.write(UseRecoveryCode {
            account,
            code: code.clone(),
        })
        .await
    }

    async fn identity(&self, identity: &IdentityHash) -> Result<Option<AccountId>> {
        identity_owner(&mut self.reader().await?.session(), identity).await
    }

    async fn link_identity(&self, identity: &IdentityHash, account: AccountId) -> Result<bool> {
        self.write(LinkIdentity {
            identity: identity.clone(),
            account,
        })
        .await
    }

    async fn identities(&self, account: AccountId) -> Result<usize> {
        let found = identities_of(&mut self.reader().await?.session(), account).await;
        found.map(|identities| identities.len())
    }

    async fn unlink_identities(&self, account: AccountId) -> Result<usize> {
        self.write(UnlinkIdentities(account)).await
    }

    async fn create_account_of(
        &self,
        identity: &IdentityHash,
        account: &Account,
        incarnation: Incarnation,
    ) -> Result<bool> {
        self.write(CreateAccountOf {
            identity: identity.clone(),
            create: CreateAccount {
                account: account.clone(),
                incarnation,
            },
        })
        .await
    }

    async fn add_link(&self, link: &OneTimeLink) -> Result<()> {
        self.write(AddLink(link.clone())).await
    }

    async fn link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>> {
        find_link(&mut self.reader().await?.session(), hash).await
    }

    async fn take_link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>> {
        self.write(TakeLink(hash.clone())).await
    }
}

async fn identity_owner(session: &mut Session<'_>, identity: &IdentityHash) -> Result<Option<AccountId>> {
    let statement =
        query("SELECT account_id FROM identity WHERE identity_hash = $1").bind(identity.0.to_vec());
    match session.optional(statement).await? {
        Some(row) => Columns::of(&row).account().map(Some),
        None => Ok(None),
    }
}

/// Gives an identity to an account; false when it is another's.
async fn claim(session: &mut Session<'_>, identity: &IdentityHash, account: AccountId) -> Result<bool> {
    let insert = query(
        "INSERT INTO identity (identity_hash, account_id) VALUES ($1, $2) ON CONFLICT (identity_hash) DO NOTHING",
    )
    .bind(identity.0.to_vec())
    .bind(account.get());
    if session.execute(insert).await? == 0 && identity_owner(session, identity).await? != Some(account) {
        return Ok(false);
    }
    // One that was linked before there was this table gets its row when it is linked again.
    let insert = query(
        "INSERT INTO account_identity (account_id, identity_hash) VALUES ($1, $2)
         ON CONFLICT (account_id, identity_hash) DO NOTHING",
    )
    .bind(account.get())
    .bind(identity.0.to_vec());
    session.execute(insert).await?;
    Ok(true)
}

async fn identities_of(session: &mut Session<'_>, account: AccountId) -> Result<Vec<Vec<u8>>> {
    let statement =
        query("SELECT identity_hash FROM account_identity WHERE account_id = $1").bind(account.get());
    let rows = session.all(statement).await?;
    rows.iter()
        .map(|row| Ok(Columns::of(row).bytes()?.to_vec()))
        .collect()
}

struct UnlinkIdentities(AccountId);

#[async_trait]
impl Write for UnlinkIdentities {
    type Output = usize;

    async fn run(&self, session: &mut Session<'_>) -> Result<usize> {
        let identities = identities_of(session, self.0).await?;
        for identity in &identities {
            let delete = query("DELETE FROM identity WHERE identity_hash = $1").bind(identity.clone());
            session.execute(delete).await?;
        }
        let delete = query("DELETE FROM account_identity WHERE account_id = $1").bind(self.0.get());
        session.execute(delete).await?;
        Ok(identities.len())
    }
}

struct LinkIdentity {
    identity: IdentityHash,
    account: AccountId,
}

#[async_trait]
impl Write for LinkIdentity {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        if accounts::account(session, self.account).await?.is_none() {
            return Err(MetadataError::AccountNotFound(self.account));
        }
        claim(session, &self.identity, self.account).await
    }
}

struct CreateAccountOf {
    identity: IdentityHash,
    create: CreateAccount,
}

#[async_trait]
impl Write for CreateAccountOf {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        if !claim(session, &self.identity, self.create.account.id).await? {
            return Ok(false);
        }
        self.create.run(session).await?;
        Ok(true)
    }
}

struct SetFactor {
    account: AccountId,
    factor: Option<SecondFactor>,
    recovery: Vec<TokenHash>,
}

#[async_trait]
impl Write for SetFactor {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let codes = query("DELETE FROM recovery_code WHERE account_id = $1").bind(self.account.get());
        session.execute(codes).await?;
        let Some(factor) = &self.factor else {
            let factor = query("DELETE FROM second_factor WHERE account_id = $1").bind(self.account.get());
            session.execute(factor).await?;
            return Ok(());
        };
        let upsert = query(
            "INSERT INTO second_factor (account_id, secret, is_active, last_step) VALUES ($1, $2, $3, $4)
             ON CONFLICT (account_id) DO UPDATE SET
                 secret = excluded.secret, is_active = excluded.is_active, last_step = excluded.last_step",
        )
        .bind(self.account.get())
        .bind(factor.secret.clone())
        .bind(factor.is_active)
        .bind(factor.last_step);
        session.execute(upsert).await?;
        for code in &self.recovery {
            let insert = query("INSERT INTO recovery_code (account_id, code_hash) VALUES ($1, $2)")
                .bind(self.account.get())
                .bind(code.0.to_vec());
            session.execute(insert).await?;
        }
        Ok(())
    }
}

struct UseStep {
    account: AccountId,
    step: i64,
}

#[async_trait]
impl Write for UseStep {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let update =
            query("UPDATE second_factor SET last_step = $2 WHERE account_id = $1 AND last_step < $2")
                .bind(self.account.get())
                .bind(self.step);
        Ok(session.execute(update).await? > 0)
    }
}

struct UseRecoveryCode {
    account: AccountId,
    code: TokenHash,
}

#[async_trait]
impl Write for UseRecoveryCode {
    type Output = bool;

    async fn run(&self, session: &mut Session<'_>) -> Result<bool> {
        let delete = query("DELETE FROM recovery_code WHERE account_id = $1 AND code_hash = $2")
            .bind(self.account.get())
            .bind(self.code.0.to_vec());
        Ok(session.execute(delete).await? > 0)
    }
}

/// What `one_time_link.kind` holds.
const INVITATION: i64 = 0;
const RESET: i64 = 1;

struct AddLink(OneTimeLink);

#[async_trait]
impl Write for AddLink {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let link = &self.0;
        let (kind, account, email, quota, digest) = match &link.purpose {
            LinkPurpose::Invitation { email, quota_bytes } => {
                let email = email.as_ref().map(|email| email.as_str().to_owned());
                let quota = quota_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
                (INVITATION, None, email, quota, None)
            }
            LinkPurpose::Reset {
                account,
                password_digest,
            } => (
                RESET,
                Some(account.get()),
                None,
                None,
                Some(password_digest.to_vec()),
            ),
        };
        let insert = query(
            "INSERT INTO one_time_link (link_hash, kind, account_id, email, quota_bytes, password_digest, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(link.hash.0.to_vec())
        .bind(kind)
        .bind(account)
        .bind(email)
        .bind(quota)
        .bind(digest)
        .bind(link.expires_at.as_millis());
        session.execute(insert).await?;
        Ok(())
    }
}

struct TakeLink(TokenHash);

#[async_trait]
impl Write for TakeLink {
    type Output = Option<OneTimeLink>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Option<OneTimeLink>> {
        let link = find_link(session, &self.0).await?;
        forget_link(session, &self.0).await?;
        Ok(link)
    }
}

async fn forget_link(session: &mut Session<'_>, hash: &TokenHash) -> Result<()> {
    let delete = query("DELETE FROM one_time_link WHERE link_hash = $1").bind(hash.0.to_vec());
    session.execute(delete).await?;
    Ok(())
}

async fn find_link(session: &mut Session<'_>, hash: &TokenHash) -> Result<Option<OneTimeLink>> {
    let statement = query(
        "SELECT kind, account_id, email, quota_bytes, password_digest, expires_at FROM one_time_link
         WHERE link_hash = $1",
    )
    .bind(hash.0.to_vec());
    let Some(row) = session.optional(statement).await? else {
        return Ok(None);
    };
    let mut columns = Columns::of(&row);
    let kind = columns.i64()?;
    let account = columns.optional()?;
    let email = columns.optional_text()?;
    let quota = columns.optional()?;
    let digest: Option<&[u8]> = columns.get()?;
    let purpose = match (kind, account, digest) {
        (INVITATION, ..) => LinkPurpose::Invitation {
            // An invitation that lost its address must not become one for anybody.
            email: email
                .map(|email| Email::new(email).ok_or_else(|| corrupt("an invitation's address is illegal")))
                .transpose()?,
            quota_bytes: quota.and_then(|bytes| u64::try_from(bytes).ok()),
        },
        (RESET, Some(account), Some(digest)) => LinkPurpose::Reset {
            account: AccountId::new(account).map_err(|error| corrupt(error.to_string()))?,
            password_digest: digest
                .try_into()
                .map_err(|_| corrupt("a digest has the wrong length"))?,
        },
        _ => return Err(corrupt("a one-time link is not whole")),
    };
    Ok(Some(OneTimeLink {
        hash: hash.clone(),
        purpose,
        expires_at: columns.timestamp()?,
    }))
}

/// Removes the links that expired before `now`, of the `limit` that come after `after`; the last that was looked at, when
/// there may be more.
pub(super) struct ExpireLinks {
    pub(super) after: Option<TokenHash>,
    pub(super) limit: usize,
    pub(super) now: Timestamp,
}

#[async_trait]
impl Write for ExpireLinks {
    type Output = Option<TokenHash>;

    async fn run(&self, session: &mut Session<'_>) -> Result<Option<TokenHash>> {
        let statement = query(
            "SELECT link_hash, expires_at FROM one_time_link
             WHERE link_hash > $1 /* every shard: for jobs */ ORDER BY link_hash LIMIT $2",
        )
        .bind(self.after.as_ref().map_or_else(Vec::new, |hash| hash.0.to_vec()))
        .bind(i64::try_from(self.limit).unwrap_or(i64::MAX));
        let rows = session.all(statement).await?;
        let mut last = None;
        for row in &rows {
            let mut columns = Columns::of(row);
            let hash = columns.token_hash()?;
            if columns.timestamp()? < self.now {
                forget_link(session, &hash).await?;
            }
            last = Some(hash);
        }
        Ok(last.filter(|_| rows.len() == self.limit))
    }
}
