//! A provider in this process that says what a test wants it to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cairn_core::runtime::Clock;
use cairn_server::OidcConfig;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Raw, TestClock, World};

const CLIENT: &str = "cairn client";
const SECRET: &str = "a secret/with+signs";

/// What the provider says of who signs in.
#[derive(Clone)]
pub(super) struct Says {
    pub(super) subject: &'static str,
    pub(super) email: Option<&'static str>,
    pub(super) is_verified: Option<bool>,
    /// Whether the address comes with what is told of the user, and not in the token.
    pub(super) is_told_later: bool,
    pub(super) told_subject: Option<&'static str>,
    pub(super) has_nonce: bool,
    pub(super) nonce: Option<&'static str>,
    pub(super) audience: &'static str,
    pub(super) issuer: Option<&'static str>,
    pub(super) lifetime_seconds: i64,
    pub(super) algorithm: &'static str,
    pub(super) key_id: &'static str,
    pub(super) by_stranger: bool,
    pub(super) is_long: bool,
    /// What it answers to a code, in place of tokens.
    pub(super) instead: Option<(StatusCode, Value)>,
}

impl Says {
    pub(super) fn ada() -> Self {
        Self {
            subject: "subject 1",
            email: Some("Ada@Example.org"),
            is_verified: Some(true),
            is_told_later: false,
            told_subject: None,
            has_nonce: true,
            nonce: None,
            audience: CLIENT,
            issuer: None,
            lifetime_seconds: 300,
            algorithm: "ES256",
            key_id: "first",
            by_stranger: false,
            is_long: false,
            instead: None,
        }
    }

    fn address(&self) -> Value {
        let mut claims = json!({});
        if let Some(email) = self.email {
            claims["email"] = email.into();
        }
        if let Some(is_verified) = self.is_verified {
            claims["email_verified"] = is_verified.into();
        }
        claims
    }
}

/// A code that was given out.
struct Given {
    says: Says,
    nonce: String,
    challenge: String,
}

struct Inner {
    issuer: String,
    clock: Arc<TestClock>,
    key: Mutex<(&'static str, EcdsaKeyPair)>,
    stranger: EcdsaKeyPair,
    given: Mutex<HashMap<String, Given>>,
    last: Mutex<Option<Says>>,
    /// What it says of itself, in place of the truth.
    document: Mutex<Option<(StatusCode, Value)>>,
}

pub(super) struct Provider {
    inner: Arc<Inner>,
    stop: CancellationToken,
    serving: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

fn key_pair() -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref(), &random).unwrap()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Where an answer sends the browser.
#[track_caller]
pub(super) fn location(raw: &Raw) -> String {
    let to = raw.headers.get("location");
    let to = to.unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&raw.body)));
    to.to_str().unwrap().to_owned()
}

impl Provider {
    pub(super) async fn start(world: &World) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let inner = Arc::new(Inner {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            clock: Arc::clone(&world.clock),
            key: Mutex::new(("first", key_pair())),
            stranger: key_pair(),
            given: Mutex::default(),
            last: Mutex::default(),
            document: Mutex::default(),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .route("/me", get(me))
            .with_state(Arc::clone(&inner));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            let serving = axum::serve(listener, routes).with_graceful_shutdown(stopped);
            serving.await.unwrap();
        });
        Self {
            inner,
            stop,
            serving: Mutex::new(Some(serving)),
        }
    }

    pub(super) async fn stop(&self) {
        self.stop.cancel();
        let serving = self.serving.lock().unwrap().take();
        serving.unwrap().abort();
    }

    pub(super) fn config(&self, by_email: bool) -> OidcConfig {
        OidcConfig {
            name: "Example & Sons".to_owned(),
            issuer: self.inner.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: Some(SECRET.to_owned()),
            public_url: "https://cairn.example/".to_owned(),
            link_by_verified_email: by_email,
            authority: None,
        }
    }

    pub(super) fn change_key(&self, id: &'static str) {
        *self.inner.key.lock().unwrap() = (id, key_pair());
    }

    /// Says something else of itself from now on.
    pub(super) fn pretend(&self, status: StatusCode, document: Value) {
        *self.inner.document.lock().unwrap() = Some((status, document));
    }

    /// What it says of itself.
    pub(super) fn document(&self) -> Value {
        self.inner.document()
    }

    /// Checks where a browser was sent to, and signs somebody in; where it goes then.
    pub(super) fn answer(&self, to: &str, says: Says) -> String {
        let (address, query) = to.split_once('?').unwrap();
        assert_eq!(address, format!("{}/authorize", self.inner.issuer));
        let fields: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(fields["response_type"], "code");
        assert_eq!(fields["client_id"], CLIENT);
        assert_eq!(fields["redirect_uri"], "https://cairn.example/oidc/callback");
        assert_eq!(fields["code_challenge_method"], "S256");
        assert_eq!(fields["scope"], "openid email");
        let mut given = self.inner.given.lock().unwrap();
        let code = format!("code{}", given.len());
        given.insert(
            code.clone(),
            Given {
                says,
                nonce: fields["nonce"].clone(),
                challenge: fields["code_challenge"].clone(),
            },
        );
        format!("/oidc/callback?code={code}&state={}", fields["state"])
    }
}

