//! Finds in the order of time. A tree is not kept in that order: who asks first has it read, and what was found is remembered for
//! the pages that follow.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::sync::Arc;

use cairn_core::ids::{NamespaceId, NodeId};
use cairn_core::rev::Seq;

use super::{Among, Below, Found, Search};
use crate::service::files::{FileError, FileResult, Files};

/// Nodes of the largest tree that is put in order: some seconds' work.
const ORDERED: usize = 1_000_000;
/// Matches of one search that are remembered, the newest: 1.6 MB. Behind them the tree is read again.
const REMEMBERED: usize = 100_000;
/// Matches that are looked up at once.
const LOOKED_UP: usize = 200;

/// What is searched for, where.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SearchKey {
    namespace: NamespaceId,
    folder: NodeId,
    /// Of the words and the endings, which may be long.
    wanted: [u8; 32],
}

/// What a search has found.
pub(crate) struct Ordered {
    /// Newest first, by the positions that wrote them, which are in the order of time.
    matches: Vec<(Seq, NodeId)>,
    /// They were written before this; `None`: all there were.
    before: Option<Seq>,
    /// Whether there were older ones.
    is_cut: bool,
}

impl SearchKey {
    fn of(files: &Files<'_>, folder: NodeId, search: &Search) -> Self {
        let mut hasher = blake3::Hasher::new();
        for list in [&search.words, &search.extensions] {
            hasher.update(&(list.len() as u64).to_le_bytes());
            for text in list {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text.as_bytes());
            }
        }
        hasher.update(&[u8::from(search.holders.is_empty())]);
        Self {
            namespace: files.namespace,
            folder,
            wanted: *hasher.finalize().as_bytes(),
        }
    }
}

impl Ordered {
    /// Bytes in memory.
    pub(crate) fn weight(&self) -> usize {
        self.matches.len() * size_of::<(Seq, NodeId)>() + size_of::<(SearchKey, Self)>()
    }

    /// Whether all that was found before a position is here, as far as it goes.
    fn holds(&self, before: Seq) -> bool {
        let is_late = self.before.is_none_or(|own| before <= own);
        let is_early = !self.is_cut || self.matches.last().is_some_and(|(oldest, _)| before > *oldest);
        is_late && is_early
    }
}

impl Files<'_> {
    /// The newest of what is found below a folder that were written before a position, newest first, at most `limit`; and where
    /// it goes on, if it does. Who goes on sees what was found when the tree was read: what has changed since is left out.
    pub(crate) async fn search_newest(
        &self,
        folder: NodeId,
        search: &Search,
        before: Option<Seq>,
        limit: usize,
    ) -> FileResult<(Vec<Found>, Option<Seq>)> {
        let key = SearchKey::of(self, folder, search);
        let remembered = before.and_then(|before| {
            let ordered = self.state.searches.get(&key)?;
            ordered.holds(before).then_some(ordered)
        });
        let ordered = match remembered {
            Some(ordered) => ordered,
            None => {
                let ordered = Arc::new(self.in_order(folder, search, before).await?);
                self.state.searches.insert(key, Arc::clone(&ordered));
                ordered
            }
        };
        self.page_of(folder, search, &ordered, before, limit).await
    }

    /// Reads the whole tree.
    async fn in_order(&self, folder: NodeId, search: &Search, before: Option<Seq>) -> FileResult<Ordered> {
        let mut below = Below::of(self, folder).await?;
        let mut newest: BTreeMap<Seq, NodeId> = BTreeMap::new();
        let (mut after, mut looked_at, mut is_cut) = (None, 0, false);
        loop {
            let page = below.page(self, Among::There, after).await?;
            looked_at += page.nodes.len();
            after = page.nodes.last().map(|node| node.id);
            for node in page.nodes {
                let (written, id) = (node.content_seq, node.id);
                let oldest = newest.first_key_value().map(|(oldest, _)| *oldest);
                let is_late = is_cut && oldest.is_some_and(|oldest| written < oldest);
                if is_late || before.is_some_and(|before| written >= before) {
                    continue;
                }
                if below.find(self, search, node).await?.is_some() {
                    newest.insert(written, id);
                }
                if newest.len() > REMEMBERED {
                    newest.pop_first();
                    is_cut = true;
                }
            }
            if !page.has_more {
                break;
            }
            if looked_at >= ORDERED {
                return Err(FileError::TooManyFiles);
            }
        }
        Ok(Ordered {
            matches: newest.into_iter().rev().collect(),
            before,
            is_cut,
        })
    }

    /// A page of what was found, as far as it is still so.
    async fn page_of(
        &self,
        folder: NodeId,
        search: &Search,
        ordered: &Ordered,
        before: Option<Seq>,
        limit: usize,
    ) -> FileResult<(Vec<Found>, Option<Seq>)> {
        let mut below = Below::of(self, folder).await?;
        let is_told = |written: Seq| before.is_some_and(|before| written >= before);
        let start = ordered.matches.partition_point(|(written, _)| is_told(*written));
        let (mut found, mut last) = (Vec::new(), None);
        let mut has_more = ordered.is_cut;
        'pages: for page in ordered.matches[start..].chunks(LOOKED_UP) {
            let ids: Vec<NodeId> = page.iter().map(|(_, id)| *id).collect();
            let nodes = self.state.metadata.nodes(self.namespace, &ids).await?;
            for ((written, _), node) in page.iter().zip(nodes) {
                if found.len() == limit {
                    has_more = true;
                    break 'pages;
                }
                last = Some(*written);
                // Written since, it is newer than all that is told from here on.
                let Some(node) = node.filter(|node| node.content_seq == *written) else {
                    continue;
                };
                let one = below.find(self, search, node).await?;
                found.extend(one.map(|(located, by)| Found::There(located, by)));
            }
        }
        Ok((found, last.filter(|_| has_more)))
    }
}
