use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cairn_client::fs::disk::{Access, Disk};
use cairn_testkit::random::Random;

use super::{bytes_at, disk, folder, name, put};
use crate::disk::{Call, CallKind, DiskOptions, Injection, SimDisk};

fn inject_once(disk: &SimDisk, kind: CallKind, injection: Injection) {
    let mut left = Some(injection);
    disk.set_hook(Box::new(move |call| {
        if call.kind == kind {
            left.take().unwrap_or(Injection::Proceed)
        } else {
            Injection::Proceed
        }
    }));
}

fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn a_process_dies_before_the_call_of_its_fuse_and_stays_dead() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let root = folder(&process, "");
    let deaths = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&deaths);
    let seen = disk.clone();
    process.set_fuse(
        2,
        Box::new(move || {
            // No lock is held.
            seen.content_digest();
            told.fetch_add(1, Ordering::Relaxed);
        }),
    );
    process.make_folder(&root, name("a"), 0o777).unwrap();
    assert!(!process.is_dead());
    let digest = disk.content_digest();
    for _ in 0..2 {
        assert!(process.make_folder(&root, name("b"), 0o777).is_err());
    }
    assert!(process.is_dead());
    assert_eq!(deaths.load(Ordering::Relaxed), 1);
    assert_eq!(disk.content_digest(), digest);
}

#[test]
fn a_killed_process_changes_nothing_and_another_goes_on() {
    let disk = disk(DiskOptions::default());
    let (one, other) = (disk.process(), disk.process());
    let file = put(&one, &folder(&one, ""), "a", b"text");
    one.clone().kill();
    assert!(one.write_at(&file, 0, b"more").is_err());
    assert!(one.sync_file(&file).is_err());
    let root = folder(&other, "");
    // A handle is of no use to another process.
    assert!(other.sync_file(&file).is_err());
    put(&other, &root, "b", b"text");
    assert_eq!(disk.user().tree().len(), 2);
}

#[test]
fn a_call_can_fail_before_or_after_it_is_done() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let root = folder(&process, "");
    let denied = io::ErrorKind::PermissionDenied;
    inject_once(&disk, CallKind::MakeFolder, Injection::Fail(denied));
    assert_eq!(kind(process.make_folder(&root, name("a"), 0o777)), Some(denied));
    assert_eq!(disk.user().tree().len(), 0);
    inject_once(&disk, CallKind::MakeFolder, Injection::FailAfter(denied));
    assert_eq!(kind(process.make_folder(&root, name("a"), 0o777)), Some(denied));
    assert_eq!(disk.user().tree().len(), 1);
}

#[test]
fn a_short_write_leaves_half() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let file = put(&process, &folder(&process, ""), "a", b"");
    inject_once(&disk, CallKind::WriteAt, Injection::ShortWrite);
    assert_eq!(
        kind(process.write_at(&file, 0, b"text")),
        Some(io::ErrorKind::StorageFull)
    );
    assert_eq!(bytes_at(&disk, "a"), Some(b"te".to_vec()));
}

#[test]
fn after_a_failed_sync_another_one_succeeds_without_writing() {
    let mut was_forgotten = [false; 2];
    for (round, was_forgotten) in was_forgotten.iter_mut().enumerate() {
        let disk = disk(DiskOptions::default());
        let process = disk.process();
        let root = folder(&process, "");
        for _ in 0..=round {
            let file = put(&process, &root, "a", b"text");
            inject_once(
                &disk,
                CallKind::SyncFile,
                Injection::FailAfter(io::ErrorKind::Other),
            );
            assert!(process.sync_file(&file).is_err());
            process.sync_file(&file).unwrap();
        }
        *was_forgotten = bytes_at(&disk, "a") == Some(Vec::new());
        process.sync_folder(&root).unwrap();
        disk.power_loss(&mut Random::new(1));
        assert_eq!(bytes_at(&disk, "a"), Some(Vec::new()));
    }
    // The first cache keeps what it shows, the second does not.
    assert_eq!(was_forgotten, [false, true]);
}

#[test]
fn people_may_do_something_between_two_calls() {
    let disk = disk(DiskOptions::default());
    disk.user().write("a", b"first").unwrap();
    let process = disk.process();
    let root = folder(&process, "");
    let file = process.open_file(&root, name("a"), Access::Read).unwrap();
    let user = disk.user();
    disk.set_hook(Box::new(move |call: &Call| {
        if call.kind == CallKind::ReadAt {
            user.save_by_rename("a", b"second").unwrap();
        }
        Injection::Proceed
    }));
    let mut buffer = [0; 16];
    let count = process.read_at(&file, 0, &mut buffer).unwrap();
    assert_eq!(&buffer[..count], b"first");
    assert_eq!(bytes_at(&disk, "a"), Some(b"second".to_vec()));
}

