//! Finds by name, where every word of the query must stand in it, wherever; and by what files hold.

use std::collections::HashMap;

use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;

mod newest;
mod texts;

pub(crate) use newest::{Ordered, SearchKey};

use super::list::Ways;
use super::{FileResult, Files, Located};
use crate::service::browse;
use crate::text_index::Hit;

/// Words of a query that count.
const MOST_WORDS: usize = 32;
/// Nodes that one call looks at: a second's work.
const LOOKED_AT: usize = 200_000;

/// What is looked for.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    words: Vec<String>,
    /// With a dot in front; none: files and folders of every name.
    extensions: Vec<String>,
    /// Files that held the words when they were indexed.
    holders: HashMap<NodeId, Hit>,
}

/// By what something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundBy {
    /// Its name.
    Name,
    /// What it holds.
    Content,
    /// Either.
    Both,
}

/// What is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    /// What stands in the tree and was not told by [`Files::found_texts`].
    There,
    /// What was deleted itself; what a deleted folder held is not looked at.
    Deleted,
}

/// What was found.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most of them are the large one")]
pub(crate) enum Found {
    /// Something that is there.
    There(Located, FoundBy),
    /// The names of something that stood there until it was deleted.
    Deleted(Vec<NodeName>),
}

/// What lies below a folder at one position.
struct Below {
    at: Seq,
    ways: Ways,
    within: Vec<NodeName>,
}

impl Search {
    /// Reads a query; `None` for one without a word. Case does not count, as it does not for names.
    pub(crate) fn new(query: &str, extensions: &[String]) -> Option<Self> {
        let words: Vec<String> = query
            .split_whitespace()
            .filter_map(key)
            .take(MOST_WORDS)
            .collect();
        let extensions = extensions
            .iter()
            .filter_map(|extension| key(extension.trim_start_matches('.')));
        let extensions = extensions.map(|extension| format!(".{extension}")).collect();
        (!words.is_empty()).then_some(Self {
            words,
            extensions,
            holders: HashMap::new(),
        })
    }

    /// By what a node is found, if it is.
    pub(crate) fn finds(&self, node: &Node) -> Option<FoundBy> {
        let key = node.place.name.key();
        let name = key.as_str();
        let is_wanted = self.extensions.is_empty()
            || (node.content != Content::Directory
                && self.extensions.iter().any(|extension| name.ends_with(extension)));
        if !is_wanted {
            return None;
        }
        let by_name = self.words.iter().all(|word| name.contains(word));
        match (by_name, self.holds(node)) {
            (true, true) => Some(FoundBy::Both),
            (true, false) => Some(FoundBy::Name),
            (false, true) => Some(FoundBy::Content),
            (false, false) => None,
        }
    }

    /// Whether a node holds the words as it is now.
    fn holds(&self, node: &Node) -> bool {
        let hit = self.holders.get(&node.id);
        hit.is_some_and(|hit| matches!(&node.content, Content::File(file) if hit.is_of(file)))
    }
}

/// A text as it stands in the keys of names.
fn key(text: &str) -> Option<String> {
    let name = NodeName::new(text.replace('/', "")).ok()?;
    Some(name.key().as_str().to_owned())
}

impl Below {
    async fn of(files: &Files<'_>, folder: NodeId) -> FileResult<Self> {
        let at = browse::head(files.state, files.namespace).await?.seq;
        let mut ways = Ways::new(files.home, at);
        let within = ways.find(files, folder).await?.unwrap_or_default();
        Ok(Self { at, ways, within })
    }

    async fn page(
        &self,
        files: &Files<'_>,
        among: Among,
        after: Option<NodeId>,
    ) -> FileResult<cairn_metadata::NodePage> {
        let metadata = &files.state.metadata;
        let limit = limits::LISTING_PAGE;
        let page = match among {
            Among::There => metadata.nodes_at(files.namespace, self.at, after, limit).await,
            Among::Deleted => metadata.trashed(files.namespace, after, limit).await,
        };
        Ok(page?)
    }

    /// A node with its way, if it lies below the folder and is found.
    async fn find(
        &mut self,
        files: &Files<'_>,
        search: &Search,
        node: Node,
    ) -> FileResult<Option<(Located, FoundBy)>> {
        let Some(by) = search.finds(&node) else {
            return Ok(None);
        };
        let way = self.ways.find(files, node.place.parent).await?;
        let way = way.filter(|way| way.starts_with(&self.within));
        Ok(way.map(|way| {
            let folders = Some(way);
            (Located { node, folders }, by)
        }))
    }

    /// Where something stood before it was deleted, if it is found and that was below the folder.
    async fn find_deleted(
        &self,
        files: &Files<'_>,
        search: &Search,
        node: &Node,
    ) -> FileResult<Option<Vec<NodeName>>> {
        if search.finds(node).is_none() {
            return Ok(None);
        }
        let metadata = &files.state.metadata;
        let change = metadata
            .entries_before(files.namespace, Some(node.place_seq.next()), 1)
            .await?;
        let place = change.first().and_then(|entry| entry.place_before.as_ref());
        let (Some(place), Some(oldest)) = (place, change.last()) else {
            return Ok(None);
        };
        // Before the change that deleted it.
        let at = Seq::new(oldest.seq.get() - 1).unwrap_or(Seq::ZERO);
        let mut names = Ways::new(files.home, at).find(files, place.parent).await?;
        if let Some(names) = &mut names {
            names.push(place.name.clone());
        }
        Ok(names.filter(|names| names.starts_with(&self.within)))
    }
}

impl Files<'_> {
    /// Looks through a part of the tree, or of what was deleted, behind `after` in the order of ids. What is found below a
    /// folder, at most `limit`, and where it goes on, if it does.
    pub(crate) async fn search(
        &self,
        folder: NodeId,
        search: &Search,
        among: Among,
        after: Option<NodeId>,
        limit: usize,
    ) -> FileResult<(Vec<Found>, Option<NodeId>)> {
        let mut below = Below::of(self, folder).await?;
        let (mut found, mut after, mut looked_at) = (Vec::new(), after, 0);
        loop {
            let page = below.page(self, among, after).await?;
            looked_at += page.nodes.len();
            for node in page.nodes {
                after = Some(node.id);
                let one = match among {
                    Among::There if search.holds(&node) => None,
                    Among::There => {
                        let one = below.find(self, search, node).await?;
                        one.map(|(located, by)| Found::There(located, by))
                    }
                    Among::Deleted => {
                        let names = below.find_deleted(self, search, &node).await?;
                        names.map(Found::Deleted)
                    }
                };
                found.extend(one);
                if found.len() == limit {
                    return Ok((found, after));
                }
            }
            if !page.has_more {
                return Ok((found, None));
            }
            if looked_at >= LOOKED_AT {
                return Ok((found, after));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_words() {
        let search = Search::new("  Été   B/x ", &[".TXT".to_owned(), "md".to_owned()]).unwrap();
        assert_eq!(search.words, ["été", "bx"]);
        assert_eq!(search.extensions, [".txt", ".md"]);
        assert!(Search::new("  / ", &[]).is_none());
    }
}
