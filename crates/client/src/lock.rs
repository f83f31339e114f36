//! One process per folder: a lock that ends with the process, however it ends.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The lock's name in its folder.
const FILE_NAME: &str = "lock";
/// The folder in a synced root that holds everything of ours.
const OURS: &str = ".cairn";

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error("{} is in use by another Cairn process{}; stop it first, or name another folder", folder.display(), with_id(*process))]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process, where it wrote down its id.
        process: Option<u32>,
    },
    /// The lock cannot be made.
    #[error("cannot lock {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

fn with_id(process: Option<u32>) -> String {
    process.map(|id| format!(" (process {id})")).unwrap_or_default()
}

/// A folder that only this process works on, until this is dropped.
#[derive(Debug)]
pub struct FolderLock {
    /// Never removed: a lock on a removed file would not keep anybody out.
    _file: File,
}

impl FolderLock {
    /// Locks a device's home, where its profile and state are. The folder is made when it is not there.
    ///
    /// # Errors
    /// [`LockError::Held`] when another process has it, at once; [`LockError::Io`].
    pub fn home(folder: &Path) -> Result<Self, LockError> {
        fs::create_dir_all(folder).map_err(|source| LockError::Io {
            folder: folder.to_owned(),
            source,
        })?;
        Self::acquire(folder, folder)
    }

    /// Locks a synced root, whichever home it is synced from. The root itself must be there: one that is not mounted is
    /// not made.
    ///
    /// # Errors
    /// As [`Self::home`].
    pub fn synced_root(root: &Path) -> Result<Self, LockError> {
        let ours = root.join(OURS);
        match fs::create_dir(&ours) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => Err(LockError::Io {
                folder: root.to_owned(),
                source,
            }),
            _ => Self::acquire(&ours, root),
        }
    }

    fn acquire(within: &Path, folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            folder: folder.to_owned(),
            source,
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(within.join(FILE_NAME))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // For the message alone: what cannot be read is left out.
                let process = file
                    .read_to_string(&mut text)
                    .ok()
                    .and_then(|_| text.trim().parse().ok());
                return Err(LockError::Held {
                    folder: folder.to_owned(),
                    process,
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        write_id(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn write_id(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_folder_has_one_holder_at_a_time() {
        let home = TempDir::new().unwrap();
        let folder = home.path().join("made").join("here");
        let held = FolderLock::home(&folder).unwrap();
        let error = FolderLock::home(&folder).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(&folder.display().to_string()), "{message}");
        assert!(
            message.contains(&format!("process {}", std::process::id())),
            "{message}"
        );
        drop(held);
        FolderLock::home(&folder).unwrap();
    }

    #[test]
    fn a_root_is_locked_within_and_never_made() {
        let home = TempDir::new().unwrap();
        let _held = FolderLock::synced_root(home.path()).unwrap();
        assert!(matches!(
            FolderLock::synced_root(home.path()),
            Err(LockError::Held { .. })
        ));
        let missing = home.path().join("not mounted");
        assert!(matches!(
            FolderLock::synced_root(&missing),
            Err(LockError::Io { .. })
        ));
        assert!(!missing.exists());
    }
}
