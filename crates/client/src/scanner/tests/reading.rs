use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use cairn_core::ids::FileId;
use cairn_core::manifest::{EncodedPage, Manifest};
use cairn_core::tree::Substance;

use super::fixture::{Device, disk_path};
use crate::fs::faulty::Fault;
use crate::known::Known;
use crate::scanner::{Brake, ProblemReason, ScanReport, Scanner};
use crate::state::sqlite::SqliteState;
use crate::state::{ClientState, LocalChange, LocalRow, StateBatch};

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
    assert_eq!((report.busy_count, report.busy_small), (1, vec![disk_path("a")]));
    assert_eq!(device.find("a").await, None);
    let report = device.scan().await;
    assert_eq!((report.busy_count, report.changed), (0, 1));
}

#[test]
fn a_busy_file_that_takes_long_to_read_is_not_read_again_at_once() {
    let mut report = ScanReport::default();
    for (path, size) in [("small", 1_000), ("large", 10_000_000_000)] {
        report.note_busy(disk_path(path), size);
    }
    assert_eq!(report.busy, ["small", "large"].map(disk_path));
    assert_eq!(report.busy_small, ["small"].map(disk_path));
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
    device.set_clock_ms(ctime_ms(&device, "a"));
    device.scan().await;
    let mut row = device.row("a").await;
    assert!(row.is_unsure);

    // A write that left no trace: the remembered state is made that of the new bytes.
    device.write("a", "new");
    let found = crate::fs::Filesystem::metadata(&*device.fs, &disk_path("a"))
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
async fn an_edit_of_equal_size_within_a_tick_that_a_clock_shows_twice_is_found() {
    let device = Device::new();
    device.write("a", "new");
    device.clock_far_ahead();
    device.scan().await;
    let found = device.row("a").await;
    assert!(!found.is_unsure);
    // What was read before the clock was set back.
    let mut row = found.clone();
    row.entry.substance = Substance::File {
        file_id: FileId::new([7; 32]),
        size: 3,
    };
    device.put_row(row).await;
    assert_eq!(device.scan().await.hashed, 0);
    device.set_clock_ms(ctime_ms(&device, "a"));
    assert_eq!(device.scan().await.hashed, 1);
    let after = device.row("a").await;
    assert_eq!(after.entry.substance, found.entry.substance);
    assert!(after.is_unsure, "until the tick is over");
}

/// What the clock shows when a file gets the change time that it has.
fn ctime_ms(device: &Device, path: &str) -> i64 {
    let metadata = std::fs::metadata(device.path(path)).unwrap();
    metadata.ctime() * 1_000 + metadata.ctime_nsec() / 1_000_000
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

/// Bytes that do not repeat.
fn long(words: u32) -> Vec<u8> {
    let words = 0..words;
    words
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

#[tokio::test]
async fn a_large_file_is_read_in_pieces() {
    let device = Device::new();
    let bytes = long(7_000_000);
    std::fs::write(device.path("large"), &bytes).unwrap();
    let report = device.scan().await;
    assert_eq!(report.hashed_bytes, 28_000_000);
    let mut hasher = cairn_core::file_hasher::FileHasher::new();
    hasher.update(&bytes).unwrap();
    let expected = hasher.finish().unwrap();
    let file_id = expected.content.file_id;
    assert!(matches!(expected.content.manifest, Manifest::Tree { .. }));
    assert_eq!(device.contents(file_id).await, Some(expected.content));
    // Whoever sends it need not cut it again.
    let content = device.contents(file_id).await.unwrap();
    let known = Known::load(&*device.state, &content).await.unwrap().unwrap();
    let pages = |pages: &[EncodedPage]| pages.iter().map(|page| page.hash).collect::<BTreeSet<_>>();
    assert_eq!(pages(&known.pages), pages(&expected.pages));
}

/// What a second look finds of a file whose remembered state is made that of what `change` wrote.
async fn looked_at_again(len_words: u32, change: impl FnOnce(&mut Vec<u8>)) -> ScanReport {
    let device = Device::new();
    let mut bytes = long(len_words);
    std::fs::write(device.path("a"), &bytes).unwrap();
    device.scan().await;
    change(&mut bytes);
    std::fs::write(device.path("a"), &bytes).unwrap();
    let found = crate::fs::Filesystem::metadata(&*device.fs, &disk_path("a"))
        .unwrap()
        .unwrap();
    let row = LocalRow {
        fingerprint: found.fingerprint,
        is_unsure: true,
        ..device.row("a").await
    };
    device.put_row(row.clone()).await;
    device.clock_far_ahead();
    let report = device.scanner().recheck_unsure().await.unwrap();
    let after = device.row("a").await;
    assert!(!after.is_unsure);
    let mut hasher = cairn_core::file_hasher::FileHasher::new();
    hasher.update(&bytes).unwrap();
    let expected = hasher.finish().unwrap().content;
    assert_eq!(device.contents(expected.file_id).await.as_ref(), Some(&expected));
    let substance = Substance::File {
        file_id: expected.file_id,
        size: expected.size,
    };
    assert_eq!(after.entry.substance, substance);
    report
}

#[tokio::test]
async fn a_second_look_compares_every_byte() {
    for words in [50_000, 7_000_000] {
        let report = looked_at_again(words, |_| ()).await;
        assert_eq!((report.hashed, report.changed), (1, 0), "{words}");
        for at in [0, 20_000, words as usize * 4 - 1] {
            let report = looked_at_again(words, |bytes| bytes[at] ^= 1).await;
            assert_eq!((report.hashed, report.changed), (1, 1), "{words} {at}");
        }
        // Longer than what is known, which it begins with.
        let report = looked_at_again(words, |bytes| bytes.push(1)).await;
        assert_eq!((report.hashed, report.changed), (1, 1), "{words}");
    }
}

#[tokio::test]
async fn a_second_look_does_not_tell_half_of_a_save_with_a_backup() {
    let device = Device::new();
    device.write("a", "old");
    device.scan().await;
    let before = device.row("a").await;
    device
        .put_row(LocalRow {
            is_unsure: true,
            ..before.clone()
        })
        .await;
    std::fs::rename(device.path("a"), device.path("a~")).unwrap();
    device.write("a", "newer");
    let report = device.scanner().recheck_unsure().await.unwrap();
    assert_eq!((report.changed, report.busy_small), (0, vec![disk_path("a")]));
    assert_eq!(device.row("a").await.entry, before.entry);
    assert_eq!(device.scan().await.changed, 2);
    assert_eq!(device.row("a~").await.entry.substance, before.entry.substance);
    assert_ne!(device.row("a").await.entry.substance, before.entry.substance);
}

#[tokio::test]
async fn a_second_look_takes_all_that_is_unsure() {
    let device = Device::new();
    for number in 0..1_100 {
        device.write(&format!("f{number}"), "x");
    }
    device.scan().await;
    for number in 0..1_100 {
        let row = LocalRow {
            is_unsure: true,
            ..device.row(&format!("f{number}")).await
        };
        device.put_row(row).await;
    }
    device.clock_far_ahead();
    let report = device.scanner().recheck_unsure().await.unwrap();
    assert_eq!((report.hashed, report.has_more_unsure), (1_100, false));
    assert_eq!(device.scanner().recheck_unsure().await.unwrap().seen, 0);
}

/// The state has few connections: a read that waits to be driven must not keep one from the pass that would drive it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_look_goes_on_with_few_connections() {
    let device = Device::new();
    let state = Arc::new(SqliteState::open(&device.path(".cairn/test.db")).await.unwrap());
    let scanner = Scanner::new(
        Arc::clone(&device.fs) as _,
        Arc::clone(&state) as _,
        device.runtime.clone(),
        device.namespace,
        super::fixture::MARKER,
        2,
    );
    for folder in 0..30 {
        device.folder(&format!("{folder}"));
        for file in 0..3 {
            std::fs::write(device.path(&format!("{folder}/{file}")), long(20_000 + file)).unwrap();
        }
    }
    scanner.scan_all(Brake::On).await.unwrap();
    let rows = state
        .local_files(device.namespace, None, None, 100)
        .await
        .unwrap();
    assert_eq!(rows.len(), 90);
    let unsure = rows.into_iter().map(|row| {
        LocalChange::Put(LocalRow {
            is_unsure: true,
            ..row
        })
    });
    let batch = StateBatch {
        local: unsure.collect(),
        ..StateBatch::default()
    };
    state.apply(device.namespace, batch).await.unwrap();
    let again = tokio::time::timeout(Duration::from_secs(20), scanner.scan_all(Brake::On)).await;
    assert_eq!(again.unwrap().unwrap().hashed, 90);
}
