//! Conflicts where there are some, and none where there are not.

use crate::support::{holds, passes, paths, size};

#[test]
fn equal_content_is_never_a_conflict() {
    let outcome = passes(
        r#"
        device
        device
        device
        0 +0 d0 twin "" "a.txt" 3
        1 +0 d1 twin "" "a.txt" 3
        2 +0 d2 twin "" "a.txt" 3
        "#,
    );
    assert_eq!(paths(&outcome), ["a.txt"]);
}

#[test]
fn conflicts_do_not_breed_conflicts() {
    let outcome = passes(
        r#"
        device
        device
        device
        0 +0 d0 new "" "a.txt" 100
        1 settled d0 overwrite "a.txt" 110
        2 +0 d1 overwrite "a.txt" 120
        3 +0 d2 overwrite "a.txt" 130
        4 settled ! network 1 100 100 100 100 100
        "#,
    );
    assert_eq!(outcome.tree.0.len(), 3, "{:?}", paths(&outcome));
    assert_eq!(outcome.tree.conflicted_copies().len(), 2);
}

#[test]
fn saving_is_no_conflict_however_a_program_does_it() {
    let outcome = passes(
        r#"
        turns
        device
        device reuse
        0 +0 d0 new "" "a.txt" 100
        1 settled d0 save-by-rename "a.txt" 110
        2 settled d1 save-with-backup "a.txt" 120 false
        3 settled d0 office-save "a.txt" 130 80
        4 settled d1 office-save "a.txt" 140 500
        5 settled d0 slow-save "a.txt" 50 3 300
        6 settled d1 patch "a.txt" true
        7 settled d0 append "a.txt" 7
        8 settled d1 overwrite "a.txt" 90
        "#,
    );
    assert_eq!(paths(&outcome), ["a.txt"]);
    assert_eq!(size(&outcome, "a.txt"), 90);
}

#[test]
fn an_edit_wins_over_a_deletion() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 make-folder "" "d"
        1 +0 d0 new "d" "a.txt" 100
        2 settled ! partition 0
        3 +0 d0 overwrite "d/a.txt" 50
        4 +0 d1 remove-tree "d"
        5 +5000 ! network-mended 0
        "#,
    );
    assert_eq!(paths(&outcome), ["d", "d/a.txt"]);
    assert_eq!(size(&outcome, "d/a.txt"), 50);
}

#[test]
fn two_folders_moved_into_each_other_stay_both() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 make-folder "" "a"
        1 +0 d0 make-folder "" "b"
        2 +0 d0 new "a" "x" 100
        3 +0 d0 new "b" "y" 100
        4 settled ! partition 0
        5 +0 d0 move "a" "b"
        6 +0 d1 move "b" "a"
        7 +5000 ! network-mended 0
        "#,
    );
    assert_eq!(outcome.tree.0.len(), 4, "{:?}", paths(&outcome));
}

#[test]
fn each_time_that_a_device_goes_back_a_conflict_may_be_found_anew() {
    holds(
        r#"
        seed 602814
        device
        device
        2 +0 d1 new #54 "c" 553
        3 calls=0,35 ! state-copy 1
        5 +51 d0 new #16 "CON" 24
        6 calls=1,18 ! power-loss 1 656
        9 calls=0,30 d0 new #2 "straße" 106
        10 +616 d0 new #15 "été" 1901
        13 +637 d0 slow-save #9 145 2 166
        14 +0 d1 rename #51 "d1"
        20 +359 ! start 0
        21 calls=0,38 ! state-restore 1
        22 calls=0,47 d1 new #51 "C" 11
        25 +0 ! state-restore 1
        26 calls=1,46 d1 move #35 #51
        27 calls=1,47 d0 overwrite #47 136
        35 +0 ! state-restore 1
        "#,
    );
}

#[test]
fn each_time_that_a_disk_loses_what_was_written_a_copy_may_get_one_of_its_own() {
    holds(
        r#"
        seed 820184
        device
        device
        device
        2 +89 d0 new #21 "trailing. " 1791
        3 +29 d1 make-folder #49 "trailing. "
        4 +0 d1 make-folder #24 "A.txt"
        5 calls=1,6 d1 make-folder #30 "straße"
        10 +0 d0 make-folder #52 "CON"
        11 +24 d0 slow-save #43 293 3 281
        12 +0 d2 overwrite #58 1047
        13 +66 d2 new #28 "CON" 456
        16 +117 d1 save-by-rename #2 3
        17 +0 d0 new #9 ".hidden" 697
        23 +3190 ! power-loss 1 1529
        24 +0 ! kill-at-call 0 10 631
        25 +14 d1 hard-link #34 #10 "folder"
        27 calls=0,48 ! kill-at-call 0 65 251
        32 +0 d2 save-by-rename #38 19
        35 calls=0,1 d0 new #17 "straße" 1823
        36 calls=1,30 d0 new #25 "Notes.md" 1555
        37 calls=0,52 d0 append #28 731
        55 calls=2,18 ! power-loss 0 370"#,
    );
}

#[test]
fn a_copy_that_is_fought_over_is_named_as_one_of_the_original() {
    holds(
        r#"
        seed 8013256
        device reuse step=2000000000
        device
        device
        3 +0 d1 make-folder #50 "d3"
        4 +86 d2 new #54 "été" 372
        5 +378 d0 new #13 "report (conflict).txt" 1635
        6 +0 d1 new #13 "report (conflict).txt" 1636
        7 +627 d0 move #2 #9
        8 +0 d0 move #25 #34
        9 calls=1,4 d2 remove #44
        10 +0 d1 remove #44
        11 +35 d1 rename #27 ".hidden"
        12 +0 d0 patch #0 false
        13 +0 d2 save-with-backup #2 1675 false
        15 calls=2,50 d0 make-folder #56 "d2"
        17 +111 d0 patch #37 false
        18 +85 d1 swap #59 #1
        19 calls=1,10 d2 rename #49 "straße"
        20 +2293 d1 save-by-rename #36 20
        21 +0 d1 case-rename #37
        31 +4378 d2 symlink #49 "C" "../d3"
        36 +1604 d0 file-to-folder #58 201
        38 +62 d1 remove-tree #59
        43 calls=2,10 d1 patch #31 true
        48 +0 d1 patch #22 false
        50 +0 d0 twin #5 "report (conflict).txt" 14
        56 calls=0,21 d0 patch #29 true
        57 calls=0,28 d2 new #37 "d2" 203
        59 +0 d0 new #21 "straße" 306027
        62 +685 d2 move #14 #14
        67 +0 d0 move #31 #20"#,
    );
}

#[test]
fn a_copy_that_was_respelled_is_still_one() {
    holds(
        r#"
        seed 40038733
        device no-exchange unordered step=1000000
        device
        0 calls=0,31 d1 new #4 "CON" 391
        1 +0 d0 new #4 "CON" 392
        2 +95 d1 make-folder #35 "Folder"
        9 calls=0,45 d1 swap #10 #22
        10 +0 d0 case-rename #40
        11 +62 d0 remove #38
        13 +206 d0 exec #1
        22 +0 ! power-loss 1 1984
        33 settled ! wait 10
        39 +0 d1 remove #44
        40 +0 d1 make-folder #24 ".hidden"
        46 +90 d1 make-folder #58 "straße"
        48 +0 d1 twin #30 "A.txt" 17
        49 calls=1,44 d1 move #43 #53
        61 +0 d1 new #4 "e\u{301}te\u{301}" 1880
        62 +1686 d0 case-rename #25
        64 settled ! wait 10
        65 calls=1,4 d1 case-rename #49"#,
    );
}
