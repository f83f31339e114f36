//! What happened in a folder between two positions of the journal, told so that who applies it in order has the tree at the
//! end: first what has gone, by its path, then what is there, parents before children, then what came along with folders that
//! were moved or brought back.

use std::collections::{BTreeMap, HashMap};

use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_metadata::Changes;

use super::list::{Listing, Walk, Ways};
use super::{FileError, FileResult, Files, Located};

/// Entries that are read at once.
const ENTRIES: usize = 500;

/// The folder that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scope {
    /// The folder.
    pub(crate) folder: NodeId,
    /// Whether what is below its folders counts.
    pub(crate) recursive: bool,
}

/// What happened.
#[derive(Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "most of them are the large one")]
pub(crate) enum News {
    /// Nothing stands at this path any more, nor below it.
    Gone(Vec<NodeName>),
    /// This stands at its path, in place of what did before.
    Here(Located),
}

/// What happened up to a position.
#[derive(Debug)]
pub(crate) enum Step {
    /// News, and where the journal was read up to.
    Read {
        /// The news.
        news: Vec<News>,
        /// Folders whose contents have come along and are still to be listed, as they are at `cursor`.
        arrived: Vec<NodeId>,
        /// Up to here.
        cursor: Cursor,
        /// Whether there is more.
        has_more: bool,
    },
    /// The position cannot be followed: list anew.
    Reset,
}

/// What became of a node.
struct Fate {
    before: Option<Place>,
    after: Option<Place>,
    /// Whether it may hold what the reader has not been told of.
    is_folder: bool,
    was_created: bool,
}

impl Files<'_> {
    /// Reads on from a position.
    pub(crate) async fn follow(&self, scope: &Scope, from: &Cursor) -> FileResult<Step> {
        let (entries, cursor, has_more) = match self.state.metadata.changes(from, ENTRIES).await? {
            Changes::Reset { .. } => return Ok(Step::Reset),
            Changes::Page {
                entries,
                cursor,
                has_more,
            } => (entries, cursor, has_more),
        };
        let (mut old, mut new) = (Ways::new(self.home, from.seq), Ways::new(self.home, cursor.seq));
        let folder = new.find(self, scope.folder).await?.ok_or(FileError::NotFound)?;
        if old.find(self, scope.folder).await?.as_ref() != Some(&folder) {
            // It was moved: every path that the reader knows is another one now.
            return Ok(Step::Reset);
        }
        let mut gone: BTreeMap<Vec<NodeName>, ()> = BTreeMap::new();
        let mut here = Vec::new();
        for (node, fate) in fates(entries) {
            let before = self.path(&mut old, scope, fate.before.as_ref()).await?;
            let after = self.path(&mut new, scope, fate.after.as_ref()).await?;
            let is_respelled = matches!((&before, &after), (Some(a), Some(b)) if a != b && same_keys(a, b));
            if let Some(before) = &before
                && after.as_ref() != Some(before)
                && !is_respelled
            {
                gone.insert(before.clone(), ());
            }
            if after.is_some() {
                here.push((node, before == after, fate));
            }
        }
        let mut news: Vec<News> = gone.into_keys().map(News::Gone).collect();
        let mut arrived = Vec::new();
        let ids: Vec<NodeId> = here.iter().map(|(node, ..)| *node).collect();
        let mut states = self.states(&ids, cursor.seq).await?;
        let mut found = Vec::new();
        for (id, stayed, fate) in here {
            let Some(node) = states.remove(&id) else { continue };
            if fate.is_folder && !stayed && !fate.was_created && scope.recursive {
                arrived.push(id);
            }
            let folders = new.find(self, node.place.parent).await?;
            found.push(Located { node, folders });
        }
        found.sort_by_cached_key(|located| located.folders.as_ref().map_or(0, Vec::len));
        news.extend(found.into_iter().map(News::Here));
        Ok(Step::Read {
            news,
            arrived: self.outermost(arrived, cursor.seq).await?,
            cursor,
            has_more,
        })
    }

    /// The rest of what came along with folders, from the `index`th on.
    pub(crate) async fn arrivals(
        &self,
        arrived: &[NodeId],
        at: Seq,
        from: (usize, Option<Walk>),
        limit: usize,
    ) -> FileResult<(Vec<Located>, Option<(usize, Walk)>)> {
        let mut found = Vec::new();
        let (first, mut walk) = from;
        for (index, folder) in arrived.iter().enumerate().skip(first) {
            let listing = Listing {
                folder: *folder,
                recursive: true,
                deleted: false,
                at,
            };
            let mut next = Some(walk.take().unwrap_or_else(|| Walk::of(*folder)));
            while let Some(walk) = next {
                if found.len() >= limit {
                    return Ok((found, Some((index, walk))));
                }
                let (page, rest) = self.list(&listing, walk, limit - found.len()).await?;
                found.extend(page);
                next = rest;
            }
        }
        Ok((found, None))
    }

    /// The path of a place, if it lies in the scope.
    async fn path(
        &self,
        ways: &mut Ways,
        scope: &Scope,
        place: Option<&Place>,
    ) -> FileResult<Option<Vec<NodeName>>> {
        let Some(place) = place else { return Ok(None) };
        if !scope.recursive && place.parent != scope.folder {
            return Ok(None);
        }
        let Some(mut names) = ways.find(self, place.parent).await? else {
            return Ok(None);
        };
        let folder = ways.find(self, scope.folder).await?.unwrap_or_default();
        if !names.starts_with(&folder) {
            return Ok(None);
        }
        names.push(place.name.clone());
        Ok(Some(names))
    }

    /// Nodes as they were at a position.
    async fn states(&self, ids: &[NodeId], at: Seq) -> FileResult<HashMap<NodeId, Node>> {
        let mut states = HashMap::with_capacity(ids.len());
        let now = self.state.metadata.nodes(self.namespace, ids).await?;
        for (id, node) in ids.iter().zip(now) {
            // What was changed since then is looked up as it was.
            let is_current =
                |node: &Node| node.place_seq <= at && node.content_seq <= at && node.attributes_seq <= at;
            let state = match node {
                Some(node) if is_current(&node) => Some(node),
                _ => self.node_at(*id, at).await?,
            };
            states.extend(state.map(|state| (*id, state)));
        }
        Ok(states)
    }

    /// Those of the folders that lie in none of the others.
    async fn outermost(&self, folders: Vec<NodeId>, at: Seq) -> FileResult<Vec<NodeId>> {
        let mut outermost = Vec::with_capacity(folders.len());
        for folder in &folders {
            let above = self
                .state
                .metadata
                .ancestors_at(self.namespace, *folder, Some(at))
                .await?;
            let above = above.unwrap_or_default();
            if !above.iter().any(|node| folders.contains(&node.id)) {
                outermost.push(*folder);
            }
        }
        Ok(outermost)
    }
}

/// From the entries of a page to what became of each node.
fn fates(entries: Vec<JournalEntry>) -> BTreeMap<NodeId, Fate> {
    let mut fates: BTreeMap<NodeId, Fate> = BTreeMap::new();
    for entry in entries {
        let was_created = entry.change == Change::Created;
        let is_folder = entry.kind == Content::Directory.kind();
        let fate = fates.entry(entry.node).or_insert(Fate {
            before: entry.place_before,
            after: None,
            is_folder,
            was_created,
        });
        fate.after = entry.place_after;
    }
    fates
}

fn same_keys(a: &[NodeName], b: &[NodeName]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key() == b.key())
}

/// Entries of one answer at most, about.
pub(crate) const PAGE: usize = limits::LISTING_PAGE;
