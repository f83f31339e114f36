//! The provider: what its documents say, and what its tokens are worth.

use std::time::Duration;

use cairn_core::ids::AccountId;
use cairn_core::runtime::{Entropy, Runtime};
use cairn_metadata::TokenHash;
use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenClaims,
    CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AuthType, AuthorizationCode, ClaimsVerificationError, ClientId, ClientSecret, CsrfToken, DiscoveryError,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError, TokenResponse,
};
use reqwest::Url;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::http::{Http, HttpError, is_loopback};
use super::{CALLBACK, OidcConfig, OidcError, Refusal, kinds};
use crate::auth::tokens;

/// How long the provider's documents are believed.
const BELIEVED: Duration = Duration::from_secs(3_600);
/// How soon they are asked for again when a token is signed by a key that they do not name: keys are changed now and then, and
/// anybody can make such a token up.
const ASKED_AGAIN: Duration = Duration::from_secs(60);
/// How long a sign-in may take.
const SIGN_IN: Duration = Duration::from_secs(600);
/// Sign-ins that are under way at once; of more, the oldest begin again.
const UNDER_WAY: u64 = 10_000;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// A sign-in that is under way.
#[derive(Clone)]
pub(super) struct Begun {
    /// The cookie of the browser that it was begun in.
    pub(super) browser: TokenHash,
    /// Where the browser goes afterwards.
    pub(super) to: String,
    /// The account that it is for, where somebody was signed in and asked for that.
    pub(super) account: Option<AccountId>,
    nonce: String,
    verifier: String,
}

/// Who somebody is, as the provider says.
pub(super) struct Claims {
    pub(super) issuer: String,
    pub(super) subject: String,
    /// The address that the provider has verified.
    pub(super) verified_email: Option<String>,
}

struct Documents {
    metadata: CoreProviderMetadata,
    since: Instant,
}

/// The configured provider.
pub(crate) struct Provider {
    pub(super) config: OidcConfig,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: Http,
    documents: Mutex<Option<Documents>>,
    begun: moka::sync::Cache<TokenHash, Begun>,
}

impl Provider {
    /// Checks the settings; the provider is not asked yet.
    pub(crate) fn new(config: OidcConfig) -> Result<Self, OidcError> {
        let wrong = |what: String| OidcError {
            name: config.name.clone(),
            what,
        };
        let parse = |key: &str, text: &str| {
            let url = Url::parse(text).map_err(|error| wrong(format!("{key}: {error}")))?;
            match url.scheme() {
                "https" => Ok(url),
                "http" if is_loopback(&url) => Ok(url),
                _ => Err(wrong(format!("{key}: it must begin with https://"))),
            }
        };
        let issuer = parse("issuer", &config.issuer)?;
        parse("public_url", &config.public_url)?;
        let redirect = format!("{}{CALLBACK}", config.public_url.trim_end_matches('/'));
        let redirect = RedirectUrl::new(redirect).map_err(|error| wrong(format!("public_url: {error}")))?;
        let http = Http::new(issuer.scheme() == "http", config.authority.as_deref()).map_err(wrong)?;
        Ok(Self {
            // As it is written: tokens name it so, to the last slash.
            issuer: IssuerUrl::new(config.issuer.clone())
                .map_err(|error| wrong(format!("issuer: {error}")))?,
            redirect,
            http,
            documents: Mutex::new(None),
            begun: moka::sync::Cache::builder()
                .max_capacity(UNDER_WAY)
                .time_to_live(SIGN_IN)
                .build(),
            config,
        })
    }

    fn name(&self) -> String {
        self.config.name.clone()
    }

    fn untrusted(&self, kind: &'static str) -> Refusal {
        tracing::warn!(kind, "an OpenID provider's token was refused");
        Refusal::Untrusted(self.name())
    }

