//! Open files: those that are read, and staged ones that are written.

use std::sync::Arc;

use cairn_core::time::Mtime;

use super::{attributes, error};
use crate::fs::disk::Disk;
use crate::fs::{DiskPath, FsResult, Metadata, ReadFile, StageFile};

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

impl<D: Disk> StageFile for OpenFile<D> {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> FsResult<()> {
        self.disk
            .write_at(&self.file, offset, bytes)
            .map_err(|source| error("write", &self.path, source))
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> FsResult<usize> {
        self.read(offset, buffer)
    }

    fn finish(&mut self, size: u64, executable: bool, mtime: Mtime) -> FsResult<()> {
        self.disk
            .set_len(&self.file, size)
            .and_then(|()| attributes::set_open(&*self.disk, &self.file, executable, mtime))
            .map_err(|source| error("finish", &self.path, source))
    }
}
