//! Brings an index up to its journal.
//!
//! What the journal names is looked up in the tree as it is now, so it does not matter how often something is done again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::limits;
use cairn_core::node::{Content, FileContent, NodeKind};
use cairn_core::rev::{Cursor, Seq};
use cairn_metadata::Changes;
use tokio::time::Instant;
use unicode_normalization::UnicodeNormalization;

use super::plain;
use super::store::{Filling, Known, Progress};
use super::{DOCUMENT_BYTES, Result, TEXT_BYTES, TextIndex, TextIndexError};
use crate::error::ServiceError;
use crate::service::{browse, contents};
use crate::state::State;

/// Entries of the journal, and files, after which what was done counts.
const PAGE: usize = 500;
/// Bytes of texts after which it counts already.
const PENDING_BYTES: usize = 8 << 20;

/// How long a namespace is filled while others wait.
const TURN: Duration = Duration::from_secs(30);

/// One namespace's index while it is filled.
struct Filler<'f> {
    index: &'f TextIndex,
    state: &'f Arc<State>,
    namespace: NamespaceId,
    filling: Arc<Mutex<Filling>>,
    /// What counts already.
    counted: Progress,
    since: Instant,
}

impl TextIndex {
    /// Brings a namespace's index up to its journal, or leaves the rest for later when that takes long.
    pub(crate) async fn fill(self: &Arc<Self>, state: &Arc<State>, namespace: NamespaceId) -> Result<()> {
        let _alone = self.filling.lock().await;
        let head = browse::head(state, namespace).await?.cursor();
        let index = Arc::clone(self);
        let begun = self.with(state, namespace, move |opened| {
            let progress = opened.progress()?;
            // It is another namespace's where somebody has put folders in each other's place.
            let progress = progress.filter(|progress| progress.cursor().namespace == namespace);
            if progress == Some(Progress::Following(head)) {
                return Ok(None);
            }
            let mut filling = Filling::begin(index.opened(namespace)?)?;
            let progress = match progress {
                Some(progress) => progress,
                None => {
                    filling.clear()?;
                    Progress::Listing {
                        at: head,
                        after: None,
                    }
                }
            };
            Ok(Some((progress, filling)))
        });
        let Some((progress, filling)) = begun.await? else {
            return Ok(());
        };
        let mut filler = Filler {
            index: self.as_ref(),
            state,
            namespace,
            filling: Arc::new(Mutex::new(filling)),
            counted: progress.clone(),
            since: Instant::now(),
        };
        let mut filled = filler.run(progress).await;
        if matches!(filled, Err(TextIndexError::TurnIsOver)) {
            self.dirty.add(namespace);
            filled = filler.count(filler.counted.clone()).await;
        }
        let filling = Arc::into_inner(filler.filling);
        let filling = filling.map(|filling| filling.into_inner().unwrap_or_else(PoisonError::into_inner));
        if let Some(filling) = filling {
            // What fails in the background spoils nothing that counts.
            let _: Result<()> = state.runtime.blocking(move || filling.end()).await;
        }
        filled
    }
}

