//! A machine that loses power, with a commit in flight or right after one.

use std::sync::Arc;

use super::listing::{cursor, nothing_new};
use super::{Daemon, Device, FakeRemote, parts};
use crate::daemon::{DaemonError, DaemonParts};
use crate::state::ClientState;

/// One life of the daemon: it syncs once.
async fn life(device: &Device, remote: &Arc<FakeRemote>) -> Result<(), DaemonError> {
    let parts = DaemonParts {
        remote: Arc::clone(remote) as _,
        ..parts(device, Vec::new())
    };
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    daemon.run_once().await.map(drop)
}

/// A device with one file, which the server has.
async fn sent(path: &str, text: &str) -> (Device, Arc<FakeRemote>) {
    let device = Device::new();
    if let Some((folder, _)) = path.rsplit_once('/') {
        device.folder(folder);
    }
    let remote = Arc::new(FakeRemote::default());
    remote.faults(|says| says.changes = [nothing_new(cursor(&device, 1, 0))].into());
    device.write(path, text);
    life(&device, &remote).await.unwrap();
    (device, remote)
}

/// A file is on the server, its replacement in flight, and the disk has what it had before, or what was written to that.
async fn set_back(written: Option<&str>) -> (Device, Arc<FakeRemote>) {
    let (device, remote) = sent("f", "one").await;
    let outside = tempfile::tempdir_in(device.path("").parent().unwrap()).unwrap();
    let (old, new) = (outside.path().join("old"), outside.path().join("new"));
    std::fs::hard_link(device.path("f"), &old).unwrap();
    std::fs::write(&new, "two").unwrap();
    std::fs::rename(&new, device.path("f")).unwrap();
    remote.faults(|says| says.loses_reply = true);
    let cut = life(&device, &remote).await;
    assert!(matches!(cut, Err(DaemonError::Remote(_))), "{cut:?}");
    if let Some(written) = written {
        std::fs::write(&old, written).unwrap();
    }
    std::fs::rename(&old, device.path("f")).unwrap();
    (device, remote)
}

/// The machine was off: the disk may have lost what was written last.
async fn has_lost_power(device: &Device) {
    has_lost_power_since(device, 0, device.runtime.clock.now().as_millis()).await;
}

/// The same; what was written since `ms` may be lost, and the clock showed `seen_ms` when it was looked at last.
async fn has_lost_power_since(device: &Device, ms: i64, seen_ms: i64) {
    let beat = format!("{ms} {seen_ms} {ms}");
    let running = device.state.set_setting("running-at", Some(&beat)).await;
    running.unwrap();
    let setting = device.state.set_setting("reread-in", Some("another")).await;
    setting.unwrap();
}

#[tokio::test]
async fn what_was_set_back_is_no_edit_of_what_was_in_flight() {
    let (device, remote) = set_back(None).await;
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("f"), "two");
    assert_eq!(remote.commits().len(), 2);
}

/// A file got the bytes of another one, that is in flight, and the power takes it back.
#[tokio::test]
async fn what_was_replaced_by_what_stands_elsewhere_is_kept_when_power_took_that_back() {
    let (device, remote) = sent("f", "one").await;
    device.write("g", "two");
    life(&device, &remote).await.unwrap();
    let outside = tempfile::tempdir_in(device.path("").parent().unwrap()).unwrap();
    let (old, new) = (outside.path().join("old"), outside.path().join("new"));
    std::fs::rename(device.path("f"), &old).unwrap();
    std::fs::copy(device.path("g"), &new).unwrap();
    std::fs::rename(&new, device.path("f")).unwrap();
    remote.faults(|says| says.loses_reply = true);
    life(&device, &remote).await.unwrap_err();
    std::fs::rename(&old, device.path("f")).unwrap();
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    let tree = device.tree().await;
    let copy = tree.iter().find(|name| name.contains("conflict")).unwrap();
    assert_eq!(tree.len(), 3);
    assert_eq!(device.read(copy), "one");
    assert_eq!((device.read("f"), device.read("g")), ("two".into(), "two".into()));
}

#[tokio::test]
async fn what_was_taken_back_while_the_machine_ran_on_is_an_edit() {
    let (device, remote) = set_back(None).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("f"), "one");
    assert_eq!(remote.commits().len(), 3);
}

#[tokio::test]
async fn what_was_set_back_to_what_nobody_has_sent_stays_beside_what_was_in_flight() {
    // Once the server answers at once, and once not before another life.
    for lives in [1, 2] {
        let (device, remote) = set_back(Some("one, and more")).await;
        has_lost_power(&device).await;
        if lives > 1 {
            remote.faults(|says| says.loses_commit = true);
            life(&device, &remote).await.unwrap_err();
        }
        life(&device, &remote).await.unwrap();
        assert_eq!(device.read("f"), "two");
        let names = std::fs::read_dir(device.path("")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let copy = names.into_iter().find(|name| name.contains("conflict")).unwrap();
        assert_eq!(device.read(&copy), "one, and more");
    }
}

#[tokio::test]
async fn what_was_written_on_after_it_was_sent_is_an_edit() {
    let (device, remote) = sent("f", "one").await;
    device.write("f", "one, two");
    remote.faults(|says| says.loses_reply = true);
    life(&device, &remote).await.unwrap_err();
    device.write("f", "one, two, three");
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.tree().await, ["f"]);
    assert_eq!(device.read("f"), "one, two, three");
    assert_eq!(remote.commits().len(), 3);
}

