use super::weak::Lacks;
use super::{Device, path};
use crate::fs::{DirectoryEntry, DiskPath, Filesystem};

/// Every disk that lacks something.
fn weak() -> impl Iterator<Item = Lacks> {
    (1..8).map(|bits: u8| Lacks {
        exchange: bits & 1 != 0,
        keep_existing: bits & 2 != 0,
        links: bits & 4 != 0,
        ..Lacks::default()
    })
}

#[test]
fn nothing_is_replaced_on_a_disk_that_lacks_something() {
    for lacks in weak() {
        let device = Device::new(lacks);
        device.write("a", "old");
        device.stage("s", "new");
        let taken = device.fs.place("s", &path("a")).unwrap_err();
        assert!(taken.is_already_exists(), "{lacks:?}");
        assert_eq!(device.read("a").unwrap(), "old", "{lacks:?}");
        device.fs.place("s", &path("b")).unwrap();
        assert_eq!(device.read("b").unwrap(), "new", "{lacks:?}");
        assert!(device.fs.staged("s").unwrap().is_none(), "{lacks:?}");

        let taken = device.fs.rename(&path("a"), &path("b")).unwrap_err();
        assert!(taken.is_already_exists(), "{lacks:?}");
        device.fs.create_directory(&path("f")).unwrap();
        device.fs.create_directory(&path("g")).unwrap();
        let taken = device.fs.rename(&path("f"), &path("g")).unwrap_err();
        assert!(taken.is_already_exists(), "{lacks:?}");
        device.fs.rename(&path("a"), &path("f/a")).unwrap();
        device.fs.rename(&path("f"), &path("g/f")).unwrap();
        assert_eq!(device.read("g/f/a").unwrap(), "old", "{lacks:?}");
        device.fs.displace(&path("g"), "away").unwrap();
        device.fs.trash_as("away", "g").unwrap();
        assert_eq!(device.read(".cairn/trash/g/f/a").unwrap(), "old", "{lacks:?}");
    }
}

#[test]
fn an_exchange_keeps_both_on_a_disk_that_lacks_something() {
    for lacks in weak() {
        let device = Device::new(lacks);
        device.write("a", "old");
        device.stage("s", "new");
        device.fs.exchange("s", &path("a")).unwrap();
        assert_eq!(device.read("a").unwrap(), "new", "{lacks:?}");
        assert_eq!(device.read(".cairn/stage/s").unwrap(), "old", "{lacks:?}");
        assert_eq!(device.fs.staged_names().unwrap(), ["s"], "{lacks:?}");
        let missing = device.fs.exchange("s", &path("missing")).unwrap_err();
        assert!(missing.is_not_found(), "{lacks:?}");
    }
}

#[test]
fn an_exchange_that_stops_anywhere_loses_nothing_and_is_ended_afterwards() {
    for lacks in weak() {
        for calls in 0.. {
            let device = Device::new(lacks);
            device.write("a", "old");
            device.stage("s", "new");
            device.fs.disk().die_after(calls);
            let exchanged = device.fs.exchange("s", &path("a"));
            device.fs.disk().forget();
            let texts = device.texts();
            assert!(texts.contains(&"old".to_owned()), "{lacks:?}, {calls}: {texts:?}");
            assert!(texts.contains(&"new".to_owned()), "{lacks:?}, {calls}: {texts:?}");

            device.fs.settle("s", &path("a")).unwrap();
            assert_eq!(device.fs.staged_names().unwrap(), ["s"], "{lacks:?}, {calls}");
            assert_eq!(device.texts(), ["new", "old"], "{lacks:?}, {calls}");
            assert!(device.read("a").is_some(), "{lacks:?}, {calls}");
            if exchanged.is_ok() {
                assert_eq!(device.read("a").unwrap(), "new", "{lacks:?}, {calls}");
                break;
            }
            assert!(calls < 20, "{lacks:?}: it never ends");
        }
    }
}

/// Where neither links nor renames that keep what exists are to be had, the gap between look and rename stays.
fn without_a_gap() -> impl Iterator<Item = Lacks> {
    weak().filter(|lacks| !lacks.keep_existing || !lacks.links)
}

#[test]
fn what_is_renamed_over_the_path_at_any_moment_of_an_exchange_is_kept() {
    for lacks in without_a_gap() {
        for calls in 0..8 {
            let device = Device::new(lacks);
            device.write("a", "old");
            device.write("b", "mine");
            device.stage("s", "new");
            let (from, to) = (device.folder.path().join("b"), device.folder.path().join("a"));
            device
                .fs
                .disk()
                .meanwhile(calls, move || std::fs::rename(from, to).unwrap());
            let exchanged = device.fs.exchange("s", &path("a"));
            device.fs.disk().forget();
            let apart = device.fs.settle("s", &path("a")).unwrap();
            let texts = device.texts();
            assert!(
                texts.contains(&"mine".to_owned()),
                "{lacks:?}, {calls}: {texts:?}"
            );
            let displaced = apart.map(|name| device.read(&format!(".cairn/stage/{name}")).unwrap());
            let staged = device.read(".cairn/stage/s").unwrap();
            let here = device.read("a").unwrap();
            let found = (here.as_str(), staged.as_str(), displaced.as_deref());
            if device.read("b").is_some() {
                assert_eq!(found, ("new", "old", None), "{lacks:?}: it was over before");
            } else if exchanged.is_ok() {
                assert!(
                    matches!(found, ("new", "mine", None) | ("mine", "old", None)),
                    "{lacks:?}, {calls}: {found:?}"
                );
            } else {
                assert_eq!(found, ("mine", "new", Some("old")), "{lacks:?}, {calls}");
            }
        }
    }
}

