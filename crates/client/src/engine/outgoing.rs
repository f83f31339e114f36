//! From wishes to pieces. What the state says of the nodes is read for all of them at once: node by node it cost more than
//! sending them.

use std::collections::HashMap;

use cairn_core::change::Op;
use cairn_core::ids::{FileId, NodeId};
use cairn_core::node::{Content, FileContent};
use cairn_core::planner::Wish;
use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Neighbourhood, Substance};

use super::{Engine, EngineResult};
use crate::fs::DiskPath;
use crate::paths::Paths;
use crate::state::{LocalRow, StateResult};
use crate::uploader::{FileToSend, Piece};

/// What is to be sent of one plan.
pub(super) struct Outgoing {
    rows: HashMap<NodeId, LocalRow>,
    contents: HashMap<FileId, FileContent>,
    paths: Paths,
}

impl Engine {
    /// Reads what the wishes are about.
    pub(super) async fn outgoing(&self, groups: &[Vec<Wish>]) -> StateResult<Outgoing> {
        let nodes: Vec<NodeId> = groups
            .iter()
            .flatten()
            .filter_map(|wish| match wish {
                Wish::Create { node } | Wish::Edit { node } | Wish::SetAttributes { node } => Some(*node),
                Wish::Move { .. } | Wish::Delete { .. } => None,
            })
            .collect();
        let rows = self.state.locals(self.namespace, &nodes).await?;
        let file_ids: Vec<FileId> = rows
            .iter()
            .flatten()
            .filter_map(|row| match row.entry.substance {
                Substance::File { file_id, .. } => Some(file_id),
                Substance::Directory | Substance::Symlink(_) => None,
            })
            .collect();
        let contents = self.state.contents(&file_ids).await?.into_iter().flatten();
        Ok(Outgoing {
            rows: rows.into_iter().flatten().map(|row| (row.node, row)).collect(),
            contents: contents.map(|content| (content.file_id, content)).collect(),
            paths: Paths::new(self.namespace),
        })
    }

    /// Makes a piece of one group; `None` when the local tree does not have what it is about any more.
    pub(super) async fn piece(
        &self,
        outgoing: &mut Outgoing,
        hood: &Neighbourhood,
        wishes: &[Wish],
        seen: Seq,
    ) -> EngineResult<Option<(Piece, DiskPath)>> {
        let mut piece = Piece::default();
        let mut first_path = None;
        for wish in wishes {
            let op = match wish {
                Wish::Create { node } | Wish::Edit { node } => {
                    let Some((row, content)) = outgoing.local_content(*node) else {
                        return Ok(None);
                    };
                    let path = self.outgoing_path(outgoing, *node).await?;
                    if let Content::File(file) = &content
                        && file.size > 0
                    {
                        let file = FileToSend {
                            path: path.clone(),
                            fingerprint: row.fingerprint,
                            content: file.clone(),
                        };
                        piece.files.push(file);
                    }
                    first_path.get_or_insert(path);
                    content_op(wish, *node, row.entry, content, hood)
                }
                Wish::Move { node, place } => hood.remote.get(*node).map(|remote| Op::Move {
                    node: *node,
                    place: place.clone(),
                    base_place: remote.place_seq,
                }),
                Wish::SetAttributes { node } => outgoing.rows.get(node).map(|row| Op::SetAttributes {
                    node: *node,
                    attributes: row.entry.attributes,
                }),
                Wish::Delete { node } => hood.remote.get(*node).map(|remote| Op::Delete {
                    node: *node,
                    base_place: remote.place_seq,
                    base_content: remote.content_seq,
                    seen: Some(seen),
                }),
            };
            let Some(op) = op else { return Ok(None) };
            if first_path.is_none() {
                first_path = Some(self.outgoing_path(outgoing, op.node()).await?);
            }
            piece.group.push(op);
        }
        Ok(first_path.map(|path| (piece, path)))
    }

    /// As [`Self::path_of`]; the path of each folder is read once.
    async fn outgoing_path(&self, outgoing: &mut Outgoing, node: NodeId) -> StateResult<DiskPath> {
        let Some(row) = outgoing.rows.get(&node) else {
            return self.path_of(node).await;
        };
        match outgoing.paths.of(self.state.as_ref(), row).await? {
            Some(path) => Ok(path),
            None => self.path_of(node).await,
        }
    }
}

impl Outgoing {
    /// A local node with its content.
    fn local_content(&self, node: NodeId) -> Option<(LocalRow, Content)> {
        let row = self.rows.get(&node)?;
        let content = match &row.entry.substance {
            Substance::Directory => Content::Directory,
            Substance::Symlink(target) => Content::Symlink(target.clone()),
            Substance::File { file_id, .. } => Content::File(self.contents.get(file_id)?.clone()),
        };
        Some((row.clone(), content))
    }
}

fn content_op(wish: &Wish, node: NodeId, local: Entry, content: Content, hood: &Neighbourhood) -> Option<Op> {
    let Entry {
        place, attributes, ..
    } = local;
    match wish {
        Wish::Edit { .. } => {
            let base_content = hood.remote.get(node)?.content_seq;
            Some(Op::Edit {
                node,
                content,
                attributes,
                base_content,
            })
        }
        _ => Some(Op::Create {
            node,
            place,
            content,
            attributes,
        }),
    }
}
