use super::fixture::{Device, name};
use crate::fs::{DirectoryEntry, DiskPath, FileKind, Filesystem};
use crate::scanner::matching::{Listed, match_folder};
use crate::state::ClientState;
use std::collections::HashSet;

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

#[tokio::test]
async fn a_name_that_the_disk_decomposes_is_no_change() {
    let device = Device::new();
    device.write(COMPOSED, "x");
    device.folder("\u{f6}");
    device.write("\u{f6}/f", "y");
    device.scan().await;
    let node = device.row(COMPOSED).await.node;
    device.rename(COMPOSED, DECOMPOSED);
    device.rename("\u{f6}", "o\u{308}");
    for reads in [1, 0] {
        let report = device.scan().await;
        // Here it was a rename that changed the spelling, and renames set the change time.
        assert_eq!((report.changed, report.hashed), (0, reads));
        let row = device.row(DECOMPOSED).await;
        assert_eq!(row.node, node);
        assert_eq!(row.entry.place.name.as_str(), COMPOSED);
        assert_eq!(row.disk_name.as_deref(), Some(DECOMPOSED));
        assert!(device.find("o\u{308}/f").await.is_some());
    }

    // New bytes under the same name by way of a temporary file, and a move: still the name that it had.
    device.write("tmp", "longer");
    device.rename("tmp", DECOMPOSED);
    assert_eq!(device.scan().await.changed, 1);
    device.rename(DECOMPOSED, &format!("o\u{308}/{DECOMPOSED}"));
    assert_eq!(device.scan().await.changed, 1);
    let row = device.row(&format!("o\u{308}/{DECOMPOSED}")).await;
    assert_eq!((row.node, row.entry.place.name.as_str()), (node, COMPOSED));
}

#[tokio::test]
async fn a_file_saved_before_the_disks_spelling_was_seen_is_the_old_node() {
    let device = Device::new();
    device.write(COMPOSED, "x");
    device.scan().await;
    let node = device.row(COMPOSED).await.node;
    device.write("tmp", "longer");
    device.remove(COMPOSED);
    device.rename("tmp", DECOMPOSED);
    assert_eq!(device.scan().await.changed, 1);
    let row = device.row(DECOMPOSED).await;
    assert_eq!((row.node, row.entry.place.name.as_str()), (node, COMPOSED));
}

#[tokio::test]
async fn two_files_that_only_normalisation_tells_apart_are_two() {
    let device = Device::new();
    device.write(COMPOSED, "x");
    device.scan().await;
    let node = device.row(COMPOSED).await.node;
    device.write(DECOMPOSED, "y");
    device.scan().await;
    assert_eq!(device.row(COMPOSED).await.node, node);
    assert_ne!(device.row(DECOMPOSED).await.node, node);
}

#[tokio::test]
async fn a_file_that_took_a_decomposed_name_after_its_owner_went_is_itself() {
    for is_folder in [false, true] {
        let device = Device::new();
        let make = |name: &str| match is_folder {
            true => device.folder(name),
            false => device.write(name, name),
        };
        make(DECOMPOSED);
        make("new");
        device.scan().await;
        let (old, mut new) = (device.row(DECOMPOSED).await, device.row("new").await);
        // The user renames the old one, and the new one comes to its name in another spelling, as the disk lists it.
        device.rename(DECOMPOSED, "CAFE\u{301}");
        device.rename("new", DECOMPOSED);
        new.entry.place.name = name(COMPOSED);
        device.put_row(new.clone()).await;
        device.scan().await;
        assert_eq!(device.row(DECOMPOSED).await.node, new.node);
        assert_eq!(device.row("CAFE\u{301}").await.node, old.node);
        assert_eq!(device.tree().await.len(), 2);
    }
}

#[tokio::test]
async fn another_case_of_the_same_file_is_a_rename_though_the_old_name_still_finds_it() {
    let device = Device::new();
    device.write("readme", "x");
    device.folder("folder");
    device.scan().await;
    device.rename("readme", "README");
    device.rename("folder", "Folder");
    let listed = device
        .fs
        .list(&DiskPath::root())
        .unwrap()
        .into_iter()
        .map(|entry| match entry {
            DirectoryEntry::Named { name, metadata } => match metadata.kind {
                FileKind::Node(kind) => Listed { name, kind, metadata },
                other => panic!("{other:?}"),
            },
            DirectoryEntry::Unreadable { shown, .. } => panic!("{shown}"),
        });
    let rows = device
        .state
        .local_children(device.namespace, cairn_core::ids::NodeId::ROOT)
        .await
        .unwrap();
    let matched = match_folder(listed.collect(), rows, &HashSet::new());
    let renamed: Vec<_> = matched
        .renamed
        .iter()
        .map(|(item, row)| (row.name_on_disk(), item.name.as_str()))
        .collect();
    assert_eq!(renamed, [("folder", "Folder"), ("readme", "README")]);
    assert!(matched.fresh.is_empty() && matched.missing.is_empty());
}
