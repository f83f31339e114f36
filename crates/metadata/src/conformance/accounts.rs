use std::sync::Arc;

use cairn_core::ids::{AccountId, DeviceId, Incarnation};
use cairn_core::time::Timestamp;

use super::fixture::account;
use crate::{AccessToken, Device, Email, LinkKind, MetadataError, MetadataStore, Scopes, TokenHash};

pub(super) async fn accounts_are_found_by_id_and_address(store: Arc<dyn MetadataStore>) {
    let mut first = account(0x1000, "a@example.org");
    let second = account(0x2000, "b@example.org");
    for made in [&first, &second] {
        store
            .create_account(made, Incarnation::new([1; 16]))
            .await
            .expect("accounts are made");
    }
    let taken = account(0x3000, " A@Example.org ");
    assert!(matches!(
        store.create_account(&taken, Incarnation::new([1; 16])).await,
        Err(MetadataError::EmailTaken)
    ));
    assert_eq!(store.account(taken.id).await.expect("reads"), None);
    let address = Email::new("B@example.org").expect("a legal address");
    assert_eq!(
        store.account_by_email(&address).await.expect("reads"),
        Some(second.clone())
    );
    let listed = store.accounts(None, 1).await.expect("reads");
    assert_eq!(listed, std::slice::from_ref(&first));
    assert_eq!(
        store.accounts(Some(first.id), 9).await.expect("reads"),
        std::slice::from_ref(&second)
    );
    assert_eq!(
        store.readable_namespaces(first.id).await.expect("reads"),
        [first.root]
    );
    assert_eq!(
        store.namespaces(None, 9).await.expect("reads"),
        [first.root, second.root]
    );
    first.is_disabled = true;
    first.quota_bytes = Some(5);
    first.password_hash = "other".to_owned();
    store.update_account(&first).await.expect("an update");
    assert_eq!(store.account(first.id).await.expect("reads"), Some(first));
    assert!(matches!(
        store.update_account(&taken).await,
        Err(MetadataError::AccountNotFound(id)) if id == taken.id
    ));
}

pub(super) async fn devices_and_tokens_follow_each_other(store: Arc<dyn MetadataStore>) {
    let owner = account(0x1000, "a@example.org");
    store
        .create_account(&owner, Incarnation::new([1; 16]))
        .await
        .expect("an account");
    let device = Device {
        account: owner.id,
        id: DeviceId::new(7).expect("positive"),
        name: "laptop".to_owned(),
        created_at: Timestamp::from_millis(10),
        last_seen_at: Timestamp::from_millis(10),
        kind: LinkKind::Device,
        app: None,
        wipe: None,
    };
    let token = |hash: &TokenHash, expires_at| AccessToken {
        hash: hash.clone(),
        scopes: Scopes::ALL,
        expires_at,
    };
    let (old, new) = (TokenHash([1; 32]), TokenHash([2; 32]));
    let expires_at = Some(Timestamp::from_millis(99));
    store
        .link_device(&device, &token(&old, expires_at), None)
        .await
        .expect("a link");
    let session = store.session(&old).await.expect("reads").expect("a session");
    assert_eq!((session.account, session.device), (owner.id, device.id));
    assert_eq!((session.expires_at, session.is_disabled), (expires_at, false));
    store
        .link_device(&device, &token(&new, None), None)
        .await
        .expect("a new token");
    assert_eq!(store.session(&old).await.expect("reads"), None);
    assert!(store.session(&new).await.expect("reads").is_some());

    let hours = |count: i64| Timestamp::from_millis(count * 3_600_000);
    for now in [hours(5).plus_millis(77), hours(5).plus_millis(99), hours(3)] {
        store
            .touch_device(owner.id, device.id, now)
            .await
            .expect("a touch");
    }
    let devices = store.devices(owner.id).await.expect("reads");
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].last_seen_at, hours(5));
    assert_eq!(devices[0].created_at, device.created_at);

    let stranger = Device {
        account: AccountId::new(0x7777).expect("positive"),
        ..device.clone()
    };
    assert!(matches!(
        store
            .link_device(&stranger, &token(&TokenHash([3; 32]), None), None)
            .await,
        Err(MetadataError::AccountNotFound(_))
    ));
    let locked = crate::Account {
        is_disabled: true,
        ..owner.clone()
    };
    store.update_account(&locked).await.expect("an update");
    let session = store.session(&new).await.expect("reads").expect("a session");
    assert!(session.is_disabled);
    assert!(store.unlink_device(owner.id, device.id).await.expect("an unlink"));
    assert!(!store.unlink_device(owner.id, device.id).await.expect("an unlink"));
    assert_eq!(store.session(&new).await.expect("reads"), None);
}
