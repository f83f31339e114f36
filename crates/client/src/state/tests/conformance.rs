//! What both kinds of state must do.

use cairn_core::ids::{NamespaceId, NodeId, OpId};
use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use cairn_core::tree::Entry;

use super::subjects;
use super::world::{at_seq, content, cursor, file, file_id, folder, id, join, link, node, ns, put_all, row};
use crate::state::{Counts, InFlight, Intent, LocalChange, Relisted, StateBatch, TreeChange};

#[tokio::test]
async fn an_empty_state_knows_nothing() {
    for subject in subjects().await {
        let state = &subject.state;
        assert_eq!(state.cursor(ns()).await.unwrap(), None, "{}", subject.name);
        assert_eq!(state.counts(ns()).await.unwrap(), Counts::default());
        assert!(
            state
                .neighbourhood(ns(), None, 10)
                .await
                .unwrap()
                .dirty
                .is_empty()
        );
        assert_eq!(state.local(ns(), id(5)).await.unwrap(), None);
        assert_eq!(state.seen(ns()).await.unwrap(), Seq::ZERO);
        assert_eq!(
            state.disk_path(ns(), NodeId::ROOT).await.unwrap(),
            Some(Vec::new())
        );
        assert_eq!(state.disk_path(ns(), id(5)).await.unwrap(), None);
        assert_eq!(state.local_at(ns(), &[]).await.unwrap(), None);
        assert_eq!(state.unfinished_listing(ns()).await.unwrap(), None);
        assert_eq!(state.in_flight(ns()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_was_put_is_read_back_exactly() {
    for subject in subjects().await {
        let state = &subject.state;
        let mut odd = row(12, file(10, "Ünïcode ÉTÉ", 3));
        odd.disk_name = Some("other~1".to_owned());
        odd.is_unsure = true;
        odd.entry.attributes.executable = true;
        odd.fingerprint.size = u64::MAX;
        odd.fingerprint.inode = u64::MAX;
        odd.fingerprint.born_ns = Some(-11_644_473_600_000_000_001);
        let mut plain = row(11, link(1, "ln", "../far"));
        plain.fingerprint.born_ns = None;
        plain.fingerprint.mtime = plain.entry.attributes.mtime;
        let rows = [row(10, folder(1, "Docs")), plain, odd];
        let batch = StateBatch {
            local: rows.iter().cloned().map(LocalChange::Put).collect(),
            remote: vec![TreeChange::Put(id(12), at_seq(file(10, "Ünïcode ÉTÉ", 3), 5, 9))],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        for row in &rows {
            assert_eq!(
                state.local(ns(), row.node).await.unwrap().as_ref(),
                Some(row),
                "{}",
                subject.name
            );
        }
        assert_eq!(
            state.remote(ns(), id(12)).await.unwrap(),
            Some(at_seq(file(10, "Ünïcode ÉTÉ", 3), 5, 9))
        );
        assert_eq!(state.synced(ns(), id(12)).await.unwrap(), None);
        let names = |path: &[&str]| path.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let path = names(&["Docs", "other~1"]);
        assert_eq!(state.disk_path(ns(), id(12)).await.unwrap(), Some(path.clone()));
        assert_eq!(
            state.remote_path(ns(), id(12)).await.unwrap(),
            None,
            "its folder is not on the server"
        );
        assert_eq!(
            state.local_at(ns(), &path).await.unwrap().map(|row| row.node),
            Some(id(12))
        );
        for missing in [
            names(&["docs"]),
            names(&["Docs", "Ünïcode ÉTÉ"]),
            names(&["Docs", "x"]),
            names(&[""]),
        ] {
            assert_eq!(state.local_at(ns(), &missing).await.unwrap(), None, "{missing:?}");
        }
        assert_eq!(
            state.local_by_inode(ns(), u64::MAX).await.unwrap(),
            [rows[2].clone()]
        );
        assert_eq!(state.unsure(ns(), 5).await.unwrap(), [rows[2].clone()]);
        assert!(state.unsure(ns(), 0).await.unwrap().is_empty());
        let asked = [file_id(4), file_id(3), file_id(3)];
        let row = Some(rows[2].clone());
        assert_eq!(
            state.locals_with_contents(ns(), &asked).await.unwrap(),
            [None, row.clone(), row]
        );
        let other = NamespaceId::new(77).unwrap();
        assert_eq!(state.local(other, id(12)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_node_is_dirty_until_the_trees_agree() {
    for subject in subjects().await {
        let state = &subject.state;
        let counts = async || state.counts(ns()).await.unwrap();
        state
            .apply(ns(), put_all(10, at_seq(file(1, "a", 1), 1, 1)))
            .await
            .unwrap();
        assert_eq!(
            counts().await,
            Counts {
                local_nodes: 1,
                remote_nodes: 1,
                dirty: 0
            },
            "{}",
            subject.name
        );
        let edited = StateBatch {
            local: vec![LocalChange::Put(row(10, file(1, "a", 2)))],
            ..StateBatch::default()
        };
        state.apply(ns(), edited).await.unwrap();
        assert_eq!(counts().await.dirty, 1);
        let sent = at_seq(file(1, "a", 2), 1, 2);
        let batch = StateBatch {
            remote: vec![TreeChange::Put(id(10), sent.clone())],
            synced: vec![TreeChange::Put(id(10), sent)],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        assert_eq!(counts().await.dirty, 0);
        assert_eq!(state.seen(ns()).await.unwrap(), Seq::new(2).unwrap());
        let gone = StateBatch {
            synced: vec![TreeChange::RemoveNode(id(10))],
            ..StateBatch::default()
        };
        state.apply(ns(), gone).await.unwrap();
        assert_eq!(counts().await.dirty, 1);
    }
}

#[tokio::test]
async fn removing_a_folder_takes_what_is_below_it_in_that_tree_alone() {
    for subject in subjects().await {
        let state = &subject.state;
        let parts = [
            (10, folder(1, "a")),
            (11, folder(10, "b")),
            (12, file(11, "c", 1)),
            (13, file(1, "d", 1)),
        ];
        state
            .apply(ns(), join(parts.map(|(n, entry)| put_all(n, entry))))
            .await
            .unwrap();
        // What was moved out of the folder in the same batch stays.
        let batch = StateBatch {
            remote: vec![
                TreeChange::Put(id(12), at_seq(file(1, "c", 1), 4, 0)),
                TreeChange::RemoveSubtree(id(10)),
            ],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        assert_eq!(
            state.counts(ns()).await.unwrap(),
            Counts {
                local_nodes: 4,
                remote_nodes: 2,
                dirty: 3
            },
            "{}",
            subject.name
        );
        assert!(state.remote(ns(), id(12)).await.unwrap().is_some());
        let several = state
            .remotes(ns(), &[id(999_999), id(12), id(999_998)])
            .await
            .unwrap();
        assert_eq!(several, [None, state.remote(ns(), id(12)).await.unwrap(), None]);
        assert!(state.synced(ns(), id(11)).await.unwrap().is_some());
        let batch = StateBatch {
            local: vec![LocalChange::Remove(id(10))],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        assert_eq!(state.counts(ns()).await.unwrap().local_nodes, 1);
        let rest = StateBatch {
            synced: vec![TreeChange::RemoveSubtree(id(10))],
            ..StateBatch::default()
        };
        state.apply(ns(), rest).await.unwrap();
        // Node 12 is on the server alone now, 10 and 11 are nowhere.
        assert_eq!(state.counts(ns()).await.unwrap().dirty, 1);
    }
}

#[tokio::test]
async fn a_rebound_folder_keeps_its_children() {
    for subject in subjects().await {
        let state = &subject.state;
        let local = [
            row(10, folder(1, "a")),
            row(11, file(10, "x", 1)),
            row(12, file(10, "Y", 2)),
        ];
        let batch = StateBatch {
            local: local.map(LocalChange::Put).to_vec(),
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        let remote = at_seq(folder(1, "a"), 3, 3);
        let batch = StateBatch {
            rebind: vec![(id(10), id(20))],
            remote: vec![TreeChange::Put(id(20), remote.clone())],
            synced: vec![TreeChange::Put(id(20), remote)],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        assert_eq!(state.local(ns(), id(10)).await.unwrap(), None, "{}", subject.name);
        let children: Vec<String> = state
            .local_children(ns(), id(20))
            .await
            .unwrap()
            .iter()
            .map(|row| row.name_on_disk().to_owned())
            .collect();
        assert_eq!(children, ["Y", "x"]);
        assert_eq!(
            state.neighbourhood(ns(), None, 9).await.unwrap().dirty,
            [id(11), id(12)],
            "the folder agrees, its files are new"
        );
    }
}

#[tokio::test]
async fn a_listing_becomes_the_remote_tree_at_once() {
    for subject in subjects().await {
        let state = &subject.state;
        let kept = at_seq(file(1, "kept", 1), 1, 1);
        let old = at_seq(file(1, "old", 2), 2, 2);
        state
            .apply(ns(), join([put_all(10, kept.clone()), put_all(11, old)]))
            .await
            .unwrap();
        state.begin_listing(ns(), cursor(3)).await.unwrap();
        state
            .add_to_listing(ns(), &[node(10, &folder(1, "stale"))])
            .await
            .unwrap();
        state.begin_listing(ns(), cursor(9)).await.unwrap();
        assert_eq!(
            state.unfinished_listing(ns()).await.unwrap(),
            Some((cursor(9), None)),
            "{}",
            subject.name
        );
        let fresh = at_seq(file(1, "fresh", 3), 8, 12);
        state.add_to_listing(ns(), &[node(10, &kept)]).await.unwrap();
        state.add_to_listing(ns(), &[node(12, &fresh)]).await.unwrap();
        assert_eq!(
            state.unfinished_listing(ns()).await.unwrap(),
            Some((cursor(9), Some(id(12))))
        );
        assert_eq!(
            state.remote(ns(), id(12)).await.unwrap(),
            None,
            "not before it is complete"
        );
        state.finish_listing(ns(), Relisted::Ahead).await.unwrap();
        assert_eq!(state.unfinished_listing(ns()).await.unwrap(), None);
        assert_eq!(state.cursor(ns()).await.unwrap(), Some(cursor(9)));
        assert_eq!(state.seen(ns()).await.unwrap(), Seq::new(12).unwrap());
        assert_eq!(
            state.neighbourhood(ns(), None, 9).await.unwrap().dirty,
            [id(11), id(12)]
        );
        assert_eq!(
            state.contents(&[file_id(9), file_id(3)]).await.unwrap(),
            [None, Some(content(3))]
        );
        state.begin_listing(ns(), cursor(10)).await.unwrap();
        state.add_to_listing(ns(), &[node(10, &kept)]).await.unwrap();
        state
            .finish_listing(ns(), Relisted::Merge { shared: Seq::ZERO })
            .await
            .unwrap();
        let hood = state.neighbourhood(ns(), None, 9).await.unwrap();
        assert_eq!(hood.dirty, [id(10), id(11)]);
        assert!(hood.synced.is_empty(), "a merge takes nothing for a deletion");
        assert_eq!(state.remote(ns(), id(12)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn commits_and_intents_are_kept_until_they_are_done() {
    for subject in subjects().await {
        let state = &subject.state;
        let sent = InFlight {
            op_id: OpId::new([1; 16]),
            request: vec![0, 1, 2],
        };
        let batch = StateBatch {
            in_flight: Some(sent.clone()),
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        let other = StateBatch {
            settled: Some(OpId::new([2; 16])),
            ..StateBatch::default()
        };
        state.apply(ns(), other).await.unwrap();
        assert_eq!(
            state.in_flight(ns()).await.unwrap(),
            Some(sent.clone()),
            "{}",
            subject.name
        );
        let settled = StateBatch {
            settled: Some(sent.op_id),
            ..StateBatch::default()
        };
        state.apply(ns(), settled).await.unwrap();
        assert_eq!(state.in_flight(ns()).await.unwrap(), None);
        let intent = |staged: &str, step: u8| Intent {
            staged: staged.to_owned(),
            node: id(5),
            step: vec![step],
        };
        for (staged, step) in [("b", 1), ("a", 2), ("b", 3)] {
            state.add_intent(ns(), &intent(staged, step)).await.unwrap();
        }
        assert_eq!(
            state.intents(ns()).await.unwrap(),
            [intent("a", 2), intent("b", 3)]
        );
        let done = StateBatch {
            done_intents: vec!["a".to_owned()],
            ..StateBatch::default()
        };
        state.apply(ns(), done).await.unwrap();
        assert_eq!(state.intents(ns()).await.unwrap(), [intent("b", 3)]);
    }
}

#[tokio::test]
async fn settings_and_the_newest_notes_are_kept() {
    for subject in subjects().await {
        let state = &subject.state;
        state.set_setting("paused", Some("yes")).await.unwrap();
        state.set_setting("paused", Some("no")).await.unwrap();
        assert_eq!(
            state.setting("paused").await.unwrap().as_deref(),
            Some("no"),
            "{}",
            subject.name
        );
        state.set_setting("paused", None).await.unwrap();
        assert_eq!(state.setting("paused").await.unwrap(), None);
        for n in 0..1_005 {
            state
                .note_activity(Timestamp::from_millis(n), "uploaded", &format!("{n}.txt"))
                .await
                .unwrap();
        }
        let all = state.activity(5_000).await.unwrap();
        assert_eq!(all.len(), 1_000);
        let newest = (
            Timestamp::from_millis(1_004),
            "uploaded".to_owned(),
            "1004.txt".to_owned(),
        );
        assert_eq!(state.activity(1).await.unwrap(), [newest]);
    }
}

#[tokio::test]
async fn own_commits_are_remembered_until_the_journal_was_read_beyond_them() {
    for subject in subjects().await {
        let state = &subject.state;
        let committed = |seq| StateBatch {
            checkpoint: Some(cursor(seq)),
            ..StateBatch::default()
        };
        let read_to = |seq| StateBatch {
            cursor: Some(cursor(seq)),
            ..StateBatch::default()
        };
        let known = async || -> Vec<i64> {
            let checkpoints = state.checkpoints(ns()).await.unwrap();
            checkpoints.iter().map(|(seq, _)| seq.get()).collect()
        };
        for batch in [read_to(4), committed(5), committed(7), committed(3)] {
            state.apply(ns(), batch).await.unwrap();
        }
        // What is older than the cursor was read already.
        assert_eq!(known().await, [5, 7], "{}", subject.name);
        let mut other = cursor(5);
        other.chain = cairn_core::ids::ChainHash::new([9; 32]);
        let batch = StateBatch {
            checkpoint: Some(other),
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        // The first promise counts: a second one at the same position is of another history.
        assert_eq!(state.checkpoints(ns()).await.unwrap()[0].1, cursor(5).chain);
        state.apply(ns(), read_to(5)).await.unwrap();
        assert_eq!(known().await, [7], "{}", subject.name);
        state.begin_listing(ns(), cursor(6)).await.unwrap();
        state
            .finish_listing(ns(), Relisted::Merge { shared: Seq::ZERO })
            .await
            .unwrap();
        assert_eq!(known().await, Vec::<i64>::new(), "{}", subject.name);
    }
}

#[tokio::test]
async fn files_are_gone_through_in_order() {
    for subject in subjects().await {
        let state = &subject.state;
        let touched = |n: i64, mtime: i64, ctime: i64| {
            let mut row = row(n, file(1, &format!("f{n}"), n.cast_unsigned()));
            row.fingerprint.mtime.seconds = mtime;
            row.entry.attributes.mtime.seconds = mtime;
            row.fingerprint.ctime.seconds = ctime;
            row
        };
        let mut spelled = touched(13, 1_000, 1_000);
        spelled.entry.attributes.mtime.seconds = 5_000;
        let rows = [
            row(10, folder(1, "Docs")),
            touched(11, 1_000, 2_000),
            touched(12, 3_000, 1_000),
            spelled,
            row(14, link(1, "ln", "../far")),
            touched(15, 1_000, 1_999),
        ];
        let batch = StateBatch {
            local: rows.iter().cloned().map(LocalChange::Put).collect(),
            remote: vec![TreeChange::Put(id(16), file(1, "far", 3))],
            ..StateBatch::default()
        };
        state.apply(ns(), batch).await.unwrap();
        let files = async |since: Option<i64>, after: Option<i64>, limit| {
            let since = since.map(Timestamp::from_millis);
            let found = state
                .local_files(ns(), since, after.map(id), limit)
                .await
                .unwrap();
            found.iter().map(|row| row.node.get() - 1_000).collect::<Vec<_>>()
        };
        assert_eq!(files(None, None, 9).await, [11, 12, 13, 15], "{}", subject.name);
        assert_eq!(files(None, Some(11), 2).await, [12, 13]);
        assert!(files(None, Some(15), 9).await.is_empty());
        assert_eq!(files(Some(2_000_999), None, 9).await, [11, 12], "to the second");
        assert_eq!(files(Some(2_000_000), Some(11), 9).await, [12]);
        let found = state.local_files(ns(), None, None, 1).await.unwrap();
        assert_eq!(found, rows[1..2]);
    }
}

#[tokio::test]
async fn a_merge_agrees_on_what_the_disk_was_built_on() {
    for subject in subjects().await {
        let state = &subject.state;
        let old = |n: i64| at_seq(file(1, &format!("f{n}"), 1), 2, 2);
        let new = |n: i64| at_seq(file(1, &format!("f{n}"), 2), 2, 7);
        let put = |n: i64, entry: Entry| StateBatch {
            remote: vec![TreeChange::Put(id(n), entry.clone())],
            synced: vec![TreeChange::Put(id(n), entry)],
            ..StateBatch::default()
        };
        for n in 10..14 {
            state.apply(ns(), put(n, new(n))).await.unwrap();
            let local = LocalChange::Put(row(n, file(1, &format!("f{n}"), 2)));
            // The user has deleted one.
            let local = if n == 13 { Vec::new() } else { vec![local] };
            let batch = StateBatch {
                local,
                ..StateBatch::default()
            };
            state.apply(ns(), batch).await.unwrap();
        }
        state.begin_listing(ns(), cursor(5)).await.unwrap();
        // From before both parted; from after that; from before that, but later than what the device had seen.
        let listed = [
            old(10),
            at_seq(file(1, "f11", 3), 2, 5),
            at_seq(old(12), 3, 2),
            old(13),
        ];
        for (n, entry) in (10..).zip(&listed) {
            state.add_to_listing(ns(), &[node(n, entry)]).await.unwrap();
        }
        let shared = Seq::new(4).unwrap();
        state
            .finish_listing(ns(), Relisted::Merge { shared })
            .await
            .unwrap();
        let mut agreed = Vec::new();
        for n in 10..14 {
            agreed.push(state.synced(ns(), id(n)).await.unwrap());
        }
        assert_eq!(agreed, [Some(old(10)), None, None, None], "{}", subject.name);
    }
}

#[tokio::test]
async fn waypoints_become_fewer_with_age_and_end_where_histories_part() {
    for subject in subjects().await {
        let state = &subject.state;
        let read_to = |seq| StateBatch {
            cursor: Some(cursor(seq)),
            ..StateBatch::default()
        };
        let known = async || -> Vec<i64> {
            let known = state.waypoints(ns()).await.unwrap();
            known.iter().map(|(seq, _)| seq.get()).collect()
        };
        for seq in 1..=200 {
            state.apply(ns(), read_to(seq)).await.unwrap();
        }
        state.apply(ns(), read_to(200)).await.unwrap();
        let all = known().await;
        assert_eq!(
            all[all.len() - 16..],
            (185..=200).collect::<Vec<_>>(),
            "{}",
            subject.name
        );
        assert!(all.len() < 60 && all.is_sorted(), "{}: {all:?}", subject.name);
        for seq in 1..200 {
            let age = 200 - seq;
            let before = all
                .iter()
                .rfind(|known| **known <= seq)
                .map_or(seq, |known| seq - known);
            assert!(before <= age / 8 + 1, "{}: {seq} in {all:?}", subject.name);
        }
        state.begin_listing(ns(), cursor(190)).await.unwrap();
        let shared = Seq::new(187).unwrap();
        state
            .finish_listing(ns(), Relisted::Merge { shared })
            .await
            .unwrap();
        let all = known().await;
        assert_eq!(all[all.len() - 4..], [185, 186, 187, 190], "{}", subject.name);
    }
}
