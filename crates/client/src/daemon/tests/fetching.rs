//! Files that cannot be fetched.

use cairn_api::sync::ChangesReply;
use cairn_core::ids::NodeId;
use cairn_core::name::NodeName;
use cairn_core::node::{Attributes, Content, Node, Place};
use cairn_core::rev::Seq;

use super::listing::{cursor, nothing_new, rest, served};
use super::{Device, FakeRemote};
use crate::remote::fake::Counted;
use crate::state::ClientState;

/// A file that somebody else has committed.
pub(super) fn theirs(remote: &FakeRemote, name: &str, text: &str) -> Node {
    let seq = Seq::new(1).unwrap();
    let id = NodeId::new(1_000_000 + text.len() as i64).unwrap();
    Node {
        id,
        place: Place {
            parent: NodeId::ROOT,
            name: NodeName::new(name).unwrap(),
        },
        content: Content::File(remote.store(id, seq, text.as_bytes())),
        attributes: Attributes::default(),
        place_seq: seq,
        content_seq: seq,
        attributes_seq: seq,
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_fetched_is_not_asked_for_without_end() {
    let device = Device::new();
    let (remote, daemon) = served(&device).await;
    let head = cursor(&device, 1, 5);
    let damaged = theirs(&remote, "damaged", "lost");
    remote.forget_chunks();
    let whole = theirs(&remote, "whole", "there");
    remote.faults(|says| {
        says.changes = [ChangesReply::NotOnChain { head }, nothing_new(head)].into();
        says.listing = [rest(vec![damaged, whole])].into();
    });
    let left = daemon.run_once().await.unwrap_err();
    let told = left.to_string();
    assert!(told.contains("damaged: this version is damaged"), "{told}");
    assert_eq!(device.read("whole"), "there");
    assert!(!device.exists("damaged"));
    // Once with the other, and once more after that was done.
    assert_eq!(Counted::get(&remote.counted.fetches), 2);
    let notes = device.state.activity(100).await.unwrap();
    let created: Vec<&str> = notes.iter().map(|(_, _, path)| path.as_str()).collect();
    assert!(!created.contains(&"damaged"), "{notes:?}");
}
