//! Names in another case, another normal form, of another kind.

use crate::support::{holds, passes, paths};

/// Disks that are unlike each other in what a name is.
const DISKS: [&str; 4] = [
    "device\ndevice",
    "device\ndevice fold",
    "device fold\ndevice nfd",
    "device fold nfd no-exchange\ndevice fold reuse",
];

fn on_all_disks(script: &str) {
    for disks in DISKS {
        passes(&format!("turns\n{disks}\n{script}"));
    }
}

#[test]
fn a_rename_in_case_alone_is_a_rename() {
    on_all_disks(
        r#"
        0 +0 d0 make-folder "" "folder"
        1 +0 d0 new "folder" "a.txt" 100
        2 settled d0 case-rename "folder"
        3 settled d1 case-rename "FOLDER/a.txt"
        4 settled d1 case-rename "FOLDER"
        5 settled d0 overwrite "folder/A.TXT" 50
        "#,
    );
}

#[test]
fn another_normal_form_is_no_other_file() {
    on_all_disks(
        r#"
        0 +0 d0 new "" "\u{e9}t\u{e9}.txt" 100
        1 settled d1 append #0 20
        2 settled d0 form-rename #0
        3 settled d1 form-rename #0
        4 settled d0 append #0 20
        "#,
    );
}

#[test]
fn names_of_one_key_stand_side_by_side() {
    let outcome = passes(
        r#"
        device
        device
        0 +0 d0 new "" "Readme" 100
        1 +0 d1 new "" "README" 120
        2 settled d0 append "Readme" 10
        3 settled d1 append "README" 10
        "#,
    );
    assert_eq!(outcome.tree.0.len(), 2, "{:?}", paths(&outcome));
}

#[test]
fn links_are_kept_as_links_and_never_followed() {
    let outcome = passes(
        r#"
        turns
        device
        device
        0 +0 d0 make-folder "" "d"
        1 +0 d0 new "d" "a.txt" 100
        2 +0 d0 symlink "" "into" "d"
        3 +0 d0 symlink "d" "nowhere" "../../outside"
        4 settled d1 rename "into" "other"
        5 settled d1 remove "d/nowhere"
        "#,
    );
    assert_eq!(paths(&outcome), ["d", "d/a.txt", "other"]);
}

#[test]
fn swapped_names_are_swapped_everywhere() {
    on_all_disks(
        r#"
        0 +0 d0 new "" "a" 100
        1 +0 d0 new "" "b" 200
        2 +0 d0 make-folder "" "d"
        3 settled d0 swap "a" "b"
        4 settled d1 swap "b" "d"
        "#,
    );
}

#[test]
fn names_that_are_one_to_a_disk_stand_side_by_side_there_too() {
    for (one, other) in [("Readme", "README"), ("\u{c9}t\u{e9}", "\u{e9}t\u{e9}")] {
        for disk in ["fold", "fold nfd no-exchange no-links", "fold reuse stopped"] {
            let outcome = passes(&format!(
                "device\ndevice {disk}\n0 +0 d0 new \"\" {one:?} 1898\n1 +82 d1 new \"\" {other:?} 1085\n2 settled ! wait 10"
            ));
            assert_eq!(paths(&outcome).len(), 2, "{:?}", paths(&outcome));
        }
    }
}

#[test]
fn a_backup_of_another_normal_form_is_not_written_over() {
    let outcome = passes(
        r#"
        turns
        device
        device nfd
        0 +0 d0 new "" "été" 393
        1 settled d1 save-with-backup #0 581 true
        2 settled d0 save-with-backup "été" 1738 true
        "#,
    );
    assert_eq!(outcome.tree.0.len(), 2, "{:?}", paths(&outcome));
}

#[test]
fn a_file_that_comes_to_a_decomposed_name_of_one_that_was_just_renamed_is_itself() {
    passes(
        r#"seed 631169400173
        device
        device nfd no-exchange no-links unordered step=1000000000
        device
        2 +0 d1 new #26 "Été" 355
        3 +0 d2 new #26 "Été" 356
        6 +115 ! state-forget 1
        7 +67 d1 case-rename #8"#,
    );
}

/// An inode that was free is that of the newcomer, in the same tick of the clock: found at the old name it seems to be the old file.
#[test]
fn a_deleted_file_is_no_newcomer_of_another_case() {
    holds(
        r#"
        seed 100077334
        device fold reuse unordered step=2000000000
        device no-exec unordered step=2000000000
        0 calls=0,27 d0 new "" "d1" 575
        1 calls=0,5 d1 make-folder "" "f"
        2 +0 d0 new "" "c" 1990
        4 +0 d1 new "" "C" 896
        5 calls=1,23 d0 new "" "a" 1105
        8 calls=1,46 d0 remove "c"
        "#,
    );
}

/// Three files, of which each stands where the next one is to be: the last has to move first.
#[test]
fn who_is_in_the_way_of_who_gives_way_gives_way_too() {
    holds(
        r#"
        seed 120013446
        device
        device
        0 +2202 d0 new #13 "Été" 474
        1 calls=1,34 d1 new #58 "d2" 346
        3 calls=0,31 d1 overwrite #34 831
        4 +0 d0 save-by-rename #34 1978
        5 +111 d0 new #11 "e\u{301}te\u{301}" 678
        6 +0 d1 overwrite #42 288694
        7 +0 ! disk-error 1 22 6
        8 +23 d1 rename #4 "a.txt"
        9 calls=0,44 d0 twin #18 "C" 0
        11 +0 ! disk-error 0 4 2
        12 calls=0,6 d0 office-save #41 19 6
        13 +0 d1 rename #21 "e\u{301}te\u{301}"
        14 calls=1,22 d0 remove #6
        15 +46 ! state-copy 1
        16 +12 ! state-copy 0
        17 settled ! wait 10
        18 +227 d1 remove #23
        20 +0 ! server-backup
        21 calls=1,11 d1 overwrite #4 1803
        22 calls=0,2 ! state-restore 0
        23 calls=0,4 ! server-restore
        24 +2643 ! state-restore 1
        25 +74 ! network 1 113 44 82 54 225
        28 +0 d1 hard-link #27 #46 "CON"
        29 calls=1,4 d1 office-save #49 1326 4
        30 calls=1,17 d0 office-save #48 1312 108
        50 calls=0,9 ! server-restore
        51 calls=0,9 ! state-restore 0
        "#,
    );
}

/// A disk that folds case and keeps the normal forms of a name apart: what is found at the place of a file that is gone has the name
/// in small letters, and another file has it in the other form.
#[test]
fn a_name_that_stands_in_another_form_as_well_is_gone_all_the_same() {
    holds(
        r#"
        seed 600285674
        device fold reuse unordered step=1000000
        device fold nfd no-exchange unordered step=2000000000
        3 +0 d1 new #2 "Été" 1870
        7 +1948 d0 save-by-rename #10 748
        10 calls=0,3 d0 new #52 "Été" 238
        12 +931 d0 slow-save #11 71 4 380
        22 +76 d1 patch #51 false
        27 +457 d0 remove #4
        29 +62 d0 new #8 "été" 98"#,
    );
}
