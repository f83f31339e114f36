//! Bytes that change while times and size do not: a disk that lost what was not written out, a program that sets the times
//! back.

use crate::support::{holds, passes, paths};

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

#[test]
fn a_write_right_after_a_file_was_placed_is_found_by_its_bytes() {
    holds(
        r#"seed 502463
        device
        device no-exchange reuse unordered step=1000000000
        device
        5 +0 d2 new #43 "Notes.md" 1591
        6 +171 d2 new #29 ".hidden" 27
        7 calls=0,47 d0 patch #36 true"#,
    );
}

#[test]
fn a_write_right_after_a_rename_from_the_server_is_found_by_its_bytes() {
    holds(
        r#"seed 502374
        device
        device no-exec reuse step=1000000000
        11 +33 d0 new #21 "Folder" 635
        20 +115 d0 rename #11 "trailing. "
        24 calls=1,23 d1 patch #0 true"#,
    );
}

#[test]
fn a_write_right_after_a_replacement_is_found_by_its_bytes() {
    holds(
        r#"seed 501462
        device nfd no-exchange unordered
        device
        5 +0 d1 new #29 "notes.md" 1683
        14 +2214 d1 remove #43
        15 +118 d0 save-by-rename #46 585
        17 calls=1,14 ! disk-error 1 15 6
        24 +0 d1 patch #58 true"#,
    );
}

#[test]
fn what_is_written_to_another_name_of_a_removed_file_is_no_copy() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d1 new "" "a" 300
        1 settled d1 hard-link "a" "" "b"
        2 settled d0 remove "a"
        3 settled d1 append "b" 100
        4 +0 ! clock-jump 1 -3600000
        "#,
    );
    assert_eq!(paths(&outcome), ["b"]);
}

#[test]
fn what_was_written_to_another_name_that_was_removed_too_is_no_copy() {
    holds(
        r#"seed 70031105
        turns
        device
        device fold no-exchange reuse unordered stopped step=1000000000
        0 +0 d0 new #41 "d3" 591
        3 settled d0 make-folder #30 ".hidden"
        4 settled d0 make-folder #23 "Été"
        7 settled d1 hard-link #4 #3 "Folder"
        9 settled d0 append #39 324
        10 settled d1 overwrite #22 14
        13 settled d0 twin #47 "e\u{301}te\u{301}" 2
        15 settled d0 remove #19
        35 settled ! clock-jump 1 -3600000"#,
    );
}

#[test]
fn twins_of_which_two_disks_lost_one_each_are_promised_by_nobody() {
    holds(
        r#"seed 4004619
        device no-links reuse unordered step=1000000000
        device no-exchange step=1000000000
        0 calls=0,51 d0 new #39 "e\u{301}te\u{301}" 732
        1 calls=1,26 ! power-loss 1 106
        2 calls=0,3 d1 new #5 "a.txt" 52
        4 +267 d0 make-folder #4 "C"
        6 +0 d0 twin #15 "d1" 6
        7 +0 d1 twin #15 "d1" 6
        8 calls=1,43 d1 save-by-rename #59 1658
        14 +0 ! power-loss 1 789
        15 +699 ! power-loss 0 442"#,
    );
}

#[test]
fn nothing_added_to_a_file_that_is_being_saved_promises_nothing() {
    holds(
        r#"seed 820584
        device
        device
        22 calls=1,31 d0 new #6 "d1" 1810
        25 +86 d0 slow-save #26 7 2 240
        28 calls=1,43 d1 append #26 0"#,
    );
}

#[test]
fn a_write_whose_bytes_alone_outlast_the_power_is_found_in_the_course_of_a_day() {
    holds(
        r#"seed 1
        device
        device
        0 +0 d1 new #0 "a.txt" 3000
        1 settled ! wait 200000
        2 +0 d1 new #0 "b.txt" 10
        3 settled d0 patch "a.txt" false
        4 +10 ! power-loss 0 500"#,
    );
}

#[test]
fn so_it_is_when_nobody_followed_the_folder_then() {
    holds(
        r#"seed 4
        device
        device
        0 +0 d1 new #0 "a.txt" 3000
        1 settled ! wait 200000
        2 +0 d1 new #0 "b.txt" 10
        3 settled ! stop 0
        4 +1000 d0 patch "a.txt" false
        5 +10 ! power-loss 0 500"#,
    );
}

/// The times of a file of two names are set at the one while the other waits for its second look: nobody wrote to it.
#[test]
fn times_that_are_set_at_another_name_make_no_copy() {
    holds(
        r#"
        seed 240013484
        turns
        device
        device no-exec unordered stopped step=1000000
        device nfd reuse
        0 +0 d0 new #44 "C" 1655
        9 settled d1 hard-link #3 #1 "a b"
        15 settled d0 overwrite #20 402
        16 settled d0 touch #57 0
        21 settled d1 remove #47
        38 settled ! clock-jump 1 3600000"#,
    );
}