#[test]
fn what_is_renamed_over_the_path_at_any_moment_of_a_move_is_kept() {
    for lacks in weak() {
        // A move by a link looks before its last call: only what comes between these two can be lost.
        for (to, most) in [("stage", 4), ("folder", 2)] {
            for calls in 0..most {
                let device = Device::new(lacks);
                device.write("a", "old");
                device.write("b", "mine");
                let (from, over) = (device.folder.path().join("b"), device.folder.path().join("a"));
                device.fs.disk().meanwhile(calls, move || {
                    if over.exists() {
                        std::fs::rename(from, over).unwrap();
                    }
                });
                if to == "stage" {
                    device.fs.displace(&path("a"), "s").unwrap();
                } else {
                    device.fs.rename(&path("a"), &path("c")).unwrap();
                }
                let texts = device.texts();
                assert!(
                    texts.contains(&"mine".to_owned()),
                    "{lacks:?}, {calls}, {to}: {texts:?}"
                );
            }
        }
    }
}

#[test]
fn what_was_displaced_from_a_folder_that_is_gone_is_told_of() {
    let device = Device::new(Lacks {
        exchange: true,
        ..Lacks::default()
    });
    device.fs.create_directory(&path("f")).unwrap();
    device.write("f/a", "old");
    device.stage("s", "new");
    let folder = device.folder.path().join("f");
    device
        .fs
        .disk()
        .meanwhile(2, move || std::fs::remove_dir(folder).unwrap());
    let exchanged = device.fs.exchange("s", &path("f/a")).unwrap_err();
    assert!(exchanged.is_not_found());
    let apart = device.fs.settle("s", &path("f/a")).unwrap().unwrap();
    assert_eq!(device.read(&format!(".cairn/stage/{apart}")).unwrap(), "old");
    assert_eq!(device.read(".cairn/stage/s").unwrap(), "new");
}

#[test]
fn a_path_that_a_loss_of_power_left_free_is_filled_again() {
    let device = Device::new(Lacks {
        exchange: true,
        ..Lacks::default()
    });
    // The stage has lost the name of what was placed, and the folder has not got it.
    device.stage("displaced-s", "old");
    assert_eq!(device.fs.settle("s", &path("a")).unwrap(), None);
    assert_eq!(device.read("a").unwrap(), "old");
    assert!(device.fs.staged_names().unwrap().is_empty());
}

#[test]
fn a_move_by_a_link_whose_folder_cannot_be_made_durable_has_not_happened() {
    let device = Device::new(Lacks {
        keep_existing: true,
        ..Lacks::default()
    });
    device.write("a", "old");
    device.fs.create_directory(&path("f")).unwrap();
    device.fs.disk().fail("sync f/");
    device.fs.rename(&path("a"), &path("f/b")).unwrap_err();
    assert_eq!(device.read("a").unwrap(), "old");
    assert_eq!(device.read("f/b"), None);
}

#[test]
fn a_move_among_our_own_folders_never_leaves_two_names() {
    for lacks in weak() {
        for calls in 0..4 {
            let device = Device::new(lacks);
            device.stage("s", "old");
            device.fs.disk().die_after(calls);
            let stopped = device.fs.restage("s", "kept");
            device.fs.disk().revive();
            assert_eq!(device.fs.staged_names().unwrap().len(), 1, "{lacks:?}, {calls}");
            let Some(name) = device.fs.staged_names().unwrap().pop() else {
                continue;
            };
            assert!(stopped.is_err() || name == "kept", "{lacks:?}, {calls}");
            device.fs.disk().die_after(calls);
            let stopped = device.fs.trash_as(&name, "a");
            device.fs.disk().revive();
            assert_eq!(device.texts(), ["old"], "{lacks:?}, {calls}");
            let is_trashed = device.read(".cairn/trash/a").is_some();
            assert!(stopped.is_err() || is_trashed, "{lacks:?}, {calls}");
        }
    }
}

#[test]
fn a_move_that_stops_anywhere_leaves_one_name() {
    for lacks in weak() {
        for calls in 0.. {
            let device = Device::new(lacks);
            device.write("a", "old");
            device.fs.disk().die_after(calls);
            let moved = device.fs.displace(&path("a"), "s");
            device.fs.disk().forget();
            device.fs.settle("s", &path("a")).unwrap();
            assert_eq!(device.texts(), ["old"], "{lacks:?}, {calls}");
            if moved.is_ok() {
                assert!(device.read("a").is_none(), "{lacks:?}, {calls}");
                break;
            }
            assert!(calls < 20, "{lacks:?}: it never ends");
        }
    }
}

#[test]
fn another_case_of_a_name_is_its_own_on_a_disk_that_folds_names() {
    let device = Device::new(Lacks {
        case: true,
        ..Lacks::default()
    });
    device.write("readme", "1");
    device.write("other", "2");
    device.fs.rename(&path("readme"), &path("README")).unwrap();
    assert_eq!(device.read("README").unwrap(), "1");
    assert!(device.read("readme").is_none());
    let taken = device.fs.rename(&path("other"), &path("Readme")).unwrap_err();
    assert!(taken.is_already_exists());
    assert_eq!(device.texts(), ["1", "2"]);
}

#[test]
fn a_name_that_a_listing_gives_twice_is_one() {
    let device = Device::new(Lacks {
        single: true,
        ..Lacks::default()
    });
    device.write("a", "1");
    device.write("b", "2");
    device.stage("s", "3");
    let listed = device.fs.list(&DiskPath::root()).unwrap();
    let names: Vec<&str> = listed
        .iter()
        .map(|entry| match entry {
            DirectoryEntry::Named { name, .. } => name.as_str(),
            DirectoryEntry::Unreadable { shown, .. } => shown.as_str(),
        })
        .collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(device.fs.staged_names().unwrap(), ["s"]);
}
