//! A synced root, written once over the calls of a disk: what is durable when, what replaces nothing, what a crash may
//! leave.
//!
//! A rename between two folders is made durable in the folder that gains the name first: were it the other, a crash
//! between the two syncs could leave the bytes under no name at all.

mod attributes;
mod batch;
mod file;
mod look;
mod own;
mod settle;
mod swap;
mod trash;
mod walk;

#[cfg(test)]
pub(crate) mod tests;

use std::ffi::OsStr;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use cairn_core::node::LinkTarget;
use cairn_core::time::{Mtime, Timestamp};

use super::disk::{Access, Disk, RootTraits};
use super::{
    DirectoryEntry, DiskPath, Filesystem, FsError, FsResult, Metadata, ReadFile, StageFile, StageGroup,
};
use file::{OpenFile, OpenGroup, OpenStage};

/// Permissions of a new folder, before the process's mask.
const FOLDER_MODE: u32 = 0o777;

/// An open root with what the disk says of it.
#[derive(Debug)]
struct Root<D: Disk> {
    folder: D::Folder,
    traits: RootTraits,
}

/// A disk and a root on it.
#[derive(Debug)]
struct At<'a, D: Disk> {
    disk: &'a D,
    root: &'a D::Folder,
}

/// Not derived: that would ask the disk to be copied.
impl<D: Disk> Clone for At<'_, D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: Disk> Copy for At<'_, D> {}

/// A synced root on a disk.
///
/// Every path is walked below the open root: no link is followed and no mount is entered, whoever changes the tree
/// meanwhile.
#[derive(Debug)]
pub struct RootFilesystem<D: Disk> {
    disk: Arc<D>,
    root: RwLock<Arc<Root<D>>>,
}

impl<D: Disk> RootFilesystem<D> {
    /// Opens the root of a disk.
    ///
    /// # Errors
    /// As the disk says.
    pub fn new(disk: D) -> FsResult<Self> {
        let root = open_root(&disk).map_err(|source| error("open", &DiskPath::root(), source))?;
        Ok(Self {
            disk: Arc::new(disk),
            root: RwLock::new(Arc::new(root)),
        })
    }