#[test]
fn a_hook_may_end_the_process_whose_call_it_is_asked_about() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let root = folder(&process, "");
    let victim = process.clone();
    disk.set_hook(Box::new(move |_| {
        victim.kill();
        Injection::Proceed
    }));
    assert!(process.make_folder(&root, name("a"), 0o777).is_err());
    assert!(disk.user().tree().is_empty());
}

#[test]
fn a_call_says_what_it_is_about() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    process
        .make_folder(&folder(&process, ""), name("a"), 0o777)
        .unwrap();
    let below = folder(&process, "a");
    put(&process, &below, "x", b"text");
    let calls = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = Arc::clone(&calls);
    disk.set_hook(Box::new(move |call| {
        kept.lock().unwrap().push(call.clone());
        Injection::Proceed
    }));
    process
        .link(&below, name("x"), &folder(&process, ""), name("y"))
        .unwrap();
    disk.clear_hook();
    process.names(&below).unwrap();
    let calls = calls.lock().unwrap();
    let last = calls.last().unwrap();
    assert_eq!(last.kind, CallKind::Link);
    assert_eq!(last.path.as_ref().unwrap().to_string(), "a/x");
    assert_eq!(last.new_path.as_ref().unwrap().to_string(), "y");
    assert_eq!(
        (last.process, last.number),
        (process.number(), process.call_count() - 1)
    );
}

#[test]
fn a_full_disk_takes_no_more_and_gives_space_back() {
    let disk = disk(DiskOptions::default());
    disk.user().write("a", &[1; 5_000]).unwrap();
    disk.set_capacity(Some(disk.used_bytes()));
    let process = disk.process();
    let root = folder(&process, "");
    let full = Some(io::ErrorKind::StorageFull);
    assert_eq!(kind(process.make_folder(&root, name("d"), 0o777)), full);
    assert_eq!(kind(process.open_file(&root, name("b"), Access::Create)), full);
    assert_eq!(kind(disk.user().append("a", &[1; 5_000])), full);
    // The rest of a block is there.
    disk.user().append("a", b"more").unwrap();
    let held = process.open_file(&root, name("a"), Access::Write).unwrap();
    disk.user().remove("a").unwrap();
    assert_eq!(kind(process.make_folder(&root, name("d"), 0o777)), full);
    drop(held);
    process.make_folder(&root, name("d"), 0o777).unwrap();
}

#[test]
fn nothing_changes_on_a_read_only_disk() {
    let disk = disk(DiskOptions::default());
    disk.user().write("a", b"text").unwrap();
    disk.user().sync();
    let process = disk.process();
    let root = folder(&process, "");
    disk.set_read_only(true);
    let refused = Some(io::ErrorKind::ReadOnlyFilesystem);
    assert_eq!(kind(disk.user().write("a", b"more")), refused);
    assert_eq!(kind(process.unlink(&root, name("a"))), refused);
    assert_eq!(kind(process.open_file(&root, name("a"), Access::Write)), refused);
    assert_eq!(kind(process.open_file(&root, name("b"), Access::Create)), refused);
    assert_eq!(bytes_at(&disk, "a"), Some(b"text".to_vec()));
    process.sync_folder(&root).unwrap();
}

#[test]
fn what_is_denied_can_be_seen_but_not_opened() {
    let disk = disk(DiskOptions::default());
    disk.user().make_folder("d").unwrap();
    disk.user().write("d/x", b"text").unwrap();
    let process = disk.process();
    let denied = Some(io::ErrorKind::PermissionDenied);
    let below = folder(&process, "d");
    disk.set_denied("d/x", true).unwrap();
    assert!(process.stat(&below, name("x")).is_ok());
    assert_eq!(kind(process.open_file(&below, name("x"), Access::Read)), denied);
    disk.set_denied("d", true).unwrap();
    assert!(process.stat(&folder(&process, ""), name("d")).is_ok());
    assert_eq!(kind(process.names(&below)), denied);
    assert_eq!(kind(process.stat(&below, name("x"))), denied);
    disk.set_denied("d", false).unwrap();
    assert!(process.names(&below).is_ok());
    assert_eq!(disk.user().read("d/x").unwrap().as_slice(), b"text");
}
