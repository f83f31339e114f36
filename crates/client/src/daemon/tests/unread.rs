//! What a scan could not read: it is neither forgotten by the next pass nor left to the next hint.

use std::io::{ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::ahead::listed;
use super::{Daemon, Device, FAR, Fault, Work, told};
use crate::scanner::tests::fixture::disk_path;
use crate::status::Status;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

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

/// Has a listing fail that comes after so many others.
fn fails_to_list(device: &Device, after: usize) {
    for _ in 0..after {
        device.fs.inject("list", Fault::Hook(Box::new(|| {})));
    }
    device.fs.inject("list", Fault::Before(ErrorKind::Other));
}

fn is_said(status: &Status, path: &str, code: &str) -> bool {
    let mut problems = status.problems.iter();
    problems.any(|problem| problem.path == path && problem.code == code)
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

#[tokio::test]
async fn a_folder_that_cannot_be_listed_is_a_problem_until_it_can() {
    let device = Device::new();
    let (_, daemon) = listed(&device).await;
    device.folder("d");
    device.write("d/f", "1");
    fails_to_list(&device, 1);
    let mut work = Work::everything();
    let status = pass(&daemon, &mut work).await;
    assert!(is_said(&status, "d", "unreadable"), "{:?}", status.problems);
    let status = look(&daemon, &mut work, "").await;
    assert!(is_said(&status, "d", "unreadable"), "it is as it was");
    assert!(!status.in_sync);
    work.look_at_unread();
    let status = pass(&daemon, &mut work).await;
    assert_eq!(status.problems, Vec::new());
    assert!(status.in_sync && device.find("d/f").await.is_some());

    // One that may not be read, and then may.
    fails_to_list(&device, 0);
    device.chmod("d", 0o700);
    let status = look(&daemon, &mut work, "d").await;
    assert!(is_said(&status, "d", "unreadable"));
    device.chmod("d", 0o755);
    assert!(look(&daemon, &mut work, "d").await.in_sync);

    fails_to_list(&device, 0);
    let status = look(&daemon, &mut work, "").await;
    assert!(is_said(&status, "", "unreadable"));
    assert!(!look(&daemon, &mut work, "d").await.in_sync);
    work.look_at_unread();
    assert!(pass(&daemon, &mut work).await.in_sync);
}

#[tokio::test]
async fn what_is_too_deep_stays_a_problem() {
    let device = Device::new();
    let (_, daemon) = listed(&device).await;
    let depth = cairn_core::limits::TREE_DEPTH;
    device.folder(&vec!["d"; depth + 1].join("/"));
    let deepest = vec!["d"; depth].join("/");
    let mut work = Work::everything();
    let status = pass(&daemon, &mut work).await;
    assert!(is_said(&status, &deepest, "too-deep"), "{:?}", status.problems);
    let status = look(&daemon, &mut work, "").await;
    assert!(is_said(&status, &deepest, "too-deep") && !status.in_sync);
    device.rename("d/d", "e");
    let status = look(&daemon, &mut work, "").await;
    assert!(!is_said(&status, &deepest, "too-deep"));
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_read_is_looked_at_again_although_nobody_tells() {
    let device = Device::new();
    let (_, daemon) = listed(&device).await;
    device.folder("d");
    device.write("d/f", "1");
    fails_to_list(&device, 1);
    let mut status = daemon.status();
    let stop = CancellationToken::new();
    let (_tell, watch) = told();
    let running = async {
        daemon.run_with(watch, stop.clone()).await.unwrap();
    };
    let user = async {
        status.wait_for(|status| status.local_nodes == 2).await.unwrap();
        stop.cancel();
    };
    timeout(FAR, Box::pin(async { tokio::join!(running, user) }))
        .await
        .unwrap();
    assert!(device.find("d/f").await.is_some());
}
