//! What people see who are asked whether an app may.

use std::time::Duration;

use cairn_server::service::accounts::apps::{NewApp, register_app};
use cairn_server::service::accounts::{set_disabled, set_password};
use cairn_server::{LoginLimits, ServerConfig};

use crate::browser::{
    AUTHORIZE, Browser, CHALLENGE, MAESTRAL, RCLONE, VERIFIER, code_of, encoded, pkce, text,
};
use crate::support::{PASSWORD, Raw, World};

const ADA: &str = "ada@example.org";

async fn world() -> World {
    let world = World::new();
    world.account(ADA).await;
    world
}

#[track_caller]
fn header<'r>(raw: &'r Raw, name: &str) -> &'r str {
    raw.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn an_app_without_an_address_gets_its_code_shown() {
    let world = world().await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[("token_access_type", "offline"), ("state", "s")]);
    let page = browser.get(&uri).await;
    assert_eq!(
        (page.status.as_u16(), text(&page).contains("Maestral")),
        (200, true)
    );
    browser.sign_in(&uri, ADA).await;
    let page = text(&browser.get(&uri).await);
    assert!(page.contains("Allow Maestral?") && page.contains(ADA) && page.contains("read your files"));
    let code = code_of(&browser.press(&uri, "allow", &[]).await);
    let linked = world
        .redeem(MAESTRAL, &code, &[("code_verifier", VERIFIER)])
        .await;
    assert_eq!(linked.get("token_type"), "bearer");
}

#[tokio::test]
async fn a_code_is_sent_to_this_machine_with_the_state() {
    let world = world().await;
    let browser = Browser::new(&world);
    let back = "http://127.0.0.1:4567/done?x=1";
    let uri = pkce("some-app", &[("redirect_uri", back), ("state", "a b&c=d")]);
    browser.sign_in(&uri, ADA).await;
    let raw = browser.press(&uri, "allow", &[]).await;
    assert_eq!(raw.status, 303);
    let location = header(&raw, "location");
    assert!(
        location.starts_with("http://127.0.0.1:4567/done?x=1&code=cairn_"),
        "{location}"
    );
    assert!(location.ends_with("&state=a+b%26c%3Dd"), "{location}");
    let page = browser.get(&uri).await;
    assert!(
        header(&page, "content-security-policy").ends_with("form-action 'self' http://127.0.0.1:4567"),
        "a browser follows a form to nothing else"
    );
    let denied = browser.press(&uri, "deny", &[]).await;
    assert!(header(&denied, "location").contains("?x=1&error=access_denied"));
}

#[tokio::test]
async fn rclone_needs_no_pkce_on_this_machine_alone() {
    let world = world().await;
    let ask = |back: &str| {
        let fields = encoded(&[
            ("response_type", "code"),
            ("client_id", RCLONE),
            ("redirect_uri", back),
        ]);
        format!("/1/oauth2/authorize?{fields}")
    };
    let browser = Browser::new(&world);
    let uri = ask("http://localhost:53682/");
    let code = browser.allow(&uri, ADA).await;
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", "http://localhost:53682/"),
    ];
    let linked = world.token_by_basic((RCLONE, "whatever"), &fields).await;
    assert_eq!(linked.raw.status, 200, "{}", linked.json);
    let raw = browser.get(&ask("https://rclone.example/")).await;
    assert_eq!(raw.status, 400);
}

/// Nothing that can be trusted says where to: the browser stays here.
#[tokio::test]
async fn nobody_is_sent_to_an_address_that_is_not_registered() {
    let world = world().await;
    let new = NewApp {
        name: "Backup".to_owned(),
        redirect_uris: vec!["https://backup.example/done".to_owned()],
        folder: None,
    };
    let (app, _) = register_app(world.metadata.as_ref(), &world.runtime, new)
        .await
        .unwrap();
    let browser = Browser::new(&world);
    browser.sign_in(&pkce(MAESTRAL, &[]), ADA).await;
    for (client, back) in [
        ("some-app", "https://evil.example/"),
        ("some-app", "http://localhost.evil.example/"),
        ("some-app", "http://localhost@evil.example/"),
        (app.key.as_str(), "https://backup.example/done/"),
        (app.key.as_str(), "https://backup.example/done?x=1"),
        (app.key.as_str(), "https://evil.example/done"),
        (app.key.as_str(), "http://localhost:1/"),
    ] {
        for uri in [
            pkce(client, &[("redirect_uri", back)]),
            pkce(client, &[("redirect_uri", back), ("scope", "everything")]),
        ] {
            let raw = browser.get(&uri).await;
            assert_eq!(raw.status, 400, "{back}");
            assert!(!raw.headers.contains_key("location"));
            let raw = browser.post(&uri, &[("action", "allow")]).await;
            assert_eq!(raw.status, 400, "{back}");
        }
    }
    let good = pkce(
        app.key.as_str(),
        &[("redirect_uri", "https://backup.example/done")],
    );
    assert_eq!(browser.get(&good).await.status, 200);
}

