//! `cairn verify`: compares this disk with the server.

use std::path::PathBuf;

use cairn_client::control::{self, ControlError, Reply, Request};
use cairn_client::verify::VerifyReport;
use serde_json::json;

use crate::App;
use crate::daemon_link::Running;
use crate::error::{CliError, CliResult};
use crate::ui::format;

/// Options of `cairn verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder [default: all of it]
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// Believe what was read before; do not read the files again
    #[arg(long)]
    quick: bool,
}

/// Paths that are listed for people; `--json` has more.
const PATHS_SHOWN: usize = 20;

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let profile = app.home.profile()?;
    let synced = profile
        .folder
        .clone()
        .ok_or_else(|| CliError::failed("no folder is synced here").next("begin with \"cairn start DIR\""))?;
    let folder = args
        .path
        .map(|path| super::why::below(&synced, &path))
        .unwrap_or_default();
    let request = Request::Verify {
        folder: folder.clone(),
        quick: args.quick,
    };
    let report = match control::ask(&app.home.control_socket(), &request).await {
        Ok(Reply::Verified { report }) => report,
        Ok(_) => return Err(CliError::failed("the daemon gave another answer")),
        Err(ControlError::NotRunning { .. }) => {
            let running = Running::open(app, profile, &synced).await?;
            running.verify(&folder, args.quick).await?
        }
        Err(error) => return Err(error.into()),
    };
    print(app, &report)?;
    if report.difference_count == 0 {
        return Ok(());
    }
    Err(CliError::refused(format!(
        "{} between this disk and the server",
        format::count(report.difference_count, "difference")
    ))
    .next("touch a file that is right here, so that it is sent; replace one that is wrong by \"cairn get\""))
}

fn print(app: &App, report: &VerifyReport) -> CliResult {
    if app.ui.json {
        return app.ui.json(&json!(report));
    }
    let mut lines = Vec::new();
    for difference in report.differences.iter().take(PATHS_SHOWN) {
        let silent = if difference.is_silent {
            " (its bytes changed, its times and size did not)"
        } else {
            ""
        };
        lines.push(format!("differs  {}{silent}", difference.path));
        lines.push(format!("  here   {}", difference.here));
        lines.push(format!("  there  {}", difference.there));
    }
    for (path, code) in report.pending.iter().take(PATHS_SHOWN) {
        lines.push(format!("pending  {path} ({code})"));
    }
    for path in report.ignored.iter().take(PATHS_SHOWN) {
        lines.push(format!("ignored  {path}"));
    }
    let counts = format!(
        "{}, {}, {}, hash {}",
        format::count(report.files, "file"),
        format::count(report.folders, "folder"),
        format::bytes(report.bytes),
        report.hash
    );
    lines.push(if report.is_identical() {
        format!("identical: {counts}")
    } else {
        format!(
            "{} differ, {} pending: {counts}",
            report.difference_count, report.pending_count
        )
    });
    app.ui.line(lines.join("\n"))
}
