use cairn_core::time::Mtime;

use super::weak::Lacks;
use super::{Device, path};
use crate::fs::Filesystem;

#[test]
fn what_gains_a_name_is_durable_before_what_loses_one() {
    let device = Device::new(Lacks::default());
    let disk = device.fs.disk();
    device.write("a", "old");
    device.fs.create_directory(&path("f")).unwrap();
    assert_eq!(disk.forget(), ["make f", "sync "]);
    device.stage("s", "new");
    device.fs.exchange("s", &path("a")).unwrap();
    assert_eq!(disk.forget(), ["swap stage/s a", "sync stage/", "sync "]);
    device.fs.trash_as("s", "a").unwrap();
    assert_eq!(
        disk.forget(),
        ["move stage/s trash/a", "sync trash/", "sync stage/"]
    );
    device.fs.rename(&path("a"), &path("f/a")).unwrap();
    assert_eq!(disk.forget(), ["move a f/a", "sync f/", "sync "]);
    device.fs.displace(&path("f/a"), "s").unwrap();
    assert_eq!(disk.forget(), ["move f/a stage/s", "sync stage/", "sync f/"]);
    device.fs.place("s", &path("f/b")).unwrap();
    assert_eq!(disk.forget(), ["move stage/s f/b", "sync f/", "sync stage/"]);
}

#[test]
fn a_swap_by_moves_is_durable_from_step_to_step() {
    let device = Device::new(Lacks {
        exchange: true,
        ..Lacks::default()
    });
    device.write("a", "old");
    device.stage("s", "new");
    device.fs.exchange("s", &path("a")).unwrap();
    assert_eq!(
        device.fs.disk().forget(),
        [
            "move a stage/displaced-s",
            "sync stage/",
            "move stage/s a",
            "sync ",
            "rename stage/displaced-s stage/s",
            "sync stage/",
            "sync ",
        ]
    );
}

#[test]
fn a_batch_fails_where_its_folder_does_and_keeps_the_staged_names() {
    let device = Device::new(Lacks::default());
    for name in ["f", "g"] {
        device.fs.create_directory(&path(name)).unwrap();
    }
    for name in ["1", "2", "3"] {
        device.stage(name, name);
    }
    let batch = [("1", "f/1"), ("2", "g/2"), ("3", "f/3")].map(|(staged, to)| (staged.to_owned(), path(to)));
    device.fs.disk().fail("sync f/");
    let results = device.fs.place_all(&batch);
    assert_eq!(
        results.iter().map(Result::is_ok).collect::<Vec<_>>(),
        [false, true, false]
    );
    let calls = device.fs.disk().forget();
    // Neither is the sync tried again, nor is it made durable that the stage has lost the names.
    assert_eq!(
        calls,
        [
            "move stage/1 f/1",
            "move stage/2 g/2",
            "move stage/3 f/3",
            "sync g/"
        ]
    );
}

#[test]
fn a_failed_sync_is_not_tried_again() {
    let device = Device::new(Lacks::default());
    let disk = device.fs.disk();
    let mut file = device.fs.stage("part-1").unwrap();
    file.write_at(0, b"bytes").unwrap();
    disk.fail("sync a file");
    assert!(file.finish(5, false, Mtime::default()).is_err());
    drop(file);
    assert_eq!(disk.forget(), ["unlink stage/part-1"]);
    assert!(device.fs.staged("part-1").unwrap().is_none());

    device.stage("s", "new");
    disk.fail("sync ");
    assert!(device.fs.place("s", &path("a")).is_err());
    assert_eq!(disk.forget(), ["move stage/s a"]);
}

#[test]
fn a_folder_that_a_crash_left_undurable_is_durable_when_it_is_taken() {
    let device = Device::new(Lacks::default());
    let disk = device.fs.disk();
    disk.die_after(1);
    assert!(device.fs.create_directory(&path("f")).is_err());
    assert_eq!(disk.forget(), ["make f"]);
    let taken = device.fs.create_directory(&path("f")).unwrap_err();
    assert!(taken.is_already_exists());
    assert_eq!(disk.forget(), ["sync "]);

    disk.die_after(1);
    assert!(device.fs.remove_directory(&path("f")).is_err());
    assert_eq!(disk.forget(), ["remove f"]);
    assert!(device.fs.remove_directory(&path("f")).unwrap_err().is_not_found());
    assert_eq!(disk.forget(), ["sync "]);
}
