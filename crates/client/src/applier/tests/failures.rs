//! Calls of the disk that fail, whatever they have done before.

use std::io::ErrorKind;

use cairn_core::ids::NodeId;
use cairn_core::node::{LinkTarget, Place};
use cairn_core::tree::Substance;

use super::fixture::{EntryExt, Side, entry};
use crate::applier::{ApplyError, Placement};
use crate::fs::Filesystem;
use crate::fs::faulty::Fault;
use crate::scanner::tests::fixture::name;
use crate::state::ClientState;

#[tokio::test]
async fn a_move_that_was_made_before_it_failed_is_no_move_of_the_users() {
    let side = Side::new();
    let (node, mut remote) = side.synced_file("a", "text").await;
    let place = Place {
        parent: NodeId::ROOT,
        name: name("b"),
    };
    remote.place = place.clone();
    side.set_remote(node, remote).await;
    side.device.fs.inject("rename", Fault::After(ErrorKind::Other));
    let moved = side.applier().rename(node, &place).await;
    assert!(matches!(moved, Err(ApplyError::Fs(_))));
    assert_eq!(side.synced(node).await.unwrap().place, place);
    assert_eq!(side.device.scan().await.changed, 0);

    let back = Place {
        parent: NodeId::ROOT,
        name: name("a"),
    };
    side.device.fs.inject("rename", Fault::Before(ErrorKind::Other));
    let moved = side.applier().rename(node, &back).await;
    assert!(matches!(moved, Err(ApplyError::Fs(_))));
    assert_eq!(side.local(node).await.entry.place, place, "it was not made");
}

#[tokio::test]
async fn bytes_that_a_disk_may_have_forgotten_are_read_again() {
    let kinds = [
        (ErrorKind::Other, true),
        (ErrorKind::PermissionDenied, false),
        (ErrorKind::ReadOnlyFilesystem, false),
    ];
    for (kind, is_in_doubt) in kinds {
        let side = Side::new();
        let (node, base) = side.synced_file("a", "text").await;
        let wanted = entry("a").holding("text").executable();
        side.device.fs.inject("set_attributes", Fault::After(kind));
        let set = side.applier().set_attributes(node, &wanted).await;
        assert!(matches!(set, Err(ApplyError::Fs(_))));
        assert_eq!(side.local(node).await.is_unsure, is_in_doubt);
        assert_ne!(side.local(node).await.is_content_known(), is_in_doubt);
        side.device.scan().await;
        let seen = side.local(node).await.entry;
        assert_eq!(seen.substance, base.substance);
        assert_eq!(side.synced(node).await, Some(base.clone()), "it has them still");
        // So that they are set and synced once more.
        assert_eq!(seen.attributes == base.attributes, is_in_doubt);
    }
}

#[tokio::test]
async fn bytes_that_a_disk_has_forgotten_do_not_replace_the_servers() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "text").await;
    let wanted = entry("a").holding("text").executable();
    let fault = Fault::After(ErrorKind::Other);
    side.device.fs.inject("set_attributes", fault);
    side.applier().set_attributes(node, &wanted).await.unwrap_err();
    side.device.write("a", "");
    side.device.scan().await;
    assert_eq!(
        side.local(node).await.entry.substance,
        entry("a").holding("").substance
    );
    assert_eq!(side.synced(node).await, None, "nobody wrote that");
}

#[tokio::test]
async fn a_placement_that_cannot_be_settled_is_finished_later() {
    let side = Side::new();
    let node = side.node();
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("place", Fault::After(ErrorKind::Other));
    side.device.fs.inject("settle", Fault::Before(ErrorKind::Other));
    let placed = side.applier().place_file(node, &wanted, "part-a").await;
    assert!(matches!(placed, Err(ApplyError::Fs(_))));
    let intents = side.device.state.intents(side.device.namespace).await.unwrap();
    assert_eq!(intents.len(), 1);
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.device.read("a"), "remote");
    assert_eq!(side.synced(node).await, Some(wanted));
}

#[tokio::test]
async fn a_file_that_was_placed_before_that_failed_is_no_new_one() {
    let side = Side::new();
    let node = side.node();
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("place", Fault::After(ErrorKind::Other));
    let placed = side.applier().place_file(node, &wanted, "part-a").await;
    assert!(matches!(placed, Err(ApplyError::Fs(_))));
    side.assert_settled().await;
    assert_eq!(side.synced(node).await, Some(wanted));
    assert_eq!(side.device.scan().await.changed, 0);
}

