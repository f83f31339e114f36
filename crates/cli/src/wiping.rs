//! A device that was unlinked from another one, and deletes what it keeps.

use std::path::Path;
use std::sync::Arc;

use cairn_client::control::{self, ControlError, Request};
use cairn_client::profile::Profile;
use cairn_client::remote::Remote;
use cairn_client::wipe::{self, WipeError, WipeOrder, WipedNote};
use cairn_core::time::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::App;
use crate::error::{CliError, CliResult, Exit};
use crate::session::Session;
use crate::signals;
use crate::ui::format;

/// Whether a wipe was begun here and is not finished.
pub(crate) fn is_begun(home: &Path) -> CliResult<bool> {
    Ok(WipeOrder::load(home)?.is_some())
}

/// Writes down what is to be deleted, then deletes it. The error says what has happened.
pub(crate) async fn begin(
    app: &App,
    profile: &Profile,
    everything: bool,
    stop: CancellationToken,
) -> CliResult {
    WipeOrder::begin(app.home.path(), everything)?;
    go_on(app, profile, stop).await
}

/// Goes on with what was begun. The error says what has happened.
pub(crate) async fn go_on(app: &App, profile: &Profile, stop: CancellationToken) -> CliResult {
    tracing::warn!("this device was unlinked: what it keeps is deleted");
    let remote: Arc<dyn Remote> = Session::of(app, profile.clone())?.remote;
    let wiping = Box::pin(wipe::carry_out(app.home.path(), profile, remote, &app.runtime));
    match stop.run_until_cancelled(wiping).await {
        Some(note) => Err(told(&note?)),
        None => Err(under_way()),
    }
}

/// For commands that need no folder: a device of which no daemon runs hears of it by them, too.
pub(crate) async fn heed(app: &App, refusal: CliError) -> CliError {
    let socket = control::ask(&app.home.control_socket(), &Request::Status).await;
    if !matches!(socket, Err(ControlError::NotRunning { .. })) {
        return refusal;
    }
    let heeded: CliResult = async {
        let profile = app.home.profile()?;
        let order = Session::of(app, profile.clone())?.remote.wipe_order().await?;
        begin(app, &profile, order.everything, signals::stop_token()?).await
    }
    .await;
    heeded.err().unwrap_or(refusal)
}

/// What a device without a profile says.
pub(crate) fn not_linked(home: &Path) -> CliError {
    match WipedNote::load(home) {
        Ok(Some(note)) => told(&note),
        _ => CliError::not_linked(),
    }
}

/// What a device says that is not through with it.
pub(crate) fn under_way() -> CliError {
    CliError::new(
        Exit::NotLinked,
        "this device was unlinked from another one, and is deleting what it keeps",
    )
    .next("run \"cairn start\" to go on with that")
}

fn told(note: &WipedNote) -> CliError {
    let report = note.report;
    let at = format::time(Timestamp::from_millis(note.at_ms));
    let removed = format::count(report.removed, "file");
    let unsent = format::count(report.unsent, "file");
    let rest = match (&note.folder, report.unsent) {
        (Some(folder), _) => format!(
            "; {unsent} that the server did not have were left in {}",
            folder.display()
        ),
        (None, 0) => String::new(),
        (None, _) => format!(", and {unsent} that the server did not have"),
    };
    CliError::new(
        Exit::NotLinked,
        format!(
            "this device was unlinked from {} from elsewhere on {at}, and deleted what it kept: {removed} of the synced folder{rest}",
            note.server
        ),
    )
    .next("run \"cairn login\" to link it again")
}

impl From<WipeError> for CliError {
    fn from(error: WipeError) -> Self {
        match error {
            WipeError::Daemon(error) => error.into(),
            WipeError::Lock(error) => error.into(),
            WipeError::Profile(error) => error.into(),
            WipeError::Home { .. } => Self::failed(error.to_string()).because(error),
        }
    }
}
