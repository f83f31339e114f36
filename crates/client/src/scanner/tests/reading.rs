use std::io;
use std::os::unix::fs::MetadataExt;

use super::fixture::Device;
use crate::fs::faulty::Fault;
use crate::scanner::ProblemReason;

#[tokio::test]
async fn a_file_that_changes_while_it_is_read_is_busy() {
    let device = Device::new();
    device.write("a", "1");
    let path = device.path("a");
    // The look at the path after reading finds another state than the open file had.
    device.fs.inject(
        "metadata",
        Fault::Hook(Box::new(move || std::fs::write(path, "22").unwrap())),
    );
    let report = device.scan().await;
    assert_eq!(report.busy_count, 1);
    assert_eq!(device.find("a").await, None);
    let report = device.scan().await;
    assert_eq!((report.busy_count, report.changed), (0, 1));
}

#[tokio::test]
async fn a_file_replaced_while_it_is_read_keeps_its_old_row() {
    let device = Device::new();
    device.write("a", "1");
    device.scan().await;
    let before = device.row("a").await;
    device.write("a", "22");
    let (from, to) = (device.path(".cairn/new"), device.path("a"));
    device.fs.inject(
        "metadata",
        Fault::Hook(Box::new(move || {
            std::fs::write(&from, "333").unwrap();
            std::fs::rename(from, to).unwrap();
        })),
    );
    let report = device.scan().await;
    assert_eq!(report.busy_count, 1);
    assert_eq!(device.row("a").await, before);
}

#[tokio::test]
async fn an_edit_of_equal_size_within_one_tick_is_found() {
    let device = Device::new();
    device.write("a", "old");
    let metadata = std::fs::metadata(device.path("a")).unwrap();
    device.set_clock_ms(metadata.ctime() * 1_000 + metadata.ctime_nsec() / 1_000_000);
    device.scan().await;
    let mut row = device.row("a").await;
    assert!(row.is_unsure);

    // A write that left no trace: the remembered state is made that of the new bytes.
    device.write("a", "new");
    let found = crate::fs::Filesystem::metadata(&*device.fs, &super::fixture::disk_path("a"))
        .unwrap()
        .unwrap();
    row.fingerprint = found.fingerprint;
    device.put_row(row.clone()).await;

    device.clock_far_ahead();
    let report = device.scanner().recheck_unsure().await.unwrap();
    assert_eq!((report.hashed, report.changed), (1, 1));
    let after = device.row("a").await;
    assert!(!after.is_unsure);
    assert_eq!(after.node, row.node);
    assert_ne!(after.entry.substance, row.entry.substance);
    let report = device.scanner().recheck_unsure().await.unwrap();
    assert_eq!(report.seen, 0);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_reported_and_kept() {
    let device = Device::new();
    device.write("a", "1");
    device.write("b", "1");
    device.scan().await;
    device.write("a", "22");
    device
        .fs
        .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
    let report = device.scan().await;
    assert!(matches!(report.problems[0].reason, ProblemReason::Io(_)));
    assert_eq!(device.row("a").await.fingerprint.size, 1);
    device.scan().await;
    assert_eq!(device.row("a").await.fingerprint.size, 2);
}

#[tokio::test]
async fn a_large_file_is_read_in_pieces() {
    let device = Device::new();
    let bytes: Vec<u8> = (0..5_000_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    std::fs::write(device.path("large"), &bytes).unwrap();
    let report = device.scan().await;
    assert_eq!(report.hashed_bytes, 20_000_000);
    let mut hasher = cairn_core::file_hasher::FileHasher::new();
    hasher.update(&bytes).unwrap();
    let expected = hasher.finish().unwrap().content;
    assert_eq!(device.contents(expected.file_id).await, Some(expected));
}
