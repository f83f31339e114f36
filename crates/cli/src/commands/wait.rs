//! `cairn wait`: returns when everything is in sync.

use std::time::Duration;

use cairn_client::control::{self, Reply, Request};
use cairn_client::status::{Activity, Status};

use crate::App;
use crate::commands::status::{state_word, to_json};
use crate::daemon_link::{shown, word};
use crate::error::{CliError, CliResult};

/// Options of `cairn wait`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Give up after so many seconds
    #[arg(long, value_name = "S")]
    timeout: Option<u64>,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    // Tells a device that is not linked from one whose daemon does not run.
    let first = super::status::ask(app).await?;
    let timeout_ms = args.timeout.map(|seconds| seconds.saturating_mul(1_000));
    let socket = app.home.control_socket();
    let request = Request::Wait { timeout_ms };
    let seen = std::sync::Mutex::new(first);
    let lock = || seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let looking = async {
        while let Ok(status) = super::status::ask(app).await {
            *lock() = status;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        std::future::pending::<()>().await;
    };
    let waiting = async {
        tokio::select! {
            reply = control::ask(&socket, &request) => reply,
            () = looking => unreachable!("looking never ends"),
        }
    };
    let reply = crate::ui::progress::Meter::new(app.ui)
        .during(waiting, || shown(&lock()))
        .await?;
    let Reply::Waited { timed_out, status } = reply else {
        return Err(CliError::failed("the daemon gave another answer"));
    };
    if app.ui.json {
        app.ui.json(&to_json(&status))?;
    }
    judge(&status, timed_out)?;
    if app.ui.json {
        Ok(())
    } else {
        app.ui.done("Up to date.")
    }
}

fn judge(status: &Status, timed_out: bool) -> CliResult {
    if timed_out {
        return Err(
            CliError::failed(format!("not in sync yet: {}", word(status.activity)))
                .next("see \"cairn status\", or wait longer"),
        );
    }
    // What was in sync when it was paused need not be any more.
    if status.activity == Activity::Paused {
        return Err(CliError::failed("syncing is paused").next("go on with \"cairn resume\""));
    }
    if status.in_sync {
        return Ok(());
    }
    let first = status.problems.first();
    let first = first.map(|problem| format!("{}: {}", problem.path, problem.message));
    let text = first.unwrap_or_else(|| state_word(status).to_owned());
    Err(CliError::failed(format!("not everything can be synced: {text}")).next("see \"cairn status\""))
}
