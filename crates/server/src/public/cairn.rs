//! `/2/cairn`: what Dropbox has no route for, in the same style.

mod activity;
mod at;
mod commit;
mod tree_hash;

use cairn_metadata::Scope;

use super::files::answers::File;
use super::routes::{Route, download, rpc};
use super::unions::{self, PastError};

const SEE: Scope = Scope::FilesMetadataRead;
const READ: Scope = Scope::FilesContentRead;
const WRITE: Scope = Scope::FilesContentWrite;

/// These routes, as the table has them.
pub(super) fn routes() -> Vec<Route> {
    vec![
        rpc(
            "cairn/files/commit",
            WRITE,
            "Makes many operations one change.",
            commit::commit,
        )
        .fails::<unions::CommitError>(),
        rpc(
            "cairn/files/list_at",
            SEE,
            "Lists a folder as it was at a moment.",
            at::list,
        )
        .fails::<PastError>(),
        rpc(
            "cairn/files/list_at/continue",
            SEE,
            "Goes on with a folder as it was.",
            at::list_continue,
        )
        .fails::<unions::LookupError>(),
        rpc(
            "cairn/files/get_metadata_at",
            SEE,
            "Says what stood on a path at a moment.",
            at::get_metadata,
        )
        .fails::<PastError>(),
        download(
            "cairn/files/download_at",
            READ,
            "Gives the bytes that a file had at a moment.",
            at::download,
        )
        .gives::<File>()
        .fails::<PastError>()
        .in_parts(),
        rpc(
            "cairn/files/tree_hash",
            SEE,
            "Gives one hash for all that a folder holds.",
            tree_hash::get,
        )
        .fails::<PastError>(),
        rpc(
            "cairn/activity",
            SEE,
            "Lists what was changed, newest first.",
            activity::activity,
        ),
        rpc(
            "cairn/activity/continue",
            SEE,
            "Goes on with what was changed.",
            activity::activity_continue,
        ),
    ]
}
