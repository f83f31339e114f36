//! The audit log.

use std::sync::Arc;

use cairn_core::ids::{AccountId, DeviceId};
use cairn_core::time::Timestamp;

use crate::{AppKey, AuditEntry, AuditPosition, MetadataStore};

pub(super) async fn entries_are_read_in_order_and_go_with_age(store: Arc<dyn MetadataStore>) {
    let ada = AccountId::new(7).ok();
    let entry = |account, at, id| AuditEntry {
        account,
        at: Timestamp::from_millis(at),
        id,
        event: "login".to_owned(),
        device: (id == 1).then(|| DeviceId::new(9).expect("positive")),
        app: (id == 2).then(|| AppKey::new("app").expect("a key")),
        peer: (id != 3).then(|| "2001:db8::1".parse().expect("an address")),
    };
    let entries = [
        entry(ada, 10, 2),
        entry(ada, 20, 1),
        entry(ada, 20, 3),
        entry(ada, 30, 1),
    ];
    let of_server = entry(None, 20, 2);
    for entry in entries.iter().rev().chain([&of_server]) {
        store.add_audit(entry).await.expect("an entry");
    }
    let read = async |account, after: Option<&AuditEntry>, limit| {
        let after = after.map(|entry| AuditPosition {
            at: entry.at,
            id: entry.id,
        });
        store.audit(account, after, limit).await.expect("reads")
    };
    assert_eq!(read(ada, None, 9).await, entries);
    assert_eq!(read(ada, None, 2).await, entries[..2]);
    assert_eq!(read(ada, Some(&entries[1]), 9).await, entries[2..]);
    assert_eq!(read(None, None, 9).await, std::slice::from_ref(&of_server));
    let removed = store.remove_audit(ada, Timestamp::from_millis(20));
    assert_eq!(removed.await.expect("a removal"), 1);
    assert_eq!(read(ada, None, 9).await, entries[1..]);
    assert_eq!(read(None, None, 9).await, [of_server]);
}
