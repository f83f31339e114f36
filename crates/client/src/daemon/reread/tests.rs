//! Bytes that change while times and size do not. A test cannot set a change time back, so the state is told instead that
//! other bytes stood there.

use cairn_core::rev::Seq;
use cairn_core::tree::{Entry, Substance};

use super::super::tests::parts;
use super::*;
use crate::fs::faulty::Fault;
use crate::scanner::tests::fixture::Device;
use crate::state::ClientState;

const PATH: &str = "docs/a.txt";

/// A device that remembers other bytes of a file than the disk has, and has agreed upon them with the server.
async fn damaged() -> (Device, Daemon, LocalRow, Substance) {
    damaged_among(0).await
}

/// The same, with so many other files.
async fn damaged_among(others: usize) -> (Device, Daemon, LocalRow, Substance) {
    let device = Device::new();
    device.folder("docs");
    for number in 0..others {
        device.write(&format!("docs/{number}"), "more");
    }
    device.write(PATH, "????");
    device.write("twin", "good");
    device.scan().await;
    let mut row = device.row(PATH).await;
    let found = row.entry.substance.clone();
    row.entry.substance = device.row("twin").await.entry.substance;
    device.put_row(row.clone()).await;
    agree(&device, &row, row.entry.clone()).await;
    let parts = parts(&device, Vec::new());
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    (device, daemon, row, found)
}

/// The server has `remote`; what was agreed upon is the row.
async fn agree(device: &Device, row: &LocalRow, remote: Entry) {
    let numbered = |entry: Entry| Entry {
        place_seq: Seq::new(3).unwrap(),
        content_seq: Seq::new(4).unwrap(),
        ..entry
    };
    let batch = StateBatch {
        remote: vec![TreeChange::Put(row.node, numbered(remote))],
        synced: vec![TreeChange::Put(row.node, numbered(row.entry.clone()))],
        ..StateBatch::default()
    };
    device.state.apply(device.namespace, batch).await.unwrap();
}

async fn was_running_at(device: &Device, ms: i64) {
    had_beat(device, &ms.to_string()).await;
}

/// Whatever was written may be lost, and the clock showed this when it was looked at last.
async fn showed(device: &Device, ms: i64) {
    had_beat(device, &format!("0 {ms} 0")).await;
}

async fn had_beat(device: &Device, text: &str) {
    device
        .state
        .set_setting(RUNNING_SETTING, Some(text))
        .await
        .unwrap();
}

/// What the next scan reads in any case, and no check for damage.
fn unsure(row: &LocalRow) -> LocalRow {
    LocalRow {
        is_unsure: true,
        ..row.clone()
    }
}

async fn synced(device: &Device, row: &LocalRow) -> Option<Entry> {
    device.state.synced(device.namespace, row.node).await.unwrap()
}

#[tokio::test]
async fn damage_after_a_start_leaves_the_server_its_version() {
    let (device, daemon, row, found) = damaged().await;
    let before = row.fingerprint.ctime.seconds * 1_000;
    device.set_clock_ms(before + 10_000);
    was_running_at(&device, before).await;
    assert!(daemon.reread_after_start().await);
    let now = device.row(PATH).await;
    assert_eq!(now.entry.substance, found);
    assert_eq!(now.fingerprint, row.fingerprint);
    assert_eq!(
        synced(&device, &row).await,
        None,
        "both are versions that nobody agreed upon"
    );
    let activity = device.state.activity(10).await.unwrap();
    assert!(
        activity
            .iter()
            .any(|(_, what, path)| what == NOTE && path == PATH)
    );
    let running = daemon.last_beat().await.unwrap().unwrap();
    assert!(
        running.moment.as_millis() > before,
        "the next start need not look again"
    );
}

#[tokio::test]
async fn a_damaged_file_that_moves_meanwhile_is_looked_for_again() {
    let (device, daemon, row, found) = damaged().await;
    was_running_at(&device, 0).await;
    device.remove("twin");
    let (folder, away) = (device.path("docs"), device.path("away"));
    let (from, to) = (folder.clone(), away.clone());
    let rename = move || std::fs::rename(from, to).unwrap();
    // The first look is that of the read itself.
    device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
    device.fs.inject("metadata", Fault::Hook(Box::new(rename)));
    assert!(!daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await, row);
    std::fs::rename(away, folder).unwrap();
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await.entry.substance, found);
}

