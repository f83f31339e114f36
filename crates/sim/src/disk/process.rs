//! The calls of one process, which fails, dies, and is asked about before each.

mod descriptor;
mod life;
mod look;

use std::ffi::{OsStr, OsString};
use std::io;
use std::sync::Arc;

use cairn_client::fs::DiskPath;
use cairn_client::fs::disk::{Access, Disk, RenameMode, RootTraits, Stat};
use cairn_core::time::Mtime;

use super::SimDisk;
use super::hook::{Call, CallKind, Injection};
use super::inode::{Body, Uid, ns_of};
use super::state::{State, Who, failure, gone};
use descriptor::Descriptor;
use life::Life;
use look::{file_to_open, stat_of};

pub use descriptor::{SimFile, SimFolder};

/// What a call is about, for the hook.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Root,
    Open(&'a Descriptor),
    Named(&'a Descriptor, &'a OsStr),
}

/// The disk as one process sees it. A clone is the same process, so that one can be kept to kill it with.
#[derive(Debug, Clone)]
pub struct ProcessDisk {
    disk: SimDisk,
    life: Arc<Life>,
}

impl ProcessDisk {
    pub(super) fn new(disk: SimDisk, number: u64, boot: u64) -> Self {
        Self {
            disk,
            life: Arc::new(Life::new(number, boot)),
        }
    }

    /// Ends the process: from now on each call fails and changes nothing.
    pub fn kill(&self) {
        self.life.kill();
    }

    /// Whether the process has ended, by itself, by a loss of power, or killed.
    pub fn is_dead(&self) -> bool {
        self.life.is_dead() || self.disk.lock().boot != self.life.boot
    }

    /// Which process of the disk this is, as [`Call::process`] says it.
    pub fn number(&self) -> u64 {
        self.life.number
    }

    /// How many calls were made.
    pub fn call_count(&self) -> u64 {
        self.life.call_count()
    }

    /// Has the process end before its `calls`-th call from now; 1 is the next. Then `on_death` is called, once, with no lock
    /// held.
    pub fn set_fuse(&self, calls: u64, on_death: Box<dyn FnOnce() + Send>) {
        self.life.set_fuse(calls, on_death);
    }

    /// Takes the fuse away; returns whether there was one.
    pub fn clear_fuse(&self) -> bool {
        self.life.clear_fuse()
    }

    /// Counts a call and asks what shall happen to it.
    fn begin(&self, kind: CallKind, subject: Subject<'_>, new: Option<Subject<'_>>) -> io::Result<Injection> {
        let number = self.life.count_call().ok_or_else(gone)?;
        let injection = self.disk.ask_hook(|| {
            let state = self.disk.lock();
            Call {
                kind,
                path: path_of(&state, subject),
                new_path: new.and_then(|new| path_of(&state, new)),
                process: self.life.number,
                number,
            }
        });
        if self.life.is_dead() {
            return Err(gone());
        }
        Ok(injection)
    }

    fn run<T>(
        &self,
        descriptors: &[&Descriptor],
        work: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.lock();
        state.check_boot(self.life.boot)?;
        for descriptor in descriptors {
            descriptor.check(&state, &self.life)?;
        }
        work(&mut state)
    }

    /// A call that does all or nothing.
    fn call<T>(
        &self,
        kind: CallKind,
        subject: Subject<'_>,
        new: Option<Subject<'_>>,
        work: impl FnOnce(&mut State) -> io::Result<T>,
    ) -> io::Result<T> {
        let injection = self.begin(kind, subject, new)?;
        let descriptors: Vec<&Descriptor> = [Some(subject), new]
            .into_iter()
            .flatten()
            .filter_map(|subject| match subject {
                Subject::Root => None,
                Subject::Open(descriptor) | Subject::Named(descriptor, _) => Some(descriptor),
            })
            .collect();
        match injection {
            Injection::Fail(kind) => failure(kind),
            Injection::Proceed | Injection::ShortWrite => self.run(&descriptors, work),
            Injection::FailAfter(kind) => self.run(&descriptors, work).and_then(|_| failure(kind)),
        }
    }

    fn descriptor(&self, state: &mut State, uid: Uid) -> Descriptor {
        Descriptor::new(&self.disk, &self.life, state, uid)
    }
}

fn path_of(state: &State, subject: Subject<'_>) -> Option<DiskPath> {
    match subject {
        Subject::Root => Some(DiskPath::root()),
        Subject::Open(descriptor) => state.path_of(descriptor.uid),
        Subject::Named(descriptor, name) => {
            Some(state.path_of(descriptor.uid)?.join(&name.to_string_lossy()))
        }
    }
}

