//! Seam 1: who has what, in which order.
//!
//! [`MetadataStore`] is a trait of whole verbs: each call is atomic and, where it writes, durable when it returns.
//! The in-memory store is the executable specification; SQLite serves one machine. Every store passes
//! [`conformance`].
//!
//! To add a verb: its contract here, cases in `conformance.rs`, `memory.rs`, then `sqlite/`.

mod access;
mod audit;
mod codec;
pub mod conformance;
mod credentials;
mod error;
mod invariants;
mod memory;
mod row;
mod rules;
mod scopes;
pub mod sqlite;
mod tags;
mod uploads;

pub use access::{
    AccessStore, AccessToken, App, AppKey, AppLink, AuthCode, CODES_PER_ACCOUNT, Challenge, ChallengeMethod,
    LinkKind, RefreshToken, TOKENS_PER_LINK, Wipe,
};
pub use audit::{AuditEntry, AuditPosition, AuditStore};
pub use credentials::{CredentialStore, IdentityHash, LinkPurpose, OneTimeLink, SecondFactor};
pub use error::MetadataError;
pub use memory::MemoryMetadata;
pub use scopes::{Scope, Scopes};
pub use sqlite::SqliteMetadata;
pub use tags::TagStore;
pub use uploads::{PieceOutcome, UPLOADS_PER_ACCOUNT, Upload, UploadId, UploadPiece, UploadStore};

use std::fmt;

use async_trait::async_trait;
use cairn_core::change::{GroupOutcome, JournalEntry, Op};
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, Incarnation, NamespaceId, NodeId, OpId,
};
use cairn_core::name::{NameKey, NodeName};
use cairn_core::node::Node;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

/// Milliseconds for which operation ids stay: the 30 days that are promised and one to spare.
const OP_ID_MS: i64 = 31 * 86_400_000;

/// Milliseconds that a grant must gain to be extended: who asks all the time has it written once a day.
const EXTENSION_MS: i64 = 86_400_000;

/// Milliseconds of an hour: devices are seen to the hour.
const HOUR_MS: i64 = 3_600_000;

/// The result of every verb.
pub type Result<T> = std::result::Result<T, MetadataError>;

/// An e-mail address as the key of an account: trimmed, lower case, with one `@`, 3 to 254 characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

impl Email {
    /// Normalises and checks an address; `None` when it cannot be one.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim().to_lowercase();
        let (local, domain) = text.split_once('@')?;
        let legal = |part: &str| {
            !part.is_empty()
                && !part.contains('@')
                && !part.chars().any(|c| c.is_whitespace() || c.is_control())
        };
        if !legal(local) || !legal(domain) || text.chars().count() > cairn_core::limits::EMAIL_CHARS {
            return None;
        }
        Some(Self(text))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Prints no more than what an operator's log may hold.
impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

/// A person's account.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Its address.
    pub email: Email,
    /// The password in PHC string format (Argon2id).
    pub password_hash: String,
    /// The namespace of the account's own files.
    pub root: NamespaceId,
    /// Whether it may administer the server.
    pub is_admin: bool,
    /// Whether it is locked out.
    pub is_disabled: bool,
    /// Live bytes that its namespaces may hold; `None` for no bound.
    pub quota_bytes: Option<u64>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Prints neither the address nor the hash, at which passwords could be tried.
impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("id", &self.id)
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// SHA-256 of a bearer token. The token itself is never stored.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Prints nothing of the hash: whoever can look tokens up by it could recognise one in a log.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// One linked device, or what else is linked to an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub id: DeviceId,
    /// The name that its owner sees, at most 64 characters.
    pub name: String,
    /// When it was linked.
    pub created_at: Timestamp,
    /// When it was last heard of, to the hour.
    pub last_seen_at: Timestamp,
    /// What it is.
    pub kind: LinkKind,
    /// The app, of a link that one has.
    pub app: Option<AppKey>,
    /// What it was asked to delete, and has not yet said that it did.
    pub wipe: Option<Wipe>,
}

/// Whom a token speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The account.
    pub account: AccountId,
    /// The device.
    pub device: DeviceId,
    /// After this instant the token is refused; `None` when it does not expire.
    pub expires_at: Option<Timestamp>,
    /// Whether the account is locked out.
    pub is_disabled: bool,
    /// What the token may do.
    pub scopes: Scopes,
    /// What the device is to delete: it may do nothing else any more.
    pub wipe: Option<Wipe>,
}

