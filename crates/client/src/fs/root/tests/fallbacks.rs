use super::weak::Lacks;
use super::{Device, path};
use crate::fs::Filesystem;

/// Every disk that lacks something.
fn weak() -> impl Iterator<Item = Lacks> {
    (1..8).map(|bits: u8| Lacks {
        exchange: bits & 1 != 0,
        keep_existing: bits & 2 != 0,
        links: bits & 4 != 0,
        case: false,
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
