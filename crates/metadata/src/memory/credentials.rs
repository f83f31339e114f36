//! Second factors and links that work once.

use std::collections::HashSet;

use async_trait::async_trait;
use cairn_core::ids::{AccountId, Incarnation};

use super::MemoryMetadata;
use crate::{
    Account, CredentialStore, IdentityHash, MetadataError, MetadataStore, OneTimeLink, Result, SecondFactor,
    TokenHash,
};

#[async_trait]
impl CredentialStore for MemoryMetadata {
    async fn second_factor(&self, account: AccountId) -> Result<Option<SecondFactor>> {
        let state = self.lock();
        Ok(state.factors.get(&account).map(|(factor, _)| factor.clone()))
    }

    async fn set_second_factor(
        &self,
        account: AccountId,
        factor: Option<&SecondFactor>,
        recovery: &[TokenHash],
    ) -> Result<()> {
        let mut state = self.lock();
        match factor {
            Some(factor) => {
                let codes: HashSet<_> = recovery.iter().cloned().collect();
                state.factors.insert(account, (factor.clone(), codes));
            }
            None => {
                state.factors.remove(&account);
            }
        }
        Ok(())
    }

    async fn use_step(&self, account: AccountId, step: i64) -> Result<bool> {
        let mut state = self.lock();
        let Some((factor, _)) = state.factors.get_mut(&account) else {
            return Ok(false);
        };
        let is_new = step > factor.last_step;
        factor.last_step = factor.last_step.max(step);
        Ok(is_new)
    }

    async fn use_recovery_code(&self, account: AccountId, code: &TokenHash) -> Result<bool> {
        let mut state = self.lock();
        let codes = state.factors.get_mut(&account).map(|(_, codes)| codes);
        Ok(codes.is_some_and(|codes| codes.remove(code)))
    }

    async fn identity(&self, identity: &IdentityHash) -> Result<Option<AccountId>> {
        Ok(self.lock().identities.get(identity).copied())
    }

    async fn link_identity(&self, identity: &IdentityHash, account: AccountId) -> Result<bool> {
        let mut state = self.lock();
        if !state.accounts.contains_key(&account) {
            return Err(MetadataError::AccountNotFound(account));
        }
        let owner = *state.identities.entry(identity.clone()).or_insert(account);
        Ok(owner == account)
    }

    async fn identities(&self, account: AccountId) -> Result<usize> {
        let state = self.lock();
        let owners = state.identities.values();
        Ok(owners.filter(|owner| **owner == account).count())
    }

    async fn unlink_identities(&self, account: AccountId) -> Result<usize> {
        let identities = &mut self.lock().identities;
        let before = identities.len();
        identities.retain(|_, owner| *owner != account);
        Ok(before - identities.len())
    }

    async fn create_account_of(
        &self,
        identity: &IdentityHash,
        account: &Account,
        incarnation: Incarnation,
    ) -> Result<bool> {
        // Accounts are never removed, so nobody sees one without its identity but for this moment.
        if self.lock().identities.contains_key(identity) {
            return Ok(false);
        }
        self.create_account(account, incarnation).await?;
        self.link_identity(identity, account.id).await
    }

    async fn add_link(&self, link: &OneTimeLink) -> Result<()> {
        let mut state = self.lock();
        state.links_once.insert(link.hash.clone(), link.clone());
        Ok(())
    }

    async fn link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>> {
        Ok(self.lock().links_once.get(hash).cloned())
    }

    async fn take_link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>> {
        Ok(self.lock().links_once.remove(hash))
    }
}
