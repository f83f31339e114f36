//! A device with a real folder, a state in memory and a clock that stands still.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use cairn_core::ids::{FileId, NamespaceId, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::FileContent;
use cairn_core::runtime::{BoxFuture, Clock, Entropy, Runtime, Spawner};
use cairn_core::time::Timestamp;
use cairn_core::tree::Substance;

use crate::fs::faulty::FaultyFilesystem;
use crate::fs::os::{LinuxDisk, OsFilesystem};
use crate::fs::root::RootFilesystem;
use crate::fs::root::tests::weak::{Lacks, WeakDisk};
use crate::fs::{DiskPath, Filesystem};
use crate::scanner::{Brake, ScanReport, Scanner};
use crate::state::memory::MemoryState;
use crate::state::{ClientState, LocalChange, LocalRow, StateBatch};

pub(crate) const MARKER: &str = "0123456789abcdef";
/// The year 2100: no file of a test was changed just now.
const FAR_AHEAD_MS: i64 = 4_102_444_800_000;

struct StandingClock(AtomicI64);

impl Clock for StandingClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

struct Counter(AtomicU64);

impl Entropy for Counter {
    fn fill(&self, buffer: &mut [u8]) {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        blake3::Hasher::new()
            .update(&count.to_le_bytes())
            .finalize_xof()
            .fill(buffer);
    }
}

struct Pool;

impl Spawner for Pool {
    fn spawn(&self, _: &'static str, task: BoxFuture<()>) {
        tokio::spawn(task);
    }

    fn run_blocking(&self, work: Box<dyn FnOnce() + Send + 'static>) -> BoxFuture<()> {
        Box::pin(async move {
            tokio::task::spawn_blocking(work).await.unwrap();
        })
    }
}

pub(crate) fn name(text: &str) -> NodeName {
    NodeName::new(text).unwrap()
}

pub(crate) fn disk_path(text: &str) -> DiskPath {
    DiskPath::from_names(
        text.split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
    )
}

pub(crate) fn shown(row: &LocalRow) -> String {
    match &row.entry.substance {
        Substance::Directory => "folder".to_owned(),
        Substance::File { size, .. } => format!("file of {size}"),
        Substance::Symlink(target) => format!("link to {}", target.as_str()),
    }
}

pub(crate) struct Device {
    folder: tempfile::TempDir,
    pub(crate) fs: Arc<FaultyFilesystem>,
    pub(crate) state: Arc<MemoryState>,
    pub(crate) namespace: NamespaceId,
    pub(crate) runtime: Runtime,
    clock: Arc<StandingClock>,
}

impl Device {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let os = OsFilesystem::open(folder.path()).unwrap();
        Self::over(folder, Arc::new(os))
    }

    /// A device whose disk lacks something.
    pub(crate) fn lacking(lacks: Lacks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = WeakDisk::new(LinuxDisk::new(folder.path().to_owned()), lacks);
        Self::over(folder, Arc::new(RootFilesystem::new(disk).unwrap()))
    }

    /// A device whose root in `folder` is seen through `fs`.
    pub(crate) fn over(folder: tempfile::TempDir, fs: Arc<dyn Filesystem>) -> Self {
        fs.adopt_root(MARKER).unwrap();
        let clock = Arc::new(StandingClock(AtomicI64::new(FAR_AHEAD_MS)));
        let runtime = Runtime {
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            entropy: Arc::new(Counter(AtomicU64::new(0))),
            spawner: Arc::new(Pool),
        };
        Self {
            folder,
            fs: Arc::new(FaultyFilesystem::new(fs)),
            state: Arc::new(MemoryState::new()),
            namespace: NamespaceId::new(7).unwrap(),
            runtime,
            clock,
        }
    }

    pub(crate) fn set_clock_ms(&self, ms: i64) {
        self.clock.0.store(ms, Ordering::Relaxed);
    }

    pub(crate) fn clock_far_ahead(&self) {
        self.set_clock_ms(FAR_AHEAD_MS);
    }

    pub(crate) fn scanner(&self) -> Scanner {
        let fs = Arc::clone(&self.fs) as Arc<dyn Filesystem>;
        let state = Arc::clone(&self.state) as Arc<dyn ClientState>;
        Scanner::new(fs, state, self.runtime.clone(), self.namespace, MARKER, 2)
    }

    pub(crate) async fn scan(&self) -> ScanReport {
        self.scanner().scan_all(Brake::On).await.unwrap()
    }

    pub(crate) async fn hint(&self, folders: &[&str]) -> ScanReport {
        let folders: Vec<DiskPath> = folders.iter().map(|folder| disk_path(folder)).collect();
        self.scanner().scan_folders(&folders, Brake::On).await.unwrap()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    pub(crate) fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    pub(crate) fn folder(&self, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
    }

    pub(crate) fn raw_link(&self, path: &str, target: &[u8]) {
        std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(target), self.path(path)).unwrap();
    }

    pub(crate) fn pipe(&self, path: &str) {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        mknodat(CWD, self.path(path), FileType::Fifo, Mode::RWXU, 0).unwrap();
    }

    pub(crate) fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn set_mtime(&self, path: &str, seconds: i64, nanos: i64) {
        use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT, utimensat};
        let times = Timestamps {
            last_access: Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_OMIT,
            },
            last_modification: Timespec {
                tv_sec: seconds,
                tv_nsec: nanos,
            },
        };
        utimensat(CWD, self.path(path), &times, AtFlags::empty()).unwrap();
    }

    /// Every path of the local tree, sorted; folders with a slash, links with an at sign.
    pub(crate) async fn tree(&self) -> Vec<String> {
        let mut paths = Vec::new();
        let mut folders = vec![(NodeId::ROOT, String::new())];
        while let Some((folder, above)) = folders.pop() {
            for row in self.state.local_children(self.namespace, folder).await.unwrap() {
                let path = format!("{above}{}", row.name_on_disk());
                paths.push(match row.entry.substance {
                    Substance::Directory => {
                        folders.push((row.node, format!("{path}/")));
                        format!("{path}/")
                    }
                    Substance::File { .. } => path,
                    Substance::Symlink(_) => format!("{path}@"),
                });
            }
        }
        paths.sort();
        paths
    }

    pub(crate) async fn find(&self, path: &str) -> Option<LocalRow> {
        self.state
            .local_at(self.namespace, disk_path(path).names())
            .await
            .unwrap()
    }

    pub(crate) async fn row(&self, path: &str) -> LocalRow {
        self.find(path)
            .await
            .unwrap_or_else(|| panic!("no node at {path}"))
    }

    pub(crate) async fn put_row(&self, row: LocalRow) {
        let batch = StateBatch {
            local: vec![LocalChange::Put(row)],
            ..StateBatch::default()
        };
        self.state.apply(self.namespace, batch).await.unwrap();
    }

    pub(crate) async fn rename_row(&self, from: &str, to: &str) {
        let mut row = self.row(from).await;
        row.entry.place.name = name(to);
        self.put_row(row).await;
    }

    pub(crate) async fn contents(&self, file_id: FileId) -> Option<FileContent> {
        self.state.contents(&[file_id]).await.unwrap().pop().flatten()
    }
}
