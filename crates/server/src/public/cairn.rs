//! `/2/cairn`: what Dropbox has no route for, in the same style.

mod commit;

use std::sync::Arc;

use axum::Router;
use cairn_metadata::Scope;

use super::call::rpc;
use crate::state::State;

pub(super) fn routes() -> Router<Arc<State>> {
    const WRITE: Scope = Scope::FilesContentWrite;
    Router::new().route("/2/cairn/files/commit", rpc(WRITE, commit::commit))
}
