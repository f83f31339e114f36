//! Signing in by an OpenID provider, which may say anything.

mod provider;
mod words;

use std::time::Duration;

use cairn_api::error::ErrorCode;
use cairn_core::limits;
use cairn_server::service::accounts::set_disabled;
use cairn_server::{ServerConfig, SignUp};

use crate::browser::{Browser, MAESTRAL, between, code_of, pkce, text};
use crate::hashing::{Hashing, occupied};
use crate::second_factor::turn_on;
use crate::support::{PASSWORD, World, assert_refused, login, soon};
use provider::{Provider, Says, location};

const ADA: &str = "ada@example.org";
const ACCOUNT: &str = "/account";
const START: &str = "/oidc/start?to=%2Faccount";

async fn world(sign_up: SignUp, by_email: bool) -> (World, Provider) {
    let world = World::with(ServerConfig {
        sign_up,
        ..ServerConfig::default()
    });
    let provider = beside(&world, by_email).await;
    (world, provider)
}

/// A provider that people of this world may sign in by.
async fn beside(world: &World, by_email: bool) -> Provider {
    let provider = Provider::start(world).await;
    world.server.use_oidc(provider.config(by_email)).unwrap();
    provider
}

/// Something wrong that the provider says.
type Lie = fn(&mut Says);

/// Goes to the provider and back; what the page says that one ends at.
async fn sign_in(browser: &Browser<'_>, provider: &Provider, says: Says) -> (u16, String) {
    let callback = provider.answer(&location(&browser.get(START).await), says);
    end_of(browser, &callback).await
}

async fn end_of(browser: &Browser<'_>, callback: &str) -> (u16, String) {
    let back = browser.get(callback).await;
    if back.status != 303 {
        return (back.status.as_u16(), text(&back));
    }
    let page = browser.get(&location(&back)).await;
    (303, text(&page))
}

async fn account_count(world: &World) -> usize {
    world.metadata.accounts(None, 99).await.unwrap().len()
}

#[tokio::test]
async fn the_first_sign_in_makes_an_account_and_the_next_finds_it() {
    let (world, provider) = world(SignUp::Open, false).await;
    let browser = Browser::new(&world);
    let page = text(&browser.get(ACCOUNT).await);
    assert!(
        page.contains("<a href=\"/oidc/start?to=%2Faccount\">Sign in with Example &amp; Sons</a>"),
        "{page}"
    );
    let (status, page) = sign_in(&browser, &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("You are signed in as ada@example.org")),
        (303, true),
        "{page}"
    );
    // It is the subject that counts, whatever address it has by now.
    let renamed = Says {
        email: Some("ada@elsewhere.example"),
        ..Says::ada()
    };
    let (_, page) = sign_in(&Browser::new(&world), &provider, renamed).await;
    assert!(page.contains("You are signed in as ada@example.org"), "{page}");
    assert_eq!(account_count(&world).await, 1);
    let account = world.metadata.accounts(None, 1).await.unwrap().remove(0);
    let log = world.metadata.audit(Some(account.id), None, 9).await.unwrap();
    let mut events: Vec<_> = log.into_iter().map(|entry| entry.event).collect();
    events.sort();
    assert_eq!(events, ["joined", "sign-in", "sign-in"]);
    set_disabled(world.metadata.as_ref(), ADA, true).await.unwrap();
    let (status, page) = sign_in(&Browser::new(&world), &provider, Says::ada()).await;
    assert_eq!((status, page.contains("locked")), (403, true), "{page}");
}

#[tokio::test]
async fn an_app_is_allowed_by_who_signs_in_elsewhere() {
    let (world, provider) = world(SignUp::Open, false).await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[("state", "a b&c")]);
    let page = text(&browser.get(&uri).await);
    let start = between(&page, "<p><a href=\"", "\"").replace("&amp;", "&");
    let callback = provider.answer(&location(&browser.get(&start).await), Says::ada());
    let back = browser.get(&callback).await;
    assert_eq!(location(&back), uri);
    code_of(&browser.press(&uri, "allow", &[]).await);
}