#[tokio::test]
async fn a_placed_file_that_cannot_be_looked_at_is_no_new_one() {
    for settles in [true, false] {
        let side = Side::new();
        let node = side.node();
        let wanted = entry("a").holding("remote");
        side.stage("part-a", "remote", &wanted);
        // The first look is the one before.
        side.device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
        side.device.fs.inject("metadata", Fault::Before(ErrorKind::Other));
        if !settles {
            side.device.fs.inject("settle", Fault::Before(ErrorKind::Other));
        }
        let placed = side.applier().place_file(node, &wanted, "part-a").await;
        assert!(matches!(placed, Err(ApplyError::Fs(_))));
        side.applier().recover().await.unwrap();
        side.assert_settled().await;
        assert_eq!(side.synced(node).await, Some(wanted));
        assert_eq!(side.device.scan().await.changed, 0, "{settles}");
    }
}

fn closed() -> Fault {
    Fault::Before(ErrorKind::PermissionDenied)
}

#[tokio::test]
async fn a_file_for_a_place_that_cannot_be_looked_at_keeps_no_other_from_its_own() {
    let side = Side::new();
    let placements = ["a", "b"].map(|name| {
        let wanted = entry(name).holding(name);
        let staged = format!("part-{name}");
        side.stage(&staged, name, &wanted);
        Placement {
            node: side.node(),
            entry: wanted,
            staged,
        }
    });
    side.device.fs.inject("metadata", closed());
    side.device.fs.inject("settle", closed());
    let placed = side.applier().place_files(placements.to_vec()).await;
    assert!(matches!(placed[0], Err(ApplyError::Fs(_))), "{placed:?}");
    assert!(placed[1].is_ok(), "{placed:?}");
    assert_eq!(side.device.read("b"), "b");
    let intents = side.device.state.intents(side.device.namespace).await.unwrap();
    assert_eq!(intents, Vec::new());
    let staged = side.device.fs.staged_names().unwrap();
    assert_eq!(staged, ["part-a"], "it need not be fetched again");
}

#[tokio::test]
async fn a_file_that_did_not_leave_the_stage_for_a_place_that_cannot_be_reached_is_let_go() {
    let side = Side::new();
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("metadata", Fault::Hook(Box::new(|| {})));
    for call in ["place", "settle", "metadata"] {
        side.device.fs.inject(call, closed());
    }
    let placed = side.applier().place_file(side.node(), &wanted, "part-a").await;
    assert!(matches!(placed, Err(ApplyError::Fs(_))), "{placed:?}");
    side.assert_settled().await;
}

#[tokio::test]
async fn what_a_crash_left_in_the_stage_for_a_place_that_cannot_be_reached_is_let_go() {
    let side = Side::new();
    let node = side.node();
    let wanted = entry("a").holding("remote");
    side.stage("part-a", "remote", &wanted);
    side.device.fs.inject("place", Fault::CrashAfter);
    let step = wanted.clone();
    side.dies(|applier| async move { applier.place_file(node, &step, "part-a").await })
        .await;
    // The power took the name in the folder as well.
    side.device.rename("a", ".cairn/stage/part-a");
    for call in ["settle", "metadata"] {
        side.device.fs.inject(call, closed());
    }
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.synced(node).await, None);
}

#[tokio::test]
async fn a_staged_link_that_could_not_be_removed_is_cleared_away() {
    let side = Side::new();
    let mut linked = entry("link");
    linked.substance = Substance::Symlink(LinkTarget::new("there").unwrap());
    side.device.fs.inject("place", Fault::Before(ErrorKind::Other));
    side.device.fs.inject("unstage", Fault::Before(ErrorKind::Other));
    assert!(side.applier().place_link(side.node(), &linked).await.is_err());
    assert_eq!(side.device.fs.staged_names().unwrap().len(), 1);
    side.applier().clear_stage().await.unwrap();
    side.assert_settled().await;
}

#[tokio::test]
async fn what_a_half_done_step_needs_is_not_cleared_away() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "text").await;
    side.device.fs.inject("displace", Fault::After(ErrorKind::Other));
    side.device.fs.inject("settle", Fault::Before(ErrorKind::Other));
    assert!(side.applier().remove(node).await.is_err());
    side.applier().clear_stage().await.unwrap();
    assert_eq!(side.device.fs.staged_names().unwrap().len(), 1);
    side.applier().recover().await.unwrap();
    side.assert_settled().await;
    assert_eq!(side.waiting().await.len(), 1);
}