fn answer(value: &Value) -> Response {
    ([("content-type", "application/json")], value.to_string()).into_response()
}

async fn document(Shared(inner): Shared<Arc<Inner>>) -> Response {
    match inner.document.lock().unwrap().clone() {
        Some((status, document)) => (status, answer(&document)).into_response(),
        None => answer(&inner.document()),
    }
}

async fn keys(Shared(inner): Shared<Arc<Inner>>) -> Response {
    let key = inner.key.lock().unwrap();
    let point = key.1.public_key().as_ref();
    answer(&json!({ "keys": [{
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": key.0,
        "x": encoded(&point[1..33]), "y": encoded(&point[33..]),
    }]}))
}

async fn token(Shared(inner): Shared<Arc<Inner>>, headers: HeaderMap, body: String) -> Response {
    let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = STANDARD.encode(format!("{}:{}", escaped(CLIENT), escaped(SECRET)));
    assert_eq!(headers["authorization"], format!("Basic {basic}"));
    let fields: HashMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let Some(given) = inner.given.lock().unwrap().remove(&fields["code"]) else {
        return (
            StatusCode::BAD_REQUEST,
            json!({ "error": "invalid_grant" }).to_string(),
        )
            .into_response();
    };
    let digest = ring::digest::digest(&ring::digest::SHA256, fields["code_verifier"].as_bytes());
    assert_eq!(encoded(digest), given.challenge);
    *inner.last.lock().unwrap() = Some(given.says.clone());
    if let Some((status, value)) = given.says.instead {
        return (status, answer(&value)).into_response();
    }
    let mut answer = json!({
        "access_token": "an access token",
        "token_type": "Bearer",
        "id_token": inner.id_token(&given),
    });
    if given.says.is_long {
        answer["more"] = "x".repeat(1 << 20).into();
    }
    self::answer(&answer)
}

async fn me(Shared(inner): Shared<Arc<Inner>>) -> Response {
    let says = inner.last.lock().unwrap().clone().unwrap();
    let mut claims = match says.is_told_later {
        true => says.address(),
        false => json!({}),
    };
    claims["sub"] = says.told_subject.unwrap_or(says.subject).into();
    answer(&claims)
}

impl Inner {
    fn document(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/me"),
            "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    }

    fn id_token(&self, given: &Given) -> String {
        let says = &given.says;
        let now = self.clock.now().as_millis() / 1_000;
        let mut claims = match says.is_told_later {
            true => json!({}),
            false => says.address(),
        };
        claims["iss"] = says.issuer.unwrap_or(&self.issuer).into();
        claims["aud"] = says.audience.into();
        claims["sub"] = says.subject.into();
        claims["iat"] = now.into();
        claims["exp"] = (now + says.lifetime_seconds).into();
        if says.has_nonce {
            claims["nonce"] = says.nonce.unwrap_or(&given.nonce).into();
        }
        let head = json!({ "alg": says.algorithm, "kid": says.key_id, "typ": "JWT" });
        let signed = format!("{}.{}", encoded(head.to_string()), encoded(claims.to_string()));
        let key = self.key.lock().unwrap();
        let key = if says.by_stranger { &self.stranger } else { &key.1 };
        let signature = match says.algorithm {
            "none" => Vec::new(),
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"another secret");
                ring::hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            _ => key
                .sign(&SystemRandom::new(), signed.as_bytes())
                .unwrap()
                .as_ref()
                .to_vec(),
        };
        format!("{signed}.{}", encoded(signature))
    }
}