#[tokio::test]
async fn nobody_gets_in_by_what_is_not_for_this_sign_in() {
    let (world, provider) = world(SignUp::Open, false).await;
    let lies: [(&str, Lie); 10] = [
        ("a nonce of another sign-in", |says| says.nonce = Some("another")),
        ("no nonce", |says| says.has_nonce = false),
        ("a token for another server", |says| {
            says.audience = "another-server"
        }),
        ("another issuer", |says| {
            says.issuer = Some("https://evil.example")
        }),
        ("a token that is over", |says| says.lifetime_seconds = -1),
        ("another key of the same name", |says| says.by_stranger = true),
        ("a key that nobody knows", |says| {
            (says.by_stranger, says.key_id) = (true, "unknown");
        }),
        ("no signature", |says| says.algorithm = "none"),
        ("a signature of another kind", |says| says.algorithm = "HS256"),
        ("an answer without end", |says| says.is_long = true),
    ];
    for (what, lie) in lies {
        let browser = Browser::new(&world);
        let mut says = Says::ada();
        lie(&mut says);
        let (status, page) = sign_in(&browser, &provider, says).await;
        let is_told = page.contains("cannot be trusted") || page.contains("cannot be asked now");
        assert!(status != 303 && is_told, "{what}: {status} {page}");
        assert!(
            text(&browser.get(ACCOUNT).await).contains("Sign in to see"),
            "{what}"
        );
    }
    assert_eq!(account_count(&world).await, 0);
}

#[tokio::test]
async fn a_sign_in_is_finished_once_in_the_browser_that_began_it() {
    let (world, provider) = world(SignUp::Open, false).await;
    let (ada, eve) = (Browser::new(&world), Browser::new(&world));
    let callback = provider.answer(&location(&ada.get(START).await), Says::ada());
    eve.get(ACCOUNT).await;
    // Somebody else's browser uses it up, and gets nothing.
    for browser in [&eve, &ada] {
        let (status, page) = end_of(browser, &callback).await;
        assert_eq!(
            (status, page.contains("was not begun in this browser")),
            (403, true),
            "{page}"
        );
    }
    let fresh = provider.answer(&location(&ada.get(START).await), Says::ada());
    let other_state = fresh.replace("state=cairn_", "state=cairn_0");
    for wrong in [
        other_state.as_str(),
        "/oidc/callback?code=x",
        "/oidc/callback",
        "/oidc/callback?state=a&state=b",
    ] {
        assert_eq!(end_of(&ada, wrong).await.0, 403, "{wrong}");
    }
    assert_eq!(end_of(&ada, &fresh).await.0, 303);
    assert_eq!(end_of(&ada, &fresh).await.0, 403, "once");
    let denied = location(&ada.get(START).await);
    let state = between(&format!("{denied}&"), "state=", "&");
    let (status, page) = end_of(&ada, &format!("/oidc/callback?error=access_denied&state={state}")).await;
    assert_eq!(
        (status, page.contains("Example &amp; Sons did not sign you in.")),
        (403, true),
        "{page}"
    );
    let elsewhere = ada.get("/oidc/start?to=https%3A%2F%2Fevil.example").await;
    assert_eq!(elsewhere.status, 400);
}

#[tokio::test]
async fn an_account_is_found_by_a_verified_address_where_that_is_configured() {
    let (world, provider) = world(SignUp::Invited, true).await;
    world.account(ADA).await;
    let unverified = Says {
        is_verified: Some(false),
        ..Says::ada()
    };
    let silent = Says {
        is_verified: None,
        ..Says::ada()
    };
    let without = Says {
        email: None,
        ..Says::ada()
    };
    for says in [unverified, silent, without] {
        let (status, page) = sign_in(&Browser::new(&world), &provider, says).await;
        assert_eq!(
            (
                status,
                page.contains("does not say that an e-mail address is yours")
            ),
            (403, true),
            "{page}"
        );
    }
    let eve = Says {
        subject: "eve",
        email: Some("eve@example.org"),
        ..Says::ada()
    };
    let (status, page) = sign_in(&Browser::new(&world), &provider, eve).await;
    assert_eq!((status, page.contains("by invitation")), (403, true), "{page}");
    let (status, page) = sign_in(&Browser::new(&world), &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("signed in as ada@example.org")),
        (303, true),
        "{page}"
    );
    // From now on without it.
    let (status, _) = sign_in(
        &Browser::new(&world),
        &provider,
        Says {
            email: None,
            ..Says::ada()
        },
    )
    .await;
    assert_eq!(status, 303);
}

