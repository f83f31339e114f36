//! What an account proves itself with besides its password.

use std::fmt;

use async_trait::async_trait;
use cairn_core::ids::AccountId;

use crate::{Result, TokenHash};

/// The secret that an account shares with an authenticator (RFC 6238).
#[derive(Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// The secret. It must be had in full to check a code, so it is kept as it is.
    pub secret: Vec<u8>,
    /// Whether it was confirmed by a code; before that it is not asked for.
    pub is_active: bool,
    /// The time step of the last code that was used: that one and those before are refused.
    pub last_step: i64,
}

/// Prints nothing of the secret.
impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecondFactor")
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}

/// The verbs about second factors. As those of [`crate::MetadataStore`], each is atomic and durable.
#[async_trait]
pub trait CredentialStore: Send + Sync + 'static {
    /// An account's second factor, confirmed or not.
    async fn second_factor(&self, account: AccountId) -> Result<Option<SecondFactor>>;

    /// Replaces an account's second factor and all its recovery codes; `None` removes both.
    async fn set_second_factor(
        &self,
        account: AccountId,
        factor: Option<&SecondFactor>,
        recovery: &[TokenHash],
    ) -> Result<()>;

    /// Records that the code of a time step was used; false when that step or a later one was used before.
    async fn use_step(&self, account: AccountId, step: i64) -> Result<bool>;

    /// Takes a recovery code away; false when the account has none such.
    async fn use_recovery_code(&self, account: AccountId, code: &TokenHash) -> Result<bool>;
}
