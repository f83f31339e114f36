//! Disks that fail, or lose their power, in the middle of a step: scripts as they were found, under the seed that they name.

use crate::support::holds;

#[test]
fn a_half_done_step_is_finished_before_the_next_download_takes_its_name() {
    holds(
        r#"seed 500106
        device
        device
        device
        7 +4085 d0 twin #19 "d1" 26
        22 calls=1,56 d2 rename #22 "trailing. "
        30 +79 d0 rename #1 "report (conflict).txt"
        32 +81 ! server-crash 1803
        36 calls=0,57 d0 new #8 "notes.md" 1955
        37 +0 d1 overwrite #10 725
        38 +0 d2 save-by-rename #10 3
        39 +0 ! disk-error 2 59 1
        40 +522 d2 rename #39 "folder""#,
    );
}

#[test]
fn a_staged_link_does_not_stay_where_the_disk_failed() {
    holds(
        r#"seed 502889
        device
        device fold no-links step=1000000000
        device
        23 calls=0,34 ! disk-error 1 3 6
        28 +265 d2 symlink #41 "d3" "../b.txt"
        30 calls=2,37 ! disk-full 2 1830"#,
    );
}

#[test]
fn a_file_that_lost_its_bytes_with_the_power_does_not_empty_it_everywhere() {
    holds(
        r#"seed 502337
        device reuse stopped
        device
        24 calls=1,41 d1 make-folder #24 "Folder"
        26 calls=0,17 d1 folder-to-file #42 90
        28 settled ! wait 10
        30 calls=0,52 d0 hard-link #4 #57 "straße"
        34 calls=1,2 ! power-loss 0 1152
        35 +15 ! power-loss 1 273"#,
    );
}

#[test]
fn a_file_that_went_back_with_the_power_is_no_edit() {
    holds(
        r#"seed 10181
        device no-exchange reuse unordered
        device fold nfd no-exchange reuse
        0 +0 d1 make-folder #56 "a b"
        1 +31 ! kill-at-call 1 56 1346
        2 calls=0,28 d1 make-folder #52 "folder"
        3 +0 d1 make-folder #41 "c"
        6 calls=1,26 ! watcher-off 0
        7 +0 d0 move #17 #29
        15 calls=1,32 d1 case-rename #51
        22 +2508 d0 twin #3 "d3" 39
        23 +0 d1 twin #3 "d3" 39
        30 settled ! wait 10
        31 calls=0,59 ! power-loss 1 1593
        33 +38 ! power-loss 0 718"#,
    );
}

#[test]
fn what_was_in_the_stage_is_lost_with_the_power_as_well() {
    holds(
        r#"seed 100142
        device nfd no-exchange no-links reuse unordered stopped
        device nfd no-links no-exec reuse
        14 calls=1,50 d1 new #55 "a.txt" 1370
        21 settled ! wait 10
        27 +73 d1 append #26 16
        30 +0 d0 twin #16 "A.txt" 2
        32 calls=0,27 d1 hold #57
        33 calls=0,20 d0 patch #43 true
        46 +0 ! power-loss 0 187"#,
    );
}

#[test]
fn a_file_that_a_failed_sync_emptied_does_not_empty_it_everywhere() {
    holds(
        r#"seed 702255
        device fold nfd
        device
        1 calls=1,25 ! sync-error 1
        2 +0 d0 make-folder #37 "trailing. "
        3 +0 d0 new #19 "CON" 0
        5 +24 d1 make-folder #58 "report (conflict).txt"
        9 calls=1,52 d1 twin #26 "report (conflict).txt" 1
        10 +20 ! sync-error 1
        12 calls=1,52 d0 exec #29
        13 +1493 d0 make-folder #7 "A.txt""#,
    );
}

