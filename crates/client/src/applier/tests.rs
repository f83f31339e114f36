mod crashes;
mod displaced;
mod failures;
mod fixture;
mod races;
mod swap;
mod swapless;

use std::sync::Arc;

use cairn_core::ids::NodeId;
use cairn_core::node::{LinkTarget, Place};
use cairn_core::tree::Substance;

use super::{ApplyError, Placement};
use crate::remote::fake::CountedThreads;
use crate::scanner::tests::fixture::name;
use fixture::{EntryExt, Side, entry};

#[tokio::test]
async fn new_things_are_placed_and_agreed_on() {
    let side = Side::new();
    let applier = side.applier();
    let folder = side.node();
    applier
        .create_folder(folder, &entry("docs").folder())
        .await
        .unwrap();
    let file = side.node();
    let wanted = entry("a.txt").below(folder).holding("hello").executable();
    side.stage("s1", "hello", &wanted);
    applier.place_file(file, &wanted, "s1").await.unwrap();
    let link = side.node();
    let mut linked = entry("link");
    linked.substance = Substance::Symlink(LinkTarget::new("docs/a.txt").unwrap());
    applier.place_link(link, &linked).await.unwrap();

    assert_eq!(side.device.read("link"), "hello");
    assert_eq!(side.synced(file).await, Some(wanted));
    assert_eq!(side.synced(link).await, Some(linked));
    side.assert_settled().await;
    // The move has set the change time, so the file is read once more.
    let report = side.device.scan().await;
    assert_eq!((report.hashed, report.changed), (1, 0));
}

#[tokio::test]
async fn a_batch_places_what_it_can() {
    let side = Side::new();
    let applier = side.applier();
    side.device.write("taken", "mine");
    let mut placements = Vec::new();
    for (index, name) in ["x", "taken", "y"].into_iter().enumerate() {
        let wanted = entry(name).holding(name);
        let staged = format!("s{index}");
        side.stage(&staged, name, &wanted);
        placements.push(Placement {
            node: side.node(),
            entry: wanted,
            staged,
        });
    }
    let missing = Placement {
        node: side.node(),
        entry: entry("z").holding("z"),
        staged: "none".to_owned(),
    };
    placements.push(missing);
    let results = applier.place_files(placements).await;
    assert!(results[0].is_ok() && results[2].is_ok());
    assert!(matches!(results[1], Err(ApplyError::Changed { .. })));
    assert!(matches!(results[3], Err(ApplyError::NotStaged { .. })));
    assert_eq!(
        (side.device.read("taken"), side.device.read("y")),
        ("mine".to_owned(), "y".to_owned())
    );
}

#[tokio::test]
async fn many_files_are_placed_in_several_transactions_and_few_changes_of_threads() {
    let side = Side::new();
    let mut placements = Vec::new();
    for index in 0..1_100 {
        let text = format!("{index}");
        let wanted = entry(&text).holding(&text);
        side.stage(&format!("s{index}"), &text, &wanted);
        placements.push(Placement {
            node: side.node(),
            entry: wanted,
            staged: format!("s{index}"),
        });
    }
    let mut applier = side.applier();
    let threads = CountedThreads::of(&mut Arc::get_mut(&mut applier).unwrap().runtime);
    assert!(applier.place_files(placements).await.iter().all(Result::is_ok));
    assert!(threads.count() < 8, "{}", threads.count());
    assert_eq!(side.device.scan().await.changed, 0);
    side.assert_settled().await;
}

#[tokio::test]
async fn a_replaced_file_goes_to_the_trash() {
    let side = Side::new();
    let (node, _) = side.synced_file("report.pdf", "old").await;
    let wanted = entry("report.pdf").holding("newer");
    side.stage("s", "newer", &wanted);
    side.applier()
        .replace_file(node, &wanted, "s", None)
        .await
        .unwrap();
    assert_eq!(side.device.read("report.pdf"), "newer");
    side.look_again_later().await;
    assert_eq!(side.device.read(".cairn/trash/report.pdf"), "old");
    assert_eq!(side.synced(node).await, Some(wanted));
    side.assert_settled().await;
    assert_eq!(side.device.scan().await.changed, 0);
}

#[tokio::test]
async fn a_replaced_version_can_be_kept_as_a_node() {
    let side = Side::new();
    let (node, _) = side.synced_file("a.txt", "base").await;
    side.device.write("a.txt", "local edit");
    side.device.scan().await;
    let wanted = entry("a.txt").holding("remote edit");
    side.stage("s", "remote edit", &wanted);
    side.device.write("a (conflict).txt", "in the way");
    side.device.scan().await;
    let kept = side.node();
    let keep = Some((kept, name("a (conflict).txt")));
    side.applier()
        .replace_file(node, &wanted, "s", keep)
        .await
        .unwrap();
    assert_eq!(side.device.read("a.txt"), "remote edit");
    assert_eq!(side.device.read("a (conflict) (2).txt"), "local edit");
    assert_eq!(side.device.row("a (conflict) (2).txt").await.node, kept);
    assert_eq!(side.synced(kept).await, None);
    assert_eq!(side.device.scan().await.changed, 0);
    side.assert_settled().await;
}