/// Where a namespace's journal stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceHead {
    /// The namespace.
    pub id: NamespaceId,
    /// The account that pays for it.
    pub owner: AccountId,
    /// The life of its journal.
    pub incarnation: Incarnation,
    /// The last entry.
    pub seq: Seq,
    /// The chain hash of the last entry; of an empty journal: zeros.
    pub chain: ChainHash,
    /// Entries at or below it may be gone.
    pub journal_floor: Seq,
    /// Live logical bytes.
    pub bytes_used: u64,
    /// Commits refuse grants whose lease is older than one epoch before this.
    pub fence_epoch: i64,
}

impl NamespaceHead {
    /// The cursor of a reader that has everything.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            namespace: self.id,
            incarnation: self.incarnation,
            seq: self.seq,
            chain: self.chain,
        }
    }
}

/// One atomic group of operations, with the chunks that its new contents need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Applied in order; moves within one group may swap names: what counts is the state after the last of them.
    pub ops: Vec<Op>,
    /// Every chunk, and every page of a tree manifest, that the contents in `ops` are made of. Each must be referenced
    /// by the namespace already or granted to the account.
    pub chunks: Vec<ChunkHash>,
}

/// A request to change a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The namespace.
    pub namespace: NamespaceId,
    /// Who asks; grants are looked up by it.
    pub account: AccountId,
    /// From which device.
    pub device: DeviceId,
    /// Names the attempt: the same id with the same `request_hash` is answered as the first time and applied once.
    pub op_id: OpId,
    /// Hash over what was asked.
    pub request_hash: [u8; 32],
    /// Where the journal was when it was asked; `None` where no operation names anything by its number.
    pub known: Option<Cursor>,
    /// The server's time.
    pub now: Timestamp,
    /// At most [`cairn_core::limits::COMMIT_OPS`] operations in all.
    pub groups: Vec<Group>,
}

/// Refuses a commit that is too large.
fn check_size(commit: &Commit) -> Result<()> {
    let count = commit.groups.iter().map(|group| group.ops.len()).sum();
    let limit = cairn_core::limits::COMMIT_OPS;
    if count > limit {
        Err(MetadataError::TooManyOps { count, limit })
    } else {
        Ok(())
    }
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitOutcome {
    /// One per group, in order.
    pub groups: Vec<GroupOutcome>,
    /// The journal after the commit (of a repeated request: after its first application).
    pub cursor: Cursor,
    /// The journal's chain before the commit's first entry. Who had read the journal up to there has it up to `cursor` with
    /// this answer: what came between is the commit.
    pub base: ChainHash,
}

/// A page of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Entries after the cursor, ending at the end of a group.
    Page {
        /// The entries, in order; empty when the reader has everything.
        entries: Vec<JournalEntry>,
        /// The reader's next cursor.
        cursor: Cursor,
        /// Whether there is more.
        has_more: bool,
    },
    /// The cursor cannot be followed.
    Reset {
        /// Why.
        reason: ResetReason,
        /// Where the journal stands: list the tree there, then go on from it.
        head: Cursor,
    },
}

/// Why a cursor cannot be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResetReason {
    /// The entries after it are gone: list the tree at the head; what is absent there was deleted.
    BelowFloor,
    /// It is not on this journal: the server was restored from a backup or is another one. Merge, delete nothing.
    NotOnChain,
}

/// Who wrote a journal entry about which node, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The node.
    pub node: NodeId,
    /// The device.
    pub device: DeviceId,
    /// When, by the server's clock.
    pub at: Timestamp,
}

/// A page of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePage {
    /// The nodes, in the order of the verb.
    pub nodes: Vec<Node>,
    /// Whether there is more.
    pub has_more: bool,
}

/// A file whose claimed content hash nobody has checked yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedContent {
    /// The namespace.
    pub namespace: NamespaceId,
    /// The node, in the state that `content_seq` wrote.
    pub node: Node,
}

/// What a device's report of its cursor told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CursorReport {
    /// It is at or past what it reported before.
    Accepted,
    /// It is behind what it reported before: the device was restored from a backup. It must merge, deleting nothing.
    /// The lower position is not recorded: it is told until it has merged, whatever keeps it from that.
    DeviceRestored,
}

/// Who has what, in which order. See the crate's documentation for what every verb promises.
#[async_trait]
pub trait MetadataStore: AccessStore + AuditStore + CredentialStore + TagStore + UploadStore {
    // Accounts and devices.

