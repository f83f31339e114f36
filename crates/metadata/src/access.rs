//! Who else may speak for an account: apps, their links and tokens, the codes that make a link.

use std::fmt;

use async_trait::async_trait;
use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;

use crate::{Result, Scopes, TokenHash};

/// Access tokens that one link has at once; of more, those that expire first go.
pub const TOKENS_PER_LINK: usize = 100;
/// Authorization codes of one account that wait at once; of more, those that expire first go.
pub const CODES_PER_ACCOUNT: usize = 32;

/// What is linked to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LinkKind {
    /// A device that speaks `/sync/1`.
    #[default]
    Device,
    /// An app that came by OAuth.
    App,
    /// A token that its owner made by hand.
    Token,
}

/// What a device deletes that was unlinked from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wipe {
    /// What the server has: a file that was never sent, or was changed since, stays.
    Synced,
    /// All of its synced folder.
    Everything,
}

/// The public name of an app: 1 to 64 ASCII letters, digits, `-` and `_`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AppKey(String);

impl AppKey {
    /// Checks a key; `None` when it cannot be one.
    pub fn new(text: &str) -> Option<Self> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((1..=64).contains(&text.len()) && text.bytes().all(legal)).then(|| Self(text.to_owned()))
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The key.
impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A bearer token, known by its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// Its SHA-256.
    pub hash: TokenHash,
    /// What it may do.
    pub scopes: Scopes,
    /// After this instant it is refused; `None` when it does not expire.
    pub expires_at: Option<Timestamp>,
}

/// What an app gets new access tokens with, known by its hash. Its scopes are those of the token that it comes with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its SHA-256.
    pub hash: TokenHash,
    /// Whether the app must prove itself by its secret each time.
    pub needs_secret: bool,
}

/// Whom a refresh token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLink {
    /// The account.
    pub account: AccountId,
    /// The link, among the account's devices.
    pub device: DeviceId,
    /// The app.
    pub app: AppKey,
    /// What its tokens may do.
    pub scopes: Scopes,
    /// Whether the app must prove itself by its secret.
    pub needs_secret: bool,
    /// Whether the account is locked out.
    pub is_disabled: bool,
}

/// An app that the server's operator has registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its key.
    pub key: AppKey,
    /// The name that people see who are asked for consent.
    pub name: String,
    /// SHA-256 of its secret.
    pub secret: TokenHash,
    /// Where codes may be sent, each compared whole. Without spaces and control characters.
    pub redirect_uris: Vec<String>,
    /// The folder that it is confined to; `None` for all of an account.
    pub folder: Option<String>,
    /// When it was registered.
    pub created_at: Timestamp,
}

/// How a code's redeemer proves that it asked for the code (RFC 7636).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeMethod {
    /// The challenge is the verifier.
    Plain,
    /// The challenge is the base64url of the verifier's SHA-256.
    S256,
}

/// What a code's redeemer must prove to know.
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge {
    /// How it is compared.
    pub method: ChallengeMethod,
    /// The challenge.
    pub value: String,
}

/// Prints nothing of the challenge: a plain one is the verifier.
impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Challenge")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// A code that an app trades for a link, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthCode {
    /// Its SHA-256.
    pub hash: TokenHash,
    /// The account that consented.
    pub account: AccountId,
    /// The app that asked.
    pub app: AppKey,
    /// What was consented to.
    pub scopes: Scopes,
    /// What the redeemer must know besides the code; else it proves itself by its secret.
    pub challenge: Option<Challenge>,
    /// Where the code was sent; `None` when it was shown.
    pub redirect_uri: Option<String>,
    /// Whether the link gets a refresh token.
    pub is_offline: bool,
    /// After this instant it is refused.
    pub expires_at: Timestamp,
}

/// The verbs about apps and their links. As those of [`crate::MetadataStore`], each is atomic and durable.
#[async_trait]
pub trait AccessStore: Send + Sync + 'static {
    /// Gives a link another access token; those that it has stay. Removes its tokens that expired before `now`, and keeps
    /// at most [`TOKENS_PER_LINK`]. False when there is no such link.
    async fn add_token(
        &self,
        account: AccountId,
        device: DeviceId,
        token: &AccessToken,
        now: Timestamp,
    ) -> Result<bool>;

    /// Asks a device to delete what it keeps; false when there is no such device, or it is an app or a token.
    async fn ask_wipe(&self, account: AccountId, device: DeviceId, wipe: Wipe) -> Result<bool>;

    /// Says whom a refresh token speaks for; `None` for an unknown one.
    async fn app_link(&self, refresh: &TokenHash) -> Result<Option<AppLink>>;

    /// Registers an app, or replaces all but the time at which it was registered.
    async fn put_app(&self, app: &App) -> Result<()>;

    /// Finds a registered app.
    async fn app(&self, key: &AppKey) -> Result<Option<App>>;

    /// Lists registered apps by key, after `after`, at most `limit`.
    async fn apps(&self, after: Option<&AppKey>, limit: usize) -> Result<Vec<App>>;

    /// Forgets an app and removes its links in every account; false when it was not registered.
    async fn remove_app(&self, key: &AppKey) -> Result<bool>;

    /// Keeps a code. Removes the account's codes that expired before `now`, and keeps at most [`CODES_PER_ACCOUNT`].
    async fn add_code(&self, code: &AuthCode, now: Timestamp) -> Result<()>;

    /// Takes a code away: of any number of calls one gets it. Expiry is the caller's to judge.
    async fn take_code(&self, hash: &TokenHash) -> Result<Option<AuthCode>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_plain_words() {
        for key in ["2jmbq42w7vof78h", "a-b_C", &"x".repeat(64)] {
            assert!(AppKey::new(key).is_some(), "{key}");
        }
        for key in ["", "a b", "a/b", "é", "a\"", &"x".repeat(65)] {
            assert!(AppKey::new(key).is_none(), "{key}");
        }
    }
}
