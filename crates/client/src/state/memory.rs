//! The state in memory, for tests and simulations: what [`super::sqlite::SqliteState`] must do, in plain collections.

mod space;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use cairn_core::ids::{ChainHash, ChunkHash, FileId, NamespaceId, NodeId};
use cairn_core::manifest::EncodedPage;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, FileContent, Node};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
use cairn_core::tree::{Entry, Neighbourhood, Substance};

use super::inbox::{ConflictRow, Displaced, DisplacedTotal, INBOX_ROWS};
use super::neighbourhood::gather;
use super::triple::TreeName;
use super::{
    ACTIVITY_NOTES, ClientState, Counts, InFlight, Intent, LocalRow, Relisted, StateBatch, StateResult,
};
use space::Space;

/// A [`ClientState`] that lives as long as the process. Keep it across a simulated restart: it never loses a batch.
#[derive(Debug, Default)]
pub struct MemoryState {
    inner: Mutex<Inner>,
}

#[derive(Debug, Clone, Default)]
struct Inner {
    spaces: HashMap<NamespaceId, Space>,
    contents: BTreeMap<FileId, FileContent>,
    pages: BTreeMap<ChunkHash, Vec<u8>>,
    settings: BTreeMap<String, String>,
    activity: VecDeque<(Timestamp, String, String)>,
}

impl MemoryState {
    /// An empty state.
    pub fn new() -> Self {
        Self::default()
    }

