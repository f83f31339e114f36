//! Counts the instructions of the core's hot loops, so that a change that makes one dearer is seen by whoever makes it.
//!
//! Seconds say what the machine was doing as well; instructions do not. valgrind's callgrind runs each loop of
//! `crates/core/benches/hot_loops.rs` twice, with so many rounds and with twice as many: the difference is what these
//! rounds cost, without the start of the program and the making of its data. What they may cost stands in
//! `bench/instructions.txt`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::command::{command, output};
use crate::counts::Counts;
use crate::debian::{self, Package};
use crate::{say, workspace};

/// What each loop costs.
const BUDGET: &str = "bench/instructions.txt";
/// Percent by which a count may leave its budget. Libraries choose their code by the processor, and hash maps their order
/// by chance.
const TOLERANCE: u64 = 4;

/// One loop and what a round of it may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Budget {
    name: String,
    rounds: u64,
    instructions: u64,
}

/// How a count stands to its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Within,
    Dearer,
    Cheaper,
}

/// Counts all loops and compares, or writes the budget anew.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let root = workspace::root()?;
    match arguments {
        [] => {
            let mut counts = Counts::default();
            let checked = check(&root, &mut counts);
            say(&counts.to_string());
            checked.map(|()| true)
        }
        ["--update"] => update(&root).map(|()| true),
        _ => bail!("instructions: takes --update or nothing"),
    }
}

/// Counts each loop as a test; one that became cheaper fails too, so that the budget keeps up with the code.
pub(crate) fn check(root: &Path, counts: &mut Counts) -> Result<()> {
    provide_valgrind(root)?;
    let (program, budgets) = (build(root)?, budgets(root)?);
    let mut wrong = Vec::new();
    for budget in &budgets {
        let found = count(root, &program, budget)?;
        let verdict = judge(found, budget.instructions);
        say(&format!(
            "{:<24} {found:>12} instructions a round, budget {:>12}",
            budget.name, budget.instructions
        ));
        match verdict {
            Verdict::Within => counts.passed += 1,
            Verdict::Dearer => wrong.push(format!("{} became dearer", budget.name)),
            Verdict::Cheaper => wrong.push(format!("{} became cheaper", budget.name)),
        }
    }
    counts.failed += wrong.len() as u64;
    ensure!(
        wrong.is_empty(),
        "{}; where that is meant, `cargo xtask instructions --update` writes it into {BUDGET}",
        wrong.join(", ")
    );
    Ok(())
}

fn judge(found: u64, budget: u64) -> Verdict {
    let room = budget * TOLERANCE / 100;
    if found > budget + room {
        Verdict::Dearer
    } else if found + room < budget {
        Verdict::Cheaper
    } else {
        Verdict::Within
    }
}

fn update(root: &Path) -> Result<()> {
    provide_valgrind(root)?;
    let program = build(root)?;
    let path = root.join(BUDGET);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {BUDGET}"))?;
    let mut written: String = text
        .lines()
        .filter(|line| line.starts_with('#'))
        .flat_map(|line| [line, "\n"])
        .collect();
    for budget in budgets(root)? {
        let found = count(root, &program, &budget)?;
        writeln!(written, "{:<24} {:>6} {found:>12}", budget.name, budget.rounds)?;
    }
    fs::write(&path, &written).with_context(|| format!("cannot write {BUDGET}"))?;
    say(&written);
    Ok(())
}

fn provide_valgrind(root: &Path) -> Result<()> {
    let valgrind = Package {
        name: "valgrind",
        probe: "valgrind --version",
    };
    debian::provide(root, &[valgrind], "counting instructions")
}

/// Builds the loops optimised and returns the program.
fn build(root: &Path) -> Result<PathBuf> {
    let line = "cargo bench --quiet -p cairn-core --bench hot_loops --no-run --message-format json";
    let messages = output(root, line)?;
    let found = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_it = message["target"]["name"] == "hot_loops";
        message["executable"]
            .as_str()
            .filter(|_| is_it)
            .map(PathBuf::from)
    });
    found.with_context(|| format!("`{line}` named no program"))
}

fn budgets(root: &Path) -> Result<Vec<Budget>> {
    let text = fs::read_to_string(root.join(BUDGET)).with_context(|| format!("cannot read {BUDGET}"))?;
    parse(&text)
}

/// Reads lines of a loop, its rounds and its instructions a round.
fn parse(text: &str) -> Result<Vec<Budget>> {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, rounds, instructions] = words.as_slice() else {
                bail!("{BUDGET}: `{line}` is not a loop, its rounds and its instructions");
            };
            let number = |word: &str| {
                word.parse()
                    .with_context(|| format!("{BUDGET}: {word} is no number"))
            };
            Ok(Budget {
                name: (*name).to_owned(),
                rounds: number(rounds)?,
                instructions: number(instructions)?,
            })
        })
        .collect()
}

/// What a round costs.
fn count(root: &Path, program: &Path, budget: &Budget) -> Result<u64> {
    let once = collected(root, program, &budget.name, budget.rounds)?;
    let twice = collected(root, program, &budget.name, 2 * budget.rounds)?;
    Ok(twice.saturating_sub(once) / budget.rounds.max(1))
}

/// Runs a loop under callgrind.
fn collected(root: &Path, program: &Path, name: &str, rounds: u64) -> Result<u64> {
    let mut run = command(root, "valgrind --tool=callgrind --callgrind-out-file=/dev/null");
    let done = run
        .arg(program)
        .arg(name)
        .arg(rounds.to_string())
        .output()
        .context("cannot start valgrind")?;
    let text = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "valgrind failed with {name}: {text}");
    total(&text).with_context(|| format!("valgrind counted nothing for {name}: {text}"))
}

/// Reads the line `==PID== Collected : N`.
fn total(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| Some(line.split_once("Collected :")?.1))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_read_and_its_mistakes_are_named() {
        let budgets = parse("# what it is\nchunker 4 100\n\nplan  2  7\n").unwrap();
        let names: Vec<_> = budgets.iter().map(|budget| budget.name.as_str()).collect();
        assert_eq!(names, ["chunker", "plan"]);
        assert_eq!((budgets[0].rounds, budgets[0].instructions), (4, 100));
        assert!(parse("chunker 4").unwrap_err().to_string().contains("chunker 4"));
        assert!(parse("chunker four 1").unwrap_err().to_string().contains("four"));
    }

    #[test]
    fn a_count_may_leave_its_budget_by_a_little_both_ways() {
        assert_eq!(judge(1_040, 1_000), Verdict::Within);
        assert_eq!(judge(1_041, 1_000), Verdict::Dearer);
        assert_eq!(judge(960, 1_000), Verdict::Within);
        assert_eq!(judge(959, 1_000), Verdict::Cheaper);
    }

    #[test]
    fn what_valgrind_prints_is_read() {
        let text = "==12== Events    : Ir\n==12== Collected : 27737691\n==12==\n";
        assert_eq!(total(text), Some(27_737_691));
        assert_eq!(total("==12== error"), None);
    }
}
