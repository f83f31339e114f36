//! Rows to entries and back.

use cairn_core::ids::{ChainHash, FileId, Incarnation, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, LinkTarget, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Mtime;
use cairn_core::tree::{Entry, Substance};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::fault::Fault;
use crate::fs::Fingerprint;
use crate::state::LocalRow;
use crate::state::triple::{TreeName, Triple, WITHHELD_BIT};

/// A query of entries with what was observed of them: what stands between `SELECT ..` and the rest of the statement.
/// The source names the rows of `entry` as `e`. Read with [`node`], [`entry`] and [`local_row`].
macro_rules! select_entries {
    ($from:literal, $rest:literal) => {
        concat!(
            "SELECT e.node, e.trees, e.parent, e.name, e.kind, e.file_id, e.size, e.target, e.mtime_s, e.mtime_ns,
                    e.exec, e.place_seq, e.content_seq,
                    o.disk_name, o.inode, o.born_s, o.born_ns, o.size, o.mtime_s, o.mtime_ns, o.ctime_s, o.ctime_ns,
                    o.unsure
             FROM ",
            $from,
            " LEFT JOIN observed o ON e.trees & 2 AND o.ns = e.ns AND o.node = e.node ",
            $rest
        )
    };
}
pub(super) use select_entries;

/// The columns of `entry` after `ns`, `node` and `trees`, or of `listing` without `folded`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntryColumns<'e> {
    pub(super) parent: i64,
    pub(super) name: &'e str,
    pub(super) folded: Option<String>,
    pub(super) kind: i64,
    pub(super) file_id: Option<&'e [u8]>,
    pub(super) size: i64,
    pub(super) target: Option<&'e str>,
    pub(super) mtime: Mtime,
    pub(super) executable: bool,
    pub(super) place_seq: i64,
    pub(super) content_seq: i64,
}

impl<'e> From<&'e Entry> for EntryColumns<'e> {
    fn from(entry: &'e Entry) -> Self {
        let (kind, file_id, size, target) = match &entry.substance {
            Substance::Directory => (0, None, 0, None),
            Substance::File { file_id, size } => (1, Some(&file_id.as_bytes()[..]), size.cast_signed(), None),
            Substance::Symlink(target) => (2, None, 0, Some(target.as_str())),
        };
        Self {
            parent: entry.place.parent.get(),
            name: entry.place.name.as_str(),
            folded: folded(&entry.place.name),
            kind,
            file_id,
            size,
            target,
            mtime: entry.attributes.mtime,
            executable: entry.attributes.executable,
            place_seq: entry.place_seq.get(),
            content_seq: entry.content_seq.get(),
        }
    }
}

/// A name's key, where it is not the name.
pub(super) fn folded(name: &NodeName) -> Option<String> {
    let key = name.key();
    (key.as_str() != name.as_str()).then(|| key.as_str().to_owned())
}

/// The columns of `observed` after `ns` and `node`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ObservedColumns<'r> {
    pub(super) disk_name: Option<&'r str>,
    pub(super) inode: i64,
    pub(super) born_s: Option<i64>,
    pub(super) born_ns: Option<i64>,
    pub(super) size: Option<i64>,
    pub(super) mtime: Option<Mtime>,
    pub(super) ctime: Mtime,
    pub(super) is_unsure: bool,
}

const NANOS: i128 = 1_000_000_000;

impl<'r> From<&'r LocalRow> for ObservedColumns<'r> {
    fn from(row: &'r LocalRow) -> Self {
        let print = &row.fingerprint;
        let size = match row.entry.substance {
            Substance::File { size, .. } => size,
            Substance::Directory | Substance::Symlink(_) => 0,
        };
        Self {
            disk_name: row.disk_name.as_deref(),
            inode: print.inode.cast_signed(),
            // A time of birth beyond 64 bits of seconds is noise; it is kept as the nearest that fits.
            born_s: print
                .born_ns
                .map(|ns| ns.div_euclid(NANOS).clamp(i64::MIN.into(), i64::MAX.into()) as i64),
            born_ns: print.born_ns.map(|ns| ns.rem_euclid(NANOS) as i64),
            size: (print.size != size).then(|| print.size.cast_signed()),
            mtime: (print.mtime != row.entry.attributes.mtime).then_some(print.mtime),
            ctime: print.ctime,
            is_unsure: row.is_unsure,
        }
    }
}

/// The entries of a node as rows: what stands in several trees alike is one row, with the bits of these trees.
pub(super) fn shared(triple: &Triple) -> Vec<(i64, EntryColumns<'_>)> {
    let mut rows: Vec<(i64, EntryColumns<'_>)> = Vec::with_capacity(1);
    for tree in [TreeName::Remote, TreeName::Synced, TreeName::Local] {
        let Some(entry) = triple.entry(tree) else { continue };
        let columns = EntryColumns::from(entry);
        let alike = |held: &EntryColumns<'_>| match tree {
            TreeName::Local => {
                let held = EntryColumns {
                    place_seq: 0,
                    content_seq: 0,
                    ..held.clone()
                };
                held == columns
            }
            TreeName::Remote | TreeName::Synced => *held == columns,
        };
        match rows.iter_mut().find(|(_, held)| alike(held)) {
            Some((bits, _)) => *bits |= tree.bit(),
            None => rows.push((tree.bit(), columns)),
        }
    }
    if triple.is_withheld
        && let Some((bits, _)) = rows
            .iter_mut()
            .find(|(bits, _)| bits & TreeName::Remote.bit() != 0)
    {
        *bits |= WITHHELD_BIT;
    }
    rows
}

