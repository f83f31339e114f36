//! A disk without swaps leaves the path free for a moment: what others do then, and what a crash leaves.

use cairn_core::ids::NodeId;

use super::fixture::{EntryExt, Side, entry};
use crate::applier::ApplyError;
use crate::fs::{Filesystem, Fingerprint};
use crate::scanner::tests::fixture::{disk_path, name};

fn state_of(side: &Side, path: &str) -> Fingerprint {
    let found = side.device.fs.metadata(&disk_path(path)).unwrap();
    found.unwrap().fingerprint
}

/// Whether one of the trees below the root, that of the stage and the trash left out, has a file that holds this.
fn stands(side: &Side, text: &str) -> bool {
    let listed = side.device.fs.list(&disk_path("")).unwrap();
    listed.iter().any(|entry| match entry {
        crate::fs::DirectoryEntry::Named { name, .. } => {
            std::fs::read_to_string(side.device.path(name)).is_ok_and(|found| found == text)
        }
        crate::fs::DirectoryEntry::Unreadable { .. } => false,
    })
}

#[tokio::test]
async fn whoever_takes_the_free_path_keeps_it() {
    for keeps in [false, true] {
        for calls in 0..6 {
            let (side, fs) = Side::without_swaps();
            let (node, _) = side.synced_file("a", "old").await;
            side.device.write("b", "mine");
            let wanted = entry("a").holding("remote");
            side.stage("part-a", "remote", &wanted);
            let (from, over) = (side.device.path("b"), side.device.path("a"));
            fs.disk()
                .meanwhile(calls, move || std::fs::rename(from, over).unwrap());
            let keep = keeps.then(|| (side.node(), name("a (conflict)")));
            let replaced = side.applier().replace_file(node, &wanted, "part-a", keep).await;
            assert!(stands(&side, "mine"), "{calls}");
            let took_it_while_free = replaced.is_err();
            if took_it_while_free || (keeps && calls > 1) {
                assert!(stands(&side, "old"), "{calls}: nobody took it away");
            }
            assert_eq!(took_it_while_free, calls == 2 || calls == 3, "{calls}");
            if took_it_while_free || calls > 3 {
                assert_eq!(side.device.read("a"), "mine", "{calls}");
            }
            side.assert_settled().await;
            side.device.scan().await;
            side.local(node).await;
        }
    }
}

#[tokio::test]
async fn a_move_to_the_free_path_is_no_deletion() {
    for is_folder in [false, true] {
        let (side, fs) = Side::without_swaps();
        let (node, base) = side.synced_file("a", "old").await;
        if is_folder {
            side.device.folder("b");
        } else {
            side.device.write("b", "mine");
        }
        side.device.scan().await;
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        let (from, to) = (side.device.path("b"), side.device.path("a"));
        fs.disk().meanwhile(2, move || std::fs::rename(from, to).unwrap());
        side.applier()
            .replace_file(node, &wanted, "part-a", None)
            .await
            .unwrap_err();
        assert!(stands(&side, "old"));
        side.assert_settled().await;
        assert_eq!(side.synced(node).await, Some(base), "the server's is yet to come");
        side.device.scan().await;
        let place = side.local(node).await.entry.place.name;
        let expected = if is_folder {
            name("a (conflict, laptop, 2100-01-01)")
        } else {
            // Saved by a rename, as far as can be told.
            name("a")
        };
        assert_eq!(place, expected);
    }
}

#[tokio::test]
async fn a_replacement_that_dies_anywhere_leaves_a_file_at_the_path() {
    for (takes, forgets) in [(false, false), (true, false), (true, true)] {
        for calls in 0.. {
            let (side, fs) = Side::without_swaps();
            let (node, _) = side.synced_file("a", "old").await;
            let wanted = entry("a").holding("remote");
            side.stage("s", "remote", &wanted);
            fs.disk().forget();
            fs.disk().die_after(calls);
            let keep = Some((side.node(), name("a (conflict)")));
            let replaced = side.applier().replace_file(node, &wanted, "s", keep).await;
            fs.disk().revive();
            if takes && !side.device.exists("a") {
                side.device.write("a", "mine");
            }
            if forgets {
                // A backup of the state, of before the step, was put back.
                side.forget_intents().await;
            }
            side.applier().recover().await.unwrap();
            side.device.scan().await;
            side.assert_settled().await;
            assert!(stands(&side, "old"), "{calls}: only this device has it");
            assert!(side.device.exists("a"), "{calls}");
            side.local(node).await;
            if replaced.is_ok() {
                break;
            }
            assert!(calls < 20, "it never ends");
        }
    }
}

#[tokio::test]
async fn what_was_displaced_from_a_folder_that_went_away_is_no_deletion() {
    let (side, fs) = Side::without_swaps();
    let (node, _) = side.synced_file("f/a", "old").await;
    let folder = side.device.row("f").await.node;
    let wanted = entry("a").below(folder).holding("remote");
    side.stage("part-a", "remote", &wanted);
    let gone = side.device.path("f");
    fs.disk().meanwhile(2, move || std::fs::remove_dir(gone).unwrap());
    side.applier()
        .replace_file(node, &wanted, "part-a", None)
        .await
        .unwrap_err();
    assert!(stands(&side, "old"));
    side.assert_settled().await;
    side.device.scan().await;
    assert_eq!(
        side.local(node).await.entry.place.parent,
        NodeId::ROOT,
        "it moved"
    );
}

#[tokio::test]
async fn a_file_that_a_user_puts_in_the_place_of_another_goes_back_when_that_is_taken() {
    for calls in [3, 4] {
        let (side, fs) = Side::without_swaps();
        let (node, _) = side.synced_file("a", "theirs").await;
        side.device.write("copy", "mine");
        side.device.scan().await;
        let (original, copy) = (state_of(&side, "a"), state_of(&side, "copy"));
        let taken = side.device.path("a");
        // Three calls take the copy into the stage.
        fs.disk()
            .meanwhile(calls + 1, move || std::fs::write(taken, "another").unwrap());
        let (a, beside) = (disk_path("a"), disk_path("copy"));
        let swapped = side
            .applier()
            .swap_with((node, &a, original), (&beside, copy))
            .await;
        assert!(matches!(swapped, Err(ApplyError::Changed { .. })), "{swapped:?}");
        assert_eq!(side.device.read("a"), "another");
        assert_eq!(side.device.read("copy"), "mine");
        assert!(side.texts().contains(&"theirs".to_owned()));
        side.assert_settled().await;
    }
}
