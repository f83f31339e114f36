//! The operating system's filesystem, by file descriptors below the root's and nothing else.

mod attributes;
mod file;
mod look;
mod own;
mod root;
mod swap;
mod walk;

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use cairn_core::node::LinkTarget;
use cairn_core::time::{Mtime, Timestamp};
use rustix::fs::{AtFlags, Mode};

use crate::fs::{
    DirectoryEntry, DiskPath, Filesystem, FsError, FsResult, Metadata, OWN_FOLDER, ReadFile, StageFile,
};
use file::{OpenFile, OpenStage};
use root::Root;

/// A lock on a root, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct RootLock {
    _file: OwnedFd,
}

/// A synced root on a local filesystem.
///
/// Every path is walked below the root's descriptor, with `openat2` where the kernel has it: no link is followed and no
/// mount is entered, whoever changes the tree meanwhile. Paths may be longer than `PATH_MAX`.
#[derive(Debug)]
pub struct OsFilesystem {
    path: PathBuf,
    root: RwLock<Arc<Root>>,
}

impl OsFilesystem {
    /// Opens the folder at `path`, which may itself be reached through links.
    ///
    /// # Errors
    /// As the filesystem says.
    pub fn open(path: impl Into<PathBuf>) -> FsResult<Self> {
        let path = path.into();
        let root = Root::open(&path).map_err(|source| error("open", &DiskPath::root(), source))?;
        Ok(Self {
            path,
            root: RwLock::new(Arc::new(root)),
        })
    }

    /// Where the root is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the root for this process; `None` when another has it. The root must have been adopted.
    ///
    /// # Errors
    /// As the filesystem says.
    pub fn lock(&self) -> FsResult<Option<RootLock>> {
        let path = DiskPath::root().join(OWN_FOLDER).join("lock");
        let file = own::lock(&self.root()).map_err(|source| error("lock", &path, source))?;
        Ok(file.map(|file| RootLock { _file: file }))
    }

