//! Many nodes at once: asked for in one statement, and loaded within a bound whatever the trees are.

use cairn_core::tree::Entry;

use super::subjects;
use super::world::{at_seq, file, folder, id, ns, row};
use crate::state::{LocalChange, StateBatch, TreeChange};

const FOLDERS: i64 = 200;
const FILES: i64 = 70;

/// Folders with more files each than are looked at together with one; the folders have the lower ids.
fn crowd() -> Vec<(i64, Entry)> {
    let folders = (0..FOLDERS).map(|n| (10 + n, at_seq(folder(1, &format!("{n}")), 1, 1)));
    let files = (0..FOLDERS * FILES).map(|n| {
        let entry = file(10 + n % FOLDERS, &format!("{n}"), 1);
        (1_000 + n, at_seq(entry, 1, 1))
    });
    folders.chain(files).collect()
}

#[tokio::test]
async fn new_folders_are_planned_without_what_is_in_them() {
    for subject in subjects().await {
        let state = &subject.state;
        let rows = crowd().into_iter().map(|(n, entry)| row(n, entry));
        let found = StateBatch {
            local: rows.map(LocalChange::Put).collect(),
            ..StateBatch::default()
        };
        state.apply(ns(), found).await.unwrap();
        let hood = state.neighbourhood(ns(), None, FOLDERS as usize).await.unwrap();
        assert_eq!(hood.dirty.len(), FOLDERS as usize, "{}", subject.name);
        assert_eq!(hood.local.len(), FOLDERS as usize, "{}", subject.name);
    }
}

#[tokio::test]
async fn many_folders_that_go_share_what_is_looked_at_of_them() {
    for subject in subjects().await {
        let state = &subject.state;
        let mut agreed = StateBatch::default();
        for (n, entry) in crowd() {
            agreed.remote.push(TreeChange::Put(id(n), entry.clone()));
            agreed.local.push(LocalChange::Put(row(n, entry.clone())));
            agreed.synced.push(TreeChange::Put(id(n), entry));
        }
        state.apply(ns(), agreed).await.unwrap();
        let gone = (0..FOLDERS).map(|n| TreeChange::RemoveSubtree(id(10 + n)));
        let gone = StateBatch {
            remote: gone.collect(),
            ..StateBatch::default()
        };
        state.apply(ns(), gone).await.unwrap();
        let hood = state.neighbourhood(ns(), None, FOLDERS as usize).await.unwrap();
        assert!(
            hood.local.len() <= FOLDERS as usize + 8_192,
            "{}",
            hood.local.len()
        );
        for n in 0..FOLDERS {
            // Each with some, and none is taken for empty.
            assert!(hood.local.children(id(10 + n)).count() >= 40, "{}", subject.name);
            assert!(hood.local_more_below.contains(&id(10 + n)));
        }
    }
}

#[tokio::test]
async fn many_nodes_and_inodes_are_asked_for_at_once() {
    for subject in subjects().await {
        let state = &subject.state;
        let known = state.known_inodes(ns(), &[7]).await.unwrap();
        assert!(known.is_empty(), "{}", subject.name);
        let mut rows = [row(10, folder(1, "f")), row(12, file(10, "a", 3))];
        rows[1].fingerprint.inode = u64::MAX;
        let batch = StateBatch {
            local: rows.iter().cloned().map(LocalChange::Put).collect(),
            remote: vec![TreeChange::Put(id(11), folder(1, "not here"))],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        let inode = rows[0].fingerprint.inode;
        let known = state.known_inodes(ns(), &[u64::MAX, 5, inode]).await.unwrap();
        assert_eq!(known, [u64::MAX, inode].into(), "{}", subject.name);
        let found = state
            .locals(ns(), &[id(12), id(11), id(99), id(10)])
            .await
            .unwrap();
        let [folder, file] = rows;
        assert_eq!(found, [Some(file), None, None, Some(folder)]);
    }
}
