//! What a provider says is neither shown nor logged: it may hold anything.

use axum::http::StatusCode;
use cairn_server::SignUp;
use serde_json::json;

use super::provider::{Provider, Says, location};
use super::{START, end_of, sign_in, world};
use crate::browser::{Browser, between, text};
use crate::log::Log;

/// Stands in whatever the provider says.
const MARK: &str = "mark9d02";

/// What it may say in place of tokens.
fn answers() -> Vec<(StatusCode, serde_json::Value)> {
    let refusal = json!({ "error": MARK, "error_description": MARK, "error_uri": MARK });
    let token = |id_token: &str| json!({ "access_token": MARK, "token_type": MARK, "id_token": id_token });
    vec![
        (StatusCode::BAD_REQUEST, refusal.clone()),
        (StatusCode::INTERNAL_SERVER_ERROR, refusal),
        (StatusCode::BAD_REQUEST, json!(MARK)),
        (StatusCode::BAD_REQUEST, json!({ "error": [MARK] })),
        (StatusCode::OK, json!(MARK)),
        (StatusCode::OK, json!({ MARK: MARK })),
        (StatusCode::OK, token(MARK)),
        (StatusCode::OK, token("mark9d02.mark9d02.mark9d02")),
        (
            StatusCode::OK,
            json!({ "access_token": MARK, "token_type": "Bearer", "expires_in": MARK }),
        ),
    ]
}

/// What its tokens may say.
fn tokens() -> Vec<Says> {
    let mut all = vec![Says::ada(); 8];
    all[0].issuer = Some("https://mark9d02.example");
    all[1].audience = MARK;
    all[2].nonce = Some(MARK);
    (all[3].key_id, all[3].by_stranger) = (MARK, true);
    all[4].algorithm = MARK;
    (all[5].subject, all[5].lifetime_seconds) = (MARK, -1);
    (all[6].is_told_later, all[6].told_subject) = (true, Some(MARK));
    // An address that is none.
    all[7].email = Some(MARK);
    all
}

async fn assert_refused(browser: &Browser<'_>, provider: &Provider, says: Says, what: usize) {
    let (status, page) = sign_in(browser, provider, says).await;
    assert!(status >= 400, "{what}: {status}");
    assert!(!page.to_lowercase().contains(MARK), "{what}: {page}");
}

#[tokio::test]
async fn what_a_provider_says_is_neither_shown_nor_logged() {
    let log = Log::listen();
    let (world, provider) = world(SignUp::Open, true).await;
    let browser = Browser::new(&world);
    let answered = answers().into_iter().map(|answer| Says {
        instead: Some(answer),
        ..Says::ada()
    });
    for (what, says) in answered.chain(tokens()).enumerate() {
        assert_refused(&browser, &provider, says, what).await;
        log.lacks(MARK);
    }
    // What comes along with the browser.
    let to = location(&browser.get(START).await);
    let state = between(&format!("{to}&"), "state=", "&");
    let denied = format!("/oidc/callback?state={state}&error={MARK}&error_description={MARK}");
    let (status, page) = end_of(&browser, &denied).await;
    assert!(status == 403 && !page.contains(MARK), "{page}");
    log.lacks(MARK);
    assert!(log.text().contains("an OpenID provider's token was refused"));
}

#[tokio::test]
async fn what_a_provider_says_of_itself_is_neither_shown_nor_logged() {
    let log = Log::listen();
    let changes = [
        ("", json!(MARK)),
        ("issuer", json!("https://mark9d02.example")),
        ("issuer", json!(MARK)),
        ("jwks_uri", json!("http://mark9d02.example/")),
        ("token_endpoint", json!([MARK])),
        ("response_types_supported", json!(MARK)),
    ];
    for (key, value) in changes {
        for status in [StatusCode::OK, StatusCode::INTERNAL_SERVER_ERROR] {
            // Each is asked for the first time.
            let (world, provider) = world(SignUp::Open, true).await;
            let mut document = provider.document();
            match key {
                "" => document = value.clone(),
                key => document[key] = value.clone(),
            }
            provider.pretend(status, document);
            let raw = Browser::new(&world).get(START).await;
            let page = text(&raw).to_lowercase();
            assert!(
                raw.status.as_u16() >= 400 && !page.contains(MARK),
                "{key}: {page}"
            );
            log.lacks(MARK);
        }
    }
    assert!(log.text().contains("an OpenID provider cannot be asked"));
}
