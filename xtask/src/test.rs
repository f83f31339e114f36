//! What CI runs: every check in a fixed order, up to the first that fails.

use std::fmt;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::command::{command, exists, succeeds, watched};
use crate::counts::{self, Counts};
use crate::workspace::{self, Workspace};
use crate::{arrows, clients, instructions, report, say, sim, tidy};

/// How much of the run is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What CI runs.
    Full,
    /// Without the end-to-end tests, the documentation and the optional tools: for between two edits.
    Quick,
}

/// A check that did not pass; the run ends here.
struct Failed {
    check: &'static str,
    why: anyhow::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "xtask: stopped at `{}`: {:#}", self.check, self.why)
    }
}

/// Runs the checks, ends with the line `N passed, N failed, N skipped`, and tells whether all was well.
///
/// The numbers are of tests. A check that is not a test and fails counts as one failure, so that no failed run ends in
/// `0 failed`.
pub(crate) fn run(extent: Extent) -> bool {
    let mut counts = Counts::default();
    let outcome = checks(extent, &mut counts);
    if let Err(failed) = &outcome {
        counts.failed = counts.failed.max(1);
        say(&format!("\n{failed}"));
    }
    say(&counts.to_string());
    outcome.is_ok()
}

fn checks(extent: Extent, counts: &mut Counts) -> Result<(), Failed> {
    let root = check("workspace", workspace::root)?;
    let cargo = |line: &'static str| {
        let root = root.clone();
        move || passes(&root, line)
    };
    check("tools", || required_tools(&root))?;
    check("fmt", cargo("cargo fmt --all --check"))?;
    check("tidy", || found_nothing("tidy", tidy::check))?;
    check("arrows", || found_nothing("arrows", arrows::check))?;
    check(
        "clippy",
        cargo("cargo clippy --workspace --all-targets -- -D warnings"),
    )?;
    // The end-to-end tests start the real binary; a test build alone does not make it.
    check("build", cargo("cargo build --workspace --bins"))?;
    check("tests", || tests(&root, extent, counts))?;
    if extent == Extent::Quick {
        say(
            "xtask: --quick left out the end-to-end tests, the simulation, clients of others, instructions, doc tests, documentation, cargo-deny and cargo-machete",
        );
        return Ok(());
    }
    check("simulation", || sim::check(&root, counts))?;
    check("clients", || clients::check(counts))?;
    check("instructions", || instructions::check(&root, counts))?;
    check("doc tests", || doc_tests(&root, counts))?;
    check("doc", || documentation(&root))?;
    optional(
        &root,
        "cargo-deny",
        "licences, advisories and sources",
        "cargo deny check",
    )?;
    optional(&root, "cargo-machete", "unused dependencies", "cargo machete")
}

/// Announces a check, runs it, and says how long it took.
#[expect(
    clippy::disallowed_methods,
    reason = "the time a check took is shown to a person and decides nothing"
)]
fn check<T>(name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T, Failed> {
    say(&format!("\n== {name}"));
    let start = Instant::now();
    let done = work().map_err(|why| Failed { check: name, why })?;
    say(&format!(
        "== {name} passed in {:.1} s",
        start.elapsed().as_secs_f64()
    ));
    Ok(done)
}

fn passes(root: &Path, line: &str) -> Result<()> {
    ensure!(
        succeeds(command(root, line))?,
        "`{line}` found something, see above"
    );
    Ok(())
}

fn found_nothing(name: &str, look: impl FnOnce(&Workspace) -> Result<Vec<String>>) -> Result<()> {
    let findings = look(&Workspace::load()?)?;
    ensure!(
        report(name, &findings)?,
        "{} of its rules are broken, see above",
        findings.len()
    );
    Ok(())
}

/// Names what is missing before a build fails on it in a less readable way.
fn required_tools(root: &Path) -> Result<()> {
    if !exists(root, "cc --version") {
        bail!(
            "there is no C compiler, which SQLite and zstd are built with: apt-get install build-essential"
        );
    }
    if !exists(root, "cargo fmt --version") || !exists(root, "cargo clippy --version") {
        bail!("rustfmt or clippy is missing: rustup component add rustfmt clippy");
    }
    Ok(())
}

/// Unit, property, conformance, service and end-to-end tests.
fn tests(root: &Path, extent: Extent, counts: &mut Counts) -> Result<()> {
    let without = match extent {
        Extent::Full => "",
        Extent::Quick => " --exclude cairn-testkit",
    };
    let nextest = exists(root, "cargo nextest --version");
    let (line, read): (_, fn(&str) -> Option<Counts>) = if nextest {
        say("tests: run by cargo-nextest");
        (
            format!("cargo nextest run --workspace --profile ci{without}"),
            counts::of_nextest,
        )
    } else {
        say(
            "tests: run by cargo test; `cargo install --locked cargo-nextest` brings time limits and a faster run",
        );
        (
            format!("cargo test --workspace --lib --bins --tests --no-fail-fast{without}"),
            counts::of_cargo_test,
        )
    };
    let ran = counted(root, &line, read)?;
    *counts += ran.counts;
    ensure!(
        ran.success && ran.counts.failed == 0,
        "`{line}` failed ({})",
        ran.counts
    );
    ensure!(ran.counts.run() > 0, "`{line}` ran no test at all");
    Ok(())
}

/// The examples in doc comments, which cargo-nextest does not run.
fn doc_tests(root: &Path, counts: &mut Counts) -> Result<()> {
    let line = "cargo test --workspace --doc --no-fail-fast";
    let ran = counted(root, line, counts::of_cargo_test)?;
    *counts += ran.counts;
    ensure!(ran.success, "`{line}` failed ({})", ran.counts);
    Ok(())
}

/// How a test runner ended and what it counted.
struct Ran {
    success: bool,
    counts: Counts,
}

fn counted(root: &Path, line: &str, read: fn(&str) -> Option<Counts>) -> Result<Ran> {
    let mut command = command(root, line);
    // Colour codes inside the closing line would hide the numbers.
    command.env("CARGO_TERM_COLOR", "never");
    let transcript = watched(command)?;
    match read(&transcript.text) {
        Some(counts) => Ok(Ran {
            success: transcript.success,
            counts,
        }),
        None => bail!("`{line}` ended without a count of tests, see above"),
    }
}

fn documentation(root: &Path) -> Result<()> {
    let line = "cargo doc --workspace --no-deps --document-private-items";
    let mut command = command(root, line);
    command.env("RUSTDOCFLAGS", "-D warnings");
    ensure!(succeeds(command)?, "`{line}` warns, see above");
    Ok(())
}

/// Runs a tool that takes minutes to install, or says that it is not there and what was not checked.
fn optional(root: &Path, tool: &'static str, checks: &str, line: &str) -> Result<(), Failed> {
    if exists(root, &format!("{tool} --version")) {
        return check(tool, || passes(root, line));
    }
    say(&format!(
        "\n== {tool} is not installed: {checks} are NOT checked; `cargo install --locked {tool}` brings it"
    ));
    Ok(())
}
