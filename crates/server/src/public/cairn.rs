//! `/2/cairn`: what Dropbox has no route for, in the same style.

mod commit;

use cairn_metadata::Scope;

use super::routes::{Route, rpc};
use super::unions;

/// These routes, as the table has them.
pub(super) fn routes() -> Vec<Route> {
    const WRITE: Scope = Scope::FilesContentWrite;
    vec![
        rpc(
            "cairn/files/commit",
            WRITE,
            "Makes many operations one change.",
            commit::commit,
        )
        .fails::<unions::CommitError>(),
    ]
}