impl Filler<'_> {
    async fn run(&mut self, mut progress: Progress) -> Result<()> {
        loop {
            let next = match progress {
                Progress::Listing { at, after } => Some(self.list(at, after).await?),
                Progress::Following(cursor) => self.follow(&cursor).await?,
            };
            match next {
                Some(next) => progress = next,
                None => return Ok(()),
            }
        }
    }

    /// Looks at the next of what stood in the tree.
    async fn list(&mut self, at: Cursor, after: Option<NodeId>) -> Result<Progress> {
        let metadata = &self.state.metadata;
        let page = metadata.nodes_at(self.namespace, at.seq, after, PAGE).await?;
        let files = page.nodes.iter().filter(|node| node.content.size() > 0);
        self.look_at(files.map(|node| node.id).collect()).await?;
        let next = match (page.has_more, page.nodes.last()) {
            (true, Some(last)) => Progress::Listing {
                at,
                after: Some(last.id),
            },
            _ => Progress::Following(at),
        };
        self.count(next.clone()).await?;
        Ok(next)
    }

    /// Looks at what the next entries of the journal are about; `None` when it has come to the end.
    async fn follow(&mut self, cursor: &Cursor) -> Result<Option<Progress>> {
        let (next, has_more) = match self.state.metadata.changes(cursor, PAGE).await? {
            Changes::Page {
                entries,
                cursor: next,
                has_more,
            } => {
                self.follow_entries(&entries).await?;
                (Progress::Following(next), has_more)
            }
            Changes::Reset { head, .. } => {
                self.work(|filling| filling.clear()).await?;
                let anew = Progress::Listing {
                    at: head,
                    after: None,
                };
                (anew, true)
            }
        };
        if next != self.counted {
            self.count(next.clone()).await?;
        }
        Ok(has_more.then_some(next))
    }

    async fn follow_entries(&mut self, entries: &[JournalEntry]) -> Result<()> {
        let mut nodes = BTreeSet::new();
        let mut before_group = Seq::ZERO;
        let mut group_last = None;
        for entry in entries {
            if group_last != Some(entry.group_last) {
                group_last = Some(entry.group_last);
                before_group = Seq::new(entry.seq.get() - 1).unwrap_or(Seq::ZERO);
            }
            let at = match entry.change {
                Change::Moved | Change::AttributesSet => continue,
                Change::Created | Change::Edited => None,
                Change::Deleted => Some(before_group),
                Change::Restored => Some(entry.group_last),
            };
            nodes.insert(entry.node);
            // What lies below a folder has no entries of its own.
            if let Some(at) = at.filter(|_| entry.kind == NodeKind::Directory) {
                self.look_below(entry.node, at).await?;
            }
        }
        self.look_at(nodes.into_iter().collect()).await
    }

    async fn look_below(&mut self, folder: NodeId, at: Seq) -> Result<()> {
        let mut after = None;
        loop {
            let metadata = &self.state.metadata;
            let page = metadata
                .subtree_at(self.namespace, folder, at, after, limits::LISTING_PAGE)
                .await?;
            after = page.nodes.last().map(|node| node.id);
            let files = page.nodes.iter().filter(|node| node.content.size() > 0);
            self.look_at(files.map(|node| node.id).collect()).await?;
            if !page.has_more {
                return Ok(());
            }
        }
    }

    /// Puts in what is a file with text now, and takes out what is none.
    async fn look_at(&mut self, nodes: Vec<NodeId>) -> Result<()> {
        for page in nodes.chunks(PAGE) {
            let now = self.state.metadata.nodes(self.namespace, page).await?;
            for (id, node) in page.iter().zip(now) {
                match node.map(|node| node.content) {
                    Some(Content::File(file)) => self.look_into(*id, file).await?,
                    _ => {
                        let id = *id;
                        self.work(move |filling| {
                            filling.remove(id);
                            Ok(())
                        })
                        .await?;
                    }
                }
            }
        }
        Ok(())
    }

    async fn look_into(&mut self, node: NodeId, file: FileContent) -> Result<()> {
        let content = file.file_id;
        let known = self.work(move |filling| filling.known(node, content)).await?;
        let text = match known {
            Known::Same => return Ok(()),
            Known::Text(text) => text,
            Known::Nothing => self.text_of(node, &file).await?,
        };
        let pending = self.work(move |filling| {
            filling.put(node, &file, text)?;
            Ok(filling.pending_bytes)
        });
        if pending.await? >= PENDING_BYTES {
            self.count(self.counted.clone()).await?;
        }
        // What was looked into is known when its turn comes again: each turn brings it further.
        match self.since.elapsed() < TURN {
            true => Ok(()),
            false => Err(TextIndexError::TurnIsOver),
        }
    }

    /// The text of a file, if it has one. What cannot be read has none: that it cannot is told when somebody fetches it.
    async fn text_of(&self, node: NodeId, file: &FileContent) -> Result<Option<String>> {
        let damaged = |error: ServiceError| {
            if !error.is_damage() {
                return Err(error.into());
            }
            tracing::warn!(namespace.id = %self.namespace, node.id = %node, "a content cannot be read for the index");
            Ok(None)
        };
        let beginning = match contents::read(self.state, file, plain::BEGINNING_BYTES).await {
            Ok(beginning) => beginning,
            Err(error) => return damaged(error),
        };
        let is_document = self.index.extractor.is_document(&beginning);
        let wanted = match () {
            () if is_document && file.size <= DOCUMENT_BYTES => file.size as usize,
            () if !is_document && plain::is_text(&beginning) => TEXT_BYTES,
            () => return Ok(None),
        };
        drop(beginning);
        let bytes = match contents::read(self.state, file, wanted).await {
            Ok(bytes) => bytes,
            Err(error) => return damaged(error),
        };
        let text = match is_document {
            true => self.index.extractor.text_of(bytes, TEXT_BYTES).await,
            false => plain::text_of(&bytes),
        };
        // Composed, as names are; that may make it longer.
        let text = text.map(|text| text.nfc().collect::<String>());
        Ok(text.map(|mut text| {
            text.truncate(text.floor_char_boundary(TEXT_BYTES));
            text
        }))
    }

    async fn count(&mut self, progress: Progress) -> Result<()> {
        self.counted = progress.clone();
        self.work(move |filling| filling.commit(&progress)).await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Filling) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let filling = Arc::clone(&self.filling);
        self.index
            .guarded(self.state, self.namespace, move || {
                work(&mut filling.lock().unwrap_or_else(PoisonError::into_inner))
            })
            .await
    }
}