    /// `error` is of the way to the provider, where that is what failed.
    fn unreachable(&self, kind: &'static str, error: Option<&(dyn std::error::Error + 'static)>) -> Refusal {
        tracing::warn!(kind, error, "an OpenID provider cannot be asked");
        Refusal::Unreachable(self.name())
    }

    /// What the provider says of itself, not older than `age`.
    async fn metadata(&self, age: Duration) -> Result<CoreProviderMetadata, Refusal> {
        let mut documents = self.documents.lock().await;
        if let Some(known) = documents.as_ref().filter(|known| known.since.elapsed() < age) {
            return Ok(known.metadata.clone());
        }
        let found = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http).await;
        let metadata = found.map_err(|error: DiscoveryError<HttpError>| {
            let kind = kinds::of_documents(&error);
            match &error {
                DiscoveryError::Request(way) => self.unreachable(kind, Some(way)),
                _ => self.unreachable(kind, None),
            }
        })?;
        *documents = Some(Documents {
            metadata: metadata.clone(),
            since: Instant::now(),
        });
        Ok(metadata)
    }

    fn client(&self, metadata: CoreProviderMetadata) -> Client {
        let takes_basic = metadata
            .token_endpoint_auth_methods_supported()
            .is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(
            metadata,
            ClientId::new(self.config.client_id.clone()),
            secret,
        )
        .set_redirect_uri(self.redirect.clone());
        match takes_basic {
            true => client,
            false => client.set_auth_type(AuthType::RequestBody),
        }
    }

    /// Begins a sign-in; where the browser is to go.
    pub(super) async fn begin(
        &self,
        entropy: &dyn Entropy,
        browser: TokenHash,
        to: &str,
        account: Option<AccountId>,
    ) -> Result<String, Refusal> {
        let client = self.client(self.metadata(BELIEVED).await?);
        let [state, nonce, verifier] = [(); 3].map(|()| tokens::new_token(entropy));
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.clone()));
        let (csrf, expected) = (CsrfToken::new(state.clone()), Nonce::new(nonce.clone()));
        let (url, _, _) = client
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                move || csrf,
                move || expected,
            )
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let begun = Begun {
            browser,
            to: to.to_owned(),
            account,
            nonce,
            verifier,
        };
        if let Some(hash) = tokens::hash(&state) {
            self.begun.insert(hash, begun);
        }
        Ok(url.to_string())
    }

    /// Takes away what was begun under a state: it is answered once.
    pub(super) fn take(&self, state: &str) -> Option<Begun> {
        self.begun.remove(&tokens::hash(state)?)
    }

    /// Trades a code for who somebody is.
    pub(super) async fn redeem(
        &self,
        runtime: &Runtime,
        begun: &Begun,
        code: String,
    ) -> Result<Claims, Refusal> {
        let client = self.client(self.metadata(BELIEVED).await?);
        let exchange = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|_unset| self.untrusted("its document names no address for codes"))?
            .set_pkce_verifier(PkceCodeVerifier::new(begun.verifier.clone()));
        let answer = match exchange.request_async(&self.http).await {
            Ok(answer) => answer,
            Err(RequestTokenError::ServerResponse(_)) => return Err(Refusal::Denied(self.name())),
            Err(error) => {
                let kind = kinds::of_trade(&error);
                return Err(match &error {
                    RequestTokenError::Request(way) => self.unreachable(kind, Some(way)),
                    _ => self.untrusted(kind),
                });
            }
        };
        let token = answer.id_token().ok_or_else(|| Refusal::Untrusted(self.name()))?;
        let nonce = Nonce::new(begun.nonce.clone());
        let claims = match verified(&client, runtime, token, &nonce) {
            Err(ClaimsVerificationError::SignatureVerification(
                SignatureVerificationError::NoMatchingKey,
            )) => {
                let fresh = self.client(self.metadata(ASKED_AGAIN).await?);
                verified(&fresh, runtime, token, &nonce)
            }
            found => found,
        };
        let claims = claims.map_err(|error| self.untrusted(kinds::of_claims(&error)))?;
        let mut found = Claims {
            issuer: claims.issuer().as_str().to_owned(),
            subject: claims.subject().as_str().to_owned(),
            verified_email: claims
                .email()
                .filter(|_| claims.email_verified() == Some(true))
                .map(|email| email.as_str().to_owned()),
        };
        if claims.email().is_none()
            && let Ok(request) =
                client.user_info(answer.access_token().clone(), Some(claims.subject().clone()))
        {
            // Many providers tell the address there alone.
            let told: Result<CoreUserInfoClaims, _> = request.request_async(&self.http).await;
            let told = told.map_err(|error| self.untrusted(kinds::of_user(&error)))?;
            found.verified_email = told
                .email()
                .filter(|_| told.email_verified() == Some(true))
                .map(|email| email.as_str().to_owned());
        }
        Ok(found)
    }
}

/// What a token says that is signed by the provider, for this server, for this sign-in, and not over.
fn verified(
    client: &Client,
    runtime: &Runtime,
    token: &CoreIdToken,
    nonce: &Nonce,
) -> Result<CoreIdTokenClaims, ClaimsVerificationError> {
    let now = DateTime::<Utc>::from_timestamp_millis(runtime.clock.now().as_millis()).unwrap_or_default();
    let verifier = client.id_token_verifier().set_time_fn(move || now);
    token.claims(&verifier, nonce).cloned()
}
