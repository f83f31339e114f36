//! One account with an empty namespace, and short words for what tests do to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cairn_core::change::{GroupOutcome, JournalEntry, Op, Refusal};
use cairn_core::ids::{
    AccountId, ChunkHash, ContentHash, DeviceId, FileId, Incarnation, NamespaceId, NodeId, OpId,
};
use cairn_core::manifest::{ChunkEntry, Manifest};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, Node, Place};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;

use crate::{Account, Changes, Commit, CommitOutcome, Email, Group, MetadataStore};

/// How large a file's only chunk is, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Scale(pub u32);

/// A store with one account, its namespace and one device.
pub struct Fixture {
    /// The store.
    pub store: Arc<dyn MetadataStore>,
    /// The account.
    pub account: Account,
    /// The account's namespace.
    pub namespace: NamespaceId,
    /// The device that writes.
    pub device: DeviceId,
    next: AtomicI64,
}

/// An instant late enough for every grant to be valid at [`NOW`].
pub(super) const LATER: Timestamp = Timestamp::from_millis(2_000_000);
pub(super) const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn id<T>(made: Result<T, cairn_core::ids::IdRangeError>) -> T {
    made.expect("identifiers of the suite are positive")
}

pub(super) fn name(text: &str) -> NodeName {
    NodeName::new(text).expect("names of the suite are legal")
}

pub(super) fn place(parent: NodeId, text: &str) -> Place {
    Place {
        parent,
        name: name(text),
    }
}

pub(super) fn account(number: i64, email: &str) -> Account {
    Account {
        id: id(AccountId::new(number)),
        email: Email::new(email).expect("addresses of the suite are legal"),
        password_hash: "$argon2id$".to_owned(),
        root: id(NamespaceId::new(number + 1)),
        is_admin: false,
        is_disabled: false,
        quota_bytes: None,
        created_at: Timestamp::from_millis(1),
    }
}

/// A file whose only chunk is named by its text; its content hash claims to be of the text.
pub(super) fn file(text: &str, scale: Scale) -> Content {
    let hash = ChunkHash::of(text.as_bytes());
    let mut claimed = *hash.as_bytes();
    claimed[0] ^= 0xff;
    Content::File(FileContent {
        size: u64::from(scale.0),
        file_id: FileId::new(*hash.as_bytes()),
        manifest: Manifest::Inline(vec![ChunkEntry { hash, len: scale.0 }]),
        content_hash: ContentHash::new(claimed),
    })
}

impl Fixture {
    /// Makes the account in an empty store.
    ///
    /// # Panics
    /// When the store cannot make it.
    pub async fn new(store: Arc<dyn MetadataStore>) -> Self {
        let account = account(0x1000, "someone@example.org");
        store
            .create_account(&account, Incarnation::new([7; 16]))
            .await
            .expect("an account is made");
        Self {
            store,
            namespace: account.root,
            account,
            device: id(DeviceId::new(0x2000)),
            next: AtomicI64::new(0x10_0000),
        }
    }

    /// Takes up the account that [`Fixture::new`] made in a store before.
    ///
    /// # Panics
    /// When the account is not there.
    pub async fn reopened(store: Arc<dyn MetadataStore>) -> Self {
        let account = account(0x1000, "someone@example.org");
        let account = store.account(account.id).await.expect("accounts are read");
        let account = account.expect("the account was made before");
        Self {
            store,
            namespace: account.root,
            account,
            device: id(DeviceId::new(0x2000)),
            next: AtomicI64::new(0x10_0000),
        }
    }

    fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// A node id that no node has.
    pub fn fresh_node(&self) -> NodeId {
        id(NodeId::new(self.number()))
    }

    /// A commit of these groups under an operation id of its own.
    pub fn request(&self, groups: Vec<Vec<Op>>) -> Commit {
        let mut op_id = [0; 16];
        op_id[..8].copy_from_slice(&self.number().to_le_bytes());
        let group = |ops: Vec<Op>| Group {
            ops,
            chunks: Vec::new(),
        };
        Commit {
            namespace: self.namespace,
            account: self.account.id,
            device: self.device,
            op_id: OpId::new(op_id),
            request_hash: [1; 32],
            known: None,
            now: NOW,
            groups: groups.into_iter().map(group).collect(),
        }
    }

    pub(super) async fn commit(&self, commit: Commit) -> CommitOutcome {
        self.store.commit(commit).await.expect("the commit is judged")
    }

