//! Open files: those that are read, and staged ones that are written.

use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use cairn_core::time::Mtime;

use super::{At, Root, attributes, error, own, walk};
use crate::fs::disk::Disk;
use crate::fs::{DiskPath, FsResult, Metadata, ReadFile, StageFile, StageGroup};

/// An open file with the path that its errors name.
pub(super) struct OpenFile<D: Disk> {
    disk: Arc<D>,
    file: D::File,
    path: DiskPath,
}

impl<D: Disk> OpenFile<D> {
    pub(super) fn new(disk: &Arc<D>, file: D::File, path: DiskPath) -> Self {
        Self {
            disk: Arc::clone(disk),
            file,
            path,
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        self.disk
            .read_at(&self.file, offset, buffer)
            .map_err(|source| error("read", &self.path, source))
    }
}

impl<D: Disk> ReadFile for OpenFile<D> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        self.read(offset, buffer)
    }

    fn metadata(&self) -> FsResult<Metadata> {
        match self.disk.stat_file(&self.file) {
            Ok(stat) => Ok(stat.metadata),
            Err(source) => Err(error("look at", &self.path, source)),
        }
    }
}

/// A staged file that is being written.
pub(super) struct OpenStage<D: Disk> {
    open: OpenFile<D>,
    root: Arc<Root<D>>,
    name: OsString,
}

impl<D: Disk> OpenStage<D> {
    pub(super) fn new(open: OpenFile<D>, root: Arc<Root<D>>, name: &str) -> Self {
        Self {
            open,
            root,
            name: OsString::from(name),
        }
    }
}

/// Removes a staged file, if that is still possible.
fn discard<D: Disk>(disk: &D, root: &Root<D>, name: &OsStr) {
    let at = At {
        disk,
        root: &root.folder,
    };
    if let Ok(stage) = own::open_stage(at) {
        // Where it fails the disk takes no changes, and nothing will be built on the file either.
        drop(disk.unlink(&stage, name));
    }
}

/// Staged files that become durable together.
pub(super) struct OpenGroup<D: Disk> {
    disk: Arc<D>,
    root: Arc<Root<D>>,
    stage: D::Folder,
    witness: D::Witness,
}

impl<D: Disk> OpenGroup<D> {
    pub(super) fn new(disk: &Arc<D>, root: Arc<Root<D>>) -> std::io::Result<Self> {
        let stage = own::open_stage(At {
            disk: &**disk,
            root: &root.folder,
        })?;
        let witness = disk.watch_writes(&stage)?;
        Ok(Self {
            disk: Arc::clone(disk),
            root,
            stage,
            witness,
        })
    }
}

impl<D: Disk> StageGroup for OpenGroup<D> {
    fn sync(&mut self, names: &[String]) -> FsResult<()> {
        let checked: std::io::Result<()> = names.iter().try_for_each(|name| walk::check_name(name));
        let staged: Vec<&OsStr> = names.iter().map(OsStr::new).collect();
        let synced = checked.and_then(|()| self.disk.sync_files(&self.witness, &self.stage, &staged));
        synced.map_err(|source| {
            for name in staged {
                discard(&*self.disk, &self.root, name);
            }
            error("finish", &own::stage_path(), source)
        })
    }
}

impl<D: Disk> StageFile for OpenStage<D> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> FsResult<()> {
        let open = &self.open;
        open.disk
            .write_at(&open.file, offset, bytes)
            .map_err(|source| error("write", &open.path, source))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        self.open.read(offset, buffer)
    }

    fn prepare(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()> {
        let open = &self.open;
        let prepared = open
            .disk
            .set_len(&open.file, size)
            .and_then(|()| attributes::set_unsynced(&*open.disk, &open.file, executable, mtime));
        prepared.map_err(|source| error("finish", &open.path, source))
    }

    fn finish(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()> {
        let open = &self.open;
        let finished = open
            .disk
            .set_len(&open.file, size)
            .and_then(|()| attributes::set_open(&*open.disk, &open.file, executable, mtime));
        finished.map_err(|source| {
            // The sync may have forgotten bytes that can still be read: going on with what is there would find them
            // right, and the next sync would succeed without writing them.
            discard(&*open.disk, &self.root, &self.name);
            error("finish", &open.path, source)
        })
    }
}
