//! The store in memory: the executable specification, and what simulations run on.
//!
//! Whole verbs under one lock. What a group of operations means is [`crate::rules`], as in every store; everything
//! else is written for reading.

mod access;
mod audit;
mod credentials;
mod namespace;
mod store;
mod tags;
mod uploads;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_core::ids::{AccountId, DeviceId, NamespaceId, NodeId};
use cairn_core::time::Timestamp;

use crate::{
    AccessToken, Account, App, AppKey, AppLink, AuditEntry, AuthCode, Device, Email, IdentityHash,
    MetadataError, OneTimeLink, Result, SecondFactor, TokenHash, UploadId,
};
use namespace::Namespace;

/// Metadata that lives as long as the process.
#[derive(Debug, Default)]
pub struct MemoryMetadata {
    state: Mutex<State>,
}

impl MemoryMetadata {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A store of its own with everything that is in this one now, as a backup has it.
    pub fn snapshot(&self) -> Self {
        Self {
            state: Mutex::new(self.lock().clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No verb leaves a half-done change behind when it panics before its first write.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Clone, Default)]
struct State {
    accounts: BTreeMap<AccountId, Account>,
    emails: HashMap<Email, AccountId>,
    links: BTreeMap<(AccountId, DeviceId), Link>,
    /// Access tokens, and the links that have them.
    tokens: HashMap<TokenHash, ((AccountId, DeviceId), AccessToken)>,
    refreshes: HashMap<TokenHash, AppLink>,
    apps: BTreeMap<AppKey, App>,
    codes: HashMap<TokenHash, AuthCode>,
    tags: BTreeMap<(NamespaceId, NodeId), BTreeSet<String>>,
    audit: BTreeMap<(Option<AccountId>, Timestamp, i64), AuditEntry>,
    identities: HashMap<IdentityHash, AccountId>,
    links_once: HashMap<TokenHash, OneTimeLink>,
    /// Second factors, with the recovery codes that are left.
    factors: HashMap<AccountId, (SecondFactor, HashSet<TokenHash>)>,
    namespaces: BTreeMap<NamespaceId, Namespace>,
    uploads: BTreeMap<(AccountId, UploadId), uploads::Open>,
}

/// A device with the tokens that speak for it.
#[derive(Debug, Clone)]
struct Link {
    device: Device,
    tokens: Vec<TokenHash>,
    refresh: Option<TokenHash>,
}

impl State {
    /// Forgets a link and its tokens.
    fn unlink(&mut self, key: (AccountId, DeviceId)) -> Option<Device> {
        let link = self.links.remove(&key)?;
        for token in &link.tokens {
            self.tokens.remove(token);
        }
        if let Some(refresh) = &link.refresh {
            self.refreshes.remove(refresh);
        }
        Some(link.device)
    }

    fn namespace(&self, id: NamespaceId) -> Result<&Namespace> {
        self.namespaces
            .get(&id)
            .ok_or(MetadataError::NamespaceNotFound(id))
    }

    fn namespace_mut(&mut self, id: NamespaceId) -> Result<&mut Namespace> {
        self.namespaces
            .get_mut(&id)
            .ok_or(MetadataError::NamespaceNotFound(id))
    }
}
