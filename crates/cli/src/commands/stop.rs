//! `cairn stop`: ends the daemon.

use std::time::Duration;

use cairn_client::control::{self, ControlError, Request};
use cairn_client::lock::FolderLock;
use serde_json::json;
use tokio::time::Instant;

use crate::App;
use crate::error::{CliError, CliResult, Exit};

/// How long the daemon may take to finish what is under way.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(app: &App) -> CliResult {
    let socket = app.home.control_socket();
    control::ask(&socket, &Request::Stop).await?;
    // It has ended when it has let go of the home: another start may follow at once.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let is_silent = matches!(
            control::ask(&socket, &Request::Status).await,
            Err(ControlError::NotRunning { .. })
        );
        if is_silent && FolderLock::home(app.home.path()).is_ok() {
            return app.ui.outcome("Stopped.", &json!({ "stopped": true }));
        }
        if Instant::now() > deadline {
            return Err(
                CliError::new(Exit::Failed, "the daemon was told to stop but still runs")
                    .next(format!("see {}", app.home.log_file().display())),
            );
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}
