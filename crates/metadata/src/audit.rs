//! The audit log: what was done about accounts, by whom, when and from where. Nothing in it is ever changed; what is old is
//! removed as a whole.

use std::net::IpAddr;

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;

use crate::{AppKey, Result};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Whose account it is about; `None` for the server as a whole.
    pub account: Option<AccountId>,
    /// When.
    pub at: Timestamp,
    /// Tells entries of one instant apart; drawn at random, positive.
    pub id: i64,
    /// What was done: a short word.
    pub event: String,
    /// The device, app's link or token that it is about.
    pub device: Option<DeviceId>,
    /// The app that it is about.
    pub app: Option<AppKey>,
    /// From where; `None` for the operator on the server itself.
    pub peer: Option<IpAddr>,
}

/// Where a reader of the log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditPosition {
    /// The last entry's time.
    pub at: Timestamp,
    /// The last entry's id.
    pub id: i64,
}

/// The verbs about the audit log. As those of [`crate::MetadataStore`], each is atomic and durable.
#[async_trait]
pub trait AuditStore: Send + Sync + 'static {
    /// Adds an entry.
    async fn add_audit(&self, entry: &AuditEntry) -> Result<()>;

    /// Lists entries of an account, or of the server as a whole, oldest first, after `after`, at most `limit`.
    async fn audit(
        &self,
        account: Option<AccountId>,
        after: Option<AuditPosition>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>>;

    /// Removes the entries of an account, or of the server as a whole, from before `before`; returns how many.
    async fn remove_audit(&self, account: Option<AccountId>, before: Timestamp) -> Result<u64>;
}
