//! No file is lost by a server, a disk or a clock that is not what it was.

mod apart;

use crate::support::{passes, paths, size};

#[test]
fn a_new_or_rolled_back_server_empties_no_folder() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 new "" "early.txt" 100
        1 +0 d0 make-folder "" "d"
        2 +0 d0 new "d" "inside.txt" 100
        3 settled ! server-backup
        4 +0 d0 new "" "late.txt" 100
        5 +0 d1 new "d" "later.txt" 100
        6 settled ! server-restore
        7 settled ! server-new
        "#,
    );
    assert_eq!(
        paths(&outcome),
        ["d", "d/inside.txt", "d/later.txt", "early.txt", "late.txt"]
    );
}

#[test]
fn a_server_that_lost_only_what_the_device_had_just_sent_gets_it_again() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d1 new "" "early.txt" 100
        1 settled ! server-backup
        2 +0 d1 new "" "late.txt" 100
        3 +0 ! partition 1
        4 +575 ! server-restore
        "#,
    );
    assert_eq!(paths(&outcome), ["early.txt", "late.txt"]);
}

/// The news of the server as it was is still here when the restored one takes a commit: it is not that server's, and a file
/// that gives way to it would be nowhere when the server is restored once more.
#[test]
fn news_of_a_server_before_its_restore_replaces_no_file() {
    for ms in (130..=160).step_by(6) {
        let outcome = passes(&format!(
            r#"
            device
            device
            0 +0 d0 new "" "a.txt" 100
            1 settled ! server-backup
            2 +0 d0 new "" "b.txt" 100
            3 settled d1 overwrite "a.txt" 150
            4 +0 d0 overwrite "a.txt" 130
            5 +{ms} ! server-restore
            6 +130 ! server-restore
            "#
        ));
        assert_eq!(size(&outcome, "b.txt"), 100);
    }
}

/// What was about to be sent names what it has seen by numbers, which are of other changes on a restored server.
#[test]
fn a_deletion_that_is_sent_again_to_a_restored_server_takes_nothing_unseen() {
    let mut made = 0;
    for ms in (128..=140).step_by(4) {
        let outcome = passes(&format!(
            r#"
            device
            device
            0 +0 d0 make-folder "" "d"
            1 +0 d0 new "" "a.txt" 100
            2 settled ! server-backup
            3 +0 d0 overwrite "a.txt" 110
            4 settled d0 overwrite "a.txt" 120
            5 settled d0 overwrite "a.txt" 130
            6 settled d0 overwrite "a.txt" 140
            7 settled d1 remove-tree "d"
            8 +{ms} ! partition 1
            9 +0 ! server-restore
            10 +0 d0 new "d" "f.txt" 100
            11 +900 d0 new "" "z.txt" 10
            "#
        ));
        // Where the deletion arrived before, there was no folder to make it in.
        made += usize::from(paths(&outcome).contains(&"d/f.txt"));
    }
    assert!(made > 0, "in each the deletion was faster");
}

#[test]
fn a_device_restored_from_an_old_copy_deletes_nothing() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 new "" "early.txt" 100
        1 settled ! state-copy 0
        2 +0 d1 new "" "late.txt" 100
        3 +0 d0 new "" "own.txt" 100
        4 settled ! state-restore 0
        5 settled ! state-forget 1
        "#,
    );
    assert_eq!(paths(&outcome), ["early.txt", "late.txt", "own.txt"]);
}

#[test]
fn a_folder_that_cannot_be_listed_is_no_deletion() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d0 make-folder "" "d"
        1 +0 d0 new "d" "a.txt" 100
        2 settled ! disk-error 0 3 40
        3 +0 d1 new "" "b.txt" 100
        4 +200 d1 new "d" "c.txt" 100
        "#,
    );
    assert_eq!(paths(&outcome), ["b.txt", "d", "d/a.txt", "d/c.txt"]);
}

