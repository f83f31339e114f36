//! The conflict table, row by row. A tree is written one node a line: `id path = letter` is a file whose content is
//! that letter, `id path/` a folder, `*` behind a path the exec bit. Ids tell what was moved from what was made anew.

use super::model::{Model, file, folder};
use crate::ids::NodeId;
use crate::planner::{Context, plan};
use crate::time::{Date, Timestamp};
use crate::tree::{Neighbourhood, Tree};

/// Builds a tree from its text. `seq` stands for the state: nodes that differ between two texts differ in counters too.
pub(super) fn tree(text: &str, base: Option<&Tree>, id_of: fn(i64) -> i64) -> Tree {
    let mut tree = Tree::new();
    let mut paths: Vec<(String, NodeId)> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (id, rest) = line.split_once(' ').unwrap();
        let id = NodeId::new(id_of(id.parse().unwrap())).unwrap();
        let (path, letter) = match rest.split_once(" = ") {
            Some((path, letter)) => (path, letter.chars().next()),
            None => (rest.strip_suffix('/').unwrap(), None),
        };
        let executable = path.ends_with('*');
        let path = path.trim_end_matches('*');
        let (parent, name) = match path.rsplit_once('/') {
            Some((above, name)) => (
                paths
                    .iter()
                    .find(|(path, _)| path == above)
                    .unwrap_or_else(|| panic!("no {above}"))
                    .1,
                name,
            ),
            None => (NodeId::ROOT, path),
        };
        paths.push((path.to_owned(), id));
        let mut entry = match letter {
            Some(letter) => file(parent, name, letter, 1),
            None => folder(parent, name, 1),
        };
        entry.attributes.executable = executable;
        if let Some(old) = base.and_then(|base| base.get(id)) {
            let (place_seq, content_seq) = (old.place_seq, old.content_seq);
            entry.place_seq = if old.place == entry.place {
                place_seq
            } else {
                place_seq.next()
            };
            entry.content_seq = if old.substance == entry.substance {
                content_seq
            } else {
                content_seq.next()
            };
        }
        tree.insert(id, entry);
    }
    tree
}

/// Plans and carries out until both sides are equal; compares what both have then. Ids are random in life: what is
/// decided must not depend on which of two nodes has the greater one.
#[track_caller]
fn check(synced: &str, remote: &str, local: &str, expected: &str) -> Model {
    check_with_ids(|number| 2_000 - number, synced, remote, local, expected);
    check_with_ids(ascending, synced, remote, local, expected)
}

pub(super) fn ascending(number: i64) -> i64 {
    1_000 + number
}

#[track_caller]
fn check_with_ids(id_of: fn(i64) -> i64, synced: &str, remote: &str, local: &str, expected: &str) -> Model {
    let synced = tree(synced, None, id_of);
    let remote = tree(remote, Some(&synced), id_of);
    let local = tree(local, Some(&synced), id_of);
    let mut model = Model::new(remote, local, synced);
    model.run();
    let expected: Vec<String> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    assert_eq!(Model::list(&model.remote), expected, "the server");
    assert_eq!(Model::list(&model.local), expected, "the disk");
    model
}

#[test]
fn new_files_travel_both_ways() {
    check(
        "",
        "1 a = A\n2 d/\n3 d/b = B",
        "4 c = C\n5 e/\n6 e/f = F",
        "a = A\nc = C\nd/\nd/b = B\ne/\ne/f = F",
    );
}

#[test]
fn edits_travel_both_ways() {
    check(
        "1 a = A\n2 b = B",
        "1 a = C\n2 b = B",
        "1 a = A\n2 b = D",
        "a = C\nb = D",
    );
}

#[test]
fn edit_edit_keeps_both() {
    check(
        "1 a.txt = A",
        "1 a.txt = B",
        "1 a.txt = C",
        "a (conflict, laptop, 2026-11-22).txt = C\na.txt = B",
    );
}

#[test]
fn a_copy_of_a_copy_is_named_as_one_of_the_original() {
    check(
        "1 a (conflict, desktop, 2026-11-20).txt = A",
        "1 a (conflict, desktop, 2026-11-20).txt = B",
        "1 a (conflict, desktop, 2026-11-20).txt = C",
        "a (conflict, desktop, 2026-11-20).txt = B\na (conflict, laptop, 2026-11-22).txt = C",
    );
}

#[test]
fn same_edit_is_no_conflict() {
    check("1 a = A", "1 a = B", "1 a = B", "a = B");
}

#[test]
fn local_edit_survives_remote_delete() {
    check("1 a = A", "", "1 a = B", "a = B");
}

