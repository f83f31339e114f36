//! What goes wrong with a filesystem.

use std::io;

use super::DiskPath;

/// An error with the path and what was tried.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {path}")]
pub struct FsError {
    /// What was tried, as in "cannot read x".
    pub action: &'static str,
    /// The path below the root; the root itself prints as empty.
    pub path: DiskPath,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// The same once more, for others that failed with it.
    pub fn again(&self) -> Self {
        let source = match self.source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(self.source.kind(), self.source.to_string()),
        };
        Self {
            action: self.action,
            path: self.path.clone(),
            source,
        }
    }

    /// Whether the thing was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
        )
    }

    /// Whether something was there already.
    pub fn is_already_exists(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty
        )
    }

    /// Whether the disk or the user's quota is full.
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}
