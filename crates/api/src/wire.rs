//! How core types travel: CBOR arrays (RFC 8949), fields in the order written here.
//!
//! Used as `#[cbor(with = "crate::wire")]`. Decoding checks everything that a type promises, so that what arrives as a
//! [`cairn_core::node::Node`] is one. A field may be added at the end of an array: older readers skip what they do not know.

mod change;
mod node;

use cairn_core::ids::{
    AccountId, ChainHash, ChunkHash, ContentHash, DeviceId, FileId, Incarnation, NamespaceId, NodeId, OpId,
    TreeHash,
};
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;
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
wire_bytes!(
    ChunkHash,
    FileId,
    ContentHash,
    ChainHash,
    TreeHash,
    OpId,
    Incarnation
);

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

/// How many hashes of a refusal's list are sent.
pub const MISSING_CHUNKS_SENT: usize = limits::HAVE_HASHES;
