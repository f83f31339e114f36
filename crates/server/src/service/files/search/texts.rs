//! Finds by what files hold. The index says which files may: whether they do, and where they are, says the tree.

use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::Node;

use super::{FoundBy, Search};
use crate::service::files::{FileResult, Files, Located};
use crate::text_index::{Hit, Span};

/// Files that are found by what they hold: the best of them.
const HITS: usize = 10_000;
/// Hits that are looked up at once.
const HITS_PAGE: usize = 200;

/// A file that was found by what it holds.
#[derive(Debug)]
pub(crate) struct FoundText {
    /// The file.
    pub(crate) file: Located,
    /// Whether its name would have been found too.
    pub(crate) by: FoundBy,
    hit: Hit,
}

impl Files<'_> {
    /// Looks for the query in what files hold, so that the search finds by that too. Answers what was found, the best first;
    /// nothing where nothing is indexed, or the index does not answer: then it finds by names alone.
    pub(crate) async fn search_texts(&self, query: &str, search: &mut Search) -> Vec<Hit> {
        let Some(index) = self.state.texts.get() else {
            return Vec::new();
        };
        match index.find(self.state, self.namespace, query, HITS).await {
            Ok(hits) => {
                search.holders = hits.iter().map(|hit| (hit.node, *hit)).collect();
                hits
            }
            Err(error) => {
                tracing::error!(namespace.id = %self.namespace, %error, "an index does not answer: names alone are searched");
                Vec::new()
            }
        }
    }

    /// The hits behind the first `after` that are files below a folder and still hold the words, at most `limit`; and how many hits
    /// were looked at until now, if there are more.
    pub(crate) async fn found_texts(
        &self,
        folder: NodeId,
        search: &Search,
        hits: &[Hit],
        after: usize,
        limit: usize,
    ) -> FileResult<(Vec<FoundText>, Option<usize>)> {
        let within = self.located(folder).await?.names();
        let (mut found, mut next) = (Vec::new(), after);
        while let Some(page) = hits.get(next..hits.len().min(next + HITS_PAGE))
            && !page.is_empty()
        {
            let ids: Vec<NodeId> = page.iter().map(|hit| hit.node).collect();
            let nodes = self.state.metadata.nodes(self.namespace, &ids).await?;
            for (hit, node) in page.iter().zip(nodes) {
                next += 1;
                if let Some(node) = node {
                    found.extend(self.found_text(&within, search, *hit, node).await?);
                }
                if found.len() == limit {
                    return Ok((found, (next < hits.len()).then_some(next)));
                }
            }
        }
        Ok((found, None))
    }

    async fn found_text(
        &self,
        within: &[NodeName],
        search: &Search,
        hit: Hit,
        node: Node,
    ) -> FileResult<Option<FoundText>> {
        let by = search.finds(&node).filter(|by| *by != FoundBy::Name);
        let Some(by) = by else {
            return Ok(None);
        };
        let folders = self.folders_above(&node, None).await?;
        let is_within = folders.as_ref().is_some_and(|way| way.starts_with(within));
        let file = Located { node, folders };
        Ok(is_within.then_some(FoundText { file, by, hit }))
    }

    /// Where in them the words are, of each file; empty where that is not known.
    pub(crate) async fn passages(&self, query: &str, found: &[FoundText]) -> Vec<Vec<Span>> {
        let nothing = || vec![Vec::new(); found.len()];
        let Some(index) = self.state.texts.get() else {
            return nothing();
        };
        let hits = found.iter().map(|found| found.hit).collect();
        let passages = index.passages(self.state, self.namespace, query, hits).await;
        passages.unwrap_or_else(|error| {
            tracing::error!(namespace.id = %self.namespace, %error, "an index tells no passages");
            nothing()
        })
    }
}
