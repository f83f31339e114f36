use std::fs::{OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use cairn_core::node::Place;

use super::fixture::{EntryExt, Side, entry};
use crate::applier::ApplyError;
use crate::fs::faulty::Fault;
use crate::scanner::tests::fixture::{disk_path, name};
use crate::state::LocalRow;

const CONFLICT: &str = "a (conflict, laptop, 2100-01-01).txt";

#[tokio::test]
async fn a_file_that_changed_before_the_look_is_left_alone() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "base").await;
    side.device.write("a.txt", "user's");
    let wanted = entry("a.txt").holding("remote");
    side.stage("s", "remote", &wanted);
    let replaced = side.applier().replace_file(node, &wanted, "s", None).await;
    assert!(matches!(replaced, Err(ApplyError::Changed { .. })));
    assert!(matches!(
        side.applier().remove(node).await,
        Err(ApplyError::Changed { .. })
    ));
    assert!(matches!(
        side.applier().set_attributes(node, &wanted).await,
        Err(ApplyError::Changed { .. })
    ));
    assert_eq!(side.device.read("a.txt"), "user's");
}

#[tokio::test]
async fn a_write_between_look_and_swap_is_kept_beside() {
    for keeps in [false, true] {
        let side = Side::new();
        let (node, _) = side.synced_file("a.txt", "base").await;
        let wanted = entry("a.txt").holding("remote");
        side.stage("s", "remote", &wanted);
        let path = side.device.path("a.txt");
        side.device.fs.inject(
            "exchange",
            Fault::Hook(Box::new(move || std::fs::write(path, "last moment").unwrap())),
        );
        let keep = keeps.then(|| (side.node(), name("kept.txt")));
        side.applier()
            .replace_file(node, &wanted, "s", keep)
            .await
            .unwrap();
        assert_eq!(side.device.read("a.txt"), "remote");
        assert_eq!(side.device.read(CONFLICT), "last moment");
        side.assert_settled().await;
        let report = side.device.scan().await;
        assert_eq!(report.changed, 1);
        assert_ne!(side.device.row(CONFLICT).await.node, node);
        assert_eq!(side.device.row("a.txt").await.node, node);
    }
}

#[tokio::test]
async fn a_copy_whose_name_the_disk_cannot_hold_gets_a_shorter_one() {
    for keeps in [false, true] {
        let side = Side::new();
        let long = format!("{}.txt", "é".repeat(70));
        let (node, _) = side.synced_file(&long, "mine").await;
        let wanted = entry(&long).holding("remote");
        side.stage("s", "remote", &wanted);
        if !keeps {
            let path = side.device.path(&long);
            let write = move || std::fs::write(path, "mine, written again").unwrap();
            side.device.fs.inject("exchange", Fault::Hook(Box::new(write)));
        }
        let no_name = Fault::Before(io::ErrorKind::InvalidFilename);
        side.device.fs.inject("place", no_name);
        let copy = side.node();
        let keep = keeps.then(|| (copy, name(&format!("{} kept.txt", "é".repeat(70)))));
        side.applier()
            .replace_file(node, &wanted, "s", keep)
            .await
            .unwrap();
        side.assert_settled().await;
        assert_eq!(side.device.read(&long), "remote");
        let short = format!("{} (conflict, laptop, 2100-01-01).txt", "é".repeat(42));
        assert!(side.device.read(&short).starts_with("mine"));
        assert_eq!(side.device.scan().await.changed, u64::from(!keeps));
        assert_eq!(side.device.row(&short).await.node == copy, keeps);
    }
}

#[tokio::test]
async fn a_file_replaced_by_a_folder_in_the_last_moment_is_kept_beside() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "base").await;
    let wanted = entry("a.txt").holding("remote");
    side.stage("s", "remote", &wanted);
    let path = side.device.path("a.txt");
    let hook = move || {
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("inside"), "deep").unwrap();
    };
    side.device.fs.inject("exchange", Fault::Hook(Box::new(hook)));
    side.applier()
        .replace_file(node, &wanted, "s", None)
        .await
        .unwrap();
    assert_eq!(side.device.read(&format!("{CONFLICT}/inside")), "deep");
    assert_eq!(side.device.read("a.txt"), "remote");
}

#[tokio::test]
async fn a_write_between_look_and_removal_puts_the_file_back() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "base").await;
    let path = side.device.path("a.txt");
    side.device.fs.inject(
        "displace",
        Fault::Hook(Box::new(move || std::fs::write(path, "last moment").unwrap())),
    );
    assert!(matches!(
        side.applier().remove(node).await,
        Err(ApplyError::Changed { .. })
    ));
    assert_eq!(side.device.read("a.txt"), "last moment");
    side.assert_settled().await;
    side.device.scan().await;
    assert_eq!(side.device.row("a.txt").await.node, node);
}

