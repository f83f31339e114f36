//! A loss of power while a commit was in flight, or right after one.

use crate::support::holds;

/// The commit was in flight when the power failed, and the file is again what it was before: that is no edit.
#[test]
fn what_lost_power_set_back_does_not_undo_what_was_in_flight() {
    holds(
        r#"
        seed 160043044
        device
        device no-links no-exec reuse unordered step=1000000
        0 +80 d0 new #14 "a.txt" 1099
        1 +0 d1 new #19 "😀.png" 279
        2 +34 d0 new #36 "c" 173
        4 +30 d1 make-folder #34 "Été"
        5 +110 ! kill-at-call 0 131 1346
        6 +0 d1 move-over #31 #45
        7 +0 d0 move-over #25 #8
        9 calls=0,20 ! power-loss 1 1449
        "#,
    );
}

/// Two files were swapped by a user and with the power back again, one of them with an edit that nobody had sent: the other's
/// content is what the commit in flight has put in its place.
#[test]
fn what_nobody_sent_does_not_replace_what_was_in_flight() {
    holds(
        r#"
        seed 180002157
        device reuse unordered step=1000000
        device
        device fold reuse unordered step=1000000
        1 calls=0,6 d0 new #53 ".hidden" 1086
        2 +0 d2 new #11 "notes.md" 975
        7 +2019 ! network 0 194 105 117 157 123
        8 calls=2,3 d0 append #52 403
        11 settled ! wait 10
        12 +0 d1 overwrite #20 1503
        14 +359 d2 patch #24 false
        15 +0 d2 swap #23 #46
        16 calls=0,9 ! power-loss 2 596"#,
    );
}

/// A program wrote on to the file that was on its way: that is an edit of what was sent.
#[test]
fn what_was_written_on_after_it_was_sent_is_no_conflict() {
    holds(
        r#"
        seed 210006326
        turns
        device fold no-exchange no-links reuse unordered step=1000000
        device
        2 settled d0 new #21 "trailing. " 832
        6 settled ! kill-at-call 0 103 1792
        7 settled d0 slow-save #55 319 4 137
        8 calls=1,12 ! power-loss 0 1284"#,
    );
}

/// As above, where the next life ends as well before the server has answered.
#[test]
fn what_was_taken_back_is_known_after_a_second_loss_of_power() {
    holds(
        r#"
        seed 180002157
        device reuse unordered step=1000000
        device
        device fold reuse unordered step=1000000
        1 calls=0,6 d0 new #53 ".hidden" 1086
        2 +0 d2 new #11 "notes.md" 975
        7 +2019 ! network 0 194 105 117 157 123
        8 calls=2,3 d0 append #52 403
        11 settled ! wait 10
        12 +0 d1 overwrite #20 1503
        14 +359 d2 patch #24 false
        15 +0 d2 swap #23 #46
        16 calls=0,9 ! power-loss 2 596
        19 calls=2,40 ! power-loss 2 955"#,
    );
}

/// One of two files that were swapped is gone with the power: what was sent for it is the other's content, which stands nowhere
/// else any more.
#[test]
fn what_power_took_away_is_no_deletion_of_what_was_in_flight() {
    holds(
        r#"
        seed 230015339
        device no-exec reuse unordered step=1000000000
        device fold unordered step=1000000000
        0 +14 d1 make-folder #22 "c"
        2 calls=1,4 d0 new #32 "straße" 1211
        3 calls=1,39 ! resume 1
        4 +17 d1 twin #19 "Notes.md" 29
        5 +0 d0 twin #19 "Notes.md" 29
        6 +0 d0 rename #4 "trailing. "
        7 +46 d0 make-folder #41 "c"
        8 calls=0,50 d1 remove-tree #30
        16 +92 d0 new #56 "notes.md" 1892
        17 calls=1,27 d1 make-folder #14 "b.txt"
        18 +608 ! kill-at-call 0 132 31
        19 +110 ! power-loss 0 622
        20 calls=0,23 d1 overwrite #13 401
        23 +0 d0 file-to-folder #47 1132
        31 calls=0,13 d1 slow-save #41 3 3 296
        32 +0 d1 remove #21
        34 +93 ! watcher-off 1
        45 +1544 d1 make-folder #53 "Été"
        46 +23 d0 remove #50
        49 +71 d0 swap #59 #34
        50 calls=1,1 ! power-loss 0 59"#,
    );
}

