use cairn_core::ids::NodeId;
use cairn_core::node::Place;

use super::fixture::{EntryExt, Side, entry};
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
        ("exchange", dying_before(), false),
        ("exchange", Fault::CrashAfter, true),
        ("restage", dying_before(), true),
        ("restage", Fault::CrashAfter, true),
    ] {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "old").await;
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        side.device.fs.inject(call, fault);
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
    std::fs::remove_file(side.device.path(".cairn/stage/part-a")).unwrap();
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
    let staged = side.device.path(".cairn/stage/part-a");
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
    std::fs::write(side.device.path(".cairn/stage/s"), "through a handle").unwrap();
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
