//! Apps: which may ask, and where they may be answered.

use axum::http::Uri;
use cairn_core::name::NodeName;
use cairn_core::runtime::Runtime;
use cairn_core::time::Timestamp;
use cairn_metadata::{App, AppKey, MetadataStore, Scope, TokenHash};
use subtle::ConstantTimeEq;

use crate::auth::{Caller, tokens};
use crate::error::ServiceError;
use crate::state::State;

/// Apps that are spread with a key of their own, which is no secret: key and name.
const WELL_KNOWN: [(&str, &str); 2] = [("2jmbq42w7vof78h", "Maestral"), (RCLONE, "rclone")];
/// The app whose published key comes with a published secret, and without PKCE.
const RCLONE: &str = "5jcck7diasz0rqy";

/// Characters of a registered app's name, as long as a device's, which it becomes.
const NAME_CHARS: usize = cairn_core::limits::DEVICE_NAME_CHARS;
/// Redirect URIs of one app, and bytes of each.
const REDIRECT_URIS: usize = 32;
const REDIRECT_URI_BYTES: usize = 512;
/// Apps in one page of a listing.
const APPS_PAGE: usize = 500;

/// The folder that a caller is confined to, if it is an app that is.
pub(crate) async fn app_folder(state: &State, caller: &Caller) -> Result<Option<String>, ServiceError> {
    if caller.scopes.has(Scope::Sync) {
        return Ok(None);
    }
    if let Some(folder) = state.auth.app_folders.get(&caller.device) {
        return Ok(folder);
    }
    let devices = state.metadata.devices(caller.account).await?;
    let link = devices.into_iter().find(|device| device.id == caller.device);
    let folder = match link.and_then(|link| link.app) {
        None => None,
        Some(key) => state.metadata.app(&key).await?.and_then(|app| app.folder),
    };
    state.auth.app_folders.insert(caller.device, folder.clone());
    Ok(folder)
}

/// When a caller was let in.
pub(crate) async fn linked_at(state: &State, caller: &Caller) -> Result<Timestamp, ServiceError> {
    let devices = state.metadata.devices(caller.account).await?;
    let link = devices.into_iter().find(|device| device.id == caller.device);
    Ok(link.ok_or(ServiceError::NotAuthenticated)?.created_at)
}

/// An app that asks.
#[derive(Debug)]
pub(crate) enum Client {
    /// The operator has registered it.
    Registered(App),
    /// It came with a key of its own, and anybody may use that.
    Unknown(AppKey),
}

impl Client {
    /// Finds an app; `None` for one that is not registered where only such are admitted.
    pub(crate) async fn find(state: &State, key: &AppKey) -> Result<Option<Self>, ServiceError> {
        if let Some(app) = state.metadata.app(key).await? {
            return Ok(Some(Self::Registered(app)));
        }
        let is_admitted = state.config.admit_unknown_apps;
        Ok(is_admitted.then(|| Self::Unknown(key.clone())))
    }

    pub(crate) fn key(&self) -> &AppKey {
        match self {
            Self::Registered(app) => &app.key,
            Self::Unknown(key) => key,
        }
    }

    pub(crate) const fn is_registered(&self) -> bool {
        matches!(self, Self::Registered(_))
    }

    /// The folder that it is confined to.
    pub(crate) fn folder(&self) -> Option<&str> {
        match self {
            Self::Registered(app) => app.folder.as_deref(),
            Self::Unknown(_) => None,
        }
    }

    /// The name that its link gets.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Registered(app) => app.name.clone(),
            Self::Unknown(key) => {
                let known = WELL_KNOWN.into_iter().find(|(known, _)| *known == key.as_str());
                let short: String = key.as_str().chars().take(16).collect();
                known.map_or_else(|| format!("App {short}"), |(_, name)| name.to_owned())
            }
        }
    }

    /// Whether a code may be sent there. An unknown app gets it on the machine of the browser only, where whoever
    /// listens is a program of the same person.
    pub(crate) fn admits_redirect(&self, uri: &str) -> bool {
        match self {
            Self::Registered(app) => app.redirect_uris.iter().any(|known| known == uri),
            Self::Unknown(_) => loopback_origin(uri).is_some(),
        }
    }

    /// Whether it may ask for a code without a PKCE challenge: with a secret that it will show, or as rclone does.
    pub(crate) fn needs_no_challenge(&self, redirect_uri: Option<&str>) -> bool {
        match self {
            Self::Registered(_) => true,
            Self::Unknown(key) => {
                key.as_str() == RCLONE && redirect_uri.is_some_and(|uri| loopback_origin(uri).is_some())
            }
        }
    }

    /// Whether it has shown its secret: `None` for a wrong one. An unknown app's secret proves nothing.
    pub(crate) fn proves(&self, secret: Option<&str>) -> Option<bool> {
        match (self, secret) {
            (Self::Registered(app), Some(secret)) => {
                let shown = tokens::sha256(secret.as_bytes())?;
                bool::from(shown.ct_eq(&app.secret.0)).then_some(true)
            }
            _ => Some(false),
        }
    }
}

/// The origin of a URI on the browser's own machine; `None` for any other. Plain HTTP as RFC 8252 has it.
fn loopback_origin(uri: &str) -> Option<String> {
    let parsed: Uri = uri.parse().ok()?;
    let authority = parsed.authority()?.as_str();
    let is_local = matches!(parsed.host()?, "localhost" | "127.0.0.1" | "[::1]");
    // The parser drops a fragment without a word.
    let is_plain = !authority.contains('@') && !uri.contains('#');
    if parsed.scheme_str() != Some("http") || !is_local || !is_plain {
        return None;
    }
    Some(format!("http://{authority}"))
}

