use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::Ordering;

use super::*;
use crate::fs::{DirectoryEntry, DiskPath, FileKind, Filesystem};
use cairn_core::node::{LinkTarget, NodeKind};
use cairn_core::time::Timestamp;

struct Device {
    folder: tempfile::TempDir,
    fs: OsFilesystem,
}

fn disk() -> Device {
    let folder = tempfile::tempdir().unwrap();
    let fs = OsFilesystem::open(folder.path()).unwrap();
    fs.adopt_root("marker").unwrap();
    Device { folder, fs }
}

impl Device {
    fn write(&self, path: &str, text: &str) {
        fs::write(self.folder.path().join(path), text).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.folder.path().join(path)).unwrap()
    }

    fn stage(&self, name: &str, text: &str) {
        let mut file = self.fs.stage(name).unwrap();
        file.write_at(0, text.as_bytes()).unwrap();
        file.finish(text.len() as u64, false, Mtime::default()).unwrap();
    }
}

fn path(text: &str) -> DiskPath {
    DiskPath::from_names(text.split('/').map(str::to_owned).collect())
}

fn names(entries: &[DirectoryEntry]) -> Vec<String> {
    entries
        .iter()
        .map(|entry| match entry {
            DirectoryEntry::Named { name, .. } => name.clone(),
            DirectoryEntry::Unreadable { shown, .. } => format!("? {shown}"),
        })
        .collect()
}

#[test]
fn a_root_is_known_by_its_marker() {
    let disk = disk();
    disk.fs.check_root("marker").unwrap();
    assert!(disk.fs.check_root("another").unwrap_err().is_not_found());
    fs::remove_dir_all(disk.folder.path().join(".cairn")).unwrap();
    assert!(disk.fs.check_root("marker").unwrap_err().is_not_found());
}

#[test]
fn a_root_that_came_back_elsewhere_is_taken_up_again() {
    let disk = disk();
    disk.write("a", "1");
    let moved = disk.folder.path().with_extension("moved");
    fs::rename(disk.folder.path(), &moved).unwrap();
    assert!(disk.fs.check_root("marker").is_err());
    let other = OsFilesystem::open({
        fs::create_dir(disk.folder.path()).unwrap();
        disk.folder.path()
    })
    .unwrap();
    other.adopt_root("marker").unwrap();
    disk.fs.check_root("marker").unwrap();
    assert!(disk.fs.metadata(&path("a")).unwrap().is_none());
    fs::remove_dir_all(moved).unwrap();
}

#[test]
fn a_listing_has_every_name_in_byte_order_and_leaves_out_our_own_folder() {
    use std::os::unix::ffi::OsStrExt;
    let disk = disk();
    for name in ["b", "B", "a\nb", "é", "e\u{301}", ".hidden"] {
        disk.write(name, name);
    }
    fs::create_dir(disk.folder.path().join("folder")).unwrap();
    fs::write(disk.folder.path().join(OsStr::from_bytes(b"\xff")), "x").unwrap();
    let listed = disk.fs.list(&DiskPath::root()).unwrap();
    assert_eq!(
        names(&listed),
        [
            ".hidden",
            "B",
            "a\nb",
            "b",
            "e\u{301}",
            "folder",
            "é",
            "? \u{fffd}"
        ]
    );
}

#[test]
fn a_session_lasts_beyond_the_process() {
    let disk = disk();
    let session = || OsFilesystem::open(disk.folder.path()).unwrap().session();
    assert_eq!(session(), session());
    let of_another_mount = OsFilesystem::open("/proc").unwrap().session();
    assert_eq!(of_another_mount, None, "nobody knows what it loses");
}

#[test]
fn pipes_and_mounts_are_told_without_opening_them() {
    let disk = disk();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        disk.folder.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .unwrap();
    assert_eq!(
        disk.fs.metadata(&path("pipe")).unwrap().unwrap().kind,
        FileKind::Special
    );
    assert!(disk.fs.open(&path("pipe")).is_err());

    let top = OsFilesystem::open("/").unwrap();
    assert_eq!(
        top.metadata(&path("proc")).unwrap().unwrap().kind,
        FileKind::MountPoint
    );
    assert!(top.list(&path("proc/self")).is_err());
    top.disk().lacks_openat2.store(true, Ordering::Relaxed);
    assert!(top.list(&path("proc/self")).is_err());
}

