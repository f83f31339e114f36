//! Second factors.

use std::sync::Arc;

use cairn_core::ids::AccountId;

use crate::{MetadataStore, SecondFactor, TokenHash};

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
