//! The judgement of single operations.

use cairn_core::change::{Change, Op, Refusal};
use cairn_core::ids::NodeId;
use cairn_core::node::{Attributes, Content, NodeKind, Place};
use cairn_core::rev::Seq;

use super::Stop;
use super::draft::{Draft, Standing};
use crate::row::{NodeRow, trash_key};

/// Applies an operation to the draft. An operation that changes nothing succeeds whatever its guards say: both sides
/// wanted the same.
pub(super) fn apply(draft: &mut Draft<'_>, op_index: usize, op: &Op) -> Result<(), Stop> {
    let effect = match op {
        Op::Create {
            node,
            place,
            content,
            attributes,
        } => Some(create(draft, *node, place, content, *attributes)?),
        Op::Move {
            node,
            place,
            base_place,
        } => relocate(draft, *node, place, *base_place)?,
        Op::Edit {
            node,
            content,
            attributes,
            base_content,
        } => edit(draft, *node, content, *attributes, *base_content)?,
        Op::SetAttributes { node, attributes } => set_attributes(draft, *node, *attributes)?,
        Op::Delete {
            node,
            base_place,
            base_content,
            seen,
        } => Some(delete(draft, *node, *base_place, *base_content, *seen)?),
    };
    if let Some((change, bytes_delta, after)) = effect {
        draft.record(op_index, change, bytes_delta, after);
    }
    let seq = position(draft, op)?;
    draft.seqs.push(seq);
    Ok(())
}

/// Where an operation that was applied is in the journal. One that found a place or a content as it wanted it is where that is
/// from: a device takes it for the node's counter, and asks for the content by it.
fn position(draft: &Draft<'_>, op: &Op) -> Result<Seq, Stop> {
    let head = draft.head();
    Ok(match op {
        Op::Move { node, .. } => draft.node(*node)?.map_or(head, |row| row.place_seq),
        Op::Edit { node, .. } => draft.node(*node)?.map_or(head, |row| row.content_seq),
        Op::Create { .. } | Op::SetAttributes { .. } | Op::Delete { .. } => head,
    })
}

type Effect = (Change, i128, NodeRow);

fn create(
    draft: &Draft<'_>,
    node: NodeId,
    place: &Place,
    content: &Content,
    attributes: Attributes,
) -> Result<Effect, Stop> {
    if node.is_reserved() || draft.node(node)?.is_some() {
        return Err(Stop::Refuse(Refusal::IdTaken { node }));
    }
    draft.check_parent(place.parent)?;
    let seq = draft.head().next();
    let row = NodeRow {
        id: node,
        parent: place.parent,
        name: place.name.clone(),
        key: place.name.key().as_str().to_owned(),
        content: content.clone(),
        attributes,
        place_seq: seq,
        content_seq: seq,
        attributes_seq: seq,
        created_seq: seq,
    };
    Ok((Change::Created, row.size(), row))
}

fn relocate(draft: &Draft<'_>, node: NodeId, place: &Place, base_place: Seq) -> Result<Option<Effect>, Stop> {
    let absent = Stop::Refuse(Refusal::NodeNotFound { node });
    if node.is_reserved() {
        return Err(absent);
    }
    let Some(row) = draft.node(node)? else {
        return Err(absent);
    };
    let standing = draft.standing(node)?;
    if standing != Standing::Trashed && row.stands_at(place) {
        return Ok(None);
    }
    if row.place_seq != base_place {
        return Err(Stop::Refuse(Refusal::StalePlace {
            node,
            current: row.place_seq,
        }));
    }
    draft.check_parent(place.parent)?;
    let (change, bytes_delta) = match standing {
        Standing::Trashed => (Change::Restored, bytes_with_all_below(draft, row)?),
        Standing::Live { .. } | Standing::Cyclic => (Change::Moved, 0),
    };
    let after = NodeRow {
        parent: place.parent,
        name: place.name.clone(),
        key: place.name.key().as_str().to_owned(),
        place_seq: draft.head().next(),
        ..row.clone()
    };
    Ok(Some((change, bytes_delta, after)))
}

fn edit(
    draft: &Draft<'_>,
    node: NodeId,
    content: &Content,
    attributes: Attributes,
    base_content: Seq,
) -> Result<Option<Effect>, Stop> {
    let row = draft.live_node(node)?;
    if row.kind() == NodeKind::Directory || row.kind() != content.kind() {
        return Err(Stop::Refuse(Refusal::WrongKind {
            node,
            kind: row.kind(),
        }));
    }
    if row.content.same_as(content) {
        return set_attributes(draft, node, attributes);
    }
    if row.content_seq != base_content {
        return Err(Stop::Refuse(Refusal::StaleContent {
            node,
            current: row.content_seq,
        }));
    }
    let seq = draft.head().next();
    let after = NodeRow {
        content: content.clone(),
        attributes,
        content_seq: seq,
        attributes_seq: seq,
        ..row.clone()
    };
    Ok(Some((Change::Edited, after.size() - row.size(), after)))
}

fn set_attributes(draft: &Draft<'_>, node: NodeId, attributes: Attributes) -> Result<Option<Effect>, Stop> {
    let row = draft.live_node(node)?;
    if row.attributes == attributes {
        return Ok(None);
    }
    let after = NodeRow {
        attributes,
        attributes_seq: draft.head().next(),
        ..row.clone()
    };
    Ok(Some((Change::AttributesSet, 0, after)))
}

fn delete(
    draft: &Draft<'_>,
    node: NodeId,
    base_place: Seq,
    base_content: Seq,
    seen: Option<Seq>,
) -> Result<Effect, Stop> {
    let row = draft.live_node(node)?;
    if row.place_seq != base_place {
        return Err(Stop::Refuse(Refusal::StalePlace {
            node,
            current: row.place_seq,
        }));
    }
    if row.content_seq != base_content {
        return Err(Stop::Refuse(Refusal::StaleContent {
            node,
            current: row.content_seq,
        }));
    }
    if let (NodeKind::Directory, Some(seen)) = (row.kind(), seen)
        && let Some((newest, node)) = draft.below(node)?.newest
        && newest > seen
    {
        return Err(Stop::Refuse(Refusal::NewerBelow { node }));
    }
    let after = NodeRow {
        parent: NodeId::TRASH,
        key: trash_key(node),
        place_seq: draft.head().next(),
        ..row.clone()
    };
    Ok((Change::Deleted, -bytes_with_all_below(draft, row)?, after))
}

fn bytes_with_all_below(draft: &Draft<'_>, row: &NodeRow) -> Result<i128, Stop> {
    if row.kind() != NodeKind::Directory {
        return Ok(row.size());
    }
    Ok(row.size() + draft.below(row.id)?.bytes)
}