#[tokio::test]
async fn an_address_may_be_told_with_the_user_alone() {
    let (world, provider) = world(SignUp::Open, false).await;
    let says = Says {
        is_told_later: true,
        ..Says::ada()
    };
    let (status, page) = sign_in(&Browser::new(&world), &provider, says).await;
    assert_eq!(
        (status, page.contains("signed in as ada@example.org")),
        (303, true),
        "{page}"
    );
    let other = Says {
        is_told_later: true,
        told_subject: Some("eve"),
        subject: "bob",
        ..Says::ada()
    };
    let (status, page) = sign_in(&Browser::new(&world), &provider, other).await;
    assert_eq!(
        (status, page.contains("cannot be trusted")),
        (403, true),
        "of somebody else: {page}"
    );
}

#[tokio::test]
async fn an_account_is_connected_by_its_owner() {
    let (world, provider) = world(SignUp::Open, false).await;
    world.account(ADA).await;
    let (status, page) = sign_in(&Browser::new(&world), &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("Sign in with its password")),
        (403, true),
        "{page}"
    );
    let browser = Browser::new(&world);
    browser.sign_in(ACCOUNT, ADA).await;
    let page = text(&browser.press(ACCOUNT, "connect", &[]).await);
    let to = between(&page, "<p><a href=\"", "\"").replace("&amp;", "&");
    assert_eq!(end_of(&browser, &provider.answer(&to, Says::ada())).await.0, 303);
    let (status, page) = sign_in(&Browser::new(&world), &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("signed in as ada@example.org")),
        (303, true),
        "{page}"
    );
    // Another account cannot have it as well.
    world.account("eve@example.org").await;
    let eve = Browser::new(&world);
    eve.sign_in(ACCOUNT, "eve@example.org").await;
    let page = text(&eve.press(ACCOUNT, "connect", &[]).await);
    let to = between(&page, "<p><a href=\"", "\"").replace("&amp;", "&");
    let (status, page) = end_of(&eve, &provider.answer(&to, Says::ada())).await;
    assert_eq!(
        (status, page.contains("is connected with your account")),
        (403, true),
        "{page}"
    );
}

#[tokio::test]
async fn an_account_is_disconnected_by_its_owner_who_has_a_password() {
    let (world, provider) = world(SignUp::Open, false).await;
    let browser = Browser::new(&world);
    sign_in(&browser, &provider, Says::ada()).await;
    let refused = browser.press(ACCOUNT, "disconnect", &[]).await;
    assert_eq!(refused.status, 409);
    assert!(text(&refused).contains("Set a password first"));
    assert_eq!(
        sign_in(&Browser::new(&world), &provider, Says::ada()).await.0,
        303
    );

    let password = [("password", "correct horse")];
    browser.press(ACCOUNT, "password", &password).await;
    let elsewhere = Browser::new(&world);
    sign_in(&elsewhere, &provider, Says::ada()).await;
    // Somebody else's page has no token of this browser.
    let fields = [("form_token", "0000"), ("action", "disconnect")];
    let forged = browser.post(ACCOUNT, &fields).await;
    assert_eq!(forged.status, 403);
    assert!(text(&elsewhere.get(ACCOUNT).await).contains("is connected with yours at"));
    assert_eq!(browser.press(ACCOUNT, "disconnect", &[]).await.status, 303);
    let page = text(&browser.get(ACCOUNT).await);
    assert!(page.contains("You are signed in") && !page.contains("is connected with yours"));
    assert!(!text(&elsewhere.get(ACCOUNT).await).contains("You are signed in"));
    let (status, page) = sign_in(&Browser::new(&world), &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("Sign in with its password")),
        (403, true),
        "{page}"
    );
    let email = cairn_metadata::Email::new(ADA).unwrap();
    let ada = world.metadata.account_by_email(&email).await.unwrap();
    let ada = ada.unwrap().id;
    let entries = world.metadata.audit(Some(ada), None, 100).await.unwrap();
    let count = entries
        .iter()
        .filter(|entry| entry.event == "identity-unlinked")
        .count();
    assert_eq!(count, 1);
}

