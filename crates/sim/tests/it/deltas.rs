//! Large files that are edited, so that chunks and pages travel as deltas, under all that can go wrong meanwhile.

use crate::support::{passes, size};

#[test]
fn edits_of_a_large_file_arrive_and_change_back_and_forth() {
    let outcome = passes(
        r#"device
        device
        1 +0 d0 new "" "large.bin" 3000000
        2 settled d0 patch "large.bin" false
        3 settled d1 append "large.bin" 70000
        4 settled d0 patch "large.bin" true
        5 settled d1 overwrite "large.bin" 2000000
        6 settled d0 save-by-rename "large.bin" 2500000
        7 settled d1 patch "large.bin" false"#,
    );
    assert_eq!(size(&outcome, "large.bin"), 2_500_000);
}

#[test]
fn deltas_survive_a_bad_network_and_crashes_of_both_sides() {
    let outcome = passes(
        r#"device
        device
        1 +0 d0 new "" "large.bin" 3000000
        2 settled ! network 0 100 100 100 100 200
        3 +0 ! network 1 100 100 100 100 200
        4 +0 d0 patch "large.bin" false
        5 +3000 d0 append "large.bin" 300000
        6 +100 ! server-crash 2000
        7 +4000 d0 patch "large.bin" false
        8 +300 ! kill-at-poll 0 40 1000
        9 +200 ! kill-at-call 1 30 1000
        10 +3000 ! network-mended 0
        11 +0 ! network-mended 1
        12 settled d1 patch "large.bin" false
        13 +500 ! power-loss 0 1000"#,
    );
    assert_eq!(size(&outcome, "large.bin"), 3_300_000);
}

#[test]
fn two_edits_of_a_large_file_at_once_are_both_kept() {
    let outcome = passes(
        r#"device
        device
        1 +0 d0 new "" "large.bin" 3000000
        2 settled d0 append "large.bin" 1000
        3 +0 d1 append "large.bin" 2000
        4 settled d0 patch "large.bin" false"#,
    );
    assert_eq!(outcome.tree.0.len(), 2, "{:?}", outcome.tree);
}
