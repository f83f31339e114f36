//! What is said of conflicts while the daemon goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cairn_core::rev::Seq;
use cairn_core::time::Timestamp;
use cairn_core::tree::Substance;

use super::{Daemon, Device, Fault, parts};
use crate::scanner::Brake;
use crate::state::inbox::{AgreedVersion, ConflictReason, ConflictRow};
use crate::state::{ClientState, StateBatch};

#[tokio::test]
async fn passes_are_made_while_it_is_tried_whether_conflicts_can_be_merged() {
    let device = Device::new();
    device.write("f.txt", "theirs\n");
    let copy = "f (conflict, here, 2026-11-22).txt";
    device.write(copy, "mine\n");
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    let daemon = Arc::new(daemon);
    daemon.scanner.scan_all(Brake::On).await.unwrap();
    let (original, copy) = (device.row("f.txt").await, device.row(copy).await);
    let Substance::File { file_id, size } = original.entry.substance else {
        panic!("a file");
    };
    let row = ConflictRow {
        copy: copy.node,
        original: original.node,
        base: Some(AgreedVersion {
            content_seq: Seq::new(1).unwrap(),
            file_id,
            size,
        }),
        at: Timestamp::from_millis(0),
        reason: ConflictReason::BothEdited,
    };
    let batch = StateBatch {
        conflicts: vec![row],
        ..StateBatch::default()
    };
    device.state.apply(device.namespace, batch).await.unwrap();
    let is_free = Arc::new(AtomicBool::new(false));
    let (seen, asked) = (Arc::clone(&is_free), Arc::clone(&daemon));
    let hook = move || seen.store(asked.pass.try_lock().is_ok(), Ordering::SeqCst);
    device.fs.inject("open", Fault::Hook(Box::new(hook)));
    let conflicts = daemon.conflicts().await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert!(is_free.load(Ordering::SeqCst));
}
