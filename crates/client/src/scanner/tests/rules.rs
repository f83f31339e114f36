use std::io;

use super::fixture::{Device, disk_path};
use crate::fs::faulty::Fault;
use crate::scanner::{Brake, ProblemReason, Scanner};

/// A device with a rule that keeps `d/e/a.log` back, and the scanner that has seen that.
async fn with_a_rule(rules: &str) -> (Device, Scanner) {
    let device = Device::new();
    device.folder("d/e");
    device.write("d/e/a.log", "x");
    device.write(rules, "*.log\n");
    let scanner = device.scanner();
    scanner.scan_all(Brake::On).await.unwrap();
    assert_eq!(device.find("d/e/a.log").await, None);
    (device, scanner)
}

#[tokio::test]
async fn what_a_rule_kept_back_is_found_when_it_goes_whoever_sees_that_first() {
    for hints in [
        vec![""],
        vec!["", "d"],
        vec!["d", ""],
        vec!["", "d/e"],
        vec!["d/e", "d", ""],
    ] {
        for is_asked_for in [false, true] {
            let (device, scanner) = with_a_rule(".cairnignore").await;
            device.remove(".cairnignore");
            if is_asked_for {
                let ignored = scanner.ignored_by(&disk_path("d/e/a.log")).await.unwrap();
                assert_eq!(ignored, None);
            }
            let folders: Vec<_> = hints.iter().map(|hint| disk_path(hint)).collect();
            scanner.scan_folders(&folders, Brake::On).await.unwrap();
            assert_eq!(
                device.tree().await,
                ["d/", "d/e/", "d/e/a.log"],
                "{hints:?} {is_asked_for}"
            );
        }
    }
}

#[tokio::test]
async fn rules_that_changed_count_as_changed_until_their_folder_is_looked_at() {
    let (device, scanner) = with_a_rule(".cairnignore").await;
    device.write(".cairnignore", "*.tmp\n");
    device.write("d/b", "x");
    scanner.scan_folders(&[disk_path("d")], Brake::On).await.unwrap();
    assert_eq!(device.find("d/e/a.log").await, None);
    scanner.scan_folders(&[disk_path("")], Brake::On).await.unwrap();
    assert!(device.find("d/e/a.log").await.is_some());
}

#[tokio::test]
async fn known_rules_hold_while_they_cannot_be_read_or_are_missed_by_a_listing() {
    let (device, scanner) = with_a_rule("d/.cairnignore").await;
    device.write("d/.cairnignore", "*.txt\n");
    device.write("d/e/b.log", "x");
    device
        .fs
        .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
    let report = scanner.scan_all(Brake::On).await.unwrap();
    assert!(matches!(report.problems[0].reason, ProblemReason::Io(_)));
    assert_eq!(device.find("d/e/b.log").await, None);

    device.write("d/.cairnignore", "*.log\n");
    device.rename("d/.cairnignore", ".cairn/rules");
    let (from, to) = (device.path(".cairn/rules"), device.path("d/.cairnignore"));
    let put_back = move || std::fs::rename(from, to).unwrap();
    device.fs.inject("metadata", Fault::Hook(Box::new(put_back)));
    scanner.scan_all(Brake::On).await.unwrap();
    assert_eq!(device.tree().await, ["d/", "d/.cairnignore", "d/e/"]);
}
