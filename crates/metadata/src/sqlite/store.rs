//! The verbs, each on its connection.

use std::collections::HashSet;

use async_trait::async_trait;
use cairn_core::change::JournalEntry;
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, Incarnation, NamespaceId, NodeId,
};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::Node;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

use super::SqliteMetadata;
use super::accounts::{self, CreateAccount, UpdateAccount};
use super::chunks::{Committable, ExtendGrants, GrantWrite, add_referenced, committable, fence_epoch};
use super::commit::CommitWrite;
use super::credentials::ExpireLinks;
use super::jobs::{self, ExpiryWrite, HashWrite};
use super::journal::{self, CursorWrite};
use super::links::{self, LinkDevice, TouchDevice, UnlinkDevice};
use super::prefetch::Asker;
use super::tree::{Tree, revisions};
use crate::invariants::violations;
use crate::{
    AccessToken, Account, Changes, Commit, CommitOutcome, CursorReport, Device, EXTENSION_MS, Email, HOUR_MS,
    MetadataError, MetadataStore, NamespaceHead, NodePage, RefreshToken, Result, Session, TokenHash,
    UnverifiedContent, Written, check_size,
};

/// Namespaces that one round of an upkeep job looks at.
const ROUND: usize = 1_000;

#[async_trait]
impl MetadataStore for SqliteMetadata {
    async fn create_account(&self, account: &Account, incarnation: Incarnation) -> Result<()> {
        self.write(CreateAccount {
            account: account.clone(),
            incarnation,
        })
        .await
    }

    async fn account(&self, id: AccountId) -> Result<Option<Account>> {
        accounts::account(&mut self.reader().await?.session(), id).await
    }

    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>> {
        accounts::account_by_email(&mut self.snapshot().await?.session(), email).await
    }

    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>> {
        accounts::accounts(&mut self.reader().await?.session(), after, limit).await
    }

    async fn update_account(&self, account: &Account) -> Result<()> {
        self.write(UpdateAccount(account.clone())).await
    }

    async fn link_device(
        &self,
        device: &Device,
        token: &AccessToken,
        refresh: Option<&RefreshToken>,
    ) -> Result<()> {
        self.write(LinkDevice {
            device: device.clone(),
            token: token.clone(),
            refresh: refresh.cloned(),
        })
        .await
    }

    async fn session(&self, token: &TokenHash) -> Result<Option<Session>> {
        links::bearer(&mut self.snapshot().await?.session(), token).await
    }

    async fn devices(&self, account: AccountId) -> Result<Vec<Device>> {
        links::devices(&mut self.reader().await?.session(), account).await
    }

    async fn touch_device(&self, account: AccountId, device: DeviceId, now: Timestamp) -> Result<()> {
        let seen_at = Timestamp::from_millis(now.as_millis() - now.as_millis().rem_euclid(HOUR_MS));
        let devices = self.devices(account).await?;
        let known = devices.iter().find(|known| known.id == device);
        // Most calls within the hour end here, without a write.
        if known.is_none_or(|known| known.last_seen_at >= seen_at) {
            return Ok(());
        }
        self.write(TouchDevice {
            account,
            device,
            seen_at,
        })
        .await
    }

    async fn unlink_device(&self, account: AccountId, device: DeviceId) -> Result<bool> {
        self.write(UnlinkDevice { account, device }).await
    }

    async fn head(&self, namespace: NamespaceId) -> Result<Option<NamespaceHead>> {
        journal::head(&mut self.reader().await?.session(), namespace).await
    }

    async fn readable_namespaces(&self, account: AccountId) -> Result<Vec<NamespaceId>> {
        accounts::readable_namespaces(&mut self.reader().await?.session(), account).await
    }

