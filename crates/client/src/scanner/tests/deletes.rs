use std::io;

use super::fixture::{Device, MARKER, disk_path};
use crate::fs::Filesystem;
use crate::fs::faulty::Fault;
use crate::fs::root::tests::weak::Lacks;
use crate::scanner::{Brake, ProblemReason, ScanError};
use crate::state::LocalRow;

#[tokio::test]
async fn what_is_gone_is_removed_with_all_below() {
    let device = Device::new();
    device.folder("d/e");
    device.write("d/e/f", "x");
    device.write("g", "x");
    device.scan().await;
    std::fs::remove_dir_all(device.path("d")).unwrap();
    let report = device.hint(&["d/e"]).await;
    assert_eq!(report.changed, 1);
    assert_eq!(device.tree().await, ["g"]);
}

#[tokio::test]
async fn a_folder_that_got_the_inode_of_a_file_is_not_the_file() {
    let device = Device::new();
    device.write("a", "x");
    device.scan().await;
    device.remove("a");
    device.folder("a");
    let found = device.fs.metadata(&disk_path("a")).unwrap().unwrap();
    let row = device.row("a").await;
    device
        .put_row(LocalRow {
            fingerprint: found.fingerprint,
            ..row
        })
        .await;
    device.scan().await;
    assert_eq!(device.tree().await, ["a/"]);
}

#[tokio::test]
async fn a_vanished_root_deletes_nothing() {
    let device = Device::new();
    device.write("a", "x");
    device.scan().await;
    device.remove("a");
    device.rename(".cairn/root", ".cairn/elsewhere");
    let error = device.scanner().scan_all(Brake::On).await.unwrap_err();
    assert!(matches!(error, ScanError::RootGone(_)), "{error}");
    assert_eq!(device.tree().await, ["a"]);
}

#[tokio::test]
async fn a_root_that_vanishes_during_the_pass_deletes_nothing() {
    let device = Device::new();
    device.write("a", "x");
    device.scan().await;
    device.remove("a");
    let marker = device.path(".cairn/root");
    device.fs.inject(
        "list",
        Fault::Hook(Box::new(move || std::fs::remove_file(marker).unwrap())),
    );
    assert!(device.scanner().scan_all(Brake::On).await.is_err());
    assert_eq!(device.tree().await, ["a"]);
    device.write(".cairn/root", MARKER);
    device.scan().await;
    assert!(device.tree().await.is_empty());
}

#[tokio::test]
async fn an_unreadable_folder_keeps_what_is_known_of_it() {
    let device = Device::new();
    device.folder("d");
    device.write("d/f", "x");
    device.scan().await;
    device.remove("d/f");
    device.fs.inject("list", Fault::Hook(Box::new(|| {})));
    device
        .fs
        .inject("list", Fault::Before(io::ErrorKind::PermissionDenied));
    let report = device.scan().await;
    assert!(matches!(report.problems[0].reason, ProblemReason::Io(_)));
    assert_eq!(device.tree().await, ["d/", "d/f"]);
    device.scan().await;
    assert_eq!(device.tree().await, ["d/"]);
}

#[tokio::test]
async fn a_mass_deletion_is_held_until_it_is_confirmed() {
    let device = Device::new();
    device.folder("many/more");
    for index in 0..1_200 {
        device.write(&format!("many/more/{index}"), "");
    }
    device.write("other", "x");
    device.scan().await;
    std::fs::remove_dir_all(device.path("many")).unwrap();
    let report = device.scan().await;
    assert_eq!(report.held.map(|held| held.count), Some(1_202));
    assert!(device.find("many/more/7").await.is_some());
    let report = device.scanner().scan_all(Brake::Released).await.unwrap();
    assert_eq!(report.held, None);
    assert_eq!(device.tree().await, ["other"]);
}

