//! The second look at what was displaced.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use cairn_core::ids::NodeId;

use super::fixture::{EntryExt, Side, entry};
use crate::applier::ApplyError;
use crate::fs::faulty::Fault;
use crate::state::inbox::{ConflictReason, Displaced, INBOX_ROWS};
use crate::state::{ClientState, StateBatch};

const COPY: &str = "a (conflict, laptop, 2100-01-01).txt";

/// A file that was replaced, and how to write to the old one.
async fn replaced(side: &Side) -> (NodeId, std::fs::File) {
    let (node, _) = side.synced_file("a.txt", "old").await;
    let open = OpenOptions::new()
        .append(true)
        .open(side.device.path("a.txt"))
        .unwrap();
    let wanted = entry("a.txt").holding("remote");
    side.stage("part-1", "remote", &wanted);
    side.applier()
        .replace_file(node, &wanted, "part-1", None)
        .await
        .unwrap();
    (node, open)
}

#[tokio::test]
async fn what_was_replaced_waits_ten_minutes_for_the_trash() {
    let side = Side::new();
    replaced(&side).await;
    side.assert_settled().await;
    assert_eq!(side.waiting().await.len(), 1);
    assert_eq!(side.applier().look_again().await.unwrap(), []);
    assert_eq!(side.waiting().await.len(), 1, "it is not due");
    // A crash and a start leave it where it is.
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    let wait = side.applier().next_look_ms().await.unwrap();
    assert_eq!(wait, Some(600_000));
    assert!(side.look_again_later().await.is_empty());
    assert_eq!(side.device.read(".cairn/trash/a.txt"), "old");
    assert!(side.waiting().await.is_empty());
    assert_eq!(side.applier().next_look_ms().await.unwrap(), None);
    side.assert_settled().await;
}

#[tokio::test]
async fn a_late_write_in_what_is_remembered_as_a_file_leaves_no_row_that_nothing_leads_to() {
    let side = Side::new();
    let (node, _) = side.synced_file("d/a.txt", "old").await;
    let mut open = OpenOptions::new()
        .append(true)
        .open(side.device.path("d/a.txt"))
        .unwrap();
    side.applier().remove(node).await.unwrap();
    open.write_all(b" and more").unwrap();
    // A file had taken the folder's place when the power failed, and the disk forgot that.
    let mut row = side.device.row("d").await;
    row.entry.substance = entry("d").holding("x").substance;
    side.device.put_row(row).await;
    let copy = format!("d/{COPY}");
    assert_eq!(side.look_again_later().await, [copy.as_str()]);
    side.device.scan().await;
    side.device.scanner().recheck_unsure().await.unwrap();
    let state = &side.device.state;
    let unsure = state.unsure(side.device.namespace, 10).await.unwrap();
    assert_eq!(unsure, [], "it would be looked for again and again");
    assert_eq!(side.device.read(&copy), "old and more");
    assert!(side.device.find(&copy).await.is_some());
}

#[tokio::test]
async fn what_a_program_writes_to_the_old_file_is_found_in_a_copy() {
    let side = Side::new();
    let (node, mut open) = replaced(&side).await;
    open.write_all(b" and more").unwrap();
    assert_eq!(side.look_again_later().await, [COPY]);
    assert_eq!(side.device.read(COPY), "old and more");
    assert_eq!(side.device.read("a.txt"), "remote");
    let conflicts = side.device.state.conflicts(side.device.namespace).await.unwrap();
    let [conflict] = conflicts.as_slice() else {
        panic!("{conflicts:?}")
    };
    assert_eq!(
        (conflict.original, conflict.reason),
        (node, ConflictReason::LateWrite)
    );
    assert_eq!(conflict.base.unwrap().size, 3);
    // The scan takes it for what it is now, under the id that the inbox knows.
    assert_eq!(side.device.scan().await.changed, 1);
    let row = side.device.row(COPY).await;
    assert_eq!(row.node, conflict.copy);
    assert_eq!(row.entry.substance, entry(COPY).holding("old and more").substance);
    side.assert_settled().await;
}

