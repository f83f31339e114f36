//! Earlier states of a file.

use std::collections::BTreeMap;

use cairn_core::change::Op;
use cairn_core::ids::NodeId;
use cairn_core::node::{Content, Node, Place};
use cairn_core::rev::{Rev, Seq};

use super::find::Tree as _;
use super::{ATTEMPTS, Attempt, FileError, FileResult, Files, Located, Target};

impl Files<'_> {
    /// What stands on a path or stood there last. It may stand elsewhere now.
    pub(crate) async fn find_last(&self, target: &Target) -> FileResult<Node> {
        let (start, names) = match target {
            Target::Path(names) => (self.home, names),
            Target::Node { node, below } => (self.located(*node).await?.folder()?, below),
            Target::Revision(_) => return Err(FileError::NotFound),
        };
        let (mut parent, mut found) = (start, None);
        for name in names {
            let metadata = &self.state.metadata;
            let node = metadata.last_child(self.namespace, parent, &name.key()).await?;
            let node = node.ok_or(FileError::NotFound)?;
            parent = node.id;
            found = Some(node);
        }
        let node = found.ok_or(FileError::NotFound)?;
        let metadata = &self.state.metadata;
        let is_there = metadata
            .nodes(self.namespace, &[node.id])
            .await?
            .iter()
            .any(Option::is_some);
        if is_there && self.folders_above(&node, None).await?.is_none() {
            // It has gone where the caller may not look.
            return Err(FileError::NotFound);
        }
        Ok(node)
    }

    /// The states of a file, newest first, before `before`; whether there are more.
    pub(crate) async fn revisions(
        &self,
        node: NodeId,
        before: Option<Seq>,
        limit: usize,
    ) -> FileResult<(Vec<Node>, bool)> {
        let metadata = &self.state.metadata;
        let page = metadata.revisions(self.namespace, node, before, limit).await?;
        Ok((page.nodes, page.has_more))
    }

    /// Gives a path the content that a file had; a deleted file comes back.
    pub(crate) async fn restore(&self, target: &Target, rev: &Rev) -> FileResult<Located> {
        for _ in 0..ATTEMPTS {
            let wanted = self.revision(rev).await?;
            let at = self.destination(target).await?;
            let ops = match &at.existing {
                Some(existing) if matches!(existing.content, Content::File(_)) => vec![Op::Edit {
                    node: existing.id,
                    content: wanted.node.content.clone(),
                    attributes: wanted.node.attributes,
                    base_content: existing.content_seq,
                }],
                Some(_) => return Err(FileError::NotFile),
                None => {
                    let (mut ops, parent) = self.missing_folders(&at);
                    let place = Place {
                        parent,
                        name: at.name.clone(),
                    };
                    ops.extend(self.bring_back(&wanted, &place).await?);
                    ops
                }
            };
            let Some(restored) = ops.last().map(Op::node) else {
                return Err(FileError::NotFound);
            };
            if let Attempt::Applied(_) = self.commit(ops, &BTreeMap::new()).await? {
                return self.located(restored).await?.node();
            }
        }
        Err(FileError::Contended)
    }

    /// Operations that bring a file back to a place with the content that it had.
    async fn bring_back(&self, wanted: &Located, place: &Place) -> FileResult<Vec<Op>> {
        if wanted.folders.is_some() {
            // It stands elsewhere: what comes back is a copy.
            return Ok(vec![Op::Create {
                node: NodeId::random(self.state.runtime.entropy.as_ref()),
                place: place.clone(),
                content: wanted.node.content.clone(),
                attributes: wanted.node.attributes,
            }]);
        }
        let mut ops = vec![Op::Move {
            node: wanted.node.id,
            place: place.clone(),
            base_place: wanted.node.place_seq,
        }];
        let (latest, _) = self.revisions(wanted.node.id, None, 1).await?;
        let latest = latest.into_iter().next().ok_or(FileError::NotFound)?;
        if latest.content_seq != wanted.node.content_seq {
            ops.push(Op::Edit {
                node: wanted.node.id,
                content: wanted.node.content.clone(),
                attributes: wanted.node.attributes,
                base_content: latest.content_seq,
            });
        }
        Ok(ops)
    }
}
