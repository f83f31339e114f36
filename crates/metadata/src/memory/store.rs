//! The verbs, each under the store's lock.

use async_trait::async_trait;
use cairn_core::change::JournalEntry;
use cairn_core::ids::{AccountId, ChunkHash, ContentHash, DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::Node;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

use super::namespace::Namespace;
use super::{Link, MemoryMetadata};
use crate::invariants::violations;
use crate::row::NodeRow;
use crate::{
    AccessToken, Account, AppLink, Changes, Commit, CommitOutcome, CursorReport, Device, Email, HOUR_MS,
    MetadataError, MetadataStore, NamespaceHead, NodePage, RefreshToken, Result, Session, TokenHash,
    UnverifiedContent, Written, check_size,
};

fn page(rows: Vec<NodeRow>, limit: usize) -> NodePage {
    NodePage {
        has_more: rows.len() > limit,
        nodes: rows.iter().take(limit).map(NodeRow::to_node).collect(),
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    async fn create_account(&self, account: &Account, incarnation: Incarnation) -> Result<()> {
        let mut state = self.lock();
        if state.emails.contains_key(&account.email) {
            return Err(MetadataError::EmailTaken);
        }
        if state.accounts.contains_key(&account.id) || state.namespaces.contains_key(&account.root) {
            return Err(MetadataError::Corrupt {
                what: "an account's or namespace's id is in use".to_owned(),
            });
        }
        let mut root = Namespace::new(account, incarnation);
        root.ledger.bytes_granted = granted(account);
        state.namespaces.insert(account.root, root);
        state.emails.insert(account.email.clone(), account.id);
        state.accounts.insert(account.id, account.clone());
        Ok(())
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        Ok(self.lock().accounts.get(&id).cloned())
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        let state = self.lock();
        let id = state.emails.get(email);
        Ok(id.and_then(|id| state.accounts.get(id)).cloned())
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        let state = self.lock();
        let rest = state.accounts.values().filter(|account| Some(account.id) > after);
        Ok(rest.take(limit).cloned().collect())
    }

    async fn update_account(&self, account: &Account) -> Result<()> {
        let mut state = self.lock();
        let Some(known) = state.accounts.get_mut(&account.id) else {
            return Err(MetadataError::AccountNotFound(account.id));
        };
        known.password_hash.clone_from(&account.password_hash);
        known.is_admin = account.is_admin;
        known.is_disabled = account.is_disabled;
        known.quota_bytes = account.quota_bytes;
        let root = known.root;
        state.namespace_mut(root)?.ledger.bytes_granted = granted(account);
        Ok(())
    }

    async fn link_device(
        &self,
        device: &Device,
        token: &AccessToken,
        refresh: Option<&RefreshToken>,
    ) -> Result<()> {
        let mut state = self.lock();
        if !state.accounts.contains_key(&device.account) {
            return Err(MetadataError::AccountNotFound(device.account));
        }
        let key = (device.account, device.id);
        let mut device = device.clone();
        if let Some(known) = state.unlink(key) {
            device.created_at = known.created_at;
        }
        device.wipe = None;
        state.tokens.insert(token.hash.clone(), (key, token.clone()));
        if let (Some(refresh), Some(app)) = (refresh, &device.app) {
            let link = AppLink {
                account: device.account,
                device: device.id,
                app: app.clone(),
                scopes: token.scopes,
                needs_secret: refresh.needs_secret,
                is_disabled: false,
            };
            state.refreshes.insert(refresh.hash.clone(), link);
        }
        let link = Link {
            device,
            tokens: vec![token.hash.clone()],
            refresh: refresh.map(|refresh| refresh.hash.clone()),
        };
        state.links.insert(key, link);
        Ok(())
    }

    async fn session(&self, token: &TokenHash) -> Result<Option<Session>> {
        let state = self.lock();
        let Some(((account, device), token)) = state.tokens.get(token) else {
            return Ok(None);
        };
        Ok(state.accounts.get(account).map(|known| Session {
            account: *account,
            device: *device,
            expires_at: token.expires_at,
            is_disabled: known.is_disabled,
            scopes: token.scopes,
            wipe: state
                .links
                .get(&(*account, *device))
                .and_then(|link| link.device.wipe),
        }))
    }

    async fn devices(&self, account: AccountId) -> Result<Vec<Device>> {
        let state = self.lock();
        let devices = state.links.values().map(|link| &link.device);
        Ok(devices
            .filter(|device| device.account == account)
            .cloned()
            .collect())
    }

    async fn touch_device(&self, account: AccountId, device: DeviceId, now: Timestamp) -> Result<()> {
        let seen_at = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(HOUR_MS));
        if let Some(link) = self.lock().links.get_mut(&(account, device)) {
            link.device.last_seen_at = link.device.last_seen_at.max(seen_at);
        }
        Ok(())
    }

    async fn unlink_device(&self, account: AccountId, device: DeviceId) -> Result<bool> {
        Ok(self.lock().unlink((account, device)).is_some())
    }

    async fn head(&self, namespace: NamespaceId) -> Result<Option<NamespaceHead>> {
        Ok(self.lock().namespaces.get(&namespace).map(Namespace::head))
    }

    async fn readable_namespaces(&self, account: AccountId) -> Result<Vec<NamespaceId>> {
        let state = self.lock();
        let own = state
            .namespaces
            .values()
            .filter(|namespace| namespace.owner == account);
        Ok(own.map(|namespace| namespace.id).collect())
    }

    async fn nodes(&self, namespace: NamespaceId, ids: &[NodeId]) -> Result<Vec<Option<Node>>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let find = |id: &NodeId| namespace?.live(*id, None).map(|row| row.to_node());
        Ok(ids.iter().map(find).collect())
    }

    async fn child(&self, namespace: NamespaceId, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let child = namespace.and_then(|namespace| namespace.child(parent, key.as_str()));
        Ok(child.map(|row| row.to_node()))
    }

    async fn child_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        key: &NameKey,
        at: Seq,
    ) -> Result<Option<Node>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let children = namespace.map(|namespace| namespace.children(parent, Some(at), ""));
        let child = children.into_iter().flatten().find(|row| row.key == key.as_str());
        Ok(child.map(|row| row.to_node()))
    }

    async fn last_child(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        key: &NameKey,
    ) -> Result<Option<Node>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let child = namespace.and_then(|namespace| namespace.last_child(parent, key.as_str()));
        Ok(child.map(|row| row.to_node()))
    }

    async fn vacated(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Seq,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<Vec<NodeName>> {
        let state = self.lock();
        let after = after.map_or("", NameKey::as_str);
        let namespace = state.namespaces.get(&namespace);
        let mut names = namespace.map_or_else(Vec::new, |namespace| namespace.vacated(parent, at, after));
        names.truncate(limit.saturating_add(1));
        Ok(names)
    }

    async fn children_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Option<Seq>,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<NodePage> {
        let after = after.map_or("", NameKey::as_str);
        Ok(self.listing(namespace, limit, |namespace| {
            namespace.children(parent, at, after)
        }))
    }

    async fn trashed(&self, namespace: NamespaceId, after: Option<NodeId>, limit: usize) -> Result<NodePage> {
        Ok(self.listing(namespace, limit, |namespace| namespace.trashed(after)))
    }

    async fn ancestors_at(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        at: Option<Seq>,
    ) -> Result<Option<Vec<Node>>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let above = namespace.and_then(|namespace| namespace.ancestors(node, at));
        Ok(above.map(|rows| rows.iter().map(NodeRow::to_node).collect()))
    }

    async fn nodes_at(
        &self,
        namespace: NamespaceId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage> {
        self.subtree_at(namespace, NodeId::ROOT, at, after, limit).await
    }

    async fn subtree_at(
        &self,
        namespace: NamespaceId,
        folder: NodeId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage> {
        Ok(self.listing(namespace, limit, |namespace| namespace.below(folder, at, after)))
    }

    async fn revisions(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<NodePage> {
        Ok(self.listing(namespace, limit, |namespace| namespace.revisions(node, before)))
    }

    async fn revision(&self, namespace: NamespaceId, node: NodeId, content_seq: Seq) -> Result<Option<Node>> {
        let page = self.revisions(namespace, node, None, usize::MAX).await?;
        Ok(page
            .nodes
            .into_iter()
            .find(|found| found.content_seq == content_seq))
    }

    async fn changes(&self, cursor: &Cursor, limit: usize) -> Result<Changes> {
        Ok(self.lock().namespace(cursor.namespace)?.changes(cursor, limit))
    }

    async fn entries_before(
        &self,
        namespace: NamespaceId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        Ok(namespace.map_or(Vec::new(), |namespace| namespace.entries_before(before, limit)))
    }

    async fn written(&self, namespace: NamespaceId, seqs: &[Seq]) -> Result<Vec<Option<Written>>> {
        let state = self.lock();
        let namespace = state.namespaces.get(&namespace);
        let find = |seq: &Seq| namespace?.written(*seq);
        Ok(seqs.iter().map(find).collect())
    }

    async fn origin(&self, namespace: NamespaceId) -> Result<Cursor> {
        Ok(self.lock().namespace(namespace)?.origin())
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        check_size(&commit)?;
        self.lock().namespace_mut(commit.namespace)?.commit(&commit)
    }

    async fn report_cursor(&self, cursor: &Cursor, device: DeviceId) -> Result<CursorReport> {
        let mut state = self.lock();
        Ok(state
            .namespace_mut(cursor.namespace)?
            .report_cursor(cursor, device))
    }

    async fn grant(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        lease: i64,
        expires_at: Timestamp,
    ) -> Result<()> {
        let mut state = self.lock();
        state
            .namespace_mut(namespace)?
            .grant(account, hashes, lease, expires_at);
        Ok(())
    }

    async fn have(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        now: Timestamp,
        extend_to: Timestamp,
    ) -> Result<Vec<bool>> {
        let mut state = self.lock();
        let namespace = state.namespace_mut(namespace)?;
        let have = namespace.have(account, hashes, now);
        namespace.extend_grants(account, hashes, now, extend_to);
        Ok(have)
    }

    async fn referenced(&self, namespaces: &[NamespaceId], hashes: &[ChunkHash]) -> Result<Vec<bool>> {
        let state = self.lock();
        let known: Vec<_> = namespaces
            .iter()
            .filter_map(|id| state.namespaces.get(id))
            .collect();
        let is_known = |hash| {
            known
                .iter()
                .any(|namespace| namespace.chunk_refs.contains_key(hash))
        };
        Ok(hashes.iter().map(is_known).collect())
    }

    async fn unverified_contents(
        &self,
        namespace: NamespaceId,
        limit: usize,
    ) -> Result<Vec<UnverifiedContent>> {
        let state = self.lock();
        let rows = state
            .namespaces
            .get(&namespace)
            .into_iter()
            .flat_map(Namespace::unverified);
        Ok(rows
            .take(limit)
            .map(|row| UnverifiedContent {
                namespace,
                node: row.to_node(),
            })
            .collect())
    }

    async fn record_content_hash(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        content_seq: Seq,
        computed: ContentHash,
        now: Timestamp,
    ) -> Result<()> {
        if let Some(namespace) = self.lock().namespaces.get_mut(&namespace) {
            namespace.record_hash(node, content_seq, computed, now);
        }
        Ok(())
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        let mut state = self.lock();
        state.forget_expired_uploads(None, now);
        state.links_once.retain(|_, link| link.expires_at >= now);
        Ok(state
            .namespaces
            .values_mut()
            .map(|namespace| namespace.remove_expired(now))
            .sum())
    }

    async fn namespaces(&self, after: Option<NamespaceId>, limit: usize) -> Result<Vec<NamespaceId>> {
        let state = self.lock();
        let rest = state.namespaces.keys().filter(|id| Some(**id) > after);
        Ok(rest.take(limit).copied().collect())
    }

    async fn check(&self, namespace: NamespaceId) -> Result<Vec<String>> {
        Ok(violations(&self.lock().namespace(namespace)?.dump()))
    }
}

impl MemoryMetadata {
    /// A page of what `list` finds; an unknown namespace is empty.
    fn listing(
        &self,
        namespace: NamespaceId,
        limit: usize,
        list: impl FnOnce(&Namespace) -> Vec<NodeRow>,
    ) -> NodePage {
        let state = self.lock();
        page(
            state.namespaces.get(&namespace).map(list).unwrap_or_default(),
            limit,
        )
    }
}

fn granted(account: &Account) -> Option<i64> {
    account
        .quota_bytes
        .map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX))
}
