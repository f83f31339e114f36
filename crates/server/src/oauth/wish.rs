//! What an app asks for, read from the address that it opened.

use cairn_metadata::{AppKey, Challenge, ChallengeMethod, Scopes};

use crate::error::ServiceError;
use crate::forms::Fields;
use crate::service::accounts::apps::{Client, redirect_origin};
use crate::service::accounts::grants::{self, Wish};
use crate::state::State;

/// Bytes of the state that an app gets back.
const STATE_BYTES: usize = 2 << 10;

/// A wish, with what the app wants to have back.
pub(super) struct Asked {
    pub(super) wish: Wish,
    pub(super) state: Option<String>,
}

/// Why nobody is asked.
pub(super) enum Refused {
    /// Nothing that can be trusted says where to send the browser: a page says it.
    Shown(&'static str),
    /// The app is told.
    Sent {
        /// Where.
        redirect_uri: String,
        /// What it wanted to have back.
        state: Option<String>,
        /// The error of RFC 6749, 4.1.2.1.
        code: &'static str,
        /// In words.
        what: &'static str,
    },
    /// The server failed.
    Failed(ServiceError),
}

impl From<ServiceError> for Refused {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

/// Reads the query. Nothing is sent anywhere before app and URI were found to belong together.
pub(super) async fn read(state: &State, query: &str) -> Result<Asked, Refused> {
    let fields =
        Fields::parse(query.as_bytes()).ok_or(Refused::Shown("A field of its request comes twice."))?;
    let key = fields.get("client_id").and_then(AppKey::new);
    let key = key.ok_or(Refused::Shown("It did not say which app it is."))?;
    let client = Client::find(state, &key).await?;
    let client = client.ok_or(Refused::Shown(
        "This server does not know it. Its administrator can register it.",
    ))?;
    let redirect_uri = fields.get("redirect_uri").map(str::to_owned);
    if let Some(uri) = &redirect_uri
        && !(client.admits_redirect(uri) && redirect_origin(uri).is_some())
    {
        return Err(Refused::Shown(
            "It wants the answer sent to an address that is not registered for it.",
        ));
    }
    let returned = fields.get("state").map(str::to_owned);
    if returned.as_ref().is_some_and(|text| text.len() > STATE_BYTES) {
        return Err(Refused::Shown("Its request is too long."));
    }
    match wish(client, redirect_uri.clone(), &fields) {
        Ok(wish) => Ok(Asked {
            wish,
            state: returned,
        }),
        Err((code, what)) => Err(match redirect_uri {
            Some(redirect_uri) => Refused::Sent {
                redirect_uri,
                state: returned,
                code,
                what,
            },
            None => Refused::Shown(what),
        }),
    }
}

fn wish(
    client: Client,
    redirect_uri: Option<String>,
    fields: &Fields,
) -> Result<Wish, (&'static str, &'static str)> {
    match fields.get("response_type") {
        Some("code") => {}
        Some(_) => {
            return Err((
                "unsupported_response_type",
                "Only the response type \"code\" is given.",
            ));
        }
        None => return Err(("invalid_request", "response_type is missing.")),
    }
    let challenge = challenge(fields)?;
    if challenge.is_none() && !client.needs_no_challenge(redirect_uri.as_deref()) {
        return Err((
            "invalid_request",
            "An app that is not registered must use PKCE: code_challenge is missing.",
        ));
    }
    let scopes = match fields.get("scope").map(Scopes::parse) {
        None => Scopes::APP,
        Some(Ok(scopes)) if scopes.and(Scopes::APP) == scopes => scopes.with_implied(),
        Some(_) => return Err(("invalid_scope", "It asks for a scope that does not exist.")),
    };
    let is_offline = match fields.get("token_access_type") {
        None | Some("online" | "legacy") => false,
        Some("offline") => true,
        Some(_) => return Err(("invalid_request", "token_access_type is not known.")),
    };
    Ok(Wish {
        client,
        redirect_uri,
        scopes,
        challenge,
        is_offline,
    })
}

fn challenge(fields: &Fields) -> Result<Option<Challenge>, (&'static str, &'static str)> {
    let Some(value) = fields.get("code_challenge") else {
        return match fields.get("code_challenge_method") {
            None => Ok(None),
            Some(_) => Err(("invalid_request", "code_challenge is missing.")),
        };
    };
    let method = match fields.get("code_challenge_method") {
        Some("S256") => ChallengeMethod::S256,
        Some("plain") | None => ChallengeMethod::Plain,
        Some(_) => return Err(("invalid_request", "code_challenge_method must be S256 or plain.")),
    };
    if !grants::is_verifier(value) {
        return Err(("invalid_request", "code_challenge cannot be one."));
    }
    Ok(Some(Challenge {
        method,
        value: value.to_owned(),
    }))
}
