//! `cairn logout`: unlinks this device.

use cairn_api::error::ErrorCode;
use cairn_client::control::{self, ControlError, Request};
use cairn_client::profile::Profile;
use cairn_client::remote::RemoteError;
use serde_json::json;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::session::Session;

/// Options of `cairn logout`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Forget the link here even when the server cannot be told
    #[arg(long)]
    force: bool,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let session = Session::open(app)?;
    match control::ask(&app.home.control_socket(), &Request::Status).await {
        Err(ControlError::NotRunning { .. } | ControlError::PathTooLong { .. }) => {}
        _ => {
            return Err(CliError::refused("the daemon of this device runs").next("run \"cairn stop\" first"));
        }
    }
    match session.remote.logout().await {
        Ok(()) => {}
        // Unlinked already, from another device.
        Err(RemoteError::Refused(error)) if error.code == ErrorCode::NotAuthenticated => {}
        Err(error) if args.force => app.ui.note(format!(
            "cairn: the server was not told ({error}); unlink \"{}\" there too",
            session.profile.device_name
        )),
        Err(error) => return Err(error.into()),
    }
    Profile::remove(app.home.path())?;
    let text = format!(
        "Unlinked from {}. The files in the synced folder stay.",
        session.profile.server
    );
    app.ui.outcome(text, &json!({ "server": session.profile.server }))
}
