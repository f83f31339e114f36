//! What stands at a place: the node that was there, one that stood elsewhere, or a new one.

use std::sync::Arc;

use cairn_core::name::NodeName;
use cairn_core::node::{NodeKind, Place};

use super::{Job, Pass, Visit};
use crate::scanner::ScanError;
use crate::scanner::content::may_hide_a_write;
use crate::scanner::ignore::Scope;
use crate::scanner::matching::{Listed, is_one_name};
use crate::state::LocalRow;

impl Pass<'_> {
    /// A node at its place.
    pub(super) async fn stay(
        &mut self,
        visit: &Visit,
        scope: &Arc<Scope>,
        item: Listed,
        row: LocalRow,
    ) -> Result<(), ScanError> {
        let place = row.entry.place.clone();
        let disk_name = unless_named(&place, &item);
        let is_same_file = item.metadata.fingerprint.is_same_file(&row.fingerprint);
        let is_unchanged = match item.kind {
            NodeKind::Directory => is_same_file,
            NodeKind::File | NodeKind::Symlink => {
                item.metadata.fingerprint == row.fingerprint
                    && !self.may_hide_a_write(&row)
                    && self.is_exec_bit_kept(&item, &row)
            }
        };
        let path = visit.path.join(&item.name);
        if item.kind == NodeKind::Directory && (visit.is_deep || !is_same_file) {
            let is_deep = visit.is_deep || !is_same_file;
            self.enter(Visit {
                node: row.node,
                path: path.clone(),
                is_deep,
                above: Some(Arc::clone(scope)),
            });
        }
        if is_unchanged {
            // The disk may have come to spell the name in another way.
            let respelled = LocalRow {
                disk_name,
                ..row.clone()
            };
            return self.put(respelled, Some(&row)).await;
        }
        self.observe(
            item,
            Job {
                node: row.node,
                path,
                place,
                disk_name,
                previous: Some(row),
                is_listed: true,
            },
        )
        .await
    }

    fn may_hide_a_write(&self, row: &LocalRow) -> bool {
        let now = self.scanner.runtime.clock.now();
        may_hide_a_write(row, now, self.scanner.fs.timestamp_step_ns())
    }

    /// Whether a file's exec bit is as remembered. A disk that lost power may have forgotten that the bit was set within the
    /// tick of the clock in which the file was put in place, and no time shows it.
    fn is_exec_bit_kept(&self, item: &Listed, row: &LocalRow) -> bool {
        item.kind != NodeKind::File
            || !self.scanner.fs.keeps_exec_bit()
            || item.metadata.executable == row.entry.attributes.executable
    }

    /// A node that stood elsewhere.
    pub(super) async fn move_here(
        &mut self,
        visit: &Visit,
        scope: &Arc<Scope>,
        item: Listed,
        row: LocalRow,
    ) -> Result<(), ScanError> {
        self.claimed.insert(row.node);
        self.missing.remove(&row.node);
        let is_name_kept = is_one_name(row.name_on_disk(), &item.name);
        // Names were checked when the folder was listed.
        let Some(typed) = NodeName::new(item.name.as_str()).ok() else {
            return Ok(());
        };
        let place = Place {
            parent: visit.node,
            name: if is_name_kept {
                row.entry.place.name.clone()
            } else {
                typed
            },
        };
        let disk_name = unless_named(&place, &item);
        let path = visit.path.join(&item.name);
        if item.kind == NodeKind::Directory {
            self.has_moved_folders = true;
            self.enter(Visit {
                node: row.node,
                path: path.clone(),
                is_deep: true,
                above: Some(Arc::clone(scope)),
            });
        }
        let is_same_state = item.metadata.fingerprint.is_same_state(&row.fingerprint);
        let job = Job {
            node: row.node,
            path,
            place,
            disk_name,
            previous: Some(row),
            is_listed: true,
        };
        match &job.previous {
            Some(row) if item.kind == NodeKind::File && is_same_state && !self.may_hide_a_write(row) => {
                // A rename sets the change time, and with it hides a write that set the other times back: the move is
                // taken down at once, the bytes are read in their time.
                let is_unsure = item.metadata.fingerprint != row.fingerprint;
                self.report.has_more_unsure |= is_unsure;
                let moved = self.with_state(&job, row.entry.substance.clone(), &item.metadata, is_unsure);
                self.put(moved, job.previous.as_ref()).await
            }
            _ => self.observe(item, job).await,
        }
    }

    /// A new node.
    pub(super) async fn appear(
        &mut self,
        visit: &Visit,
        scope: &Arc<Scope>,
        item: Listed,
    ) -> Result<(), ScanError> {
        // Names were checked when the folder was listed.
        let Some(name) = NodeName::new(item.name.as_str()).ok() else {
            return Ok(());
        };
        let node = self.ids.take(&*self.scanner.runtime.entropy);
        let path = visit.path.join(&item.name);
        if item.kind == NodeKind::Directory {
            self.enter(Visit {
                node,
                path: path.clone(),
                is_deep: true,
                above: Some(Arc::clone(scope)),
            });
        }
        let place = Place {
            parent: visit.node,
            name,
        };
        self.observe(
            item,
            Job {
                node,
                path,
                place,
                disk_name: None,
                previous: None,
                is_listed: true,
            },
        )
        .await
    }
}

/// What the disk lists a node as, where that is not its name.
fn unless_named(place: &Place, item: &Listed) -> Option<String> {
    (place.name.as_str() != item.name).then(|| item.name.clone())
}