#[tokio::test]
async fn who_was_only_killed_reads_nothing_again() {
    let (device, daemon, row, found) = damaged().await;
    was_running_at(&device, 0).await;
    device.put_row(unsure(&row)).await;
    assert!(daemon.reread_after_start().await);
    device.put_row(row.clone()).await;
    was_running_at(&device, 0).await;
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await, row);
    device.fs.begin_session();
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await.entry.substance, found);
}

#[tokio::test]
async fn a_start_long_after_the_last_one_hides_nothing_from_the_next() {
    let (device, daemon, row, found) = damaged().await;
    was_running_at(&device, 1_000).await;
    device.put_row(unsure(&row)).await;
    assert!(daemon.reread_after_start().await);
    // The clock may have been set since the file was written, and its bytes go with the power now.
    device.put_row(row.clone()).await;
    device.fs.begin_session();
    let parts = parts(&device, Vec::new());
    let next = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    assert_eq!(next.last_beat().await.unwrap().unwrap().moment.as_millis(), 1_000);
    assert!(next.reread_after_start().await);
    assert_eq!(device.row(PATH).await.entry.substance, found);
    // A life that is over at once sees nothing of the sort, and its reading is the last.
    device.fs.begin_session();
    let begun = next.reread_once_after_start().await.unwrap();
    assert!(next.last_beat().await.unwrap().unwrap().moment.as_millis() > 1_000);
    // What was written long before such a life ends need not be read again either.
    was_running_at(&device, 2_000).await;
    next.beat_after_pass(begun).await;
    assert!(next.last_beat().await.unwrap().unwrap().moment.as_millis() > 2_000);
}

#[tokio::test]
async fn what_a_disk_went_back_to_leaves_the_server_its_version() {
    for is_unsure in [false, true] {
        let (device, daemon, mut row, found) = damaged().await;
        let on_disk = row.fingerprint;
        row.fingerprint.ctime.seconds += 1;
        row.fingerprint.mtime.seconds += 1;
        row.fingerprint.size += 1;
        row.is_unsure = is_unsure;
        device.put_row(row.clone()).await;
        showed(&device, device.runtime.clock.now().as_millis()).await;
        assert!(daemon.reread_after_start().await);
        let now = device.row(PATH).await;
        assert_eq!(
            (now.entry.substance, now.fingerprint),
            (found, on_disk),
            "{is_unsure}"
        );
        assert_eq!(now.entry.attributes.mtime, on_disk.mtime);
        assert_eq!(synced(&device, &row).await, None);
    }
}

#[tokio::test]
async fn what_power_put_back_in_its_place_leaves_the_server_its_version() {
    for later_s in [0, 1] {
        let (device, daemon, mut row, found) = damaged().await;
        let on_disk = row.fingerprint;
        row.fingerprint.inode += 1;
        row.fingerprint.ctime.seconds += later_s;
        row.is_unsure = true;
        device.put_row(row.clone()).await;
        showed(&device, device.runtime.clock.now().as_millis()).await;
        assert!(daemon.reread_after_start().await);
        let now = device.row(PATH).await;
        assert_eq!((now.entry.substance, now.fingerprint), (found, on_disk));
        assert_eq!(synced(&device, &row).await, None);
    }
}

#[tokio::test]
async fn what_was_written_after_the_clock_was_set_back_is_an_edit() {
    let (device, daemon, mut row, _) = damaged().await;
    row.fingerprint.ctime.seconds += 3_600;
    row.fingerprint.size += 1;
    let behind = (row.fingerprint.ctime.seconds - 1_000) * 1_000;
    let right = behind + 1_001_000;
    // The clock is still behind, or was until the power failed.
    for (seen, now) in [(right, behind), (behind, right)] {
        device.put_row(row.clone()).await;
        device.set_clock_ms(now);
        showed(&device, seen).await;
        device.fs.begin_session();
        assert!(daemon.reread_after_start().await);
        assert!(device.row(PATH).await.is_unsure, "the scan reads it");
        assert!(synced(&device, &row).await.is_some());
    }
}

