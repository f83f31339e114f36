//! `cairn activity`: what the daemon did lately.

use cairn_client::control::{self, Reply, Request};
use cairn_core::time::Timestamp;

use crate::App;
use crate::error::{CliError, CliResult};
use crate::ui::format;

/// Options of `cairn activity`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How many lines at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 20)]
    limit: usize,
}

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    super::status::ask(app).await?;
    let request = Request::Activity { limit: args.limit };
    let Reply::Activity { entries } = control::ask(&app.home.control_socket(), &request).await? else {
        return Err(CliError::failed("the daemon gave another answer"));
    };
    if app.ui.json {
        return app.ui.json(&entries);
    }
    for entry in entries {
        let at = format::time(Timestamp::from_millis(entry.at_ms));
        app.ui.line(format!("{at}  {:<10}  {}", entry.what, entry.path))?;
    }
    Ok(())
}
