//! What a device remembers: three trees, a cursor for each namespace, and the little that must survive a crash.
//!
//! Observations only, never work: what is to be done follows from the trees by planning. Everything is keyed by
//! (namespace, node). Each call is one transaction, durable when it returns.

pub mod inbox;
pub mod memory;
pub mod sqlite;

mod neighbourhood;
#[cfg(test)]
mod tests;
mod triple;

use std::collections::HashSet;

use async_trait::async_trait;
use cairn_core::ids::{ChainHash, ChunkHash, FileId, NamespaceId, NodeId, OpId};
use cairn_core::manifest::EncodedPage;
use cairn_core::name::NodeName;
use cairn_core::node::{FileContent, Node};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree::{Entry, Neighbourhood, Substance};

use crate::fs::Fingerprint;
use inbox::{ConflictRow, Displaced, DisplacedTotal};

/// What can go wrong with the state.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The database cannot be written or read now.
    #[error("cannot use the state database at {path}")]
    Unavailable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The database is damaged. It is a cache of what server and disk say: it can be set aside and built anew.
    #[error("the state database at {path} is damaged: {what}")]
    Corrupt {
        /// The file.
        path: String,
        /// What was found.
        what: String,
    },
    /// It was made by a newer version.
    #[error("the state database at {path} was made by a newer version of Cairn; install that version")]
    Newer {
        /// The file.
        path: String,
    },
}

/// Notes of activity that are kept.
const ACTIVITY_NOTES: usize = 1_000;

/// The result of every verb.
pub type StateResult<T> = Result<T, StateError>;

/// A node of the local tree with what only this device knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalRow {
    /// The node.
    pub node: NodeId,
    /// Its entry; `place.name` is the name that travels.
    pub entry: Entry,
    /// The name on this disk where it is another.
    pub disk_name: Option<String>,
    /// The state of the file when it was looked at.
    pub fingerprint: Fingerprint,
    /// Whether the file may have changed within the same tick of the clock since: it is read again soon.
    pub is_unsure: bool,
}

/// The content of a file that must be read again before anything can be said of it. No bytes have this name.
const UNKNOWN: FileId = FileId::new([0; 32]);

impl LocalRow {
    /// Forgets what the file holds, where a disk may have: the next scan reads it, and compares it with what both sides have
    /// agreed on.
    pub(crate) fn forget_content(&mut self) {
        self.is_unsure = true;
        self.entry.substance = Substance::File {
            file_id: UNKNOWN,
            size: self.fingerprint.size,
        };
    }

    /// Whether what the file holds is known, [forgotten](Self::forget_content) or not.
    pub(crate) fn is_content_known(&self) -> bool {
        !matches!(self.entry.substance, Substance::File { file_id: UNKNOWN, .. })
    }

    /// The name on this disk.
    pub fn name_on_disk(&self) -> &str {
        self.disk_name
            .as_deref()
            .unwrap_or_else(|| self.entry.place.name.as_str())
    }
}

/// A change of one node of the local tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every change is a row; boxing each would cost more"
)]
pub enum LocalChange {
    /// The node is there in this state.
    Put(LocalRow),
    /// The node is gone, with all that was below it.
    Remove(NodeId),
}

/// A change of the remote or the synced tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeChange {
    /// The node is there in this state.
    Put(NodeId, Entry),
    /// The node is gone, with all that was below it.
    RemoveSubtree(NodeId),
    /// The node alone is gone.
    RemoveNode(NodeId),
}

/// A commit that was sent and not yet answered; sent again as it is after a crash, so that its outcome is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// Names the attempt.
    pub op_id: OpId,
    /// The encoded request.
    pub request: Vec<u8>,
}

/// What the applier was about to do to the disk when it wrote this down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The staged name; unique.
    pub staged: String,
    /// The node.
    pub node: NodeId,
    /// The step, encoded by the applier.
    pub step: Vec<u8>,
}

/// Several changes in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateBatch {
    /// Of the remote tree.
    pub remote: Vec<TreeChange>,
    /// Of the local tree.
    pub local: Vec<LocalChange>,
    /// Of the synced tree; after those of the others.
    pub synced: Vec<TreeChange>,
    /// Local nodes that get another id, their children with them; before everything else.
    pub rebind: Vec<(NodeId, NodeId)>,
    /// Contents to remember by file id.
    pub contents: Vec<FileContent>,
    /// The cursor up to which the remote tree goes.
    pub cursor: Option<Cursor>,
    /// A commit that is about to be sent.
    pub in_flight: Option<InFlight>,
    /// A commit that was answered.
    pub settled: Option<OpId>,
    /// Where the journal stood after that commit: a checkpoint.
    pub checkpoint: Option<Cursor>,
    /// Intents that are done.
    pub done_intents: Vec<String>,
    /// Conflicted copies that were made.
    pub conflicts: Vec<ConflictRow>,
    /// Copies that are none any more; after [`Self::conflicts`].
    pub settled_conflicts: Vec<NodeId>,
    /// Files that were displaced and are to be looked at again.
    pub displaced: Vec<Displaced>,
    /// Staged names of displaced files that were looked at; after [`Self::displaced`].
    pub let_go: Vec<String>,
}