impl Disk for ProcessDisk {
    type Folder = SimFolder;
    type File = SimFile;
    type Witness = ();

    fn open_root(&self) -> io::Result<SimFolder> {
        self.call(CallKind::OpenRoot, Subject::Root, None, |state| {
            let root = state.shown_root();
            Ok(SimFolder(self.descriptor(state, root)))
        })
    }

    fn root_traits(&self, root: &SimFolder) -> RootTraits {
        let state = self.disk.lock();
        RootTraits {
            identity: root.0.identity(&state),
            timestamp_step_ns: state.options.timestamp_step_ns,
            keeps_exec_bit: state.options.keeps_exec_bit,
        }
    }

    fn session(&self, root: &SimFolder) -> Option<String> {
        let state = self.disk.lock();
        Some(format!("{} {:?}", self.life.boot, root.0.identity(&state)))
    }

    fn open_folder<N: AsRef<OsStr>>(&self, base: &SimFolder, names: &[N]) -> io::Result<SimFolder> {
        let subject = Subject::Open(&base.0);
        self.call(CallKind::OpenFolder, subject, None, |state| {
            let uid = state.walk(base.0.uid, names, Who::Process)?;
            Ok(SimFolder(self.descriptor(state, uid)))
        })
    }

    fn stat(&self, folder: &SimFolder, name: &OsStr) -> io::Result<Stat> {
        self.call(CallKind::Stat, Subject::Named(&folder.0, name), None, |state| {
            let uid = state.lookup(folder.0.uid, name, Who::Process)?;
            Ok(stat_of(state, state.inode(uid)?))
        })
    }

    fn stat_folder(&self, folder: &SimFolder) -> io::Result<Stat> {
        self.call(CallKind::StatFolder, Subject::Open(&folder.0), None, |state| {
            Ok(stat_of(state, state.inode(folder.0.uid)?))
        })
    }

    fn stat_file(&self, file: &SimFile) -> io::Result<Stat> {
        self.call(CallKind::StatFile, Subject::Open(&file.open), None, |state| {
            Ok(stat_of(state, state.inode(file.open.uid)?))
        })
    }

    fn names(&self, folder: &SimFolder) -> io::Result<Vec<OsString>> {
        self.call(CallKind::Names, Subject::Open(&folder.0), None, |state| {
            if state.inode(folder.0.uid)?.is_denied {
                return failure(io::ErrorKind::PermissionDenied);
            }
            let entries = &state.folder(folder.0.uid)?.entries;
            Ok(entries.values().map(|entry| entry.name.clone()).collect())
        })
    }

    fn open_file(&self, folder: &SimFolder, name: &OsStr, access: Access) -> io::Result<SimFile> {
        let subject = Subject::Named(&folder.0, name);
        self.call(CallKind::OpenFile(access), subject, None, |state| {
            let uid = file_to_open(state, folder.0.uid, name, access)?;
            Ok(SimFile {
                open: self.descriptor(state, uid),
                access,
            })
        })
    }

    fn read_at(&self, file: &SimFile, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.call(CallKind::ReadAt, Subject::Open(&file.open), None, |state| {
            if buffer.is_empty() {
                return Ok(0);
            }
            file.check_readable()?;
            let bytes = &state.file(file.open.uid)?.bytes;
            let start = usize::try_from(offset).map_or(bytes.len(), |start| start.min(bytes.len()));
            let count = buffer.len().min(bytes.len() - start);
            buffer[..count].copy_from_slice(&bytes[start..start + count]);
            Ok(count)
        })
    }

    fn write_at(&self, file: &SimFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let injection = self.begin(CallKind::WriteAt, Subject::Open(&file.open), None)?;
        let write = |bytes: &[u8]| {
            self.run(&[&file.open], |state| {
                if bytes.is_empty() {
                    return Ok(());
                }
                file.check_writable()?;
                state.write_at(file.open.uid, offset, bytes)
            })
        };
        match injection {
            Injection::Proceed => write(bytes),
            Injection::Fail(kind) => failure(kind),
            Injection::FailAfter(kind) => write(bytes).and_then(|()| failure(kind)),
            Injection::ShortWrite => {
                write(&bytes[..bytes.len() / 2]).and_then(|()| failure(io::ErrorKind::StorageFull))
            }
        }
    }

