//! What an account proves itself with besides its password.

use std::fmt;

use async_trait::async_trait;
use cairn_core::ids::{AccountId, Incarnation};
use cairn_core::time::Timestamp;

use crate::{Account, Email, Result, TokenHash};

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

/// SHA-256 of who somebody is elsewhere: of the issuer's address and the subject that it names.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdentityHash(pub [u8; 32]);

/// Prints nothing of the hash: subjects can be guessed.
impl fmt::Debug for IdentityHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdentityHash(..)")
    }
}

/// What a link that works once is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkPurpose {
    /// Making an account.
    Invitation {
        /// The address that it must have; `None` for any.
        email: Option<Email>,
        /// Live bytes that it may keep; `None` for no bound.
        quota_bytes: Option<u64>,
    },
    /// Giving an account another password.
    Reset {
        /// The account.
        account: AccountId,
        /// SHA-256 of the stored hash of the password that is to be replaced: when that is another one by now, the link is
        /// void.
        password_digest: [u8; 32],
    },
}

/// A link that works once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneTimeLink {
    /// SHA-256 of its secret.
    pub hash: TokenHash,
    /// What it is for.
    pub purpose: LinkPurpose,
    /// After this instant it is refused.
    pub expires_at: Timestamp,
}

/// The verbs about second factors and links that work once. As those of [`crate::MetadataStore`], each is atomic and durable.
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

    /// The account of who is somebody elsewhere.
    async fn identity(&self, identity: &IdentityHash) -> Result<Option<AccountId>>;

    /// Lets who is somebody elsewhere sign in to an account; false when that is another account's already.
    ///
    /// # Errors
    /// [`crate::MetadataError::AccountNotFound`].
    async fn link_identity(&self, identity: &IdentityHash, account: AccountId) -> Result<bool>;

    /// How many people of elsewhere may sign in to an account.
    async fn identities(&self, account: AccountId) -> Result<usize>;

    /// Lets nobody of elsewhere sign in to an account any more, all at once; how many there were.
    async fn unlink_identities(&self, account: AccountId) -> Result<usize>;

    /// Makes an account, as [`crate::MetadataStore::create_account`] does, for who is somebody elsewhere; false, and nothing
    /// is made, when that is an account's already.
    ///
    /// # Errors
    /// [`crate::MetadataError::EmailTaken`].
    async fn create_account_of(
        &self,
        identity: &IdentityHash,
        account: &Account,
        incarnation: Incarnation,
    ) -> Result<bool>;

    /// Keeps a link. It goes when it is taken, or with [`crate::MetadataStore::remove_expired`].
    async fn add_link(&self, link: &OneTimeLink) -> Result<()>;

    /// Finds a link and leaves it: programs that look at mail open what is in it. Expiry is the caller's to judge.
    async fn link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>>;

    /// Takes a link away: of any number of calls one gets it. Expiry is the caller's to judge.
    async fn take_link(&self, hash: &TokenHash) -> Result<Option<OneTimeLink>>;
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use cairn_core::ids::NamespaceId;

    use super::*;
    use crate::{AccessToken, AppKey, AuthCode, Challenge, ChallengeMethod, RefreshToken, Scopes};

    const MARK: &str = "mark";
    /// Bytes that are told from all else by 171, 0xab.
    const BYTES: [u8; 32] = [0xab; 32];

    fn account() -> Account {
        Account {
            id: AccountId::new(1).unwrap(),
            email: Email::new("mark@mark.example").unwrap(),
            password_hash: MARK.to_owned(),
            root: NamespaceId::new(2).unwrap(),
            is_admin: false,
            is_disabled: false,
            quota_bytes: None,
            created_at: Timestamp::from_millis(3),
        }
    }

    fn code() -> AuthCode {
        AuthCode {
            hash: TokenHash(BYTES),
            account: AccountId::new(1).unwrap(),
            app: AppKey::new("app").unwrap(),
            scopes: Scopes::ALL,
            challenge: Some(Challenge {
                method: ChallengeMethod::Plain,
                value: MARK.to_owned(),
            }),
            redirect_uri: None,
            is_offline: false,
            expires_at: Timestamp::from_millis(4),
        }
    }

    #[test]
    fn nothing_secret_is_printed() {
        let invitation = LinkPurpose::Invitation {
            email: Some(account().email),
            quota_bytes: None,
        };
        let link = OneTimeLink {
            hash: TokenHash(BYTES),
            purpose: invitation,
            expires_at: Timestamp::from_millis(5),
        };
        let access = AccessToken {
            hash: TokenHash(BYTES),
            scopes: Scopes::ALL,
            expires_at: None,
        };
        let refresh = RefreshToken {
            hash: TokenHash(BYTES),
            needs_secret: true,
        };
        let factor = SecondFactor {
            secret: BYTES.to_vec(),
            is_active: true,
            last_step: 6,
        };
        let all: [&dyn Debug; 9] = [
            &account().email,
            &account(),
            &TokenHash(BYTES),
            &access,
            &refresh,
            &code(),
            &link,
            &factor,
            &IdentityHash(BYTES),
        ];
        for shown in all {
            for text in [format!("{shown:?}"), format!("{shown:#?}")] {
                let is_silent = [MARK, "171", "abab"].iter().all(|part| !text.contains(part));
                assert!(is_silent, "{text}");
            }
        }
        // The ids are there: they are what a log finds an account by.
        assert!(
            format!("{:?}", account()).contains("AccountId"),
            "{:?}",
            account()
        );
    }
}
