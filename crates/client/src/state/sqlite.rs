//! The state in one SQLite file: one connection writes, a few read, every batch is one synced transaction.
//!
//! Table by table: `migrations/`. A node in sync is one row, whichever of the three trees is asked.

mod batch;
mod changes;
mod connect;
mod excluded;
mod fault;
mod files;
mod inbox;
mod listing;
mod pages;
mod readers;
mod reads;
mod row;
mod source;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use cairn_core::ids::{ChainHash, ChunkHash, FileId, NamespaceId, NodeId};
use cairn_core::manifest::EncodedPage;
use cairn_core::name::NodeName;
use cairn_core::node::{FileContent, Node};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree::{Entry, Neighbourhood};
use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::MutexGuard;

use super::inbox::{ConflictRow, Displaced, DisplacedTotal};
use super::neighbourhood::gather;
use super::triple::TreeName;
use super::{ClientState, Counts, InFlight, Intent, LocalRow, Relisted, StateBatch, StateError, StateResult};
pub use connect::set_aside;
use fault::Fault;
use readers::Readers;
use source::Snapshot;

/// A namespace's number in this file.
type Number = i64;

/// A [`ClientState`] in a file.
#[derive(Debug)]
pub struct SqliteState {
    path: PathBuf,
    /// `None` once closed.
    writer: tokio::sync::Mutex<Option<SqliteConnection>>,
    readers: Readers,
    numbers: Mutex<HashMap<NamespaceId, Number>>,
    /// Set when damage was met: the file is not marked as closed then, so that the next start looks closer.
    is_damaged: AtomicBool,
}

impl SqliteState {
    /// Opens the database at a path, making it when nothing is there. Checks the whole file when the last to use it did
    /// not close it, at about the speed of reading it.
    ///
    /// # Errors
    /// [`StateError::Corrupt`] for a damaged file, which [`set_aside`] takes out of the way; [`StateError::Newer`];
    /// [`StateError::Unavailable`] otherwise.
    pub async fn open(path: &Path) -> StateResult<Self> {
        let opened = connect::open(path).await;
        let (writer, readers) = opened.map_err(|fault| fault.at(path))?;
        Ok(Self {
            path: path.to_owned(),
            writer: tokio::sync::Mutex::new(Some(writer)),
            readers,
            numbers: Mutex::new(HashMap::new()),
            is_damaged: AtomicBool::new(false),
        })
    }

    /// Puts the path to what went wrong, and remembers damage.
    fn checked<T>(&self, result: Result<T, Fault>) -> StateResult<T> {
        result.map_err(|fault| {
            let error = fault.at(&self.path);
            if matches!(error, StateError::Corrupt { .. }) {
                self.is_damaged.store(true, Ordering::Relaxed);
            }
            error
        })
    }

    async fn writer(&self) -> Writer<'_> {
        Writer {
            slot: self.writer.lock().await,
        }
    }

    fn known_number(&self, namespace: NamespaceId) -> Option<Number> {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&namespace)
            .copied()
    }

    fn remember(&self, namespace: NamespaceId, number: Number) {
        self.numbers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(namespace, number);
    }

    /// The namespace's number; `None` when nothing was ever written about it.
    async fn number(&self, namespace: NamespaceId) -> Result<Option<Number>, Fault> {
        if let Some(number) = self.known_number(namespace) {
            return Ok(Some(number));
        }
        let mut reader = self.readers.acquire().await?;
        let found = reads::number(&mut reader, namespace).await?;
        if let Some(number) = found {
            self.remember(namespace, number);
        }
        Ok(found)
    }

    /// The namespace's number, given out now if it has none. Durable before anything is written under it.
    async fn number_to_write(
        &self,
        connection: &mut SqliteConnection,
        namespace: NamespaceId,
    ) -> Result<Number, Fault> {
        if let Some(number) = self.known_number(namespace) {
            return Ok(number);
        }
        let number = batch::give_number(connection, namespace).await?;
        self.remember(namespace, number);
        Ok(number)
    }
}

