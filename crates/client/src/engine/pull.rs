//! From the server's journal to the remote tree.

use std::collections::{BTreeSet, HashMap};

use cairn_api::sync::{ChangesReply, ChangesRequest, CursorReply, CursorReport};
use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{ChainHash, Incarnation, NodeId};
use cairn_core::limits;
use cairn_core::node::Content;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::tree::Entry;

use super::listing::UNION;
use super::{Engine, EngineResult};
use crate::state::{Relisted, StateBatch, TreeChange};

/// Remote nodes as they are after the entries read so far. `None`: gone.
type Overlay = HashMap<NodeId, Option<Entry>>;

/// Nodes that were moved and are not known, each with the folder that it was moved to last.
type Strays = HashMap<NodeId, NodeId>;

impl Engine {
    /// Reads the journal to its head; changes nothing on the disk.
    ///
    /// # Errors
    /// Those of the server and of the state.
    pub(crate) async fn catch_up(&self) -> EngineResult<()> {
        self.settle_in_flight().await?;
        self.pull().await
    }

    /// Brings the remote tree to the head of the journal, and tells the server.
    pub(super) async fn pull(&self) -> EngineResult<()> {
        let moved = self.read_journal().await?;
        let reply = self.tell_cursor(moved).await?;
        self.heed(moved, reply).await.map(drop)
    }

    /// Brings the remote tree to the head of the journal; returns the new cursor if it moved.
    pub(super) async fn read_journal(&self) -> EngineResult<Option<Cursor>> {
        self.resume_listing().await?;
        let start = self.cursor_or_none().await?;
        let mut cursor = start;
        loop {
            let request = ChangesRequest {
                cursor,
                limit: limits::CHANGES_PAGE as u32,
                wait_seconds: 0,
            };
            match self.remote.changes(request).await? {
                ChangesReply::Page {
                    entries,
                    cursor: next,
                    has_more,
                } => {
                    if !self.has_own_commits(&entries, next, has_more).await? {
                        tracing::warn!(
                            "the server has lost commits that it acknowledged: merging, deleting nothing"
                        );
                        // Its answer tells that it has been where this device is.
                        let shared = cursor.seq;
                        self.list_tree(next, Relisted::Merge { shared }).await?;
                        cursor = next;
                        continue;
                    }
                    if self.has_forgotten(&entries).await? {
                        tracing::warn!(
                            "this device's state is older than what it committed: merging, deleting nothing"
                        );
                        cursor = self.head().await?;
                        self.list_tree(cursor, UNION).await?;
                        continue;
                    }
                    let must_list = self.record_entries(&entries, next).await?;
                    cursor = next;
                    if must_list {
                        self.list_tree(next, Relisted::Ahead).await?;
                    }
                    if !has_more {
                        break;
                    }
                }
                ChangesReply::BelowFloor { head } => {
                    self.list_tree(head, Relisted::Ahead).await?;
                    cursor = head;
                }
                ChangesReply::NotOnChain { head } => {
                    let shared = self.shared_history(cursor).await?;
                    self.list_tree(head, Relisted::Merge { shared }).await?;
                    cursor = head;
                }
            }
        }
        Ok((cursor != start).then_some(cursor))
    }

    /// Tells the server how far the remote tree goes, if it moved.
    pub(super) async fn tell_cursor(&self, moved: Option<Cursor>) -> EngineResult<CursorReply> {
        match moved {
            Some(cursor) => Ok(self.remote.report_cursor(CursorReport { cursor }).await?),
            None => Ok(CursorReply::Accepted),
        }
    }

    /// Does what the answer to a cursor calls for. Says whether the tree was listed anew.
    pub(super) async fn heed(&self, told: Option<Cursor>, reply: CursorReply) -> EngineResult<bool> {
        if told.is_none() || reply != CursorReply::DeviceRestored {
            return Ok(false);
        }
        tracing::warn!(
            "this device's state is older than what it reported before: merging, deleting nothing"
        );
        // What a commit in flight has made may be gone again: the listing knows.
        self.settle_in_flight().await?;
        // Not where this device was: a listing has the attributes of now, and a server that is restored to a moment after that
        // position would lose the later ones without a trace.
        let head = self.head().await?;
        self.list_tree(head, UNION).await?;
        Ok(true)
    }

