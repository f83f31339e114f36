//! Runs every bench there is: those of the crates, and the comparison with other systems.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{command, succeeds};
use crate::say;
use crate::workspace::Workspace;

/// Names the folder of the comparison, where no option does.
const COMPARISON: &str = "CAIRN_COMPARISON";
/// How the comparison runs the product: server, devices, and when they have nothing to do.
const COMMANDS: &str = "bench/ours.json";

/// What is to be run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments<'a> {
    comparison: Option<PathBuf>,
    is_comparison_alone: bool,
    /// For the comparison.
    rest: &'a [&'a str],
}

/// Runs the benches of all crates, then the comparison when there is one.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let arguments = parse(arguments)?;
    let workspace = Workspace::load()?;
    if !arguments.is_comparison_alone && !run_crates(&workspace)? {
        return Ok(false);
    }
    let named = arguments
        .comparison
        .or_else(|| std::env::var_os(COMPARISON).map(PathBuf::from));
    let Some(folder) = named else {
        say(&format!(
            "bench: no comparison with other systems: neither --comparison nor {COMPARISON} names its folder"
        ));
        return Ok(!arguments.is_comparison_alone);
    };
    compare(&workspace, &folder, arguments.rest)
}

fn parse<'a>(words: &'a [&'a str]) -> Result<Arguments<'a>> {
    let mut arguments = Arguments::default();
    let mut left = words;
    loop {
        left = match left {
            [] => return Ok(arguments),
            ["--", rest @ ..] => {
                arguments.rest = rest;
                return Ok(arguments);
            }
            ["--comparison", folder, rest @ ..] => {
                arguments.comparison = Some(PathBuf::from(folder));
                rest
            }
            ["--only-comparison", rest @ ..] => {
                arguments.is_comparison_alone = true;
                rest
            }
            [other, ..] => bail!("bench: `{other}` is no option; what is for the comparison follows `--`"),
        };
    }
}

fn run_crates(workspace: &Workspace) -> Result<bool> {
    if workspace
        .packages
        .iter()
        .all(|package| package.benches.is_empty())
    {
        say("bench: no crate has a bench");
    }
    for package in &workspace.packages {
        for bench in &package.benches {
            let line = format!("cargo bench -p {} --bench {bench}", package.name);
            say(&format!("\n== {line}"));
            if !succeeds(command(&workspace.root, &line))? {
                say(&format!("bench: `{line}` failed"));
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Runs the comparison with the release binary. It prints its tables itself.
fn compare(workspace: &Workspace, folder: &Path, arguments: &[&str]) -> Result<bool> {
    let program = folder.join("bench.py");
    if !program.is_file() {
        bail!("bench: {} does not exist", program.display());
    }
    // A relative one would be looked for in the folder of the workspace.
    let program = program.canonicalize().context("the comparison's path")?;
    if !succeeds(command(&workspace.root, "cargo build --release --bin cairn"))? {
        say("bench: the release build failed");
        return Ok(false);
    }
    let results = workspace.target.join("comparison.json");
    let mut comparison = command(&workspace.root, "python3");
    comparison
        .arg(program)
        .args(["--ours", COMMANDS, "--systems", "ours"])
        .arg("--json")
        .arg(results)
        .env("PATH", path_with(&workspace.target.join("release"))?);
    // The last of two equal options wins, so an argument may replace the choice of systems.
    comparison.args(arguments);
    succeeds(comparison)
}

/// `PATH` with a folder in front.
fn path_with(folder: &Path) -> Result<OsString> {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let all = std::iter::once(folder.to_path_buf()).chain(std::env::split_paths(&before));
    std::env::join_paths(all).context("the target folder cannot stand in PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_two_dashes_is_for_the_comparison() {
        let words = [
            "--only-comparison",
            "--comparison",
            "/bench",
            "--",
            "--work",
            "W3",
        ];
        let expected = Arguments {
            comparison: Some(PathBuf::from("/bench")),
            is_comparison_alone: true,
            rest: &["--work", "W3"],
        };
        assert_eq!(parse(&words).unwrap(), expected);
        assert_eq!(parse(&[]).unwrap(), Arguments::default());
    }

    #[test]
    fn what_is_no_option_is_refused() {
        assert!(parse(&["--work", "W3"]).is_err());
        assert!(parse(&["--comparison"]).is_err());
    }

    /// The comparison reads the file as JSON, at the path that is passed to it.
    #[test]
    fn the_commands_are_json() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let text = std::fs::read_to_string(root.join(COMMANDS)).unwrap();
        let commands: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(commands["server"][0], "cairn");
    }
}