#[test]
fn an_unplugged_drive_is_no_deletion() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d0 make-folder "" "d"
        1 +0 d0 new "d" "a.txt" 100
        2 settled ! unmount 1
        3 +3000 d0 new "d" "b.txt" 100
        4 +90000 ! overflow 1
        5 +90000 ! mount 1
        "#,
    );
    assert_eq!(paths(&outcome), ["d", "d/a.txt", "d/b.txt"]);
}

#[test]
fn a_full_disk_makes_no_empty_versions() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d0 new "" "a.txt" 2000
        1 settled ! disk-full 1 0
        2 +0 d0 overwrite "a.txt" 150000
        3 +0 d0 new "" "b.txt" 150000
        4 +20000 ! disk-room 1
        "#,
    );
    assert_eq!(
        (size(&outcome, "a.txt"), size(&outcome, "b.txt")),
        (150_000, 150_000)
    );
}

#[test]
fn the_first_link_of_a_folder_is_a_merge() {
    let outcome = passes(
        r#"
        device
        device stopped
        0 +0 d0 new "" "mine and yours.txt" 100
        1 +0 d1 new "" "mine and yours.txt" 200
        2 +0 d0 twin "" "same.txt" 7
        3 +0 d1 twin "" "same.txt" 7
        4 +0 d1 new "" "yours.txt" 100
        5 +9000 ! start 1
        "#,
    );
    // Three of them as they are called, and the other version of the first.
    assert_eq!(outcome.tree.0.len(), 4, "{:?}", paths(&outcome));
    assert_eq!(outcome.tree.conflicted_copies().len(), 1);
}

#[test]
fn no_modification_time_is_invalid() {
    passes(
        r#"
        turns
        device
        device step=2000000000
        0 +0 d0 new "" "a.txt" 100
        1 settled d0 touch "a.txt" -1000000000
        2 settled d0 touch "a.txt" 0
        3 settled d1 touch "a.txt" -86400000000001
        4 settled d0 touch "a.txt" 4000000000000000000
        5 settled d1 overwrite "a.txt" 50
        6 settled d1 touch "a.txt" 1
        "#,
    );
}

#[test]
fn a_clock_that_jumps_sends_nothing() {
    let outcome = passes(
        r#"
        turns
        device step=2000000000
        device
        0 +0 d0 new "" "a.txt" 100
        1 +0 d0 make-folder "" "d"
        2 settled ! clock-jump 0 -3600000
        3 +5000 ! clock-jump 1 3600000
        4 settled ! wait 100000
        "#,
    );
    assert_eq!(outcome.journal_entries, 2);
}

#[test]
fn a_moved_folder_is_one_entry_and_no_transfer() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d0 make-folder "" "d"
        1 +0 d0 new "d" "a.txt" 200000
        2 +0 d0 new "d" "b.txt" 1000
        3 +0 d0 make-folder "" "e"
        4 settled d1 move "d" "e"
        "#,
    );
    assert_eq!(outcome.journal_entries, 5);
    assert_eq!(paths(&outcome), ["e", "e/d", "e/d/a.txt", "e/d/b.txt"]);
}

#[test]
fn a_watcher_that_tells_nothing_is_made_up_for() {
    passes(
        r#"
        turns
        device
        device
        0 +0 ! watcher-off 0
        1 +0 d0 make-folder "" "d"
        2 +0 d0 new "d" "a.txt" 100
        3 settled ! overflow 1
        4 +0 d1 rename "d" "e"
        5 settled d0 remove-tree "e"
        "#,
    );
}

#[test]
fn any_hiccup_ends_by_itself() {
    passes(
        r#"
        turns
        device
        device
        0 +0 d0 new "" "a.txt" 150000
        1 +20 ! network 0 300 300 200 200 2000
        2 +0 ! partition 1
        3 +50 ! server-crash 60000
        4 +30000 ! kill-at-poll 0 20 500
        5 +1000 ! kill-at-call 1 3 500
        6 settled d1 overwrite "a.txt" 10
        7 +0 ! partition 1
        "#,
    );
}