/// Waypoints of each age that are kept: of the last ones all of twice as many, then every second of as many, every fourth.
const WAYPOINTS_OF_AN_AGE: u64 = 16;

/// The number of the waypoint that goes when the one of this number comes; 0 when none does. One whose number can be halved
/// `n` times stays for `2^n` times as long as an odd one.
const fn outlived_by(number: u64) -> u64 {
    number.saturating_sub(WAYPOINTS_OF_AN_AGE << number.trailing_zeros())
}

/// What becomes of what both sides have agreed on when the remote tree was listed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relisted {
    /// It stays: the server has moved on, and the listing says how far.
    Ahead,
    /// It is forgotten, so that nothing is taken for a deletion: what is on one side only appears on the other.
    ///
    /// Up to `shared` the server's history is the one that this device has read. What the server has as of then, and this
    /// device has built on, is agreed on instead: what is on the disk is a change of it, and no conflict.
    Merge {
        /// Where the histories part; [`Seq::ZERO`] when that is not known.
        shared: Seq,
    },
}

/// How many nodes differ, for `status`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Nodes of the local tree.
    pub local_nodes: u64,
    /// Nodes of the remote tree.
    pub remote_nodes: u64,
    /// Nodes of which the three trees differ.
    pub dirty: u64,
}

/// The state of one synced folder.
#[async_trait]
pub trait ClientState: Send + Sync + 'static {
    /// Applies a batch. Nodes whose trees differ afterwards are dirty, others are not.
    async fn apply(&self, namespace: NamespaceId, batch: StateBatch) -> StateResult<()>;

    /// The cursor; `None` before the first listing is complete.
    async fn cursor(&self, namespace: NamespaceId) -> StateResult<Option<Cursor>>;

    /// Where the journal stood after each commit of this device that is newer than the cursor, oldest first. Of two at one
    /// position the first is kept; a listing that is a merge forgets them.
    async fn checkpoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>>;

    /// Where the journal stood when it was read to its end, oldest first: all of the last times, and ever fewer of those
    /// before, some eight of each twice as long ago.
    async fn waypoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>>;

    /// Counts.
    async fn counts(&self, namespace: NamespaceId) -> StateResult<Counts>;

    /// The neighbourhood of at most `limit` dirty nodes: those above `after` by id, each after the dirty folders above
    /// it in any tree, whatever their ids. The next page starts after the last of [`Neighbourhood::dirty`]; a page
    /// without any is the end. Holds more than `limit` only when one node alone has as many dirty folders above it.
    ///
    /// Loads what planning needs, each node with its entries in all trees: the chosen nodes, everything above them in
    /// each tree, who has the names that they have or want, and up to 64 of what is in a folder that is to go from the disk:
    /// one that both sides had and the server has no more, or that is withheld. Where many folders go it is fewer of each.
    async fn neighbourhood(
        &self,
        namespace: NamespaceId,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Neighbourhood>;

    /// A node of the local tree.
    async fn local(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<LocalRow>>;

    /// Nodes of the local tree, in the order asked.
    async fn locals(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<LocalRow>>>;

    /// A node of the remote tree.
    async fn remote(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>>;

    /// Nodes of the remote tree, in the order asked.
    async fn remotes(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<Entry>>>;

    /// A node of the synced tree.
    async fn synced(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>>;

    /// The nodes of a local folder by name on disk, in byte order.
    async fn local_children(&self, namespace: NamespaceId, folder: NodeId) -> StateResult<Vec<LocalRow>>;

    /// Local nodes with this inode; there are several only for hard links.
    async fn local_by_inode(&self, namespace: NamespaceId, inode: u64) -> StateResult<Vec<LocalRow>>;

    /// Those of these inodes that a local node has.
    async fn known_inodes(&self, namespace: NamespaceId, inodes: &[u64]) -> StateResult<HashSet<u64>>;

    /// Local files that are unsure, at most `limit`.
    async fn unsure(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<LocalRow>>;

    /// Files of the local tree above `after` by id, in the order of their ids, at most `limit`; with `since` only those that
    /// by their modification or change time were touched then or later, to the second. Goes over the files in between.
    async fn local_files(
        &self,
        namespace: NamespaceId,
        since: Option<Timestamp>,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>>;

    /// The disk names from the root down to a node of the local tree; `None` when it does not hang on the root.
    async fn disk_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>>;

    /// The names from the root down to a node of the remote tree.
    async fn remote_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>>;

    /// The local folder or file at a path of disk names.
    async fn local_at(&self, namespace: NamespaceId, path: &[String]) -> StateResult<Option<LocalRow>>;

    /// Contents by file id, in the order asked.
    async fn contents(&self, file_ids: &[FileId]) -> StateResult<Vec<Option<FileContent>>>;

    /// Remembers pages of long manifests. A memory aid: they may be forgotten once no content has them.
    async fn keep_pages(&self, pages: &[EncodedPage]) -> StateResult<()>;

    /// Pages of long manifests, in the order asked.
    async fn pages(&self, hashes: &[ChunkHash]) -> StateResult<Vec<Option<Vec<u8>>>>;

    /// For each of these contents a local file that has it, to copy from instead of fetching; in the order asked.
    async fn locals_with_contents(
        &self,
        namespace: NamespaceId,
        file_ids: &[FileId],
    ) -> StateResult<Vec<Option<LocalRow>>>;

    /// Whether a file of the remote tree has this content.
    async fn remote_has_content(&self, namespace: NamespaceId, file_id: FileId) -> StateResult<bool>;

    /// Starts a listing of the remote tree at a position: nodes go to a side table until [`Self::finish_listing`].
    async fn begin_listing(&self, namespace: NamespaceId, at: Cursor) -> StateResult<()>;

    /// A listing that was begun and not finished, with the last node it has.
    async fn unfinished_listing(
        &self,
        namespace: NamespaceId,
    ) -> StateResult<Option<(Cursor, Option<NodeId>)>>;

    /// Adds a page of a listing.
    async fn add_to_listing(&self, namespace: NamespaceId, nodes: &[Node]) -> StateResult<()>;

    /// Makes the listing the remote tree.
    async fn finish_listing(&self, namespace: NamespaceId, kind: Relisted) -> StateResult<()>;

    /// The commit that was sent and not yet answered.
    async fn in_flight(&self, namespace: NamespaceId) -> StateResult<Option<InFlight>>;

    /// Writes down an intent, before the disk is touched.
    async fn add_intent(&self, namespace: NamespaceId, intent: &Intent) -> StateResult<()>;

    /// Intents that were not done.
    async fn intents(&self, namespace: NamespaceId) -> StateResult<Vec<Intent>>;

    /// Leaves a folder of the server out of what this device keeps, known by `path` until now; with `None` keeps it again.
    /// What is below it on the server, now or later, is withheld: see [`Neighbourhood::withheld`]. Follows the node,
    /// wherever it moves, also through the trash.
    async fn exclude(&self, namespace: NamespaceId, node: NodeId, path: Option<&str>) -> StateResult<()>;

    /// The folders that are left out, each with the path that it was known by when that was said.
    async fn excluded(&self, namespace: NamespaceId) -> StateResult<Vec<(NodeId, String)>>;

    /// Whether a node of the remote tree is, or lies in, a folder that this device does not keep.
    async fn is_withheld(&self, namespace: NamespaceId, node: NodeId) -> StateResult<bool>;

    /// The node at a path of the remote tree, names compared by their keys.
    async fn remote_at(&self, namespace: NamespaceId, path: &[NodeName]) -> StateResult<Option<NodeId>>;

    /// The conflicted copies that this device made, the newest first, at most [`inbox::INBOX_ROWS`]. A copy or an original
    /// that gets another id by [`StateBatch::rebind`] is followed.
    async fn conflicts(&self, namespace: NamespaceId) -> StateResult<Vec<ConflictRow>>;

    /// Nodes of the local tree whose name, that which travels, holds `part` exactly, at most `limit`. Reads all names.
    async fn local_named(
        &self,
        namespace: NamespaceId,
        part: &str,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>>;

    /// Displaced files that wait for a second look, the oldest first, at most `limit`.
    async fn displaced(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<Displaced>>;

    /// How many they are, and how long.
    async fn displaced_total(&self, namespace: NamespaceId) -> StateResult<DisplacedTotal>;

    /// A remembered value.
    async fn setting(&self, key: &str) -> StateResult<Option<String>>;

    /// Remembers a value.
    async fn set_setting(&self, key: &str, value: Option<&str>) -> StateResult<()>;

    /// Notes what happened, for `cairn activity`; keeps the newest 1,000.
    async fn note_activity(&self, at: Timestamp, what: &str, path: &str) -> StateResult<()>;

    /// The newest notes, newest first.
    async fn activity(&self, limit: usize) -> StateResult<Vec<(Timestamp, String, String)>>;

    /// The greatest position that the device has seen of the journal, own commits included.
    async fn seen(&self, namespace: NamespaceId) -> StateResult<Seq>;

    /// Finishes what is under way.
    async fn close(&self);
}