    /// Where the journal ends now.
    async fn head(&self) -> EngineResult<Cursor> {
        let request = ChangesRequest {
            cursor: self.nowhere(),
            limit: 1,
            wait_seconds: 0,
        };
        Ok(match self.remote.changes(request).await? {
            ChangesReply::NotOnChain { head } | ChangesReply::BelowFloor { head } => head,
            ChangesReply::Page { cursor, .. } => cursor,
        })
    }

    /// Whether the journal has what the server said of this device's own commits, as far as a page tells. It has not on a
    /// server that was restored to a moment after the cursor and before one of them.
    async fn has_own_commits(
        &self,
        entries: &[JournalEntry],
        next: Cursor,
        has_more: bool,
    ) -> EngineResult<bool> {
        let checkpoints = self.state.checkpoints(self.namespace).await?;
        let chains: HashMap<Seq, ChainHash> = entries.iter().map(|entry| (entry.seq, entry.chain)).collect();
        Ok(checkpoints.iter().all(|(seq, chain)| match chains.get(seq) {
            Some(found) => found == chain,
            None => has_more || *seq <= next.seq,
        }))
    }

    /// Whether the journal has commits of this device of which it knows nothing: its state was restored from a backup, to a
    /// moment after the cursor that it told the server last. What was in flight is settled, so that every answer is known.
    async fn has_forgotten(&self, entries: &[JournalEntry]) -> EngineResult<bool> {
        let own = entries.iter().rfind(|entry| entry.device == self.device);
        let Some(own) = own.map(|entry| entry.seq) else {
            return Ok(false);
        };
        let checkpoints = self.state.checkpoints(self.namespace).await?;
        Ok(checkpoints.last().is_none_or(|(seq, _)| own > *seq))
    }

    /// Tells the server how far this device has come, before it believes anything that it remembers: a device that was
    /// restored from a backup learns of it here and merges.
    ///
    /// # Errors
    /// Those of the server and of the state.
    pub async fn introduce(&self) -> EngineResult<()> {
        self.resume_listing().await?;
        let known = self.state.cursor(self.namespace).await?;
        let reply = self.tell_cursor(known).await?;
        self.heed(known, reply).await.map(drop)
    }

    /// The cursor; one that no journal has when there is none, so that the server answers with where to list.
    async fn cursor_or_none(&self) -> EngineResult<Cursor> {
        let cursor = self.state.cursor(self.namespace).await?;
        Ok(cursor.unwrap_or_else(|| self.nowhere()))
    }

    /// A cursor that no journal has.
    const fn nowhere(&self) -> Cursor {
        Cursor {
            namespace: self.namespace,
            incarnation: Incarnation::new([0; 16]),
            seq: Seq::ZERO,
            chain: ChainHash::new([0; 32]),
        }
    }

    /// Records a page of the journal; says whether the tree must be listed anew because entries alone do not tell it. The cursor is
    /// moved by the listing then.
    pub(crate) async fn record_entries(
        &self,
        entries: &[JournalEntry],
        cursor: Cursor,
    ) -> EngineResult<bool> {
        let mut batch = StateBatch::default();
        let mut overlay = self.what_is_known_of(entries).await?;
        let mut must_list = false;
        let mut strays = Strays::new();
        for entry in entries {
            let known = overlay.get(&entry.node).cloned().flatten();
            note_stray(&mut strays, entry, known.is_some());
            if known.is_none() && is_in_what_is_gone(entry, &overlay) {
                continue;
            }
            match after_entry(entry, known) {
                After::Same => {}
                After::Put(state) => {
                    if let Some(Content::File(content)) = &entry.content {
                        batch.contents.push(content.clone());
                    }
                    batch.remote.push(TreeChange::Put(entry.node, state.clone()));
                    overlay.insert(entry.node, Some(state));
                }
                After::Gone => {
                    batch.remote.push(TreeChange::RemoveSubtree(entry.node));
                    overlay.insert(entry.node, None);
                }
                After::Unknown => must_list = true,
            }
        }
        // Where a listing may be called for the cursor stays until it is there: what says so is read again otherwise.
        let is_told = !must_list && strays.is_empty();
        batch.cursor = is_told.then_some(cursor);
        self.state.apply(self.namespace, batch).await?;
        if is_told {
            return Ok(false);
        }
        if must_list || self.has_left(&strays).await? {
            return Ok(true);
        }
        let batch = StateBatch {
            cursor: Some(cursor),
            ..StateBatch::default()
        };
        self.state.apply(self.namespace, batch).await?;
        Ok(false)
    }

