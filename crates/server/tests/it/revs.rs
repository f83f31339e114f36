//! The states of a file, for devices.

use cairn_api::error::ErrorCode;
use cairn_api::sync::{CommitReply, Revs, RevsReply, Whereabouts, Whoami, path};
use cairn_core::change::{GroupOutcome, Op};
use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Place};
use cairn_core::rev::Seq;

use crate::support::{Device, TestFile, World, assert_refused, create, item, new_node};

impl Device<'_> {
    fn revs(&self, names: &[&str]) -> Revs {
        Revs {
            namespace: self.root,
            names: names.iter().map(|name| NodeName::new(*name).unwrap()).collect(),
            before: None,
            limit: 10,
        }
    }

    async fn states(&self, request: &Revs) -> RevsReply {
        self.post(path::REVS, request).await.ok()
    }

    async fn apply(&self, file: Option<&TestFile>, op: Op) -> Seq {
        let chunks = file.map(TestFile::all).unwrap_or_default();
        let reply: CommitReply = self.commit(&chunks, &self.request(vec![vec![op]])).await.ok();
        match &reply.groups[..] {
            [GroupOutcome::Applied { seqs }] => seqs[0],
            other => panic!("{other:?}"),
        }
    }

    async fn edit(&self, node: NodeId, file: &TestFile, base_content: Seq) -> Seq {
        let edit = Op::Edit {
            node,
            content: Content::File(file.content.clone()),
            attributes: Attributes::default(),
            base_content,
        };
        self.apply(Some(file), edit).await
    }
}

fn seqs(reply: &RevsReply) -> Vec<Seq> {
    reply.states.iter().map(|state| state.node.content_seq).collect()
}

#[tokio::test]
async fn a_files_states_are_listed_newest_first_and_each_can_be_fetched() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (node, first) = device.put("a", &TestFile::new(b"one")).await;
    let second = device.edit(node, &TestFile::new(b"two"), first).await;
    let third = device.edit(node, &TestFile::new(b"three"), second).await;
    let asked = device.revs(&["a"]);
    let all = device.states(&asked).await;
    assert_eq!(seqs(&all), [third, second, first]);
    assert_eq!((all.whereabouts, all.has_more), (Whereabouts::There, false));
    let whoami: Whoami = device.get(path::WHOAMI).await.ok();
    for state in &all.states {
        assert_eq!(state.device, Some(whoami.device));
        assert!(state.at.is_some());
    }
    let page = device
        .states(&Revs {
            limit: 1,
            ..asked.clone()
        })
        .await;
    assert_eq!((seqs(&page), page.has_more), (vec![third], true));
    let before = Some(third);
    assert_eq!(
        seqs(&device.states(&Revs { before, ..asked }).await),
        [second, first]
    );
    for (state, content) in all.states.iter().zip([&b"three"[..], b"two", b"one"]) {
        let frames = device.fetch(vec![item(node, state.node.content_seq)]).await;
        assert_eq!(frames[1], TestFile::new(content).chunks[0]);
    }
}

#[tokio::test]
async fn what_was_deleted_or_moved_away_is_known_by_where_it_stood() {
    let world = World::new();
    let device = world.device("ada@example.org").await;
    let (gone, seq) = device.put("gone", &TestFile::new(b"gone")).await;
    let delete = |node, place: Seq, content: Seq| Op::Delete {
        node,
        base_place: place,
        base_content: content,
        seen: None,
    };
    device.apply(None, delete(gone, seq, seq)).await;
    let reply = device.states(&device.revs(&["gone"])).await;
    assert_eq!(
        (seqs(&reply), reply.whereabouts),
        (vec![seq], Whereabouts::Deleted)
    );
    assert_eq!(reply.states[0].node.id, gone);

    let (moved, seq) = device.put("old", &TestFile::new(b"moved")).await;
    let place = Place {
        parent: NodeId::ROOT,
        name: NodeName::new("new").unwrap(),
    };
    let to_new = Op::Move {
        node: moved,
        place,
        base_place: seq,
    };
    device.apply(None, to_new).await;
    let reply = device.states(&device.revs(&["old"])).await;
    assert_eq!(
        (seqs(&reply), reply.whereabouts),
        (vec![seq], Whereabouts::Elsewhere)
    );
    let reply = device.states(&device.revs(&["new"])).await;
    assert_eq!((seqs(&reply), reply.whereabouts), (vec![seq], Whereabouts::There));

    let folder = new_node();
    let made = device
        .apply(None, create(folder, "folder", Content::Directory))
        .await;
    device.apply(None, delete(folder, made, made)).await;
    let reply = device.states(&device.revs(&["folder"])).await;
    assert_eq!(
        (seqs(&reply), reply.whereabouts),
        (vec![made], Whereabouts::Deleted)
    );
    let before = Some(made);
    let reply = device
        .states(&Revs {
            before,
            ..device.revs(&["folder"])
        })
        .await;
    assert!(
        reply.states.is_empty() && !reply.has_more,
        "a folder has one state"
    );
}

#[tokio::test]
async fn states_are_told_to_their_owner_and_of_what_was_there() {
    let world = World::new();
    let ada = world.device("ada@example.org").await;
    let eve = world.device("eve@example.org").await;
    ada.put("a", &TestFile::new(b"a")).await;
    let raw = eve.post(path::REVS, &ada.revs(&["a"])).await;
    assert_refused(&raw, ErrorCode::NotFound);
    let raw = ada.post(path::REVS, &ada.revs(&["never"])).await;
    assert_refused(&raw, ErrorCode::NotFound);
    let raw = ada.post(path::REVS, &ada.revs(&[])).await;
    assert_refused(&raw, ErrorCode::BadRequest);
    let raw = ada.post(path::REVS, &ada.revs(&["x"; 257])).await;
    assert_refused(&raw, ErrorCode::TooLarge);
}
