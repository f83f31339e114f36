//! Everything that is printed passes here.

pub(crate) mod format;
pub(crate) mod progress;

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::error::{CliError, CliResult};

/// How a command speaks to its user.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    /// Results are JSON.
    pub(crate) json: bool,
    /// Nothing but results and errors is printed.
    pub(crate) quiet: bool,
    /// Colours may be used on stdout.
    pub(crate) color: bool,
    /// Somebody sits there and can be asked.
    pub(crate) is_interactive: bool,
    /// Somebody watches stderr.
    pub(crate) has_live_line: bool,
}

impl Ui {
    /// Looks at the terminal. `no_color` is the environment's wish, whatever its value (no-color.org).
    pub(crate) fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        let stderr = io::stderr().is_terminal();
        Self {
            json,
            quiet,
            color: !no_color && io::stdout().is_terminal(),
            is_interactive: io::stdin().is_terminal() && stderr,
            has_live_line: stderr && !quiet,
        }
    }

    /// Prints a line of the result.
    pub(crate) fn line(self, text: impl AsRef<str>) -> CliResult {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
        written.map_err(output_error)
    }

    /// Prints bytes of the result as they are.
    pub(crate) fn bytes(self, bytes: &[u8]) -> CliResult {
        let mut out = io::stdout().lock();
        out.write_all(bytes)
            .and_then(|()| out.flush())
            .map_err(output_error)
    }

    /// Prints a result as one line of JSON.
    pub(crate) fn json(self, value: &impl Serialize) -> CliResult {
        let text = serde_json::to_string(value)
            .map_err(|error| CliError::failed("the result cannot be printed").because(error))?;
        self.line(text)
    }

    /// Prints what the command did, as a line for people; nothing with `--quiet` or `--json`.
    pub(crate) fn done(self, text: impl AsRef<str>) -> CliResult {
        if self.quiet || self.json {
            Ok(())
        } else {
            self.line(text)
        }
    }

    /// Prints the result of a command that has nothing to show: a sentence, or an object with the same facts.
    pub(crate) fn outcome(self, text: impl AsRef<str>, value: &impl Serialize) -> CliResult {
        if self.json {
            self.json(value)
        } else {
            self.done(text)
        }
    }

    /// Says something about the work to whoever watches; never part of the result.
    pub(crate) fn note(self, text: impl AsRef<str>) {
        if !self.quiet {
            warn(text);
        }
    }

    /// Puts a word in red where colours are wanted.
    pub(crate) fn red(self, text: &str) -> String {
        if self.color {
            format!("\x1b[31m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// Asks a question that `y` agrees to.
    pub(crate) fn confirm(self, question: &str) -> CliResult<bool> {
        let failed = |source| CliError::failed("the answer cannot be read").because(source);
        let mut err = io::stderr().lock();
        write!(err, "{question} [y/N] ")
            .and_then(|()| err.flush())
            .map_err(failed)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(failed)?;
        Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
    }
}

/// Says something on stderr, whatever was asked for. That stderr is closed is nothing that could be said anywhere.
pub(crate) fn warn(text: impl AsRef<str>) {
    let _unheard = writeln!(io::stderr().lock(), "{}", text.as_ref());
}

fn output_error(source: io::Error) -> CliError {
    CliError::failed("cannot write the output").because(source)
}
