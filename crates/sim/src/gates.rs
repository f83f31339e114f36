//! Stores as one life of a process reaches them: what a dead process asks is never done, and each transaction is a place
//! where it may die, before or after.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use cairn_chunks::{ChunkStore, EncodedChunk, Lease, MemoryChunks, NewChunk};
use cairn_client::state::inbox::{ConflictRow, Displaced, DisplacedTotal};
use cairn_client::state::memory::MemoryState;
use cairn_client::state::{
    ClientState, Counts, InFlight, Intent, LocalRow, Relisted, StateBatch, StateResult,
};
use cairn_core::change::JournalEntry;
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, FileId, Incarnation, NamespaceId, NodeId,
};
use cairn_core::manifest::EncodedPage;
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::{FileContent, Node};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree::{Entry, Neighbourhood};
use cairn_metadata::{
    AccessStore, AccessToken, Account, App, AppKey, AppLink, AuditEntry, AuditPosition, AuditStore, AuthCode,
    Changes, Commit, CommitOutcome, CredentialStore, CursorReport, Device, Email, IdentityHash,
    MemoryMetadata, MetadataStore, NamespaceHead, NodePage, OneTimeLink, PieceOutcome, RefreshToken, Result,
    SecondFactor, Session, TagStore, TokenHash, UnverifiedContent, Upload, UploadId, UploadPiece,
    UploadStore, Wipe, Written,
};

use crate::spawner::Life;

/// A store of a life.
#[derive(Debug)]
pub struct Gated<S> {
    inner: Arc<S>,
    life: Arc<Life>,
}

impl<S> Gated<S> {
    /// The store as this life reaches it.
    pub const fn new(inner: Arc<S>, life: Arc<Life>) -> Self {
        Self { inner, life }
    }
}

/// Implements a trait by passing each verb on: verbs that write are recorded and may be the last thing before or after
/// which the process dies.
macro_rules! gated {
    ($trait:ty, $store:ty {
        $(read $read:ident($($r:ident: $rt:ty),*) -> $rr:ty;)*
        $(write $write:ident($($w:ident: $wt:ty),*) -> $wr:ty;)*
    }) => {
        #[async_trait]
        impl $trait for Gated<$store> {
            $(async fn $read(&self, $($r: $rt),*) -> $rr {
                self.life.step().await;
                self.inner.$read($($r),*).await
            })*
            $(async fn $write(&self, $($w: $wt),*) -> $wr {
                self.life.step().await;
                self.life.trace().line(self.life.name(), format_args!("store: {}", stringify!($write)));
                let result = self.inner.$write($($w),*).await;
                self.life.step().await;
                result
            })*
        }
    };
}

gated! {
    MetadataStore, MemoryMetadata {
        read account(id: AccountId) -> Result<Option<Account>>;
        read account_by_email(email: &Email) -> Result<Option<Account>>;
        read accounts(after: Option<AccountId>, limit: usize) -> Result<Vec<Account>>;
        read session(token: &TokenHash) -> Result<Option<Session>>;
        read devices(account: AccountId) -> Result<Vec<Device>>;
        read head(namespace: NamespaceId) -> Result<Option<NamespaceHead>>;
        read readable_namespaces(account: AccountId) -> Result<Vec<NamespaceId>>;
        read nodes(namespace: NamespaceId, ids: &[NodeId]) -> Result<Vec<Option<Node>>>;
        read child(namespace: NamespaceId, parent: NodeId, key: &NameKey) -> Result<Option<Node>>;
        read child_at(
            namespace: NamespaceId,
            parent: NodeId,
            key: &NameKey,
            at: Seq
        ) -> Result<Option<Node>>;
        read vacated(
            namespace: NamespaceId,
            parent: NodeId,
            at: Seq,
            after: Option<&NameKey>,
            limit: usize
        ) -> Result<Vec<NodeName>>;
        read last_child(namespace: NamespaceId, parent: NodeId, key: &NameKey) -> Result<Option<Node>>;
        read children_at(
            namespace: NamespaceId,
            parent: NodeId,
            at: Option<Seq>,
            after: Option<&NameKey>,
            limit: usize
        ) -> Result<NodePage>;
        read trashed(namespace: NamespaceId, after: Option<NodeId>, limit: usize) -> Result<NodePage>;
        read ancestors_at(namespace: NamespaceId, node: NodeId, at: Option<Seq>) -> Result<Option<Vec<Node>>>;
        read nodes_at(namespace: NamespaceId, at: Seq, after: Option<NodeId>, limit: usize) -> Result<NodePage>;
        read subtree_at(
            namespace: NamespaceId,
            folder: NodeId,
            at: Seq,
            after: Option<NodeId>,
            limit: usize
        ) -> Result<NodePage>;
        read revisions(
            namespace: NamespaceId,
            node: NodeId,
            before: Option<Seq>,
            limit: usize
        ) -> Result<NodePage>;
        read revision(namespace: NamespaceId, node: NodeId, content_seq: Seq) -> Result<Option<Node>>;
        read changes(cursor: &Cursor, limit: usize) -> Result<Changes>;
        read entries_before(
            namespace: NamespaceId,
            before: Option<Seq>,
            limit: usize
        ) -> Result<Vec<JournalEntry>>;
        read written(namespace: NamespaceId, seqs: &[Seq]) -> Result<Vec<Option<Written>>>;
        read origin(namespace: NamespaceId) -> Result<Cursor>;
        read have(
            namespace: NamespaceId,
            account: AccountId,
            hashes: &[ChunkHash],
            now: Timestamp,
            extend_to: Timestamp
        ) -> Result<Vec<bool>>;
        read referenced(namespaces: &[NamespaceId], hashes: &[ChunkHash]) -> Result<Vec<bool>>;
        read unverified_contents(namespace: NamespaceId, limit: usize) -> Result<Vec<UnverifiedContent>>;
        read namespaces(after: Option<NamespaceId>, limit: usize) -> Result<Vec<NamespaceId>>;
        read check(namespace: NamespaceId) -> Result<Vec<String>>;
        write create_account(account: &Account, incarnation: Incarnation) -> Result<()>;
        write update_account(account: &Account) -> Result<()>;
        write link_device(device: &Device, token: &AccessToken, refresh: Option<&RefreshToken>) -> Result<()>;
        write touch_device(account: AccountId, device: DeviceId, now: Timestamp) -> Result<()>;
        write unlink_device(account: AccountId, device: DeviceId) -> Result<bool>;
        write commit(commit: Commit) -> Result<CommitOutcome>;
        write report_cursor(cursor: &Cursor, device: DeviceId) -> Result<CursorReport>;
        write grant(
            namespace: NamespaceId,
            account: AccountId,
            hashes: &[ChunkHash],
            lease: i64,
            expires_at: Timestamp
        ) -> Result<()>;
        write record_content_hash(
            namespace: NamespaceId,
            node: NodeId,
            content_seq: Seq,
            computed: ContentHash,
            now: Timestamp
        ) -> Result<()>;
        write remove_expired(now: Timestamp) -> Result<u64>;
    }
}

