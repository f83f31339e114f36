use super::fixture::Device;
use crate::fs::root::tests::weak::Lacks;

#[tokio::test]
async fn editors_ways_of_saving_keep_the_node() {
    let device = Device::new();
    device.write("f", "1");
    device.scan().await;
    let node = device.row("f").await.node;

    // Temporary file, renamed over.
    device.write("f.tmp", "22");
    device.rename("f.tmp", "f");
    device.scan().await;
    assert_eq!(device.row("f").await.node, node);

    // The temporary file was seen before it was renamed over.
    device.write("other", "333");
    device.scan().await;
    device.rename("other", "f");
    device.scan().await;
    assert_eq!(device.row("f").await.node, node);
    assert_eq!(device.tree().await, ["f"]);

    // Truncated and written.
    device.write("f", "4444");
    device.scan().await;
    assert_eq!(device.row("f").await.node, node);

    // The old one kept as a backup, whose name comes before or after.
    for backup in ["f~", "#f"] {
        device.rename("f", backup);
        device.write("f", backup);
        device.scan().await;
        assert_eq!(device.row("f").await.node, node);
        assert_ne!(device.row(backup).await.node, node);
        device.remove(backup);
        device.scan().await;
    }
    assert_eq!(device.tree().await, ["f"]);
}

#[tokio::test]
async fn renames_and_moves_keep_the_node_and_are_read_once_later() {
    let device = Device::new();
    device.folder("z");
    device.folder("a");
    device.write("m", "content");
    device.scan().await;
    let node = device.row("m").await.node;
    for (from, to) in [
        ("m", "z/m"),
        ("z/m", "a/other"),
        ("a/other", "A"),
        ("A", "a/A"),
        ("a/A", "a/a"),
    ] {
        device.rename(from, to);
        let report = device.scan().await;
        assert_eq!((report.hashed, report.changed), (0, 1), "{from} to {to}");
        assert_eq!(device.row(to).await.node, node, "{from} to {to}");
        // A rename sets the change time, which would hide a write that set the other times back.
        assert!(report.has_more_unsure, "{from} to {to}");
        device.scanner().recheck_unsure().await.unwrap();
    }
    assert_eq!(device.tree().await, ["a/", "a/a", "z/"]);
}

#[tokio::test]
async fn a_move_is_seen_from_hints_of_both_folders() {
    let device = Device::new();
    device.folder("from");
    device.folder("to");
    device.write("from/f", "x");
    device.scan().await;
    let node = device.row("from/f").await.node;
    device.rename("from/f", "to/f");
    device.hint(&["from", "to"]).await;
    assert_eq!(device.row("to/f").await.node, node);
    device.rename("to/f", "from/g");
    device.hint(&["from", "to"]).await;
    assert_eq!(device.row("from/g").await.node, node);
}

#[tokio::test]
async fn a_move_with_an_edit_is_both() {
    let device = Device::new();
    device.write("a", "1");
    device.scan().await;
    let node = device.row("a").await.node;
    device.rename("a", "b");
    device.write("b", "longer");
    device.scan().await;
    let row = device.row("b").await;
    assert_eq!((row.node, row.fingerprint.size), (node, 6));
    assert_eq!(device.tree().await, ["b"]);
}

#[tokio::test]
async fn a_renamed_folder_is_one_change() {
    let device = Device::new();
    device.folder("old/sub");
    for index in 0..100 {
        device.write(&format!("old/sub/{index}"), "x");
    }
    device.scan().await;
    let (folder, child) = (device.row("old").await.node, device.row("old/sub/7").await.node);
    device.rename("old", "new");
    let report = device.scan().await;
    assert_eq!((report.changed, report.hashed), (1, 0));
    assert_eq!(device.row("new").await.node, folder);
    assert_eq!(device.row("new/sub/7").await.node, child);

    device.folder("deep/er");
    device.rename("new", "deep/er/moved");
    let report = device.hint(&["", "deep"]).await;
    assert_eq!((report.changed, report.hashed), (3, 0));
    assert_eq!(device.row("deep/er/moved/sub/7").await.node, child);
}

#[tokio::test]
async fn swapped_names_are_two_renames() {
    let device = Device::new();
    device.write("a", "one");
    device.write("b", "two");
    device.folder("p/in-p");
    device.folder("q/in-q");
    device.scan().await;
    let (a, b) = (device.row("a").await.node, device.row("b").await.node);
    let (p, q) = (device.row("p").await.node, device.row("q").await.node);
    for (x, y) in [("a", "b"), ("p", "q")] {
        device.rename(x, "tmp");
        device.rename(y, x);
        device.rename("tmp", y);
    }
    let report = device.scan().await;
    assert_eq!((report.changed, report.hashed), (4, 0));
    assert_eq!((device.row("a").await.node, device.row("b").await.node), (b, a));
    assert_eq!((device.row("p").await.node, device.row("q").await.node), (q, p));
    assert_eq!(device.tree().await, ["a", "b", "p/", "p/in-q/", "q/", "q/in-p/"]);
}

#[tokio::test]
async fn a_folder_moved_aside_for_a_new_one_keeps_its_children() {
    let device = Device::new();
    device.folder("site");
    device.write("site/index", "1");
    device.scan().await;
    let (site, index) = (device.row("site").await.node, device.row("site/index").await.node);
    device.rename("site", "site.old");
    device.folder("site");
    device.write("site/index", "2");
    device.scan().await;
    assert_eq!(device.row("site.old").await.node, site);
    assert_eq!(device.row("site.old/index").await.node, index);
    assert_ne!(device.row("site").await.node, site);
}