#[test]
fn a_file_that_a_failed_sync_set_back_is_no_edit() {
    holds(
        r#"seed 702332
        device no-exchange no-exec reuse unordered step=1000000
        device fold nfd reuse
        device unordered
        device
        3 +0 d2 new #2 "c" 71
        4 +283 ! sync-error 3
        10 +0 d0 overwrite #24 15
        11 +0 ! disk-error 2 1 3
        15 +0 ! disk-full 1 298
        16 calls=3,25 ! disk-room 1
        17 calls=3,32 ! writable 3
        19 calls=0,56 ! disk-error 2 13 1
        21 +0 ! sync-error 3
        22 +0 d3 twin #15 "C" 0
        23 +0 d0 twin #15 "C" 0
        26 calls=1,47 d3 new #45 "report (conflict).txt" 21"#,
    );
}

#[test]
fn a_move_that_failed_after_it_was_made_is_no_move_of_the_users() {
    holds(
        r#"seed 702455
        turns
        device nfd no-exchange no-exec step=2000000000
        device
        0 +0 d1 new #59 "folder" 418
        2 settled d1 new #35 "e\u{301}te\u{301}" 1999
        4 settled d0 new #7 "A.txt" 417
        7 settled d1 move-over #3 #58
        15 settled ! sync-error 0
        16 +0 d1 swap #32 #23
        17 +1330 ! read-only 1"#,
    );
}

#[test]
fn a_file_renamed_over_one_that_is_just_being_replaced_keeps_a_name() {
    holds(
        r#"seed 842744
        device
        device no-exchange
        0 +0 d1 new #26 "Folder" 1472
        1 +0 d0 make-folder #22 "c"
        2 +0 ! kill-at-call 1 30 1324
        3 +4517 d1 make-folder #53 "a.txt"
        4 calls=0,49 ! kill-at-call 1 140 336
        5 +648 d1 make-folder #45 "trailing. "
        6 +1224 ! kill-at-call 0 85 1686
        7 +113 d1 new #45 "folder" 186164
        8 +446 d1 new #22 "d3" 1538
        9 +0 d0 new #22 "d3" 1539
        10 +651 d0 remove #59
        11 calls=1,33 ! server-crash 1587
        12 +369 d0 make-folder #39 "d1"
        13 +37 d0 move-over #48 #53
        15 calls=1,57 d1 move-over #37 #41"#,
    );
}

#[test]
fn a_disk_that_is_away_at_the_start_ends_no_daemon() {
    holds(
        r#"seed 3003259
        turns
        device
        device fold unordered step=1000000000
        1 calls=0,2 ! unmount 1"#,
    );
}

#[test]
fn a_clock_that_was_set_before_a_start_hides_no_torn_file() {
    holds(
        r#"seed 841664
        device
        device fold no-links step=1000000000
        device
        9 +0 d1 new #14 "Folder" 953
        10 +0 ! clock-jump 1 3600000
        18 +2219 ! kill-at-call 2 13 1183
        38 +65 ! power-loss 1 1146"#,
    );
    holds(
        r#"seed 3007560
        device nfd no-links unordered step=2000000000
        device fold reuse step=1000000
        2 +0 ! power-loss 0 677
        3 calls=1,1 d0 new #49 ".hidden" 1025
        61 +0 ! clock-jump 0 86400000
        65 calls=0,48 ! power-loss 0 1866"#,
    );
}

#[test]
fn a_placement_of_which_the_disk_says_that_it_failed_is_no_file_of_the_users() {
    holds(
        r#"seed 3001415
        turns
        device unordered
        device
        device
        9 settled d1 new #58 "😀.png" 30
        10 settled ! disk-error 1 16 1
        11 +0 d2 office-save #42 347 122"#,
    );
}

#[test]
fn a_move_that_a_crash_left_unrecorded_is_no_move_of_the_users() {
    holds(
        r#"seed 4004484
        turns
        device reuse step=1000000
        device unordered step=1000000
        4 settled ! kill-at-poll 0 24 78
        5 settled d0 new #42 "CON" 134
        8 settled d1 make-folder #29 "😀.png"
        9 settled ! kill-at-call 1 32 903
        10 +0 d0 office-save #57 2011 149"#,
    );
}