/// What the commit in flight has made of a file that power took back is the only copy of the other one's content.
#[test]
fn what_power_took_back_does_not_replace_what_was_made_in_its_place() {
    holds(
        r#"
        seed 230015339
        device no-exec reuse unordered step=1000000000
        device fold unordered step=1000000000
        0 +14 d1 make-folder #22 "c"
        2 calls=1,4 d0 new #32 "straße" 1211
        3 calls=1,39 ! resume 1
        4 +17 d1 twin #19 "Notes.md" 29
        5 +0 d0 twin #19 "Notes.md" 29
        6 +0 d0 rename #4 "trailing. "
        7 +46 d0 make-folder #41 "c"
        8 calls=0,50 d1 remove-tree #30
        9 +0 d0 new #30 "a b" 650
        10 +4805 d0 overwrite #35 38
        11 +0 d0 save-by-rename #35 525
        13 calls=0,49 d0 case-rename #17
        16 +92 d0 new #56 "notes.md" 1892
        17 calls=1,27 d1 make-folder #14 "b.txt"
        19 +110 ! power-loss 0 622
        22 calls=0,40 d1 office-save #1 1803 38
        23 +0 d0 file-to-folder #47 1132
        24 +349 d1 exec #52
        26 +0 d1 rename #53 "été"
        30 +0 d1 new #30 "😀.png" 649
        32 +0 d1 remove #21
        33 +0 d1 swap #53 #18
        36 +667 d1 swap #41 #57
        37 +0 d0 make-folder #43 "trailing. "
        39 +57 d1 folder-to-file #50 0
        41 calls=0,58 ! kill-at-poll 1 148 376
        46 +23 d0 remove #50
        48 +68 d0 move #14 #56
        49 +71 d0 swap #59 #34
        50 calls=1,1 ! power-loss 0 59"#,
    );
}

/// One of two files that a user swapped was sent and acknowledged, the other in flight, and the power took back the swap.
#[test]
fn what_power_took_back_is_no_edit_of_what_was_acknowledged() {
    holds(
        r#"
        seed 250017052
        device
        device nfd no-exchange no-links
        device fold no-exec reuse unordered step=1000000
        0 +59 d0 make-folder #42 "d3"
        1 +2837 d1 new #39 "notes.md" 449
        2 +0 d1 new #58 "d2" 1094
        3 +0 d2 new #5 ".hidden" 1791
        4 calls=1,26 d0 new #16 ".hidden" 1344
        5 +4944 d1 make-folder #43 "a.txt"
        6 calls=2,26 d2 save-with-backup #57 25 true
        7 +2301 d1 overwrite #10 305
        8 +0 d1 new #57 "CON" 1443
        17 settled ! wait 10
        19 +0 d2 new #3 "report (conflict).txt" 14
        20 +673 d2 rename #42 "C"
        21 calls=1,40 d0 overwrite #18 1201
        22 calls=0,19 d1 slow-save #6 327 2 46
        23 +37 d1 append #23 958
        24 +73 ! power-loss 1 1877
        25 calls=2,46 d1 swap #9 #2
        27 calls=2,34 d2 touch #15 0
        28 calls=1,3 d1 new #37 "d3" 298
        29 calls=1,9 ! stop 2
        31 +0 ! power-loss 1 486"#,
    );
}

/// The clock was set back a day, the power failed, a file was replaced, and the clock was right again before anybody looked.
#[test]
fn what_was_written_while_the_clock_was_behind_is_an_edit() {
    holds(
        r#"
        seed 500003817
        turns
        device
        device
        0 +0 d1 new #51 "été" 1730
        1 calls=0,7 ! power-loss 1 992
        2 settled ! clock-jump 1 -86400000
        5 settled ! power-loss 1 1312
        6 +0 d1 overwrite #32 0
        7 calls=1,4 ! clock-jump 1 86400000"#,
    );
}

/// Two files were swapped, of which one was read and sent, and the power took back all but the first step of that.
#[test]
fn what_was_moved_over_stands_when_power_took_the_move_back() {
    holds(
        r#"
        seed 600239238
        device
        device fold no-exchange no-links reuse
        0 calls=1,10 d1 new #39 "Notes.md" 414
        1 +0 d0 new #39 "Notes.md" 415
        4 +23 d1 new #35 "Été" 1212
        8 +4634 d1 rename #47 "été"
        9 calls=1,16 d0 swap #40 #8
        10 +115 ! power-loss 0 1524"#,
    );
}

