//! What can go wrong at the chunk seam.

use std::path::PathBuf;

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
        source: std::io::Error,
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
    /// The store was closed, or an earlier failure made it refuse writes.
    #[error("the chunk store takes no more writes: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
}
