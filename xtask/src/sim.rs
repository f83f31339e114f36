//! Runs the simulation: whole devices and a server in one thread, under seeds.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command::{command, succeeds, watched};
use crate::counts::Counts;
use crate::{say, workspace};

/// Seeds that every run of the tests repeats.
const FIXED: u64 = 200;
/// Seeds beside these, others for each commit.
const FRESH: u64 = 200;
/// Fresh seeds begin beyond those that people name.
const FRESH_FROM: u64 = 1_000_000;
/// How many different ranges there are.
const RANGES: u64 = 1 << 32;

/// Builds the simulation optimised and runs it with these arguments.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let root = workspace::root()?;
    let mut sim = command(&root, "cargo run --release --quiet -p cairn-sim --bin sim --");
    sim.args(arguments);
    succeeds(sim)
}

/// Runs the seeds that belong to this commit, and tells whether all was well.
pub(crate) fn run_ci() -> Result<bool> {
    let mut counts = Counts::default();
    let checked = check(&workspace::root()?, &mut counts);
    say(&counts.to_string());
    checked.map(|()| true)
}

/// Runs a fixed range of seeds and one that follows from the commit, so that a run can be made again and no two commits
/// see the same. Counts seeds as tests.
fn check(root: &Path, counts: &mut Counts) -> Result<()> {
    let fresh = FRESH_FROM + commit_number(root) % RANGES * FRESH;
    for (from, seeds) in [(0, FIXED), (fresh, FRESH)] {
        say(&format!(
            "simulation: seeds {from} to {}; again with `cargo xtask sim --from {from} --seeds {seeds}`",
            from + seeds - 1
        ));
        let line = format!("cargo run --quiet -p cairn-sim --bin sim -- --from {from} --seeds {seeds}");
        let ran = watched(command(root, &line))?;
        let found = counted(&ran.text).with_context(|| format!("`{line}` ended without a count of seeds"))?;
        *counts += found;
        ensure!(
            ran.success && found.failed == 0,
            "`{line}` failed ({found}), see above"
        );
    }
    say(&format!("simulation: {} seeds", FIXED + FRESH));
    Ok(())
}

/// A number that is another for each commit; 0 where there is no repository.
fn commit_number(root: &Path) -> u64 {
    let commit = crate::command::output(root, "git rev-parse HEAD").unwrap_or_default();
    let digits = commit.get(..12).unwrap_or_default();
    u64::from_str_radix(digits, 16).unwrap_or_default()
}

/// Reads the closing line `simulation: N seeds, N failed`.
fn counted(text: &str) -> Option<Counts> {
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("simulation: "))?;
    let (seeds, failed) = line.split_once(" seeds, ")?;
    let seeds: u64 = seeds.parse().ok()?;
    let failed: u64 = failed.strip_suffix(" failed")?.parse().ok()?;
    Some(Counts {
        passed: seeds.checked_sub(failed)?,
        failed,
        skipped: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_counts_seeds() {
        let text = "simulation: seeds 0 to 9\n10 seeds, 1 failed, 3 s\nsimulation: 10 seeds, 1 failed\n";
        assert_eq!(
            counted(text),
            Some(Counts {
                passed: 9,
                failed: 1,
                skipped: 0
            })
        );
        assert_eq!(counted("simulation: broke"), None);
    }
}
