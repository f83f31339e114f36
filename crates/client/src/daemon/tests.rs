//! A daemon in this process: real disk, state in memory, a server that is away.

mod ahead;
mod conflicts;
mod fetching;
mod held;
mod listing;
mod pause;
mod power;
mod sweeping;
mod unread;
mod why;
mod wipe;

use std::io::ErrorKind;
use std::sync::mpsc;
use std::time::Duration;

use async_trait::async_trait;
use cairn_core::ids::DeviceId;
use tokio::time::timeout;

use super::*;
use crate::engine::NODES_AT_ONCE;
use crate::fs::faulty::Fault;
use crate::progress::Progress;
use crate::remote::fake::FakeRemote;
use crate::scanner::Brake;
use crate::scanner::tests::fixture::{Device, MARKER};
use crate::state::ClientState;
use crate::watcher::{Hint, WatchTrouble};

const DEADLINE: Duration = Duration::from_secs(20);
/// The deadline of what takes its time, where time passes as soon as nothing else happens. Less than a day, after which everything
/// is looked at.
const FAR: Duration = Duration::from_secs(3_600);

/// Says what the test says.
struct Told(tokio::sync::mpsc::UnboundedReceiver<Hint>);

#[async_trait]
impl Watch for Told {
    async fn next(&mut self) -> Hint {
        match self.0.recv().await {
            Some(hint) => hint,
            None => std::future::pending().await,
        }
    }

    fn trouble(&self) -> Option<WatchTrouble> {
        None
    }
}

fn told() -> (tokio::sync::mpsc::UnboundedSender<Hint>, Box<dyn Watch>) {
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    (tell, Box::new(Told(told)))
}

pub(super) fn parts(device: &Device, guards: Vec<Guard>) -> DaemonParts {
    DaemonParts {
        namespace: device.namespace,
        device: DeviceId::new(1).unwrap(),
        device_name: "here".to_owned(),
        server: "fake".to_owned(),
        folder: device.path(""),
        fs: Arc::clone(&device.fs) as _,
        state: Arc::clone(&device.state) as _,
        remote: Arc::new(FakeRemote::default()),
        progress: Progress::new(),
        readers: 1,
        nodes_at_once: NODES_AT_ONCE,
        guards,
    }
}

/// Has the next file that is opened wait in the disk's call: says when it does, and lets it go on.
fn held_read(device: &Device) -> (tokio::sync::oneshot::Receiver<()>, mpsc::Sender<()>) {
    let (has_begun, begun) = tokio::sync::oneshot::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let hook = move || {
        has_begun.send(()).unwrap();
        wait.recv_timeout(DEADLINE).unwrap();
    };
    device.fs.inject("open", Fault::Hook(Box::new(hook)));
    (begun, go_on)
}

#[tokio::test]
async fn a_stop_cuts_a_pass_and_waits_for_what_is_on_its_way_to_the_disk() {
    let device = Device::new();
    device.write("large", &"x".repeat(1_000_000));
    let (begun, go_on) = held_read(&device);
    let lock = Arc::new(());
    let held = Arc::downgrade(&lock);
    let parts = parts(&device, vec![Box::new(lock)]);
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    let stop = CancellationToken::new();
    let (_tell, watch) = told();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move {
            daemon.run_with(watch, stop).await.unwrap();
            drop(daemon);
        }
    });
    timeout(DEADLINE, begun).await.unwrap().unwrap();
    stop.cancel();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!running.is_finished(), "the disk is still being read");
    assert!(held.upgrade().is_some());
    go_on.send(()).unwrap();
    timeout(DEADLINE, running).await.unwrap().unwrap();
    assert!(held.upgrade().is_none(), "nobody else need wait any longer");
    let counts = device.state.counts(device.namespace).await.unwrap();
    assert_eq!(counts.local_nodes, 0, "the scan was cut");
}

