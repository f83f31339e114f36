use std::io;

use cairn_client::fs::disk::{Access, Disk, RenameMode};
use cairn_core::time::Mtime;

use super::{bytes_at, disk, folder, move_to, name, put};
use crate::disk::DiskOptions;

fn folding() -> DiskOptions {
    DiskOptions {
        case_folding: true,
        ..DiskOptions::default()
    }
}

#[test]
fn names_that_differ_in_case_are_one_where_they_fold() {
    let disk = disk(folding());
    disk.user().write("Straße.TXT", b"text").unwrap();
    assert_eq!(bytes_at(&disk, "straße.txt"), Some(b"text".to_vec()));
    disk.user().append("STRASSE.txt", b"other").unwrap();
    disk.user().append("straßE.txt", b"+").unwrap();
    let names: Vec<String> = disk.user().tree().into_keys().collect();
    assert_eq!(names, ["STRASSE.txt", "Straße.TXT"]);
    let process = disk.process();
    let root = folder(&process, "");
    let taken = process.make_folder(&root, name("STRAßE.txt"), 0o777);
    assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn a_rename_that_changes_only_the_case_changes_the_name() {
    let disk = disk(folding());
    disk.user().write("a", b"text").unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    let kept = process.rename(&root, name("a"), &root, name("A"), RenameMode::KeepExisting);
    assert_eq!(kept.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    move_to(&process, &root, "a", &root, "A");
    assert_eq!(process.names(&root).unwrap(), ["A"]);
    process.sync_folder(&root).unwrap();
    disk.power_loss(&mut cairn_testkit::random::Random::new(3));
    assert_eq!(disk.user().tree().into_keys().collect::<Vec<_>>(), ["A"]);
}

#[test]
fn names_are_kept_decomposed_where_the_disk_does_that() {
    let disk = disk(DiskOptions {
        normalises_nfd: true,
        ..folding()
    });
    disk.user().write("caf\u{e9}", b"text").unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    assert_eq!(process.names(&root).unwrap(), ["cafe\u{301}"]);
    assert_eq!(bytes_at(&disk, "CAFE\u{301}"), Some(b"text".to_vec()));
    assert!(process.stat(&root, name("caf\u{e9}")).is_ok());
}

#[test]
fn names_stay_apart_on_other_disks() {
    let disk = disk(DiskOptions::default());
    for path in ["caf\u{e9}", "cafe\u{301}", "Cafe\u{301}"] {
        disk.user().write(path, b"text").unwrap();
    }
    assert_eq!(disk.user().tree().len(), 3);
}

#[test]
fn names_that_cannot_be_are_refused() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let root = folder(&process, "");
    let make = |text: &str| process.make_folder(&root, name(text), 0o777).err();
    assert_eq!(
        make(&"x".repeat(256)).unwrap().kind(),
        io::ErrorKind::InvalidFilename
    );
    assert!(make(&"x".repeat(255)).is_none());
    for text in ["", ".", "..", "a/b", "a\0"] {
        assert_eq!(make(text).unwrap().kind(), io::ErrorKind::InvalidInput);
    }
}

#[test]
fn times_are_as_coarse_as_the_disk() {
    let step_ns = 2_000_000_000;
    let disk = disk(DiskOptions {
        timestamp_step_ns: step_ns,
        has_birth_time: false,
        ..DiskOptions::default()
    });
    let process = disk.process();
    let root = folder(&process, "");
    let file = put(&process, &root, "a", b"text");
    let odd = Mtime::new(-3, 5).unwrap();
    process.set_mtime(&file, odd).unwrap();
    let stat = process.stat_file(&file).unwrap();
    assert_eq!(stat.metadata.fingerprint.mtime, Mtime::new(-4, 0).unwrap());
    assert_eq!(stat.metadata.fingerprint.ctime.seconds % 2, 0);
    assert_eq!(stat.metadata.fingerprint.ctime.nanos, 0);
    assert_eq!(stat.metadata.fingerprint.born_ns, None);
    assert_eq!(process.root_traits(&root).timestamp_step_ns, step_ns);
}

#[test]
fn a_disk_without_exec_bits_shows_everything_executable() {
    let disk = disk(DiskOptions {
        keeps_exec_bit: false,
        ..DiskOptions::default()
    });
    let process = disk.process();
    let root = folder(&process, "");
    let file = put(&process, &root, "a", b"text");
    process.set_mode(&file, 0o600).unwrap();
    let stat = process.stat_file(&file).unwrap();
    assert!(stat.metadata.executable);
    assert!(!process.root_traits(&root).keeps_exec_bit);
}

#[test]
fn a_disk_without_swaps_and_links_says_so() {
    let disk = disk(DiskOptions {
        has_exchange: false,
        has_keep_existing: false,
        has_links: false,
        ..DiskOptions::default()
    });
    let process = disk.process();
    let root = folder(&process, "");
    put(&process, &root, "a", b"a");
    put(&process, &root, "b", b"b");
    for mode in [RenameMode::Exchange, RenameMode::KeepExisting] {
        let result = process.rename(&root, name("a"), &root, name("b"), mode);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::Unsupported);
    }
    let linked = process.link(&root, name("a"), &root, name("c"));
    assert_eq!(linked.unwrap_err().kind(), io::ErrorKind::Unsupported);
}

#[test]
fn the_number_of_a_removed_file_is_given_to_the_next_unless_somebody_has_it_open() {
    let disk = disk(DiskOptions::default());
    let number = |path: &str| disk.user().stat(path).unwrap().unwrap().inode;
    disk.user().write("a", b"").unwrap();
    let first = number("a");
    disk.user().remove("a").unwrap();
    disk.user().write("b", b"").unwrap();
    assert_eq!(number("b"), first);
    let process = disk.process();
    let held = process.open_file(&folder(&process, ""), name("b"), Access::Read);
    disk.user().remove("b").unwrap();
    disk.user().write("c", b"").unwrap();
    assert_ne!(number("c"), first);
    drop(held);
    disk.user().write("d", b"").unwrap();
    assert_eq!(number("d"), first);
}
