//! Moves on one device while another deletes.

use crate::support::{holds, passes, paths, size};

#[test]
fn what_left_a_folder_before_this_device_deleted_it_is_not_forgotten() {
    holds(
        r#"seed 500142
        device
        device no-exchange no-exec reuse stopped step=2000000000
        device
        16 +4402 d0 new #49 "a.txt" 810
        19 calls=1,7 d0 file-to-folder #7 2006
        21 +307 d0 overwrite #40 1872
        24 +31 d2 folder-to-file #42 26
        25 +0 d0 move #37 #8"#,
    );
}

#[test]
fn a_copy_that_left_a_folder_before_this_device_deleted_it_is_not_forgotten() {
    holds(
        r#"seed 294
        device
        device
        0 +0 d0 make-folder #22 "C"
        1 calls=0,20 ! power-loss 1 85
        2 +97 d0 twin #31 "c" 31
        3 +0 d1 twin #31 "c" 31
        4 calls=1,13 d0 new #18 "été" 1400
        5 calls=0,27 d1 new #9 ".hidden" 179
        6 +0 d0 make-folder #38 "d3"
        7 +3027 d0 move #16 #53
        10 calls=1,6 d0 save-by-rename #41 597
        11 +0 d1 remove #54
        14 +0 d1 save-by-rename #52 0
        17 +4800 d0 file-to-folder #53 1786
        18 +100 d0 move #3 #27
        19 +50 d0 remove-tree #3
        21 +0 d1 remove-tree #32"#,
    );
}

/// The names go round in a ring, and no round that is planned has all of it: neither where it was done, nor where only its
/// end is seen.
#[test]
fn names_that_go_round_in_a_ring_longer_than_a_plan_arrive() {
    let outcome = passes(
        r#"
        at-once 2
        device
        device
        0 +0 d0 new "" "a.txt" 101
        1 +0 d0 new "" "b.txt" 102
        2 +0 d0 new "" "c.txt" 103
        3 +0 d0 new "" "d.txt" 104
        4 +0 d0 new "" "e.txt" 105
        5 settled ! stop 0
        6 +0 ! stop 1
        7 +2000 d0 swap "a.txt" "b.txt"
        8 +2000 d0 swap "b.txt" "c.txt"
        9 +2000 d0 swap "c.txt" "d.txt"
        10 +2000 d0 swap "d.txt" "e.txt"
        11 +2000 ! start 0
        12 +60000 ! start 1
        "#,
    );
    let sizes = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"].map(|path| size(&outcome, path));
    assert_eq!(sizes, [102, 103, 104, 105, 101]);
    assert_eq!(paths(&outcome).len(), 5);
}

/// The answer to a deletion runs ahead of the journal, in which another device then makes something in a folder below, and deletes
/// that folder.
#[test]
fn what_was_made_in_a_folder_that_this_device_deleted_is_no_ghost() {
    holds(
        r#"
        seed 600276995
        device fold unordered
        device fold nfd stopped
        device reuse unordered
        0 +40 d0 make-folder #13 ".hidden"
        1 +168 ! kill-at-call 1 119 198
        2 +0 d0 new #12 "d3" 154
        3 +595 ! kill-at-call 1 122 1694
        4 calls=2,46 d2 make-folder #42 "trailing. "
        5 calls=1,8 d2 make-folder #18 "Folder"
        8 +0 d1 twin #22 "C" 3
        10 calls=0,21 ! resume 0
        11 calls=0,57 d0 exec #26
        12 +399 d0 make-folder #27 "Notes.md"
        14 +689 d1 new #40 "A.txt" 263
        15 +233 ! server-crash 2407
        21 +0 d2 move #38 #31
        22 +0 d2 case-rename #15
        23 calls=2,43 d0 append #34 377
        24 +0 d2 new #41 "été" 149
        25 +359 d1 overwrite #47 1695
        26 settled ! wait 10
        27 calls=1,20 ! writable 2
        28 +0 d2 remove #6
        29 calls=0,22 d2 rename #9 "a.txt"
        30 +0 d0 remove-tree #33
        31 +0 d2 new #33 "notes.md" 7
        32 +0 d0 move #48 #28
        33 calls=2,57 ! server-crash 1182
        34 +18 d0 new #41 "report (conflict).txt" 1201
        42 +6 d2 remove-tree #55"#,
    );
}
