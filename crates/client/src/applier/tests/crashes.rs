use std::fs::OpenOptions;

use cairn_core::ids::NodeId;
use cairn_core::node::Place;

use super::fixture::{EntryExt, LAST_RESTAGE, Side, entry};
use crate::fs::Filesystem;
use crate::fs::faulty::Fault;
use crate::scanner::tests::fixture::name;

fn dying_before() -> Fault {
    Fault::Hook(Box::new(|| panic!("the process dies here")))
}

#[tokio::test]
async fn a_placement_is_finished_or_undone() {
    for (fault, is_placed) in [(dying_before(), false), (Fault::CrashAfter, true)] {
        let side = Side::new();
        let node = side.node();
        let wanted = entry("a").holding("remote");
        side.stage("s", "remote", &wanted);
        side.device.fs.inject("place", fault);
        let step = wanted.clone();
        side.dies(|applier| async move { applier.place_file(node, &step, "s").await })
            .await;
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert_eq!(side.device.exists("a"), is_placed);
        assert_eq!(side.synced(node).await, is_placed.then_some(wanted));
        assert_eq!(side.device.scan().await.changed, 0);
    }
}

#[tokio::test]
async fn a_replacement_is_finished_or_undone_wherever_it_stopped() {
    for (call, fault, is_done) in [
        ("restage", Fault::CrashAfter, false),
        ("exchange", dying_before(), false),
        ("exchange", Fault::CrashAfter, true),
        (LAST_RESTAGE, dying_before(), true),
        (LAST_RESTAGE, Fault::CrashAfter, true),
    ] {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "old").await;
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        side.inject(call, fault);
        let step = wanted.clone();
        side.dies(|applier| async move { applier.replace_file(node, &step, "part-a", None).await })
            .await;
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert!(side.texts().contains(&"old".to_owned()), "{call}");
        assert_eq!(
            side.device.read("a"),
            if is_done { "remote" } else { "old" },
            "{call}"
        );
        assert_eq!(
            side.synced(node).await,
            Some(if is_done { wanted } else { base }),
            "{call}"
        );
        assert_eq!(side.device.scan().await.changed, 0, "{call}");
    }
}

#[tokio::test]
async fn a_replacement_that_was_not_begun_leaves_the_download() {
    let side = Side::new();
    let (node, base) = side.synced_file("a", "old").await;
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("restage", dying_before());
    let step = wanted.clone();
    side.dies(|applier| async move { applier.replace_file(node, &step, "part-a", None).await })
        .await;
    // Somebody saved by a rename before the device was there again: that is no edit of the server's version.
    side.device.write("saved", "mine");
    std::fs::rename(side.device.path("saved"), side.device.path("a")).unwrap();
    side.applier().recover().await.unwrap();
    assert_eq!(side.device.fs.staged_names().unwrap(), ["part-a"]);
    assert_eq!(side.device.read("a"), "mine");
    assert_eq!(side.synced(node).await, Some(base));
}

/// As a disk does that numbers its files anew when it is mounted.
fn renumber(path: &std::path::Path) {
    let modified = std::fs::metadata(path).unwrap().modified().unwrap();
    let bytes = std::fs::read(path).unwrap();
    let other = path.with_extension("other");
    std::fs::write(&other, bytes).unwrap();
    let file = OpenOptions::new().write(true).open(&other).unwrap();
    file.set_modified(modified).unwrap();
    std::fs::rename(other, path).unwrap();
}

#[tokio::test]
async fn old_bytes_are_no_edit_where_the_files_have_other_numbers_after_a_crash() {
    for is_done in [false, true] {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "old").await;
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        let fault = if is_done {
            Fault::CrashAfter
        } else {
            dying_before()
        };
        side.device.fs.inject("exchange", fault);
        side.dies(|applier| async move { applier.replace_file(node, &wanted, "part-a", None).await })
            .await;
        renumber(&side.device.path("a"));
        renumber(&side.staged_path());
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        side.device.scan().await;
        let (standing, beside) = if is_done {
            ("remote", "old")
        } else {
            ("old", "remote")
        };
        assert_eq!(side.device.read("a"), standing);
        assert_eq!(side.device.read("a (conflict, laptop, 2100-01-01)"), beside);
        let local = side.local(node).await.entry.substance;
        assert_eq!(local, entry("a").holding(standing).substance);
        assert_eq!(side.synced(node).await, Some(base));
    }
}

