//! A device that was unlinked deletes what it keeps.

use cairn_core::rev::Seq;

use super::parts;
use crate::daemon::{Daemon, DaemonError};
use crate::fs::Filesystem;
use crate::fs::faulty::Fault;
use crate::scanner::tests::fixture::{Device, MARKER};
use crate::state::{ClientState, StateBatch, TreeChange};
use crate::wipe::WipeReport;

/// A device whose files are in sync as they are.
async fn synced(files: &[&str]) -> Device {
    let device = Device::new();
    for file in files {
        if let Some((folder, _)) = file.rsplit_once('/') {
            device.folder(folder);
        }
        device.write(file, file);
    }
    device.scan().await;
    let mut changes = Vec::new();
    for path in device.tree().await {
        let row = device.row(path.trim_end_matches(['/', '@'])).await;
        let mut entry = row.entry;
        (entry.place_seq, entry.content_seq) = (Seq::new(1).unwrap(), Seq::new(1).unwrap());
        changes.push(TreeChange::Put(row.node, entry));
    }
    let batch = StateBatch {
        remote: changes.clone(),
        synced: changes,
        ..StateBatch::default()
    };
    device.state.apply(device.namespace, batch).await.unwrap();
    device
}

async fn wipe(device: &Device, everything: bool) -> Result<WipeReport, DaemonError> {
    let parts = parts(device, Vec::new());
    device
        .state
        .set_setting("root-marker", Some(MARKER))
        .await
        .unwrap();
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    let report = daemon.wipe_folder(everything).await;
    assert_eq!(daemon.folder_marker().await.unwrap().as_deref(), Some(MARKER));
    report
}

const fn report(removed: u64, unsent: u64, is_kept: bool) -> WipeReport {
    WipeReport {
        removed,
        unsent,
        is_kept,
    }
}

#[tokio::test]
async fn what_the_server_has_goes_and_all_else_stays() {
    let device = synced(&["a", "folder/b", "folder/deep/c", "changed", "hidden", "mixed/d"]).await;
    device.write("never sent", "x");
    device.write("mixed/never sent", "x");
    device.write("changed", "since");
    // As long, and as old: only reading tells.
    let before = device.row("hidden").await.fingerprint.mtime;
    device.write("hidden", "HIDDEN");
    device.set_mtime("hidden", before.seconds, i64::from(before.nanos));
    assert_eq!(wipe(&device, false).await.unwrap(), report(4, 4, true));
    for gone in ["a", "folder", "mixed/d"] {
        assert!(!device.exists(gone), "{gone}");
    }
    assert_eq!(device.read("changed"), "since");
    assert_eq!(device.read("hidden"), "HIDDEN");
    assert_eq!(device.read("never sent") + &device.read("mixed/never sent"), "xx");
    device.fs.disown().unwrap();
    assert!(!device.exists(".cairn"));
    assert_eq!(device.read("changed"), "since");
}

#[tokio::test]
async fn everything_goes_and_no_link_is_followed() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("mine"), "x").unwrap();
    let device = synced(&["a", "folder/b"]).await;
    device.write("never sent", "x");
    device.folder("unknown/deep");
    device.write("unknown/deep/file", "x");
    for link in ["link", "folder/link"] {
        device.link(link, outside.path().to_str().unwrap());
    }
    device.raw_link("folder/\u{fffd}", b"\xff");
    assert_eq!(wipe(&device, true).await.unwrap(), report(2, 5, false));
    let left: Vec<_> = std::fs::read_dir(device.path("")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing but what is ours: {left:?}");
    assert!(outside.path().join("mine").exists());
}

#[tokio::test]
async fn a_wipe_that_was_cut_goes_on() {
    for everything in [false, true] {
        let device = synced(&["a", "b", "folder/c"]).await;
        device.write("never sent", "x");
        let call = if everything { "clear" } else { "displace" };
        device
            .fs
            .inject(call, Fault::Before(std::io::ErrorKind::PermissionDenied));
        let first = wipe(&device, everything).await.unwrap();
        assert!(first.is_kept, "{first:?}");
        let second = wipe(&device, everything).await.unwrap();
        assert!(!device.exists("a") && !device.exists("b") && !device.exists("folder"));
        assert_eq!(device.exists("never sent"), !everything);
        assert_eq!((second.unsent, second.is_kept), (1, !everything));
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_kept() {
    let device = synced(&["folder/b"]).await;
    let closed = || Fault::Before(std::io::ErrorKind::PermissionDenied);
    device.fs.inject("clear", closed());
    // Root and folder before, and the root after.
    for _ in 0..3 {
        device.fs.inject("list", Fault::Hook(Box::new(|| ())));
    }
    device.fs.inject("list", closed());
    assert!(wipe(&device, true).await.unwrap().is_kept);
    assert!(device.exists("folder/b"));
}

#[tokio::test]
async fn what_was_written_to_a_displaced_file_stays() {
    let device = synced(&["a"]).await;
    // A program that has the file open writes to it after it has left its place.
    let mut open = std::fs::File::options()
        .append(true)
        .open(device.path("a"))
        .unwrap();
    let hook = move || {
        std::io::Write::write_all(&mut open, b" and more").unwrap();
    };
    // The first look at it is too early to see that.
    device.fs.inject("staged", Fault::Hook(Box::new(|| ())));
    device.fs.inject("staged", Fault::Hook(Box::new(hook)));
    let report = wipe(&device, false).await.unwrap();
    assert_eq!((report.unsent, report.is_kept), (1, true));
    let copy = std::fs::read_dir(device.path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .find(|name| name != ".cairn")
        .unwrap();
    assert_eq!(device.read(&copy), "a and more");
}

#[tokio::test]
async fn another_folder_at_its_place_is_left_alone() {
    let device = synced(&["a"]).await;
    device.fs.adopt_root("another").unwrap();
    let parts = parts(&device, Vec::new());
    device
        .state
        .set_setting("root-marker", Some(MARKER))
        .await
        .unwrap();
    let refused = Daemon::assemble(parts, device.runtime.clone()).await;
    assert!(matches!(refused, Err(DaemonError::FolderGone { .. })));
    assert!(device.exists("a"));
}
