//! Bytes that change while times and size do not: a disk that lost what was not written out, a program that sets the times
//! back.

use cairn_sim::run::{Tracing, run};
use cairn_sim::script::Script;

/// Runs a script as it was found, under the seed that it names.
fn holds(text: &str) {
    let script: Script = text.parse().expect("a script of this file can be read");
    let outcome = run(&script, Tracing::End);
    if let Some(failure) = outcome.failure {
        panic!("{failure}\n{}\n{script}", outcome.lines.join("\n"));
    }
}

#[test]
fn a_file_that_a_loss_of_power_tore_under_its_old_times_is_read_again() {
    holds(
        r#"seed 10071
        device
        device fold no-exchange reuse unordered step=2000000000
        device
        1 +81 d2 new #53 "d2" 1389
        3 calls=0,13 d2 new #38 "notes.md" 1420
        5 +388 ! power-loss 2 481"#,
    );
}

#[test]
fn a_write_between_look_and_swap_with_its_times_set_back_becomes_a_copy() {
    holds(
        r#"seed 10614
        device no-links reuse
        device reuse step=1000000000
        2 +5 d0 new #15 "report (conflict).txt" 460
        13 +472 d0 slow-save #36 110 2 307
        15 +0 d1 patch #25 true"#,
    );
}

#[test]
fn a_rename_does_not_hide_a_write_that_set_the_times_back() {
    holds(
        r#"seed 20083
        device
        device
        1 +0 d1 new #13 "c" 10
        2 +75 d1 new #59 "été" 1491
        5 calls=0,23 d0 make-folder #12 "Folder"
        10 +0 d1 new #59 "Notes.md" 1773
        13 +1903 d1 hard-link #59 #6 "Été"
        14 +169 d1 twin #39 "A.txt" 1
        16 +21 d1 hard-link #15 #18 "C"
        17 calls=1,36 d0 hard-link #12 #8 "d1"
        21 +99 d1 patch #30 true
        23 +0 d1 move #2 #28"#,
    );
}