    /// Commits one group.
    pub(super) async fn group(&self, ops: Vec<Op>) -> GroupOutcome {
        let mut outcome = self.commit(self.request(vec![ops])).await;
        outcome.groups.pop().expect("one group, one outcome")
    }

    /// Commits one group that must apply.
    pub(super) async fn apply(&self, ops: Vec<Op>) -> Vec<Seq> {
        match self.group(ops).await {
            GroupOutcome::Applied { seqs } => seqs,
            GroupOutcome::Refused { op_index, refusal } => panic!("operation {op_index} refused: {refusal}"),
        }
    }

    /// Commits one group that must be refused.
    pub(super) async fn refused(&self, ops: Vec<Op>) -> (usize, Refusal) {
        match self.group(ops).await {
            GroupOutcome::Refused { op_index, refusal } => (op_index, refusal),
            GroupOutcome::Applied { seqs } => panic!("applied at {seqs:?}"),
        }
    }

    pub(super) async fn grant(&self, text: &str) {
        let hash = ChunkHash::of(text.as_bytes());
        self.store
            .grant(self.namespace, self.account.id, &[hash], 0, LATER)
            .await
            .expect("a grant is written");
    }

    /// An operation that makes a folder, with the folder's id.
    pub fn new_folder(&self, parent: NodeId, text: &str) -> (NodeId, Op) {
        let node = self.fresh_node();
        let op = Op::Create {
            node,
            place: place(parent, text),
            content: Content::Directory,
            attributes: Attributes::default(),
        };
        (node, op)
    }

    /// An operation that makes a file named and filled with `text`, with the file's id.
    pub fn new_file(&self, parent: NodeId, text: &str, scale: Scale) -> (NodeId, Op) {
        let node = self.fresh_node();
        let op = Op::Create {
            node,
            place: place(parent, text),
            content: file(text, scale),
            attributes: Attributes::default(),
        };
        (node, op)
    }

    pub(super) async fn folder(&self, parent: NodeId, text: &str) -> NodeId {
        let (node, op) = self.new_folder(parent, text);
        self.apply(vec![op]).await;
        node
    }

    pub(super) async fn file(&self, parent: NodeId, text: &str, scale: Scale) -> NodeId {
        self.grant(text).await;
        let (node, op) = self.new_file(parent, text, scale);
        self.apply(vec![op]).await;
        node
    }

    pub(super) async fn node(&self, node: NodeId) -> Node {
        let mut found = self
            .store
            .nodes(self.namespace, &[node])
            .await
            .expect("nodes are read");
        found.pop().flatten().expect("the node is there")
    }

    pub(super) async fn move_op(&self, node: NodeId, parent: NodeId, text: &str) -> Op {
        Op::Move {
            node,
            place: place(parent, text),
            base_place: self.node(node).await.place_seq,
        }
    }

    pub(super) async fn edit_op(&self, node: NodeId, text: &str, scale: Scale) -> Op {
        self.grant(text).await;
        Op::Edit {
            node,
            content: file(text, scale),
            attributes: Attributes::default(),
            base_content: self.node(node).await.content_seq,
        }
    }

    pub(super) async fn delete_op(&self, node: NodeId, seen: Option<Seq>) -> Op {
        let node = self.node(node).await;
        Op::Delete {
            node: node.id,
            base_place: node.place_seq,
            base_content: node.content_seq,
            seen,
        }
    }

    pub(super) async fn head(&self) -> crate::NamespaceHead {
        let head = self.store.head(self.namespace).await.expect("heads are read");
        head.expect("the namespace is there")
    }

    /// The whole journal.
    pub(super) async fn journal(&self) -> Vec<JournalEntry> {
        let origin = self
            .store
            .origin(self.namespace)
            .await
            .expect("there is an origin");
        match self.store.changes(&origin, usize::MAX).await {
            Ok(Changes::Page { entries, .. }) => entries,
            other => panic!("the journal cannot be read: {other:?}"),
        }
    }

    /// Names in a folder, in the order of the listing.
    pub(super) async fn names(&self, folder: NodeId, at: Option<Seq>) -> Vec<String> {
        let page = self
            .store
            .children_at(self.namespace, folder, at, None, 1_000)
            .await;
        let nodes = page.expect("listings are read").nodes;
        nodes.iter().map(|node| node.place.name.to_string()).collect()
    }

    /// The last word of each case: the namespace is sound.
    pub(super) async fn sound(&self) {
        let violations = self.store.check(self.namespace).await.expect("checks run");
        assert!(violations.is_empty(), "{violations:#?}");
    }
}
