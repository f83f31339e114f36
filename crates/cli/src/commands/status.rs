//! `cairn status`: what the daemon is doing.

use std::time::Duration;

use cairn_client::control::{self, ControlError, Reply, Request};
use cairn_client::remote::limited::Rates;
use cairn_client::status::{Activity, Status, Transfer};
use serde_json::{Value, json};

use super::limit;
use crate::App;
use crate::daemon_link::word;
use crate::error::{CliError, CliResult};
use crate::ui::format;
use crate::wiping;

/// Options of `cairn status`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print it again whenever it changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
}

/// Problems that are listed for people; `--json` has them all.
const PROBLEMS_SHOWN: usize = 10;
const WATCH_EVERY: Duration = Duration::from_millis(500);

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let mut before = None;
    loop {
        let status = ask(app).await?;
        let limits = limits(app).await?;
        if before.as_ref() != Some(&status) {
            print(app, &status, limits)?;
        }
        if !args.watch {
            return Ok(());
        }
        before = Some(status);
        tokio::time::sleep(WATCH_EVERY).await;
    }
}

/// Asks the daemon. Without one, says first whether the device is linked at all.
pub(crate) async fn ask(app: &App) -> CliResult<Status> {
    match control::ask(&app.home.control_socket(), &Request::Status).await {
        Ok(Reply::Status { status }) => Ok(status),
        Ok(_) => {
            Err(CliError::failed("the daemon gave another answer")
                .next("run \"cairn stop\" and start it anew"))
        }
        Err(error @ ControlError::NotRunning { .. }) => {
            app.home.profile()?;
            if wiping::is_begun(app.home.path())? {
                return Err(wiping::under_way());
            }
            Err(error.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// The limits of the daemon.
async fn limits(app: &App) -> CliResult<Rates> {
    match control::ask(&app.home.control_socket(), &Request::Limit { rates: None }).await {
        Ok(Reply::Limits { rates }) => Ok(rates),
        // It tells none.
        Ok(_) | Err(ControlError::Refused { .. }) => Ok(Rates::default()),
        Err(error) => Err(error.into()),
    }
}

/// The state as `--json` shows it.
pub(crate) fn to_json(status: &Status) -> Value {
    json!(status)
}

/// The state in one word, as it is shown everywhere.
pub(crate) fn state_word(status: &Status) -> &'static str {
    match status.activity {
        Activity::Idle if status.in_sync => "up to date",
        other => word(other),
    }
}

fn print(app: &App, status: &Status, limits: Rates) -> CliResult {
    if app.ui.json {
        let mut shown = to_json(status);
        shown["limits"] = json!(limits);
        return app.ui.json(&shown);
    }
    let mut lines = vec![
        format!("Status   {}", state_word(status)),
        format!("Folder   {}", status.folder),
        format!("Server   {}", status.server),
        format!(
            "Items    {} here, {} on the server",
            status.local_nodes, status.remote_nodes
        ),
    ];
    if status.pending > 0 {
        lines.push(format!("Pending  {}", format::count(status.pending, "item")));
    }
    if status.ignored > 0 {
        lines.push(format!("Ignored  {}", format::count(status.ignored, "item")));
    }
    lines.extend(transfer_line("Sending ", &status.upload));
    lines.extend(transfer_line("Fetching", &status.download));
    if limits != Rates::default() {
        lines.push(format!("Limits   {}", limit::shown(limits)));
    }
    let errors = format!("Problems {}", status.problems.len());
    lines.push(if status.problems.is_empty() {
        errors
    } else {
        app.ui.red(&errors)
    });
    for problem in status.problems.iter().take(PROBLEMS_SHOWN) {
        let path = if problem.path.is_empty() {
            "."
        } else {
            &problem.path
        };
        lines.push(format!("  {path}: {}", problem.message));
    }
    if status.problems.len() > PROBLEMS_SHOWN {
        lines.push(format!(
            "  and {} more: see \"cairn status --json\"",
            status.problems.len() - PROBLEMS_SHOWN
        ));
    }
    app.ui.line(lines.join("\n"))
}

fn transfer_line(label: &str, transfer: &Transfer) -> Option<String> {
    let Transfer {
        bytes_done,
        bytes_total,
        files_done,
        files_total,
    } = transfer;
    (files_done < files_total).then(|| {
        let bytes = format!("{} / {}", format::bytes(*bytes_done), format::bytes(*bytes_total));
        format!("{label} {bytes}, {files_done} of {files_total} files")
    })
}
