//! A listing of the server's tree that a lost connection cuts.

use std::sync::Arc;

use cairn_api::sync::{ChangesReply, NodesReply};
use cairn_core::change::{Change, JournalEntry};
use cairn_core::ids::{ChainHash, DeviceId, Incarnation, NodeId};
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Node, NodeKind, Place};
use cairn_core::rev::{Cursor, Seq};
use cairn_core::time::Timestamp;

use super::{Daemon, Device, FakeRemote, parts};
use crate::daemon::{DaemonError, DaemonParts};
use crate::state::ClientState;

pub(super) fn cursor(device: &Device, incarnation: u8, seq: i64) -> Cursor {
    Cursor {
        namespace: device.namespace,
        incarnation: Incarnation::new([incarnation; 16]),
        seq: Seq::new(seq).unwrap(),
        chain: ChainHash::new([incarnation; 32]),
    }
}

pub(super) fn nothing_new(cursor: Cursor) -> ChangesReply {
    ChangesReply::Page {
        entries: Vec::new(),
        cursor,
        has_more: false,
    }
}

fn folder(name: &str) -> Node {
    let seq = Seq::new(1).unwrap();
    Node {
        id: NodeId::new(1_000_000).unwrap(),
        place: Place {
            parent: NodeId::ROOT,
            name: NodeName::new(name).unwrap(),
        },
        content: Content::Directory,
        attributes: Attributes::default(),
        place_seq: seq,
        content_seq: seq,
        attributes_seq: seq,
    }
}

/// A daemon and the server that it asks.
pub(super) async fn served(device: &Device) -> (Arc<FakeRemote>, Daemon) {
    let remote = Arc::new(FakeRemote::default());
    let parts = DaemonParts {
        remote: Arc::clone(&remote) as _,
        ..parts(device, Vec::new())
    };
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    (remote, daemon)
}

/// The last page of a listing.
pub(super) fn rest(nodes: Vec<Node>) -> NodesReply {
    NodesReply {
        nodes,
        has_more: false,
    }
}

/// The same, with the file `mine` in sync.
async fn mine_is_sent(device: &Device) -> (Arc<FakeRemote>, Daemon) {
    device.write("mine", "x");
    let (remote, daemon) = served(device).await;
    remote.faults(|says| {
        says.changes = [cursor(device, 1, 0), cursor(device, 1, 1)]
            .map(nothing_new)
            .into();
    });
    daemon.run_once().await.unwrap();
    assert_eq!(remote.commits().len(), 1);
    (remote, daemon)
}

#[tokio::test]
async fn a_listing_that_was_cut_is_gone_on_with_as_a_merge() {
    let device = Device::new();
    let (remote, daemon) = mine_is_sent(&device).await;

    // Another server, which has never heard of the file, and is gone after the first page of its tree.
    let head = cursor(&device, 9, 5);
    remote.faults(|says| {
        says.changes = [ChangesReply::NotOnChain { head }].into();
        says.listing = [NodesReply {
            nodes: vec![folder("theirs")],
            has_more: true,
        }]
        .into();
    });
    let cut = daemon.run_once().await;
    assert!(matches!(cut, Err(DaemonError::Remote(_))), "{cut:?}");

    // Nobody remembers why it was listed.
    remote.faults(|says| {
        says.changes = [nothing_new(head)].into();
        says.listing = [rest(Vec::new())].into();
    });
    daemon.run_once().await.unwrap();
    assert!(device.path("theirs").is_dir());
    assert!(
        device.path("mine").exists(),
        "what the other server lacks is sent, not deleted"
    );
    assert_eq!(remote.commits().len(), 2);
}

#[tokio::test]
async fn a_listing_of_a_history_that_the_server_has_lost_is_begun_anew() {
    let device = Device::new();
    device.write("mine", "x");
    let (remote, daemon) = served(&device).await;
    let lost = cursor(&device, 1, 5);
    remote.faults(|says| {
        says.changes = [ChangesReply::NotOnChain { head: lost }].into();
        says.listing = [NodesReply {
            nodes: vec![folder("lost")],
            has_more: true,
        }]
        .into();
    });
    let cut = daemon.run_once().await;
    assert!(matches!(cut, Err(DaemonError::Remote(_))), "{cut:?}");

    // From a backup, of before the position at which was listed.
    let head = cursor(&device, 2, 3);
    remote.faults(|says| {
        says.changes = [ChangesReply::NotOnChain { head }, nothing_new(head)].into();
        says.listing = [rest(vec![folder("theirs")])].into();
    });
    daemon.run_once().await.unwrap();
    assert!(device.path("theirs").is_dir());
    assert!(
        !device.path("lost").exists(),
        "pages of two histories are not one tree"
    );
    assert!(device.path("mine").exists());
    assert_eq!(remote.commits().len(), 1);
}

#[tokio::test]
async fn a_restored_device_lists_what_is_there_now_and_not_what_was_at_its_cursor() {
    let device = Device::new();
    let (remote, daemon) = served(&device).await;
    remote.faults(|says| says.changes = [nothing_new(cursor(&device, 1, 1))].into());
    daemon.run_once().await.unwrap();

    let head = cursor(&device, 1, 5);
    remote.faults(|says| {
        says.calls_restored = true;
        // The first is the answer to a cursor that no journal has.
        says.changes = [ChangesReply::NotOnChain { head }, nothing_new(head)].into();
        says.listing = [rest(vec![folder("theirs")])].into();
    });
    daemon.run_once().await.unwrap();
    assert!(device.path("theirs").is_dir());
}

