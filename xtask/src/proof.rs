//! Runs a proof of full size: real processes, real files, gigabytes and minutes.

use anyhow::Result;

use crate::command::{command, succeeds};
use crate::{say, workspace};

/// Builds the optimised program, then runs the proof that `arguments` name.
pub(crate) fn run(arguments: &[&str]) -> Result<bool> {
    let root = workspace::root()?;
    // The proof starts the real binary; building the proof alone does not make it.
    if !succeeds(command(&root, "cargo build --release --bin cairn"))? {
        say("proof: the release build failed");
        return Ok(false);
    }
    let mut proof = command(
        &root,
        "cargo run --release --quiet -p cairn-testkit --bin proof --",
    );
    proof.args(arguments);
    succeeds(proof)
}