/// The writing connection, held by one verb at a time.
struct Writer<'s> {
    slot: MutexGuard<'s, Option<SqliteConnection>>,
}

impl Writer<'_> {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        self.slot.as_mut().ok_or(Fault::Sql(sqlx::Error::PoolClosed))
    }
}

/// Runs a read on a connection of the pool; what nothing was ever written about reads as its default.
macro_rules! read {
    ($state:expr, $namespace:expr, |$connection:ident, $number:ident| $work:expr) => {{
        let result = async {
            let Some($number) = $state.number($namespace).await? else {
                return Ok(Default::default());
            };
            let mut reader = $state.readers.acquire().await?;
            let $connection: &mut SqliteConnection = &mut reader;
            $work.await
        };
        $state.checked(result.await)
    }};
}

/// Runs a write in a transaction of its own. A future that is dropped half-way, or a fault, rolls it back.
macro_rules! write {
    ($state:expr, $namespace:expr, |$connection:ident, $number:ident| $work:expr) => {{
        let result = async {
            let mut writer = $state.writer().await;
            let connection = writer.connection()?;
            let $number = $state.number_to_write(connection, $namespace).await?;
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
            let $connection: &mut SqliteConnection = &mut transaction;
            $work.await?;
            transaction.commit().await?;
            Ok(())
        };
        $state.checked(result.await)
    }};
}

#[async_trait]
impl ClientState for SqliteState {
    async fn apply(&self, namespace: NamespaceId, batch: StateBatch) -> StateResult<()> {
        write!(self, namespace, |connection, number| batch::apply(
            connection, number, batch
        ))
    }

    async fn cursor(&self, namespace: NamespaceId) -> StateResult<Option<Cursor>> {
        read!(self, namespace, |connection, number| reads::cursor(
            connection, number, namespace
        ))
    }

    async fn checkpoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>> {
        read!(self, namespace, |connection, number| reads::checkpoints(
            connection, number
        ))
    }

    async fn waypoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>> {
        read!(self, namespace, |connection, number| reads::waypoints(
            connection, number
        ))
    }

    async fn counts(&self, namespace: NamespaceId) -> StateResult<Counts> {
        read!(self, namespace, |connection, number| reads::counts(
            connection, number
        ))
    }

