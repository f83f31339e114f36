//! The project's own tasks, run as `cargo xtask <task>`.
//!
//! To add a task: a module with a `run` function, one arm in [`dispatch`], one line in [`USAGE`].
//! To add a check to what CI runs: one line in `test.rs`.

mod arrows;
mod bench;
mod clients;
mod command;
mod counts;
mod debian;
mod fuzz;
mod instructions;
mod mutants;
mod proof;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
usage: cargo xtask <task>

  test [--quick]        everything CI runs, in its order; stops at the first failure
                        --quick leaves out the end-to-end tests, the documentation and the optional tools
  tidy                  the rules about files that no compiler holds
  arrows                which crate may depend on which
  bench [--comparison DIR] [--only-comparison] [-- ARGS...]
                        every crate's benches, then the comparison with other systems that lies in DIR, else where
                        CAIRN_COMPARISON says; ARGS go to the comparison
  clients [NAME...]     clients that others wrote for Dropbox, against the program: python, javascript,
                        maestral, rclone
  fuzz [--seconds N] [TARGET...]
                        what reads bytes of others meets random ones, 60 s each; needs the nightly compiler
  instructions [--update]
                        what the core's hot loops cost, in instructions, beside what bench/instructions.txt allows
  mutants [NAME...]     applies the deliberate bugs of mutants/ one by one; each must be found
  proof NAME [ARGS...]  a proof of full size with the release binary; without NAME, the list of them
  sim ARGS...           the simulation, optimised: --seeds N [--from S], --minutes M, --jobs J;
                        --seed S or --script FILE, with --trace; a failure prints its seed and a minimal script
                        --ci: the fixed range and the one that belongs to this commit, not optimised";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match dispatch(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs one task and tells whether all was well; an error is a task that could not do its work.
fn dispatch(words: &[&str]) -> Result<bool> {
    match words {
        ["test"] => Ok(test::run(test::Extent::Full)),
        ["test", "--quick"] => Ok(test::run(test::Extent::Quick)),
        ["tidy"] => report("tidy", &tidy::check(&workspace::Workspace::load()?)?),
        ["arrows"] => report("arrows", &arrows::check(&workspace::Workspace::load()?)?),
        ["bench", arguments @ ..] => bench::run(arguments),
        ["clients", names @ ..] => clients::run(names),
        ["fuzz", arguments @ ..] => fuzz::run(arguments),
        ["instructions", arguments @ ..] => instructions::run(arguments),
        ["mutants", names @ ..] => mutants::run(names),
        ["proof", arguments @ ..] => proof::run(arguments),
        ["sim", "--ci"] => sim::run_ci(),
        ["sim", arguments @ ..] => sim::run(arguments),
        ["help" | "--help" | "-h"] => {
            say(USAGE);
            Ok(true)
        }
        _ => {
            say(USAGE);
            Ok(false)
        }
    }
}

/// Prints what a check found and tells whether it found nothing.
fn report(check: &str, findings: &[String]) -> Result<bool> {
    for finding in findings {
        say(finding);
    }
    if findings.is_empty() {
        say(&format!("{check}: ok"));
    }
    Ok(findings.is_empty())
}

/// Prints one line: the only place of this program that writes to the terminal.
#[expect(clippy::print_stdout, reason = "a task's output is its result")]
fn say(line: &str) {
    println!("{line}");
}
