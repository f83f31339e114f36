//! One folder's names joined with its remembered nodes.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use cairn_core::node::NodeKind;

use crate::fs::Metadata;
use crate::state::LocalRow;

/// A name of a kind that is synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) kind: NodeKind,
    pub(super) metadata: Metadata,
}

impl Listed {
    fn is_file_of(&self, row: &LocalRow) -> bool {
        self.kind == row.entry.substance.kind() && self.metadata.fingerprint.is_same_file(&row.fingerprint)
    }
}

/// Who is who in one folder.
#[derive(Debug, Default)]
pub(super) struct Matched {
    /// At their place, perhaps with other bytes.
    pub(super) same: Vec<(Listed, LocalRow)>,
    /// Files that swapped names among themselves.
    pub(super) swapped: Vec<(Listed, LocalRow)>,
    /// Folders of the old name and another inode: moved here, unless nothing else explains them.
    pub(super) doubtful: Vec<(Listed, LocalRow)>,
    /// Names that no node here had: new, or moved here.
    pub(super) fresh: Vec<Listed>,
    /// Nodes whose name is gone, or stands for another kind now.
    pub(super) missing: Vec<LocalRow>,
}

/// Joins names and rows, both in byte order of the name. Rows of a name in `held` are left as they are.
pub(super) fn match_folder(listed: Vec<Listed>, rows: Vec<LocalRow>, held: &HashSet<String>) -> Matched {
    let mut matched = Matched::default();
    let mut weak = Vec::new();
    let mut rows = rows
        .into_iter()
        .filter(|row| !held.contains(row.name_on_disk()))
        .peekable();
    for item in listed {
        let mut of_name = Vec::new();
        while let Some(row) = rows.next_if(|row| row.name_on_disk() <= item.name.as_str()) {
            match row.name_on_disk().cmp(&item.name) {
                Ordering::Equal => of_name.push(row),
                _ => matched.missing.push(row),
            }
        }
        let chosen = of_name.iter().position(|row| item.is_file_of(row)).or_else(|| {
            of_name
                .iter()
                .position(|row| row.entry.substance.kind() == item.kind)
        });
        let row = chosen.map(|index| of_name.swap_remove(index));
        matched.missing.append(&mut of_name);
        match row {
            None => matched.fresh.push(item),
            Some(row) if item.is_file_of(&row) => matched.same.push((item, row)),
            Some(row) if item.kind == NodeKind::Directory => matched.doubtful.push((item, row)),
            Some(row) => weak.push((item, row)),
        }
    }
    matched.missing.extend(rows);
    settle_weak(weak, &mut matched);
    matched
}

/// Files whose name is the old one and whose inode is not. Where their inodes are those of one another in a circle, the
/// names were swapped; else each is the old node with new bytes.
fn settle_weak(weak: Vec<(Listed, LocalRow)>, matched: &mut Matched) {
    let by_inode: HashMap<u64, usize> = weak
        .iter()
        .enumerate()
        .map(|(index, (_, row))| (row.fingerprint.inode, index))
        .collect();
    let came_from: Vec<Option<usize>> = weak
        .iter()
        .map(|(item, _)| {
            let index = *by_inode.get(&item.metadata.fingerprint.inode)?;
            let row = &weak.get(index)?.1;
            let is_same = item.metadata.fingerprint.is_same_state(&row.fingerprint);
            (is_same && item.kind == row.entry.substance.kind()).then_some(index)
        })
        .collect();
    let in_circle: Vec<bool> = (0..weak.len())
        .map(|start| is_in_circle(&came_from, start))
        .collect();
    let rows: Vec<LocalRow> = weak.iter().map(|(_, row)| row.clone()).collect();
    for (index, (item, row)) in weak.into_iter().enumerate() {
        match came_from[index] {
            Some(from) if in_circle[index] => matched.swapped.push((item, rows[from].clone())),
            _ => matched.same.push((item, row)),
        }
    }
}

fn is_in_circle(came_from: &[Option<usize>], start: usize) -> bool {
    let mut current = start;
    for _ in 0..came_from.len() {
        match came_from[current] {
            Some(next) if next == start => return true,
            Some(next) => current = next,
            None => return false,
        }
    }
    false
}