/// The node of a selected row.
pub(super) fn node(row: &SqliteRow) -> Result<NodeId, Fault> {
    node_id(row.try_get(0)?)
}

/// A node's id.
pub(super) fn node_id(value: i64) -> Result<NodeId, Fault> {
    NodeId::new(value).map_err(|_| Fault::damaged("node id"))
}

/// A position.
pub(super) fn seq(value: i64) -> Result<Seq, Fault> {
    Seq::new(value).ok_or_else(|| Fault::damaged("position"))
}

fn mtime(seconds: i64, nanos: i64) -> Result<Mtime, Fault> {
    let nanos = u32::try_from(nanos).map_err(|_| Fault::damaged("time"))?;
    Mtime::new(seconds, nanos).ok_or_else(|| Fault::damaged("time"))
}

/// The entry of a selected row.
pub(super) fn entry(row: &SqliteRow) -> Result<Entry, Fault> {
    let name: String = row.try_get(3)?;
    let substance = match row.try_get::<i64, _>(4)? {
        0 => Substance::Directory,
        1 => {
            let file_id = row.try_get::<Option<&[u8]>, _>(5)?.and_then(FileId::from_slice);
            Substance::File {
                file_id: file_id.ok_or_else(|| Fault::damaged("file id"))?,
                size: row.try_get::<i64, _>(6)?.cast_unsigned(),
            }
        }
        2 => {
            let target: String = row.try_get::<Option<String>, _>(7)?.unwrap_or_default();
            Substance::Symlink(LinkTarget::new(target).map_err(|_| Fault::damaged("link"))?)
        }
        _ => return Err(Fault::damaged("kind")),
    };
    Ok(Entry {
        place: Place {
            parent: node_id(row.try_get(2)?)?,
            name: NodeName::new(name).map_err(|_| Fault::damaged("name"))?,
        },
        substance,
        attributes: Attributes {
            mtime: mtime(row.try_get(8)?, row.try_get(9)?)?,
            executable: row.try_get(10)?,
        },
        place_seq: seq(row.try_get(11)?)?,
        content_seq: seq(row.try_get(12)?)?,
    })
}

/// What the local tree says in a selected row that stands for it.
pub(super) fn local_row(row: &SqliteRow) -> Result<LocalRow, Fault> {
    let mut entry = entry(row)?;
    entry.place_seq = Seq::ZERO;
    entry.content_seq = Seq::ZERO;
    let size = match row.try_get::<Option<i64>, _>(17)? {
        Some(size) => size.cast_unsigned(),
        None => match entry.substance {
            Substance::File { size, .. } => size,
            Substance::Directory | Substance::Symlink(_) => 0,
        },
    };
    let modified = match (
        row.try_get::<Option<i64>, _>(18)?,
        row.try_get::<Option<i64>, _>(19)?,
    ) {
        (Some(seconds), Some(nanos)) => mtime(seconds, nanos)?,
        _ => entry.attributes.mtime,
    };
    let born = row
        .try_get::<Option<i64>, _>(15)?
        .zip(row.try_get::<Option<i64>, _>(16)?);
    let inode = row
        .try_get::<Option<i64>, _>(14)?
        .ok_or_else(|| Fault::damaged("lack of an inode"))?;
    Ok(LocalRow {
        node: node(row)?,
        entry,
        disk_name: row.try_get(13)?,
        fingerprint: Fingerprint {
            inode: inode.cast_unsigned(),
            born_ns: born.map(|(seconds, nanos)| i128::from(seconds) * NANOS + i128::from(nanos)),
            size,
            mtime: modified,
            ctime: mtime(row.try_get(20)?, row.try_get(21)?)?,
        },
        is_unsure: row.try_get(22)?,
    })
}

/// Puts a selected row into the trees that it stands for.
pub(super) fn fill(triple: &mut Triple, row: &SqliteRow) -> Result<(), Fault> {
    let trees: i64 = row.try_get(1)?;
    if trees & TreeName::Local.bit() != 0 {
        triple.local = Some(local_row(row)?);
    }
    if trees & (TreeName::Remote.bit() | TreeName::Synced.bit()) != 0 {
        let entry = entry(row)?;
        if trees & TreeName::Remote.bit() != 0 {
            triple.remote = Some(entry.clone());
            triple.is_withheld = trees & WITHHELD_BIT != 0;
        }
        if trees & TreeName::Synced.bit() != 0 {
            triple.synced = Some(entry);
        }
    }
    Ok(())
}

/// The cursor in three columns from `first`; `None` when there is none.
pub(super) fn cursor(row: &SqliteRow, first: usize, namespace: NamespaceId) -> Result<Option<Cursor>, Fault> {
    let Some(value) = row.try_get::<Option<i64>, _>(first + 1)? else {
        return Ok(None);
    };
    let incarnation = row
        .try_get::<Option<&[u8]>, _>(first)?
        .and_then(Incarnation::from_slice);
    let chain = row
        .try_get::<Option<&[u8]>, _>(first + 2)?
        .and_then(ChainHash::from_slice);
    let (Some(incarnation), Some(chain)) = (incarnation, chain) else {
        return Err(Fault::damaged("cursor"));
    };
    Ok(Some(Cursor {
        namespace,
        incarnation,
        seq: seq(value)?,
        chain,
    }))
}