    /// Makes an account with an empty root namespace of the given incarnation.
    ///
    /// # Errors
    /// [`MetadataError::EmailTaken`].
    async fn create_account(&self, account: &Account, incarnation: Incarnation) -> Result<()>;

    /// Finds an account.
    async fn account(&self, id: AccountId) -> Result<Option<Account>>;

    /// Finds an account by address.
    async fn account_by_email(&self, email: &Email) -> Result<Option<Account>>;

    /// Lists accounts by id, after `after`, at most `limit`.
    async fn accounts(&self, after: Option<AccountId>, limit: usize) -> Result<Vec<Account>>;

    /// Replaces password, administrator flag, lock and quota of an existing account; id, address and root stay.
    ///
    /// # Errors
    /// [`MetadataError::AccountNotFound`].
    async fn update_account(&self, account: &Account) -> Result<()>;

    /// Links a device, or an app, and its token; one that exists gets the tokens in place of all that it had, and is not to
    /// be wiped any more. A refresh token needs [`Device::app`].
    ///
    /// # Errors
    /// [`MetadataError::AccountNotFound`].
    async fn link_device(
        &self,
        device: &Device,
        token: &AccessToken,
        refresh: Option<&RefreshToken>,
    ) -> Result<()>;

    /// Says whom a token speaks for; `None` for an unknown one. Expiry is the caller's to judge.
    async fn session(&self, token: &TokenHash) -> Result<Option<Session>>;

    /// Lists an account's devices by id.
    async fn devices(&self, account: AccountId) -> Result<Vec<Device>>;

    /// Records that a device was heard of.
    async fn touch_device(&self, account: AccountId, device: DeviceId, now: Timestamp) -> Result<()>;

    /// Forgets a device and all its tokens; false when there was none.
    async fn unlink_device(&self, account: AccountId, device: DeviceId) -> Result<bool>;

    // Namespaces.

    /// Where a namespace stands.
    async fn head(&self, namespace: NamespaceId) -> Result<Option<NamespaceHead>>;

    /// The namespaces that an account may read now, by id.
    async fn readable_namespaces(&self, account: AccountId) -> Result<Vec<NamespaceId>>;

    // Trees. Reads of one call see one state. Nodes in the trash count as absent. A position `at` is the end of a group:
    // those between are no valid trees.

    /// Finds nodes by id, in the order asked, as they are now.
    async fn nodes(&self, namespace: NamespaceId, ids: &[NodeId]) -> Result<Vec<Option<Node>>>;

    /// Finds the node that has a name in a folder now.
    async fn child(&self, namespace: NamespaceId, parent: NodeId, key: &NameKey) -> Result<Option<Node>>;