/// A file whose edit was in flight is gone with the power, and other things were done in its folder before the next start.
#[test]
fn what_is_gone_from_a_folder_that_was_changed_is_no_deletion_of_what_was_in_flight() {
    holds(
        r#"
        seed 630037691
        device nfd no-exchange reuse stopped step=1000000
        device
        0 +0 d0 make-folder #15 "d1"
        2 calls=1,55 d1 make-folder #4 "d2"
        3 +0 ! power-loss 0 1128
        6 +72 d1 folder-to-file #51 1685
        7 calls=0,33 ! power-loss 0 1611
        11 +0 d1 new #34 "Notes.md" 1704
        12 +56 d1 make-folder #17 ".hidden"
        13 +221 d1 new #25 "C" 1416
        15 +102 d0 make-folder #25 "Folder"
        17 calls=0,34 d1 move #42 #27
        22 calls=1,57 d1 remove #32
        27 +0 d1 save-with-backup #50 179 true
        32 +447 d0 new #31 "d2" 475
        35 +1140 d1 new #25 "a.txt" 1807
        36 calls=1,43 ! disk-full 0 1078
        37 settled ! wait 10
        40 +44 d0 remove-tree #15
        41 +0 d0 new #15 "A.txt" 12
        42 +0 d1 case-rename #19
        43 calls=1,40 d1 new #49 "Folder" 1801
        44 +314 ! power-loss 0 914
        45 +87 d1 swap #11 #55
        46 +0 d1 remove #55
        47 calls=1,27 ! sync-error 1
        48 +229 d1 remove #19
        49 +399 d1 overwrite #30 1234
        50 +38 d1 twin #20 "c" 37
        52 +172 d1 swap #25 #4
        53 calls=0,39 d1 rename #55 "d2"
        55 +0 ! power-loss 1 1341
        56 +25 d1 move-over #19 #41
        57 calls=0,7 d1 remove #51"#,
    );
}

/// A program saved by way of temporary files, and one of them was being sent when the power failed. That it is gone may be the
/// disk's doing as well as the program's: it comes back, and the file that was saved is the one of that moment.
#[test]
fn what_was_in_flight_and_taken_away_may_come_back_and_nothing_else_does() {
    holds(
        r#"
        seed 600140772
        turns
        at-once 9
        device
        device no-exchange no-links reuse unordered
        1 +0 d0 new #2 "a b" 551
        4 settled d1 make-folder #7 "d3"
        10 settled ! pause 1
        12 settled d0 new #26 "folder" 0
        13 settled d0 make-folder #14 "report (conflict).txt"
        14 +0 ! power-loss 0 1678
        16 settled ! resume 0
        17 +0 d0 office-save #44 12 26
        18 +0 ! power-loss 0 1880"#,
    );
}

/// A program saved with a backup, and a second look at the file saw nothing but the save. That was in flight when the power took
/// back both: the backup must have been sent with it.
#[test]
fn a_save_with_a_backup_is_sent_whole() {
    holds(
        r#"
        seed 25
        at-once 5
        device stopped step=1000000000
        device
        device no-links unordered stopped
        device
        0 calls=2,44 ! partition 2
        1 +51 d0 make-folder #0 "a b"
        2 calls=0,5 d0 new #12 "trailing. " 17
        3 +53 d3 new #59 "d3" 1120
        4 +93 d0 new #5 "a b" 115
        5 +3034 ! kill-at-call 2 5 283
        6 calls=1,28 d3 rename #42 "folder"
        7 +3255 d0 hold #16
        8 +396 ! pause 1
        11 calls=1,40 ! kill-at-call 2 126 1086
        16 +0 d1 save-with-backup #41 747 true
        18 calls=2,15 d3 new #53 "A.txt" 1450
        19 calls=0,48 d2 new #12 "😀.png" 1882
        20 calls=1,57 d1 remove-tree #11
        21 +0 d0 new #11 "A.txt" 10
        22 +114 ! stop 3
        25 calls=3,14 d2 make-folder #46 "report (conflict).txt"
        26 settled ! wait 10
        29 calls=1,54 d1 patch #59 true
        30 calls=1,45 d2 move-over #43 #24
        31 +0 d1 symlink #29 "Folder" "../A.txt"
        32 calls=3,59 d0 make-folder #1 "a b"
        33 +107 d1 save-with-backup #44 1875 true
        34 +74 ! power-loss 1 886"#,
    );
}