#[tokio::test]
async fn an_app_is_told_what_is_wrong_with_its_request() {
    let world = world().await;
    let browser = Browser::new(&world);
    let back = ("redirect_uri", "http://localhost:1/");
    let base = [("client_id", "some-app"), back, ("state", "s")];
    let challenge = ("code_challenge", CHALLENGE);
    let code = ("response_type", "code");
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[challenge], "invalid_request"),
        (
            &[("response_type", "token"), challenge],
            "unsupported_response_type",
        ),
        (&[code], "invalid_request"),
        (&[code, ("code_challenge", "short")], "invalid_request"),
        (
            &[code, challenge, ("code_challenge_method", "S512")],
            "invalid_request",
        ),
        (&[code, ("code_challenge_method", "S256")], "invalid_request"),
        (&[code, challenge, ("scope", "everything")], "invalid_scope"),
        (
            &[code, challenge, ("scope", "files.content.read sync")],
            "invalid_scope",
        ),
        (
            &[code, challenge, ("token_access_type", "for-ever")],
            "invalid_request",
        ),
    ];
    for (fields, error) in cases {
        let fields = [&base[..], fields].concat();
        let raw = browser.get(&format!("{AUTHORIZE}?{}", encoded(&fields))).await;
        let location = header(&raw, "location");
        assert!(
            location.starts_with(&format!("http://localhost:1/?error={error}&")),
            "{location}"
        );
        assert!(location.ends_with("&state=s"), "{location}");
    }
    for query in [
        "",
        "client_id=a%20b",
        "client_id=a&client_id=b",
        "client_id=a&response_type=code",
    ] {
        let raw = browser.get(&format!("{AUTHORIZE}?{query}")).await;
        assert_eq!(raw.status, 400, "{query}");
    }
}

#[tokio::test]
async fn apps_that_are_not_registered_can_be_kept_out() {
    let world = World::with(ServerConfig {
        admit_unknown_apps: false,
        ..ServerConfig::default()
    });
    world.account(ADA).await;
    let browser = Browser::new(&world);
    assert_eq!(browser.get(&pkce(MAESTRAL, &[])).await.status, 400);
    let answer = world.redeem(MAESTRAL, "x", &[("code_verifier", VERIFIER)]).await;
    answer.refused(400, "invalid_client");
}

#[tokio::test]
async fn a_form_of_another_site_does_nothing() {
    let world = world().await;
    let uri = pkce(MAESTRAL, &[]);
    let browser = Browser::new(&world);
    browser.sign_in(&uri, ADA).await;
    for fields in [
        &[("action", "allow")][..],
        &[("action", "allow"), ("form_token", "x")],
    ] {
        let raw = browser.post(&uri, fields).await;
        assert_eq!(
            (raw.status.as_u16(), text(&raw).contains("id=\"auth-code\"")),
            (403, false)
        );
    }
    // Another browser's token is no use either.
    let other = Browser::new(&world);
    other.sign_in(&uri, ADA).await;
    let page = text(&other.get(&uri).await);
    let token = crate::browser::between(&page, "name=\"form_token\" value=\"", "\"");
    let raw = browser
        .post(&uri, &[("action", "allow"), ("form_token", &token)])
        .await;
    assert_eq!(raw.status, 403);
    let mut foreign = Browser::new(&world);
    foreign.keep(other.cookie());
    foreign.headers.push(("sec-fetch-site", "cross-site"));
    let raw = foreign.press(&uri, "allow", &[]).await;
    assert_eq!(
        (raw.status.as_u16(), text(&raw).contains("id=\"auth-code\"")),
        (403, false)
    );
}

#[tokio::test]
async fn the_cookie_is_for_this_server_alone() {
    let world = world().await;
    let uri = pkce(MAESTRAL, &[]);
    let plain = Browser::new(&world);
    let set = plain.get(&uri).await;
    let set = header(&set, "set-cookie").to_owned();
    assert!(
        set.starts_with("cairn-session=cairn_") && !set.contains("Secure"),
        "{set}"
    );
    for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Max-Age=3600"] {
        assert!(set.contains(part), "{set}");
    }
    // A proxy is believed where one is configured.
    let mut lied = Browser::new(&world);
    lied.headers.push(("x-forwarded-proto", "https"));
    assert!(!header(&lied.get(&uri).await, "set-cookie").contains("Secure"));
    let world = World::with(ServerConfig {
        allow_plain_http: true,
        ..ServerConfig::default()
    });
    world.account(ADA).await;
    let mut proxied = Browser::new(&world);
    proxied.headers.push(("x-forwarded-proto", "https"));
    let set = proxied.get(&uri).await;
    let set = header(&set, "set-cookie").to_owned();
    assert!(
        set.starts_with("__Host-cairn-session=cairn_") && set.ends_with("; Secure"),
        "{set}"
    );
    let before = proxied.cookie();
    proxied.sign_in(&uri, ADA).await;
    assert_ne!(
        before,
        proxied.cookie(),
        "who has set the cookie of before must not be signed in with it"
    );
}