    /// Finds the node that had a name in a folder after `at`.
    async fn child_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        key: &NameKey,
        at: Seq,
    ) -> Result<Option<Node>>;

    /// Finds the node that has a name in a folder now, or else the one that had it last, as it is now; both may be in the
    /// trash or below it.
    async fn last_child(&self, namespace: NamespaceId, parent: NodeId, key: &NameKey)
    -> Result<Option<Node>>;

    /// Lists the names that something had in a folder before `at` and nothing had after it, each as it was spelled last, by name key,
    /// after `after`; of a folder that stood in the tree then. One more than `limit` says that there is more.
    async fn vacated(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Seq,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<Vec<NodeName>>;

    /// Lists a folder as it was after `at` (`None`: as it is now), by name key, after `after`. Keyset paging: a page
    /// costs the same however long the folder is.
    async fn children_at(
        &self,
        namespace: NamespaceId,
        parent: NodeId,
        at: Option<Seq>,
        after: Option<&NameKey>,
        limit: usize,
    ) -> Result<NodePage>;

    /// Lists the nodes that were moved to the trash themselves, by node id, after `after`. What lies below them is not
    /// listed; their `place.name` is the name that they had.
    async fn trashed(&self, namespace: NamespaceId, after: Option<NodeId>, limit: usize) -> Result<NodePage>;

    /// The folders above a node after `at`, nearest first, the root left out; `None` when the node was not there.
    async fn ancestors_at(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        at: Option<Seq>,
    ) -> Result<Option<Vec<Node>>>;

    /// Lists all nodes of a namespace that stood in its tree after `at`, by node id, after `after`. Parents do not
    /// come before children.
    async fn nodes_at(
        &self,
        namespace: NamespaceId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage>;

    /// Lists what lay below a folder after `at`, the folder left out, by node id, after `after`.
    async fn subtree_at(
        &self,
        namespace: NamespaceId,
        folder: NodeId,
        at: Seq,
        after: Option<NodeId>,
        limit: usize,
    ) -> Result<NodePage>;

    /// The states that a file's content went through, newest first, before `before`; the place is the current one.
    async fn revisions(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<NodePage>;

    /// Finds a node in the state that `content_seq` wrote, current or past, in the trash or not.
    async fn revision(&self, namespace: NamespaceId, node: NodeId, content_seq: Seq) -> Result<Option<Node>>;

    // The journal.

    /// Reads the journal after a cursor: at most `limit` entries, then on to the end of the last group.
    ///
    /// # Errors
    /// [`MetadataError::NamespaceNotFound`].
    async fn changes(&self, cursor: &Cursor, limit: usize) -> Result<Changes>;

    /// Reads the journal backwards from before a position (`None`: from its head), newest first: at most `limit` entries, then
    /// on to the beginning of the last group.
    async fn entries_before(
        &self,
        namespace: NamespaceId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<JournalEntry>>;

    /// Says who wrote the journal's entries at these positions, and when, in the order asked; `None` where there is none (any
    /// more).
    async fn written(&self, namespace: NamespaceId, seqs: &[Seq]) -> Result<Vec<Option<Written>>>;

    /// The cursor before the first entry of a namespace's journal.
    ///
    /// # Errors
    /// [`MetadataError::NamespaceNotFound`].
    async fn origin(&self, namespace: NamespaceId) -> Result<Cursor>;

    /// Applies a commit: one transaction, durable when this returns. Groups are judged one after another, each on the
    /// state that those before it left.
    ///
    /// # Errors
    /// [`MetadataError::NamespaceNotFound`]; [`MetadataError::OpIdReused`] when the op id came with another request
    /// before; [`MetadataError::NotOnChain`] when the journal was never where `known` says, unless the commit was answered
    /// before; [`MetadataError::TooManyOps`].
    async fn commit(&self, commit: Commit) -> Result<CommitOutcome>;

    /// Records how far a device has durably followed a namespace; no further than to its head.
    async fn report_cursor(&self, cursor: &Cursor, device: DeviceId) -> Result<CursorReport>;

    // Chunks.

    /// Allows an account to commit these chunks to a namespace until `expires_at`; `lease` is the epoch in which the
    /// chunk store held them.
    async fn grant(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        lease: i64,
        expires_at: Timestamp,
    ) -> Result<()>;

    /// For each hash, whether the account may commit it to the namespace: it is referenced there, or granted until
    /// after `now`. Answers from references and grants alone, never from the chunk store. Grants that end more than a day before
    /// `extend_to` last until then: who asks is still sending what belongs to them.
    async fn have(
        &self,
        namespace: NamespaceId,
        account: AccountId,
        hashes: &[ChunkHash],
        now: Timestamp,
        extend_to: Timestamp,
    ) -> Result<Vec<bool>>;

    /// For each hash, whether one of the namespaces references it.
    async fn referenced(&self, namespaces: &[NamespaceId], hashes: &[ChunkHash]) -> Result<Vec<bool>>;

    // The job that checks content hashes.

    /// Lists current contents of one namespace whose content hash is unverified, by content position, at most `limit`.
    async fn unverified_contents(
        &self,
        namespace: NamespaceId,
        limit: usize,
    ) -> Result<Vec<UnverifiedContent>>;

    /// Records a content hash that the server computed itself. A wrong claim is repaired: the corrected hash becomes
    /// the node's, with a new journal entry. Does nothing when the content has changed since.
    async fn record_content_hash(
        &self,
        namespace: NamespaceId,
        node: NodeId,
        content_seq: Seq,
        computed: ContentHash,
        now: Timestamp,
    ) -> Result<()>;

    /// Removes grants, uploads and one-time links that expired before `now`; returns how many grants. Operation ids stay for 30
    /// days at least.
    async fn remove_expired(&self, now: Timestamp) -> Result<u64>;

    /// Lists every namespace by id, after `after`, at most `limit`; for jobs.
    async fn namespaces(&self, after: Option<NamespaceId>, limit: usize) -> Result<Vec<NamespaceId>>;

    /// Checks the invariants of a namespace and names each violation: one root, no cycle, no orphan, unique keys,
    /// dense journal, unbroken chain, bytes_used equal to the sum of sizes, history intervals without gap or overlap.
    async fn check(&self, namespace: NamespaceId) -> Result<Vec<String>>;
}
