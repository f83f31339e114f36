//! Runs other programs: shown, captured, or asked whether they exist.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

use crate::say;

/// A command in `dir`, split at spaces; no argument of ours holds one.
///
/// It has no standard input, so that nothing can wait for an answer.
pub(crate) fn command(dir: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = program(dir, words.next().unwrap_or_default());
    command.args(words);
    command
}

/// A program in `dir`, without arguments and without standard input.
pub(crate) fn program(dir: &Path, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(dir).stdin(Stdio::null());
    for (key, _) in std::env::vars_os() {
        if is_of_this_package(&key) {
            command.env_remove(key);
        }
    }
    command
}

/// Whether `cargo run` set the variable for this program alone.
///
/// Build scripts that watch such a variable would otherwise run again each time one alternates between `cargo` and
/// `cargo xtask`.
fn is_of_this_package(key: &OsStr) -> bool {
    let key = key.to_string_lossy();
    key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") || key == "CARGO_BIN_NAME"
}

/// Whether the program runs at all; its output is dropped.
pub(crate) fn exists(dir: &Path, line: &str) -> bool {
    let status = command(dir, line)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Runs the command with its output shown and tells whether it succeeded.
pub(crate) fn succeeds(mut command: Command) -> Result<bool> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    Ok(status.success())
}

/// Runs the command and returns what it wrote to its standard output.
pub(crate) fn output(dir: &Path, line: &str) -> Result<String> {
    let output = command(dir, line)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!("`{line}` failed ({})", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` printed something that is not UTF-8"))
}

/// What a command wrote, both streams, and how it ended.
pub(crate) struct Transcript {
    pub(crate) success: bool,
    pub(crate) text: String,
}

/// Runs the command, shows both its streams line by line as they come, and keeps them.
pub(crate) fn watched(mut command: Command) -> Result<Transcript> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let stdout = child.stdout.take().context("the child has no stdout")?;
    let stderr = child.stderr.take().context("the child has no stderr")?;
    let errors = thread::spawn(move || shown(stderr));
    let mut text = shown(stdout);
    text.push_str(&errors.join().unwrap_or_default());
    let status = child.wait().context("cannot wait for the child")?;
    Ok(Transcript {
        success: status.success(),
        text,
    })
}

/// Prints a stream line by line and returns it whole. Tests may print what is not UTF-8.
fn shown(stream: impl Read) -> String {
    let mut text = String::new();
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        say(&line);
        text.push_str(&line);
        text.push('\n');
    }
    text
}
