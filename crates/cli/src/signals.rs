//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::error::{CliError, CliResult};
use crate::ui;

/// Cancelled by the first Ctrl-C or SIGTERM; the second ends the process without waiting.
pub(crate) fn stop_token() -> CliResult<CancellationToken> {
    let failed = |source: std::io::Error| CliError::failed("cannot listen to signals").because(source);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let token = CancellationToken::new();
    let stop = token.clone();
    // Ends with the process: it is the process's own end that it waits for.
    drop(tokio::spawn(async move {
        for attempt in 0..2 {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if attempt == 0 {
                stop.cancel();
            }
        }
        ui::warn("cairn: ended without waiting");
        std::process::exit(130);
    }));
    Ok(token)
}