#[tokio::test]
async fn a_write_that_leaves_the_times_as_they_were_is_found_by_its_bytes() {
    let side = Side::new();
    let (_, mut open) = replaced(&side).await;
    let path = side.device.path(".cairn/stage").join(&side.waiting().await[0]);
    let before = std::fs::metadata(&path).unwrap();
    let mut whole = OpenOptions::new().write(true).open(&path).unwrap();
    whole.write_all(b"new").unwrap();
    whole.set_modified(before.modified().unwrap()).unwrap();
    open.flush().unwrap();
    assert_eq!(side.look_again_later().await, [COPY]);
    assert_eq!(side.device.read(COPY), "new");
}

#[tokio::test]
async fn a_write_between_look_and_swap_that_sets_the_times_back_is_found_by_its_bytes() {
    for removes in [false, true] {
        let side = Side::new();
        let (node, _) = side.synced_file("a.txt", "old").await;
        let path = side.device.path("a.txt");
        let write = move || {
            let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
            let mut file = OpenOptions::new().write(true).open(&path).unwrap();
            file.write_all(b"new").unwrap();
            file.set_modified(modified).unwrap();
        };
        let call = if removes { "displace" } else { "exchange" };
        side.device.fs.inject(call, Fault::Hook(Box::new(write)));
        if removes {
            side.applier().remove(node).await.unwrap();
        } else {
            let wanted = entry("a.txt").holding("remote");
            side.stage("part-1", "remote", &wanted);
            side.applier()
                .replace_file(node, &wanted, "part-1", None)
                .await
                .unwrap();
        }
        assert_eq!(side.look_again_later().await, [COPY]);
        assert_eq!(side.device.read(COPY), "new");
    }
}

#[tokio::test]
async fn a_removed_file_that_is_written_to_comes_back_beside() {
    let side = Side::new();
    let (node, _) = side.synced_file("docs/a.txt", "old").await;
    let mut open = OpenOptions::new()
        .append(true)
        .open(side.device.path("docs/a.txt"))
        .unwrap();
    side.applier().remove(node).await.unwrap();
    std::fs::remove_dir(side.device.path("docs")).unwrap();
    open.write_all(b"!").unwrap();
    assert_eq!(side.look_again_later().await, [COPY], "its folder is gone");
    assert_eq!(side.device.read(COPY), "old!");
    side.device.scan().await;
    side.assert_settled().await;
}

#[tokio::test]
async fn what_is_written_to_another_name_of_a_removed_file_is_no_copy() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "old").await;
    std::fs::hard_link(side.device.path("a.txt"), side.device.path("b.txt")).unwrap();
    side.device.scan().await;
    side.applier().remove(node).await.unwrap();
    side.device.write("b.txt", "new");
    assert!(side.look_again_later().await.is_empty());
    assert_eq!(side.device.read("b.txt"), "new");
    assert!(side.waiting().await.is_empty());

    // Once the other name is gone too, nothing but a copy has what is written.
    let (node, _) = side.synced_file("c.txt", "old").await;
    let link = side.device.path("d.txt");
    std::fs::hard_link(side.device.path("c.txt"), &link).unwrap();
    side.device.scan().await;
    side.applier().remove(node).await.unwrap();
    side.device.write("d.txt", "late");
    std::fs::remove_file(link).unwrap();
    let copies = side.look_again_later().await;
    assert_eq!(copies, ["c (conflict, laptop, 2100-01-01).txt"]);
    assert_eq!(side.device.read(&copies[0]), "late");
}

