//! The audit log.

use async_trait::async_trait;
use cairn_core::ids::AccountId;
use cairn_core::time::Timestamp;

use super::MemoryMetadata;
use crate::{AuditEntry, AuditPosition, AuditStore, Result};

#[async_trait]
impl AuditStore for MemoryMetadata {
    async fn add_audit(&self, entry: &AuditEntry) -> Result<()> {
        let key = (entry.account, entry.at, entry.id);
        self.lock().audit.insert(key, entry.clone());
        Ok(())
    }

    async fn audit(
        &self,
        account: Option<AccountId>,
        after: Option<AuditPosition>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>> {
        let state = self.lock();
        let rest = state.audit.iter().filter(|((owner, at, id), _)| {
            *owner == account && after.is_none_or(|after| (*at, *id) > (after.at, after.id))
        });
        Ok(rest.map(|(_, entry)| entry.clone()).take(limit).collect())
    }

    async fn remove_audit(&self, account: Option<AccountId>, before: Timestamp) -> Result<u64> {
        let mut state = self.lock();
        let count = state.audit.len();
        state
            .audit
            .retain(|(owner, at, _), _| *owner != account || *at >= before);
        Ok((count - state.audit.len()) as u64)
    }
}
