//! Rows of the database as values of the core.

use cairn_core::change::Change;
use cairn_core::ids::{AccountId, ChainHash, DeviceId, Incarnation, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, NodeKind, Place};
use cairn_core::rev::Seq;
use cairn_core::time::{Mtime, Timestamp};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::error::corrupt;
use crate::codec::{change_of, decode_content, kind_of};
use crate::row::{JournalRow, Ledger, NodeRow};
use crate::{AppKey, MetadataError, Result, TokenHash};

/// Reads columns by position, one after another.
pub(super) struct Columns<'r> {
    row: &'r SqliteRow,
    next: usize,
}

macro_rules! id_column {
    ($name:ident, $id:ty) => {
        pub(super) fn $name(&mut self) -> Result<$id> {
            let value = self.i64()?;
            <$id>::new(value).map_err(|error| corrupt(error.to_string()))
        }
    };
}

macro_rules! bytes_column {
    ($name:ident, $id:ty) => {
        pub(super) fn $name(&mut self) -> Result<$id> {
            let bytes: &[u8] = self.get()?;
            <$id>::from_slice(bytes).ok_or_else(|| corrupt("a hash has the wrong length"))
        }
    };
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r SqliteRow) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn get<T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>>(&mut self) -> Result<T> {
        let index = self.next;
        self.next += 1;
        self.row.try_get(index).map_err(MetadataError::from)
    }

    pub(super) fn i64(&mut self) -> Result<i64> {
        self.get()
    }

    pub(super) fn optional(&mut self) -> Result<Option<i64>> {
        self.get()
    }

    pub(super) fn bytes(&mut self) -> Result<&'r [u8]> {
        self.get()
    }

    pub(super) fn text(&mut self) -> Result<&'r str> {
        self.get()
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<&'r str>> {
        self.get()
    }

    pub(super) fn app_key(&mut self) -> Result<AppKey> {
        AppKey::new(self.text()?).ok_or_else(|| corrupt("an app's key is illegal"))
    }

    pub(super) fn token_hash(&mut self) -> Result<TokenHash> {
        let bytes = <[u8; 32]>::try_from(self.bytes()?);
        bytes
            .map(TokenHash)
            .map_err(|_| corrupt("a token's hash has the wrong length"))
    }

    pub(super) fn seq(&mut self) -> Result<Seq> {
        Seq::new(self.i64()?).ok_or_else(|| corrupt("a position is negative"))
    }

    pub(super) fn timestamp(&mut self) -> Result<Timestamp> {
        Ok(Timestamp::from_millis(self.i64()?))
    }

    id_column!(node_id, NodeId);
    id_column!(namespace, NamespaceId);
    id_column!(account, AccountId);
    id_column!(device, DeviceId);
    bytes_column!(chain, ChainHash);
    bytes_column!(incarnation, Incarnation);

    pub(super) fn name(&mut self) -> Result<NodeName> {
        NodeName::new(self.text()?).map_err(|error| corrupt(error.to_string()))
    }

    pub(super) fn kind(&mut self) -> Result<NodeKind> {
        kind_of(self.i64()?).ok_or_else(|| corrupt("a kind is unknown"))
    }

    /// `kind, size, content`.
    pub(super) fn content(&mut self) -> Result<Content> {
        let kind = self.kind()?;
        let size = self.i64()?;
        Ok(decode_content(kind, size, self.bytes()?)?)
    }

    /// `mtime_s, mtime_ns, executable`.
    pub(super) fn attributes(&mut self) -> Result<Attributes> {
        let seconds = self.i64()?;
        let nanos = u32::try_from(self.i64()?).unwrap_or(u32::MAX);
        let mtime = Mtime::new(seconds, nanos).ok_or_else(|| corrupt("an mtime has too many nanoseconds"))?;
        Ok(Attributes {
            mtime,
            executable: self.get()?,
        })
    }

    /// `node_id, parent_id, name, key, kind, size, content, mtime_s, mtime_ns, executable, place_seq, content_seq,
    /// attributes_seq, created_seq`.
    pub(super) fn node(&mut self) -> Result<NodeRow> {
        Ok(NodeRow {
            id: self.node_id()?,
            parent: self.node_id()?,
            name: self.name()?,
            key: self.text()?.to_owned(),
            content: self.content()?,
            attributes: self.attributes()?,
            place_seq: self.seq()?,
            content_seq: self.seq()?,
            attributes_seq: self.seq()?,
            created_seq: self.seq()?,
        })
    }

    /// `head_seq, chain, last_at, bytes_used, bytes_granted, fence_epoch`.
    pub(super) fn ledger(&mut self) -> Result<Ledger> {
        Ok(Ledger {
            head: self.seq()?,
            chain: self.chain()?,
            last_at: self.timestamp()?,
            bytes_used: self.i64()?,
            bytes_granted: self.optional()?,
            fence_epoch: self.i64()?,
        })
    }

    fn place(&mut self) -> Result<Option<Place>> {
        let parent = self.optional()?;
        let name: Option<&str> = self.get()?;
        let (Some(parent), Some(name)) = (parent, name) else {
            return Ok(None);
        };
        Ok(Some(Place {
            parent: NodeId::new(parent).map_err(|error| corrupt(error.to_string()))?,
            name: NodeName::new(name).map_err(|error| corrupt(error.to_string()))?,
        }))
    }

    /// `seq, group_last, node_id, change, kind, before_parent_id, before_name, after_parent_id, after_name, content_id,
    /// mtime_s, mtime_ns, executable, bytes_delta, device_id, at, chain`.
    pub(super) fn journal(&mut self) -> Result<JournalRow> {
        let (seq, group_last, node) = (self.seq()?, self.seq()?, self.node_id()?);
        let change = change_of(self.i64()?).ok_or_else(|| corrupt("a change is unknown"))?;
        let kind = self.kind()?;
        let before = self.place()?;
        let after = self.place()?;
        // Where the place did not change it is stored once.
        let place_before = match change {
            Change::Edited | Change::AttributesSet => after.clone(),
            Change::Created | Change::Moved | Change::Deleted | Change::Restored => before,
        };
        let content_id: Option<&[u8]> = self.get()?;
        let content_id = content_id
            .map(|bytes| {
                <[u8; 32]>::try_from(bytes).map_err(|_| corrupt("a content id has the wrong length"))
            })
            .transpose()?;
        Ok(JournalRow {
            seq,
            group_last,
            node,
            change,
            kind,
            place_before,
            place_after: after,
            content_id,
            attributes: self.attributes()?,
            bytes_delta: self.i64()?,
            device: self.device()?,
            at: self.timestamp()?,
            chain: self.chain()?,
        })
    }
}
