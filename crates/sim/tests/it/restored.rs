//! A device whose state was put back from a backup, and a server that was.

use crate::support::{holds, passes, paths, size};

/// What the server has is what the devices have built on: their versions are changes of it, and no conflict.
#[test]
fn a_server_from_a_backup_gets_the_later_versions_again() {
    let outcome = passes(
        r#"
        device
        device
        device
        0 +0 d0 new "" "edited.txt" 100
        1 +0 d1 new "" "moved.txt" 101
        2 +0 d1 new "" "both.txt" 102
        3 +0 d0 make-folder "" "d"
        4 settled d2 new "d" "inside.txt" 103
        5 settled ! server-backup
        6 settled d1 overwrite "edited.txt" 200
        7 settled d0 move "moved.txt" "d"
        8 settled d0 overwrite "both.txt" 201
        9 settled d2 overwrite "both.txt" 202
        10 settled d1 overwrite "d/inside.txt" 203
        11 settled ! server-restore
        "#,
    );
    assert_eq!(
        paths(&outcome),
        ["both.txt", "d", "d/inside.txt", "d/moved.txt", "edited.txt"]
    );
    for (path, len) in [("edited.txt", 200), ("both.txt", 202), ("d/inside.txt", 203)] {
        assert_eq!(size(&outcome, path), len);
    }
}

/// What the backup had no more of than the device that was away is the device's to fetch, and not its edit.
#[test]
fn a_device_that_had_not_seen_what_the_backup_has_does_not_replace_it() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 new "" "a.txt" 100
        1 settled ! partition 1
        2 +0 d0 overwrite "a.txt" 200
        3 +2000 ! server-backup
        4 +0 d0 overwrite "a.txt" 300
        5 +2000 ! server-restore
        "#,
    );
    assert_eq!(paths(&outcome), ["a.txt"]);
    assert_eq!(size(&outcome, "a.txt"), 300);
}

/// A crash left the user's file in the stage, and the intent that tells of it is not in the backup.
#[test]
fn what_a_crash_left_in_the_stage_outlives_the_state() {
    holds(
        r#"
        seed 170036600
        device
        device
        device fold
        3 +0 ! state-copy 2
        4 +7 d2 make-folder #21 "Folder"
        5 +43 d2 new #13 "e\u{301}te\u{301}" 8
        6 calls=1,47 d2 move #4 #8
        12 calls=1,12 ! kill-at-call 2 61 1557
        14 +86 d0 overwrite #15 1082
        15 calls=0,1 d2 overwrite #2 1635
        16 +1564 d2 save-by-rename #34 385
        22 +0 ! state-restore 2"#,
    );
}

/// Its own commits came after the backup and it had told no cursor since, so that the server takes it for a device that
/// comes late: what it renamed and wrote anew would count as taken away.
#[test]
fn a_device_that_finds_a_commit_of_its_own_takes_nothing_away() {
    holds(
        r#"
        seed 170003332
        device
        device
        0 +493 d0 make-folder #12 "Été"
        1 +548 d0 new #45 "a b" 1504
        2 +0 d0 new #15 "CON" 403
        3 +0 d1 new #31 "Été" 1702
        8 +0 d0 new #41 "report (conflict).txt" 7
        16 +4685 ! state-copy 0
        17 +0 d0 file-to-folder #28 1035
        22 +0 d1 move-over #50 #44
        24 +2807 d0 patch #11 true
        25 calls=1,53 ! state-copy 0
        26 +85 d0 rename #40 "c"
        27 +110 d0 save-with-backup #26 12 true
        30 calls=0,27 ! state-restore 0"#,
    );
}

/// Two devices sent the same edit to a restored server. The second one was told the head for its counter, and could not fetch that
/// content when its disk had lost it.
#[test]
fn a_content_that_another_device_sent_as_well_is_found_again() {
    holds(
        r#"
        seed 3144
        device no-exchange no-links unordered
        device no-links step=1000000
        device
        2 +0 d2 new #44 "😀.png" 12
        3 calls=1,19 d2 new #48 "d3" 1484
        4 calls=0,4 d1 new #58 "Notes.md" 1384
        5 +3263 d2 make-folder #3 "straße"
        6 +65 d2 folder-to-file #4 14
        7 +2330 d1 overwrite #42 385611
        9 +0 d0 new #58 "CON" 433
        10 +29 d0 move #1 #20
        12 +0 d1 new #49 "b.txt" 22
        13 calls=1,19 ! state-forget 0
        16 +0 d0 office-save #54 590 109
        18 +45 d0 form-rename #40
        19 +0 d0 new #42 "report (conflict).txt" 1078
        23 calls=2,9 ! server-backup
        28 calls=1,47 d1 new #48 "a.txt" 8
        31 +0 d1 save-by-rename #38 1232
        36 calls=0,11 d2 new #9 "e\u{301}te\u{301}" 231
        37 calls=1,4 d1 overwrite #2 488
        38 +75 d1 new #26 "A.txt" 644
        40 +29 d2 office-save #44 0 49
        41 +119 d1 twin #52 "notes.md" 3
        42 +92 d1 new #47 "😀.png" 1721
        43 +99 d1 case-rename #53
        44 +51 d0 new #23 "Folder" 1434
        45 +0 d1 new #23 "Folder" 1435
        47 +3607 d1 new #48 "straße" 1601
        48 +0 ! server-restore
        50 +0 d2 remove #26
        54 calls=2,34 d0 new #35 "notes.md" 1201
        55 +109 ! power-loss 1 88"#,
    );
}

/// A request that the network held back, and whose repetition was refused, must not take effect after it: its device would take its
/// own changes for forgotten ones, and what its user has deleted since would come back.
#[test]
fn a_commit_that_was_given_up_takes_no_effect_later() {
    holds(
        r#"
        seed 530049695
        turns
        device no-exchange no-exec reuse unordered step=2000000000
        device no-exchange unordered
        device
        2 settled d2 make-folder #36 "e\u{301}te\u{301}"
        4 settled d2 new #47 "d2" 423
        5 settled d1 new #51 "été" 1068
        6 settled ! partition 2
        7 +0 d2 rename #44 "d3"
        8 calls=0,6 ! network 2 81 62 183 175 219
        10 settled d2 save-by-rename #8 16
        11 calls=2,12 ! network 2 77 88 147 141 60
        13 settled ! network 0 87 170 150 21 14
        17 settled d2 patch #2 false
        18 settled d0 append #23 72
        21 settled d0 make-folder #24 "straße"
        22 settled d2 rename #2 "a.txt"
        23 calls=0,17 ! server-crash 1126
        25 settled ! network 0 1 114 164 152 209
        26 +0 d0 office-save #40 1019 171"#,
    );
}
