//! The journal's vocabulary.

use cairn_core::change::{Change, GroupOutcome, JournalEntry, Op, Refusal};
use cairn_core::ids::NodeId;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};

use super::{Wire, array, skip, unknown};

impl Wire for Op {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Create {
                node,
                place,
                content,
                attributes,
            } => {
                e.array(5)?.u8(0)?;
                node.write(e)?;
                place.write(e)?;
                content.write(e)?;
                attributes.write(e)
            }
            Self::Move {
                node,
                place,
                base_place,
            } => {
                e.array(4)?.u8(1)?;
                node.write(e)?;
                place.write(e)?;
                base_place.write(e)
            }
            Self::Edit {
                node,
                content,
                attributes,
                base_content,
            } => {
                e.array(5)?.u8(2)?;
                node.write(e)?;
                content.write(e)?;
                attributes.write(e)?;
                base_content.write(e)
            }
            Self::SetAttributes { node, attributes } => {
                e.array(3)?.u8(3)?;
                node.write(e)?;
                attributes.write(e)
            }
            Self::Delete {
                node,
                base_place,
                base_content,
                seen,
            } => {
                e.array(5)?.u8(4)?;
                node.write(e)?;
                base_place.write(e)?;
                base_content.write(e)?;
                seen.write(e)
            }
        }
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 1)?;
        match (d.u8()?, rest) {
            (0, 4) => Ok(Self::Create {
                node: Wire::read(d)?,
                place: Wire::read(d)?,
                content: Wire::read(d)?,
                attributes: Wire::read(d)?,
            }),
            (1, 3) => Ok(Self::Move {
                node: Wire::read(d)?,
                place: Wire::read(d)?,
                base_place: Wire::read(d)?,
            }),
            (2, 4) => Ok(Self::Edit {
                node: Wire::read(d)?,
                content: Wire::read(d)?,
                attributes: Wire::read(d)?,
                base_content: Wire::read(d)?,
            }),
            (3, 2) => Ok(Self::SetAttributes {
                node: Wire::read(d)?,
                attributes: Wire::read(d)?,
            }),
            (4, 4) => Ok(Self::Delete {
                node: Wire::read(d)?,
                base_place: Wire::read(d)?,
                base_content: Wire::read(d)?,
                seen: Wire::read(d)?,
            }),
            _ => Err(unknown("unknown operation")),
        }
    }
}

impl Wire for Refusal {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        let mut with_node = |tag: u8, node: &NodeId| {
            e.array(2)?.u8(tag)?;
            node.write(e)
        };
        match self {
            Self::NodeNotFound { node } => with_node(0, node),
            Self::ParentNotFound { parent } => with_node(1, parent),
            Self::ParentNotDirectory { parent } => with_node(2, parent),
            Self::NameTaken { holder } => with_node(3, holder),
            Self::NewerBelow { node } => with_node(6, node),
            Self::Cycle { node } => with_node(7, node),
            Self::IdTaken { node } => with_node(9, node),
            Self::StalePlace { node, current } => {
                e.array(3)?.u8(4)?;
                node.write(e)?;
                current.write(e)
            }
            Self::StaleContent { node, current } => {
                e.array(3)?.u8(5)?;
                node.write(e)?;
                current.write(e)
            }
            Self::TooDeep => {
                e.array(1)?.u8(8)?;
                Ok(())
            }
            Self::WrongKind { node, kind } => {
                e.array(3)?.u8(10)?;
                node.write(e)?;
                kind.write(e)
            }
            Self::MissingChunks { missing } => {
                e.array(2)?.u8(11)?;
                missing.write(e)
            }
            Self::QuotaExceeded { needed, available } => {
                e.array(3)?.u8(12)?.u64(*needed)?.u64(*available)?;
                Ok(())
            }
        }
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 1)?;
        match (d.u8()?, rest) {
            (0, 1) => Ok(Self::NodeNotFound { node: Wire::read(d)? }),
            (1, 1) => Ok(Self::ParentNotFound {
                parent: Wire::read(d)?,
            }),
            (2, 1) => Ok(Self::ParentNotDirectory {
                parent: Wire::read(d)?,
            }),
            (3, 1) => Ok(Self::NameTaken {
                holder: Wire::read(d)?,
            }),
            (4, 2) => Ok(Self::StalePlace {
                node: Wire::read(d)?,
                current: Wire::read(d)?,
            }),
            (5, 2) => Ok(Self::StaleContent {
                node: Wire::read(d)?,
                current: Wire::read(d)?,
            }),
            (6, 1) => Ok(Self::NewerBelow { node: Wire::read(d)? }),
            (7, 1) => Ok(Self::Cycle { node: Wire::read(d)? }),
            (8, 0) => Ok(Self::TooDeep),
            (9, 1) => Ok(Self::IdTaken { node: Wire::read(d)? }),
            (10, 2) => Ok(Self::WrongKind {
                node: Wire::read(d)?,
                kind: Wire::read(d)?,
            }),
            (11, 1) => Ok(Self::MissingChunks {
                missing: Wire::read(d)?,
            }),
            (12, 2) => Ok(Self::QuotaExceeded {
                needed: d.u64()?,
                available: d.u64()?,
            }),
            _ => Err(unknown("unknown refusal")),
        }
    }
}

impl Wire for GroupOutcome {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Applied { seqs } => {
                e.array(2)?.u8(0)?;
                seqs.write(e)
            }
            Self::Refused { op_index, refusal } => {
                e.array(3)?
                    .u8(1)?
                    .u32(u32::try_from(*op_index).unwrap_or(u32::MAX))?;
                refusal.write(e)
            }
        }
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 1)?;
        match (d.u8()?, rest) {
            (0, 1) => Ok(Self::Applied { seqs: Wire::read(d)? }),
            (1, 2) => Ok(Self::Refused {
                op_index: d.u32()? as usize,
                refusal: Wire::read(d)?,
            }),
            _ => Err(unknown("unknown outcome")),
        }
    }
}

impl Wire for Change {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.u8(match self {
            Self::Created => 0,
            Self::Moved => 1,
            Self::Edited => 2,
            Self::AttributesSet => 3,
            Self::Deleted => 4,
            Self::Restored => 5,
        })?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(match d.u8()? {
            0 => Self::Created,
            1 => Self::Moved,
            2 => Self::Edited,
            3 => Self::AttributesSet,
            4 => Self::Deleted,
            5 => Self::Restored,
            _ => return Err(unknown("unknown change")),
        })
    }
}

impl Wire for JournalEntry {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(13)?;
        self.seq.write(e)?;
        self.group_last.write(e)?;
        self.node.write(e)?;
        self.change.write(e)?;
        self.place_before.write(e)?;
        self.place_after.write(e)?;
        self.kind.write(e)?;
        self.content.write(e)?;
        self.attributes.write(e)?;
        e.i64(self.bytes_delta)?;
        self.device.write(e)?;
        self.at.write(e)?;
        self.chain.write(e)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 13)?;
        let entry = Self {
            seq: Wire::read(d)?,
            group_last: Wire::read(d)?,
            node: Wire::read(d)?,
            change: Wire::read(d)?,
            place_before: Wire::read(d)?,
            place_after: Wire::read(d)?,
            kind: Wire::read(d)?,
            content: Wire::read(d)?,
            attributes: Wire::read(d)?,
            bytes_delta: d.i64()?,
            device: Wire::read(d)?,
            at: Wire::read(d)?,
            chain: Wire::read(d)?,
        };
        skip(d, rest)?;
        Ok(entry)
    }
}