    fn set_len(&self, file: &SimFile, len: u64) -> io::Result<()> {
        self.call(CallKind::SetLen, Subject::Open(&file.open), None, |state| {
            if file.access == Access::Read {
                return failure(io::ErrorKind::InvalidInput);
            }
            state.set_len(file.open.uid, len)
        })
    }

    fn set_mode(&self, file: &SimFile, mode: u32) -> io::Result<()> {
        self.call(CallKind::SetMode, Subject::Open(&file.open), None, |state| {
            state.set_mode(file.open.uid, mode)
        })
    }

    fn set_mtime(&self, file: &SimFile, mtime: Mtime) -> io::Result<()> {
        self.call(CallKind::SetMtime, Subject::Open(&file.open), None, |state| {
            state.set_mtime(file.open.uid, ns_of(mtime))
        })
    }

    fn sync_file(&self, file: &SimFile) -> io::Result<()> {
        let uid = file.open.uid;
        match self.begin(CallKind::SyncFile, Subject::Open(&file.open), None)? {
            Injection::Fail(kind) => failure(kind),
            Injection::FailAfter(kind) => self
                .run(&[&file.open], |state| state.forsake(uid))
                .and_then(|()| failure(kind)),
            Injection::Proceed | Injection::ShortWrite => {
                self.run(&[&file.open], |state| state.sync_file(uid))
            }
        }
    }

    /// A file that is synced tells all that went wrong with it, whoever wrote it.
    fn watch_writes(&self, _: &SimFolder) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&self, folder: &SimFolder) -> io::Result<()> {
        self.call(CallKind::SyncFolder, Subject::Open(&folder.0), None, |state| {
            state.sync_folder(folder.0.uid)
        })
    }

    fn make_folder(&self, folder: &SimFolder, name: &OsStr, mode: u32) -> io::Result<()> {
        let subject = Subject::Named(&folder.0, name);
        self.call(CallKind::MakeFolder, subject, None, |state| {
            state.make_folder(folder.0.uid, name, mode, Who::Process)?;
            Ok(())
        })
    }

    fn remove_folder(&self, folder: &SimFolder, name: &OsStr) -> io::Result<()> {
        let subject = Subject::Named(&folder.0, name);
        self.call(CallKind::RemoveFolder, subject, None, |state| {
            state.remove_folder(folder.0.uid, name, Who::Process)
        })
    }

    fn unlink(&self, folder: &SimFolder, name: &OsStr) -> io::Result<()> {
        self.call(CallKind::Unlink, Subject::Named(&folder.0, name), None, |state| {
            state.unlink(folder.0.uid, name, Who::Process)
        })
    }

    fn link(&self, from: &SimFolder, from_name: &OsStr, to: &SimFolder, to_name: &OsStr) -> io::Result<()> {
        let (old, new) = (Subject::Named(&from.0, from_name), Subject::Named(&to.0, to_name));
        self.call(CallKind::Link, old, Some(new), |state| {
            state.link((from.0.uid, from_name), (to.0.uid, to_name), Who::Process)
        })
    }

    fn symlink(&self, folder: &SimFolder, name: &OsStr, target: &str) -> io::Result<()> {
        if target.is_empty() {
            return failure(io::ErrorKind::NotFound);
        }
        self.call(
            CallKind::Symlink,
            Subject::Named(&folder.0, name),
            None,
            |state| state.make_other(folder.0.uid, name, Body::Link(target.to_owned()), Who::Process),
        )
    }

    fn read_link(&self, folder: &SimFolder, name: &OsStr) -> io::Result<OsString> {
        self.call(
            CallKind::ReadLink,
            Subject::Named(&folder.0, name),
            None,
            |state| {
                let uid = state.lookup(folder.0.uid, name, Who::Process)?;
                match &state.inode(uid)?.body {
                    Body::Link(target) => Ok(target.into()),
                    _ => failure(io::ErrorKind::InvalidInput),
                }
            },
        )
    }

    fn rename(
        &self,
        from: &SimFolder,
        from_name: &OsStr,
        to: &SimFolder,
        to_name: &OsStr,
        mode: RenameMode,
    ) -> io::Result<()> {
        let (old, new) = (Subject::Named(&from.0, from_name), Subject::Named(&to.0, to_name));
        self.call(CallKind::Rename(mode), old, Some(new), |state| {
            let from = (from.0.uid, from_name);
            state.rename(from, (to.0.uid, to_name), mode, Who::Process)
        })
    }
}
