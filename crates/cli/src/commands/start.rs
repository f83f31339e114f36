//! `cairn start`: a daemon in the background.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use cairn_client::control::{self, ControlError, Reply, Request};
use cairn_client::status::{Activity, Status};
use serde_json::json;
use tokio::time::Instant;

use crate::App;
use crate::error::{CliError, CliResult, Exit};

/// Options of `cairn start`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder [default: the one of the last start]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// How long a daemon may take until it answers: a damaged state may have to be checked first.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);
/// A log that is longer is set aside before a start.
const LOG_BYTES: u64 = 10 * 1024 * 1024;
/// How much of the log's end is looked at for the reason of a failure.
const LOG_END_BYTES: u64 = 4096;

pub(crate) async fn run(app: &App, args: Args) -> CliResult {
    let profile = app.home.profile()?;
    let folder = args
        .folder
        .or(profile.folder)
        .ok_or_else(|| CliError::usage("the folder is not said").next("name it: \"cairn start DIR\""))?;
    let folder = std::path::absolute(&folder).map_err(|error| CliError::io("find", &folder, error))?;
    let socket = app.home.control_socket();
    match control::ask(&socket, &Request::Status).await {
        Err(ControlError::NotRunning { .. }) => {}
        Ok(_) => return Err(ControlError::AlreadyRunning { path: socket }.into()),
        Err(error) => return Err(error.into()),
    }
    let log = app.home.log_file();
    let (child, log_begin) = spawn(&folder, &log)?;
    let id = child.id();
    let status = wait_until_it_answers(&socket, child, &log, log_begin).await?;
    let is_paused = status.activity == Activity::Paused;
    let (state, next) = if is_paused {
        (
            "will be kept in sync, and is paused still",
            "Go on with \"cairn resume\".",
        )
    } else {
        ("is kept in sync", "See \"cairn status\".")
    };
    let text = format!("{} {state} (process {id}). {next}", folder.display());
    let json = json!({ "folder": folder, "process": id, "log": log, "paused": is_paused });
    app.ui.outcome(text, &json)
}

/// Starts this same program as a daemon with its output in the log.
fn spawn(folder: &Path, log: &Path) -> CliResult<(Child, u64)> {
    let log_error = |error| CliError::io("open the log", log, error);
    if std::fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_BYTES) {
        std::fs::rename(log, log.with_extension("log.old")).map_err(log_error)?;
    }
    let mut options = File::options();
    options.create(true).append(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let output = options.open(log).map_err(log_error)?;
    let begin = output.metadata().map_err(log_error)?.len();
    let errors = output.try_clone().map_err(log_error)?;
    let program = std::env::current_exe()
        .map_err(|error| CliError::failed("this program's own file is unknown").because(error))?;
    let child = std::process::Command::new(&program)
        .arg("--quiet")
        .arg("daemon")
        .arg("--")
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| CliError::io("start", &program, error))?;
    Ok((child, begin))
}

async fn wait_until_it_answers(
    socket: &Path,
    mut child: Child,
    log: &Path,
    log_begin: u64,
) -> CliResult<Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Ok(Reply::Status { status }) = control::ask(socket, &Request::Status).await {
            return Ok(status);
        }
        let ended = child
            .try_wait()
            .map_err(|error| CliError::failed("the daemon is lost").because(error))?;
        if let Some(status) = ended {
            let exit = exit_of(status.code());
            return Err(match last_line(log, log_begin) {
                Some(line) => CliError::new(exit, format!("the daemon did not start: {line}")),
                None => {
                    CliError::new(exit, "the daemon ended at once").next(format!("see {}", log.display()))
                }
            });
        }
        if Instant::now() > deadline {
            return Err(CliError::new(Exit::NotRunning, "the daemon does not answer")
                .next(format!("see {}", log.display())));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// The exit code that the same failure has in the foreground.
const fn exit_of(code: Option<i32>) -> Exit {
    match code {
        Some(2) => Exit::Usage,
        Some(3) => Exit::NotLinked,
        Some(4) => Exit::NotRunning,
        Some(5) => Exit::Refused,
        Some(6) => Exit::Network,
        _ => Exit::Failed,
    }
}

/// The last line that the daemon wrote since it was started, without the program's name.
fn last_line(log: &Path, begin: u64) -> Option<String> {
    let mut file = File::open(log).ok()?;
    let end = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(begin.max(end.saturating_sub(LOG_END_BYTES))))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(LOG_END_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    Some(line.trim_start_matches("cairn: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_line_since_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "cairn: an old failure\n").unwrap();
        let begin = 22;
        assert_eq!(last_line(&log, begin), None);
        std::fs::write(
            &log,
            "cairn: an old failure\nINFO begins\ncairn: no space left\n\n",
        )
        .unwrap();
        assert_eq!(last_line(&log, begin).as_deref(), Some("no space left"));
    }
}
