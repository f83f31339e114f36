//! The watches themselves: one for each folder, so that one that cannot be watched does not end the others.

use std::path::{Path, PathBuf};

use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher as _};

use super::WatchTrouble;
use crate::fs::{DiskPath, OWN_FOLDER};

pub(super) struct Watches {
    root: PathBuf,
    notify: Option<RecommendedWatcher>,
    trouble: Option<WatchTrouble>,
}

impl Watches {
    pub(super) fn new(root: PathBuf, handler: impl Fn(notify::Result<Event>) + Send + 'static) -> Self {
        let config = Config::default().with_follow_symlinks(false);
        let (notify, trouble) = match RecommendedWatcher::new(handler, config) {
            Ok(notify) => (Some(notify), None),
            Err(error) => (None, Some(refused(&root, &error))),
        };
        Self {
            root,
            notify,
            trouble,
        }
    }

    pub(super) fn trouble(&self) -> Option<WatchTrouble> {
        self.trouble.clone()
    }

    /// Watches a folder and all below it, each before it is listed; returns those that were there. Links are not followed
    /// and our own folder is left out.
    pub(super) fn add_tree(&mut self, top: &DiskPath) -> Vec<DiskPath> {
        let mut watched = Vec::new();
        let mut to_watch = vec![top.clone()];
        while let Some(folder) = to_watch.pop() {
            let path = folder
                .names()
                .iter()
                .fold(self.root.clone(), |path, name| path.join(name));
            let is_folder = if folder.names().is_empty() {
                path.is_dir()
            } else {
                is_real_folder(&path)
            };
            if !is_folder || !self.add(&path) {
                continue;
            }
            for name in folder_names(&path) {
                if !(folder.names().is_empty() && name == OWN_FOLDER) {
                    to_watch.push(folder.join(&name));
                }
            }
            watched.push(folder);
        }
        watched
    }

    /// Watches one folder; false when it is not there.
    fn add(&mut self, path: &Path) -> bool {
        let Some(notify) = self.notify.as_mut() else {
            return false;
        };
        match notify.watch(path, RecursiveMode::NonRecursive) {
            Ok(()) => true,
            Err(error) => match &error.kind {
                notify::ErrorKind::PathNotFound => false,
                notify::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::NotFound => false,
                notify::ErrorKind::MaxFilesWatch => {
                    self.trouble = Some(WatchTrouble::OutOfWatches);
                    true
                }
                _ => {
                    self.trouble.get_or_insert_with(|| refused(path, &error));
                    true
                }
            },
        }
    }
}

fn refused(path: &Path, error: &notify::Error) -> WatchTrouble {
    WatchTrouble::Refused {
        path: path.display().to_string(),
        reason: error.to_string(),
    }
}

fn is_real_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir())
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
