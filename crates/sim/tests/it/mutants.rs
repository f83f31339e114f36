//! What some deliberate bug would break and no other script shows: races and cuts that have to be met to the call.

use crate::support::{passes, paths, size};

#[test]
fn a_write_in_the_last_moment_is_kept() {
    for calls in (1..40).step_by(2) {
        passes(&format!(
            r#"
            device
            device
            0 +0 d0 new "" "a.txt" 100
            1 settled d0 overwrite "a.txt" 200
            2 calls=1,{calls} d1 overwrite "a.txt" 300
            "#
        ));
    }
}

#[test]
fn what_gives_way_in_a_conflict_outlasts_a_kill() {
    for calls in (2..60).step_by(3) {
        passes(&format!(
            r#"
            device
            device
            0 +0 d0 new "" "a.txt" 100
            1 settled ! partition 1
            2 +0 d0 overwrite "a.txt" 200
            3 +0 d1 overwrite "a.txt" 300
            4 +5000 ! kill-at-call 1 {calls} 500
            5 +0 ! network-mended 1
            "#
        ));
    }
}

#[test]
fn what_was_placed_outlasts_the_power() {
    let outcome = passes(
        r#"
        turns
        device
        device unordered
        0 +0 d0 new "" "a.txt" 150000
        1 +0 d0 make-folder "" "d"
        2 +0 d0 new "d" "b.txt" 2000
        3 +0 d0 new "d" "c.txt" 70000
        4 settled ! power-loss 1 1000
        5 settled d0 overwrite "d/b.txt" 3000
        6 settled ! power-loss 1 1000
        "#,
    );
    assert_eq!(paths(&outcome), ["a.txt", "d", "d/b.txt", "d/c.txt"]);
    assert_eq!(
        (
            size(&outcome, "a.txt"),
            size(&outcome, "d/b.txt"),
            size(&outcome, "d/c.txt")
        ),
        (150_000, 3_000, 70_000)
    );
    assert_eq!(outcome.journal_entries, 5);
}

#[test]
fn a_restored_device_deletes_nothing_that_it_misses() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 new "" "early.txt" 100
        1 settled ! state-copy 0
        2 +0 d1 new "" "late.txt" 100
        3 settled ! stop 0
        4 +0 d0 remove "early.txt"
        5 +0 ! state-restore 0
        "#,
    );
    assert_eq!(paths(&outcome), ["early.txt", "late.txt"]);
}
