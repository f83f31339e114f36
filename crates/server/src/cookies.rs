//! The one cookie: first it only tells visitors apart, then it says who has signed in. Forms carry a token made of it.

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use subtle::ConstantTimeEq;

use crate::auth::{browsers, tokens};
use crate::request::Encrypted;
use crate::state::State;

/// Under TLS the browser itself sees to it that no other host, and no plain connection, has set it.
const NAME: &str = "__Host-cairn-session";
const PLAIN_NAME: &str = "cairn-session";

/// A browser as its request shows it.
pub(crate) struct Visitor {
    is_encrypted: bool,
    /// Whether the browser says that another site sent it here.
    is_foreign: bool,
    cookie: Option<String>,
}

impl Visitor {
    pub(crate) fn of(parts: &Parts, state: &State) -> Self {
        let is_encrypted = is_encrypted(parts, state);
        let name = if is_encrypted { NAME } else { PLAIN_NAME };
        Self {
            is_encrypted,
            is_foreign: is_foreign(&parts.headers),
            cookie: cookie(&parts.headers, name),
        }
    }

    /// What the cookie holds, if it can be one of ours.
    pub(crate) fn cookie(&self) -> Option<&str> {
        self.cookie
            .as_deref()
            .filter(|cookie| tokens::hash(cookie).is_some())
    }

    /// Whether a form came from a page that this browser was shown.
    pub(crate) fn sent(&self, token: Option<&str>) -> bool {
        let (Some(cookie), Some(token)) = (self.cookie(), token) else {
            return false;
        };
        if self.is_foreign {
            return false;
        }
        form_token(cookie).as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// The header that sets the cookie. `Lax`: it comes along when an app opens the page, and never with a form or a
    /// frame of another site.
    pub(crate) fn set(&self, cookie: &str) -> Option<HeaderValue> {
        let (name, secure) = if self.is_encrypted {
            (NAME, "; Secure")
        } else {
            (PLAIN_NAME, "")
        };
        let seconds = browsers::LIFETIME.as_secs();
        let text = format!("{name}={cookie}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::from_str(&text).ok()
    }
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site");
    site.is_some_and(|site| site != "same-origin" && site != "none")
}

/// What a form carries, so that no other site can send it: nobody but the browser and the server knows the cookie.
pub(crate) fn form_token(cookie: &str) -> String {
    let digest = tokens::sha256(format!("cairn form {cookie}").as_bytes());
    let digest = digest.unwrap_or_default();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the browser's connection is encrypted, up to the proxy where one is configured.
fn is_encrypted(parts: &Parts, state: &State) -> bool {
    let here = parts
        .extensions
        .get::<Encrypted>()
        .is_some_and(|Encrypted(yes)| *yes);
    let proxy = parts.headers.get("x-forwarded-proto");
    here || (state.config.allow_plain_http && proxy.is_some_and(|value| value == "https"))
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter();
    let pairs = all
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('='));
    found
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.to_owned())
}
