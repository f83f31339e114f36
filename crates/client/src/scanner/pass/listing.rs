//! What a listing of a folder says: names that are synced, names that cannot be, and the rules that hold in it.

use std::collections::HashSet;
use std::sync::Arc;

use cairn_core::name::NodeName;

use super::{Pass, Visit};
use crate::fs::{DirectoryEntry, FileKind};
use crate::scanner::ignore::{IGNORE_FILE, Scope};
use crate::scanner::matching::Listed;
use crate::scanner::report::ProblemReason;
use crate::state::LocalRow;

impl Pass<'_> {
    /// The rules that hold in a folder. Where they changed, all below it is looked at: what was ignored may be wanted now.
    pub(super) async fn take_rules(
        &mut self,
        visit: &Visit,
        listed: &[Listed],
        held: &HashSet<String>,
    ) -> (Arc<Scope>, Visit) {
        let file = visit.path.join(IGNORE_FILE);
        let found = match listed.iter().find(|item| item.name == IGNORE_FILE) {
            Some(item) => Ok(Some(item.metadata)),
            // It is there, and could not be looked at.
            None if held.contains(IGNORE_FILE) => {
                let file = file.clone();
                self.scanner.on_disk(move |fs| fs.metadata(&file)).await
            }
            None => Ok(None),
        };
        let mut loaded = self.scanner.take_rules(&visit.path, found).await;
        for problem in std::mem::take(&mut loaded.problems) {
            self.report.note_problem(file.clone(), problem);
        }
        let visit = Visit {
            node: visit.node,
            path: visit.path.clone(),
            is_deep: visit.is_deep || loaded.is_changed,
            above: visit.above.clone(),
        };
        let scope = Scope::new(&visit.path, loaded, visit.above.clone());
        (Arc::new(scope), visit)
    }

    /// Splits a listing into what is synced and the names whose rows stay as they are.
    pub(super) fn sort_out(
        &mut self,
        visit: &Visit,
        entries: Vec<DirectoryEntry>,
    ) -> (Vec<Listed>, HashSet<String>) {
        let mut listed = Vec::with_capacity(entries.len());
        let mut held = HashSet::new();
        for entry in entries {
            self.report.seen += 1;
            let (name, metadata) = match entry {
                DirectoryEntry::Named { name, metadata } => (name, metadata),
                DirectoryEntry::Unreadable { shown, reason } => {
                    self.report
                        .note_problem(visit.path.join(&shown), ProblemReason::Unreadable(reason));
                    held.insert(shown);
                    continue;
                }
            };
            let reason = match (metadata.kind, NodeName::new(name.as_str())) {
                (FileKind::Node(kind), Ok(_)) => {
                    listed.push(Listed { name, kind, metadata });
                    continue;
                }
                (FileKind::Node(_), Err(error)) => ProblemReason::Name(error),
                (FileKind::Special, _) => ProblemReason::Special,
                (FileKind::MountPoint, _) => ProblemReason::MountPoint,
            };
            self.report.note_problem(visit.path.join(&name), reason);
            held.insert(name);
        }
        (listed, held)
    }

    /// Notes the nodes whose names stand for something of another kind; both are in byte order of the name.
    pub(super) fn note_supplanted(&mut self, listed: &[Listed], rows: &[LocalRow]) {
        for row in rows {
            let found = listed.binary_search_by(|item| item.name.as_str().cmp(row.name_on_disk()));
            let item = found.ok().and_then(|index| listed.get(index));
            if item.is_some_and(|item| item.kind != row.entry.substance.kind()) {
                self.supplanted.insert(row.node);
            }
        }
    }
}
