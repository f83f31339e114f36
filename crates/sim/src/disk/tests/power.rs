use std::collections::BTreeSet;
use std::time::Duration;

use cairn_client::fs::disk::{Access, Disk};
use cairn_testkit::random::Random;

use super::{bytes_at, disk, folder, move_to, name, put, unordered};
use crate::disk::{DiskOptions, FileLoss, PowerLoss, SimDisk};

const SEEDS: u64 = 400;

fn both_orders() -> [DiskOptions; 2] {
    [DiskOptions::default(), unordered()]
}

/// Prepares a disk and cuts the power, once for each seed; returns what `look` saw.
fn outcomes<T: Ord>(
    options: &DiskOptions,
    prepare: impl Fn(&SimDisk),
    look: impl Fn(&SimDisk, &PowerLoss) -> T,
) -> BTreeSet<T> {
    (0..SEEDS)
        .map(|seed| {
            let disk = disk(options.clone());
            prepare(&disk);
            let loss = disk.power_loss(&mut Random::new(seed));
            look(&disk, &loss)
        })
        .collect()
}

/// Which of these paths hold what.
fn shown<const N: usize>(paths: [&'static str; N]) -> impl Fn(&SimDisk, &PowerLoss) -> String {
    move |disk, _| {
        let rows = paths.map(|path| match bytes_at(disk, path) {
            Some(bytes) => format!("{path}={}", String::from_utf8_lossy(&bytes)),
            None => format!("{path} gone"),
        });
        rows.join(", ")
    }
}

fn expect<const N: usize>(rows: [&str; N]) -> BTreeSet<String> {
    rows.into_iter().map(str::to_owned).collect()
}

#[test]
fn what_was_synced_survives() {
    for options in both_orders() {
        let found = outcomes(
            &options,
            |disk| {
                let process = disk.process();
                let root = folder(&process, "");
                let file = put(&process, &root, "a", b"text");
                process.sync_file(&file).unwrap();
                process.sync_folder(&root).unwrap();
            },
            shown(["a"]),
        );
        assert_eq!(found, expect(["a=text"]));
    }
}

#[test]
fn a_file_without_its_name_synced_may_be_gone_and_is_never_cut() {
    let prepare = |disk: &SimDisk| {
        let process = disk.process();
        let root = folder(&process, "");
        let file = put(&process, &root, "a", b"text");
        process.sync_file(&file).unwrap();
    };
    // One journal has the name when it has the file.
    let found = outcomes(&DiskOptions::default(), prepare, shown(["a"]));
    assert_eq!(found, expect(["a=text"]));
    let found = outcomes(&unordered(), prepare, shown(["a"]));
    assert_eq!(found, expect(["a=text", "a gone"]));
}

#[test]
fn bytes_that_were_not_synced_are_lost_in_each_way() {
    for options in both_orders() {
        let losses = outcomes(
            &options,
            |disk| {
                disk.user().write("a", b"first").unwrap();
                disk.user().sync();
                disk.user().write("a", b"second text").unwrap();
            },
            |_, loss| loss.files.get("a").copied(),
        );
        let all = [
            FileLoss::Kept,
            FileLoss::Lost,
            FileLoss::Emptied,
            FileLoss::Shortened,
            FileLoss::Torn,
        ];
        assert_eq!(losses, all.map(Some).into_iter().collect());
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_written_a_minute_ago_the_system_has_written_out() {
    for (seconds, survives) in [(59, false), (60, true)] {
        let disk = disk(DiskOptions::default());
        disk.user().write("a", b"first").unwrap();
        disk.user().sync();
        disk.user().write("a", b"second text").unwrap();
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let loss = disk.power_loss(&mut Random::new(1));
        assert_eq!(loss.files.is_empty(), survives);
        assert_eq!(bytes_at(&disk, "a").unwrap() == b"second text", survives);
    }
}

#[test]
fn an_append_never_harms_what_was_durable() {
    let found = outcomes(
        &unordered(),
        |disk| {
            disk.user().write("a", b"first").unwrap();
            disk.user().sync();
            disk.user().append("a", b"..").unwrap();
        },
        shown(["a"]),
    );
    let all = ["a=first", "a=first.", "a=first..", "a=first.\0", "a=first\0\0"];
    assert_eq!(found, expect(all));
}

#[test]
fn times_outlive_bytes_only_where_they_may() {
    for (times_outlive_bytes, expected) in [(false, false), (true, true)] {
        let options = DiskOptions {
            times_outlive_bytes,
            ..DiskOptions::default()
        };
        let quiet = outcomes(
            &options,
            |disk| {
                disk.user().write("a", b"old").unwrap();
                disk.user().sync();
                disk.user().write_in_place("a", 0, b"new").unwrap();
            },
            |disk, loss| {
                let written = cairn_core::time::Mtime::default();
                disk.user().write("b", b"").unwrap();
                let durable = disk.user().stat("a").unwrap().unwrap().mtime;
                assert_ne!(durable, written);
                (loss.files["a"] == FileLoss::Lost, durable)
            },
        );
        let times_of_lost: BTreeSet<_> = quiet.iter().filter(|(lost, _)| *lost).collect();
        assert_eq!(times_of_lost.len() > 1, expected);
    }
}

#[test]
fn a_rename_in_one_folder_is_atomic() {
    for options in both_orders() {
        let found = outcomes(
            &options,
            |disk| {
                disk.user().write("x", b"old").unwrap();
                disk.user().write("y", b"new").unwrap();
                disk.user().sync();
                let process = disk.process();
                let root = folder(&process, "");
                move_to(&process, &root, "y", &root, "x");
            },
            shown(["x", "y"]),
        );
        assert_eq!(found, expect(["x=old, y=new", "x=new, y gone"]));
    }
}

fn two_folders(disk: &SimDisk) {
    disk.user().make_folder("a").unwrap();
    disk.user().make_folder("b").unwrap();
    disk.user().write("a/x", b"text").unwrap();
    disk.user().sync();
}

/// Moves `a/x` to `b/x` and syncs the folders named.
fn moved(synced: &'static [&'static str]) -> impl Fn(&SimDisk) {
    move |disk| {
        two_folders(disk);
        let process = disk.process();
        move_to(&process, &folder(&process, "a"), "x", &folder(&process, "b"), "x");
        for path in synced {
            process.sync_folder(&folder(&process, path)).unwrap();
        }
    }
}

#[test]
fn a_rename_between_folders_may_leave_both_names_where_nothing_orders_them() {
    let look = || shown(["a/x", "b/x"]);
    let (old, both, new) = ("a/x=text, b/x gone", "a/x=text, b/x=text", "a/x gone, b/x=text");
    let ordered = DiskOptions::default();
    assert_eq!(outcomes(&ordered, moved(&[]), look()), expect([old, new]));
    assert_eq!(outcomes(&ordered, moved(&["a"]), look()), expect([new]));
    assert_eq!(
        outcomes(&unordered(), moved(&[]), look()),
        expect([old, both, new])
    );
    assert_eq!(outcomes(&unordered(), moved(&["b"]), look()), expect([both, new]));
    assert_eq!(outcomes(&unordered(), moved(&["b", "a"]), look()), expect([new]));
    // The wrong one first: the only name was not written.
    let gone = "a/x gone, b/x gone";
    assert_eq!(outcomes(&unordered(), moved(&["a"]), look()), expect([gone, new]));
}

#[test]
fn a_move_by_a_person_is_never_torn() {
    let found = outcomes(
        &unordered(),
        |disk| {
            two_folders(disk);
            disk.user().rename("a/x", "b/x").unwrap();
            disk.user().make_folder("c").unwrap();
            disk.user().rename("a", "c/a").unwrap();
            disk.user().rename("b", "c/b").unwrap();
        },
        |disk, _| {
            let tree = disk.user().tree();
            let copies = tree.keys().filter(|path| path.ends_with("/x")).count();
            assert_eq!(copies, 1, "{tree:?}");
            tree.into_keys().find(|path| path.ends_with("/x"))
        },
    );
    assert!(found.len() >= 3, "{found:?}");
}

#[test]
fn a_swap_that_was_not_synced_is_whole_and_one_half_synced_is_not() {
    let swap = |synced: &'static [&'static str]| {
        move |disk: &SimDisk| {
            two_folders(disk);
            disk.user().write("b/y", b"other").unwrap();
            disk.user().sync();
            let process = disk.process();
            let (a, b) = (folder(&process, "a"), folder(&process, "b"));
            let mode = cairn_client::fs::disk::RenameMode::Exchange;
            process.rename(&a, name("x"), &b, name("y"), mode).unwrap();
            for path in synced {
                process.sync_folder(&folder(&process, path)).unwrap();
            }
        }
    };
    let look = || shown(["a/x", "b/y"]);
    let (old, new) = ("a/x=text, b/y=other", "a/x=other, b/y=text");
    assert_eq!(outcomes(&unordered(), swap(&[]), look()), expect([old, new]));
    assert_eq!(
        outcomes(&unordered(), swap(&["a"]), look()),
        expect(["a/x=other, b/y=other", new])
    );
    assert_eq!(
        outcomes(&DiskOptions::default(), swap(&["a"]), look()),
        expect([new])
    );
}

#[test]
fn what_is_in_a_folder_goes_with_the_folder() {
    let found = outcomes(
        &unordered(),
        |disk| {
            let process = disk.process();
            let root = folder(&process, "");
            process.make_folder(&root, name("d"), 0o777).unwrap();
            let below = folder(&process, "d");
            let file = put(&process, &below, "x", b"text");
            process.sync_file(&file).unwrap();
            process.sync_folder(&below).unwrap();
        },
        |disk, loss| (disk.user().tree().into_keys().collect::<Vec<_>>(), loss.vanished),
    );
    let whole = vec!["d".to_owned(), "d/x".to_owned()];
    assert_eq!(found, [(whole, 0), (Vec::new(), 2)].into_iter().collect());
}

#[test]
fn operations_survive_in_order_only_where_there_is_a_journal() {
    let prepare = |disk: &SimDisk| {
        for name in ["1", "2", "3"] {
            disk.user().make_folder(name).unwrap();
        }
    };
    let look = |disk: &SimDisk, _: &PowerLoss| disk.user().tree().into_keys().collect::<String>();
    assert_eq!(
        outcomes(&DiskOptions::default(), prepare, look),
        expect(["", "1", "12", "123"])
    );
    assert_eq!(
        outcomes(&unordered(), prepare, look),
        expect(["", "1", "2", "3", "12", "13", "23", "123"])
    );
}

#[test]
fn everything_open_is_dead_after_a_loss_of_power() {
    let disk = disk(DiskOptions::default());
    let process = disk.process();
    let root = folder(&process, "");
    let file = put(&process, &root, "a", b"text");
    let edited = disk.user().open_for_writing("b").unwrap();
    disk.power_loss(&mut Random::new(1));
    let digest = disk.content_digest();
    assert!(process.is_dead());
    assert!(process.open_root().is_err());
    assert!(process.write_at(&file, 0, b"more").is_err());
    assert!(process.open_file(&root, name("c"), Access::Create).is_err());
    assert!(edited.append(b"more").is_err());
    assert_eq!(disk.content_digest(), digest);
    let next = disk.process();
    put(&next, &folder(&next, ""), "a", b"again");
    assert_eq!(bytes_at(&disk, "a"), Some(b"again".to_vec()));
}

#[test]
fn a_number_that_two_inodes_would_have_is_given_anew() {
    let found = outcomes(
        &unordered(),
        |disk| {
            disk.user().write("a", b"old").unwrap();
            disk.user().sync();
            let process = disk.process();
            let root = folder(&process, "");
            process.unlink(&root, name("a")).unwrap();
            put(&process, &root, "b", b"new");
        },
        |disk, _| {
            let number = |path| disk.user().stat(path).unwrap().map(|stat| stat.inode);
            let (a, b) = (number("a"), number("b"));
            assert!(a.is_none() || a != b);
            (a.is_some(), b.is_some())
        },
    );
    assert_eq!(found.len(), 4);
}

#[test]
fn the_same_seed_leaves_the_same_disk() {
    let run = |seed| {
        let disk = disk(unordered());
        let mut random = Random::new(seed);
        for step in 0..50 {
            let path = format!("{}", random.below(8));
            match random.below(4) {
                0 => disk.user().write(&path, &random.bytes(20)).unwrap(),
                1 => drop(disk.user().remove(&path)),
                2 => drop(disk.user().rename(&path, "0")),
                _ if step % 10 == 0 => disk.user().sync(),
                _ => disk.user().append(&path, b"more").unwrap(),
            }
        }
        let loss = disk.power_loss(&mut random);
        (disk.content_digest(), loss)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}