#[tokio::test]
async fn what_a_commit_in_flight_had_made_and_is_gone_again_does_not_come_back() {
    let device = Device::new();
    device.write("mine", "x");
    let (remote, daemon) = served(&device).await;
    remote.faults(|says| {
        says.changes = [nothing_new(cursor(&device, 1, 1))].into();
        says.loses_reply = true;
    });
    let cut = daemon.run_once().await;
    assert!(matches!(cut, Err(DaemonError::Remote(_))), "{cut:?}");
    assert_eq!(remote.commits().len(), 1);

    // The device is restored to that moment; the file was deleted on the server meanwhile.
    let head = cursor(&device, 1, 5);
    remote.faults(|says| {
        says.calls_restored = true;
        says.changes = [ChangesReply::NotOnChain { head }, nothing_new(head)].into();
        says.listing = [rest(Vec::new())].into();
    });
    daemon.run_once().await.unwrap();
    assert_eq!(remote.commits().len(), 2, "the server has it no more: it is sent");
}

/// What the journal says of a file that a device deleted.
async fn deletion(device: &Device, path: &str, by: DeviceId, at: Cursor) -> JournalEntry {
    let row = device.row(path).await;
    JournalEntry {
        seq: at.seq,
        group_last: at.seq,
        node: row.node,
        change: Change::Deleted,
        place_before: Some(row.entry.place),
        place_after: None,
        kind: NodeKind::File,
        content: None,
        attributes: row.entry.attributes,
        bytes_delta: -1,
        device: by,
        at: Timestamp::from_millis(0),
        chain: at.chain,
    }
}

#[tokio::test]
async fn a_device_that_knows_nothing_of_its_own_commit_was_restored_and_deletes_nothing() {
    let me = DeviceId::new(1).unwrap();
    for (by, is_restored) in [
        (me, true),
        (DeviceId::new(2).unwrap(), false),
        (me.on_behalf(), false),
    ] {
        let device = Device::new();
        let (remote, daemon) = mine_is_sent(&device).await;

        // The server accepts the cursor: this device told it no later one.
        let head = cursor(&device, 1, 5);
        let page = ChangesReply::Page {
            entries: vec![deletion(&device, "mine", by, head).await],
            cursor: head,
            has_more: false,
        };
        remote.faults(|says| {
            says.changes = [page, ChangesReply::NotOnChain { head }, nothing_new(head)].into();
            says.listing = [rest(Vec::new())].into();
        });
        daemon.run_once().await.unwrap();
        assert_eq!(device.path("mine").exists(), is_restored);
        assert_eq!(remote.commits().len(), if is_restored { 2 } else { 1 });
    }
}

#[tokio::test]
async fn a_page_that_calls_for_a_listing_is_not_behind_the_device_before_that_has_begun() {
    let device = Device::new();
    let (_remote, daemon) = mine_is_sent(&device).await;
    let deleted = deletion(&device, "mine", DeviceId::new(2).unwrap(), cursor(&device, 1, 5)).await;
    let stranger = NodeId::new(1_000_000).unwrap();
    let after = |node, change, parent| JournalEntry {
        node,
        change,
        place_after: Some(Place {
            parent,
            ..deleted.place_before.clone().unwrap()
        }),
        ..deleted.clone()
    };
    let known = || device.state.cursor(device.namespace);
    let before = known().await.unwrap();
    for (entry, calls) in [
        (after(deleted.node, Change::Restored, NodeId::ROOT), true),
        (after(stranger, Change::Moved, NodeId::ROOT), true),
        (
            after(stranger, Change::Moved, NodeId::new(1_000_001).unwrap()),
            false,
        ),
    ] {
        let head = cursor(&device, 1, 5);
        let must_list = daemon.engine.record_entries(&[entry], head).await.unwrap();
        assert_eq!(must_list, calls);
        // Here the process may end.
        let expected = if calls { before } else { Some(head) };
        assert_eq!(known().await.unwrap(), expected);
    }
}

/// The answer to a deletion runs ahead of the journal, which tells then what another device had made in the folder, and that it
/// deleted that.
#[tokio::test]
async fn what_was_made_in_a_folder_that_is_gone_here_is_gone_with_it() {
    let device = Device::new();
    let (_remote, daemon) = mine_is_sent(&device).await;
    let other = DeviceId::new(2).unwrap();
    let deleted = deletion(&device, "mine", other, cursor(&device, 1, 5)).await;
    let [gone, folder, file] = [1, 2, 3].map(|id| NodeId::new(1_000_000 + id).unwrap());
    let made = |node, parent, name: &str| JournalEntry {
        node,
        change: Change::Created,
        place_before: None,
        place_after: Some(Place {
            parent,
            name: NodeName::new(name).unwrap(),
        }),
        kind: NodeKind::Directory,
        content: Some(Content::Directory),
        ..deleted.clone()
    };
    let entries = [
        made(file, gone, "in it"),
        JournalEntry {
            node: gone,
            ..deleted.clone()
        },
        made(folder, NodeId::ROOT, "folder"),
        made(file, folder, "in another"),
    ];
    let head = cursor(&device, 1, 6);
    let names = async |node| {
        let entry = device.state.remote(device.namespace, node).await.unwrap();
        entry.map(|entry| entry.place.name.as_str().to_owned())
    };
    let must_list = daemon.engine.record_entries(&entries[..2], head).await.unwrap();
    assert!(!must_list);
    assert_eq!(names(file).await, None);
    let must_list = daemon.engine.record_entries(&entries[2..], head).await.unwrap();
    assert!(!must_list);
    assert_eq!(names(file).await.as_deref(), Some("in another"));
}
