//! Finds by name: every word of the query must stand in the name, wherever.

use std::collections::BTreeMap;

use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node};
use cairn_core::rev::Seq;

use super::list::Ways;
use super::{FileError, FileResult, Files, Located};
use crate::service::browse;

/// Words of a query that count.
const MOST_WORDS: usize = 32;
/// Nodes that one call looks at: a second's work.
const LOOKED_AT: usize = 200_000;
/// Nodes of the largest tree that is put in order: some seconds' work.
const ORDERED: usize = 1_000_000;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Search {
    words: Vec<String>,
    /// With a dot in front; none: files and folders of every name.
    extensions: Vec<String>,
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
        (!words.is_empty()).then_some(Self { words, extensions })
    }

    fn finds(&self, node: &Node) -> bool {
        let key = node.place.name.key();
        let name = key.as_str();
        let is_wanted = self.extensions.is_empty()
            || (node.content != Content::Directory
                && self.extensions.iter().any(|extension| name.ends_with(extension)));
        is_wanted && self.words.iter().all(|word| name.contains(word))
    }
}

/// A text as it stands in the keys of names.
fn key(text: &str) -> Option<String> {
    let name = NodeName::new(text.replace('/', "")).ok()?;
    Some(name.key().as_str().to_owned())
}

impl Files<'_> {
    /// The newest of what is found below a folder that were written before a position, newest first, at most `limit`; and where
    /// it goes on, if it does. The whole tree is looked at each time.
    pub(crate) async fn search_newest(
        &self,
        folder: NodeId,
        search: &Search,
        before: Option<Seq>,
        limit: usize,
    ) -> FileResult<(Vec<Located>, Option<Seq>)> {
        let at = browse::head(self.state, self.namespace).await?.seq;
        let mut ways = Ways::new(self.home, at);
        let within = ways.find(self, folder).await?.unwrap_or_default();
        // By the positions that wrote them, which are in the order of time.
        let mut newest: BTreeMap<Seq, Located> = BTreeMap::new();
        let (mut after, mut looked_at) = (None, 0);
        loop {
            let metadata = &self.state.metadata;
            let page = metadata
                .nodes_at(self.namespace, at, after, limits::LISTING_PAGE)
                .await?;
            looked_at += page.nodes.len();
            after = page.nodes.last().map(|node| node.id);
            for node in page.nodes {
                let written = node.content_seq;
                let is_late = newest.len() > limit
                    && newest
                        .first_key_value()
                        .is_some_and(|(oldest, _)| written < *oldest);
                if is_late || before.is_some_and(|before| written >= before) || !search.finds(&node) {
                    continue;
                }
                let way = ways.find(self, node.place.parent).await?;
                if let Some(way) = way.filter(|way| way.starts_with(&within)) {
                    let folders = Some(way);
                    newest.insert(written, Located { node, folders });
                }
                if newest.len() > limit + 1 {
                    newest.pop_first();
                }
            }
            if !page.has_more {
                break;
            }
            if looked_at >= ORDERED {
                return Err(FileError::TooManyFiles);
            }
        }
        let has_more = newest.len() > limit;
        let found: Vec<Located> = newest.into_values().rev().take(limit).collect();
        let next = found.last().map(|last| last.node.content_seq);
        Ok((found, next.filter(|_| has_more)))
    }

    /// Looks through what was deleted, behind `after` in the order of ids: what stood below a folder when it was. What a
    /// deleted folder held is not looked at.
    pub(crate) async fn search_deleted(
        &self,
        folder: NodeId,
        search: &Search,
        after: Option<NodeId>,
        limit: usize,
    ) -> FileResult<(Vec<Vec<NodeName>>, Option<NodeId>)> {
        let at = browse::head(self.state, self.namespace).await?.seq;
        let within = Ways::new(self.home, at)
            .find(self, folder)
            .await?
            .unwrap_or_default();
        let (mut found, mut after, mut looked_at) = (Vec::new(), after, 0);
        loop {
            let metadata = &self.state.metadata;
            let page = metadata
                .trashed(self.namespace, after, limits::LISTING_PAGE)
                .await?;
            looked_at += page.nodes.len();
            for node in page.nodes {
                after = Some(node.id);
                if !search.finds(&node) {
                    continue;
                }
                let stood = self.stood_last(&node).await?;
                found.extend(stood.filter(|names| names.starts_with(&within)));
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

    /// Where something stood before it was deleted.
    async fn stood_last(&self, node: &Node) -> FileResult<Option<Vec<NodeName>>> {
        let metadata = &self.state.metadata;
        let change = metadata
            .entries_before(self.namespace, Some(node.place_seq.next()), 1)
            .await?;
        let place = change.first().and_then(|entry| entry.place_before.as_ref());
        let (Some(place), Some(oldest)) = (place, change.last()) else {
            return Ok(None);
        };
        // Before the change that deleted it.
        let at = Seq::new(oldest.seq.get() - 1).unwrap_or(Seq::ZERO);
        let mut names = Ways::new(self.home, at).find(self, place.parent).await?;
        if let Some(names) = &mut names {
            names.push(place.name.clone());
        }
        Ok(names)
    }

    /// Looks through what is below a folder, behind `after` in the order of ids. What is found, at most `limit`, and where
    /// it goes on, if it does.
    pub(crate) async fn search(
        &self,
        folder: NodeId,
        search: &Search,
        after: Option<NodeId>,
        limit: usize,
    ) -> FileResult<(Vec<Located>, Option<NodeId>)> {
        let at = browse::head(self.state, self.namespace).await?.seq;
        let mut ways = Ways::new(self.home, at);
        let within = ways.find(self, folder).await?.unwrap_or_default();
        let (mut found, mut after, mut looked_at) = (Vec::new(), after, 0);
        loop {
            let metadata = &self.state.metadata;
            let page = metadata
                .nodes_at(self.namespace, at, after, limits::LISTING_PAGE)
                .await?;
            looked_at += page.nodes.len();
            for node in page.nodes {
                after = Some(node.id);
                if !search.finds(&node) {
                    continue;
                }
                let Some(way) = ways.find(self, node.place.parent).await? else {
                    continue;
                };
                if !way.starts_with(&within) {
                    continue;
                }
                let folders = Some(way);
                found.push(Located { node, folders });
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
        assert_eq!(Search::new("  / ", &[]), None);
    }
}
