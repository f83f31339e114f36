//! What the program says of its work, on stderr.

use cairn_server::SPANS;
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

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

/// Where something of what the program says is written to.
pub(crate) type Lines = Box<dyn Layer<Registry> + Send + Sync>;

/// Logs to stderr what `CAIRN_LOG` asks for (as `info` or `warn,cairn_server=debug`), else `default`.
pub(crate) fn start(default: &str, format: LogFormat) -> CliResult {
    start_beside(default, format, None)
}

/// The same beside something else that listens.
pub(crate) fn start_beside(default: &str, format: LogFormat, other: Option<Lines>) -> CliResult {
    let wanted = home::log_filter();
    let wrong = |error: tracing_subscriber::filter::ParseError| {
        CliError::usage("CAIRN_LOG cannot be understood").because(error)
    };
    // Spans are for traces; lines say what they are about themselves.
    let no_spans = format!("{SPANS}=off").parse().map_err(wrong)?;
    let filter = EnvFilter::try_new(wanted.as_deref().unwrap_or(default)).map_err(wrong)?;
    let filter = filter.add_directive(no_spans);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines: Lines = match format {
        LogFormat::Text => lines
            .with_ansi(!home::no_color() && is_terminal())
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let mut all = vec![lines];
    all.extend(other);
    let started = tracing_subscriber::registry().with(all).try_init();
    started.map_err(|error| CliError::failed("cannot begin to log").because(error))
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stderr())
}