    async fn nodes(&self, namespace: NamespaceId, ids: &[NodeId]) -> Result<Vec<Option<Node>>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        let mut tree = Tree::new(&mut session, namespace, None);
        let live = tree.live(ids).await?;
        let states = tree.states(ids).await?;
        let find = |id| states.get(id).filter(|_| live.contains(id));
        Ok(ids.iter().map(|id| find(id).map(|row| row.to_node())).collect())
    }

    async fn child(&self, namespace: NamespaceId, parent: NodeId, key: &NameKey) -> Result<Option<Node>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, None).child(parent, key).await
    }

    async fn child_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        key: &NameKey,
        at: Seq,
    ) -> Result<Option<Node>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, Some(at))
            .child_at(parent, key)
            .await
    }

    async fn last_child(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        key: &NameKey,
    ) -> Result<Option<Node>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, None)
            .last_child(parent, key)
            .await
    }

    async fn vacated(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Seq,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<Vec<NodeName>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, Some(at))
            .vacated(parent, after, limit)
            .await
    }

    async fn children_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Option<Seq>,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<NodePage> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, at)
            .children(parent, after, limit)
            .await
    }

    async fn trashed(&self, namespace: NamespaceId, after: Option<NodeId>, limit: usize) -> Result<NodePage> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, None)
            .trashed(after, limit)
            .await
    }

    async fn ancestors_at(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        at: Option<Seq>,
    ) -> Result<Option<Vec<Node>>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        let found = Tree::new(&mut session, namespace, at).ancestors(node).await?;
        Ok(found.map(|rows| rows.iter().map(|row| row.to_node()).collect()))
    }

    async fn nodes_at(
        &self,
        namespace: NamespaceId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, Some(at))
            .everything(after, limit)
            .await
    }

    async fn subtree_at(
        &self,
        namespace: NamespaceId,
        folder: NodeId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        Tree::new(&mut session, namespace, Some(at))
            .subtree(folder, after, limit)
            .await
    }

    async fn revisions(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<NodePage> {
        revisions(
            &mut self.snapshot().await?.session(),
            namespace,
            node,
            before,
            limit,
        )
        .await
    }

    async fn revision(&self, namespace: NamespaceId, node: NodeId, content_seq: Seq) -> Result<Option<Node>> {
        let before = Some(content_seq.next());
        let page = self.revisions(namespace, node, before, 1).await?;
        Ok(page
            .nodes
            .into_iter()
            .find(|found| found.content_seq == content_seq))
    }

    async fn changes(&self, cursor: &Cursor, limit: usize) -> Result<Changes> {
        journal::changes(&mut self.snapshot().await?.session(), cursor, limit).await
    }

    async fn entries_before(
        &self,
        namespace: NamespaceId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>> {
        journal::before(&mut self.snapshot().await?.session(), namespace, before, limit).await
    }

    async fn written(&self, namespace: NamespaceId, seqs: &[Seq]) -> Result<Vec<Option<Written>>> {
        journal::written(&mut self.reader().await?.session(), namespace, seqs).await
    }

    async fn origin(&self, namespace: NamespaceId) -> Result<Cursor> {
        let head = self.head(namespace).await?;
        let head = head.ok_or(MetadataError::NamespaceNotFound(namespace))?;
        Ok(Cursor {
            namespace,
            incarnation: head.incarnation,
            seq: Seq::ZERO,
            chain: ChainHash::new([0; 32]),
        })
    }

    async fn commit(&self, commit: Commit) -> Result<CommitOutcome> {
        check_size(&commit)?;
        self.write(CommitWrite(commit)).await
    }

    async fn report_cursor(&self, cursor: &Cursor, device: DeviceId) -> Result<CursorReport> {
        self.write(CursorWrite {
            cursor: *cursor,
            device,
        })
        .await
    }

    async fn grant(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        lease: i64,
        expires_at: Timestamp,
    ) -> Result<()> {
        if hashes.is_empty() {
            return Ok(());
        }
        self.write(GrantWrite {
            namespace,
            account,
            hashes: hashes.to_vec(),
            lease,
            expires_at,
        })
        .await
    }

    async fn have(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        now: Timestamp,
        extend_to: Timestamp,
    ) -> Result<Vec<bool>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        let asker = Asker {
            namespace,
            account,
            now,
        };
        let fence = fence_epoch(&mut session, namespace).await?;
        let Committable { each, granted } = committable(&mut session, asker, fence, hashes).await?;
        drop(snapshot);
        let due = extend_to.plus_millis(-EXTENSION_MS);
        let ending = granted.into_iter().filter(|(_, expires_at)| *expires_at < due);
        let hashes: Vec<ChunkHash> = ending.map(|(hash, _)| hash).collect();
        if !hashes.is_empty() {
            self.write(ExtendGrants {
                namespace,
                account,
                hashes,
                expires_at: extend_to,
            })
            .await?;
        }
        Ok(each)
    }

    async fn referenced(&self, namespaces: &[NamespaceId], hashes: &[ChunkHash]) -> Result<Vec<bool>> {
        let mut snapshot = self.snapshot().await?;
        let mut session = snapshot.session();
        let mut found = HashSet::new();
        for namespace in namespaces {
            add_referenced(&mut session, *namespace, hashes, &mut found).await?;
        }
        Ok(hashes.iter().map(|hash| found.contains(hash)).collect())
    }

    async fn unverified_contents(
        &self,
        namespace: NamespaceId,
        limit: usize,
    ) -> Result<Vec<UnverifiedContent>> {
        jobs::unverified(&mut self.snapshot().await?.session(), namespace, limit).await
    }

    async fn record_content_hash(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        content_seq: Seq,
        computed: ContentHash,
        now: Timestamp,
    ) -> Result<()> {
        self.write(HashWrite {
            namespace,
            node,
            content_seq,
            computed,
            now,
        })
        .await
    }

    async fn remove_expired(&self, now: Timestamp) -> Result<u64> {
        let mut looked_at = None;
        loop {
            let round = ExpireLinks {
                after: looked_at,
                limit: ROUND,
                now,
            };
            looked_at = self.write(round).await?;
            if looked_at.is_none() {
                break;
            }
        }
        let (mut removed, mut after) = (0, None);
        loop {
            let round = self.namespaces(after, ROUND).await?;
            let Some(last) = round.last() else {
                return Ok(removed);
            };
            after = Some(*last);
            for namespace in round {
                removed += self.write(ExpiryWrite { namespace, now }).await?;
            }
        }
    }

    async fn namespaces(&self, after: Option<NamespaceId>, limit: usize) -> Result<Vec<NamespaceId>> {
        jobs::namespaces(&mut self.reader().await?.session(), after, limit).await
    }

    async fn check(&self, namespace: NamespaceId) -> Result<Vec<String>> {
        let dump = jobs::dump(&mut self.snapshot().await?.session(), namespace).await?;
        Ok(violations(&dump))
    }
}