#[tokio::test]
async fn an_account_without_a_password_chooses_one() {
    let (world, provider) = world(SignUp::Open, false).await;
    let browser = Browser::new(&world);
    sign_in(&browser, &provider, Says::ada()).await;
    for password in ["", "correct horse"] {
        let refused = world.post("/sync/1/login", None, &login(ADA, password)).await;
        assert_eq!(refused.status, 401, "there is none yet");
    }
    let short = browser.press(ACCOUNT, "password", &[("password", "short")]).await;
    assert_eq!(short.status, 400);
    let set = browser
        .press(ACCOUNT, "password", &[("password", "correct horse")])
        .await;
    assert_eq!(set.status, 303);
    assert!(text(&browser.get(ACCOUNT).await).contains("You are signed in"));
    let linked = world
        .post("/sync/1/login", None, &login(ADA, "correct horse"))
        .await;
    assert_eq!(linked.status, 200);
    let again = browser
        .press(ACCOUNT, "password", &[("password", "another horse")])
        .await;
    assert_eq!(again.status, 400, "one is changed with the old one, or by a link");
    assert!("correct horse".len() <= limits::PASSWORD_BYTES);
}

#[tokio::test]
async fn a_provider_may_change_its_keys_and_be_away() {
    let (world, provider) = world(SignUp::Open, false).await;
    assert_eq!(
        sign_in(&Browser::new(&world), &provider, Says::ada()).await.0,
        303
    );
    provider.change_key("second");
    let with_new = || Says {
        key_id: "second",
        ..Says::ada()
    };
    let (status, _) = sign_in(&Browser::new(&world), &provider, with_new()).await;
    assert_eq!(status, 403, "its documents were read a moment ago");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(sign_in(&Browser::new(&world), &provider, with_new()).await.0, 303);
    let begun = Browser::new(&world);
    let callback = provider.answer(&location(&begun.get(START).await), Says::ada());
    provider.stop().await;
    let (status, page) = end_of(&begun, &callback).await;
    assert_eq!(
        (status, page.contains("cannot be asked now")),
        (502, true),
        "{page}"
    );
}

#[tokio::test]
async fn nobody_is_sent_elsewhere_where_no_provider_is_configured() {
    let world = World::new();
    let browser = Browser::new(&world);
    assert!(!text(&browser.get(ACCOUNT).await).contains("/oidc/"));
    for path in [START, "/oidc/callback?code=x&state=y"] {
        assert_eq!(browser.get(path).await.status, 404);
    }
    let provider = Provider::start(&world).await;
    for (issuer, public_url) in [
        ("http://provider.example", "https://cairn.example"),
        ("https://provider.example", "http://cairn.example"),
        ("provider.example", "https://cairn.example"),
    ] {
        let mut config = provider.config(false);
        (config.issuer, config.public_url) = (issuer.to_owned(), public_url.to_owned());
        assert!(world.server.use_oidc(config).is_err(), "{issuer} {public_url}");
    }
}

#[tokio::test]
async fn the_second_factor_of_cairn_is_not_asked_for_after_it() {
    let (world, provider) = world(SignUp::Invited, true).await;
    let device = world.device(ADA).await;
    turn_on(&world, &device).await;
    let browser = Browser::new(&world);
    let (status, page) = sign_in(&browser, &provider, Says::ada()).await;
    assert_eq!(
        (status, page.contains("signed in as ada@example.org")),
        (303, true),
        "{page}"
    );
    assert!(!page.contains("name=\"code\""), "{page}");
    let uri = pkce(MAESTRAL, &[]);
    code_of(&browser.press(&uri, "allow", &[]).await);
    // With the password it is asked for as ever.
    let raw = world.post("/sync/1/login", None, &login(ADA, PASSWORD)).await;
    assert_refused(&raw, ErrorCode::SecondFactorNeeded);
}

#[tokio::test]
async fn a_first_password_waits_for_its_turn_to_be_hashed() {
    let (world, hashing) = Hashing::world(SignUp::Open);
    let provider = beside(&world, false).await;
    let browser = Browser::new(&world);
    sign_in(&browser, &provider, Says::ada()).await;
    tokio::time::pause();
    let waiting = occupied(&world, &hashing).await;
    let chosen = soon(browser.press(ACCOUNT, "password", &[("password", PASSWORD)])).await;
    assert_eq!((chosen.status.as_u16(), hashing.most()), (503, 2));
    drop(waiting);
}
