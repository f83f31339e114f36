//! How core types travel: CBOR arrays (RFC 8949), fields in the order written here.
//!
//! Used as `#[cbor(with = "crate::wire")]`. Decoding checks everything that a type promises, so that what arrives as a
//! [`Node`] is one. A field may be added at the end of an array: older readers skip what they do not know.

use cairn_core::change::{Change, GroupOutcome, JournalEntry, Op, Refusal};
use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, FileId, Incarnation, NamespaceId, NodeId, OpId,
};
use cairn_core::limits;
use cairn_core::manifest::Manifest;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, FileContent, LinkTarget, Node, NodeKind, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::{Mtime, Timestamp};
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};

/// Elements that one array of a message may have; bounds what a hostile length can make a reader allocate.
const ARRAY_LEN: u64 = 1 << 20;

/// A type with a form on the wire.
pub trait Wire: Sized {
    /// Writes the value.
    ///
    /// # Errors
    /// Those of the writer.
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>>;

    /// Reads and checks a value.
    ///
    /// # Errors
    /// When the bytes are not a legal value.
    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError>;
}

/// Entry for `#[cbor(with = "crate::wire")]`.
///
/// # Errors
/// Those of the writer.
pub fn encode<C, W: Write, T: Wire>(
    value: &T,
    e: &mut Encoder<W>,
    _: &mut C,
) -> Result<(), EncodeError<W::Error>> {
    value.write(e)
}

/// Entry for `#[cbor(with = "crate::wire")]`.
///
/// # Errors
/// When the bytes are not a legal value.
pub fn decode<'b, C, T: Wire>(d: &mut Decoder<'b>, _: &mut C) -> Result<T, DecodeError> {
    T::read(d)
}

/// Reads an array's head, whose length must be at least `least`; returns how many elements follow the known ones.
fn array(d: &mut Decoder<'_>, least: u64) -> Result<u64, DecodeError> {
    let len = d
        .array()?
        .ok_or_else(|| DecodeError::message("an array must have a definite length"))?;
    if len > ARRAY_LEN {
        return Err(DecodeError::message("an array is too long"));
    }
    len.checked_sub(least)
        .ok_or_else(|| DecodeError::message("an array is too short"))
}

/// Skips the elements that a newer writer added.
fn skip(d: &mut Decoder<'_>, count: u64) -> Result<(), DecodeError> {
    (0..count).try_for_each(|_| d.skip())
}

fn unknown(what: &'static str) -> DecodeError {
    DecodeError::message(what)
}

macro_rules! wire_id63 {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
                e.i64(self.get())?;
                Ok(())
            }

            fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Self::new(d.i64()?).map_err(|error| DecodeError::message(error.to_string()))
            }
        }
    )*};
}
wire_id63!(NamespaceId, NodeId, AccountId, DeviceId);

macro_rules! wire_bytes {
    ($($name:ident),*) => {$(
        impl Wire for $name {
            fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
                e.bytes(self.as_bytes())?;
                Ok(())
            }

            fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
                Self::from_slice(d.bytes()?).ok_or_else(|| unknown(concat!("wrong length of a ", stringify!($name))))
            }
        }
    )*};
}
wire_bytes!(ChunkHash, FileId, ContentHash, ChainHash, OpId, Incarnation);

impl Wire for Seq {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.i64(self.get())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::new(d.i64()?).ok_or_else(|| unknown("a seq cannot be negative"))
    }
}

impl Wire for Timestamp {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.i64(self.as_millis())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self::from_millis(d.i64()?))
    }
}

impl Wire for NodeName {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.str(self.as_str())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::new(d.str()?).map_err(|error| DecodeError::message(error.to_string()))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self {
            Some(value) => value.write(e),
            None => {
                e.null()?;
                Ok(())
            }
        }
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        T::read(d).map(Some)
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(self.len() as u64)?;
        self.iter().try_for_each(|value| value.write(e))
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let len = array(d, 0)?;
        // The length is the sender's word: reserve no more than the first page of it.
        let mut values = Self::with_capacity(len.min(1_024) as usize);
        for _ in 0..len {
            values.push(T::read(d)?);
        }
        Ok(values)
    }
}