    /// The nodes that entries are about, and the folders in which they make something.
    async fn what_is_known_of(&self, entries: &[JournalEntry]) -> EngineResult<Overlay> {
        let parents = entries.iter().filter_map(made_in);
        let nodes: BTreeSet<NodeId> = entries.iter().map(|entry| entry.node).chain(parents).collect();
        let nodes: Vec<NodeId> = nodes.into_iter().collect();
        let known = self.state.remotes(self.namespace, &nodes).await?;
        Ok(nodes.into_iter().zip(known).collect())
    }

    /// Whether some of the nodes stand in a folder that is there: they left one that this device has deleted before the
    /// server did so, and are forgotten here although they live.
    async fn has_left(&self, strays: &Strays) -> EngineResult<bool> {
        let folders: BTreeSet<NodeId> = strays.values().copied().collect();
        if folders.contains(&NodeId::ROOT) {
            return Ok(true);
        }
        let folders: Vec<NodeId> = folders.into_iter().collect();
        let known = self.state.remotes(self.namespace, &folders).await?;
        Ok(known.iter().any(Option::is_some))
    }
}

/// Notes where a node that is not known was moved to. The answer to a deletion of this device's own runs ahead of the
/// journal: by it all that this device had seen in the folder is gone from the remote tree, also what another one has moved
/// out of it in the meantime.
fn note_stray(strays: &mut Strays, entry: &JournalEntry, is_known: bool) {
    match (entry.change, &entry.place_after) {
        (Change::Moved, Some(place)) if !is_known => {
            strays.insert(entry.node, place.parent);
        }
        (Change::Created | Change::Restored | Change::Deleted, _) => {
            strays.remove(&entry.node);
        }
        _ => {}
    }
}

/// The folder in which an entry makes something.
fn made_in(entry: &JournalEntry) -> Option<NodeId> {
    let place = entry.place_after.as_ref();
    place
        .filter(|_| entry.change == Change::Created)
        .map(|place| place.parent)
}

/// Whether something was made in a folder that this device has deleted in the meantime: the answer runs ahead of the journal, and the
/// server had it go with the folder. Where it left that before, or the folder did, a move tells: see [`note_stray`].
fn is_in_what_is_gone(entry: &JournalEntry, overlay: &Overlay) -> bool {
    made_in(entry)
        .is_some_and(|parent| parent != NodeId::ROOT && overlay.get(&parent).is_none_or(Option::is_none))
}

/// What a journal entry makes of a node.
enum After {
    /// What it was: the entry is one of our own commits, recorded when it was answered.
    Same,
    /// This.
    Put(Entry),
    /// It is gone, with all that was below it.
    Gone,
    /// More than the entry says.
    Unknown,
}

/// Applies one entry to what is known of its node. Entries that are older than what is known change nothing: the
/// answers to this device's own commits run ahead of the journal.
fn after_entry(entry: &JournalEntry, known: Option<Entry>) -> After {
    let seq = entry.seq;
    match (entry.change, known) {
        (Change::Deleted, Some(_)) => After::Gone,
        (Change::Deleted, None) => After::Same,
        (Change::Restored, _) => After::Unknown,
        (Change::Created, None) => match (&entry.place_after, &entry.content) {
            (Some(place), Some(content)) => After::Put(Entry {
                place: place.clone(),
                substance: content.into(),
                attributes: entry.attributes,
                place_seq: seq,
                content_seq: seq,
            }),
            // What it was made with is gone from the history: the listing has what it is now.
            _ => After::Unknown,
        },
        (Change::Created, Some(_)) => After::Same,
        (Change::Moved, Some(known)) => match &entry.place_after {
            Some(place) if seq > known.place_seq => After::Put(Entry {
                place: place.clone(),
                place_seq: seq,
                ..known
            }),
            _ => After::Same,
        },
        (Change::Edited, Some(known)) => match &entry.content {
            Some(content) if seq > known.content_seq => After::Put(Entry {
                substance: content.into(),
                attributes: entry.attributes,
                content_seq: seq,
                ..known
            }),
            _ => After::Same,
        },
        // An edit brings attributes along, so that those of an older entry are none any more.
        (Change::AttributesSet, Some(known))
            if seq > known.content_seq && known.attributes != entry.attributes =>
        {
            After::Put(Entry {
                attributes: entry.attributes,
                ..known
            })
        }
        (Change::AttributesSet, Some(_)) => After::Same,
        // A change of a node that was deleted later on, or that a commit of ours has deleted already.
        (Change::Moved | Change::Edited | Change::AttributesSet, None) => After::Same,
    }
}
