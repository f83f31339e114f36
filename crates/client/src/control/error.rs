//! What can go wrong between a command and the daemon.

use std::io;
use std::path::PathBuf;

/// Errors that some caller acts on.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody listens.
    #[error("no daemon is running for {}", path.parent().unwrap_or(path).display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
    },
    /// Somebody listens, but does not answer.
    #[error("the daemon at {} does not answer", path.display())]
    NotResponding {
        /// The socket.
        path: PathBuf,
    },
    /// Another daemon listens already.
    #[error("a daemon is already running for {}", path.parent().unwrap_or(path).display())]
    AlreadyRunning {
        /// The socket.
        path: PathBuf,
    },
    /// The system allows no socket with so long a path.
    #[error("the path {} is too long for a socket: at most {limit} bytes are possible", path.display())]
    PathTooLong {
        /// The socket.
        path: PathBuf,
        /// Most bytes of a path.
        limit: usize,
    },
    /// The socket cannot be made or used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A message is longer than it may be.
    #[error("a message of {size} bytes is longer than the {limit} that are allowed")]
    TooLong {
        /// Its length in bytes.
        size: usize,
        /// Most bytes.
        limit: usize,
    },
    /// A message is none.
    #[error("a message cannot be understood; do both sides have the same version?")]
    Malformed(#[source] serde_json::Error),
    /// The request cannot be answered.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
    },
}
