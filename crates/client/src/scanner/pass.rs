//! One pass over folders.

mod collect;
mod doubts;
mod vanish;

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

use cairn_core::ids::{NodeId, NodeIdRun};
use cairn_core::limits;
use cairn_core::name::NodeName;
use cairn_core::node::{NodeKind, Place};
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use super::content::{self, ReadOutcome, Target, may_hide_a_write, reason};
use super::ignore::{IGNORE_FILE, Scope};
use super::matching::{Listed, Matched, is_one_name, match_folder};
use super::report::ProblemReason;
use super::reread;
use super::{Brake, ScanError, ScanReport, Scanner};
use crate::fs::{DirectoryEntry, DiskPath, FileKind, Fingerprint};
use crate::state::{LocalRow, StateBatch};
use doubts::Doubt;

/// Reads in flight for each core: one that reads and one that waits for the disk.
const READS_PER_CORE: usize = 2;
/// Files that one read takes after one another, and their bytes by which it is full: handing a small file to another thread
/// costs more than reading it.
const FILES_PER_READ: usize = 32;
const BYTES_PER_READ: u64 = 1024 * 1024;

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

    /// The rules that hold in a folder. Where they changed, all below it is looked at: what was ignored may be wanted now.
    async fn take_rules(
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
    fn sort_out(&mut self, visit: &Visit, entries: Vec<DirectoryEntry>) -> (Vec<Listed>, HashSet<String>) {
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

    /// A node at its place.
    async fn stay(
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
    async fn move_here(
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
    async fn appear(&mut self, visit: &Visit, scope: &Arc<Scope>, item: Listed) -> Result<(), ScanError> {
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

    /// Notes the nodes whose names stand for something of another kind; both are in byte order of the name.
    fn note_supplanted(&mut self, listed: &[Listed], rows: &[LocalRow]) {
        for row in rows {
            let found = listed.binary_search_by(|item| item.name.as_str().cmp(row.name_on_disk()));
            let item = found.ok().and_then(|index| listed.get(index));
            if item.is_some_and(|item| item.kind != row.entry.substance.kind()) {
                self.supplanted.insert(row.node);
            }
        }
    }

    fn miss(&mut self, node: NodeId) {
        if !self.claimed.contains(&node) {
            self.missing.insert(node);
        }
    }

    /// The node that stood elsewhere and is this now.
    async fn find_moved(
        &mut self,
        visit: &Visit,
        item: &Listed,
        known: &HashSet<u64>,
    ) -> Result<Option<LocalRow>, ScanError> {
        let state = Arc::clone(&self.scanner.state);
        let fingerprint = item.metadata.fingerprint;
        if !known.contains(&fingerprint.inode) {
            return Ok(None);
        }
        let candidates = state
            .local_by_inode(self.scanner.namespace, fingerprint.inode)
            .await?;
        for row in candidates {
            if self.claimed.contains(&row.node)
                || self.believed.contains(&row.node)
                || row.entry.substance.kind() != item.kind
                || !is_surely_same(item, &row.fingerprint)
            {
                continue;
            }
            if self.has_moved_folders {
                // Paths are those of the state: it must know of moved folders first.
                self.flush().await?;
            }
            let old = state
                .disk_path(self.scanner.namespace, row.node)
                .await?
                .map(DiskPath::from_names);
            if old
                .as_ref()
                .is_some_and(|old| *old == visit.path.join(&item.name))
            {
                continue;
            }
            if has_left(self.scanner, old, item, &row).await {
                return Ok(Some(row));
            }
        }
        Ok(None)
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

    /// Reads a file of about this size, soon.
    async fn read(&mut self, job: Job, size: u64) -> Result<(), ScanError> {
        self.to_read.push(job);
        self.to_read_bytes = self.to_read_bytes.saturating_add(size);
        if self.to_read.len() >= FILES_PER_READ || self.to_read_bytes >= BYTES_PER_READ {
            self.start_read().await?;
        }
        self.keep_reads_bounded().await
    }

    /// Begins to read the files that wait for it. What is known of them is looked up first: a read that waits to be driven must
    /// hold nothing that the pass may wait for, such as one of the state's few connections.
    async fn start_read(&mut self) -> Result<(), ScanError> {
        let jobs = std::mem::take(&mut self.to_read);
        self.to_read_bytes = 0;
        let runtime = self.scanner.runtime.clone();
        let mut targets = Vec::with_capacity(jobs.len());
        let previous: Vec<_> = jobs.iter().map(|job| job.previous.as_ref()).collect();
        let known = reread::all_known(&*self.scanner.state, &previous).await?;
        for (job, known) in jobs.iter().zip(known) {
            let target = Target {
                fs: Arc::clone(&self.scanner.fs),
                clock: Arc::clone(&runtime.clock),
                path: job.path.clone(),
            };
            targets.push((target, known));
        }
        self.reads.push(Box::pin(async move {
            let outcomes = content::read_all(&runtime, targets).await;
            jobs.into_iter().zip(outcomes).collect()
        }));
        Ok(())
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

/// Which inodes of what may be new in a folder are remembered at all. Asked once for the folder: in a new one it is none.
async fn known_inodes(scanner: &Scanner, matched: &Matched) -> Result<HashSet<u64>, ScanError> {
    let doubtful = matched.doubtful.iter().map(|(item, _)| item);
    let inodes: Vec<u64> = matched
        .fresh
        .iter()
        .chain(doubtful)
        .map(|item| item.metadata.fingerprint.inode)
        .collect();
    if inodes.is_empty() {
        return Ok(HashSet::new());
    }
    Ok(scanner.state.known_inodes(scanner.namespace, &inodes).await?)
}

/// Whether nothing at a node's old place has a better claim to be the node.
async fn has_left(scanner: &Scanner, old: Option<DiskPath>, item: &Listed, row: &LocalRow) -> bool {
    let Some(old) = old else { return true };
    let Ok(found) = scanner.on_disk(move |fs| fs.metadata(&old)).await else {
        return false;
    };
    let Some(found) = found else { return true };
    let is_same_kind = found.kind == FileKind::Node(item.kind);
    match item.kind {
        // Programs save files under their old name, but do not replace folders: a folder is its inode. Only where births tell that
        // inodes were not dealt anew, though, as some disks do with every mount: then what has the folder's name is the folder.
        NodeKind::Directory if is_known_by_birth(&item.metadata.fingerprint, &row.fingerprint) => {
            !(is_same_kind && found.fingerprint.is_same_file(&row.fingerprint))
        }
        NodeKind::Directory => !is_same_kind,
        NodeKind::File | NodeKind::Symlink => !is_same_kind,
    }
}

/// Whether a fingerprint found elsewhere is that of the same file: inodes are used again, birth times are not. Without
/// them size and modification time must agree.
fn is_surely_same(item: &Listed, old: &Fingerprint) -> bool {
    let found = &item.metadata.fingerprint;
    found.is_same_file(old)
        && (is_known_by_birth(found, old) || item.kind == NodeKind::Directory || found.is_same_state(old))
}

const fn is_known_by_birth(found: &Fingerprint, old: &Fingerprint) -> bool {
    found.born_ns.is_some() && old.born_ns.is_some()
}

/// What the disk lists a node as, where that is not its name.
fn unless_named(place: &Place, item: &Listed) -> Option<String> {
    (place.name.as_str() != item.name).then(|| item.name.clone())
}