/// The known one is found after the new one, which has its name.
#[tokio::test]
async fn a_folder_that_changed_places_with_a_new_one_elsewhere_leaves_none_out() {
    let device = Device::new();
    device.folder("a");
    device.write("a/f", "1");
    device.folder("b");
    device.scan().await;
    let (a, f) = (device.row("a").await.node, device.row("a/f").await.node);
    for hints in [None, Some(["", "b"])] {
        device.folder("b/new");
        device.write("b/new/f", "2");
        device.rename("a", "tmp");
        device.rename("b/new", "a");
        device.rename("tmp", "b/new");
        match hints {
            None => drop(device.scan().await),
            Some(hints) => drop(device.hint(&hints).await),
        }
        assert_eq!(device.tree().await, ["a/", "a/f", "b/", "b/new/", "b/new/f"]);
        assert_eq!(
            (device.row("b/new").await.node, device.row("b/new/f").await.node),
            (a, f)
        );
        assert_ne!(device.row("a").await.node, a);
        // And back, so that the second round begins as the first did.
        std::fs::remove_dir_all(device.path("a")).unwrap();
        device.rename("b/new", "a");
        device.scan().await;
        assert_eq!((device.row("a").await.node, device.row("a/f").await.node), (a, f));
    }
}

/// What has its name now is spelled in another way, and stands for it.
#[tokio::test]
async fn a_file_that_left_and_was_followed_by_one_of_another_spelling_is_not_left_out() {
    let device = Device::new();
    device.write("e\u{301}te\u{301}", "1");
    device.folder("z");
    device.scan().await;
    device.rename("e\u{301}te\u{301}", "z/e\u{301}te\u{301}");
    device.write("\u{e9}t\u{e9}", "two");
    device.scan().await;
    let tree = device.tree().await;
    assert_eq!(tree.len(), 3, "{tree:?}");
    assert_ne!(
        device.row("z/e\u{301}te\u{301}").await.node,
        device.row("\u{e9}t\u{e9}").await.node
    );
}

#[tokio::test]
async fn a_folder_that_was_put_into_one_that_has_its_name_now_is_not_in_itself() {
    let device = Device::new();
    device.folder("a/sub");
    device.write("a/sub/f", "1");
    device.scan().await;
    let f = device.row("a/sub/f").await.node;
    device.rename("a", "tmp");
    device.folder("a");
    device.rename("tmp", "a/a");
    for _ in 0..2 {
        device.scan().await;
        assert_eq!(device.tree().await, ["a/", "a/a/", "a/a/sub/", "a/a/sub/f"]);
        assert_eq!(device.row("a/a/sub/f").await.node, f);
    }
}

#[tokio::test]
async fn a_folder_replaced_in_place_keeps_the_nodes_of_its_names() {
    let device = Device::new();
    device.folder("d");
    device.write("d/f", "1");
    device.scan().await;
    let (d, f) = (device.row("d").await.node, device.row("d/f").await.node);
    std::fs::remove_dir_all(device.path("d")).unwrap();
    device.folder("d");
    device.write("d/f", "other");
    device.scan().await;
    assert_eq!((device.row("d").await.node, device.row("d/f").await.node), (d, f));
}

#[tokio::test]
async fn children_that_leave_a_folder_before_it_goes_are_kept() {
    let device = Device::new();
    device.folder("gone/sub");
    device.write("gone/sub/saved", "x");
    device.write("gone/lost", "y");
    device.scan().await;
    let saved = device.row("gone/sub/saved").await.node;
    device.rename("gone/sub", "sub");
    std::fs::remove_dir_all(device.path("gone")).unwrap();
    device.scan().await;
    assert_eq!(device.tree().await, ["sub/", "sub/saved"]);
    assert_eq!(device.row("sub/saved").await.node, saved);
}

/// As some disks do with every mount.
#[tokio::test]
async fn inodes_that_were_dealt_anew_move_no_folder_where_no_births_tell() {
    let device = Device::lacking(Lacks {
        births: true,
        ..Lacks::default()
    });
    for folder in ["a", "b", "c/d"] {
        device.folder(folder);
        device.write(&format!("{folder}/f"), folder);
    }
    device.scan().await;
    let paths = ["a", "b", "c", "c/d"];
    let mut rows = Vec::new();
    for path in paths {
        rows.push(device.row(path).await);
    }
    let inodes: Vec<u64> = rows.iter().map(|row| row.fingerprint.inode).collect();
    for (index, row) in rows.iter().enumerate() {
        let mut dealt = row.clone();
        dealt.fingerprint.inode = inodes[(index + 1) % inodes.len()];
        device.put_row(dealt).await;
    }
    assert_eq!(device.scan().await.changed, 0);
    for (path, row) in paths.iter().zip(rows) {
        assert_eq!(device.row(path).await, row, "{path}");
    }
    // A folder that is not at its place any more was moved all the same.
    device.rename("a", "c/moved");
    assert_eq!(device.scan().await.changed, 1);
    assert_eq!(device.row("c/moved/f").await.fingerprint.size, 1);
}
