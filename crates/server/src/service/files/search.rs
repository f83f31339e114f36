//! Finds by name: every word of the query must stand in the name, wherever.

use cairn_core::ids::NodeId;
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{Content, Node};

use super::list::Ways;
use super::{FileResult, Files, Located};
use crate::service::browse;

/// Words of a query that count.
const MOST_WORDS: usize = 32;
/// Nodes that one call looks at: a second's work.
const LOOKED_AT: usize = 200_000;

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