#[tokio::test]
async fn a_name_missed_by_a_listing_is_looked_for_before_it_is_removed() {
    let device = Device::new();
    device.write("a", "x");
    device.scan().await;
    let (there, away) = (device.path("a"), device.path(".cairn/away"));
    let back = (away.clone(), there.clone());
    std::fs::rename(&there, &away).unwrap();
    device.fs.inject(
        "metadata",
        Fault::Hook(Box::new(move || std::fs::rename(back.0, back.1).unwrap())),
    );
    device.scan().await;
    assert_eq!(device.tree().await, ["a"]);
}

#[tokio::test]
async fn a_file_that_gave_way_to_a_folder_is_gone_though_a_second_look_fails() {
    let device = Device::new();
    device.write("a", "text");
    device.scan().await;
    let node = device.row("a").await.node;
    device.remove("a");
    device.folder("a");
    device.fs.inject("metadata", Fault::Before(io::ErrorKind::Other));
    device.scan().await;
    assert_ne!(device.row("a").await.node, node);
    assert_eq!(device.tree().await, ["a/"]);
}

/// Has the next look at a path find what `act` has made of it.
fn before_the_look(device: &Device, act: impl FnOnce() + Send + 'static) {
    device.fs.inject("metadata", Fault::Hook(Box::new(act)));
}

#[tokio::test]
async fn what_came_in_the_place_of_a_name_missed_by_a_listing_is_the_same_node() {
    for is_folder in [false, true] {
        let device = Device::new();
        let make = |path: &str, text: &str| match is_folder {
            true => device.folder(path),
            false => device.write(path, text),
        };
        make("a", "x");
        device.scan().await;
        let before = device.row("a").await;
        make(".cairn/new", "longer");
        device.rename("a", ".cairn/old");
        let (from, to) = (device.path(".cairn/new"), device.path("a"));
        before_the_look(&device, move || std::fs::rename(from, to).unwrap());
        let report = device.scan().await;
        assert_eq!(
            (report.busy, report.busy_small),
            (vec![disk_path("a")], vec![disk_path("a")])
        );
        assert_eq!(device.row("a").await, before);
        let report = device.scan().await;
        assert_eq!(report.busy_count, 0);
        let after = device.row("a").await;
        assert_eq!(after.node, before.node);
        assert_ne!(after.fingerprint.inode, before.fingerprint.inode);
    }
}

#[tokio::test]
async fn a_known_file_that_came_in_the_place_of_a_name_missed_by_a_listing_is_what_has_the_name() {
    let device = Device::new();
    device.write("a", "x");
    device.write("b", "longer");
    device.scan().await;
    let node = device.row("a").await.node;
    device.remove("a");
    device.rename("b", ".cairn/b");
    let (from, to) = (device.path(".cairn/b"), device.path("a"));
    before_the_look(&device, move || std::fs::rename(from, to).unwrap());
    device.scan().await;
    device.scan().await;
    let row = device.row("a").await;
    assert_eq!((row.node, row.fingerprint.size), (node, 6));
    assert_eq!(device.tree().await, ["a"]);
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_name_missed_by_a_listing_deletes_nothing() {
    let device = Device::new();
    device.write("a", "x");
    device.scan().await;
    device.pipe(".cairn/pipe");
    device.remove("a");
    let (from, to) = (device.path(".cairn/pipe"), device.path("a"));
    before_the_look(&device, move || std::fs::rename(from, to).unwrap());
    device.scan().await;
    assert_eq!(device.scan().await.problems[0].reason, ProblemReason::Special);
    assert_eq!(device.tree().await, ["a"]);
}

#[tokio::test]
async fn what_the_disk_lists_under_another_name_is_no_successor() {
    let device = Device::lacking(Lacks {
        case: true,
        ..Lacks::default()
    });
    device.write("a.SWP", "x");
    device.scan().await;
    assert_eq!(device.tree().await, ["a.SWP"]);
    // Left alone by a rule that is built in, and found under the old name.
    device.write("tmp", "longer");
    device.remove("a.SWP");
    device.rename("tmp", "a.swp");
    assert!(device.fs.metadata(&disk_path("a.SWP")).unwrap().is_some());
    let report = device.scan().await;
    assert_eq!((report.busy_count, report.ignored), (0, 1));
    assert!(device.tree().await.is_empty());
}
