//! Apps, their links, tokens and codes.

use std::sync::Arc;

use cairn_core::ids::{AccountId, DeviceId, Incarnation};
use cairn_core::time::Timestamp;

use super::fixture::account;
use crate::{
    AccessToken, Account, App, AppKey, AuthCode, CODES_PER_ACCOUNT, Challenge, ChallengeMethod, Device,
    LinkKind, MetadataStore, RefreshToken, Scope, Scopes, TOKENS_PER_LINK, TokenHash, Wipe,
};

const READ: Scopes = Scopes::NONE.with(Scope::FilesContentRead);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn hash(number: usize) -> TokenHash {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&number.to_le_bytes());
    TokenHash(hash)
}

fn token(number: usize, scopes: Scopes, expires_at: Option<i64>) -> AccessToken {
    AccessToken {
        hash: hash(number),
        scopes,
        expires_at: expires_at.map(at),
    }
}

fn link(account: AccountId, id: i64, app: Option<&AppKey>) -> Device {
    Device {
        account,
        id: DeviceId::new(id).expect("positive"),
        name: "backup".to_owned(),
        created_at: at(10),
        last_seen_at: at(10),
        kind: if app.is_some() {
            LinkKind::App
        } else {
            LinkKind::Token
        },
        app: app.cloned(),
        wipe: None,
    }
}

async fn owner(store: &dyn MetadataStore) -> Account {
    let owner = account(0x1000, "a@example.org");
    store
        .create_account(&owner, Incarnation::new([1; 16]))
        .await
        .expect("an account");
    owner
}

async fn add(store: &dyn MetadataStore, to: &Device, token: AccessToken, now: i64) -> bool {
    let added = store.add_token(to.account, to.id, &token, at(now));
    added.await.expect("a token")
}

fn key(text: &str) -> AppKey {
    AppKey::new(text).expect("a legal key")
}

pub(super) async fn a_device_is_to_be_wiped(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let script = link(owner.id, 7, None);
    let laptop = Device {
        kind: LinkKind::Device,
        ..link(owner.id, 8, None)
    };
    for (device, number) in [(&script, 1), (&laptop, 2)] {
        let token = token(number, Scopes::ALL, None);
        store.link_device(device, &token, None).await.expect("a link");
    }
    let ask = async |device: &Device, wipe| {
        let asked = store.ask_wipe(owner.id, device.id, wipe);
        asked.await.expect("an order")
    };
    let order = async || {
        let session = store.session(&hash(2)).await.expect("reads");
        session.expect("a session").wipe
    };
    assert!(!ask(&script, Wipe::Synced).await, "a token keeps nothing");
    assert!(!ask(&link(owner.id, 9, None), Wipe::Synced).await);
    assert_eq!(order().await, None);
    for wipe in [Wipe::Synced, Wipe::Everything] {
        assert!(ask(&laptop, wipe).await);
        assert_eq!(order().await, Some(wipe));
        let listed = store.devices(owner.id).await.expect("reads");
        assert_eq!(listed.iter().find_map(|device| device.wipe), Some(wipe));
    }
    // Who links it again has the password.
    let again = Device {
        wipe: Some(Wipe::Everything),
        ..laptop.clone()
    };
    let token = token(2, Scopes::ALL, None);
    store.link_device(&again, &token, None).await.expect("a link");
    assert_eq!(order().await, None);
}

pub(super) async fn a_link_has_many_tokens_and_loses_all_at_once(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let app = key("app");
    let device = link(owner.id, 7, Some(&app));
    let refresh = RefreshToken {
        hash: hash(900),
        needs_secret: true,
    };
    store
        .link_device(&device, &token(1, READ, Some(50)), Some(&refresh))
        .await
        .expect("a link");
    let listed = store.devices(owner.id).await.expect("reads");
    assert_eq!(listed, std::slice::from_ref(&device));
    for number in [2, 3] {
        assert!(add(store.as_ref(), &device, token(number, READ, Some(60)), 50).await);
    }
    for number in 1..=3 {
        let session = store
            .session(&hash(number))
            .await
            .expect("reads")
            .expect("a session");
        assert_eq!((session.scopes, session.device), (READ, device.id));
    }
    let found = store
        .app_link(&refresh.hash)
        .await
        .expect("reads")
        .expect("a link");
    assert_eq!(
        (found.account, found.device, found.app),
        (owner.id, device.id, app)
    );
    assert_eq!(
        (found.scopes, found.needs_secret, found.is_disabled),
        (READ, true, false)
    );
    // Neither kind of token passes for the other.
    assert_eq!(store.session(&refresh.hash).await.expect("reads"), None);
    assert_eq!(store.app_link(&hash(1)).await.expect("reads"), None);

    let locked = Account {
        is_disabled: true,
        ..owner.clone()
    };
    store.update_account(&locked).await.expect("an update");
    let found = store
        .app_link(&refresh.hash)
        .await
        .expect("reads")
        .expect("a link");
    assert!(found.is_disabled);

    assert!(store.unlink_device(owner.id, device.id).await.expect("an unlink"));
    for number in 1..=3 {
        assert_eq!(store.session(&hash(number)).await.expect("reads"), None);
    }
    assert_eq!(store.app_link(&refresh.hash).await.expect("reads"), None);
    let late = add(store.as_ref(), &device, token(4, READ, None), 50).await;
    assert!(!late, "the link is gone");
    assert_eq!(store.session(&hash(4)).await.expect("reads"), None);
}