/// What a policy about forms must name so that a browser follows a redirect to the URI.
pub(crate) fn redirect_origin(uri: &str) -> Option<String> {
    let (scheme, rest) = uri.split_once(':')?;
    let legal_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(legal_scheme) {
        return None;
    }
    if !matches!(scheme, "http" | "https") {
        return Some(format!("{scheme}:"));
    }
    let authority = rest.strip_prefix("//")?.split(['/', '?']).next()?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b':' | b'[' | b']');
    let is_legal = !authority.is_empty() && authority.bytes().all(legal);
    is_legal.then(|| format!("{scheme}://{authority}"))
}

/// An app to be registered.
pub struct NewApp {
    /// The name that people see.
    pub name: String,
    /// Where codes may be sent; HTTPS, this machine, or a scheme of the app's own.
    pub redirect_uris: Vec<String>,
    /// The folder below `/Apps` that it is confined to; `None` for all of an account.
    pub folder: Option<String>,
}

/// Registers an app under a key and a secret that are drawn for it. Durable when this returns; the secret is not kept.
///
/// # Errors
/// [`ServiceError::BadRequest`] for a name or a URI that cannot be used.
pub async fn register_app(
    metadata: &dyn MetadataStore,
    runtime: &Runtime,
    new: NewApp,
) -> Result<(App, String), ServiceError> {
    let name = new.name.trim();
    if !(1..=NAME_CHARS).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(ServiceError::bad(format!(
            "an app's name must have 1 to {NAME_CHARS} printable characters"
        )));
    }
    if new.redirect_uris.len() > REDIRECT_URIS {
        return Err(ServiceError::bad(format!(
            "an app may have {REDIRECT_URIS} redirect URIs"
        )));
    }
    if !new.redirect_uris.iter().all(|uri| may_register(uri)) {
        return Err(ServiceError::bad(
            "a redirect URI must be https, http on this machine, or have a scheme of the app's own, and no fragment",
        ));
    }
    if let Some(folder) = &new.folder
        && (NodeName::new(folder.as_str()).is_err() || folder.contains('\\'))
    {
        return Err(ServiceError::bad(
            "an app's folder must have a name that a folder can have",
        ));
    }
    let mut key = [0; 10];
    runtime.entropy.fill(&mut key);
    let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = tokens::new_token(runtime.entropy.as_ref());
    let app = App {
        key: AppKey::new(&key).ok_or(ServiceError::NotAuthenticated)?,
        name: name.to_owned(),
        secret: TokenHash(tokens::sha256(secret.as_bytes()).ok_or(ServiceError::NotAuthenticated)?),
        redirect_uris: new.redirect_uris,
        folder: new.folder,
        created_at: runtime.clock.now(),
    };
    metadata.put_app(&app).await?;
    tracing::info!(app.key = %app.key, "app registered");
    Ok((app, secret))
}

fn may_register(uri: &str) -> bool {
    let is_text = uri.len() <= REDIRECT_URI_BYTES && uri.bytes().all(|byte| byte.is_ascii_graphic());
    let is_safe = match redirect_origin(uri).as_deref() {
        None | Some("javascript:" | "data:" | "file:" | "blob:" | "about:" | "vbscript:") => false,
        Some(origin) => !origin.starts_with("http://") || loopback_origin(uri).is_some(),
    };
    is_text && is_safe && !uri.contains('#')
}

/// Lists registered apps, by key.
///
/// # Errors
/// Those of the store.
pub async fn list_apps(metadata: &dyn MetadataStore) -> Result<Vec<App>, ServiceError> {
    let mut apps: Vec<App> = Vec::new();
    loop {
        let page = metadata.apps(apps.last().map(|app| &app.key), APPS_PAGE).await?;
        let is_last = page.len() < APPS_PAGE;
        apps.extend(page);
        if is_last {
            return Ok(apps);
        }
    }
}

/// Forgets an app and unlinks it everywhere. On a running server call [`crate::Server::forget_sessions`] afterwards.
///
/// # Errors
/// [`ServiceError::NotFound`] when no app has the key.
pub async fn remove_app(metadata: &dyn MetadataStore, key: &str) -> Result<(), ServiceError> {
    let unknown = ServiceError::NotFound("an app with that key");
    let Some(key) = AppKey::new(key) else {
        return Err(unknown);
    };
    if !metadata.remove_app(&key).await? {
        return Err(unknown);
    }
    tracing::info!(app.key = %key, "app removed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for (uri, origin) in [
            ("http://localhost:53682/", "http://localhost:53682"),
            ("http://127.0.0.1/done?x=1", "http://127.0.0.1"),
            ("http://[::1]:8080/a", "http://[::1]:8080"),
        ] {
            assert_eq!(loopback_origin(uri).as_deref(), Some(origin), "{uri}");
        }
        for uri in [
            "https://localhost/",
            "http://localhost.evil.example/",
            "http://localhost@evil.example/",
            "http://evil.example/#http://localhost/",
            "http://localhost/#",
            "http://127.0.0.2/",
            "localhost:53682",
            "//localhost/",
            "",
        ] {
            assert_eq!(loopback_origin(uri), None, "{uri}");
        }
    }

    #[test]
    fn only_safe_uris_are_registered() {
        for uri in [
            "https://app.example/done",
            "http://localhost:1/",
            "db-abc://2/token",
            "org.example.app:/done",
        ] {
            assert!(may_register(uri), "{uri}");
        }
        for uri in [
            "http://app.example/done",
            "https://app.example/#x",
            "https://u@app.example/",
            "https://app.example; script-src *",
            "https://app.example;script-src",
            "javascript:alert(1)",
            "data:text/html,x",
            "/relative",
            "",
        ] {
            assert!(!may_register(uri), "{uri}");
        }
    }
}