#[test]
fn no_link_is_followed_on_the_way_or_at_the_end() {
    let disk = disk();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "x").unwrap();
    std::os::unix::fs::symlink(outside.path(), disk.folder.path().join("link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), disk.folder.path().join("file")).unwrap();
    disk.stage("s", "new");
    for has_openat2 in [true, false] {
        disk.fs
            .disk()
            .lacks_openat2
            .store(!has_openat2, Ordering::Relaxed);
        assert!(disk.fs.metadata(&path("link/secret")).unwrap().is_none());
        assert!(disk.fs.list(&path("link")).unwrap_err().is_not_found());
        assert!(disk.fs.open(&path("file")).is_err());
        assert!(disk.fs.place("s", &path("link/new")).is_err());
        assert!(disk.fs.create_directory(&path("link/new")).is_err());
        assert!(
            disk.fs
                .set_attributes(&path("file"), true, Mtime::default())
                .is_err()
        );
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    let target = disk.fs.read_link(&path("link")).unwrap();
    assert_eq!(target.as_str(), outside.path().to_str().unwrap());
}

#[test]
fn paths_that_are_no_paths_are_refused() {
    let disk = disk();
    disk.stage("s", "x");
    for names in [
        vec![".."],
        vec!["a", "..", "b"],
        vec!["a/b"],
        vec![""],
        vec![".cairn", "root"],
    ] {
        let path = DiskPath::from_names(names.into_iter().map(str::to_owned).collect());
        assert!(disk.fs.create_directory(&path).is_err(), "{path}");
        assert!(disk.fs.place("s", &path).is_err(), "{path}");
    }
    assert!(disk.fs.stage("../root").is_err());
}

#[test]
fn paths_longer_than_the_kernel_takes_at_once_work() {
    let disk = disk();
    let mut deep = DiskPath::root();
    for _ in 0..40 {
        deep = deep.join(&"n".repeat(200));
        disk.fs.create_directory(&deep).unwrap();
    }
    disk.stage("s", "deep");
    let file = deep.join("file");
    disk.fs.place("s", &file).unwrap();
    assert_eq!(names(&disk.fs.list(&deep).unwrap()), ["file"]);
    assert_eq!(disk.fs.metadata(&file).unwrap().unwrap().fingerprint.size, 4);
    disk.fs.disk().lacks_openat2.store(true, Ordering::Relaxed);
    let mut buffer = [0; 10];
    assert_eq!(disk.fs.open(&file).unwrap().read_at(0, &mut buffer).unwrap(), 4);
    disk.fs.displace(&path(&"n".repeat(200)), "whole").unwrap();
    disk.fs.unstage("whole").unwrap();
    assert_eq!(disk.fs.staged_names().unwrap(), Vec::<String>::new());
}

#[test]
fn placing_replaces_nothing() {
    let disk = disk();
    disk.write("a", "old");
    disk.stage("s", "new");
    assert!(disk.fs.place("s", &path("a")).unwrap_err().is_already_exists());
    assert_eq!(disk.read("a"), "old");
    disk.fs.place("s", &path("b")).unwrap();
    assert_eq!(disk.read("b"), "new");
    assert!(disk.fs.staged("s").unwrap().is_none());
}

#[test]
fn a_batch_is_placed_with_one_result_each() {
    let disk = disk();
    disk.write("taken", "old");
    for name in ["1", "2", "3"] {
        disk.stage(name, name);
    }
    let batch = [
        ("1".to_owned(), path("x")),
        ("2".to_owned(), path("taken")),
        ("3".to_owned(), path("nowhere/y")),
        ("4".to_owned(), path("z")),
    ];
    let results = disk.fs.place_all(&batch);
    assert!(results[0].is_ok());
    assert!(results[1].as_ref().unwrap_err().is_already_exists());
    assert!(results[2].as_ref().unwrap_err().is_not_found());
    assert!(results[3].as_ref().unwrap_err().is_not_found());
    assert_eq!(disk.read("taken"), "old");
}

#[test]
fn an_exchange_keeps_both_and_the_permissions() {
    let disk = disk();
    disk.write("a", "old");
    fs::set_permissions(disk.folder.path().join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    disk.stage("s", "new");
    disk.fs.exchange("s", &path("a")).unwrap();
    assert_eq!(disk.read("a"), "new");
    assert_eq!(disk.read(".cairn/stage/s"), "old");
    assert_eq!(
        fs::metadata(disk.folder.path().join("a")).unwrap().mode() & 0o777,
        0o600
    );
    assert!(
        disk.fs
            .exchange("s", &path("missing"))
            .unwrap_err()
            .is_not_found()
    );
}

#[test]
fn case_only_renames_and_taken_names() {
    let disk = disk();
    disk.write("readme", "1");
    disk.fs.rename(&path("readme"), &path("README")).unwrap();
    assert_eq!(disk.read("README"), "1");
    fs::hard_link(
        disk.folder.path().join("README"),
        disk.folder.path().join("readme"),
    )
    .unwrap();
    assert!(
        disk.fs
            .rename(&path("readme"), &path("README"))
            .unwrap_err()
            .is_already_exists()
    );
    assert_eq!(disk.read("readme"), "1");
}

#[test]
fn any_time_and_the_exec_bit_are_kept() {
    let disk = disk();
    disk.write("a", "1");
    for mtime in [
        Mtime {
            seconds: -1_000_000_000,
            nanos: 999_999_999,
        },
        Mtime { seconds: 0, nanos: 0 },
        Mtime {
            seconds: 10_413_792_000,
            nanos: 1,
        },
    ] {
        disk.fs.set_attributes(&path("a"), true, mtime).unwrap();
        let metadata = disk.fs.metadata(&path("a")).unwrap().unwrap();
        assert_eq!(metadata.fingerprint.mtime, mtime);
        assert!(metadata.executable);
    }
    disk.fs
        .set_attributes(&path("a"), false, Mtime::default())
        .unwrap();
    assert!(!disk.fs.metadata(&path("a")).unwrap().unwrap().executable);
}

#[test]
fn a_staged_file_keeps_what_it_holds_until_it_is_finished() {
    let disk = disk();
    disk.fs.stage("part-1").unwrap().write_at(4, b"tail").unwrap();
    let mut file = disk.fs.stage("part-1").unwrap();
    let mut buffer = [1; 8];
    assert_eq!(file.read_at(0, &mut buffer).unwrap(), 8);
    assert_eq!(&buffer, b"\0\0\0\0tail");
    file.finish(
        6,
        true,
        Mtime {
            seconds: -5,
            nanos: 7,
        },
    )
    .unwrap();
    let metadata = disk.fs.staged("part-1").unwrap().unwrap();
    assert_eq!((metadata.fingerprint.size, metadata.executable), (6, true));
    assert_eq!(
        metadata.fingerprint.mtime,
        Mtime {
            seconds: -5,
            nanos: 7
        }
    );
    let stage = fs::metadata(disk.folder.path().join(".cairn/stage")).unwrap();
    assert_eq!(stage.mode() & 0o777, 0o700);
}

#[test]
fn the_trash_keeps_names_apart_and_is_emptied_by_age() {
    let disk = disk();
    for (staged, text) in [("1", "one"), ("2", "two")] {
        disk.stage(staged, text);
        disk.fs.trash_as(staged, "report.pdf").unwrap();
    }
    disk.fs.create_directory(&path("folder")).unwrap();
    disk.fs.create_directory(&path("folder/in")).unwrap();
    disk.write("folder/in/file", "x");
    disk.fs.displace(&path("folder"), "f").unwrap();
    disk.fs.trash_as("f", "folder").unwrap();
    assert_eq!(disk.read(".cairn/trash/report.pdf"), "one");
    assert_eq!(disk.read(".cairn/trash/report (2).pdf"), "two");
    assert_eq!(disk.fs.empty_trash(Timestamp::from_millis(0)).unwrap(), 0);
    assert_eq!(disk.fs.empty_trash(Timestamp::from_millis(i64::MAX)).unwrap(), 3);
    assert_eq!(
        fs::read_dir(disk.folder.path().join(".cairn/trash"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn much_of_one_name_in_the_trash_is_not_counted_through() {
    let disk = disk();
    for number in 0..20 {
        let staged = format!("staged-{number}");
        disk.stage(&staged, &staged);
        disk.fs.trash_as(&staged, "report.pdf").unwrap();
    }
    let trash = disk.folder.path().join(".cairn/trash");
    let found: Vec<_> = fs::read_dir(&trash)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found.len(), 20);
    assert!(
        found
            .iter()
            .all(|path| path.extension().is_some_and(|it| it == "pdf"))
    );
    assert!(trash.join("report (8).pdf").exists() && !trash.join("report (9).pdf").exists());
}

#[test]
fn a_stage_and_a_trash_that_somebody_removed_are_made_anew() {
    let disk = disk();
    for folder in ["stage", "trash"] {
        fs::remove_dir_all(disk.folder.path().join(".cairn").join(folder)).unwrap();
    }
    disk.stage("new", "text");
    disk.fs.trash("new").unwrap();
    assert_eq!(disk.read(".cairn/trash/new"), "text");
    let mode = |folder| fs::metadata(disk.folder.path().join(folder)).unwrap().mode() & 0o777;
    assert_eq!([mode(".cairn/stage"), mode(".cairn/trash")], [0o700, 0o700]);

    // As where the disk is not mounted.
    fs::remove_dir_all(disk.folder.path().join(".cairn")).unwrap();
    assert!(disk.fs.stage("new").err().unwrap().is_not_found());
    assert!(disk.fs.empty_trash(Timestamp::from_millis(0)).is_err());
    assert!(!disk.folder.path().join(".cairn").exists());
}

#[test]
fn folders_are_removed_only_when_empty() {
    let disk = disk();
    disk.fs.create_directory(&path("a")).unwrap();
    assert!(
        disk.fs
            .create_directory(&path("a"))
            .unwrap_err()
            .is_already_exists()
    );
    disk.write("a/b", "x");
    assert!(
        disk.fs
            .remove_directory(&path("a"))
            .unwrap_err()
            .is_already_exists()
    );
    fs::remove_file(disk.folder.path().join("a/b")).unwrap();
    disk.fs.remove_directory(&path("a")).unwrap();
    assert!(disk.fs.metadata(&path("a")).unwrap().is_none());
}

#[test]
fn links_are_staged_and_read_back() {
    let disk = disk();
    disk.fs
        .stage_link("l", &LinkTarget::new("../any where").unwrap())
        .unwrap();
    disk.fs.place("l", &path("link")).unwrap();
    assert_eq!(disk.fs.read_link(&path("link")).unwrap().as_str(), "../any where");
    let metadata = disk.fs.metadata(&path("link")).unwrap().unwrap();
    assert_eq!(metadata.kind, FileKind::Node(NodeKind::Symlink));
}

#[test]
fn a_file_that_shares_bytes_is_a_copy_or_it_is_said_that_there_is_none() {
    let disk = disk();
    disk.write("a", "first");
    let shared = disk.fs.stage_clone("s", &path("a")).unwrap();
    let held = fs::read_to_string(disk.folder.path().join(".cairn/stage/s")).unwrap();
    assert_eq!(held, if shared { "first" } else { "" });
    disk.stage("s", "other");
    assert_eq!(disk.read("a"), "first", "each keeps its own");
    let missing = disk.fs.stage_clone("t", &path("b")).unwrap_err();
    assert!(missing.is_not_found());
    assert!(disk.fs.staged("t").unwrap().is_none());
}
