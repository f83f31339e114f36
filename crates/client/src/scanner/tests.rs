pub(crate) mod fixture;

mod deletes;
mod moves;
mod reading;
mod rules;
mod spelling;

use cairn_core::node::NodeKind;
use cairn_core::tree::Substance;

use super::{Brake, ProblemReason};
use fixture::{Device, shown};

#[tokio::test]
async fn a_tree_is_taken_down_and_then_left_alone() {
    let device = Device::new();
    device.folder("docs");
    device.write("docs/a.txt", "hello");
    device.write("b", "");
    device.link("link", "docs/a.txt");
    let report = device.scan().await;
    assert_eq!((report.hashed, report.changed, report.problem_count), (2, 4, 0));
    assert_eq!(device.tree().await, ["b", "docs/", "docs/a.txt", "link@"]);
    let row = device.row("docs/a.txt").await;
    let Substance::File { file_id, size: 5 } = row.entry.substance else {
        panic!("{row:?}")
    };
    assert!(device.contents(file_id).await.is_some());

    let report = device.scan().await;
    assert_eq!((report.seen, report.hashed, report.changed), (4, 0, 0));
}

#[tokio::test]
async fn new_nodes_have_ids_in_a_row_in_the_order_in_which_they_are_found() {
    let device = Device::new();
    for path in ["a/1", "a/2", "b/c/3", "d"] {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() {
            device.folder(folder);
        }
        device.write(path, path);
    }
    device.scan().await;
    let first = device.row("a").await.node.get();
    for (index, path) in ["a", "b", "d", "a/1", "a/2", "b/c", "b/c/3"].iter().enumerate() {
        assert_eq!(device.row(path).await.node.get(), first + index as i64, "{path}");
    }
}

#[tokio::test]
async fn awkward_names_are_nodes_as_typed() {
    let device = Device::new();
    let long = "é".repeat(127);
    for name in [
        "line\nbreak",
        "e\u{301}",
        "é",
        "README",
        "readme",
        "trailing. ",
        "CON",
        long.as_str(),
    ] {
        device.write(name, name);
    }
    let report = device.scan().await;
    assert_eq!((report.changed, report.problem_count), (8, 0));
    assert_eq!(device.row("e\u{301}").await.entry.place.name.as_str(), "e\u{301}");
    assert_ne!(device.row("README").await.node, device.row("readme").await.node);
}

#[tokio::test]
async fn what_cannot_be_synced_is_reported_and_never_deleted() {
    use std::os::unix::ffi::OsStrExt;
    let device = Device::new();
    device.write("was-file", "x");
    device.scan().await;
    let before = device.row("was-file").await;
    device.remove("was-file");
    device.pipe("was-file");
    device.pipe("pipe");
    std::fs::write(device.path("").join(std::ffi::OsStr::from_bytes(b"bad\xff")), "x").unwrap();
    device.raw_link("bad-link", b"\xff\xfe");
    let report = device.scan().await;
    let reasons: Vec<String> = report
        .problems
        .iter()
        .map(|p| format!("{} {}", p.path, p.reason))
        .collect();
    assert_eq!(report.problem_count, 4, "{reasons:?}");
    assert!(
        report
            .problems
            .iter()
            .any(|p| p.reason == ProblemReason::LinkTarget)
    );
    assert!(
        report
            .problems
            .iter()
            .filter(|p| p.reason == ProblemReason::Special)
            .count()
            == 2
    );
    assert_eq!(device.row("was-file").await, before);
    assert_eq!(device.tree().await, ["was-file"]);
}

#[tokio::test]
async fn ignored_names_are_not_taken_up_and_what_is_synced_stays() {
    let device = Device::new();
    for name in [
        ".DS_Store",
        "~$letter.docx",
        ".a.swp",
        ".~lock.x#",
        "kept.swp.txt",
    ] {
        device.write(name, "x");
    }
    device.scan().await;
    assert_eq!(device.tree().await, ["kept.swp.txt"]);
    device.write("real", "x");
    device.scan().await;
    device.rename_row("real", "real.swp").await;
    std::fs::rename(device.path("real"), device.path("real.swp")).unwrap();
    device.scan().await;
    assert_eq!(device.tree().await, ["kept.swp.txt", "real.swp"]);
}

