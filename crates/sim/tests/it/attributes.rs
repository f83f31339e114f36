//! Modification times, exec bits, and disks that keep them in their own way.

use crate::support::{holds, passes, paths};

#[test]
fn an_edit_is_not_overtaken_by_older_attributes() {
    passes(
        r#"
        device
        device
        device nfd no-exchange no-links no-exec reuse
        18 calls=2,6 d1 twin "" "Folder" 13
        61 +384 d0 overwrite "Folder" 1840
        62 +0 d2 touch "Folder" 4000000000000000000
        "#,
    );
}

#[test]
fn hard_links_share_their_attributes_where_they_are_links() {
    passes(
        r#"
        turns
        device
        device
        device
        0 settled d2 new "" "a" 1603
        1 settled d0 hard-link "a" "" "b"
        2 settled d2 exec "a"
        3 settled d1 overwrite "b" 100
        "#,
    );
}

#[test]
fn a_folder_that_gets_a_files_inode_within_a_second_is_no_file() {
    let outcome = passes(
        r#"
        device reuse step=1000000000
        device
        0 +71 d1 twin "" "Folder" 7
        10 calls=0,41 d0 file-to-folder "Folder" 285
        "#,
    );
    assert_eq!(paths(&outcome).first(), Some(&"Folder"));
}

#[test]
fn an_exec_bit_that_is_set_right_after_a_replacement_is_sent() {
    holds(
        r#"seed 500924
        device
        device
        4 +60 d1 new #35 "Été" 1397
        13 +3832 d0 save-with-backup #6 95 true
        14 calls=1,40 d1 exec #10"#,
    );
}

#[test]
fn a_time_that_a_user_sets_while_attributes_are_applied_is_seen() {
    holds(
        r#"seed 40009442
        device
        device fold nfd
        22 +0 d0 twin #31 "d3" 0
        25 +2071 d1 exec #22
        26 calls=0,10 d0 touch #22 4000000000000000000"#,
    );
}

/// The disk failed while they were set, and before it was read again the server had another version: what is read then is
/// what both sides had agreed on, and no conflict.
#[test]
fn a_disk_error_is_no_edit() {
    holds(
        r#"
        seed 160028054
        turns
        device no-exchange reuse unordered stopped step=1000000000
        device nfd no-exchange no-exec reuse step=1000000
        2 settled ! disk-full 0 1282
        3 +0 d0 new #1 "straße" 90
        21 settled ! disk-error 0 4 4
        22 +0 d1 slow-save #22 35 2 180"#,
    );
}