    async fn neighbourhood(
        &self,
        namespace: NamespaceId,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Neighbourhood> {
        read!(self, namespace, |connection, number| async {
            // One transaction: all of it as of one moment.
            let mut transaction = connection.begin().await?;
            let mut snapshot = Snapshot {
                connection: &mut transaction,
                number,
            };
            let hood = gather(&mut snapshot, after, limit).await?;
            transaction.commit().await?;
            Ok::<_, Fault>(hood)
        })
    }

    async fn local(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<LocalRow>> {
        read!(self, namespace, |connection, number| reads::local(
            connection, number, node
        ))
    }

    async fn locals(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<LocalRow>>> {
        let mut found = read!(self, namespace, |connection, number| changes::triples(
            connection, number, nodes
        ))?;
        Ok(nodes.iter().map(|node| found.remove(node)?.local).collect())
    }

    async fn remote(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>> {
        read!(self, namespace, |connection, number| reads::entry(
            connection,
            number,
            node,
            TreeName::Remote
        ))
    }

    async fn remotes(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<Entry>>> {
        let mut found = read!(self, namespace, |connection, number| changes::triples(
            connection, number, nodes
        ))?;
        Ok(nodes.iter().map(|node| found.remove(node)?.remote).collect())
    }

    async fn synced(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>> {
        read!(self, namespace, |connection, number| reads::entry(
            connection,
            number,
            node,
            TreeName::Synced
        ))
    }

    async fn local_children(&self, namespace: NamespaceId, folder: NodeId) -> StateResult<Vec<LocalRow>> {
        read!(self, namespace, |connection, number| reads::local_children(
            connection, number, folder
        ))
    }

    async fn local_by_inode(&self, namespace: NamespaceId, inode: u64) -> StateResult<Vec<LocalRow>> {
        read!(self, namespace, |connection, number| reads::local_by_inode(
            connection, number, inode
        ))
    }

    async fn known_inodes(&self, namespace: NamespaceId, inodes: &[u64]) -> StateResult<HashSet<u64>> {
        read!(self, namespace, |connection, number| reads::known_inodes(
            connection, number, inodes
        ))
    }

    async fn unsure(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<LocalRow>> {
        read!(self, namespace, |connection, number| reads::unsure(
            connection, number, limit
        ))
    }

    async fn local_files(
        &self,
        namespace: NamespaceId,
        since: Option<Timestamp>,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>> {
        read!(self, namespace, |connection, number| files::local_files(
            connection, number, since, after, limit
        ))
    }

    async fn disk_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>> {
        if node == NodeId::ROOT {
            return Ok(Some(Vec::new()));
        }
        read!(self, namespace, |connection, number| reads::path(
            connection,
            number,
            node,
            TreeName::Local
        ))
    }

    async fn remote_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>> {
        if node == NodeId::ROOT {
            return Ok(Some(Vec::new()));
        }
        read!(self, namespace, |connection, number| reads::path(
            connection,
            number,
            node,
            TreeName::Remote
        ))
    }

    async fn local_at(&self, namespace: NamespaceId, path: &[String]) -> StateResult<Option<LocalRow>> {
        read!(self, namespace, |connection, number| reads::local_at(
            connection, number, path
        ))
    }

    async fn contents(&self, file_ids: &[FileId]) -> StateResult<Vec<Option<FileContent>>> {
        let result = async {
            let mut reader = self.readers.acquire().await?;
            reads::contents(&mut reader, file_ids).await
        };
        self.checked(result.await)
    }

    async fn keep_pages(&self, pages: &[EncodedPage]) -> StateResult<()> {
        let result = async {
            let mut writer = self.writer().await;
            let mut transaction = writer.connection()?.begin_with("BEGIN IMMEDIATE").await?;
            pages::keep(&mut transaction, pages).await?;
            transaction.commit().await?;
            Ok(())
        };
        self.checked(result.await)
    }

    async fn pages(&self, hashes: &[ChunkHash]) -> StateResult<Vec<Option<Vec<u8>>>> {
        let result = async {
            let mut reader = self.readers.acquire().await?;
            pages::read(&mut reader, hashes).await
        };
        self.checked(result.await)
    }

    async fn locals_with_contents(
        &self,
        namespace: NamespaceId,
        file_ids: &[FileId],
    ) -> StateResult<Vec<Option<LocalRow>>> {
        let found = read!(self, namespace, |connection, number| reads::locals_with_contents(
            connection, number, file_ids
        ))?;
        Ok(file_ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    async fn remote_has_content(&self, namespace: NamespaceId, file_id: FileId) -> StateResult<bool> {
        read!(self, namespace, |connection, number| reads::remote_has_content(
            connection, number, file_id
        ))
    }

    async fn begin_listing(&self, namespace: NamespaceId, at: Cursor) -> StateResult<()> {
        write!(self, namespace, |connection, number| listing::begin(
            connection, number, at
        ))
    }

    async fn unfinished_listing(
        &self,
        namespace: NamespaceId,
    ) -> StateResult<Option<(Cursor, Option<NodeId>)>> {
        read!(self, namespace, |connection, number| listing::unfinished(
            connection, number, namespace
        ))
    }

    async fn add_to_listing(&self, namespace: NamespaceId, nodes: &[Node]) -> StateResult<()> {
        write!(self, namespace, |connection, number| listing::add(
            connection, number, nodes
        ))
    }

    async fn finish_listing(&self, namespace: NamespaceId, kind: Relisted) -> StateResult<()> {
        write!(self, namespace, |connection, number| listing::finish(
            connection, number, namespace, kind
        ))
    }

    async fn exclude(&self, namespace: NamespaceId, node: NodeId, path: Option<&str>) -> StateResult<()> {
        write!(self, namespace, |connection, number| excluded::exclude(
            connection, number, node, path
        ))
    }

    async fn excluded(&self, namespace: NamespaceId) -> StateResult<Vec<(NodeId, String)>> {
        read!(self, namespace, |connection, number| excluded::excluded(
            connection, number
        ))
    }

    async fn is_withheld(&self, namespace: NamespaceId, node: NodeId) -> StateResult<bool> {
        read!(self, namespace, |connection, number| excluded::is_withheld(
            connection, number, node
        ))
    }

    async fn remote_at(&self, namespace: NamespaceId, path: &[NodeName]) -> StateResult<Option<NodeId>> {
        read!(self, namespace, |connection, number| excluded::remote_at(
            connection, number, path
        ))
    }

    async fn in_flight(&self, namespace: NamespaceId) -> StateResult<Option<InFlight>> {
        read!(self, namespace, |connection, number| reads::in_flight(
            connection, number
        ))
    }

    async fn add_intent(&self, namespace: NamespaceId, intent: &Intent) -> StateResult<()> {
        write!(self, namespace, |connection, number| batch::add_intent(
            connection, number, intent
        ))
    }

    async fn intents(&self, namespace: NamespaceId) -> StateResult<Vec<Intent>> {
        read!(self, namespace, |connection, number| reads::intents(
            connection, number
        ))
    }

    async fn conflicts(&self, namespace: NamespaceId) -> StateResult<Vec<ConflictRow>> {
        read!(self, namespace, |connection, number| inbox::conflicts(
            connection, number
        ))
    }

    async fn local_named(
        &self,
        namespace: NamespaceId,
        part: &str,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>> {
        read!(self, namespace, |connection, number| inbox::local_named(
            connection, number, part, limit
        ))
    }

    async fn displaced(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<Displaced>> {
        read!(self, namespace, |connection, number| inbox::displaced(
            connection, number, limit
        ))
    }

    async fn displaced_total(&self, namespace: NamespaceId) -> StateResult<DisplacedTotal> {
        read!(self, namespace, |connection, number| inbox::displaced_total(
            connection, number
        ))
    }

    async fn setting(&self, key: &str) -> StateResult<Option<String>> {
        let result = async {
            let mut reader = self.readers.acquire().await?;
            reads::setting(&mut reader, key).await
        };
        self.checked(result.await)
    }

    async fn set_setting(&self, key: &str, value: Option<&str>) -> StateResult<()> {
        let result = async {
            let mut writer = self.writer().await;
            batch::set_setting(writer.connection()?, key, value).await
        };
        self.checked(result.await)
    }

    async fn note_activity(&self, at: Timestamp, what: &str, path: &str) -> StateResult<()> {
        let result = async {
            let mut writer = self.writer().await;
            let mut transaction = writer.connection()?.begin_with("BEGIN IMMEDIATE").await?;
            batch::note_activity(&mut transaction, at, what, path).await?;
            transaction.commit().await?;
            Ok(())
        };
        self.checked(result.await)
    }

    async fn activity(&self, limit: usize) -> StateResult<Vec<(Timestamp, String, String)>> {
        let result = async {
            let mut reader = self.readers.acquire().await?;
            reads::activity(&mut reader, limit).await
        };
        self.checked(result.await)
    }

    async fn seen(&self, namespace: NamespaceId) -> StateResult<Seq> {
        read!(self, namespace, |connection, number| reads::seen(
            connection, number
        ))
    }

    async fn close(&self) {
        self.readers.close().await;
        let Some(writer) = self.writer.lock().await.take() else {
            return;
        };
        if let Err(fault) = connect::close(writer, !self.is_damaged.load(Ordering::Relaxed)).await {
            let error = fault.at(&self.path);
            tracing::warn!(%error, "the state database was not closed: the next start checks it");
        }
    }
}