gated! {
    AccessStore, MemoryMetadata {
        read app_link(refresh: &TokenHash) -> Result<Option<AppLink>>;
        read app(key: &AppKey) -> Result<Option<App>>;
        read apps(after: Option<&AppKey>, limit: usize) -> Result<Vec<App>>;
        write add_token(
            account: AccountId,
            device: DeviceId,
            token: &AccessToken,
            now: Timestamp
        ) -> Result<bool>;
        write ask_wipe(account: AccountId, device: DeviceId, wipe: Wipe) -> Result<bool>;
        write put_app(app: &App) -> Result<()>;
        write remove_app(key: &AppKey) -> Result<bool>;
        write add_code(code: &AuthCode, now: Timestamp) -> Result<()>;
        write take_code(hash: &TokenHash) -> Result<Option<AuthCode>>;
    }
}

gated! {
    UploadStore, MemoryMetadata {
        read upload(account: AccountId, id: UploadId) -> Result<Option<Upload>>;
        read pieces(account: AccountId, id: UploadId, from: u64, limit: usize) -> Result<Vec<UploadPiece>>;
        write begin_upload(upload: &Upload, now: Timestamp) -> Result<bool>;
        write add_piece(
            account: AccountId,
            id: UploadId,
            piece: &UploadPiece,
            closes: bool
        ) -> Result<PieceOutcome>;
        write end_upload(account: AccountId, id: UploadId) -> Result<bool>;
    }
}

gated! {
    CredentialStore, MemoryMetadata {
        read second_factor(account: AccountId) -> Result<Option<SecondFactor>>;
        read identity(identity: &IdentityHash) -> Result<Option<AccountId>>;
        read link(hash: &TokenHash) -> Result<Option<OneTimeLink>>;
        read identities(account: AccountId) -> Result<usize>;
        write link_identity(identity: &IdentityHash, account: AccountId) -> Result<bool>;
        write unlink_identities(account: AccountId) -> Result<usize>;
        write create_account_of(
            identity: &IdentityHash,
            account: &Account,
            incarnation: Incarnation
        ) -> Result<bool>;
        write add_link(link: &OneTimeLink) -> Result<()>;
        write take_link(hash: &TokenHash) -> Result<Option<OneTimeLink>>;
        write set_second_factor(
            account: AccountId,
            factor: Option<&SecondFactor>,
            recovery: &[TokenHash]
        ) -> Result<()>;
        write use_step(account: AccountId, step: i64) -> Result<bool>;
        write use_recovery_code(account: AccountId, code: &TokenHash) -> Result<bool>;
    }
}

gated! {
    TagStore, MemoryMetadata {
        read tags(namespace: NamespaceId, nodes: &[NodeId]) -> Result<Vec<Vec<String>>>;
        write add_tag(namespace: NamespaceId, node: NodeId, tag: &str, most: usize) -> Result<bool>;
        write remove_tag(namespace: NamespaceId, node: NodeId, tag: &str) -> Result<bool>;
    }
}

