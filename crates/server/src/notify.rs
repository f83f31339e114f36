//! Wakes devices that wait for a namespace. In this process only; losing a wake-up would be harmless, since cursors
//! tell the truth.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use cairn_core::ids::{DeviceId, NamespaceId};
use cairn_core::rev::Seq;

/// Passes on where namespaces stand. Bounded: a waiter that does not read keeps one position per namespace.
#[derive(Default)]
pub(crate) struct Notifier {
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    by_namespace: HashMap<NamespaceId, Vec<Weak<Mailbox>>>,
    by_device: HashMap<DeviceId, Vec<Weak<Mailbox>>>,
}

#[derive(Default)]
struct Mailbox {
    news: Mutex<News>,
    wake: tokio::sync::Notify,
    /// How far the device has read namespaces, as far as it said so; nobody is woken by that.
    read: Mutex<BTreeMap<NamespaceId, Seq>>,
}

/// What a waiter has not read yet.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Where namespaces stand now.
    pub(crate) heads: BTreeMap<NamespaceId, Seq>,
    /// Whether the device was unlinked.
    pub(crate) is_unlinked: bool,
}

/// One waiter's end; dropping it ends the subscription.
pub(crate) struct Subscription {
    notifier: Arc<Notifier>,
    mailbox: Arc<Mailbox>,
    namespaces: Vec<NamespaceId>,
    device: DeviceId,
}

impl Notifier {
    /// Waits, from now on, for changes of these namespaces and for the end of the device's link.
    pub(crate) fn subscribe(
        self: &Arc<Self>,
        namespaces: Vec<NamespaceId>,
        device: DeviceId,
    ) -> Subscription {
        let mailbox = Arc::new(Mailbox::default());
        let mut waiters = lock(&self.waiters);
        for namespace in &namespaces {
            waiters
                .by_namespace
                .entry(*namespace)
                .or_default()
                .push(Arc::downgrade(&mailbox));
        }
        waiters
            .by_device
            .entry(device)
            .or_default()
            .push(Arc::downgrade(&mailbox));
        drop(waiters);
        Subscription {
            notifier: Arc::clone(self),
            mailbox,
            namespaces,
            device,
        }
    }

    /// Tells that a namespace has moved on.
    pub(crate) fn head(&self, namespace: NamespaceId, seq: Seq) {
        let waiters = lock(&self.waiters);
        for mailbox in waiters
            .by_namespace
            .get(&namespace)
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
        {
            let mut news = lock(&mailbox.news);
            let known = news.heads.entry(namespace).or_default();
            *known = (*known).max(seq);
            mailbox.wake.notify_one();
        }
    }

    /// Tells that a device is no longer linked.
    pub(crate) fn unlinked(&self, device: DeviceId) {
        let waiters = lock(&self.waiters);
        for mailbox in waiters
            .by_device
            .get(&device)
            .into_iter()
            .flatten()
            .filter_map(Weak::upgrade)
        {
            lock(&mailbox.news).is_unlinked = true;
            mailbox.wake.notify_one();
        }
    }

    /// Tells that a device has read a namespace that it may read up to a position.
    pub(crate) fn read(&self, device: DeviceId, namespace: NamespaceId, seq: Seq) {
        let waiters = lock(&self.waiters);
        let mailboxes = waiters.by_device.get(&device).into_iter().flatten();
        for mailbox in mailboxes.filter_map(Weak::upgrade) {
            lock(&mailbox.read).insert(namespace, seq);
        }
    }

    /// How many subscriptions there are.
    pub(crate) fn waiter_count(&self) -> usize {
        lock(&self.waiters).by_device.values().map(Vec::len).sum()
    }
}

impl Subscription {
    /// Waits for news and takes all of it. Safe to drop while it waits: nothing is lost.
    pub(crate) async fn news(&self) -> News {
        loop {
            let woken = self.mailbox.wake.notified();
            let news = std::mem::take(&mut *lock(&self.mailbox.news));
            if news != News::default() {
                return news;
            }
            woken.await;
        }
    }

    /// How far the device has said since that it has read a namespace.
    pub(crate) fn read_to(&self, namespace: NamespaceId) -> Option<Seq> {
        lock(&self.mailbox.read).get(&namespace).copied()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let ours = Arc::downgrade(&self.mailbox);
        let mut waiters = lock(&self.notifier.waiters);
        for namespace in &self.namespaces {
            leave(&mut waiters.by_namespace, namespace, &ours);
        }
        leave(&mut waiters.by_device, &self.device, &ours);
    }
}

fn leave<K: std::hash::Hash + Eq>(lists: &mut HashMap<K, Vec<Weak<Mailbox>>>, key: &K, ours: &Weak<Mailbox>) {
    if let Some(list) = lists.get_mut(key) {
        list.retain(|other| !other.ptr_eq(ours));
        if list.is_empty() {
            lists.remove(key);
        }
    }
}

/// Nothing panics while it holds one of these locks, so what it guards is whole even if poisoned.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespace(id: i64) -> NamespaceId {
        NamespaceId::new(id).unwrap()
    }

    fn device(id: i64) -> DeviceId {
        DeviceId::new(id).unwrap()
    }

    #[tokio::test]
    async fn news_are_merged_until_they_are_read() {
        let notifier = Arc::new(Notifier::default());
        let waiter = notifier.subscribe(vec![namespace(1), namespace(2)], device(7));
        for seq in [3, 5, 4] {
            notifier.head(namespace(1), Seq::new(seq).unwrap());
        }
        notifier.head(namespace(3), Seq::new(9).unwrap());
        let news = waiter.news().await;
        assert_eq!(news.heads, BTreeMap::from([(namespace(1), Seq::new(5).unwrap())]));
        notifier.unlinked(device(8));
        notifier.unlinked(device(7));
        assert!(waiter.news().await.is_unlinked);
    }

    #[tokio::test]
    async fn what_a_device_has_read_wakes_nobody_and_is_known_to_its_own_waiters() {
        let notifier = Arc::new(Notifier::default());
        let waiter = notifier.subscribe(vec![namespace(1)], device(7));
        let seq = Seq::new(5).unwrap();
        notifier.read(device(8), namespace(1), seq);
        assert_eq!(waiter.read_to(namespace(1)), None);
        notifier.read(device(7), namespace(1), seq);
        assert_eq!(waiter.read_to(namespace(1)), Some(seq));
        assert_eq!(waiter.read_to(namespace(2)), None);
        let news = futures::FutureExt::now_or_never(waiter.news());
        assert_eq!(news, None);
    }

    #[test]
    fn a_dropped_subscription_leaves_nothing_behind() {
        let notifier = Arc::new(Notifier::default());
        let first = notifier.subscribe(vec![namespace(1)], device(7));
        let second = notifier.subscribe(vec![namespace(1)], device(7));
        drop(first);
        assert_eq!(notifier.waiter_count(), 1);
        drop(second);
        let waiters = lock(&notifier.waiters);
        assert!(waiters.by_namespace.is_empty() && waiters.by_device.is_empty());
    }
}
