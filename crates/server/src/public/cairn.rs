//! `/2/cairn`: what Dropbox has no route for, in the same style.

mod activity;
mod at;
mod commit;
mod delta;
mod tree_hash;

use cairn_metadata::Scope;

use super::files::answers::File;
use super::routes::{Route, download, rpc, upload};
use super::unions::{self, PastError};

const SEE: Scope = Scope::FilesMetadataRead;
const READ: Scope = Scope::FilesContentRead;
const WRITE: Scope = Scope::FilesContentWrite;

/// These routes, as the table has them.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = writing();
    routes.extend(looking_back());
    routes
}

fn writing() -> Vec<Route> {
    vec![
        rpc(
            "cairn/files/commit",
            WRITE,
            "Makes many operations one change.",
            commit::commit,
        )
        .fails::<unions::CommitError>(),
        download(
            "cairn/files/signature",
            READ,
            "Gives the signature of a file, to make a delta with.",
            delta::signature,
        )
        .gives::<File>()
        .fails::<unions::LookupError>(),
        upload(
            "cairn/files/upload_delta",
            WRITE,
            "Puts a file as a delta against what it was.",
            delta::upload_delta,
        )
        .fails::<unions::DeltaError>(),
    ]
}

fn looking_back() -> Vec<Route> {
    vec![
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