#[test]
fn remote_edit_survives_local_delete() {
    check("1 a = A", "1 a = B", "", "a = B");
}

#[test]
fn deletes_travel_both_ways() {
    check(
        "1 a = A\n2 b = B\n3 d/\n4 d/c = C",
        "1 a = A\n3 d/\n4 d/c = C",
        "2 b = B",
        "",
    );
}

#[test]
fn edit_and_rename_both_apply() {
    check(
        "1 a = A\n2 b = B",
        "1 x = A\n2 b = C",
        "1 a = D\n2 y = B",
        "x = D\ny = C",
    );
}

#[test]
fn remote_place_wins_and_local_content_stays() {
    check(
        "1 a = A\n2 d/\n3 e/",
        "1 d/a = A".replace("1 d/a", "2 d/\n3 e/\n1 d/a").as_str(),
        "2 d/\n3 e/\n1 e/a = B",
        "d/\nd/a = B\ne/",
    );
}

#[test]
fn folders_moved_into_each_other_end_as_the_server_says() {
    check(
        "1 a/\n2 b/\n3 a/x = X",
        "2 b/\n1 b/a/\n3 b/a/x = X",
        "1 a/\n2 a/b/\n3 a/x = X",
        "b/\nb/a/\nb/a/x = X",
    );
}

#[test]
fn three_folders_moved_into_each_other_end_as_the_server_says() {
    check(
        "1 f/\n2 e/\n3 e/b/",
        "2 e/\n3 e/b/\n1 e/b/f/",
        "1 f/\n3 f/b/\n2 f/b/e/\n4 f/b/e/n = N",
        "e/\ne/b/\ne/b/f/\ne/n = N",
    );
}

#[test]
fn new_file_in_deleted_folder_keeps_the_folder() {
    check(
        "1 d/\n2 d/a = A",
        "",
        "1 d/\n2 d/a = A\n3 d/new = N",
        "d/\nd/new = N",
    );
}

#[test]
fn remote_new_file_in_locally_deleted_folder_keeps_the_folder() {
    check(
        "1 d/\n2 d/a = A",
        "1 d/\n2 d/a = A\n3 d/new = N",
        "",
        "d/\nd/new = N",
    );
}

#[test]
fn edit_deep_in_deleted_folders_keeps_them() {
    check(
        "1 d/\n2 d/e/\n3 d/e/a = A\n4 d/b = B",
        "",
        "1 d/\n2 d/e/\n3 d/e/a = C\n4 d/b = B",
        "d/\nd/e/\nd/e/a = C",
    );
}

#[test]
fn move_into_deleted_folder_keeps_the_folder() {
    check("1 d/\n2 a = A", "2 a = A", "1 d/\n2 d/a = A", "d/\nd/a = A");
}

#[test]
fn move_out_of_a_folder_that_is_deleted_here() {
    check(
        "1 d/\n2 d/a = A\n3 d/b = B",
        "1 d/\n2 d/a = A\n3 d/b = B",
        "2 a = A",
        "a = A",
    );
}

#[test]
fn equal_creations_are_one() {
    check(
        "",
        "1 a = A\n2 d/\n3 d/b = B",
        "4 a = A\n5 d/\n6 d/b = B",
        "a = A\nd/\nd/b = B",
    );
}

#[test]
fn different_creations_are_both_kept() {
    check(
        "",
        "1 a = A",
        "2 a = B",
        "a (conflict, laptop, 2026-11-22) = B\na = A",
    );
}

#[test]
fn folders_of_one_name_merge() {
    check("", "1 d/\n2 d/a = A", "3 d/\n4 d/b = B", "d/\nd/a = A\nd/b = B");
}

#[test]
fn folder_keeps_the_name_before_a_file() {
    check(
        "",
        "1 x = A",
        "2 x/\n3 x/b = B",
        "x (conflict, laptop, 2026-11-22) = A\nx/\nx/b = B",
    );
    check(
        "",
        "1 x/\n2 x/b = B",
        "3 x = A",
        "x (conflict, laptop, 2026-11-22) = A\nx/\nx/b = B",
    );
}

#[test]
fn case_twins_travel_under_two_names_and_keep_theirs_here() {
    let model = check(
        "1 readme = A",
        "1 readme = A",
        "1 readme = A\n2 README = B",
        "README (case conflict) = B\nreadme = A",
    );
    let names: Vec<&str> = model.disk_names.values().map(|name| name.as_str()).collect();
    assert_eq!(names, ["README"]);
}

