//! What can go wrong when a plan meets the disk.

use cairn_core::ids::NodeId;

use crate::fs::{DiskPath, FsError};
use crate::state::StateError;

/// Why a step was not done. Nothing of the user's is lost by any of them.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The disk is not what the local tree says, or something has the name: the folder is to be scanned again.
    #[error("{path} changed on the disk meanwhile")]
    Changed {
        /// What changed.
        path: DiskPath,
    },
    /// The folder still holds something.
    #[error("{path} is not empty")]
    NotEmpty {
        /// The folder.
        path: DiskPath,
    },
    /// The node is not on the disk.
    #[error("node {node} is not on this disk")]
    NotLocal {
        /// The node.
        node: NodeId,
    },
    /// The folder that shall hold the node is not on the disk.
    #[error("folder {node} is not on this disk")]
    NoParent {
        /// The folder.
        node: NodeId,
    },
    /// Nothing is staged under the name.
    #[error("nothing is staged as {staged}")]
    NotStaged {
        /// The name.
        staged: String,
    },
    /// An intent was written by a version that this one does not understand.
    #[error("cannot read the intent for {staged}")]
    UnknownIntent {
        /// The staged name.
        staged: String,
    },
    /// The filesystem failed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The state failed.
    #[error(transparent)]
    State(#[from] StateError),
}
