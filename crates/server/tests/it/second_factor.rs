//! A code of an authenticator besides the password.

use std::time::Duration;

use cairn_api::error::ErrorCode;
use cairn_api::sync::{Login, LoginReply, SecondFactor, SecondFactorReply, SecondFactorStep, Whoami, path};
use ring::hmac;

use crate::browser::{Browser, MAESTRAL, between, code_of, pkce, text};
use crate::support::{Device, PASSWORD, Raw, World, assert_refused, login};

const ADA: &str = "ada@example.org";

fn request(step: SecondFactorStep, password: &str, code: Option<&str>) -> SecondFactor {
    SecondFactor {
        step,
        password: password.to_owned(),
        code: code.map(str::to_owned),
    }
}

fn with_code(code: &str) -> Login {
    Login {
        code: Some(code.to_owned()),
        ..login(ADA, PASSWORD)
    }
}

/// An authenticator of its own making, as a phone has it.
pub(crate) fn code_now(world: &World, secret: &str) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = secret
        .bytes()
        .map(|byte| {
            format!(
                "{:05b}",
                letters.iter().position(|letter| *letter == byte).unwrap()
            )
        })
        .collect();
    let bytes: Vec<u8> = (0..bits.len() / 8)
        .map(|at| u8::from_str_radix(&bits[at * 8..at * 8 + 8], 2).unwrap())
        .collect();
    let step = world.runtime.clock.now().as_millis() / 30_000;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let digest = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(digest.as_ref()[19] & 15);
    let number = u32::from_be_bytes(digest.as_ref()[offset..offset + 4].try_into().unwrap());
    format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
}

async fn change(device: &Device<'_>, step: SecondFactorStep, password: &str, code: Option<&str>) -> Raw {
    device
        .post(path::SECOND_FACTOR, &request(step, password, code))
        .await
}

/// Turns it on; secret and recovery codes.
pub(crate) async fn turn_on(world: &World, device: &Device<'_>) -> (String, Vec<String>) {
    let begun: SecondFactorReply = change(device, SecondFactorStep::Begin, PASSWORD, None).await.ok();
    let secret = begun.secret.unwrap();
    assert!(!begun.is_active && begun.uri.unwrap().contains(&format!("secret={secret}")));
    let code = code_now(world, &secret);
    let on: SecondFactorReply = change(device, SecondFactorStep::Confirm, "", Some(&code))
        .await
        .ok();
    assert_eq!((on.is_active, on.recovery_codes.len()), (true, 10));
    world.clock.advance(Duration::from_secs(60));
    (secret, on.recovery_codes)
}

#[tokio::test]
async fn a_login_needs_the_code_too() {
    let world = World::new();
    let device = world.device(ADA).await;
    let (secret, _) = turn_on(&world, &device).await;
    device.get(path::WHOAMI).await.ok::<Whoami>();
    let raw = world.post(path::LOGIN, None, &login(ADA, PASSWORD)).await;
    assert_refused(&raw, ErrorCode::SecondFactorNeeded);
    // Who does not know the password is not told that there is a second factor.
    let raw = world.post(path::LOGIN, None, &login(ADA, "wrong horse")).await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    let code = code_now(&world, &secret);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    for wrong in [wrong, "", " ", "aaaa-aaaa-aaaa-aaaa"] {
        let raw = world.post(path::LOGIN, None, &with_code(wrong)).await;
        assert_eq!(raw.status, 401);
    }
    world
        .post(path::LOGIN, None, &with_code(&code))
        .await
        .ok::<LoginReply>();
}

#[tokio::test]
async fn a_code_is_good_once() {
    let world = World::new();
    let device = world.device(ADA).await;
    let (secret, recovery) = turn_on(&world, &device).await;
    for code in [code_now(&world, &secret), recovery[3].clone()] {
        world
            .post(path::LOGIN, None, &with_code(&code))
            .await
            .ok::<LoginReply>();
        let raw = world.post(path::LOGIN, None, &with_code(&code)).await;
        assert_refused(&raw, ErrorCode::WrongCredentials);
    }
    let typed = recovery[4].to_uppercase().replace('-', " ");
    world
        .post(path::LOGIN, None, &with_code(&typed))
        .await
        .ok::<LoginReply>();
    world.clock.advance(Duration::from_secs(30));
    let code = code_now(&world, &secret);
    world.clock.advance(Duration::from_secs(60));
    let raw = world.post(path::LOGIN, None, &with_code(&code)).await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
}

#[tokio::test]
async fn a_stolen_device_turns_nothing_on_or_off() {
    let world = World::new();
    let device = world.device(ADA).await;
    let raw = change(&device, SecondFactorStep::Begin, "wrong horse", None).await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    let raw = change(&device, SecondFactorStep::Confirm, "", Some("123456")).await;
    assert_refused(&raw, ErrorCode::BadRequest);
    let (secret, _) = turn_on(&world, &device).await;
    let raw = change(&device, SecondFactorStep::Begin, PASSWORD, None).await;
    assert_refused(&raw, ErrorCode::BadRequest);
    let code = code_now(&world, &secret);
    let raw = change(&device, SecondFactorStep::TurnOff, "wrong horse", Some(&code)).await;
    assert_refused(&raw, ErrorCode::WrongCredentials);
    let raw = change(&device, SecondFactorStep::TurnOff, PASSWORD, None).await;
    assert_refused(&raw, ErrorCode::SecondFactorNeeded);
    let off: SecondFactorReply = change(&device, SecondFactorStep::TurnOff, PASSWORD, Some(&code))
        .await
        .ok();
    assert!(!off.is_active);
    world.link(ADA).await;
}

#[tokio::test]
async fn guessing_codes_is_slowed_down() {
    let world = World::new();
    let device = world.device(ADA).await;
    turn_on(&world, &device).await;
    for _ in 0..9 {
        let raw = world
            .post(path::LOGIN, None, &with_code("aaaa-aaaa-aaaa-aaaa"))
            .await;
        assert_refused(&raw, ErrorCode::WrongCredentials);
    }
    let raw = world.post(path::LOGIN, None, &with_code("123456")).await;
    assert!(
        assert_refused(&raw, ErrorCode::RateLimited)
            .retry_after_ms
            .unwrap()
            > 60_000
    );
}

#[tokio::test]
async fn the_sign_in_of_apps_asks_for_the_code() {
    let world = World::new();
    let device = world.device(ADA).await;
    let (secret, _) = turn_on(&world, &device).await;
    let browser = Browser::new(&world);
    let uri = pkce(MAESTRAL, &[]);
    browser.sign_in(&uri, ADA).await;
    let page = text(&browser.get(&uri).await);
    assert!(
        page.contains("name=\"code\"") && !page.contains("Allow Maestral"),
        "{page}"
    );
    // The password alone allows nothing.
    let token = between(&page, "name=\"form_token\" value=\"", "\"");
    let raw = browser
        .post(&uri, &[("action", "allow"), ("form_token", &token)])
        .await;
    assert_eq!(
        (raw.status.as_u16(), text(&raw).contains("id=\"auth-code\"")),
        (403, false)
    );
    let raw = browser
        .press(&uri, "code", &[("code", "aaaa-aaaa-aaaa-aaaa")])
        .await;
    assert_eq!(raw.status, 403);
    let half = browser.cookie();
    let code = code_now(&world, &secret);
    let raw = browser.press(&uri, "code", &[("code", &code)]).await;
    assert_eq!(raw.status, 303);
    assert_ne!(half, browser.cookie());
    assert!(code_of(&browser.press(&uri, "allow", &[]).await).starts_with("cairn_"));
}
