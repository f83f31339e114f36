//! Second factors and links that work once.

use std::sync::Arc;

use cairn_core::ids::{AccountId, Incarnation};
use cairn_core::time::Timestamp;

use super::fixture::account;
use crate::{
    Account, Email, IdentityHash, LinkPurpose, MetadataError, MetadataStore, OneTimeLink, SecondFactor,
    TokenHash,
};

pub(super) async fn codes_of_a_second_factor_are_used_once(store: Arc<dyn MetadataStore>) {
    let [ada, eve] = [1, 2].map(|id| AccountId::new(id).expect("positive"));
    let factor = |is_active| SecondFactor {
        secret: vec![7; 20],
        is_active,
        last_step: 10,
    };
    let codes = [TokenHash([1; 32]), TokenHash([2; 32])];
    let read = async |account| store.second_factor(account).await.expect("reads");
    let set = async |factor: Option<&SecondFactor>, codes: &[TokenHash]| {
        let set = store.set_second_factor(ada, factor, codes);
        set.await.expect("a change");
    };
    let step = async |account, step| store.use_step(account, step).await.expect("a use");
    let recover = async |account, code: usize| {
        let used = store.use_recovery_code(account, &codes[code]);
        used.await.expect("a use")
    };
    assert_eq!(read(ada).await, None);
    assert!(!step(ada, 11).await && !recover(ada, 0).await);
    set(Some(&factor(false)), &[]).await;
    assert_eq!(read(ada).await, Some(factor(false)));
    assert!(!recover(ada, 0).await);
    set(Some(&factor(true)), &codes).await;
    assert_eq!((read(ada).await, read(eve).await), (Some(factor(true)), None));
    assert!(!step(ada, 10).await, "it was used before");
    assert!(step(ada, 12).await);
    assert!(!step(ada, 12).await && !step(ada, 11).await);
    assert!(step(ada, 13).await);
    assert!(!recover(eve, 0).await, "it is not hers");
    assert!(recover(ada, 0).await);
    assert!(!recover(ada, 0).await);
    set(Some(&factor(true)), &codes[..1]).await;
    assert!(!recover(ada, 1).await, "there are others now");
    set(None, &[]).await;
    assert_eq!(read(ada).await, None);
    assert!(!recover(ada, 0).await && !step(ada, 99).await);
}

pub(super) async fn a_link_works_once(store: Arc<dyn MetadataStore>) {
    let link = |number: u8, purpose, expires_at| OneTimeLink {
        hash: TokenHash([number; 32]),
        purpose,
        expires_at: Timestamp::from_millis(expires_at),
    };
    let invitation = |email: Option<&str>| LinkPurpose::Invitation {
        email: email.map(|email| Email::new(email).expect("an address")),
        quota_bytes: email.map(|_| 5),
    };
    let reset = LinkPurpose::Reset {
        account: AccountId::new(7).expect("positive"),
        password_digest: [9; 32],
    };
    let links = [
        link(1, invitation(None), 100),
        link(2, invitation(Some("a@example.org")), 200),
        link(3, reset, 200),
    ];
    for link in &links {
        store.add_link(link).await.expect("a link");
    }
    for link in &links {
        let found = store.link(&link.hash).await.expect("reads");
        assert_eq!(found.as_ref(), Some(link));
    }
    let takes = (0..8).map(|_| store.take_link(&links[1].hash));
    let taken = futures::future::join_all(takes).await;
    let taken: Vec<_> = taken
        .into_iter()
        .filter_map(|taken| taken.expect("a take"))
        .collect();
    assert_eq!(taken, &links[1..2]);
    assert_eq!(store.link(&links[1].hash).await.expect("reads"), None);
    store
        .remove_expired(Timestamp::from_millis(101))
        .await
        .expect("a removal");
    assert_eq!(store.link(&links[0].hash).await.expect("reads"), None);
    assert!(store.link(&links[2].hash).await.expect("reads").is_some());
}

pub(super) async fn an_identity_has_one_account(store: Arc<dyn MetadataStore>) {
    let life = Incarnation::new([1; 16]);
    let identity = |number: u8| IdentityHash([number; 32]);
    let (ada, bob) = (account(0x1000, "a@example.org"), account(0x2000, "b@example.org"));
    store.create_account(&ada, life).await.expect("an account");
    let owner = async |number| store.identity(&identity(number)).await.expect("reads");
    let link = async |number, account: &Account| {
        let identity = identity(number);
        let linked = store.link_identity(&identity, account.id).await;
        linked.expect("a link")
    };
    assert_eq!(owner(1).await, None);
    assert!(link(1, &ada).await && link(1, &ada).await && link(2, &ada).await);
    let unknown = store.link_identity(&identity(3), bob.id).await;
    assert!(matches!(unknown, Err(MetadataError::AccountNotFound(id)) if id == bob.id));

    let create = async |number, new: &Account| {
        let identity = identity(number);
        store.create_account_of(&identity, new, life).await
    };
    assert!(!create(1, &bob).await.expect("an answer"), "it is taken");
    assert_eq!(store.account(bob.id).await.expect("reads"), None);
    let same_address = account(0x3000, "a@example.org");
    let refused = create(3, &same_address).await;
    assert!(matches!(refused, Err(MetadataError::EmailTaken)));
    assert_eq!(owner(3).await, None, "nothing is left of it");
    assert!(create(3, &bob).await.expect("an answer"));
    assert_eq!((owner(3).await, owner(1).await), (Some(bob.id), Some(ada.id)));
    assert_eq!(store.account(bob.id).await.expect("reads").as_ref(), Some(&bob));
    assert!(!link(1, &bob).await, "nobody takes it away");
    assert_eq!(owner(1).await, Some(ada.id));

    let count = async |account: &Account| store.identities(account.id).await.expect("reads");
    let unlink = async |account: &Account| store.unlink_identities(account.id).await.expect("answers");
    assert_eq!((count(&ada).await, count(&bob).await), (2, 1));
    assert_eq!((unlink(&ada).await, unlink(&ada).await), (2, 0));
    assert_eq!((count(&ada).await, count(&bob).await), (0, 1));
    assert_eq!((owner(1).await, owner(2).await), (None, None));
    assert_eq!(owner(3).await, Some(bob.id), "it is another's");
    assert!(link(1, &bob).await, "it is free");
    assert_eq!(count(&bob).await, 2);
}