pub(super) async fn linking_again_voids_every_token(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let app = key("app");
    let device = link(owner.id, 7, Some(&app));
    let refresh = |number| RefreshToken {
        hash: hash(number),
        needs_secret: false,
    };
    store
        .link_device(&device, &token(1, READ, None), Some(&refresh(900)))
        .await
        .expect("a link");
    assert!(add(store.as_ref(), &device, token(2, READ, None), 0).await);
    store
        .link_device(&device, &token(3, Scopes::APP, None), Some(&refresh(901)))
        .await
        .expect("a link");
    for number in [1, 2] {
        assert_eq!(store.session(&hash(number)).await.expect("reads"), None);
    }
    assert_eq!(store.app_link(&hash(900)).await.expect("reads"), None);
    let session = store.session(&hash(3)).await.expect("reads").expect("a session");
    assert_eq!(session.scopes, Scopes::APP);
    let found = store.app_link(&hash(901)).await.expect("reads").expect("a link");
    assert_eq!(found.scopes, Scopes::APP);
}

pub(super) async fn a_link_has_a_bounded_number_of_tokens(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let device = link(owner.id, 7, None);
    store
        .link_device(&device, &token(0, READ, Some(100)), None)
        .await
        .expect("a link");
    let add = async |number: usize, expires_at| {
        add(store.as_ref(), &device, token(number, READ, expires_at), 101).await
    };
    assert!(add(1, Some(200)).await);
    assert_eq!(
        store.session(&hash(0)).await.expect("reads"),
        None,
        "it has expired"
    );
    for number in 2..=TOKENS_PER_LINK {
        assert!(add(number, None).await);
    }
    assert!(store.session(&hash(1)).await.expect("reads").is_some());
    assert!(add(TOKENS_PER_LINK + 1, None).await);
    assert_eq!(
        store.session(&hash(1)).await.expect("reads"),
        None,
        "it expires first"
    );
    for number in [2, TOKENS_PER_LINK, TOKENS_PER_LINK + 1] {
        assert!(store.session(&hash(number)).await.expect("reads").is_some());
    }
}

pub(super) async fn apps_are_registered_and_forgotten_with_their_links(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let app = App {
        key: key("b"),
        name: "Backup".to_owned(),
        secret: hash(500),
        redirect_uris: vec!["https://b.example/1".to_owned(), "http://localhost:1/".to_owned()],
        folder: Some("Backup".to_owned()),
        created_at: at(10),
    };
    let other = App {
        key: key("a"),
        redirect_uris: Vec::new(),
        folder: None,
        ..app.clone()
    };
    for app in [&app, &other] {
        store.put_app(app).await.expect("an app");
    }
    assert_eq!(store.app(&app.key).await.expect("reads"), Some(app.clone()));
    assert_eq!(store.app(&key("c")).await.expect("reads"), None);
    assert_eq!(
        store.apps(None, 9).await.expect("reads"),
        [other.clone(), app.clone()]
    );
    assert_eq!(
        store.apps(Some(&other.key), 1).await.expect("reads"),
        std::slice::from_ref(&app)
    );
    let renamed = App {
        name: "Backups".to_owned(),
        created_at: at(99),
        ..app.clone()
    };
    store.put_app(&renamed).await.expect("an app");
    let known = store.app(&app.key).await.expect("reads").expect("an app");
    assert_eq!((known.name.as_str(), known.created_at), ("Backups", at(10)));

    for (id, app) in [(7, &app), (8, &other)] {
        let device = link(owner.id, id, Some(&app.key));
        let token = token(usize::try_from(id).expect("small"), READ, None);
        store.link_device(&device, &token, None).await.expect("a link");
    }
    assert!(store.remove_app(&app.key).await.expect("a removal"));
    assert!(!store.remove_app(&app.key).await.expect("a removal"));
    assert_eq!(store.app(&app.key).await.expect("reads"), None);
    assert_eq!(store.session(&hash(7)).await.expect("reads"), None);
    assert!(store.session(&hash(8)).await.expect("reads").is_some());
    assert_eq!(store.devices(owner.id).await.expect("reads").len(), 1);
}

pub(super) async fn a_code_is_taken_once(store: Arc<dyn MetadataStore>) {
    let owner = owner(store.as_ref()).await;
    let code = |number: usize, expires_at| AuthCode {
        hash: hash(number),
        account: owner.id,
        app: key("app"),
        scopes: READ,
        challenge: Some(Challenge {
            method: ChallengeMethod::S256,
            value: "c".repeat(43),
        }),
        redirect_uri: Some("http://localhost:1/".to_owned()),
        is_offline: true,
        expires_at: at(expires_at),
    };
    let bare = AuthCode {
        challenge: None,
        redirect_uri: None,
        is_offline: false,
        ..code(2, 100)
    };
    for code in [&code(1, 100), &bare] {
        store.add_code(code, at(0)).await.expect("a code");
    }
    let takes = (0..8).map(|_| {
        let store = store.clone();
        async move { store.take_code(&hash(1)).await.expect("a take") }
    });
    let taken: Vec<_> = futures::future::join_all(takes).await;
    let taken: Vec<_> = taken.into_iter().flatten().collect();
    assert_eq!(taken, [code(1, 100)]);
    assert_eq!(store.take_code(&hash(2)).await.expect("a take"), Some(bare));
    assert_eq!(store.take_code(&hash(3)).await.expect("a take"), None);

    store.add_code(&code(4, 100), at(0)).await.expect("a code");
    store.add_code(&code(5, 300), at(101)).await.expect("a code");
    assert_eq!(
        store.take_code(&hash(4)).await.expect("a take"),
        None,
        "it has expired"
    );
    for number in 10..10 + CODES_PER_ACCOUNT {
        store.add_code(&code(number, 400), at(101)).await.expect("a code");
    }
    assert_eq!(
        store.take_code(&hash(5)).await.expect("a take"),
        None,
        "it expires first"
    );
    assert!(store.take_code(&hash(10)).await.expect("a take").is_some());
}
