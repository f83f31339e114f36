//! Browsers in which somebody has signed in: a cookie each, for a short time, in memory.

use std::time::Duration;

use cairn_core::ids::AccountId;
use cairn_core::time::Timestamp;
use cairn_metadata::{Account, TokenHash};

use super::tokens;
use crate::error::ServiceError;
use crate::state::State;

/// How long a browser stays signed in.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3_600);
/// Browsers that are signed in at once; of more, those that were not used lately sign in again.
const REMEMBERED: u64 = 10_000;

#[derive(Clone)]
struct SignedIn {
    account: AccountId,
    expires_at: Timestamp,
    /// The hash of the password that was right: another password ends it.
    password_hash: String,
    /// Whether the second factor was shown too, where one is asked for.
    is_whole: bool,
}

pub(crate) struct Browsers {
    known: moka::sync::Cache<TokenHash, SignedIn>,
}

impl Browsers {
    pub(crate) fn new() -> Self {
        let known = moka::sync::Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(LIFETIME)
            .build();
        Self { known }
    }

    /// Remembers a browser in which a password was right; what its cookie must hold. Before `is_whole` it is signed in for
    /// nothing but [`Self::find_half`].
    pub(crate) fn sign_in(
        &self,
        state: &State,
        account: &Account,
        is_whole: bool,
    ) -> Result<String, ServiceError> {
        let cookie = tokens::new_token(state.runtime.entropy.as_ref());
        let hash = tokens::hash(&cookie).ok_or(ServiceError::NotAuthenticated)?;
        let lifetime_ms = i64::try_from(LIFETIME.as_millis()).unwrap_or(0);
        let signed_in = SignedIn {
            account: account.id,
            expires_at: state.runtime.clock.now().plus_millis(lifetime_ms),
            password_hash: account.password_hash.clone(),
            is_whole,
        };
        self.known.insert(hash, signed_in);
        Ok(cookie)
    }

    /// Who has signed in there. A locked account, or one that has another password by now, counts as nobody.
    pub(crate) async fn find(&self, state: &State, cookie: &str) -> Result<Option<Account>, ServiceError> {
        self.look(state, cookie, true).await
    }

    /// Whose password was right there, where a code is still waited for.
    pub(crate) async fn find_half(
        &self,
        state: &State,
        cookie: &str,
    ) -> Result<Option<Account>, ServiceError> {
        self.look(state, cookie, false).await
    }

    async fn look(
        &self,
        state: &State,
        cookie: &str,
        is_whole: bool,
    ) -> Result<Option<Account>, ServiceError> {
        let Some(signed_in) = tokens::hash(cookie).and_then(|hash| self.known.get(&hash)) else {
            return Ok(None);
        };
        if signed_in.expires_at <= state.runtime.clock.now() || signed_in.is_whole != is_whole {
            return Ok(None);
        }
        let account = state.metadata.account(signed_in.account).await?;
        Ok(
            account
                .filter(|account| !account.is_disabled && account.password_hash == signed_in.password_hash),
        )
    }

    /// Forgets every browser in which somebody has signed in to an account.
    pub(crate) fn sign_out_all(&self, account: AccountId) {
        for (hash, signed_in) in &self.known {
            if signed_in.account == account {
                self.known.invalidate(hash.as_ref());
            }
        }
    }

    /// Forgets a browser.
    pub(crate) fn sign_out(&self, cookie: &str) {
        if let Some(hash) = tokens::hash(cookie) {
            self.known.invalidate(&hash);
        }
    }
}
