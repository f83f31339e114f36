//! `cairn why`: the state of one path, its cause and the next step.

use std::path::{Path, PathBuf};

use cairn_client::control::{self, ControlError, Reply, Request};
use cairn_client::why::Explanation;
use serde_json::json;

use crate::App;
use crate::daemon_link::Running;
use crate::error::{CliError, CliResult};

/// Options of `cairn why`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A path on this disk, or one below the synced folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let profile = app.home.profile()?;
    let folder = profile
        .folder
        .clone()
        .ok_or_else(|| CliError::failed("no folder is synced here").next("begin with \"cairn start DIR\""))?;
    let path = below(&folder, &args.path);
    let request = Request::Why { path: path.clone() };
    let explanation = match control::ask(&app.home.control_socket(), &request).await {
        Ok(Reply::Why { explanation }) => explanation,
        Ok(_) => return Err(CliError::failed("the daemon gave another answer")),
        Err(ControlError::NotRunning { .. }) => {
            let running = Running::open(app, profile, &folder).await?;
            running.why(&path).await?
        }
        Err(error) => return Err(error.into()),
    };
    print(app, &explanation)
}

/// The path below the synced folder: what is typed may be absolute, relative to here, or below the folder already.
pub(super) fn below(folder: &Path, typed: &Path) -> String {
    let absolute = std::path::absolute(typed).unwrap_or_else(|_| typed.to_owned());
    let known = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let inside = [folder, known.as_path()]
        .into_iter()
        .find_map(|folder| absolute.strip_prefix(folder).ok());
    inside.unwrap_or(typed).to_string_lossy().into_owned()
}

fn print(app: &App, explanation: &Explanation) -> CliResult {
    if app.ui.json {
        return app.ui.json(&json!(explanation));
    }
    let mut lines = vec![match &explanation.code {
        None => format!("{}: in sync", explanation.path),
        Some(code) => format!("{}: {} ({code})", explanation.path, explanation.cause),
    }];
    lines.extend(explanation.notes.iter().map(|note| format!("  {note}")));
    lines.extend(explanation.next_step.iter().map(|step| format!("  Next: {step}")));
    app.ui.line(lines.join("\n"))
}
