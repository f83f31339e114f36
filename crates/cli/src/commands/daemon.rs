//! The process behind `cairn start`.

use std::path::PathBuf;

use crate::App;
use crate::daemon_link::Running;
use crate::error::{CliError, CliResult};
use crate::logging::{self, LogFormat};
use crate::signals;

/// Options of the process.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How lines of the log are written
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    // Away from the terminal that it was started from: its end is not ours.
    rustix::process::setsid().map_err(|error| {
        CliError::failed("cannot leave the terminal").because(std::io::Error::from(error))
    })?;
    logging::start("info", args.log_format)?;
    let profile = app.home.profile()?;
    let stop = signals::stop_token()?;
    let running = Running::open(app, profile, &args.folder).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "the daemon runs");
    let end = running.run(stop).await;
    tracing::info!("the daemon ended");
    end
}
