use std::io;

use super::fixture::{Device, disk_path};
use crate::fs::faulty::Fault;
use crate::fs::root::tests::weak::Lacks;
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
async fn nothing_new_is_sent_while_rules_that_nobody_knows_cannot_be_read() {
    let (device, _) = with_a_rule("d/.cairnignore").await;
    // As after a start: nothing is remembered.
    let scanner = device.scanner();
    device.write("d/e/secret.log", "x");
    device.write("d/e/plain", "x");
    device.write("other", "x");
    device.write("d/.cairnignore", "*.log\n#");
    let known = device.row("d/.cairnignore").await;
    device
        .fs
        .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
    let report = scanner.scan_all(Brake::On).await.unwrap();
    let told: Vec<_> = report
        .problems
        .iter()
        .map(|problem| problem.path.to_string())
        .collect();
    assert_eq!(told, ["d/.cairnignore"]);
    assert!(matches!(
        report.problems[0].reason,
        ProblemReason::UnknownRules(_)
    ));
    assert_eq!(device.tree().await, ["d/", "d/.cairnignore", "d/e/", "other"]);
    assert_ne!(
        device.row("d/.cairnignore").await.entry,
        known.entry,
        "what is known goes on"
    );

    device
        .fs
        .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
    let ignored = scanner
        .ignored_by(&disk_path("d/e/plain"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(ignored.file, Some(disk_path("d/.cairnignore")));
    assert_eq!(ignored.rule, "");

    let report = scanner.scan_folders(&[disk_path("d")], Brake::On).await.unwrap();
    assert_eq!(report.problem_count, 0);
    assert_eq!(
        device.tree().await,
        ["d/", "d/.cairnignore", "d/e/", "d/e/plain", "other"]
    );
}

#[tokio::test]
async fn what_unknown_rules_kept_back_is_found_when_they_go() {
    let (device, _) = with_a_rule("d/.cairnignore").await;
    let scanner = device.scanner();
    device
        .fs
        .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
    scanner.scan_all(Brake::On).await.unwrap();
    device.remove("d/.cairnignore");
    scanner.scan_folders(&[disk_path("d")], Brake::On).await.unwrap();
    assert_eq!(device.tree().await, ["d/", "d/e/", "d/e/a.log"]);
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

#[tokio::test]
async fn nothing_new_is_sent_where_rules_cannot_be_looked_at() {
    let device = Device::lacking(Lacks {
        stat_of: Some(".cairnignore"),
        ..Lacks::default()
    });
    device.folder("d");
    device.write("d/.cairnignore", "secret\n");
    device.write("d/secret", "x");
    device.write("other", "x");
    let report = device.scan().await;
    assert!(report.problems.iter().any(|problem| {
        problem.path == disk_path("d/.cairnignore")
            && matches!(problem.reason, ProblemReason::UnknownRules(_))
    }));
    assert_eq!(device.tree().await, ["d/", "other"]);
}

#[tokio::test]
async fn rules_that_cannot_be_looked_at_from_below_are_looked_at_in_their_folder() {
    let (device, _) = with_a_rule("d/.cairnignore").await;
    for is_over in [true, false] {
        let scanner = device.scanner();
        device.write(&format!("d/e/{is_over}"), "x");
        // The looks at the hinted folder, at what the root has, and at what the folder between them has.
        for _ in 0..2 {
            device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
        }
        device
            .fs
            .inject("metadata", Fault::Before(io::ErrorKind::PermissionDenied));
        if !is_over {
            device
                .fs
                .inject("open", Fault::Before(io::ErrorKind::PermissionDenied));
        }
        let report = scanner
            .scan_folders(&[disk_path("d/e")], Brake::On)
            .await
            .unwrap();
        assert_eq!(device.find(&format!("d/e/{is_over}")).await.is_some(), is_over);
        assert_eq!(report.problem_count, u64::from(!is_over));
    }
}
