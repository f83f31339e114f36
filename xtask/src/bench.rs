//! Runs every bench there is.

use std::path::Path;

use anyhow::Result;

use crate::command::{command, succeeds};
use crate::say;
use crate::workspace::Workspace;

/// The comparison with other systems: it lives beside the repository, the product's commands for it lie within.
const COMPARISON: &str = "../shared/bench/bench.py";
const COMMANDS: &str = "bench/ours.json";

/// Runs the benches of all crates, then the comparison when it is set up; `arguments` go to the latter.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let workspace = Workspace::load()?;
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
    compare(&workspace.root, arguments)
}

fn compare(root: &Path, arguments: &[&str]) -> Result<bool> {
    for needed in [COMPARISON, COMMANDS] {
        if !root.join(needed).is_file() {
            say(&format!(
                "bench: {needed} does not exist, so there is no comparison with other systems"
            ));
            return Ok(true);
        }
    }
    if !succeeds(command(root, "cargo build --release --bin cairn"))? {
        say("bench: the release build failed");
        return Ok(false);
    }
    let mut comparison = command(
        root,
        &format!("python3 {COMPARISON} --ours {COMMANDS} --json target/comparison.json"),
    );
    // The last of two equal options wins, so an argument may replace the choice of systems.
    comparison.args(["--systems", "ours"]).args(arguments);
    succeeds(comparison)
}