    /// A state of its own with everything that is in this one now, as a backup of the device has it.
    pub fn snapshot(&self) -> Self {
        Self {
            inner: Mutex::new(self.with(|inner| inner.clone())),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T: Default>(&self, namespace: NamespaceId, work: impl FnOnce(&Space) -> T) -> T {
        self.with(|inner| inner.spaces.get(&namespace).map(work).unwrap_or_default())
    }

    fn write<T>(&self, namespace: NamespaceId, work: impl FnOnce(&mut Space) -> T) -> T {
        self.with(|inner| work(inner.spaces.entry(namespace).or_default()))
    }
}

#[async_trait]
impl ClientState for MemoryState {
    async fn apply(&self, namespace: NamespaceId, mut batch: StateBatch) -> StateResult<()> {
        self.with(|inner| {
            for content in batch.contents.drain(..) {
                inner.contents.insert(content.file_id, content);
            }
            inner.spaces.entry(namespace).or_default().apply(batch);
        });
        Ok(())
    }

    async fn cursor(&self, namespace: NamespaceId) -> StateResult<Option<Cursor>> {
        Ok(self.read(namespace, |space| space.cursor))
    }

    async fn checkpoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>> {
        Ok(self.read(namespace, |space| {
            space
                .checkpoints
                .iter()
                .map(|(seq, chain)| (*seq, *chain))
                .collect()
        }))
    }

    async fn waypoints(&self, namespace: NamespaceId) -> StateResult<Vec<(Seq, ChainHash)>> {
        Ok(self.read(namespace, |space| space.waypoints.values().copied().collect()))
    }

    async fn counts(&self, namespace: NamespaceId) -> StateResult<Counts> {
        Ok(self.read(namespace, Space::counts))
    }

    async fn neighbourhood(
        &self,
        namespace: NamespaceId,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Neighbourhood> {
        let mut space = self.read(namespace, Clone::clone);
        match gather(&mut space, after, limit).await {
            Ok(hood) => Ok(hood),
            Err(never) => match never {},
        }
    }

    async fn local(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<LocalRow>> {
        Ok(self.read(namespace, |space| space.local(node).cloned()))
    }

    async fn locals(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<LocalRow>>> {
        let row = |node: &NodeId| self.read(namespace, |space| space.local(*node).cloned());
        Ok(nodes.iter().map(row).collect())
    }

    async fn remote(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>> {
        Ok(self.read(namespace, |space| space.entry(TreeName::Remote, node).cloned()))
    }

    async fn remotes(&self, namespace: NamespaceId, nodes: &[NodeId]) -> StateResult<Vec<Option<Entry>>> {
        let entry =
            |node: &NodeId| self.read(namespace, |space| space.entry(TreeName::Remote, *node).cloned());
        Ok(nodes.iter().map(entry).collect())
    }

    async fn synced(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Entry>> {
        Ok(self.read(namespace, |space| space.entry(TreeName::Synced, node).cloned()))
    }

    async fn local_children(&self, namespace: NamespaceId, folder: NodeId) -> StateResult<Vec<LocalRow>> {
        Ok(self.read(namespace, |space| space.local_rows_in(folder)))
    }

    async fn local_by_inode(&self, namespace: NamespaceId, inode: u64) -> StateResult<Vec<LocalRow>> {
        Ok(self.read(namespace, |space| {
            space
                .local_where(|row| row.fingerprint.inode == inode)
                .cloned()
                .collect()
        }))
    }

    async fn known_inodes(&self, namespace: NamespaceId, inodes: &[u64]) -> StateResult<HashSet<u64>> {
        Ok(self.read(namespace, |space| {
            space
                .local_where(|row| inodes.contains(&row.fingerprint.inode))
                .map(|row| row.fingerprint.inode)
                .collect()
        }))
    }

    async fn unsure(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<LocalRow>> {
        Ok(self.read(namespace, |space| {
            space
                .local_where(|row| row.is_unsure)
                .take(limit)
                .cloned()
                .collect()
        }))
    }

    async fn local_files(
        &self,
        namespace: NamespaceId,
        since: Option<Timestamp>,
        after: Option<NodeId>,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>> {
        let is_touched = |row: &LocalRow| {
            since.is_none_or(|since| {
                let print = &row.fingerprint;
                print.mtime.seconds.max(print.ctime.seconds) >= since.as_millis().div_euclid(1_000)
            })
        };
        Ok(self.read(namespace, |space| {
            space
                .local_where(|row| {
                    let is_file = matches!(row.entry.substance, Substance::File { .. });
                    is_file && after.is_none_or(|after| row.node > after) && is_touched(row)
                })
                .take(limit)
                .cloned()
                .collect()
        }))
    }

    async fn disk_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>> {
        let root = (node == NodeId::ROOT).then(Vec::new);
        Ok(root.or_else(|| self.read(namespace, |space| space.path(TreeName::Local, node))))
    }

    async fn remote_path(&self, namespace: NamespaceId, node: NodeId) -> StateResult<Option<Vec<String>>> {
        let root = (node == NodeId::ROOT).then(Vec::new);
        Ok(root.or_else(|| self.read(namespace, |space| space.path(TreeName::Remote, node))))
    }

    async fn local_at(&self, namespace: NamespaceId, path: &[String]) -> StateResult<Option<LocalRow>> {
        Ok(self.read(namespace, |space| {
            let mut found: Option<LocalRow> = None;
            for name in path {
                let folder = found.map_or(NodeId::ROOT, |row| row.node);
                found = Some(
                    space
                        .local_rows_in(folder)
                        .into_iter()
                        .find(|row| row.name_on_disk() == name)?,
                );
            }
            found
        }))
    }

    async fn contents(&self, file_ids: &[FileId]) -> StateResult<Vec<Option<FileContent>>> {
        Ok(self.with(|inner| {
            file_ids
                .iter()
                .map(|id| inner.contents.get(id).cloned())
                .collect()
        }))
    }

    async fn keep_pages(&self, pages: &[EncodedPage]) -> StateResult<()> {
        self.with(|inner| {
            for page in pages {
                inner.pages.insert(page.hash, page.bytes.clone());
            }
        });
        Ok(())
    }

    async fn pages(&self, hashes: &[ChunkHash]) -> StateResult<Vec<Option<Vec<u8>>>> {
        Ok(self.with(|inner| hashes.iter().map(|hash| inner.pages.get(hash).cloned()).collect()))
    }

    async fn locals_with_contents(
        &self,
        namespace: NamespaceId,
        file_ids: &[FileId],
    ) -> StateResult<Vec<Option<LocalRow>>> {
        let first = |file_id: &FileId| {
            self.read(namespace, |space| {
                let mut found = space.local_where(|row| space::has_content(&row.entry, *file_id));
                found.next().cloned()
            })
        };
        Ok(file_ids.iter().map(first).collect())
    }

    async fn remote_has_content(&self, namespace: NamespaceId, file_id: FileId) -> StateResult<bool> {
        Ok(self.read(namespace, |space| space.remote_has_content(file_id)))
    }

    async fn begin_listing(&self, namespace: NamespaceId, at: Cursor) -> StateResult<()> {
        self.write(namespace, |space| space.listing = Some((at, BTreeMap::new())));
        Ok(())
    }

    async fn unfinished_listing(
        &self,
        namespace: NamespaceId,
    ) -> StateResult<Option<(Cursor, Option<NodeId>)>> {
        Ok(self.read(namespace, |space| {
            let (at, nodes) = space.listing.as_ref()?;
            Some((*at, nodes.last_key_value().map(|(node, _)| *node)))
        }))
    }

    async fn add_to_listing(&self, namespace: NamespaceId, nodes: &[Node]) -> StateResult<()> {
        self.with(|inner| {
            let Some((_, listed)) = inner.spaces.entry(namespace).or_default().listing.as_mut() else {
                return;
            };
            for node in nodes.iter().filter(|node| !node.id.is_reserved()) {
                listed.insert(node.id, Entry::from(node));
                if let Content::File(content) = &node.content {
                    inner.contents.insert(content.file_id, content.clone());
                }
            }
        });
        Ok(())
    }

    async fn finish_listing(&self, namespace: NamespaceId, kind: Relisted) -> StateResult<()> {
        self.write(namespace, |space| space.finish_listing(kind));
        Ok(())
    }

    async fn in_flight(&self, namespace: NamespaceId) -> StateResult<Option<InFlight>> {
        Ok(self.read(namespace, |space| space.in_flight.clone()))
    }

    async fn add_intent(&self, namespace: NamespaceId, intent: &Intent) -> StateResult<()> {
        self.write(namespace, |space| {
            space.intents.insert(intent.staged.clone(), intent.clone())
        });
        Ok(())
    }

    async fn intents(&self, namespace: NamespaceId) -> StateResult<Vec<Intent>> {
        Ok(self.read(namespace, |space| space.intents.values().cloned().collect()))
    }

    async fn exclude(&self, namespace: NamespaceId, node: NodeId, path: Option<&str>) -> StateResult<()> {
        self.write(namespace, |space| {
            match path {
                Some(path) => space.excluded.insert(node, path.to_owned()),
                None => space.excluded.remove(&node),
            };
            space.withhold(node);
        });
        Ok(())
    }

    async fn excluded(&self, namespace: NamespaceId) -> StateResult<Vec<(NodeId, String)>> {
        Ok(self.read(namespace, |space| space.excluded.clone().into_iter().collect()))
    }

    async fn is_withheld(&self, namespace: NamespaceId, node: NodeId) -> StateResult<bool> {
        Ok(self.read(namespace, |space| space.is_withheld(node)))
    }

    async fn remote_at(&self, namespace: NamespaceId, path: &[NodeName]) -> StateResult<Option<NodeId>> {
        Ok(self.read(namespace, |space| {
            path.iter()
                .try_fold(NodeId::ROOT, |folder, name| space.remote_child(folder, name))
        }))
    }

    async fn conflicts(&self, namespace: NamespaceId) -> StateResult<Vec<ConflictRow>> {
        let mut found: Vec<ConflictRow> =
            self.read(namespace, |space| space.conflicts.values().copied().collect());
        found.sort_by_key(|row| (std::cmp::Reverse(row.at), row.copy));
        found.truncate(INBOX_ROWS);
        Ok(found)
    }

    async fn local_named(
        &self,
        namespace: NamespaceId,
        part: &str,
        limit: usize,
    ) -> StateResult<Vec<LocalRow>> {
        Ok(self.read(namespace, |space| {
            space
                .local_where(|row| row.entry.place.name.as_str().contains(part))
                .take(limit)
                .cloned()
                .collect()
        }))
    }

    async fn displaced(&self, namespace: NamespaceId, limit: usize) -> StateResult<Vec<Displaced>> {
        let mut found: Vec<Displaced> =
            self.read(namespace, |space| space.displaced.values().cloned().collect());
        found.sort_by(|a, b| (a.since, &a.staged).cmp(&(b.since, &b.staged)));
        found.truncate(limit);
        Ok(found)
    }

    async fn displaced_total(&self, namespace: NamespaceId) -> StateResult<DisplacedTotal> {
        Ok(self.read(namespace, |space| DisplacedTotal {
            count: space.displaced.len() as u64,
            bytes: space.displaced.values().map(|displaced| displaced.size).sum(),
        }))
    }

    async fn setting(&self, key: &str) -> StateResult<Option<String>> {
        Ok(self.with(|inner| inner.settings.get(key).cloned()))
    }

    async fn set_setting(&self, key: &str, value: Option<&str>) -> StateResult<()> {
        self.with(|inner| match value {
            Some(value) => inner.settings.insert(key.to_owned(), value.to_owned()),
            None => inner.settings.remove(key),
        });
        Ok(())
    }

    async fn note_activity(&self, at: Timestamp, what: &str, path: &str) -> StateResult<()> {
        self.with(|inner| {
            inner.activity.push_front((at, what.to_owned(), path.to_owned()));
            inner.activity.truncate(ACTIVITY_NOTES);
        });
        Ok(())
    }

    async fn activity(&self, limit: usize) -> StateResult<Vec<(Timestamp, String, String)>> {
        Ok(self.with(|inner| inner.activity.iter().take(limit).cloned().collect()))
    }

    async fn seen(&self, namespace: NamespaceId) -> StateResult<Seq> {
        Ok(self.read(namespace, |space| space.seen))
    }

    async fn close(&self) {}
}