    fn root(&self) -> Arc<Root> {
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` with the folder that holds `path` and the name there.
    fn at<T>(
        &self,
        action: &'static str,
        path: &DiskPath,
        work: impl FnOnce(&Root, &OwnedFd, &str) -> io::Result<T>,
    ) -> FsResult<T> {
        let root = self.root();
        walk::open_parent(&root, path)
            .and_then(|(folder, name)| work(&root, &folder, name))
            .map_err(|source| error(action, path, source))
    }

    /// Runs `work` with the stage and a checked name in it.
    fn in_stage<T>(
        &self,
        action: &'static str,
        name: &str,
        work: impl FnOnce(&Root, &OwnedFd) -> io::Result<T>,
    ) -> FsResult<T> {
        let root = self.root();
        walk::check_name(name)
            .and_then(|()| own::open_stage(&root))
            .and_then(|stage| work(&root, &stage))
            .map_err(|source| error(action, &staged_path(name), source))
    }
}

fn error(action: &'static str, path: &DiskPath, source: io::Error) -> FsError {
    FsError {
        action,
        path: path.clone(),
        source,
    }
}

fn staged_path(name: &str) -> DiskPath {
    own::stage_path().join(name)
}

impl Filesystem for OsFilesystem {
    fn check_root(&self, id: &str) -> FsResult<()> {
        let fresh = Root::open(&self.path)
            .and_then(|fresh| own::check_marker(&fresh, id).map(|()| fresh))
            .map_err(|source| error("find the synced folder's marker in", &DiskPath::root(), source))?;
        if !fresh.is_same(&self.root()) {
            // The same folder after a remount: its device has another number now.
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        Ok(())
    }

    fn adopt_root(&self, id: &str) -> FsResult<()> {
        own::adopt(&self.root(), id).map_err(|source| error("prepare", &DiskPath::root(), source))
    }

    fn list(&self, folder: &DiskPath) -> FsResult<Vec<DirectoryEntry>> {
        let root = self.root();
        walk::open_folder(&root, folder.names())
            .and_then(|fd| look::list(&root, &fd, folder.names().is_empty()))
            .map_err(|source| error("list", folder, source))
    }

    fn metadata(&self, path: &DiskPath) -> FsResult<Option<Metadata>> {
        let looked = if path.names().is_empty() {
            let root = self.root();
            look::open_file(&root, &root.fd).map_err(|source| error("look at", path, source))
        } else {
            self.at("look at", path, |root, folder, name| {
                look::name(root, folder, name)
            })
        };
        match looked {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open(&self, path: &DiskPath) -> FsResult<Box<dyn ReadFile>> {
        let root = self.root();
        let fd = self.at("open", path, file::open_regular)?;
        Ok(Box::new(OpenFile {
            fd,
            root,
            path: path.clone(),
        }))
    }

    fn read_link(&self, path: &DiskPath) -> FsResult<LinkTarget> {
        self.at("read the link", path, |_, folder, name| {
            look::link_target(folder, name)
        })
    }

    fn stage(&self, name: &str) -> FsResult<Box<dyn StageFile>> {
        let fd = self.in_stage("write", name, |_, stage| file::open_staged(stage, name))?;
        Ok(Box::new(OpenStage {
            fd,
            path: staged_path(name),
        }))
    }

    fn stage_link(&self, name: &str, target: &LinkTarget) -> FsResult<()> {
        self.in_stage("make", name, |_, stage| {
            rustix::fs::symlinkat(target.as_str(), stage, name)?;
            Ok(())
        })
    }

    fn staged(&self, name: &str) -> FsResult<Option<Metadata>> {
        match self.in_stage("look at", name, |root, stage| look::name(root, stage, name)) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn staged_names(&self) -> FsResult<Vec<String>> {
        let root = self.root();
        own::open_stage(&root)
            .and_then(|stage| look::names(&stage))
            .map_err(|source| error("list", &own::stage_path(), source))
    }

    fn unstage(&self, name: &str) -> FsResult<()> {
        self.in_stage("remove", name, |_, stage| own::remove_tree(stage, name))
    }

    fn place(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.in_stage("place", staged, |_, _| Ok(()))?;
        self.at("make", path, |root, folder, name| {
            let stage = own::open_stage(root)?;
            swap::move_to_free(&stage, staged, folder, name)?;
            own::sync_folder(root, folder)?;
            own::sync_folder(root, &stage)
        })
    }

    fn place_all(&self, batch: &[(String, DiskPath)]) -> Vec<FsResult<()>> {
        swap::place_all(&self.root(), batch)
            .into_iter()
            .zip(batch)
            .map(|(result, (_, path))| result.map_err(|source| error("make", path, source)))
            .collect()
    }

    fn exchange(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.in_stage("place", staged, |_, _| Ok(()))?;
        self.at("replace", path, |root, folder, name| {
            let stage = own::open_stage(root)?;
            attributes::copy_permissions(folder, name, &stage, staged)?;
            swap::exchange(&stage, staged, folder, name)?;
            own::sync_folder(root, folder)?;
            own::sync_folder(root, &stage)
        })
    }

    fn displace(&self, path: &DiskPath, staged: &str) -> FsResult<()> {
        self.in_stage("stage", staged, |_, _| Ok(()))?;
        self.at("move", path, |root, folder, name| {
            let stage = own::open_stage(root)?;
            swap::move_to_free(folder, name, &stage, staged)?;
            own::sync_folder(root, &stage)?;
            own::sync_folder(root, folder)
        })
    }

    fn trash(&self, staged: &str) -> FsResult<()> {
        self.trash_as(staged, staged)
    }

    fn trash_as(&self, staged: &str, name: &str) -> FsResult<()> {
        self.in_stage("move to the trash", staged, |root, stage| {
            own::trash(root, stage, staged, name)
        })
    }

    fn empty_trash(&self, before: Timestamp) -> FsResult<u64> {
        own::empty_trash(&self.root(), before).map_err(|source| error("empty", &own::trash_path(), source))
    }

    fn rename(&self, from: &DiskPath, to: &DiskPath) -> FsResult<()> {
        self.at("move", from, |root, from_folder, from_name| {
            let (to_folder, to_name) = walk::open_parent(root, to)?;
            swap::rename(from_folder, from_name, &to_folder, to_name)?;
            own::sync_folder(root, &to_folder)?;
            if from.parent() == to.parent() {
                return Ok(());
            }
            own::sync_folder(root, from_folder)
        })
    }

    fn create_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.at("make the folder", path, |root, folder, name| {
            rustix::fs::mkdirat(folder, name, Mode::from_raw_mode(0o777))?;
            own::sync_folder(root, folder)
        })
    }

    fn remove_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.at("remove the folder", path, |root, folder, name| {
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)?;
            own::sync_folder(root, folder)
        })
    }

    fn set_attributes(&self, path: &DiskPath, executable: bool, mtime: Mtime) -> FsResult<()> {
        self.at("set the attributes of", path, |root, folder, name| {
            attributes::set(root, folder, name, executable, mtime)
        })
    }

    fn timestamp_step_ns(&self) -> u64 {
        self.root().timestamp_step_ns
    }

    fn keeps_exec_bit(&self) -> bool {
        self.root().keeps_exec_bit
    }
}
