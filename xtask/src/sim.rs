//! Runs the simulation: whole devices and a server in one thread, under seeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::command::{command, succeeds, watched};
use crate::counts::Counts;
use crate::{say, workspace};

/// Seeds that every run of the tests repeats.
const FIXED: u64 = 400;
/// Seeds that are known to fail.
const OPEN: &str = "crates/sim/open-seeds.txt";
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

/// Runs a fixed range of seeds, and one that follows from the commit, so that a run can be made again and no two commits
/// see the same. Counts seeds as tests.
///
/// Seeds that are known to fail stand in `crates/sim/open-seeds.txt`, with what they show, and are left out of the fixed
/// range. While there are any, a fresh range would fail for the same reasons, and is not run.
pub(crate) fn check(root: &Path, counts: &mut Counts) -> Result<()> {
    let open = open_seeds(root)?;
    let mut ranges = between(&open, FIXED);
    if open.is_empty() {
        ranges.push((FRESH_FROM + commit_number(root) % RANGES * FRESH, FRESH));
    } else {
        say(&format!(
            "simulation: {} seeds are open ({OPEN}), and no fresh ones are run until they are not",
            open.len()
        ));
    }
    for (from, seeds) in ranges {
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
    Ok(())
}

/// Reads the seeds that are known to fail: the first word of each line that is no comment.
fn open_seeds(root: &Path) -> Result<Vec<u64>> {
    let text = fs::read_to_string(root.join(OPEN)).with_context(|| format!("cannot read {OPEN}"))?;
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    let seeds: Result<BTreeSet<u64>> = lines
        .map(|line| {
            let word = line.split_whitespace().next().unwrap_or_default();
            word.parse().with_context(|| format!("{OPEN}: {word} is no seed"))
        })
        .collect();
    Ok(seeds?.into_iter().collect())
}

/// The seeds from 0 to `end` in ranges (first, count) without those that are left out, which are in order.
fn between(left_out: &[u64], end: u64) -> Vec<(u64, u64)> {
    let mut ranges = Vec::new();
    let mut from = 0;
    for &seed in left_out.iter().filter(|&&seed| seed < end).chain([&end]) {
        if seed > from {
            ranges.push((from, seed - from));
        }
        from = seed + 1;
    }
    ranges
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
    fn what_is_left_out_splits_a_range() {
        assert_eq!(between(&[], 10), [(0, 10)]);
        assert_eq!(between(&[0, 4, 9, 12], 10), [(1, 3), (5, 4)]);
    }

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
