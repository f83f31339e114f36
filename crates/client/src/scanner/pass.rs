//! One pass over folders.

mod collect;
mod doubts;
mod listing;
mod moved;
mod place;
mod vanish;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use cairn_core::ids::{NodeId, NodeIdRun};
use cairn_core::limits;
use cairn_core::node::{NodeKind, Place};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::content::{ReadOutcome, reason};
use super::ignore::Scope;
use super::matching::match_folder;
use super::report::ProblemReason;
use super::{Brake, ScanError, ScanReport, Scanner};
use crate::fs::DiskPath;
use crate::state::{LocalRow, StateBatch};
use doubts::Doubt;
use moved::known_inodes;

/// A folder to look at.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) node: NodeId,
    pub(super) path: DiskPath,
    /// Whether known folders in it are looked at too.
    pub(super) is_deep: bool,
    /// The rules that hold above it; `None` for the root.
    pub(super) above: Option<Arc<Scope>>,
}

/// A file to read.
struct Job {
    node: NodeId,
    path: DiskPath,
    place: Place,
    disk_name: Option<String>,
    previous: Option<LocalRow>,
    /// Whether its folder was listed in this pass, with this name in it.
    is_listed: bool,
}

/// What one pass has seen. Bounded: rows wait in a batch, nodes that may be gone are kept by id only.
pub(super) struct Pass<'scanner> {
    scanner: &'scanner Scanner,
    report: ScanReport,
    batch: StateBatch,
    /// Chunks in the batch's contents.
    batch_chunks: usize,
    /// Bytes of the files in the batch.
    batch_bytes: u64,
    has_moved_folders: bool,
    /// Files of the next read, and their bytes.
    to_read: Vec<Job>,
    to_read_bytes: u64,
    reads: FuturesUnordered<BoxFuture<'static, Vec<(Job, ReadOutcome)>>>,
    to_visit: Vec<Visit>,
    visited: HashSet<NodeId>,
    /// In order: each is looked at once more.
    missing: BTreeSet<NodeId>,
    /// Nodes in whose place a thing of another kind was listed.
    supplanted: HashSet<NodeId>,
    /// Nodes that were found at another place in this pass.
    claimed: HashSet<NodeId>,
    /// Folders that may be new, although their names are known.
    doubts: VecDeque<Doubt>,
    /// Nodes that were believed to be at their place, although it has another inode.
    believed: HashSet<NodeId>,
    /// For nodes that are new.
    ids: NodeIdRun,
}

impl<'scanner> Pass<'scanner> {
    pub(super) fn new(scanner: &'scanner Scanner) -> Self {
        Self {
            scanner,
            report: ScanReport::default(),
            batch: StateBatch::default(),
            batch_chunks: 0,
            batch_bytes: 0,
            has_moved_folders: false,
            to_read: Vec::new(),
            to_read_bytes: 0,
            reads: FuturesUnordered::new(),
            to_visit: Vec::new(),
            visited: HashSet::new(),
            missing: BTreeSet::new(),
            supplanted: HashSet::new(),
            claimed: HashSet::new(),
            doubts: VecDeque::new(),
            believed: HashSet::new(),
            ids: NodeIdRun::default(),
        }
    }

    pub(super) fn enter(&mut self, visit: Visit) {
        self.to_visit.push(visit);
    }

    pub(super) async fn run(&mut self) -> Result<(), ScanError> {
        self.visit_all().await?;
        while self.settle_doubt().await? {
            self.visit_all().await?;
        }
        Ok(())
    }

    async fn visit_all(&mut self) -> Result<(), ScanError> {
        while let Some(visit) = self.to_visit.pop() {
            let waiting = self.to_visit.len();
            if visit.path.names().len() >= limits::TREE_DEPTH {
                self.report.note_problem(visit.path, ProblemReason::TooDeep);
            } else if self.visited.insert(visit.node) {
                self.visit(&visit).await?;
                // The folders in it come next, in the order of their names and so of their ids: rows of the state that are
                // sorted by folder are appended, too.
                self.to_visit[waiting..].reverse();
            }
        }
        Ok(())
    }

    async fn visit(&mut self, visit: &Visit) -> Result<(), ScanError> {
        let path = visit.path.clone();
        let entries = match self.scanner.on_disk(move |fs| fs.list(&path)).await {
            Ok(entries) => entries,
            // Gone since it was listed: the next look at the folder above says so.
            Err(error) if error.is_not_found() && visit.node != NodeId::ROOT => return Ok(()),
            Err(error) => {
                self.report.note_problem(visit.path.clone(), reason(&error));
                return Ok(());
            }
        };
        let (listed, held) = self.sort_out(visit, entries);
        let (scope, visit) = self.take_rules(visit, &listed, &held).await;
        let visit = &visit;
        let mut rows = self
            .scanner
            .state
            .local_children(self.scanner.namespace, visit.node)
            .await?;
        rows.retain(|row| !self.claimed.contains(&row.node));
        self.note_supplanted(&listed, &rows);
        let matched = match_folder(listed, rows, &held);
        let known = known_inodes(self.scanner, &matched).await?;
        for (item, row) in matched.same {
            if item.name != row.name_on_disk() && !item.metadata.fingerprint.is_same_file(&row.fingerprint) {
                // It stands at its place by another spelling, and so not at the path by which that is looked for.
                self.believed.insert(row.node);
            }
            self.stay(visit, &scope, item, row).await?;
        }
        for (item, row) in matched.swapped.into_iter().chain(matched.renamed) {
            self.move_here(visit, &scope, item, row).await?;
        }
        for (item, row) in matched.doubtful {
            match self.find_moved(visit, &item, &known).await? {
                Some(moved) => {
                    self.move_here(visit, &scope, item, moved).await?;
                    self.miss(row.node);
                }
                None => self.doubt(visit, &scope, item, row).await?,
            }
        }
        for item in matched.fresh {
            let is_folder = item.kind == NodeKind::Directory;
            let is_ignored = scope.ignored_by(&item.name, is_folder).is_some();
            // What is synced already stays synced under any name.
            match self.find_moved(visit, &item, &known).await? {
                Some(moved) => self.move_here(visit, &scope, item, moved).await?,
                None if is_ignored => self.report.ignored += 1,
                None => self.appear(visit, &scope, item).await?,
            }
        }
        for row in matched.missing {
            self.miss(row.node);
        }
        Ok(())
    }

    fn miss(&mut self, node: NodeId) {
        if !self.claimed.contains(&node) {
            self.missing.insert(node);
        }
    }

    /// Reads a file again that is known at this path.
    pub(super) async fn read_again(&mut self, path: DiskPath, row: LocalRow) -> Result<(), ScanError> {
        self.report.seen += 1;
        let size = row.fingerprint.size;
        let job = Job {
            node: row.node,
            path,
            place: row.entry.place.clone(),
            disk_name: row.disk_name.clone(),
            previous: Some(row),
            is_listed: false,
        };
        self.read(job, size).await
    }

    pub(super) async fn end(mut self, brake: Brake, is_whole: bool) -> Result<ScanReport, ScanError> {
        self.start_read().await?;
        while !self.reads.is_empty() {
            self.take_read().await?;
        }
        self.flush().await?;
        self.remove_missing(brake, is_whole).await?;
        if !is_whole {
            self.report.visited = self.visited;
        }
        Ok(self.report)
    }
}
