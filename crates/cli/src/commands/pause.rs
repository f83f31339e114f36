//! `cairn pause` and `cairn resume`.

use cairn_client::control::{self, Request};
use serde_json::json;

use crate::App;
use crate::error::CliResult;

/// Options of `cairn resume`.
#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// A held deletion of most files is meant
    #[arg(long)]
    release_deletes: bool,
}

pub(crate) async fn pause(app: &App) -> CliResult {
    control::ask(&app.home.control_socket(), &Request::Pause).await?;
    app.ui.outcome(
        "Paused; what changes is noted and waits for \"cairn resume\".",
        &json!({ "paused": true }),
    )
}

pub(crate) async fn resume(app: &App, args: ResumeArgs) -> CliResult {
    let request = Request::Resume {
        release_deletes: args.release_deletes,
    };
    control::ask(&app.home.control_socket(), &request).await?;
    app.ui.outcome("Syncing again.", &json!({ "paused": false }))
}
