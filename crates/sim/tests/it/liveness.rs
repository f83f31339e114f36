//! The world comes to rest, in sync: nothing waits for ever, nothing goes round in circles.

use crate::support::passes;

#[test]
fn a_name_that_only_this_disk_still_had_gives_way_to_a_folder_of_that_name() {
    passes(
        r#"
        device
        device
        0 +0 ! pause 1
        2 calls=1,21 d1 make-folder #46 "C"
        3 +0 d0 new #25 "c" 768
        4 +269 d0 new #55 "C" 1370
        "#,
    );
}

#[test]
fn a_disk_that_folds_names_keeps_both_files_of_names_that_differ_in_case() {
    passes(
        r#"
        device fold step=1000000
        device
        device fold no-exec reuse unordered
        2 +0 ! disk-full 0 1298
        3 +0 d2 twin #28 "notes.md" 36
        20 +648 d0 new #8 "Notes.md" 148
        "#,
    );
    passes(
        r#"
        device
        device nfd no-exchange reuse unordered
        1 calls=1,43 d0 new #57 "\u{c9}t\u{e9}" 807
        5 +294 d1 new #8 "\u{e9}t\u{e9}" 776
        43 +426 d0 rename #15 "e\u{301}te\u{301}"
        "#,
    );
}

#[test]
fn a_file_torn_by_a_loss_of_power_before_it_was_sent_is_sent_as_it_is_now() {
    passes(
        r#"
        device
        device nfd no-exec reuse
        0 calls=1,59 d0 new #50 "b.txt" 381
        2 +28 d0 make-folder #41 "C"
        3 calls=0,15 ! power-loss 0 751
        "#,
    );
}

#[test]
fn an_id_that_a_rolled_back_server_has_used_up_is_replaced() {
    passes(
        r#"
        device no-exchange no-links reuse stopped step=1000000000
        device
        2 +462 ! server-backup
        4 +0 d1 make-folder #31 "C"
        6 settled ! wait 10
        12 calls=0,31 d1 twin #8 "\u{c9}t\u{e9}" 1
        15 +116 ! kill-at-poll 0 102 1145
        18 +0 ! server-restore
        25 +0 d1 folder-to-file #4 10
        27 +4465 d1 twin #4 "e\u{301}te\u{301}" 0
        "#,
    );
    passes(
        r#"
        device
        device
        device no-exec unordered stopped step=1000000
        12 +22 d0 rename #27 "\u{e9}t\u{e9}"
        13 +0 d1 new #45 "report (conflict).txt" 1659
        16 calls=1,42 ! server-backup
        24 settled ! wait 10
        26 +94 ! network 1 77 49 178 115 257
        28 +113 d1 case-rename #1
        29 +469 d2 overwrite #4 8
        30 +39 ! server-restore
        48 calls=1,7 d2 office-save #35 726 137
        "#,
    );
}

#[test]
fn a_daemon_killed_while_it_opens_its_folder_starts_again() {
    passes(
        r#"
        device
        device
        23 +0 ! kill-at-call 1 0 1081
        25 calls=1,27 d0 overwrite #27 1624
        "#,
    );
}

/// A file that was to be sent had left its place to a folder from the server, which was taken for what has to be read again.
#[test]
fn a_folder_in_the_place_of_a_file_is_not_read() {
    passes(
        r#"
        seed 250027247
        device fold unordered step=1000000000
        device fold reuse
        0 +0 d1 new #27 "folder" 1858
        1 calls=0,4 ! state-forget 1
        4 calls=0,28 d1 new #37 "Été" 866
        5 +0 d0 new #44 "b.txt" 60
        7 +668 d1 overwrite #14 104760
        8 +0 d0 save-by-rename #14 357513
        9 +84 d1 move #21 #43
        10 +0 d1 file-to-folder #38 20
        13 +93 ! writable 0
        14 +0 d0 move-over #41 #33
        "#,
    );
}