#[tokio::test]
async fn a_write_during_a_move_is_seen_by_the_next_scan() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "base").await;
    let path = side.device.path("a");
    side.device.fs.inject(
        "rename",
        Fault::Hook(Box::new(move || std::fs::write(path, "longer").unwrap())),
    );
    let place = Place {
        parent: cairn_core::ids::NodeId::ROOT,
        name: name("b"),
    };
    side.applier().rename(node, &place).await.unwrap();
    assert_eq!(side.device.scan().await.hashed, 1);
    assert_eq!(side.local(node).await.fingerprint.size, 6);
}

#[tokio::test]
async fn an_unsure_file_is_not_replaced() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "base").await;
    let sure = side.local(node).await;
    let mut row = sure.clone();
    row.is_unsure = true;
    row.entry.substance = entry("a").holding("good").substance;
    side.device.put_row(row).await;
    let wanted = entry("a").holding("remote");
    side.stage("s", "remote", &wanted);
    let replaced = side.applier().replace_file(node, &wanted, "s", None).await;
    assert!(matches!(replaced, Err(ApplyError::Changed { .. })));

    // One that turns out to hold what it should is.
    let row = LocalRow {
        is_unsure: true,
        ..sure
    };
    side.device.put_row(row).await;
    side.applier()
        .replace_file(node, &wanted, "s", None)
        .await
        .unwrap();
    assert_eq!(side.device.read("a"), "remote");
}

#[tokio::test]
async fn a_file_whose_tick_a_clock_shows_again_is_read_before_it_is_replaced() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "base").await;
    let mut row = side.local(node).await;
    row.entry.substance = entry("a").holding("good").substance;
    let ctime = row.fingerprint.ctime;
    side.device.put_row(row).await;
    side.device
        .set_clock_ms(ctime.seconds * 1_000 + i64::from(ctime.nanos) / 1_000_000);
    let wanted = entry("a").holding("remote");
    side.stage("s", "remote", &wanted);
    let replaced = side.applier().replace_file(node, &wanted, "s", None).await;
    assert!(matches!(replaced, Err(ApplyError::Changed { .. })));
    assert_eq!(side.device.read("a"), "base");
}

/// Writes to a file and sets its modification time back, or makes it executable.
fn touch_up(path: &Path, is_write: bool) {
    if !is_write {
        std::fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        return;
    }
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.write_all(b"patched").unwrap();
    file.set_modified(modified).unwrap();
}

#[tokio::test]
async fn what_is_done_to_a_file_right_after_it_was_moved_is_found() {
    for (step, is_write) in [("place", true), ("replace", true), ("rename", true)]
        .into_iter()
        .chain([("place", false), ("replace", false), ("rename", false)])
    {
        let side = Side::new();
        let applier = side.applier();
        let path = side.device.path("a");
        let hook = move || Fault::Hook(Box::new(move || touch_up(&path, is_write)));
        let look = || Fault::Hook(Box::new(|| ()));
        let wanted = entry("a").holding("arrived");
        let node = match step {
            "place" => {
                side.stage("s", "arrived", &wanted);
                side.device.fs.inject("metadata", look());
                side.device.fs.inject("metadata", hook());
                let node = side.node();
                applier.place_file(node, &wanted, "s").await.unwrap();
                node
            }
            "replace" => {
                let (node, _) = side.synced_file("a", "base").await;
                side.stage("s", "arrived", &wanted);
                side.device.fs.inject("metadata", look());
                side.device.fs.inject("metadata", hook());
                applier.replace_file(node, &wanted, "s", None).await.unwrap();
                node
            }
            _ => {
                let (node, _) = side.synced_file("b", "arrived").await;
                side.device.fs.inject("metadata", look());
                side.device.fs.inject("metadata", hook());
                applier.rename(node, &wanted.place).await.unwrap();
                node
            }
        };
        assert_eq!(
            side.device.read("a"),
            if is_write { "patched" } else { "arrived" }
        );
        assert_eq!(side.device.scan().await.changed, 1, "{step}");
        let local = side.local(node).await.entry;
        let found = if is_write { "patched" } else { "arrived" };
        assert_eq!(local.substance, entry("a").holding(found).substance, "{step}");
        assert_eq!(local.attributes.executable, !is_write, "{step}");
    }
}