#[test]
fn two_new_case_twins() {
    check(
        "",
        "",
        "1 readme = A\n2 README = B",
        "README = B\nreadme (case conflict) = A",
    );
}

#[test]
fn case_twin_from_the_server() {
    check(
        "",
        "1 readme = A",
        "2 README = B",
        "README (case conflict) = B\nreadme = A",
    );
}

#[test]
fn renames_by_case_alone() {
    check(
        "1 a = A\n2 b = B",
        "1 A = A\n2 b = B",
        "1 a = A\n2 B = B",
        "A = A\nB = B",
    );
}

#[test]
fn names_swapped_on_either_side() {
    check(
        "1 a = A\n2 b = B",
        "1 b = A\n2 a = B",
        "1 a = A\n2 b = B",
        "a = B\nb = A",
    );
    check(
        "1 a = A\n2 b = B",
        "1 a = A\n2 b = B",
        "1 b = A\n2 a = B",
        "a = B\nb = A",
    );
    check(
        "1 a = A\n2 b = B\n3 c = C",
        "1 b = A\n2 c = B\n3 a = C",
        "1 a = A\n2 b = B\n3 c = C",
        "a = C\nb = A\nc = B",
    );
}

#[test]
fn file_becomes_folder() {
    check("1 a = A", "1 a = A", "2 a/\n3 a/b = B", "a/\na/b = B");
    check("1 a = A", "2 a/\n3 a/b = B", "1 a = A", "a/\na/b = B");
}

#[test]
fn rename_over_another_file() {
    check("1 a = A\n2 b = B", "1 b = A", "1 a = A\n2 b = B", "b = A");
    check("1 a = A\n2 b = B", "1 a = A\n2 b = B", "1 b = A", "b = A");
}

#[test]
fn folder_rename_moves_one_node() {
    let mut model = {
        let synced = tree("1 d/\n2 d/a = A\n3 d/b = B", None, ascending);
        let local = tree("1 e/\n2 e/a = A\n3 e/b = B", Some(&synced), ascending);
        Model::new(synced.clone(), local, synced)
    };
    let plans = model.run();
    assert_eq!(
        plans.iter().map(|plan| plan.steps.len()).sum::<usize>(),
        1,
        "{plans:#?}"
    );
}

#[test]
fn deleting_a_folder_is_one_wish() {
    let synced = tree("1 d/\n2 d/a = A\n3 d/e/\n4 d/e/b = B", None, ascending);
    let mut model = Model::new(synced.clone(), Tree::new(), synced);
    let plans = model.run();
    assert_eq!(plans[0].steps.len(), 1, "{plans:#?}");
}

#[test]
fn exec_bit_travels_without_a_revision() {
    let model = check(
        "1 a = A\n2 b = B",
        "1 a* = A\n2 b = B",
        "1 a = A\n2 b* = B",
        "a* = A\nb* = B",
    );
    assert_eq!(
        model
            .remote
            .get(NodeId::new(1002).unwrap())
            .unwrap()
            .content_seq
            .get(),
        1
    );
}

#[test]
fn local_move_onto_a_name_that_the_server_gave_away() {
    check(
        "1 a = A",
        "1 a = A\n2 b = B",
        "1 b = A",
        "b (conflict, laptop, 2026-11-22) = A\nb = B",
    );
}

#[test]
fn a_file_moves_into_a_new_folder_that_takes_its_name() {
    check("1 b = B", "1 b = B", "2 b/\n1 b/a = B", "b/\nb/a = B");
    check("1 b = B", "2 b/\n1 b/a = B", "1 b = B", "b/\nb/a = B");
}

#[test]
fn a_file_leaves_a_folder_that_goes_and_takes_its_name() {
    check("1 b/\n2 b/x = X", "1 b/\n2 b/x = X", "2 b = X", "b = X");
    check("1 b/\n2 b/x = X", "2 b = X", "1 b/\n2 b/x = X", "b = X");
}

#[test]
fn what_goes_in_another_round_is_waited_for_and_not_renamed() {
    let synced = tree("1 a = A", None, ascending);
    let remote = tree("2 a/\n3 a/b = B", Some(&synced), ascending);
    let mut hood = Neighbourhood::whole(remote, synced.clone(), synced);
    hood.dirty.retain(|node| node.get() != ascending(1));
    let context = Context {
        device_name: "laptop",
        today: Date::of(Timestamp::from_millis(0)),
        names_taken: 0,
        make_way: true,
        fresh: &mut || panic!("nothing is made"),
    };
    assert_eq!(plan(&hood, context).steps, []);
}
