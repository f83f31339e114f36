//! A disk that lacks some calls, writes down those that change something, and fails when told.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::sync::Mutex;

use cairn_core::name::NodeName;
use cairn_core::time::Mtime;

use crate::fs::disk::{Access, Disk, RenameMode, RootTraits, Stat};
use crate::fs::os::{LinuxDisk, LinuxFile, LinuxFolder};

/// What a disk does not know.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lacks {
    pub(crate) exchange: bool,
    pub(crate) keep_existing: bool,
    pub(crate) links: bool,
    /// Names that differ only in case are one.
    pub(crate) case: bool,
    /// A listing gives every name once.
    pub(crate) single: bool,
    /// When an inode was made.
    pub(crate) births: bool,
    /// A look at this name.
    pub(crate) stat_of: Option<&'static str>,
}

/// What somebody else does between two calls.
struct Meanwhile(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

#[derive(Debug, Default)]
struct Calls {
    made: Vec<String>,
    /// Calls that are still made; none after these, as after the end of a process.
    left: Option<usize>,
    /// The call that fails, once.
    failing: Option<String>,
    /// What happens before which of the next calls.
    meanwhile: Option<(usize, Meanwhile)>,
}

#[derive(Debug)]
pub(crate) struct WeakDisk {
    inner: LinuxDisk,
    lacks: Lacks,
    calls: Mutex<Calls>,
}

/// A folder that knows its path.
#[derive(Debug)]
pub(crate) struct WeakFolder {
    inner: LinuxFolder,
    path: String,
}

impl WeakFolder {
    fn join(&self, name: &OsStr) -> String {
        format!("{}/{}", self.path, name.to_string_lossy())
            .replace("/.cairn/", "")
            .trim_start_matches('/')
            .to_owned()
    }
}

impl WeakDisk {
    pub(crate) fn new(inner: LinuxDisk, lacks: Lacks) -> Self {
        Self {
            inner,
            lacks,
            calls: Mutex::default(),
        }
    }

    /// The calls that changed something, or made it durable, since this was called last.
    pub(crate) fn forget(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap()).made
    }

    /// Only so many calls are still made.
    pub(crate) fn die_after(&self, calls: usize) {
        self.calls.lock().unwrap().left = Some(calls);
    }

    /// All calls are made again.
    pub(crate) fn revive(&self) {
        self.calls.lock().unwrap().left = None;
    }

    /// This call fails, the next time.
    pub(crate) fn fail(&self, call: &str) {
        self.calls.lock().unwrap().failing = Some(call.to_owned());
    }

    /// After so many calls, and before the next one, this happens.
    pub(crate) fn meanwhile(&self, calls: usize, act: impl FnOnce() + Send + 'static) {
        self.calls.lock().unwrap().meanwhile = Some((calls, Meanwhile(Box::new(act))));
    }

    fn call<T>(&self, name: String, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut calls = self.calls.lock().unwrap();
        match calls.meanwhile.take() {
            Some((0, Meanwhile(act))) => act(),
            Some((calls_before, act)) => calls.meanwhile = Some((calls_before - 1, act)),
            None => {}
        }
        match &mut calls.left {
            Some(0) => return Err(io::Error::other("the process is dead")),
            Some(left) => *left -= 1,
            None => {}
        }
        if calls.failing.as_ref() == Some(&name) {
            calls.failing = None;
            return Err(io::Error::other("the disk is broken"));
        }
        let done = work();
        if done.is_ok() {
            calls.made.push(name);
        }
        done
    }

    /// The name as the folder has it.
    fn listed(&self, folder: &WeakFolder, name: &OsStr) -> OsString {
        let key = |name: &OsStr| NodeName::new(name.to_string_lossy()).map(|name| name.key());
        let same = |other: &OsString| self.lacks.case && key(other) == key(name);
        let names = self.inner.names(&folder.inner).unwrap();
        names.into_iter().find(same).unwrap_or_else(|| name.to_owned())
    }

    /// What the disk tells of a thing.
    fn seen(&self, mut stat: Stat) -> Stat {
        if self.lacks.births {
            stat.metadata.fingerprint.born_ns = None;
        }
        stat
    }

    fn unless<T>(&self, lacks: bool, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        if lacks {
            return Err(io::Error::from(io::ErrorKind::Unsupported));
        }
        work()
    }
}

impl Disk for WeakDisk {
    type Folder = WeakFolder;
    type File = LinuxFile;
    type Witness = ();

    fn open_root(&self) -> io::Result<WeakFolder> {
        Ok(WeakFolder {
            inner: self.inner.open_root()?,
            path: String::new(),
        })
    }

    fn root_traits(&self, root: &WeakFolder) -> RootTraits {
        self.inner.root_traits(&root.inner)
    }

    fn session(&self, root: &WeakFolder) -> Option<String> {
        self.inner.session(&root.inner)
    }

