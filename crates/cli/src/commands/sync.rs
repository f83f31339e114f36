//! `cairn sync`: keeps a folder in sync in the foreground.

use std::path::PathBuf;

use cairn_client::daemon::MassDeletePolicy;
use cairn_client::status::Status;

use crate::App;
use crate::commands::status::to_json;
use crate::daemon_link::{self, Running};
use crate::error::CliResult;
use crate::signals;
use crate::ui::format;

/// Problems that are listed for people; `--json` has them all.
const PROBLEMS_SHOWN: usize = 10;

/// Options of `cairn sync`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; made when it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Return when both sides agree
    #[arg(long)]
    once: bool,
    /// A held deletion of most files is meant
    #[arg(long)]
    release_deletes: bool,
    /// What to do from now on when most files vanish at once
    #[arg(long, value_enum)]
    on_mass_delete: Option<OnMassDelete>,
}

/// What to do when most files vanish at once.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum OnMassDelete {
    /// Hold the deletion until somebody says that it is meant
    Hold,
    /// Delete them on the server too
    Apply,
}

impl From<OnMassDelete> for MassDeletePolicy {
    fn from(choice: OnMassDelete) -> Self {
        match choice {
            OnMassDelete::Hold => Self::Hold,
            OnMassDelete::Apply => Self::Apply,
        }
    }
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let profile = app.home.profile()?;
    let stop = signals::stop_token()?;
    let running = Running::open(app, profile, &args.folder).await?;
    if let Some(choice) = args.on_mass_delete {
        running.set_mass_delete_policy(choice.into()).await?;
    }
    if args.release_deletes {
        running.release_deletes();
    }
    let status = running.status();
    if !args.once {
        app.ui.note(format!(
            "Keeping {} in sync; Ctrl-C ends it.",
            args.folder.display()
        ));
        return Box::pin(daemon_link::follow(app, status, running.run(stop))).await;
    }
    let end = Box::pin(daemon_link::show_while(app, status, running.once(stop))).await?;
    if app.ui.json {
        return app.ui.json(&to_json(&end));
    }
    note_what_stays_here(app, &end);
    let moved = format!(
        "{} up, {} down",
        format::bytes(end.upload.bytes_done),
        format::bytes(end.download.bytes_done)
    );
    app.ui.done(format!(
        "Up to date: {}, {moved}.",
        format::count(end.local_nodes, "item")
    ))
}

/// Names what cannot travel: "up to date" alone would hide it.
fn note_what_stays_here(app: &App, status: &Status) {
    for problem in status.problems.iter().take(PROBLEMS_SHOWN) {
        app.ui.note(format!(
            "Stays on this device: {}: {}",
            problem.path, problem.message
        ));
    }
    if status.problems.len() > PROBLEMS_SHOWN {
        let more = status.problems.len() - PROBLEMS_SHOWN;
        app.ui
            .note(format!("... and {more} more; see \"cairn sync --once --json\""));
    }
}