#[tokio::test]
async fn a_full_disk_changes_nothing() {
    let side = Side::new();
    let (node, base) = side.synced_file("a", "base").await;
    let full = || Fault::Before(io::ErrorKind::StorageFull);
    let mut link = entry("link");
    link.substance = cairn_core::tree::Substance::Symlink(cairn_core::node::LinkTarget::new("a").unwrap());
    side.device.fs.inject("stage_link", full());
    let error = side.applier().place_link(side.node(), &link).await.unwrap_err();
    assert!(matches!(error, ApplyError::Fs(error) if error.is_full()));

    let wanted = entry("a").holding("remote");
    side.stage("s", "remote", &wanted);
    side.device.fs.inject("exchange", full());
    assert!(
        side.applier()
            .replace_file(node, &wanted, "s", None)
            .await
            .is_err()
    );
    side.device.fs.inject("displace", full());
    assert!(side.applier().remove(node).await.is_err());
    assert_eq!(side.device.read("a"), "base");
    assert_eq!(side.synced(node).await, Some(base));
    side.assert_settled().await;
    assert_eq!(side.device.scan().await.changed, 0);
}

#[tokio::test]
async fn two_that_stand_in_each_others_way_trade_their_names() {
    let side = Side::new();
    let (holder, _) = side.synced_file("Notes.md", "ours").await;
    let (comer, _) = side.synced_file("Notes (case conflict).md", "theirs").await;
    let mut row = side.local(holder).await;
    row.disk_name = Some("Notes.md".to_owned());
    row.entry.place.name = name("Notes (case conflict).md");
    side.device.put_row(row).await;
    let wanted = entry("Notes.md").place;
    let moved = side.applier().rename(comer, &wanted).await;
    assert!(matches!(moved, Err(ApplyError::Changed { .. })));
    assert!(
        side.applier()
            .make_room(comer, &disk_path("Notes.md"))
            .await
            .unwrap()
    );
    assert_eq!(side.device.scan().await.changed, 0, "nothing of it is the user's");
    side.applier().rename(comer, &wanted).await.unwrap();
    assert_eq!(side.device.read("Notes.md"), "theirs");
    assert_eq!(side.device.read("Notes (case conflict).md"), "ours");
    assert_eq!(side.device.row("Notes.md").await.node, comer);
    assert_eq!(side.device.row("Notes (case conflict).md").await.node, holder);
    side.assert_settled().await;
}

#[tokio::test]
async fn a_name_kept_on_this_disk_alone_gives_way_to_who_comes_with_it() {
    let side = Side::new();
    let (node, _) = side.synced_file("Notes.md", "ours").await;
    let mut row = side.local(node).await;
    row.disk_name = Some("Notes.md".to_owned());
    row.entry.place.name = name("Notes (case conflict).md");
    side.device.put_row(row).await;
    let wanted = entry("Notes.md").holding("theirs");
    let (newcomer, path) = (side.node(), disk_path("Notes.md"));
    side.stage("s", "theirs", &wanted);
    let placed = side.applier().place_file(newcomer, &wanted, "s").await;
    assert!(matches!(placed, Err(ApplyError::Changed { .. })));
    assert!(side.applier().make_room(newcomer, &path).await.unwrap());
    side.applier().place_file(newcomer, &wanted, "s").await.unwrap();
    assert_eq!(side.device.read("Notes.md"), "theirs");
    assert_eq!(side.device.read("Notes (case conflict).md"), "ours");
    assert_eq!(side.device.row("Notes (case conflict).md").await.node, node);
    assert!(
        !side.applier().make_room(node, &path).await.unwrap(),
        "it is at home"
    );
    assert_eq!(side.device.scan().await.changed, 0);
    side.assert_settled().await;
}

#[tokio::test]
async fn a_folder_that_the_disk_spells_otherwise_is_not_taken_for_another_node() {
    let side = Side::new();
    let node = side.node();
    side.applier()
        .create_folder(node, &entry("\u{c9}t\u{e9}").folder())
        .await
        .unwrap();
    // As a disk lists it that keeps names decomposed.
    let mut row = side.local(node).await;
    row.disk_name = Some("E\u{301}te\u{301}".to_owned());
    row.entry.place.name = name("\u{c9}t\u{e9} (case conflict)");
    side.device.put_row(row).await;
    let newcomer = side.node();
    let made = side
        .applier()
        .create_folder(newcomer, &entry("\u{c9}t\u{e9}").folder())
        .await;
    assert!(matches!(made, Err(ApplyError::Changed { .. })), "{made:?}");
}

#[tokio::test]
async fn attributes_that_somebody_sets_meanwhile_are_seen() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "1").await;
    let before = side.local(node).await;
    let wanted = entry("a").holding("1").executable();
    // The first look is the one before; after each of the two attempts another time is found.
    side.device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
    for seconds in [1_000, 2_000] {
        let path = side.device.path("a");
        let touch = move || {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
        };
        side.device.fs.inject("metadata", Fault::Hook(Box::new(touch)));
    }
    let error = side.applier().set_attributes(node, &wanted).await.unwrap_err();
    assert!(matches!(error, ApplyError::Changed { .. }));
    assert_eq!(side.local(node).await, before);
    assert_eq!(side.device.scan().await.changed, 1);
    assert_eq!(side.local(node).await.entry.attributes.mtime.seconds, 2_000);
}