    /// The disk.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    fn root(&self) -> Arc<Root<D>> {
        Arc::clone(&self.root.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `work` with the root.
    fn below<T>(
        &self,
        action: &'static str,
        path: &DiskPath,
        work: impl FnOnce(At<'_, D>) -> io::Result<T>,
    ) -> FsResult<T> {
        let root = self.root();
        let at = At {
            disk: &*self.disk,
            root: &root.folder,
        };
        work(at).map_err(|source| error(action, path, source))
    }

    /// Runs `work` with the folder that holds `path` and the name there.
    fn at<T>(
        &self,
        action: &'static str,
        path: &DiskPath,
        work: impl FnOnce(At<'_, D>, &D::Folder, &OsStr) -> io::Result<T>,
    ) -> FsResult<T> {
        self.below(action, path, |at| {
            let (folder, name) = walk::open_parent(at, path)?;
            work(at, &folder, name)
        })
    }

    /// Runs `work` with the stage and a checked name in it.
    fn in_stage<T>(
        &self,
        action: &'static str,
        name: &str,
        work: impl FnOnce(At<'_, D>, &D::Folder, &OsStr) -> io::Result<T>,
    ) -> FsResult<T> {
        self.below(action, &staged_path(name), |at| {
            walk::check_name(name)?;
            let stage = own::open_stage(at)?;
            work(at, &stage, OsStr::new(name))
        })
    }

    /// Runs `work` with a checked name in the stage and with the folder that holds `path` and the name there.
    fn between<T>(
        &self,
        actions: [&'static str; 2],
        staged: &str,
        path: &DiskPath,
        work: impl FnOnce(At<'_, D>, (&D::Folder, &OsStr), (&D::Folder, &OsStr)) -> io::Result<T>,
    ) -> FsResult<T> {
        let [in_stage, at_path] = actions;
        self.in_stage(in_stage, staged, |_, _, _| Ok(()))?;
        self.at(at_path, path, |at, folder, name| {
            let stage = own::open_stage(at)?;
            work(at, (&stage, OsStr::new(staged)), (folder, name))
        })
    }
}

fn open_root<D: Disk>(disk: &D) -> io::Result<Root<D>> {
    let folder = disk.open_root()?;
    Ok(Root {
        traits: disk.root_traits(&folder),
        folder,
    })
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

/// Nothing there is an answer, not an error.
fn if_there(looked: FsResult<Metadata>) -> FsResult<Option<Metadata>> {
    match looked {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

impl<D: Disk> Filesystem for RootFilesystem<D> {
    fn check_root(&self, id: &str) -> FsResult<()> {
        let check = |fresh: &Root<D>| {
            let at = At {
                disk: &*self.disk,
                root: &fresh.folder,
            };
            own::check_marker(at, id)
        };
        let fresh = open_root(&*self.disk)
            .and_then(|fresh| check(&fresh).map(|()| fresh))
            .map_err(|source| error("find the synced folder's marker in", &DiskPath::root(), source))?;
        if fresh.traits.identity != self.root().traits.identity {
            // The same folder after a remount: its device has another number now.
            *self.root.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
        }
        Ok(())
    }

    fn adopt_root(&self, id: &str) -> FsResult<()> {
        self.below("prepare", &DiskPath::root(), |at| own::adopt(at, id))
    }

    fn list(&self, folder: &DiskPath) -> FsResult<Vec<DirectoryEntry>> {
        self.below("list", folder, |at| {
            let open = walk::open_folder(at, folder.names())?;
            look::list(at.disk, &open, folder.names().is_empty())
        })
    }

    fn metadata(&self, path: &DiskPath) -> FsResult<Option<Metadata>> {
        if_there(if path.names().is_empty() {
            self.below("look at", path, |at| Ok(at.disk.stat_folder(at.root)?.metadata))
        } else {
            self.at("look at", path, |at, folder, name| {
                Ok(at.disk.stat(folder, name)?.metadata)
            })
        })
    }

    fn open(&self, path: &DiskPath) -> FsResult<Box<dyn ReadFile>> {
        let file = self.at("open", path, |at, folder, name| {
            at.disk.open_file(folder, name, Access::Read)
        })?;
        Ok(Box::new(OpenFile::new(&self.disk, file, path.clone())))
    }

    fn read_link(&self, path: &DiskPath) -> FsResult<LinkTarget> {
        self.at("read the link", path, |at, folder, name| {
            look::link_target(at.disk, folder, name)
        })
    }

    fn stage(&self, name: &str) -> FsResult<Box<dyn StageFile>> {
        let file = self.in_stage("write", name, |at, stage, name| {
            at.disk.open_file(stage, name, Access::Create)
        })?;
        let file = OpenFile::new(&self.disk, file, staged_path(name));
        Ok(Box::new(OpenStage::new(file, self.root(), name)))
    }

    fn stage_clone(&self, name: &str, source: &DiskPath) -> FsResult<bool> {
        let from = self.at("open", source, |at, folder, name| {
            at.disk.open_file(folder, name, Access::Read)
        })?;
        let to = self.in_stage("write", name, |at, stage, name| {
            at.disk.open_file(stage, name, Access::Create)
        })?;
        match self.disk.share(&from, &to) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(source) => Err(error("write", &staged_path(name), source)),
        }
    }

    fn begin_group(&self) -> FsResult<Box<dyn StageGroup>> {
        let group = OpenGroup::new(&self.disk, self.root());
        let group = group.map_err(|source| error("open", &own::stage_path(), source))?;
        Ok(Box::new(group))
    }

    fn stage_link(&self, name: &str, target: &LinkTarget) -> FsResult<()> {
        self.in_stage("make", name, |at, stage, name| {
            at.disk.symlink(stage, name, target.as_str())
        })
    }

    fn staged(&self, name: &str) -> FsResult<Option<Metadata>> {
        if_there(self.in_stage("look at", name, |at, stage, name| {
            Ok(at.disk.stat(stage, name)?.metadata)
        }))
    }

    fn open_staged(&self, name: &str) -> FsResult<Box<dyn ReadFile>> {
        let file = self.in_stage("open", name, |at, stage, name| {
            at.disk.open_file(stage, name, Access::Read)
        })?;
        Ok(Box::new(OpenFile::new(&self.disk, file, staged_path(name))))
    }

    fn restage(&self, name: &str, other: &str) -> FsResult<()> {
        self.in_stage("rename", name, |at, stage, name| {
            walk::check_name(other)?;
            swap::move_to_own(at.disk, (stage, name), (stage, OsStr::new(other)))
        })
    }

    fn staged_names(&self) -> FsResult<Vec<String>> {
        self.below("list", &own::stage_path(), |at| {
            look::names(at.disk, &own::open_stage(at)?)
        })
    }

    fn unstage(&self, name: &str) -> FsResult<()> {
        self.in_stage("remove", name, |at, stage, name| {
            trash::remove_tree(at.disk, stage, name)
        })
    }

    fn place(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.between(["place", "make"], staged, path, |at, from, to| {
            swap::move_to_free(at.disk, from, to)?;
            at.disk.sync_folder(to.0)?;
            at.disk.sync_folder(from.0)
        })
    }

    fn place_all(&self, batch: &[(String, DiskPath)]) -> Vec<FsResult<()>> {
        let root = self.root();
        let at = At {
            disk: &*self.disk,
            root: &root.folder,
        };
        batch::place_all(at, batch)
            .into_iter()
            .zip(batch)
            .map(|(result, (_, path))| result.map_err(|source| error("make", path, source)))
            .collect()
    }

    fn exchange(&self, staged: &str, path: &DiskPath) -> FsResult<()> {
        self.between(["place", "replace"], staged, path, |at, from, to| {
            attributes::copy_permissions(at.disk, to, from)?;
            swap::exchange(at.disk, from, to)?;
            // Both gain a name. The stage comes first because it gains what was displaced, which may be nowhere else;
            // the staged file can be had again.
            at.disk.sync_folder(from.0)?;
            at.disk.sync_folder(to.0)
        })
    }

    fn displace(&self, path: &DiskPath, staged: &str) -> FsResult<()> {
        self.between(["stage", "move"], staged, path, |at, to, from| {
            swap::move_to_own(at.disk, from, to)?;
            at.disk.sync_folder(to.0)?;
            at.disk.sync_folder(from.0)
        })
    }

    fn settle(&self, staged: &str, path: &DiskPath) -> FsResult<Option<String>> {
        self.in_stage("look at", staged, |_, _, _| Ok(()))?;
        self.below("settle", path, |at| settle::settle(at, OsStr::new(staged), path))
    }

    fn trash(&self, staged: &str) -> FsResult<()> {
        self.trash_as(staged, staged)
    }

    fn trash_as(&self, staged: &str, name: &str) -> FsResult<()> {
        self.in_stage("move to the trash", staged, |at, stage, staged| {
            trash::trash(at, (stage, staged), name)
        })
    }

    fn empty_trash(&self, before: Timestamp) -> FsResult<u64> {
        self.below("empty", &own::trash_path(), |at| trash::empty(at, before))
    }

    fn clear(&self) -> FsResult<()> {
        self.below("empty", &DiskPath::root(), own::clear)
    }

    fn disown(&self) -> FsResult<()> {
        self.below("let go of", &DiskPath::root(), own::disown)
    }

    fn rename(&self, from: &DiskPath, to: &DiskPath) -> FsResult<()> {
        self.at("move", from, |at, from_folder, from_name| {
            let (to_folder, to_name) = walk::open_parent(at, to)?;
            swap::rename(at.disk, (from_folder, from_name), (&to_folder, to_name))?;
            at.disk.sync_folder(&to_folder)?;
            if from.parent() == to.parent() {
                return Ok(());
            }
            at.disk.sync_folder(from_folder)
        })
    }

    fn create_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.at("make the folder", path, |at, folder, name| {
            let made = at.disk.make_folder(folder, name, FOLDER_MODE);
            if made
                .as_ref()
                .is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists)
            {
                return made;
            }
            // Also when it is there: it may have been made just before a crash, and whoever takes it relies on it.
            at.disk.sync_folder(folder)?;
            made
        })
    }

    fn remove_directory(&self, path: &DiskPath) -> FsResult<()> {
        self.at("remove the folder", path, |at, folder, name| {
            let removed = at.disk.remove_folder(folder, name);
            if removed
                .as_ref()
                .is_err_and(|error| error.kind() != io::ErrorKind::NotFound)
            {
                return removed;
            }
            // Also when it is gone: it may have been removed just before a crash, and must not come back.
            at.disk.sync_folder(folder)?;
            removed
        })
    }

    fn set_attributes(&self, path: &DiskPath, executable: bool, mtime: Mtime) -> FsResult<()> {
        self.at("set the attributes of", path, |at, folder, name| {
            attributes::set(at.disk, folder, name, executable, mtime)
        })
    }

    fn timestamp_step_ns(&self) -> u64 {
        self.root().traits.timestamp_step_ns
    }

    fn session(&self) -> Option<String> {
        self.disk.session(&self.root().folder)
    }

    fn keeps_exec_bit(&self) -> bool {
        self.root().traits.keeps_exec_bit
    }
}
