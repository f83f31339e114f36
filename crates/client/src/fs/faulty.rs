//! A filesystem with injected failures and with a hook that runs between two steps.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cairn_core::node::LinkTarget;
use cairn_core::time::{Mtime, Timestamp};

use crate::fs::{
    DirectoryEntry, DiskPath, Filesystem, FsError, FsResult, Metadata, ReadFile, StageFile, StageGroup,
};

/// What happens at a call.
pub(crate) enum Fault {
    /// It fails before anything is done.
    Before(io::ErrorKind),
    /// It is done, and says that it failed.
    After(io::ErrorKind),
    /// It is done, and then the process dies: the call never returns.
    CrashAfter,
    /// Something else happens first.
    Hook(Box<dyn FnOnce() + Send>),
}

/// Wraps a filesystem; each fault strikes once, at the next call of its name, in order.
pub(crate) struct FaultyFilesystem {
    inner: Arc<dyn Filesystem>,
    faults: Arc<Mutex<Faults>>,
    clones: bool,
    session: AtomicU64,
}

type Faults = VecDeque<(&'static str, Fault)>;

/// A group whose sync may fail.
struct FaultyGroup {
    inner: Box<dyn StageGroup>,
    faults: Arc<Mutex<Faults>>,
}

impl StageGroup for FaultyGroup {
    fn sync(&mut self, names: &[String]) -> FsResult<()> {
        run(&self.faults, "sync_group", &DiskPath::root(), || {
            self.inner.sync(names)
        })
    }
}

impl FaultyFilesystem {
    pub(crate) fn new(inner: Arc<dyn Filesystem>) -> Self {
        Self {
            inner,
            faults: Arc::default(),
            clones: false,
            session: AtomicU64::new(1),
        }
    }

    /// As after a loss of power, or after the disk was taken away and put back.
    pub(crate) fn begin_session(&self) {
        self.session.fetch_add(1, Ordering::Relaxed);
    }

    /// Has files share their bytes as far as can be seen, whatever the disk can do.
    pub(crate) fn with_clones(self) -> Self {
        Self { clones: true, ..self }
    }

    pub(crate) fn inject(&self, call: &'static str, fault: Fault) {
        self.faults.lock().unwrap().push_back((call, fault));
    }

    fn run<T>(&self, call: &'static str, path: &DiskPath, work: impl FnOnce() -> FsResult<T>) -> FsResult<T> {
        run(&self.faults, call, path, work)
    }
}

fn run<T>(
    faults: &Mutex<Faults>,
    call: &'static str,
    path: &DiskPath,
    work: impl FnOnce() -> FsResult<T>,
) -> FsResult<T> {
    let fault = {
        let mut faults = faults.lock().unwrap();
        let position = faults.iter().position(|(name, _)| *name == call);
        position.and_then(|position| faults.remove(position))
    };
    let fail = |kind| FsError {
        action: call,
        path: path.clone(),
        source: io::Error::from(kind),
    };
    match fault.map(|(_, fault)| fault) {
        None => work(),
        Some(Fault::Before(kind)) => Err(fail(kind)),
        Some(Fault::After(kind)) => {
            work()?;
            Err(fail(kind))
        }
        Some(Fault::CrashAfter) => {
            work()?;
            panic!("the process dies here");
        }
        Some(Fault::Hook(hook)) => {
            hook();
            work()
        }
    }
}

impl Filesystem for FaultyFilesystem {
    fn check_root(&self, id: &str) -> FsResult<()> {
        self.run("check_root", &DiskPath::root(), || self.inner.check_root(id))
    }

    fn adopt_root(&self, id: &str) -> FsResult<()> {
        self.run("adopt_root", &DiskPath::root(), || self.inner.adopt_root(id))
    }

    fn list(&self, folder: &DiskPath) -> FsResult<Vec<DirectoryEntry>> {
        self.run("list", folder, || self.inner.list(folder))
    }

    fn metadata(&self, path: &DiskPath) -> FsResult<Option<Metadata>> {
        self.run("metadata", path, || self.inner.metadata(path))
    }

    fn open(&self, path: &DiskPath) -> FsResult<Box<dyn ReadFile>> {
        self.run("open", path, || self.inner.open(path))
    }

    fn read_link(&self, path: &DiskPath) -> FsResult<LinkTarget> {
        self.run("read_link", path, || self.inner.read_link(path))
    }

    fn stage(&self, name: &str) -> FsResult<Box<dyn StageFile>> {
        self.run("stage", &DiskPath::root(), || self.inner.stage(name))
    }

    fn stage_clone(&self, name: &str, source: &DiskPath) -> FsResult<bool> {
        if !self.clones {
            return self.inner.stage_clone(name, source);
        }
        let mut from = self.inner.open(source)?;
        let len = usize::try_from(from.metadata()?.fingerprint.size).unwrap();
        let mut bytes = vec![0; len];
        assert_eq!(from.read_at(0, &mut bytes)?, len);
        self.inner.stage(name)?.write_at(0, &bytes)?;
        Ok(true)
    }

    fn begin_group(&self) -> FsResult<Box<dyn StageGroup>> {
        let inner = self.inner.begin_group()?;
        let faults = Arc::clone(&self.faults);
        Ok(Box::new(FaultyGroup { inner, faults }))
    }

    fn stage_link(&self, name: &str, target: &LinkTarget) -> FsResult<()> {
        self.run("stage_link", &DiskPath::root(), || {
            self.inner.stage_link(name, target)
        })
    }

    fn staged(&self, name: &str) -> FsResult<Option<Metadata>> {
        self.run("staged", &DiskPath::root(), || self.inner.staged(name))
    }

    fn open_staged(&self, name: &str) -> FsResult<Box<dyn ReadFile>> {
        self.run("open_staged", &DiskPath::root(), || self.inner.open_staged(name))
    }

    fn restage(&self, name: &str, other: &str) -> FsResult<()> {
        self.run("restage", &DiskPath::root(), || self.inner.restage(name, other))
    }

    fn staged_names(&self) -> FsResult<Vec<String>> {
        self.run("staged_names", &DiskPath::root(), || self.inner.staged_names())
    }

    fn unstage(&self, name: &str) -> FsResult<()> {
        self.run("unstage", &DiskPath::root(), || self.inner.unstage(name))
    }

    fn place(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.run("place", path, || self.inner.place(staged, path))
    }

    fn place_all(&self, batch: &[(String, DiskPath)]) -> Vec<FsResult<()>> {
        batch
            .iter()
            .map(|(staged, path)| self.place(staged, path))
            .collect()
    }

    fn exchange(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.run("exchange", path, || self.inner.exchange(staged, path))
    }

    fn displace(&self, path: &DiskPath, staged: &str) -> FsResult<()> {
        self.run("displace", path, || self.inner.displace(path, staged))
    }

    fn settle(&self, staged: &str, path: &DiskPath) -> FsResult<Option<String>> {
        self.run("settle", path, || self.inner.settle(staged, path))
    }

    fn trash(&self, staged: &str) -> FsResult<()> {
        self.run("trash", &DiskPath::root(), || self.inner.trash(staged))
    }

    fn trash_as(&self, staged: &str, name: &str) -> FsResult<()> {
        self.run("trash", &DiskPath::root(), || self.inner.trash_as(staged, name))
    }

    fn empty_trash(&self, before: Timestamp) -> FsResult<u64> {
        self.run("empty_trash", &DiskPath::root(), || {
            self.inner.empty_trash(before)
        })
    }

    fn clear(&self) -> FsResult<()> {
        self.run("clear", &DiskPath::root(), || self.inner.clear())
    }

    fn disown(&self) -> FsResult<()> {
        self.run("disown", &DiskPath::root(), || self.inner.disown())
    }

    fn rename(&self, from: &DiskPath, to: &DiskPath) -> FsResult<()> {
        self.run("rename", from, || self.inner.rename(from, to))
    }

    fn create_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.run("create_directory", path, || self.inner.create_directory(path))
    }

    fn remove_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.run("remove_directory", path, || self.inner.remove_directory(path))
    }

    fn set_attributes(&self, path: &DiskPath, executable: bool, mtime: Mtime) -> FsResult<()> {
        self.run("set_attributes", path, || {
            self.inner.set_attributes(path, executable, mtime)
        })
    }

    fn timestamp_step_ns(&self) -> u64 {
        self.inner.timestamp_step_ns()
    }

    fn session(&self) -> Option<String> {
        Some(self.session.load(Ordering::Relaxed).to_string())
    }
}
