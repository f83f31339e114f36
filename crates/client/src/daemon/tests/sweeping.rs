//! What goes from the stage and the trash, and when.

use cairn_api::sync::ChangesReply;

use super::Device;
use super::fetching::theirs;
use super::listing::{cursor, nothing_new, rest, served};
use crate::state::{ClientState, StateBatch, TreeChange};

const BEGUN: &str = ".cairn/stage/part-of-something";
const OLD: &str = ".cairn/trash/of a year ago";

#[tokio::test]
async fn a_folder_that_is_left_keeps_neither_old_trash_nor_what_was_begun() {
    let device = Device::new();
    device.folder("d");
    device.write(".cairnignore", "*.tmp\n");
    device.write("d/x.tmp", "mine alone");
    let (remote, daemon) = served(&device).await;
    remote.faults(|says| {
        says.changes = [cursor(&device, 1, 0), cursor(&device, 1, 1)]
            .map(nothing_new)
            .into();
    });
    daemon.run_once().await.unwrap();

    let node = device.row("d").await.node;
    let deleted = StateBatch {
        remote: vec![TreeChange::RemoveNode(node)],
        ..StateBatch::default()
    };
    device.state.apply(device.namespace, deleted).await.unwrap();
    device.write(BEGUN, "x");
    device.write(OLD, "x");
    let status = daemon.run_once().await.unwrap();
    assert_eq!(device.read("d/x.tmp"), "mine alone");
    let counts = device.state.counts(device.namespace).await.unwrap();
    assert_eq!((counts.dirty, status.pending), (1, 0));
    assert!(!device.exists(OLD) && !device.exists(BEGUN));
}

#[tokio::test]
async fn a_file_that_cannot_be_fetched_keeps_what_was_begun_and_no_old_trash() {
    let device = Device::new();
    let (remote, daemon) = served(&device).await;
    let head = cursor(&device, 1, 5);
    let damaged = theirs(&remote, "damaged", "lost");
    remote.forget_chunks();
    remote.faults(|says| {
        says.changes = [ChangesReply::NotOnChain { head }, nothing_new(head)].into();
        says.listing = [rest(vec![damaged])].into();
    });
    device.write(BEGUN, "x");
    device.write(OLD, "x");
    daemon.run_once().await.unwrap_err();
    assert!(device.exists(BEGUN) && !device.exists(OLD));
}
