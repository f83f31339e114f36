//! What planning is given of the trees: the dirty nodes, page by page, and what surrounds them.

use cairn_core::ids::NodeId;

use super::subjects;
use super::world::{at_seq, file, folder, id, join, ns, put_all, row};
use crate::state::{LocalChange, LocalRow, StateBatch, TreeChange};

#[tokio::test]
async fn dirty_folders_come_with_what_is_below_them_and_pages_reach_everything() {
    for subject in subjects().await {
        let state = &subject.state;
        // Folders have greater ids than what is in them: by id alone they would come last.
        let mut local = vec![
            LocalChange::Put(row(900, folder(1, "f"))),
            LocalChange::Put(row(800, folder(900, "g"))),
        ];
        local.extend((0..50).map(|n| LocalChange::Put(row(10 + n, file(800, &format!("{n}"), n as u64)))));
        state
            .apply(
                ns(),
                StateBatch {
                    local,
                    ..StateBatch::default()
                },
            )
            .await
            .unwrap();
        let first = state.neighbourhood(ns(), None, 5).await.unwrap();
        assert_eq!(
            first.dirty,
            [id(900), id(800), id(10), id(11), id(12)],
            "{}",
            subject.name
        );
        assert!(state.neighbourhood(ns(), None, 0).await.unwrap().dirty.is_empty());
        assert_eq!(state.neighbourhood(ns(), None, 1).await.unwrap().dirty.len(), 3);
        let mut met = std::collections::HashSet::new();
        let mut after = None;
        loop {
            let page = state.neighbourhood(ns(), after, 7).await.unwrap();
            let Some(last) = page.dirty.last() else { break };
            assert!(after.is_none_or(|after| *last > after));
            assert!(page.dirty.len() <= 7);
            after = Some(*last);
            met.extend(page.dirty);
        }
        assert_eq!(met.len(), 52);
    }
}

#[tokio::test]
async fn a_folder_gone_from_the_server_comes_with_some_of_its_children() {
    for subject in subjects().await {
        let state = &subject.state;
        let files = (0..70).map(|n| put_all(100 + n, at_seq(file(10, &format!("{n}"), 1), 1, 1)));
        state
            .apply(
                ns(),
                join(files.chain([put_all(10, at_seq(folder(1, "f"), 1, 1))])),
            )
            .await
            .unwrap();
        let gone = StateBatch {
            remote: vec![TreeChange::RemoveSubtree(id(10))],
            ..StateBatch::default()
        };
        state.apply(ns(), gone).await.unwrap();
        let hood = state.neighbourhood(ns(), None, 3).await.unwrap();
        assert_eq!(hood.dirty.len(), 3, "{}", subject.name);
        let loaded = hood.local.children(id(10)).count();
        assert!((64..70).contains(&loaded), "{loaded}");
        assert!(hood.local_more_below.contains(&id(10)));
        let all = state.neighbourhood(ns(), None, 100).await.unwrap();
        assert!(all.local_more_below.is_empty());
        assert_eq!(all.local.children(id(10)).count(), 70);
    }
}

#[tokio::test]
async fn a_local_row_with_another_name_on_disk_sorts_by_it() {
    for subject in subjects().await {
        let state = &subject.state;
        let renamed = LocalRow {
            disk_name: Some("zz".to_owned()),
            ..row(10, file(1, "a", 1))
        };
        let local = vec![
            LocalChange::Put(renamed),
            LocalChange::Put(row(11, file(1, "b", 1))),
        ];
        state
            .apply(
                ns(),
                StateBatch {
                    local,
                    ..StateBatch::default()
                },
            )
            .await
            .unwrap();
        let order: Vec<NodeId> = state
            .local_children(ns(), NodeId::ROOT)
            .await
            .unwrap()
            .iter()
            .map(|row| row.node)
            .collect();
        assert_eq!(order, [id(11), id(10)], "{}", subject.name);
    }
}
