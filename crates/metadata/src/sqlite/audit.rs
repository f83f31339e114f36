//! The audit log. What is about the server as a whole has account 0, which no account is.

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;
use sqlx::sqlite::SqliteRow;

use super::SqliteMetadata;
use super::decode::Columns;
use super::error::corrupt;
use super::statement::{Session, query};
use super::writer::Write;
use crate::{AppKey, AuditEntry, AuditPosition, AuditStore, Result};

fn number_of(account: Option<AccountId>) -> i64 {
    account.map_or(0, AccountId::get)
}

#[async_trait]
impl AuditStore for SqliteMetadata {
    async fn add_audit(&self, entry: &AuditEntry) -> Result<()> {
        self.write(AddAudit(entry.clone())).await
    }

    async fn audit(
        &self,
        account: Option<AccountId>,
        after: Option<AuditPosition>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let mut reader = self.reader().await?;
        let statement = query(
            "SELECT at, entry_id, event, device_id, app_key, peer FROM audit
             WHERE account_id = $1 AND (at, entry_id) > ($2, $3)
             ORDER BY at, entry_id LIMIT $4",
        )
        .bind(number_of(account))
        .bind(after.map_or(i64::MIN, |after| after.at.as_millis()))
        .bind(after.map_or(0, |after| after.id))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = reader.session().all(statement).await?;
        rows.iter().map(|row| entry_of(row, account)).collect()
    }

    async fn remove_audit(&self, account: Option<AccountId>, before: Timestamp) -> Result<u64> {
        self.write(RemoveAudit { account, before }).await
    }
}

fn entry_of(row: &SqliteRow, account: Option<AccountId>) -> Result<AuditEntry> {
    let mut columns = Columns::of(row);
    let at = columns.timestamp()?;
    let id = columns.i64()?;
    let event = columns.text()?.to_owned();
    let device = columns.optional()?.map(DeviceId::new).transpose();
    let device = device.map_err(|error| corrupt(error.to_string()))?;
    let app = columns.optional_text()?.and_then(AppKey::new);
    let peer = columns.optional_text()?.map(str::parse).transpose();
    Ok(AuditEntry {
        account,
        at,
        id,
        event,
        device,
        app,
        peer: peer.map_err(|_| corrupt("an address cannot be read"))?,
    })
}

struct AddAudit(AuditEntry);

#[async_trait]
impl Write for AddAudit {
    type Output = ();

    async fn run(&self, session: &mut Session<'_>) -> Result<()> {
        let entry = &self.0;
        let insert = query(
            "INSERT INTO audit (account_id, at, entry_id, event, device_id, app_key, peer)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(number_of(entry.account))
        .bind(entry.at.as_millis())
        .bind(entry.id)
        .bind(entry.event.clone())
        .bind(entry.device.map(DeviceId::get))
        .bind(entry.app.as_ref().map(|app| app.as_str().to_owned()))
        .bind(entry.peer.map(|peer| peer.to_string()));
        session.execute(insert).await?;
        Ok(())
    }
}

struct RemoveAudit {
    account: Option<AccountId>,
    before: Timestamp,
}

#[async_trait]
impl Write for RemoveAudit {
    type Output = u64;

    async fn run(&self, session: &mut Session<'_>) -> Result<u64> {
        let delete = query("DELETE FROM audit WHERE account_id = $1 AND at < $2")
            .bind(number_of(self.account))
            .bind(self.before.as_millis());
        session.execute(delete).await
    }
}