impl Wire for Place {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?;
        self.parent.write(e)?;
        self.name.write(e)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 2)?;
        let place = Self {
            parent: Wire::read(d)?,
            name: Wire::read(d)?,
        };
        skip(d, rest)?;
        Ok(place)
    }
}

impl Wire for Attributes {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(3)?
            .i64(self.mtime.seconds)?
            .u32(self.mtime.nanos)?
            .bool(self.executable)?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 3)?;
        let mtime =
            Mtime::new(d.i64()?, d.u32()?).ok_or_else(|| unknown("nanoseconds must be below a second"))?;
        let executable = d.bool()?;
        skip(d, rest)?;
        Ok(Self { mtime, executable })
    }
}

impl Wire for Manifest {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.bytes(&self.encode())?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Self::decode(d.bytes()?).map_err(|error| DecodeError::message(error.to_string()))
    }
}

impl Wire for Content {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        match self {
            Self::Directory => {
                e.array(1)?.u8(0)?;
            }
            Self::File(file) => {
                e.array(5)?.u8(1)?.u64(file.size)?;
                file.file_id.write(e)?;
                file.manifest.write(e)?;
                file.content_hash.write(e)?;
            }
            Self::Symlink(target) => {
                e.array(2)?.u8(2)?.str(target.as_str())?;
            }
        }
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 1)?;
        match (d.u8()?, rest) {
            (0, 0) => Ok(Self::Directory),
            (1, 4) => Ok(Self::File(FileContent {
                size: d.u64()?,
                file_id: Wire::read(d)?,
                manifest: Wire::read(d)?,
                content_hash: Wire::read(d)?,
            })),
            (2, 1) => LinkTarget::new(d.str()?)
                .map(Self::Symlink)
                .map_err(|error| DecodeError::message(error.to_string())),
            _ => Err(unknown("unknown kind of content")),
        }
    }
}

impl Wire for NodeKind {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.u8(match self {
            Self::Directory => 0,
            Self::File => 1,
            Self::Symlink => 2,
        })?;
        Ok(())
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        match d.u8()? {
            0 => Ok(Self::Directory),
            1 => Ok(Self::File),
            2 => Ok(Self::Symlink),
            _ => Err(unknown("unknown kind of node")),
        }
    }
}

impl Wire for Node {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(7)?;
        self.id.write(e)?;
        self.place.write(e)?;
        self.content.write(e)?;
        self.attributes.write(e)?;
        self.place_seq.write(e)?;
        self.content_seq.write(e)?;
        self.attributes_seq.write(e)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 7)?;
        let node = Self {
            id: Wire::read(d)?,
            place: Wire::read(d)?,
            content: Wire::read(d)?,
            attributes: Wire::read(d)?,
            place_seq: Wire::read(d)?,
            content_seq: Wire::read(d)?,
            attributes_seq: Wire::read(d)?,
        };
        skip(d, rest)?;
        Ok(node)
    }
}

impl Wire for Cursor {
    fn write<W: Write>(&self, e: &mut Encoder<W>) -> Result<(), EncodeError<W::Error>> {
        e.array(4)?;
        self.namespace.write(e)?;
        self.incarnation.write(e)?;
        self.seq.write(e)?;
        self.chain.write(e)
    }

    fn read(d: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        let rest = array(d, 4)?;
        let cursor = Self {
            namespace: Wire::read(d)?,
            incarnation: Wire::read(d)?,
            seq: Wire::read(d)?,
            chain: Wire::read(d)?,
        };
        skip(d, rest)?;
        Ok(cursor)
    }
}

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

/// How many hashes of a refusal's list are sent.
pub const MISSING_CHUNKS_SENT: usize = limits::HAVE_HASHES;