#[tokio::test]
async fn what_a_crash_left_in_the_stage_is_not_lost_with_the_state() {
    for (call, fault, is_done) in [
        ("restage", Fault::CrashAfter, false),
        ("exchange", dying_before(), false),
        ("exchange", Fault::CrashAfter, true),
        (LAST_RESTAGE, dying_before(), true),
    ] {
        let side = Side::new();
        let (node, _) = side.synced_file("a", "mine").await;
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        side.inject(call, fault);
        side.dies(|applier| async move { applier.replace_file(node, &wanted, "part-a", None).await })
            .await;
        side.forget_intents().await;
        side.applier().recover().await.unwrap();
        side.device.scan().await;
        side.assert_settled().await;
        let expected: &[&str] = if is_done {
            &["a", "a (conflict, laptop, 2100-01-01)"]
        } else {
            &["a"]
        };
        assert_eq!(side.device.tree().await, expected, "{call}");
        assert_eq!(side.device.read(expected[expected.len() - 1]), "mine", "{call}");
    }
}

#[tokio::test]
async fn what_was_being_removed_stays_when_the_state_was_lost() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "mine").await;
    side.device.fs.inject("displace", Fault::CrashAfter);
    side.dies(|applier| async move { applier.remove(node).await })
        .await;
    side.forget_intents().await;
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.device.read("a (conflict, laptop, 2100-01-01)"), "mine");
}

#[tokio::test]
async fn what_nobody_knows_the_name_of_is_found_in_the_root() {
    let side = Side::new();
    let staged = "swap-0000000000000abc-0000000000000000-00112233445566778899aabbccddeeff";
    side.device.write(&format!(".cairn/stage/{staged}"), "mine");
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    let found = "recovered file (conflict, laptop, 2100-01-01)";
    assert_eq!(side.device.read(found), "mine");
}

#[tokio::test]
async fn what_was_kept_is_found_under_the_name_that_it_had_before() {
    for is_recovered in [true, false] {
        let side = Side::new();
        let (node, _) = side.synced_file("a", "old").await;
        side.applier().remove(node).await.unwrap();
        let kept = side.waiting().await.pop().unwrap();
        let stage = side.device.path(".cairn/stage");
        // A loss of power took the last name.
        std::fs::rename(stage.join(&kept), stage.join(kept.replace("kept-", "swap-"))).unwrap();
        if is_recovered {
            side.applier().recover().await.unwrap();
            side.assert_settled().await;
        }
        assert!(!side.device.exists("a (conflict, laptop, 2100-01-01)"));
        assert!(side.look_again_later().await.is_empty());
        side.assert_settled().await;
        assert_eq!(side.device.read(".cairn/trash/a"), "old");
    }
}

#[tokio::test]
async fn a_replacement_whose_staged_name_was_lost_has_not_happened() {
    let side = Side::new();
    let (node, base) = side.synced_file("a", "old").await;
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("exchange", dying_before());
    let step = wanted.clone();
    side.dies(|applier| async move { applier.replace_file(node, &step, "part-a", None).await })
        .await;
    // The machine lost power too: nothing had made the name durable.
    std::fs::remove_file(side.staged_path()).unwrap();
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.device.read("a"), "old");
    assert_eq!(side.synced(node).await, Some(base));
    assert_eq!(side.device.scan().await.changed, 0);
}

#[tokio::test]
async fn a_torn_replacement_that_left_two_names_has_not_happened() {
    let side = Side::new();
    let (node, base) = side.synced_file("a", "old").await;
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("exchange", dying_before());
    let step = wanted.clone();
    side.dies(|applier| async move { applier.replace_file(node, &step, "part-a", None).await })
        .await;
    // Of the swap the stage's half alone was durable.
    let staged = side.staged_path();
    std::fs::remove_file(&staged).unwrap();
    std::fs::hard_link(side.device.path("a"), &staged).unwrap();
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.device.read("a"), "old");
    assert_eq!(side.synced(node).await, Some(base));
}