#[tokio::test]
async fn what_is_gone_after_a_loss_of_power_is_no_deletion_of_what_was_in_flight() {
    let (device, remote) = set_back(None).await;
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("f"), "two");
    assert_eq!(remote.commits().len(), 2);
}

#[tokio::test]
async fn what_was_made_and_sent_is_not_deleted_when_power_took_it_away() {
    let (device, remote) = sent("kept", "here").await;
    device.write("f", "one");
    remote.faults(|says| says.loses_reply = true);
    life(&device, &remote).await.unwrap_err();
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("f"), "one");
    assert_eq!(remote.commits().len(), 2);
}

/// A folder with a file is made and sent, and the reply is lost.
async fn folder_in_flight() -> (Device, Arc<FakeRemote>) {
    let (device, remote) = sent("kept", "here").await;
    device.folder("d");
    device.write("d/f", "one");
    remote.faults(|says| says.loses_reply = true);
    life(&device, &remote).await.unwrap_err();
    std::fs::remove_dir_all(device.path("d")).unwrap();
    (device, remote)
}

#[tokio::test]
async fn a_folder_that_was_made_and_sent_is_not_deleted_when_power_took_it_away() {
    let (device, remote) = folder_in_flight().await;
    forget_names(&device);
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("d/f"), "one");
    assert_eq!(remote.commits().len(), 2);
}

/// The root is what it was long ago.
fn forget_names(device: &Device) {
    changed_at(device, 0);
}

/// A name came to the root, or left it, at this second after 1970.
fn changed_at(device: &Device, seconds: u64) {
    let root = std::fs::File::open(device.path("")).unwrap();
    let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    root.set_modified(moment).unwrap();
}

#[tokio::test]
async fn what_was_sent_and_is_gone_with_the_power_comes_back() {
    let (device, remote) = sent("d/f", "one").await;
    std::fs::remove_dir_all(device.path("d")).unwrap();
    forget_names(&device);
    has_lost_power(&device).await;
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("d/f"), "one");
    assert_eq!(remote.commits().len(), 1);
    // That once, and not when it is deleted.
    std::fs::remove_dir_all(device.path("d")).unwrap();
    forget_names(&device);
    deletes(&device, &remote).await;
}

#[tokio::test]
async fn what_was_gone_with_the_power_comes_back_in_a_later_life() {
    let (device, remote) = sent("f", "one").await;
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    has_lost_power(&device).await;
    // A life that ends before it has looked at anything.
    let parts = DaemonParts {
        remote: Arc::clone(&remote) as _,
        ..parts(&device, Vec::new())
    };
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    assert!(daemon.reread_after_start().await);
    drop(daemon);
    life(&device, &remote).await.unwrap();
    assert_eq!(device.read("f"), "one");
}

/// The next life deletes from the server the one file that is gone.
async fn deletes(device: &Device, remote: &Arc<FakeRemote>) {
    life(device, remote).await.unwrap();
    assert!(device.tree().await.is_empty());
    assert_eq!(remote.commits().len(), 2);
}

#[tokio::test]
async fn what_stood_long_before_a_loss_of_power_and_is_gone_was_deleted() {
    let (device, remote) = sent("f", "one").await;
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    let now = device.runtime.clock.now().as_millis();
    has_lost_power_since(&device, now, now).await;
    deletes(&device, &remote).await;
}

#[tokio::test]
async fn what_is_gone_from_a_folder_that_was_changed_since_was_deleted() {
    let (device, remote) = sent("f", "one").await;
    std::fs::remove_file(device.path("f")).unwrap();
    // As late as can be.
    changed_at(&device, u64::from(u32::MAX) / 2);
    has_lost_power(&device).await;
    deletes(&device, &remote).await;
}

/// The folder's time may be that of a deletion, although it is before the file's.
#[tokio::test]
async fn what_is_gone_while_the_clock_is_behind_it_was_deleted() {
    let (device, remote) = sent("f", "one").await;
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    has_lost_power(&device).await;
    device.set_clock_ms(1_000);
    deletes(&device, &remote).await;
}

/// So may it when the clock was behind until the power failed, and is right again.
#[tokio::test]
async fn what_was_deleted_while_the_clock_was_behind_it_was_deleted() {
    let (device, remote) = sent("f", "one").await;
    std::fs::remove_file(device.path("f")).unwrap();
    forget_names(&device);
    has_lost_power_since(&device, 0, 1_000).await;
    deletes(&device, &remote).await;
}