gated! {
    AuditStore, MemoryMetadata {
        read audit(
            account: Option<AccountId>,
            after: Option<AuditPosition>,
            limit: usize
        ) -> Result<Vec<AuditEntry>>;
        write add_audit(entry: &AuditEntry) -> Result<()>;
        write remove_audit(account: Option<AccountId>, before: Timestamp) -> Result<u64>;
    }
}

gated! {
    ChunkStore, MemoryChunks {
        read get(hash: &ChunkHash) -> cairn_chunks::Result<Option<EncodedChunk>>;
        read touch(hashes: &[ChunkHash]) -> cairn_chunks::Result<(Vec<bool>, Lease)>;
        read list(after: Option<&ChunkHash>, limit: usize) -> cairn_chunks::Result<Vec<ChunkHash>>;
        write put(chunks: Vec<NewChunk>) -> cairn_chunks::Result<Lease>;
        write close() -> cairn_chunks::Result<()>;
    }
}

gated! {
    ClientState, MemoryState {
        read cursor(namespace: NamespaceId) -> StateResult<Option<Cursor>>;
        read waypoints(namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>>;
        read checkpoints(namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>>;
        read counts(namespace: NamespaceId) -> StateResult<Counts>;
        read neighbourhood(
            namespace: NamespaceId,
            after: Option<NodeId>,
            limit: usize
        ) -> StateResult<Neighbourhood>;
        read local(namespace: NamespaceId, node: NodeId) -> StateResult<Option<LocalRow>>;
        read locals(namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<LocalRow>>>;
        read remote(namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>>;
        read remotes(namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<Entry>>>;
        read synced(namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>>;
        read local_children(namespace: NamespaceId, folder: NodeId) -> StateResult<Vec<LocalRow>>;
        read local_by_inode(namespace: NamespaceId, inode: u64) -> StateResult<Vec<LocalRow>>;
        read known_inodes(namespace: NamespaceId, inodes: &[u64]) -> StateResult<HashSet<u64>>;
        read local_files(
            namespace: NamespaceId,
            since: Option<Timestamp>,
            after: Option<NodeId>,
            limit: usize
        ) -> StateResult<Vec<LocalRow>>;
        read unsure(namespace: NamespaceId, limit: usize) -> StateResult<Vec<LocalRow>>;
        read disk_path(namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>>;
        read remote_path(namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>>;
        read local_at(namespace: NamespaceId, path: &[String]) -> StateResult<Option<LocalRow>>;
        read contents(file_ids: &[FileId]) -> StateResult<Vec<Option<FileContent>>>;
        read pages(hashes: &[ChunkHash]) -> StateResult<Vec<Option<Vec<u8>>>>;
        read locals_with_contents(namespace: NamespaceId, file_ids: &[FileId]) -> StateResult<Vec<Option<LocalRow>>>;
        read remote_has_content(namespace: NamespaceId, file_id: FileId) -> StateResult<bool>;
        read unfinished_listing(namespace: NamespaceId) -> StateResult<Option<(Cursor, Option<NodeId>)>>;
        read in_flight(namespace: NamespaceId) -> StateResult<Option<InFlight>>;
        read intents(namespace: NamespaceId) -> StateResult<Vec<Intent>>;
        read setting(key: &str) -> StateResult<Option<String>>;
        read activity(limit: usize) -> StateResult<Vec<(Timestamp, String, String)>>;
        read seen(namespace: NamespaceId) -> StateResult<Seq>;
        read conflicts(namespace: NamespaceId) -> StateResult<Vec<ConflictRow>>;
        read local_named(namespace: NamespaceId, part: &str, limit: usize) -> StateResult<Vec<LocalRow>>;
        read displaced(namespace: NamespaceId, limit: usize) -> StateResult<Vec<Displaced>>;
        read displaced_total(namespace: NamespaceId) -> StateResult<DisplacedTotal>;
        read excluded(namespace: NamespaceId) -> StateResult<Vec<(NodeId, String)>>;
        read is_withheld(namespace: NamespaceId, node: NodeId) -> StateResult<bool>;
        read remote_at(namespace: NamespaceId, path: &[NodeName]) -> StateResult<Option<NodeId>>;
        read close() -> ();
        write exclude(namespace: NamespaceId, node: NodeId, path: Option<&str>) -> StateResult<()>;
        write apply(namespace: NamespaceId, batch: StateBatch) -> StateResult<()>;
        write keep_pages(pages: &[EncodedPage]) -> StateResult<()>;
        write begin_listing(namespace: NamespaceId, at: Cursor) -> StateResult<()>;
        write add_to_listing(namespace: NamespaceId, nodes: &[Node]) -> StateResult<()>;
        write finish_listing(namespace: NamespaceId, kind: Relisted) -> StateResult<()>;
        write add_intent(namespace: NamespaceId, intent: &Intent) -> StateResult<()>;
        write set_setting(key: &str, value: Option<&str>) -> StateResult<()>;
        write note_activity(at: Timestamp, what: &str, path: &str) -> StateResult<()>;
    }
}