#[test]
fn what_is_moved_to_a_path_that_is_free_for_a_moment_takes_nothing_away() {
    holds(
        r#"seed 10022982
        device no-exchange no-links no-exec reuse step=1000000000
        device
        device
        0 calls=2,4 d0 make-folder #15 "notes.md"
        1 +43 d1 new #42 "😀.png" 375
        3 +0 d1 new #45 "d3" 836
        4 calls=1,29 d1 new #37 "a b" 30
        6 +10 d1 remove #21
        7 calls=1,27 d0 twin #14 "C" 4
        12 +0 d0 patch #56 false
        15 +0 d2 make-folder #12 "d1"
        18 +0 d0 symlink #4 "c" "../.hidden"
        19 calls=1,48 ! state-forget 2
        24 +0 d0 twin #37 "straße" 16
        27 +6 d0 remove #31
        28 +1320 d2 remove #31
        31 +0 d1 office-save #39 27 72
        32 calls=0,33 d0 rename #18 "😀.png""#,
    );
}

#[test]
fn a_folder_in_place_of_a_file_has_its_name_though_a_look_for_the_file_fails() {
    holds(
        r#"seed 20010538
        turns
        device nfd reuse stopped step=2000000000
        device
        device
        2 settled d0 make-folder #58 "C"
        5 settled d1 new #20 "a b" 15
        15 settled ! disk-error 2 12 2
        16 +0 d2 file-to-folder #49 0
        17 +9 ! unmount 0
        18 +98 ! disk-full 0 441
        19 settled d2 swap #20 #21"#,
    );
}

#[test]
fn a_file_that_is_written_anew_while_a_disk_is_read_only_leaves_no_conflict() {
    holds(
        r#"seed 7018092
        turns
        device
        device
        device fold no-exec unordered stopped
        2 settled d2 new #26 "d1" 0
        10 settled ! read-only 2
        11 +0 d0 slow-save #34 57 4 230"#,
    );
}

#[test]
fn what_was_written_in_the_last_moment_is_in_the_trash_when_the_state_is_lost_too() {
    holds(
        r#"seed 50014003
        device no-exec
        device
        device unordered step=2000000000
        0 +0 d0 new #20 "été" 1116
        2 +76 d1 new #4 "report (conflict).txt" 1493
        16 +0 d1 office-save #9 1840 146
        17 calls=0,7 d2 save-by-rename #21 811
        18 calls=1,49 d1 patch #36 true
        20 +67 ! state-forget 1"#,
    );
}

#[test]
fn a_folder_that_was_made_just_before_a_crash_is_not_deleted_when_the_power_takes_it() {
    holds(
        r#"seed 50035692
        turns
        device fold unordered step=1000000
        device
        device
        3 settled ! kill-at-call 1 3 1980
        4 +0 d0 make-folder #1 "a b"
        5 +4076 ! power-loss 1 48"#,
    );
    holds(
        r#"seed 50047420
        turns
        device nfd no-links unordered step=1000000000
        device
        3 settled d1 make-folder #32 "folder"
        4 +36 ! kill-at-call 0 3 1441
        5 calls=0,40 ! overflow 0
        6 settled ! power-loss 0 376"#,
    );
}

#[test]
fn a_placed_file_that_the_disk_does_not_show_is_no_new_one() {
    holds(
        r#"seed 70025221
        turns
        device
        device fold no-exchange no-links reuse step=2000000000
        device nfd no-exchange reuse step=1000000
        4 settled d0 new #24 "c" 34
        20 settled ! disk-error 2 18 6
        21 +0 d0 office-save #20 1131 171"#,
    );
}

/// The clock was set back into a tick of the disk that was over, and a file of that tick was edited: its times and size are as before.
#[test]
fn an_edit_in_a_tick_that_the_clock_shows_twice_is_found() {
    holds(
        r#"
        seed 700010757
        device fold step=2000000000
        device
        device
        2 +13 d1 make-folder #37 "C"
        3 calls=0,9 d1 new #48 "c" 71
        4 +0 d0 make-folder #55 "d1"
        5 +668 d2 new #11 ".hidden" 1708
        7 +98 d0 remove-tree #3
        8 +0 d2 case-rename #22
        9 +384 d0 move #31 #19
        10 +210 ! clock-jump 0 -1500
        12 +389 d0 patch #13 false"#,
    );
}
