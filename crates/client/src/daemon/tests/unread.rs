//! What a scan could not read: it is neither forgotten by the next pass nor left to the next hint.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ahead::listed;
use super::{Daemon, Device, Fault, Work};
use crate::scanner::tests::fixture::disk_path;
use crate::status::Status;

/// Has a file written to at the end of reading it, so often.
fn writes_while_read(device: &Device, path: &str, times: u64) -> Arc<AtomicU64> {
    let left = Arc::new(AtomicU64::new(times));
    for _ in 0..200 {
        let (left, path) = (Arc::clone(&left), device.path(path));
        let hook = move || {
            let is_over = left.load(Ordering::Relaxed) == 0;
            if !is_over {
                left.fetch_sub(1, Ordering::Relaxed);
                let mut file = std::fs::File::options().append(true).open(path).unwrap();
                file.write_all(b"more").unwrap();
            }
        };
        device.fs.inject("metadata", Fault::Hook(Box::new(hook)));
    }
    left
}

/// One pass; what is said of it.
async fn pass(daemon: &Daemon, work: &mut Work) -> Status {
    daemon.settle(work).await.unwrap();
    daemon.status().borrow().clone()
}

/// One pass that looks at a folder.
async fn look(daemon: &Daemon, work: &mut Work, folder: &str) -> Status {
    work.look_at(vec![disk_path(folder)]);
    pass(daemon, work).await
}

#[tokio::test(start_paused = true)]
async fn a_busy_file_is_not_forgotten_by_a_pass_that_looks_elsewhere() {
    let device = Device::new();
    let (remote, daemon) = listed(&device).await;
    device.folder("d");
    device.write("f", "1");
    let left = writes_while_read(&device, "f", u64::MAX);
    let mut work = Work::everything();
    assert!(!pass(&daemon, &mut work).await.in_sync);
    work.is_recheck_due = true;
    assert!(!pass(&daemon, &mut work).await.in_sync);
    assert!(!look(&daemon, &mut work, "d").await.in_sync);
    left.store(0, Ordering::Relaxed);
    work.look_at_unread();
    assert!(pass(&daemon, &mut work).await.in_sync);
    assert_eq!(device.tree().await, ["d/", "f"]);
    assert_eq!(remote.commits().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_single_pass_comes_back_for_a_busy_file() {
    let device = Device::new();
    let (_, daemon) = listed(&device).await;
    device.write("f", "1");
    writes_while_read(&device, "f", 15);
    let status = daemon.run_once().await.unwrap();
    assert!(status.in_sync);
    assert_eq!(device.tree().await, ["f"]);
}