#[tokio::test]
async fn exec_bit_and_times_are_attributes_only() {
    let device = Device::new();
    device.write("a", "same");
    device.scan().await;
    let before = device.row("a").await;
    device.set_mtime("a", -86_400 * 365 * 30, 5);
    device.scan().await;
    let row = device.row("a").await;
    assert_eq!(row.entry.attributes.mtime.seconds, -86_400 * 365 * 30);
    assert_eq!(
        (row.node, &row.entry.substance),
        (before.node, &before.entry.substance)
    );
    device.chmod("a", 0o755);
    device.set_mtime("a", 10_413_792_000, 1);
    device.scan().await;
    let row = device.row("a").await;
    assert!(row.entry.attributes.executable);
    assert_eq!(row.entry.attributes.mtime.seconds, 10_413_792_000);
    assert_eq!(row.entry.substance, before.entry.substance);
}

#[tokio::test]
async fn an_exec_bit_that_was_lost_with_the_power_is_seen_although_no_time_shows_it() {
    let device = Device::new();
    device.write("a", "same");
    device.scan().await;
    let mut row = device.row("a").await;
    row.entry.attributes.executable = true;
    device.put_row(row).await;
    device.scan().await;
    assert!(!device.row("a").await.entry.attributes.executable);
}

#[tokio::test]
async fn a_time_that_the_disk_keeps_less_exactly_is_no_change() {
    let device = Device::new();
    device.write("a", "1");
    device.scan().await;
    let mut row = device.row("a").await;
    row.entry.attributes.mtime.nanos = 123;
    device.put_row(row.clone()).await;
    device.chmod("a", 0o600);
    device.scan().await;
    assert_eq!(device.row("a").await.entry, row.entry);
}

#[tokio::test]
async fn hard_links_are_files_of_their_own_and_holes_are_zeros() {
    let device = Device::new();
    device.write("a", "shared");
    std::fs::hard_link(device.path("a"), device.path("b")).unwrap();
    std::fs::File::create(device.path("sparse"))
        .unwrap()
        .set_len(3_000_000)
        .unwrap();
    device.scan().await;
    assert_ne!(device.row("a").await.node, device.row("b").await.node);
    assert_eq!(
        device.row("a").await.entry.substance,
        device.row("b").await.entry.substance
    );
    assert_eq!(shown(&device.row("sparse").await), "file of 3000000");
    let report = device.scan().await;
    assert_eq!(report.changed, 0);
}

#[tokio::test]
async fn hints_look_at_their_folder_and_below_what_is_new() {
    let device = Device::new();
    device.folder("known");
    device.folder("known/deep");
    device.scan().await;
    device.write("known/deep/unseen", "x");
    device.folder("known/new/below");
    device.write("known/new/below/file", "x");
    device.hint(&["known"]).await;
    assert_eq!(
        device.tree().await,
        [
            "known/",
            "known/deep/",
            "known/new/",
            "known/new/below/",
            "known/new/below/file"
        ]
    );
    device.hint(&["known/deep/unseen"]).await;
    assert!(device.tree().await.contains(&"known/deep/unseen".to_owned()));
    device.folder("far/away");
    device.hint(&["far/away"]).await;
    assert!(device.tree().await.contains(&"far/away/".to_owned()));
}

#[tokio::test]
async fn a_kind_that_changes_is_another_node() {
    let device = Device::new();
    device.write("x", "file");
    device.scan().await;
    let file = device.row("x").await.node;
    device.remove("x");
    device.folder("x");
    device.write("x/inside", "1");
    let report = device.scan().await;
    assert!(report.held.is_none());
    let folder = device.row("x").await;
    assert_eq!(folder.entry.substance.kind(), NodeKind::Directory);
    assert_ne!(folder.node, file);
    assert_eq!(device.tree().await, ["x/", "x/inside"]);
}

#[tokio::test]
async fn a_local_name_that_never_travels_is_kept_until_the_user_renames_it() {
    let device = Device::new();
    device.write("short", "x");
    device.scan().await;
    let mut row = device.row("short").await;
    row.entry.place.name = fixture::name("the real name");
    row.disk_name = Some("short".to_owned());
    device.put_row(row.clone()).await;
    device.write("short", "longer");
    device.scan().await;
    let edited = device.row("short").await;
    assert_eq!(edited.entry.place.name.as_str(), "the real name");
    device.rename("short", "mine");
    device.scan().await;
    let renamed = device.row("mine").await;
    assert_eq!(
        (renamed.node, renamed.entry.place.name.as_str()),
        (row.node, "mine")
    );
    assert_eq!(renamed.disk_name, None);
}

#[tokio::test]
async fn a_brake_is_not_needed_for_an_empty_root() {
    let device = Device::new();
    let report = device.scanner().scan_all(Brake::On).await.unwrap();
    assert_eq!(report.changed, 0);
}