#[tokio::test]
async fn replacing_content_leaves_an_own_move_to_be_sent() {
    let side = Side::new();
    let (node, base) = side.synced_file("a", "1").await;
    side.device.rename("a", "b");
    side.device.scan().await;
    // What was renamed is read once more before it counts as known.
    side.device.scanner().recheck_unsure().await.unwrap();
    let wanted = entry("a").holding("22");
    side.stage("s", "22", &wanted);
    side.applier()
        .replace_file(node, &wanted, "s", None)
        .await
        .unwrap();
    assert_eq!(side.device.read("b"), "22");
    let synced = side.synced(node).await.unwrap();
    assert_eq!(
        (&synced.place, &synced.substance),
        (&base.place, &wanted.substance)
    );
}

#[tokio::test]
async fn moves_swaps_and_conflict_names() {
    let side = Side::new();
    let applier = side.applier();
    let (a, entry_a) = side.synced_file("a", "one").await;
    let (b, entry_b) = side.synced_file("b", "two").await;
    for (node, mut remote, to) in [(a, entry_a, "b"), (b, entry_b, "a")] {
        remote.place.name = name(to);
        side.set_remote(node, remote).await;
    }
    let place = |to: &str| Place {
        parent: NodeId::ROOT,
        name: name(to),
    };
    applier.rename(a, &place("b (moving)")).await.unwrap();
    applier.rename(b, &place("a")).await.unwrap();
    applier.rename(a, &place("b")).await.unwrap();
    assert_eq!(
        (side.device.read("a"), side.device.read("b")),
        ("two".to_owned(), "one".to_owned())
    );
    assert_eq!(side.synced(a).await.unwrap().place, place("b"));
    side.assert_settled().await;

    applier.rename(b, &place("A")).await.unwrap();
    assert!(matches!(
        applier.rename(a, &place("A")).await,
        Err(ApplyError::Changed { .. })
    ));
    applier.rename_aside(a, &name("b (conflict)")).await.unwrap();
    assert_eq!(side.device.row("b (conflict)").await.node, a);
    assert_eq!(side.synced(a).await.unwrap().place, place("b"));
    assert_eq!(side.device.scan().await.changed, 0);
}

#[tokio::test]
async fn names_that_the_disk_cannot_hold_are_shortened_here_only() {
    let side = Side::new();
    let long = "é".repeat(200);
    let node = side.node();
    let wanted = entry(&long).holding("x");
    side.stage("s", "x", &wanted);
    side.applier().place_file(node, &wanted, "s").await.unwrap();
    let ours = side.node();
    side.applier()
        .create_folder(ours, &entry(".cairn").folder())
        .await
        .unwrap();
    assert_eq!(side.device.scan().await.changed, 0);
    let row = side.local(node).await;
    assert_eq!(row.entry.place.name.as_str(), long);
    assert!(row.disk_name.is_some_and(|name| name.len() <= 255));
    assert_eq!(side.synced(ours).await.unwrap().place.name.as_str(), ".cairn");
}

#[tokio::test]
async fn removals_go_to_the_trash_and_folders_only_when_empty() {
    let side = Side::new();
    let applier = side.applier();
    let (file, _) = side.synced_file("d/f", "text").await;
    let folder = side.device.row("d").await.node;
    side.device.write("d/.DS_Store", "junk");
    assert!(matches!(
        applier.remove(folder).await,
        Err(ApplyError::NotEmpty { .. })
    ));
    applier.remove(file).await.unwrap();
    side.look_again_later().await;
    assert_eq!(side.device.read(".cairn/trash/f"), "text");
    side.device.write("d/.x.swp", "unsaved");
    assert!(matches!(
        applier.remove(folder).await,
        Err(ApplyError::NotEmpty { .. })
    ));
    side.device.remove("d/.x.swp");
    applier.remove(folder).await.unwrap();
    assert!(!side.device.exists("d"));
    assert_eq!((side.synced(file).await, side.synced(folder).await), (None, None));
    applier.remove(file).await.unwrap();
    side.assert_settled().await;
}

#[tokio::test]
async fn attributes_are_set_and_checked_again_later() {
    let side = Side::new();
    let (node, _) = side.synced_file("a", "1").await;
    let mut wanted = entry("a").holding("1").executable();
    wanted.attributes.mtime.seconds = -7;
    side.applier().set_attributes(node, &wanted).await.unwrap();
    let row = side.local(node).await;
    assert!(row.is_unsure && row.entry.attributes == wanted.attributes);
    assert_eq!(side.synced(node).await, Some(wanted));
    assert_eq!(side.device.scanner().recheck_unsure().await.unwrap().changed, 0);
    assert!(!side.local(node).await.is_unsure);
}
