//! The folder in which a server keeps everything, held by one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A data folder whose lock is held until this is dropped.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process holds the lock.
    #[error("another cairn process uses the data folder {}: stop it first, or name another folder", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// It cannot be made or opened.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl DataFolder {
    /// Makes the folder where it is missing (readable by its owner alone) and takes its lock.
    ///
    /// # Errors
    /// [`DataFolderError`].
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| DataFolderError::Io { action, path, source }
        };
        make_private_folder(path).map_err(failed("make the data folder", path))?;
        let path = path
            .canonicalize()
            .map_err(failed("find the data folder", path))?;
        let lock_path = path.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DataFolderError::InUse { path }),
            Err(TryLockError::Error(source)) => Err(DataFolderError::Io {
                action: "lock",
                path: lock_path,
                source,
            }),
        }
    }

    /// The folder, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the metadata database is.
    pub fn metadata_file(&self) -> PathBuf {
        self.path.join("metadata.db")
    }

    /// Where the chunk store is, with the keys that its packs are encrypted with: a backup without those is worth nothing.
    pub fn chunks_folder(&self) -> PathBuf {
        self.path.join("chunks")
    }

    /// Where the index of what files hold is. It can be made anew, and needs no backup.
    pub fn texts_folder(&self) -> PathBuf {
        self.path.join("texts")
    }

    /// Where the self-signed certificate and its key are.
    pub fn tls_folder(&self) -> PathBuf {
        self.path.join("tls")
    }
}

/// Makes a folder with its parents; the folder itself, when it is new, is readable by its owner alone.
pub(crate) fn make_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_folder_has_one_user() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let first = DataFolder::open(&path).unwrap();
        let refused = DataFolder::open(&path).unwrap_err();
        assert!(matches!(refused, DataFolderError::InUse { .. }), "{refused}");
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_new_data_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let opened = DataFolder::open(&path).unwrap();
        assert_eq!(
            std::fs::metadata(opened.path()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }
}