#[tokio::test]
async fn what_was_written_or_put_in_its_place_while_nobody_looked_is_an_edit() {
    for is_another_file in [false, true] {
        let (device, daemon, mut row, _) = damaged().await;
        row.fingerprint.inode += u64::from(is_another_file);
        row.fingerprint.ctime.seconds -= 1;
        row.fingerprint.size += 1;
        device.put_row(row.clone()).await;
        was_running_at(&device, 0).await;
        assert!(daemon.reread_after_start().await);
        let now = device.row(PATH).await;
        assert_eq!(now.entry, row.entry);
        assert!(now.is_unsure, "the scan reads it");
        assert!(synced(&device, &row).await.is_some());
    }
}

#[tokio::test]
async fn what_was_written_long_before_the_machine_went_off_is_not_read() {
    let (device, daemon, row, _) = damaged().await;
    let day = 24 * 3_600 * 1_000;
    was_running_at(&device, device.runtime.clock.now().as_millis() - day).await;
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await, row);
}

#[tokio::test]
async fn what_the_server_does_not_have_is_an_edit() {
    let (device, daemon, row, found) = damaged().await;
    let mut remote = row.entry.clone();
    remote.substance = Substance::Directory;
    agree(&device, &row, remote).await;
    was_running_at(&device, 0).await;
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await.entry.substance, found);
    assert!(synced(&device, &row).await.is_some());
}

#[tokio::test]
async fn what_is_not_as_remembered_after_a_start_is_left_to_the_scan() {
    let (device, daemon, row, _) = damaged().await;
    was_running_at(&device, 0).await;
    device.remove(PATH);
    assert!(daemon.reread_after_start().await);
    let now = device.row(PATH).await;
    assert_eq!(now.entry, row.entry);
    assert!(now.is_unsure, "wherever it is now, it is read");
    // Known to be in doubt already.
    device.fs.begin_session();
    assert!(daemon.reread_after_start().await);
    assert_eq!(device.row(PATH).await, now);
}

/// How many files the first slice of a round reads, of a folder with so many.
async fn first_slice(device: &Device, daemon: &Daemon) -> u64 {
    daemon.reread_slice().await.unwrap();
    let read = daemon.status.borrow().reread_files;
    device
        .state
        .set_setting(round::ROUND_SETTING, None)
        .await
        .unwrap();
    read
}

#[tokio::test]
async fn a_machine_that_went_off_while_the_folder_was_followed_has_all_files_read_within_a_day() {
    let (device, daemon, _, found) = damaged_among(60).await;
    daemon.begin_following().await.unwrap();
    assert_eq!(first_slice(&device, &daemon).await, 1, "a month has time");
    let of_before = device.state.setting(round::FOLLOWED_SETTING).await.unwrap();
    assert!(of_before.is_some_and(|name| !name.is_empty()));
    // Killed, and started again: the disk has lost nothing.
    daemon.begin_following().await.unwrap();
    assert_eq!(first_slice(&device, &daemon).await, 1);
    // Shut down in order.
    daemon.end_following().await.unwrap();
    daemon.begin_following().await.unwrap();
    assert_eq!(first_slice(&device, &daemon).await, 1);
    device
        .state
        .set_setting(round::FOLLOWED_SETTING, Some("another"))
        .await
        .unwrap();
    daemon.begin_following().await.unwrap();
    assert_eq!(first_slice(&device, &daemon).await, 3);
    let mut has_found = 0;
    for _ in 0..24 {
        has_found += u32::from(daemon.reread_slice().await.unwrap());
    }
    assert_eq!(has_found, 1);
    assert_eq!(device.row(PATH).await.entry.substance, found);
    let before = daemon.status.borrow().reread_files;
    daemon.reread_slice().await.unwrap();
    let in_a_slice = daemon.status.borrow().reread_files - before;
    assert_eq!(in_a_slice, 1, "the next round has a month again");
}

#[tokio::test]
async fn the_rolling_check_finds_damage_and_comes_round() {
    let (device, daemon, row, found) = damaged().await;
    let mut has_found = 0;
    for _ in 0..2 {
        has_found += u32::from(daemon.reread_slice().await.unwrap());
    }
    assert_eq!(has_found, 1);
    assert_eq!(daemon.status.borrow().reread_files, 2);
    assert_eq!(device.row(PATH).await.entry.substance, found);
    assert_eq!(synced(&device, &row).await, None);
    // Nothing is left in this round.
    assert!(!daemon.reread_slice().await.unwrap());
    assert_eq!(daemon.status.borrow().reread_files, 0);
    assert!(!daemon.reread_slice().await.unwrap());
    assert_eq!(daemon.status.borrow().reread_files, 1);
}
