//! What the program says of its work, on stderr.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::error::{CliError, CliResult};
use crate::home;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs to stderr what `CAIRN_LOG` asks for (as `info` or `warn,cairn_server=debug`), else `default`.
pub(crate) fn start(default: &str, format: LogFormat) -> CliResult {
    let wanted = home::log_filter();
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(default))
        .map_err(|error| CliError::usage("CAIRN_LOG cannot be understood").because(error))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(!home::no_color() && is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| CliError::failed("cannot begin to log").because(error))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
