//! A browser as the forms need one: it keeps a cookie, reads pages and sends forms.

use std::sync::Mutex;

use axum::body::Body;
use axum::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::support::{PASSWORD, Raw, World};

pub(crate) const AUTHORIZE: &str = "/oauth2/authorize";
pub(crate) const TOKEN: &str = "/oauth2/token";
/// The verifier and challenge of RFC 7636, appendix B.
pub(crate) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub(crate) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
pub(crate) const MAESTRAL: &str = "2jmbq42w7vof78h";
pub(crate) const RCLONE: &str = "5jcck7diasz0rqy";

pub(crate) fn encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(fields)
        .finish()
}

/// The address that an app with PKCE opens, with more fields.
pub(crate) fn pkce(client: &str, more: &[(&str, &str)]) -> String {
    let mut fields = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    fields.extend(more);
    format!("{AUTHORIZE}?{}", encoded(&fields))
}

pub(crate) struct Browser<'w> {
    world: &'w World,
    cookie: Mutex<Option<String>>,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl<'w> Browser<'w> {
    pub(crate) fn new(world: &'w World) -> Self {
        Self {
            world,
            cookie: Mutex::new(None),
            headers: Vec::new(),
        }
    }

    pub(crate) fn cookie(&self) -> Option<String> {
        self.cookie.lock().unwrap().clone()
    }

    pub(crate) fn keep(&self, cookie: Option<String>) {
        *self.cookie.lock().unwrap() = cookie;
    }

    async fn send(&self, method: &str, uri: &str, body: String) -> Raw {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in &self.headers {
            request = request.header(*name, *value);
        }
        if let Some(cookie) = self.cookie() {
            request = request.header("cookie", format!("other=1; {cookie}"));
        }
        let raw = self.world.send(request.body(Body::from(body)).unwrap()).await;
        if let Some(set) = raw.headers.get("set-cookie") {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            self.keep(Some(pair.to_owned()));
        }
        raw
    }

    pub(crate) async fn get(&self, uri: &str) -> Raw {
        self.send("GET", uri, String::new()).await
    }

    /// Sends fields as they are.
    pub(crate) async fn post(&self, uri: &str, fields: &[(&str, &str)]) -> Raw {
        self.send("POST", uri, encoded(fields)).await
    }

    /// Opens the page and presses a button of its form.
    pub(crate) async fn press(&self, uri: &str, action: &str, fields: &[(&str, &str)]) -> Raw {
        let page = text(&self.get(uri).await);
        let token = between(&page, "name=\"form_token\" value=\"", "\"");
        let mut all = vec![("form_token", token.as_str()), ("action", action)];
        all.extend(fields);
        self.post(uri, &all).await
    }

    pub(crate) async fn sign_in(&self, uri: &str, email: &str) {
        let raw = self
            .press(uri, "sign-in", &[("email", email), ("password", PASSWORD)])
            .await;
        assert_eq!(raw.status, 303, "{}", text(&raw));
        assert_eq!(raw.headers["location"], uri.replace("/1/", "/"));
    }

    /// Signs in, allows, and reads the code from the page or the address that it is sent to.
    pub(crate) async fn allow(&self, uri: &str, email: &str) -> String {
        if self.cookie().is_none() {
            self.sign_in(uri, email).await;
        }
        code_of(&self.press(uri, "allow", &[]).await)
    }
}

pub(crate) fn text(raw: &Raw) -> String {
    String::from_utf8(raw.body.to_vec()).unwrap()
}

pub(crate) fn between(text: &str, before: &str, after: &str) -> String {
    let rest = text
        .split(before)
        .nth(1)
        .unwrap_or_else(|| panic!("no {before} in {text}"));
    rest.split(after).next().unwrap().to_owned()
}

pub(crate) fn code_of(raw: &Raw) -> String {
    match raw.headers.get("location") {
        None => between(&text(raw), "id=\"auth-code\">", "<"),
        Some(location) => between(&format!("{}&", location.to_str().unwrap()), "code=", "&"),
    }
}

/// What the token endpoint answered.
pub(crate) struct Answered {
    pub(crate) raw: Raw,
    pub(crate) json: Value,
}

impl Answered {
    fn of(raw: Raw) -> Self {
        assert_eq!(raw.headers["content-type"], "application/json");
        assert_eq!(raw.headers["cache-control"], "no-store");
        let json = serde_json::from_slice(&raw.body).unwrap();
        Self { raw, json }
    }

    #[track_caller]
    pub(crate) fn get(&self, name: &str) -> &str {
        self.json[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}: {}", self.json))
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(
            (self.raw.status.as_u16(), self.get("error")),
            (status, code),
            "{}",
            self.json
        );
        assert!(self.json.get("access_token").is_none());
    }
}

impl World {
    /// Fields in the body.
    pub(crate) async fn token(&self, fields: &[(&str, &str)]) -> Answered {
        let request = Request::post(TOKEN).header("content-type", "application/x-www-form-urlencoded");
        Answered::of(self.send(request.body(encoded(fields).into()).unwrap()).await)
    }

    /// Fields in the query, as Dropbox's SDK for JavaScript sends them.
    pub(crate) async fn token_by_query(&self, fields: &[(&str, &str)]) -> Answered {
        let request = Request::post(format!("{TOKEN}?{}", encoded(fields)));
        let request = request.header("content-type", "application/json");
        Answered::of(self.send(request.body(Body::empty()).unwrap()).await)
    }

    /// Credentials by HTTP Basic, on the old path, as rclone sends them.
    pub(crate) async fn token_by_basic(&self, app: (&str, &str), fields: &[(&str, &str)]) -> Answered {
        let basic = STANDARD.encode(format!("{}:{}", app.0, app.1));
        let request = Request::post("/1/oauth2/token").header("authorization", format!("Basic {basic}"));
        Answered::of(self.send(request.body(encoded(fields).into()).unwrap()).await)
    }

    /// Trades a code of a public app.
    pub(crate) async fn redeem(&self, client: &str, code: &str, more: &[(&str, &str)]) -> Answered {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
        ];
        fields.extend(more);
        self.token(&fields).await
    }

    pub(crate) async fn refresh(&self, client: &str, token: &str, more: &[(&str, &str)]) -> Answered {
        let mut fields = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client),
            ("refresh_token", token),
        ];
        fields.extend(more);
        self.token(&fields).await
    }

    /// Links an app with PKCE that gets its code shown.
    pub(crate) async fn link_app(&self, email: &str, more: &[(&str, &str)]) -> Answered {
        let uri = pkce(MAESTRAL, more);
        let code = Browser::new(self).allow(&uri, email).await;
        let answer = self.redeem(MAESTRAL, &code, &[("code_verifier", VERIFIER)]).await;
        assert_eq!(answer.raw.status, 200, "{}", answer.json);
        answer
    }
}
