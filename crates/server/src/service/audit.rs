//! Writes down what was done about accounts: what, by whom, when, from where.
//!
//! An entry that cannot be written stops nothing: who locks the log out would lock everybody out. It is told in the log of
//! the server.

use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::runtime::Runtime;
use cairn_metadata::{AppKey, AuditEntry, AuditPosition, Email, MetadataStore};

use crate::error::ServiceError;
use crate::request::Peer;
use crate::state::State;

/// Accounts in one page of the export.
const ACCOUNTS: usize = 100;

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A device was linked.
    Login,
    /// A password was wrong.
    WrongPassword,
    /// A code of a second factor was wrong.
    WrongCode,
    /// Somebody signed in with a browser.
    SignIn,
    /// An app was allowed.
    AppAllowed,
    /// An app was linked.
    AppLinked,
    /// A device, app or token was unlinked.
    Unlinked,
    /// A device was unlinked that deletes what it keeps.
    WipeAsked,
    /// It has done so.
    Wiped,
    /// It has done so, and kept what the server does not have.
    WipedButUnsent,
    /// It has done so, also with what the server does not have.
    WipedWithUnsent,
    /// Who is somebody elsewhere may sign in to the account from now on.
    IdentityLinked,
    /// Nobody who is somebody elsewhere may sign in to the account any more.
    IdentityUnlinked,
    /// A password was chosen where there was none.
    PasswordChosen,
    /// A token for scripts was made.
    TokenMade,
    /// A second factor was turned on.
    SecondFactorOn,
    /// A second factor was turned off.
    SecondFactorOff,
    /// Somebody made an account.
    Joined,
    /// A link by which a password can be reset was asked for, and mailed.
    ResetAsked,
    /// A password was reset by a link.
    PasswordReset,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::WrongPassword => "wrong-password",
            Self::WrongCode => "wrong-code",
            Self::SignIn => "sign-in",
            Self::AppAllowed => "app-allowed",
            Self::AppLinked => "app-linked",
            Self::Unlinked => "unlinked",
            Self::WipeAsked => "wipe-asked",
            Self::Wiped => "wiped",
            Self::WipedButUnsent => "wiped-but-unsent",
            Self::WipedWithUnsent => "wiped-with-unsent",
            Self::IdentityLinked => "identity-linked",
            Self::IdentityUnlinked => "identity-unlinked",
            Self::PasswordChosen => "password-chosen",
            Self::TokenMade => "token-made",
            Self::SecondFactorOn => "second-factor-on",
            Self::SecondFactorOff => "second-factor-off",
            Self::Joined => "joined",
            Self::ResetAsked => "reset-asked",
            Self::PasswordReset => "password-reset",
        }
    }
}

/// What an entry is about besides the account.
#[derive(Default)]
pub(crate) struct About {
    pub(crate) device: Option<DeviceId>,
    pub(crate) app: Option<AppKey>,
}

impl From<DeviceId> for About {
    fn from(device: DeviceId) -> Self {
        Self {
            device: Some(device),
            app: None,
        }
    }
}

/// Writes an entry.
pub(crate) async fn record(
    state: &State,
    peer: Peer,
    account: AccountId,
    event: Event,
    about: impl Into<About> + Send,
) {
    let about = about.into();
    let entry = AuditEntry {
        account: Some(account),
        at: state.runtime.clock.now(),
        id: draw(&state.runtime),
        event: event.name().to_owned(),
        device: about.device,
        app: about.app,
        peer: Some(peer.0.to_canonical()),
    };
    write(state.metadata.as_ref(), &entry).await;
}

async fn write(metadata: &dyn MetadataStore, entry: &AuditEntry) {
    if let Err(error) = metadata.add_audit(entry).await {
        tracing::error!(event = entry.event, %error, "an entry of the audit log cannot be written");
    }
}

fn draw(runtime: &Runtime) -> i64 {
    let mut bytes = [0; 8];
    runtime.entropy.fill(&mut bytes);
    (i64::from_le_bytes(bytes) & i64::MAX).max(1)
}

/// Writes down an order of the operator, about an account where an address is given.
pub async fn record_order(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    event: &'static str,
    email: Option<&str>,
) {
    let account = match email.and_then(Email::new) {
        Some(email) => metadata.account_by_email(&email).await.ok().flatten(),
        None => None,
    };
    let entry = AuditEntry {
        account: account.map(|account| account.id),
        at: runtime.clock.now(),
        id: draw(runtime),
        event: event.to_owned(),
        device: None,
        app: None,
        peer: None,
    };
    write(metadata, &entry).await;
}

/// Where an export of the log stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExportPosition {
    /// The account whose entries are read; `None` before the first.
    pub account: Option<AccountId>,
    /// The last entry of it that was read.
    pub entry: Option<AuditPosition>,
}

/// Reads the log, the server's own entries first, then account by account, each oldest first: about `limit` entries after
/// `after`, and where to go on; `None` at the end.
///
/// # Errors
/// Those of the store.
pub async fn export(
    metadata: &dyn MetadataStore,
    after: ExportPosition,
    limit: usize,
) -> Result<(Vec<AuditEntry>, Option<ExportPosition>), ServiceError> {
    let mut at = after;
    let mut entries: Vec<AuditEntry> = Vec::new();
    loop {
        let wanted = limit.saturating_sub(entries.len());
        let page = metadata.audit(at.account, at.entry, wanted).await?;
        let is_full = page.len() == wanted;
        if let Some(last) = page.last() {
            at.entry = Some(AuditPosition {
                at: last.at,
                id: last.id,
            });
        }
        entries.extend(page);
        if is_full {
            return Ok((entries, Some(at)));
        }
        let next = metadata.accounts(at.account, 1).await?;
        let Some(next) = next.first() else {
            return Ok((entries, None));
        };
        at = ExportPosition {
            account: Some(next.id),
            entry: None,
        };
    }
}

/// Removes what is older than is configured.
pub(crate) async fn prune(state: &State) -> Result<u64, ServiceError> {
    let age_ms = i64::try_from(state.config.audit_age.as_millis()).unwrap_or(i64::MAX);
    let before = state.runtime.clock.now().plus_millis(-age_ms);
    let mut removed = state.metadata.remove_audit(None, before).await?;
    let mut after = None;
    loop {
        let page = state.metadata.accounts(after, ACCOUNTS).await?;
        let Some(last) = page.last() else {
            return Ok(removed);
        };
        after = Some(last.id);
        for account in page {
            removed += state.metadata.remove_audit(Some(account.id), before).await?;
        }
    }
}
