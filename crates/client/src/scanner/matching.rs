//! One folder's names joined with its remembered nodes.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use cairn_core::name::NodeName;
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
    /// Here under a name that differs only in case: a disk that folds names still finds them under the old one.
    pub(super) renamed: Vec<(Listed, LocalRow)>,
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
            Some(row) => match_named(item, row, &mut matched, &mut weak),
        }
    }
    matched.missing.extend(rows);
    prefer_own_rows(&mut matched, &mut weak);
    match_respelled(&mut matched, &mut weak);
    settle_weak(weak, &mut matched);
    matched
}

/// A name and a row of that name and kind.
fn match_named(item: Listed, row: LocalRow, matched: &mut Matched, weak: &mut Vec<(Listed, LocalRow)>) {
    if item.is_file_of(&row) {
        matched.same.push((item, row));
    } else if item.kind == NodeKind::Directory {
        matched.doubtful.push((item, row));
    } else {
        weak.push((item, row));
    }
}

/// Where a name stands for another file than that of the row that is spelled so, and for the file of a row that is one name
/// with it in composed form, it is that row's: the disk lists both alike, and what had the name has gone.
fn prefer_own_rows(matched: &mut Matched, weak: &mut Vec<(Listed, LocalRow)>) {
    let by_inode: HashMap<u64, usize> = matched
        .missing
        .iter()
        .enumerate()
        .map(|(index, row)| (row.fingerprint.inode, index))
        .collect();
    for spelled_so in [weak, &mut matched.doubtful] {
        for (item, row) in std::mem::take(spelled_so) {
            let own = by_inode
                .get(&item.metadata.fingerprint.inode)
                .and_then(|index| matched.missing.get_mut(*index))
                .filter(|own| item.is_file_of(own) && is_one_name(own.name_on_disk(), &item.name));
            match own {
                Some(own) => matched.same.push((item, std::mem::replace(own, row))),
                None => spelled_so.push((item, row)),
            }
        }
    }
}

/// Joins what has no namesake by names that are one in composed form, then the same file by names that differ in case.
/// A disk may list another form than the one that was written: that is no new name.
fn match_respelled(matched: &mut Matched, weak: &mut Vec<(Listed, LocalRow)>) {
    if matched.fresh.is_empty() || matched.missing.is_empty() {
        return;
    }
    let mut missing: Vec<Option<LocalRow>> = std::mem::take(&mut matched.missing)
        .into_iter()
        .map(Some)
        .collect();
    let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, row) in missing.iter().enumerate() {
        if let Some(name) = row
            .as_ref()
            .and_then(|row| NodeName::new(row.name_on_disk()).ok())
        {
            by_key
                .entry(name.key().as_str().to_owned())
                .or_default()
                .push(index);
        }
    }
    for item in std::mem::take(&mut matched.fresh) {
        let alike = NodeName::new(item.name.as_str())
            .ok()
            .and_then(|name| by_key.get(name.key().as_str()));
        let candidates = || alike.into_iter().flatten().copied();
        let row_at = |index: usize| missing.get(index).and_then(Option::as_ref);
        let respelled = |index: &usize| {
            row_at(*index).is_some_and(|row| {
                row.entry.substance.kind() == item.kind && is_one_name(row.name_on_disk(), &item.name)
            })
        };
        let is_file = |index: &usize| row_at(*index).is_some_and(|row| item.is_file_of(row));
        let chosen = candidates()
            .find(|index| respelled(index) && is_file(index))
            .or_else(|| candidates().find(respelled))
            .or_else(|| candidates().find(is_file));
        match chosen.and_then(|index| missing.get_mut(index)?.take()) {
            None => matched.fresh.push(item),
            Some(row) if is_one_name(row.name_on_disk(), &item.name) => match_named(item, row, matched, weak),
            Some(row) => matched.renamed.push((item, row)),
        }
    }
    matched.missing = missing.into_iter().flatten().collect();
}

/// Whether two names are one in composed form.
pub(super) fn is_one_name(a: &str, b: &str) -> bool {
    let composed = |name: &str| NodeName::new(name).map(|name| name.composed());
    a == b || (!(a.is_ascii() && b.is_ascii()) && composed(a) == composed(b))
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
