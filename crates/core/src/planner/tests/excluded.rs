//! The conflict table for a device that does not keep some folders.

use super::model::Model;
use super::table::{ascending, tree};
use crate::ids::NodeId;

/// Plans and carries out until both sides are equal; compares what the server and what the disk have then.
#[track_caller]
fn check_excluded(excluded: &[i64], trees: [&str; 3], server: &str, disk: &str) {
    for id_of in [ascending as fn(i64) -> i64, |number| 2_000 - number] {
        let [synced, remote, local] = trees;
        let synced = tree(synced, None, id_of);
        let remote = tree(remote, Some(&synced), id_of);
        let local = tree(local, Some(&synced), id_of);
        let mut model = Model::new(remote, local, synced);
        model.excluded = excluded
            .iter()
            .map(|id| NodeId::new(id_of(*id)).unwrap())
            .collect();
        model.run();
        let lines = |text: &str| -> Vec<String> { text.lines().map(|line| line.trim().to_owned()).collect() };
        assert_eq!(Model::list(&model.remote), lines(server), "the server");
        assert_eq!(Model::list(&model.local), lines(disk), "the disk");
        assert_eq!(Model::list(&model.synced), lines(disk), "what both agree on");
        // Kept again, all of it comes back.
        model.excluded.clear();
        model.run();
        assert_eq!(Model::list(&model.local), lines(server), "kept again");
    }
}

const KEPT_AND_EXCLUDED: &str = "1 a = A\n2 ex/\n3 ex/b = B\n4 ex/d/\n5 ex/d/c = C";
const WITHOUT_EXCLUDED: &str = "1 a = A";

#[test]
fn an_excluded_folder_goes_from_the_disk_alone() {
    check_excluded(
        &[2],
        [KEPT_AND_EXCLUDED; 3],
        "a = A\nex/\nex/b = B\nex/d/\nex/d/c = C",
        "a = A",
    );
}

#[test]
fn what_is_not_sent_is_sent_before_an_excluded_folder_goes() {
    check_excluded(
        &[2],
        [
            KEPT_AND_EXCLUDED,
            KEPT_AND_EXCLUDED,
            "1 a = A\n2 ex/\n3 ex/b* = E\n4 ex/d/\n5 ex/d/renamed = C\n6 ex/d/new = N",
        ],
        "a = A\nex/\nex/b* = E\nex/d/\nex/d/new = N\nex/d/renamed = C",
        "a = A",
    );
}

#[test]
fn edits_on_both_sides_of_an_excluded_file_are_both_kept() {
    check_excluded(
        &[1],
        ["1 ex/\n2 ex/a = A", "1 ex/\n2 ex/a = B", "1 ex/\n2 ex/a = C"],
        "ex/\nex/a (conflict, laptop, 2026-11-22) = C\nex/a = B",
        "",
    );
}

#[test]
fn changes_in_an_excluded_folder_stay_on_the_server() {
    check_excluded(
        &[2],
        [
            WITHOUT_EXCLUDED,
            "1 a = A\n2 ex/\n3 ex/b = E\n6 ex/new/\n7 ex/new/n = N",
            WITHOUT_EXCLUDED,
        ],
        "a = A\nex/\nex/b = E\nex/new/\nex/new/n = N",
        "a = A",
    );
}

#[test]
fn an_excluded_folder_that_was_deleted_here_stays_on_the_server() {
    check_excluded(
        &[2],
        [KEPT_AND_EXCLUDED, KEPT_AND_EXCLUDED, WITHOUT_EXCLUDED],
        "a = A\nex/\nex/b = B\nex/d/\nex/d/c = C",
        "a = A",
    );
}

#[test]
fn deleting_the_folder_above_an_excluded_one_leaves_that_on_the_server() {
    check_excluded(
        &[2],
        [
            "1 up/\n3 up/x = X",
            "1 up/\n3 up/x = X\n2 up/ex/\n4 up/ex/b = B",
            "",
        ],
        "up/\nup/ex/\nup/ex/b = B",
        "up/",
    );
    // Also before both have agreed that it is not here.
    check_excluded(
        &[2],
        [
            "1 up/\n2 up/ex/\n4 up/ex/b = B",
            "1 up/\n2 up/ex/\n4 up/ex/b = B",
            "",
        ],
        "up/\nup/ex/\nup/ex/b = B",
        "up/",
    );
}

#[test]
fn moving_the_folder_above_an_excluded_one_takes_it_along() {
    check_excluded(
        &[2],
        ["1 up/", "1 up/\n2 up/ex/\n4 up/ex/b = B", "1 down/"],
        "down/\ndown/ex/\ndown/ex/b = B",
        "down/",
    );
}

#[test]
fn a_move_into_an_excluded_folder_takes_it_from_the_disk() {
    check_excluded(
        &[2],
        [
            "1 d/\n3 d/a = A",
            "2 ex/\n1 ex/d/\n3 ex/d/a = A",
            "1 d/\n3 d/a = A",
        ],
        "ex/\nex/d/\nex/d/a = A",
        "",
    );
}

#[test]
fn a_move_out_of_an_excluded_folder_brings_it_to_the_disk() {
    check_excluded(
        &[2],
        ["", "2 ex/\n1 d/\n3 d/a = A", ""],
        "d/\nd/a = A\nex/",
        "d/\nd/a = A",
    );
    // The move is made here, while the folder is on its way from the disk.
    check_excluded(
        &[2],
        [
            "2 ex/\n1 ex/d/\n3 ex/d/a = A",
            "2 ex/\n1 ex/d/\n3 ex/d/a = A",
            "2 ex/\n1 d/\n3 d/a = A",
        ],
        "d/\nd/a = A\nex/",
        "d/\nd/a = A",
    );
}

#[test]
fn a_rename_of_an_excluded_folder_changes_nothing_here() {
    check_excluded(
        &[2],
        ["", "2 other/\n3 other/b = B", ""],
        "other/\nother/b = B",
        "",
    );
    check_excluded(
        &[2],
        [
            "2 ex/\n3 ex/b = B",
            "2 other/\n3 other/b = B",
            "2 ex/\n3 ex/b = B",
        ],
        "other/\nother/b = B",
        "",
    );
}

#[test]
fn a_new_node_of_an_excluded_name_stands_beside_it() {
    check_excluded(
        &[2],
        ["", "2 ex/\n3 ex/b = B", "4 ex/\n5 ex/b = B"],
        "ex (kept here)/\nex (kept here)/b = B\nex/\nex/b = B",
        "ex (kept here)/\nex (kept here)/b = B",
    );
    check_excluded(
        &[2],
        ["1 a = A", "1 a = A\n2 ex/", "1 EX = A"],
        "EX (kept here) = A\nex/",
        "EX (kept here) = A",
    );
}

#[test]
fn an_edit_in_an_excluded_folder_that_the_server_deleted_is_kept() {
    check_excluded(
        &[1],
        [
            "1 ex/\n2 ex/a = A\n3 ex/b = B",
            "",
            "1 ex/\n2 ex/a = C\n3 ex/b = B",
        ],
        "ex/\nex/a = C",
        "ex/\nex/a = C",
    );
}

#[test]
fn a_name_that_an_excluded_folder_gave_up_is_free() {
    check_excluded(
        &[2],
        [
            "1 d/\n3 d/a = A",
            "2 ex/\n1 ex/d/\n3 ex/d/a = A\n4 d/\n5 d/n = N",
            "1 d/\n3 d/a = B",
        ],
        "d/\nd/n = N\nex/\nex/d/\nex/d/a = B",
        "d/\nd/n = N",
    );
}