/// A file of two names, `a.txt` and `b.txt`, is replaced at the first.
async fn replaced_at_one_name(side: &Side) {
    let (node, _) = side.synced_file("a.txt", "old").await;
    std::fs::hard_link(side.device.path("a.txt"), side.device.path("b.txt")).unwrap();
    side.device.scan().await;
    let wanted = entry("a.txt").holding("new");
    side.stage("part-a", "new", &wanted);
    side.applier()
        .replace_file(node, &wanted, "part-a", None)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_was_written_to_another_name_that_was_removed_too_is_no_copy() {
    let side = Side::new();
    replaced_at_one_name(&side).await;
    side.device.write("b.txt", "written on");
    side.device.scan().await;
    let link = side.device.row("b.txt").await;
    side.applier().remove(link.node).await.unwrap();
    assert_eq!(side.waiting().await.len(), 2);
    assert!(side.look_again_later().await.is_empty());
    assert!(side.waiting().await.is_empty());
    assert_eq!(side.device.read("a.txt"), "new");
}

#[tokio::test]
async fn times_that_were_set_at_another_name_of_what_was_replaced_are_no_writing() {
    let side = Side::new();
    replaced_at_one_name(&side).await;
    let other = std::fs::File::open(side.device.path("b.txt")).unwrap();
    other.set_modified(std::time::UNIX_EPOCH).unwrap();
    std::fs::remove_file(side.device.path("b.txt")).unwrap();
    assert!(side.look_again_later().await.is_empty());
    assert!(side.waiting().await.is_empty());
}

#[tokio::test]
async fn one_content_after_another_of_one_node_waits_under_names_of_its_own() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "old").await;
    for text in ["one", "two", "one", "two"] {
        let wanted = entry("a.txt").holding(text);
        side.stage(&format!("part-{text}"), text, &wanted);
        side.applier()
            .replace_file(node, &wanted, &format!("part-{text}"), None)
            .await
            .unwrap();
    }
    assert_eq!(side.waiting().await.len(), 4);
    side.assert_settled().await;
    side.look_again_later().await;
    for trashed in ["a.txt", "a (2).txt", "a (3).txt", "a (4).txt"] {
        assert!(
            side.device.path(".cairn/trash").join(trashed).exists(),
            "{trashed}"
        );
    }
}

#[tokio::test]
async fn of_too_much_the_oldest_is_looked_at_early() {
    let side = Side::new();
    replaced(&side).await;
    let now = side.device.runtime.clock.now();
    let row = |n: usize| Displaced {
        staged: format!("gone-{n:05}"),
        since: now.plus_millis(1),
        size: 0,
        note: Vec::new(),
    };
    let batch = StateBatch {
        displaced: (0..INBOX_ROWS).map(row).collect(),
        ..StateBatch::default()
    };
    side.device
        .state
        .apply(side.device.namespace, batch)
        .await
        .unwrap();
    side.device.set_clock_ms(now.as_millis() + 2);
    side.applier().look_again().await.unwrap();
    assert_eq!(side.device.read(".cairn/trash/a.txt"), "old");
    let total = side.device.state.displaced_total(side.device.namespace).await;
    assert_eq!(total.unwrap().count, INBOX_ROWS as u64);
}

#[tokio::test]
async fn what_cannot_be_looked_at_holds_up_nothing_that_came_later() {
    for all in [false, true] {
        let side = Side::new();
        replaced(&side).await;
        let (node, _) = side.synced_file("b.txt", "other").await;
        side.applier().remove(node).await.unwrap();
        let both = side.waiting().await;
        assert_eq!(both.len(), 2);
        // Of two that were displaced at once the one with the lesser name comes first.
        let closed = Fault::Before(ErrorKind::PermissionDenied);
        side.device.fs.inject("open_staged", closed);
        if all {
            let looked = side.applier().look_again_at_all().await;
            assert!(matches!(looked, Err(ApplyError::Fs(_))), "{looked:?}");
        } else {
            assert!(side.look_again_later().await.is_empty());
            let wait = side.applier().next_look_ms().await.unwrap();
            assert_eq!(wait, Some(600_000), "it waits again");
        }
        assert_eq!(side.waiting().await, both[..1]);
        side.assert_settled().await;
        assert!(side.look_again_later().await.is_empty());
        assert_eq!(side.waiting().await, Vec::<String>::new());
        assert_eq!(side.device.read(".cairn/trash/a.txt"), "old");
        assert_eq!(side.device.read(".cairn/trash/b.txt"), "other");
    }
}