#[tokio::test]
async fn a_browser_is_signed_in_for_an_hour() {
    let world = world().await;
    let uri = pkce(MAESTRAL, &[]);
    let browser = Browser::new(&world);
    let is_signed_in = async || text(&browser.get(&uri).await).contains("You are signed in as");
    browser.sign_in(&uri, ADA).await;
    world.clock.advance(Duration::from_secs(3_599));
    assert!(is_signed_in().await);
    world.clock.advance(Duration::from_secs(1));
    assert!(!is_signed_in().await);

    browser.sign_in(&uri, ADA).await;
    let metadata = world.metadata.as_ref();
    set_disabled(metadata, ADA, true).await.unwrap();
    assert!(!is_signed_in().await, "the account is locked");
    set_disabled(metadata, ADA, false).await.unwrap();
    assert!(is_signed_in().await);
    set_password(metadata, &world.runtime, ADA, "battery staple".into())
        .await
        .unwrap();
    assert!(!is_signed_in().await, "the password is another one");
    set_password(metadata, &world.runtime, ADA, PASSWORD.into())
        .await
        .unwrap();

    browser.sign_in(&uri, ADA).await;
    browser.press(&uri, "sign-out", &[]).await;
    assert!(!is_signed_in().await);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_counted() {
    let limits = LoginLimits {
        account_burst: 2,
        account_interval: Duration::from_secs(3_600),
        ..LoginLimits::default()
    };
    let world = World::with(ServerConfig {
        login: limits,
        ..ServerConfig::default()
    });
    world.account(ADA).await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[]);
    let attempt = async |email, password| {
        let fields = [("email", email), ("password", password)];
        browser.press(&uri, "sign-in", &fields).await
    };
    let wrong = text(&attempt(ADA, "wrong horse").await);
    let unknown = attempt("eve@example.org", PASSWORD).await;
    assert_eq!((unknown.status.as_u16(), text(&unknown)), (403, wrong));
    assert_eq!(attempt(ADA, "wrong horse").await.status, 403);
    let slowed = attempt(ADA, PASSWORD).await;
    assert_eq!(slowed.status, 429);
    assert!(slowed.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn pages_run_nothing_and_are_framed_by_nobody() {
    let world = world().await;
    let browser = Browser::new(&world);
    let uri = pkce(
        "some-app",
        &[("redirect_uri", "http://localhost:1/"), ("state", "\"><script>")],
    );
    let mut pages = vec![browser.get(&uri).await, browser.get(AUTHORIZE).await];
    browser.sign_in(&uri, ADA).await;
    pages.push(browser.get(&uri).await);
    let shown = pkce("some-app", &[]);
    pages.push(browser.press(&shown, "allow", &[]).await);
    for page in pages {
        let policy = header(&page, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"),
            "{policy}"
        );
        assert_eq!(header(&page, "x-frame-options"), "DENY");
        assert_eq!(header(&page, "x-content-type-options"), "nosniff");
        assert_eq!(header(&page, "cache-control"), "no-store");
        assert_eq!(header(&page, "referrer-policy"), "same-origin");
        assert!(!text(&page).contains("<script"), "{}", text(&page));
    }
}

#[tokio::test]
async fn consent_is_asked_for_each_time() {
    let world = world().await;
    let browser = Browser::new(&world);
    let back = [
        ("redirect_uri", "http://localhost:1/"),
        ("token_access_type", "offline"),
    ];
    for uri in [pkce(MAESTRAL, &[]), pkce("some-app", &back)] {
        for _ in 0..3 {
            let code = browser.allow(&uri, ADA).await;
            assert!(code.starts_with("cairn_"));
            // It was allowed just now, and is asked for all the same: nothing is given to who only looks.
            let raw = browser.get(&uri).await;
            let page = text(&raw);
            assert_eq!((raw.status.as_u16(), raw.headers.get("location")), (200, None));
            assert!(
                page.contains("value=\"allow\"") && !page.contains("cairn_"),
                "{page}"
            );
        }
    }
}
