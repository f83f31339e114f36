//! Nodes and what they hold.

use cairn_core::manifest::Manifest;
use cairn_core::node::{Attributes, Content, FileContent, LinkTarget, Node, NodeKind, Place};
use cairn_core::time::Mtime;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};

use super::{Wire, array, skip, unknown};

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
