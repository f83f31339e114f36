//! The audit log: what of orders is written there, and how it is read.

use cairn_core::ids::AccountId;
use cairn_core::time::Timestamp;
use cairn_metadata::{AuditEntry, AuditPosition, MetadataStore};
use cairn_server::ServiceError;
use cairn_server::service::audit::{self, ExportPosition};
use serde::{Deserialize, Serialize};

use super::{AccessOrder, Answer, Order};

/// Entries in one answer: some 2 MB.
const PAGE: usize = 10_000;

/// An entry as it is exported.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AuditLine {
    at_ms: i64,
    event: String,
    /// Absent for the server as a whole.
    account: Option<String>,
    device: Option<String>,
    app: Option<String>,
    /// Absent for the operator on the server itself.
    peer: Option<String>,
}

/// Where an export stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct AuditPlace {
    account: Option<i64>,
    entry: Option<(i64, i64)>,
}

/// What is written down of an order, and the address of the account that it is about.
pub(super) fn event_of(order: &Order) -> (Option<&'static str>, Option<String>) {
    let (event, email) = match order {
        Order::ListUsers
        | Order::ExportAudit { .. }
        | Order::Access {
            access: AccessOrder::ListApps | AccessOrder::ListTokens { .. },
        } => return (None, None),
        Order::AddUser { email, .. } => ("admin-user-added", Some(email)),
        Order::SetDisabled {
            email,
            is_disabled: true,
        } => ("admin-user-disabled", Some(email)),
        Order::SetDisabled { email, .. } => ("admin-user-enabled", Some(email)),
        Order::SetQuota { email, .. } => ("admin-quota-set", Some(email)),
        Order::SetPassword { email, .. } => ("admin-password-set", Some(email)),
        Order::Invite { .. } => ("admin-invited", None),
        Order::ResetLink { email } => ("admin-reset-link-made", Some(email)),
        Order::RemoveSecondFactor { email } => ("admin-second-factor-removed", Some(email)),
        Order::Access { access } => match access {
            AccessOrder::AddApp { .. } => ("admin-app-added", None),
            AccessOrder::RemoveApp { .. } => ("admin-app-removed", None),
            AccessOrder::MakeToken { email, .. } => ("admin-token-made", Some(email)),
            AccessOrder::RevokeToken { email, .. } => ("admin-token-revoked", Some(email)),
            AccessOrder::ListApps | AccessOrder::ListTokens { .. } => return (None, None),
        },
    };
    (Some(event), email.cloned())
}

/// Reads a page.
pub(super) async fn read(metadata: &dyn MetadataStore, after: &AuditPlace) -> Result<Answer, ServiceError> {
    let position = ExportPosition {
        account: after.account.and_then(|id| AccountId::new(id).ok()),
        entry: after.entry.map(|(at_ms, id)| AuditPosition {
            at: Timestamp::from_millis(at_ms),
            id,
        }),
    };
    let (entries, next) = audit::export(metadata, position, PAGE).await?;
    Ok(Answer::Audit {
        entries: entries.into_iter().map(line).collect(),
        next: next.map(|position| AuditPlace {
            account: position.account.map(AccountId::get),
            entry: position.entry.map(|entry| (entry.at.as_millis(), entry.id)),
        }),
    })
}

fn line(entry: AuditEntry) -> AuditLine {
    AuditLine {
        at_ms: entry.at.as_millis(),
        event: entry.event,
        account: entry.account.map(|account| account.to_string()),
        device: entry.device.map(|device| device.to_string()),
        app: entry.app.map(|app| app.to_string()),
        peer: entry.peer.map(|peer| peer.to_string()),
    }
}
