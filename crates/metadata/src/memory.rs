//! The store in memory: the executable specification, and what simulations run on.
//!
//! Whole verbs under one lock. What a group of operations means is [`crate::rules`], as in every store; everything
//! else is written for reading.

mod namespace;
mod store;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cairn_core::ids::{AccountId, DeviceId, NamespaceId};
use cairn_core::time::Timestamp;

use crate::{Account, Device, Email, MetadataError, Result, TokenHash};
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
    devices: BTreeMap<(AccountId, DeviceId), (Device, TokenHash)>,
    tokens: HashMap<TokenHash, (AccountId, DeviceId, Option<Timestamp>)>,
    namespaces: BTreeMap<NamespaceId, Namespace>,
}

impl State {
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
