//! What can go wrong at the chunk seam.

use std::io;
use std::path::{Path, PathBuf};

use cairn_core::ids::ChunkHash;

/// Errors that some caller acts on.
#[derive(Debug, thiserror::Error)]
pub enum ChunkError {
    /// There is no space left. Nothing was acknowledged.
    #[error("no space left in {}", path.display())]
    Full {
        /// The file or folder.
        path: PathBuf,
    },
    /// Reading or writing failed. Nothing was acknowledged.
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
    /// A stored chunk is damaged.
    #[error("chunk {hash} is damaged: {what}")]
    Corrupt {
        /// The chunk.
        hash: ChunkHash,
        /// What was found.
        what: String,
    },
    /// The store cannot be opened safely.
    #[error("cannot open the chunk store at {}: {what}", path.display())]
    Unopenable {
        /// The folder or file.
        path: PathBuf,
        /// The cause and the next step.
        what: String,
    },
    /// The index of chunks, which can be rebuilt from the packs, cannot be read or written.
    #[error("cannot {action} the index {}", path.display())]
    Index {
        /// What was tried.
        action: &'static str,
        /// The index.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: sqlx::Error,
    },
    /// The store was closed, or an earlier failure made it refuse writes.
    #[error("the chunk store takes no more writes: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}

impl ChunkError {
    /// Says what was tried on which file; tells a full disk from other failures.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                path: path.to_owned(),
            },
            _ => Self::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// Another error of the same meaning, for the other requests that failed together with the first.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Full { path } => Self::Full { path: path.clone() },
            Self::Io { action, path, source } => {
                let source = match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                };
                Self::Io {
                    action,
                    path: path.clone(),
                    source,
                }
            }
            Self::Corrupt { hash, what } => Self::Corrupt {
                hash: *hash,
                what: what.clone(),
            },
            Self::Unopenable { path, what } => Self::Unopenable {
                path: path.clone(),
                what: what.clone(),
            },
            Self::Index { path, source, .. } => Self::Closed {
                reason: format!("the index {} failed: {source}", path.display()),
            },
            Self::Closed { reason } => Self::Closed {
                reason: reason.clone(),
            },
        }
    }
}
