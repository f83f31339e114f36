//! Scripts that must pass.

use cairn_sim::run::{Outcome, Tracing, run};
use cairn_sim::script::Script;
use cairn_sim::tree::Item;

/// Runs a script under a few seeds; all invariants must hold. Returns what the last run came to.
pub(crate) fn passes(text: &str) -> Outcome {
    let mut last = Outcome::default();
    for seed in 1..=4 {
        let mut script: Script = text.parse().expect("a script of this file can be read");
        script.seed = seed;
        last = run(&script, Tracing::End);
        if let Some(failure) = &last.failure {
            panic!("{failure}\nseed {seed}\n{}\n{script}", last.lines.join("\n"));
        }
    }
    last
}

/// Runs a script as it was found, under the seed that it names.
pub(crate) fn holds(text: &str) {
    let script: Script = text.parse().expect("a script of this file can be read");
    let outcome = run(&script, Tracing::End);
    if let Some(failure) = outcome.failure {
        panic!("{failure}\n{}\n{script}", outcome.lines.join("\n"));
    }
}

/// All paths at the end.
pub(crate) fn paths(outcome: &Outcome) -> Vec<&str> {
    outcome.tree.0.keys().map(String::as_str).collect()
}

/// The length of a file at the end.
pub(crate) fn size(outcome: &Outcome, path: &str) -> u64 {
    match outcome.tree.0.get(path) {
        Some(Item::File { size, .. }) => *size,
        other => panic!("{path:?} is {other:?}, no file"),
    }
}