#[tokio::test]
async fn a_kept_version_survives_a_crash() {
    for (call, fault) in [
        ("exchange", Fault::CrashAfter),
        ("place", dying_before()),
        ("place", Fault::CrashAfter),
    ] {
        let side = Side::new();
        let (node, _) = side.synced_file("a", "mine").await;
        let wanted = entry("a").holding("remote");
        side.stage("s", "remote", &wanted);
        side.device.fs.inject(call, fault);
        let (step, keep) = (wanted.clone(), Some((side.node(), name("a (conflict)"))));
        side.dies(|applier| async move { applier.replace_file(node, &step, "s", keep).await })
            .await;
        side.applier().recover().await.unwrap();
        side.device.scan().await;
        side.assert_settled().await;
        assert_eq!(
            (side.device.read("a"), side.device.read("a (conflict)")),
            ("remote".to_owned(), "mine".to_owned())
        );
        assert_eq!(side.device.tree().await, ["a", "a (conflict)"]);
    }
}

#[tokio::test]
async fn a_conflicted_copy_survives_a_crash() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "base").await;
    let wanted = entry("a").holding("remote");
    side.stage("s", "remote", &wanted);
    side.device.fs.inject("exchange", Fault::CrashAfter);
    let path = side.device.path("a");
    side.device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
    let step = wanted.clone();
    side.dies(|applier| async move { applier.replace_file(node, &step, "s", None).await })
        .await;
    // While nobody runs the user writes to both: the displaced file through an open handle, and the new one.
    std::fs::write(side.staged_path(), "through a handle").unwrap();
    std::fs::write(path, "after the swap").unwrap();
    side.applier().recover().await.unwrap();
    side.device.scan().await;
    side.assert_settled().await;
    assert_eq!(side.device.read("a"), "after the swap");
    assert!(side.texts().contains(&"through a handle".to_owned()));
    assert_eq!(side.device.tree().await.len(), 2);
    assert_ne!(side.local(node).await.entry.substance, wanted.substance);
}

#[tokio::test]
async fn a_removal_is_finished_or_undone() {
    for (call, fault, is_done) in [
        ("displace", dying_before(), false),
        ("displace", Fault::CrashAfter, true),
    ] {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "text").await;
        side.device.fs.inject(call, fault);
        side.dies(|applier| async move { applier.remove(node).await })
            .await;
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert!(side.texts().contains(&"text".to_owned()));
        assert_eq!(side.device.exists("a"), !is_done);
        assert_eq!(side.synced(node).await, (!is_done).then_some(base));
        assert_eq!(side.device.scan().await.changed, 0);
    }
}

#[tokio::test]
async fn a_move_is_recorded_or_forgotten() {
    for (fault, is_done) in [(dying_before(), false), (Fault::CrashAfter, true)] {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "text").await;
        let wanted = Place {
            parent: NodeId::ROOT,
            name: name("b"),
        };
        let mut remote = base.clone();
        remote.place = wanted.clone();
        side.set_remote(node, remote.clone()).await;
        side.device.fs.inject("rename", fault);
        side.dies(|applier| async move { applier.rename(node, &wanted).await })
            .await;
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert_eq!(side.device.exists("b"), is_done);
        let agreed = if is_done { remote } else { base };
        assert_eq!(side.synced(node).await, Some(agreed.clone()));
        assert_eq!(side.local(node).await.entry.place, agreed.place);
        assert_eq!(side.device.scan().await.changed, 0);
    }
}

#[tokio::test]
async fn strangers_in_the_stage_go_to_the_trash_and_partial_downloads_stay() {
    let side = Side::new();
    side.device.write(".cairn/stage/part-1", "partial");
    side.device.write(".cairn/stage/left", "unknown");
    side.applier().recover().await.unwrap();
    assert_eq!(side.device.fs.staged_names().unwrap(), ["part-1"]);
    assert_eq!(side.device.read(".cairn/trash/left"), "unknown");
}
