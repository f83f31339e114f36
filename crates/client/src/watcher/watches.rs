//! Which folders are watched: all of a tree, and one that cannot be does not end the others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::inotify::{Inotify, path_below};
use super::{Shared, WatchTrouble};
use crate::fs::{DiskPath, OWN_FOLDER};

pub(super) struct Watches {
    root: PathBuf,
    shared: Arc<Shared>,
    inotify: Option<Inotify>,
    trouble: Option<WatchTrouble>,
}

impl Watches {
    pub(super) fn new(root: PathBuf, shared: Arc<Shared>) -> Self {
        let (inotify, trouble) = match Inotify::start(root.clone(), Arc::clone(&shared)) {
            Ok(inotify) => (Some(inotify), None),
            Err(error) => (None, Some(refused(&root, &error))),
        };
        Self {
            root,
            shared,
            inotify,
            trouble,
        }
    }

    /// Watches the whole tree.
    pub(super) fn begin(&mut self) {
        let watched = self.add_trees([DiskPath::root()]);
        if watched.is_empty() && self.inotify.is_some() {
            self.shared.pending().is_root_gone = true;
        }
    }

    /// Watches the whole tree anew when another folder has the root's place, or when it was gone and is there again. No old watch
    /// stays: it would tell of the old tree by the paths of the new one.
    pub(super) fn follow_root(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        let is_gone = self.shared.pending().is_root_gone;
        if !is_gone {
            match inotify.is_root_watched() {
                Ok(false) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                // A root that cannot be watched is told of already.
                Ok(true) | Err(_) => return,
            }
            let mut pending = self.shared.pending();
            pending.is_root_gone = true;
            pending.add_everything();
        }
        // The place of a disk that is not mounted is a folder too, but not ours.
        if !self.root.join(OWN_FOLDER).is_dir() {
            return;
        }
        inotify.forget_all();
        self.trouble = None;
        self.shared.pending().is_root_gone = false;
        self.begin();
        // What happened before this is told by nobody.
        self.shared.pending().add_everything();
    }

    pub(super) fn trouble(&self) -> Option<WatchTrouble> {
        self.trouble.clone()
    }

    /// Watches these folders and all below them, each before it is listed; returns those that were there. Links are not followed
    /// and our own folder is left out. What was moved out of the tree before is not watched any more.
    pub(super) fn add_trees(&mut self, tops: impl IntoIterator<Item = DiskPath>) -> Vec<DiskPath> {
        let mut watched = Vec::new();
        let mut to_watch: Vec<DiskPath> = tops.into_iter().collect();
        while let Some(folder) = to_watch.pop() {
            if !self.add(&folder) {
                continue;
            }
            for name in folder_names(&path_below(&self.root, &folder)) {
                if !(folder.names().is_empty() && name == OWN_FOLDER) {
                    to_watch.push(folder.join(&name));
                }
            }
            watched.push(folder);
        }
        if let Some(inotify) = &self.inotify {
            inotify.let_go();
        }
        watched
    }

    /// Watches one folder; false when there is none.
    fn add(&mut self, folder: &DiskPath) -> bool {
        let Some(inotify) = &self.inotify else {
            return false;
        };
        match inotify.watch(folder) {
            Ok(()) => true,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
            Err(Errno::NOSPC) => {
                self.trouble = Some(WatchTrouble::OutOfWatches);
                true
            }
            Err(error) => {
                let path = path_below(&self.root, folder);
                self.trouble.get_or_insert_with(|| refused(&path, &error.into()));
                true
            }
        }
    }
}

fn refused(path: &Path, error: &std::io::Error) -> WatchTrouble {
    WatchTrouble::Refused {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

/// The folders in a folder whose names are UTF-8; others are not synced.
fn folder_names(path: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}