#[tokio::test]
async fn a_dropped_daemon_keeps_its_locks_until_its_work_has_ended() {
    let device = Device::new();
    device.write("file", "x");
    let (begun, go_on) = held_read(&device);
    let (has_ended, ended) = mpsc::channel();
    struct Lock(mpsc::Sender<()>);
    impl Drop for Lock {
        fn drop(&mut self) {
            self.0.send(()).unwrap_or(());
        }
    }
    let parts = parts(&device, vec![Box::new(Lock(has_ended))]);
    let daemon = Daemon::assemble(parts, device.runtime.clone()).await.unwrap();
    let running = tokio::spawn(async move { daemon.run_once().await.map(drop) });
    timeout(DEADLINE, begun).await.unwrap().unwrap();
    running.abort();
    drop(running.await);
    assert!(ended.try_recv().is_err(), "the disk is still being read");
    go_on.send(()).unwrap();
    tokio::task::spawn_blocking(move || ended.recv_timeout(DEADLINE).unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_hint_is_followed_while_the_server_is_away() {
    let device = Device::new();
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    let mut status = daemon.status();
    let stop = CancellationToken::new();
    let (tell, watch) = told();
    let running = async {
        daemon.run_with(watch, stop.clone()).await.unwrap();
    };
    let user = async {
        // The server is away: the disk is looked at all the same.
        status
            .wait_for(|status| status.activity == Activity::Offline)
            .await
            .unwrap();
        device.write("new", "x");
        tell.send(Hint::Folders(vec![crate::fs::DiskPath::root()]))
            .unwrap();
        let passes = status.borrow().passes;
        status.wait_for(|status| status.passes > passes).await.unwrap();
        let counts = device.state.counts(device.namespace).await.unwrap();
        assert_eq!(counts.local_nodes, 1);
        stop.cancel();
    };
    timeout(DEADLINE, Box::pin(async { tokio::join!(running, user) }))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_watch_that_has_lost_track_is_made_up_for() {
    let device = Device::new();
    device.folder("d");
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    let mut status = daemon.status();
    let stop = CancellationToken::new();
    let (tell, watch) = told();
    let running = async {
        daemon.run_with(watch, stop.clone()).await.unwrap();
    };
    let user = async {
        let is_offline = |status: &Status| status.activity == Activity::Offline;
        status.wait_for(is_offline).await.unwrap();
        device.write("d/new", "x");
        tell.send(Hint::Everything).unwrap();
        while device.state.counts(device.namespace).await.unwrap().local_nodes < 2 {
            status.changed().await.unwrap();
        }
        stop.cancel();
    };
    timeout(DEADLINE, Box::pin(async { tokio::join!(running, user) }))
        .await
        .unwrap();
}

#[tokio::test]
async fn another_folder_than_before_is_not_taken() {
    let device = Device::new();
    let first = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone()).await;
    first.unwrap().close().await;
    let marker = device.state.setting("root-marker").await.unwrap();
    assert!(
        marker.is_some_and(|marker| marker != MARKER),
        "the marker is made anew"
    );
    let stranger = Device::new();
    let parts = DaemonParts {
        state: Arc::clone(&device.state) as _,
        ..parts(&stranger, Vec::new())
    };
    let error = Daemon::assemble(parts, device.runtime.clone())
        .await
        .err()
        .unwrap();
    assert!(matches!(error, DaemonError::FolderGone { .. }), "{error:?}");
}

#[tokio::test]
async fn nothing_is_looked_at_while_a_step_is_half_done() {
    let device = Device::new();
    device.write("a", "text");
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    daemon.scanner.scan_all(Brake::On).await.unwrap();
    let row = device.row("a").await;
    // It is taken away, and whether it was cannot be found out: not by the step, the pass before its scan, or its sync.
    device.fs.inject("displace", Fault::After(ErrorKind::Other));
    for _ in 0..3 {
        device.fs.inject("settle", Fault::Before(ErrorKind::Other));
    }
    assert!(daemon.engine.applier.remove(row.node).await.is_err());
    assert!(!device.exists("a"));
    let mut work = Work::everything();
    daemon.settle(&mut work).await.unwrap();
    assert!(work.has_setbacks());
    assert_eq!(
        device.find("a").await,
        Some(row),
        "that it is missing is no deletion"
    );
    // The disk works again; the server is away.
    let settled = daemon.settle(&mut work).await;
    assert!(matches!(settled, Err(DaemonError::Remote(_))));
    assert_eq!(device.find("a").await, None);
    let intents = device.state.intents(device.namespace).await.unwrap();
    assert_eq!(intents, Vec::new());
}

#[tokio::test]
async fn a_disk_that_fails_at_the_start_is_waited_for() {
    let device = Device::new();
    device.write("a", "text");
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    daemon.scanner.scan_all(Brake::On).await.unwrap();
    let row = device.row("a").await;
    device.fs.inject("displace", Fault::After(ErrorKind::Other));
    device.fs.inject("settle", Fault::Before(ErrorKind::Other));
    assert!(daemon.engine.applier.remove(row.node).await.is_err());
    daemon.close().await;

    // It fails at the start, in the pass before its scan, and in its sync.
    for _ in 0..3 {
        device.fs.inject("settle", Fault::Before(ErrorKind::Other));
    }
    let daemon = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone())
        .await
        .unwrap();
    let mut work = Work::everything();
    daemon.settle(&mut work).await.unwrap();
    let status = daemon.status().borrow().clone();
    assert!(!status.in_sync);
    assert!(status.problems.iter().any(|problem| problem.code == "disk"));
    assert_eq!(
        device.find("a").await,
        Some(row),
        "that it is missing is no deletion"
    );
    let settled = daemon.settle(&mut work).await;
    assert!(matches!(settled, Err(DaemonError::Remote(_))));
    assert_eq!(device.state.intents(device.namespace).await.unwrap(), Vec::new());
    daemon.close().await;

    device.fs.inject("staged_names", Fault::Before(ErrorKind::Other));
    let restarted = Daemon::assemble(parts(&device, Vec::new()), device.runtime.clone()).await;
    assert!(restarted.is_ok(), "nothing was begun");
}
