//! Second factors.

use async_trait::async_trait;
use cairn_core::ids::AccountId;

use super::SqliteMetadata;
use super::decode::Columns;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{CredentialStore, Result, SecondFactor, TokenHash};

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