    fn open_folder<N: AsRef<OsStr>>(&self, base: &WeakFolder, names: &[N]) -> io::Result<WeakFolder> {
        let mut path = base.path.clone();
        for name in names {
            path.push('/');
            path.push_str(&name.as_ref().to_string_lossy());
        }
        Ok(WeakFolder {
            inner: self.inner.open_folder(&base.inner, names)?,
            path,
        })
    }

    fn stat(&self, folder: &WeakFolder, name: &OsStr) -> io::Result<Stat> {
        if self.lacks.stat_of.is_some_and(|lacked| name == lacked) {
            return Err(io::Error::from(io::ErrorKind::PermissionDenied));
        }
        let stat = self.inner.stat(&folder.inner, &self.listed(folder, name));
        stat.map(|stat| self.seen(stat))
    }

    fn stat_folder(&self, folder: &WeakFolder) -> io::Result<Stat> {
        self.inner.stat_folder(&folder.inner).map(|stat| self.seen(stat))
    }

    fn stat_file(&self, file: &LinuxFile) -> io::Result<Stat> {
        self.inner.stat_file(file).map(|stat| self.seen(stat))
    }

    fn names(&self, folder: &WeakFolder) -> io::Result<Vec<OsString>> {
        let mut names = self.inner.names(&folder.inner)?;
        if self.lacks.single {
            names.extend_from_within(..);
        }
        Ok(names)
    }

    fn open_file(&self, folder: &WeakFolder, name: &OsStr, access: Access) -> io::Result<LinuxFile> {
        self.inner.open_file(&folder.inner, name, access)
    }

    fn read_at(&self, file: &LinuxFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read_at(file, offset, buffer)
    }

    fn write_at(&self, file: &LinuxFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_at(file, offset, bytes)
    }

    fn set_len(&self, file: &LinuxFile, len: u64) -> io::Result<()> {
        self.inner.set_len(file, len)
    }

    fn set_mode(&self, file: &LinuxFile, mode: u32) -> io::Result<()> {
        self.inner.set_mode(file, mode)
    }

    fn set_mtime(&self, file: &LinuxFile, mtime: Mtime) -> io::Result<()> {
        self.inner.set_mtime(file, mtime)
    }

    fn sync_file(&self, file: &LinuxFile) -> io::Result<()> {
        self.call("sync a file".to_owned(), || self.inner.sync_file(file))
    }

    fn watch_writes(&self, _: &WeakFolder) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &WeakFolder) -> io::Result<()> {
        let name = format!("sync {}", folder.join(OsStr::new("")));
        self.call(name, || self.inner.sync_folder(&folder.inner))
    }

    fn make_folder(&self, folder: &WeakFolder, name: &OsStr, mode: u32) -> io::Result<()> {
        self.call(format!("make {}", folder.join(name)), || {
            self.inner.make_folder(&folder.inner, name, mode)
        })
    }

    fn remove_folder(&self, folder: &WeakFolder, name: &OsStr) -> io::Result<()> {
        self.call(format!("remove {}", folder.join(name)), || {
            self.inner.remove_folder(&folder.inner, name)
        })
    }

    fn unlink(&self, folder: &WeakFolder, name: &OsStr) -> io::Result<()> {
        self.call(format!("unlink {}", folder.join(name)), || {
            self.inner.unlink(&folder.inner, name)
        })
    }

    fn link(&self, from: &WeakFolder, from_name: &OsStr, to: &WeakFolder, to_name: &OsStr) -> io::Result<()> {
        self.unless(self.lacks.links, || {
            let name = format!("link {} {}", from.join(from_name), to.join(to_name));
            self.call(name, || {
                self.inner.link(&from.inner, from_name, &to.inner, to_name)
            })
        })
    }

    fn symlink(&self, folder: &WeakFolder, name: &OsStr, target: &str) -> io::Result<()> {
        self.inner.symlink(&folder.inner, name, target)
    }

    fn read_link(&self, folder: &WeakFolder, name: &OsStr) -> io::Result<OsString> {
        self.inner.read_link(&folder.inner, name)
    }

    fn rename(
        &self,
        from: &WeakFolder,
        from_name: &OsStr,
        to: &WeakFolder,
        to_name: &OsStr,
        mode: RenameMode,
    ) -> io::Result<()> {
        let (lacks, verb) = match mode {
            RenameMode::Replace => (false, "rename"),
            RenameMode::KeepExisting => (self.lacks.keep_existing, "move"),
            RenameMode::Exchange => (self.lacks.exchange, "swap"),
        };
        self.unless(lacks, || {
            let name = format!("{verb} {} {}", from.join(from_name), to.join(to_name));
            self.call(name, || {
                let taken = self.listed(to, to_name);
                let is_own = taken == self.listed(from, from_name) && from.path == to.path;
                let to_name = if is_own && mode == RenameMode::Replace {
                    to_name
                } else {
                    &taken
                };
                self.inner
                    .rename(&from.inner, from_name, &to.inner, to_name, mode)
            })
        })
    }
}
